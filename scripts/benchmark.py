"""Measure the toolkit against other ways to do the same.  Usage: --help."""

import sys
from pathlib import Path

# Running a file puts its own folder first on sys.path; `lib` and `benchmarks` are one level up.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.command import app

if __name__ == "__main__":
    app()
