"""The vendor's own words, made safe to show: one short line without the key."""

import re

from lib.redaction import Redaction
from lib.settings import Secret

_LONGEST_TEXT = 200
_INVISIBLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_MARKUP = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)


class Redactor:
    """Cleans texts that may hold *key*."""

    def __init__(self, key: Secret) -> None:
        self._redaction = Redaction([key])

    def finds(self, text: str) -> bool:
        """Whether *text*, read from an address, holds the key; a plus reads as a blank there."""
        return any(self._redaction.text(form) != form for form in (text, text.replace(" ", "+")))

    def clean(self, text: str, longest: int = _LONGEST_TEXT) -> str:
        """*text* on one line, without control characters and the key, cut to *longest* characters.

        The key is taken out after the invisible characters, which could hide it, and before the cut,
        which could leave a part of it.
        """
        line = self._redaction.text(" ".join(_INVISIBLE.sub("", text).split()))
        return line if len(line) <= longest else line[: longest - 1] + "…"


def without_markup(text: str) -> str:
    """What a reader of an HTML page would see of it."""
    return _MARKUP.sub(" ", text)
