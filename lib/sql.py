"""The SQL of the toolkit lives in files: this finds them.

``sql/queries/<name>.sql`` holds one statement under a header that is its signature: what it does, its
parameters, its columns. ``sql/schema/NNN_<name>.sql`` is applied once, in the order of the numbers.
"""

from functools import cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent / "sql"
QUERIES = _ROOT / "queries"
SCHEMA = _ROOT / "schema"


@cache
def load(name: str) -> str:
    """The text of ``sql/queries/<name>.sql``, header included.

    Raises FileNotFoundError: a name is always written in the code, never typed by a user.
    """
    return (QUERIES / f"{name}.sql").read_text(encoding="utf-8")
