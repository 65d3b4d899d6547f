"""Compute the technical indicators of the stored bars and keep them up to date.  Usage: --help."""

import sys
from pathlib import Path

# Under `python -P` this folder is not on sys.path by itself.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from lib.commands.features import app

if __name__ == "__main__":
    app()
