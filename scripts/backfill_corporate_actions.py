"""Fetch splits and dividends, and adjust prices by the splits.  Usage: --help."""

import sys
from pathlib import Path

# Running a file puts its own folder first on sys.path; `lib` is one level up.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.commands.actions import app

if __name__ == "__main__":
    app()
