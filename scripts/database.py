"""Look into the database: open it in psql, or print how to reach it.  Usage: --help."""

import sys
from pathlib import Path

# Running a file puts its own folder first on sys.path; `lib` is one level up.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.commands.database import app

if __name__ == "__main__":
    app()
