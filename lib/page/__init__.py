"""The page: matrix and calendars of a run as one HTML file that needs nothing else."""

from lib.page.document import Page, render
from lib.page.words import Shown

__all__ = ["Page", "Shown", "render"]
