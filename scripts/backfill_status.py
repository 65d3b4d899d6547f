"""Whether the data can be trusted: health, freshness, runs, symbols and gaps.  Usage: --help."""

import sys
from pathlib import Path

# Running a file puts its own folder first on sys.path; `lib` is one level up.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.commands.status import app

if __name__ == "__main__":
    app()
