"""Backfill the bars of many symbols and write an audit of the run.  Usage: --help."""

import sys
from pathlib import Path

# Under `python -P` this folder is not on sys.path by itself.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from lib.commands.master import app

if __name__ == "__main__":
    app()
