"""A database that cannot be reached cannot remember who was told so: a small file does."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class OutageNote:
    """The names of the channels that know of the outage, one a line. No file: no outage."""

    path: Path

    def told(self) -> set[str]:
        try:
            return set(self.path.read_text(encoding="utf-8").split())
        except OSError:
            return set()

    def write(self, names: Iterable[str]) -> None:
        """Remember *names*; where that is not possible, they will be told once more."""
        try:
            if not (known := sorted(names)):
                self.path.unlink(missing_ok=True)
                return
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text("\n".join(known) + "\n", encoding="utf-8")
        except OSError:
            return
