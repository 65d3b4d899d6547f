"""The one redaction: texts and documents that are said, logged or kept, without the secrets."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import quote

from lib.settings import Secret

REDACTED = "***"
_WORD_CHARACTERS = 12  # a shorter secret may be a part of common words


class Redaction:
    """Blots *secrets* out, in any case of their letters: as they stand, as a URL, JSON and HTML write them.

    One of fewer than 12 characters only where it is a word of its own: else a password such as "bars" would
    make everything unreadable.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        texts = {secret.reveal() for secret in secrets} - {""}
        self._anywhere = _Forms(text for text in texts if len(text) >= _WORD_CHARACTERS)
        self._words = _Forms((text for text in texts if len(text) < _WORD_CHARACTERS), words=True)

    def text(self, text: str) -> str:
        """*text* without the secrets."""
        return self._words.blotted(self._anywhere.blotted(text))

    def document(self, value: object) -> object:
        """A copy of a JSON-like *value* without the secrets, and with null for what is no finite number.

        The name of a value may be any word: a short secret that is the same is left there.
        """
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {self._anywhere.blotted(name): self.document(item) for name, item in value.items()}
            case list() | tuple():
                return [self.document(item) for item in value]
            case float() if not math.isfinite(value):
                return None
        return value


class _Forms:
    """All ways in which *texts* may be written. *words*: where nothing else belongs to the word."""

    def __init__(self, texts: Iterable[str], *, words: bool = False) -> None:
        forms = {form for text in texts for form in _ways(text)}
        self._forms = {form.lower() for form in forms}
        # The longest first: one may be a part of another.
        parts = (
            _as_word(form) if words else re.escape(form) for form in sorted(forms, key=len, reverse=True)
        )
        self._pattern = re.compile("|".join(parts), re.IGNORECASE)

    def blotted(self, text: str) -> str:
        lower = text.lower()
        if not any(form in lower for form in self._forms):  # nearly always, and cheaper than the pattern
            return text
        return self._pattern.sub(REDACTED, text)


def _ways(text: str) -> tuple[str, ...]:
    return text, quote(text, safe=""), json.dumps(text)[1:-1], escape(text)


def _as_word(form: str) -> str:
    before = r"(?<!\w)" if re.match(r"\w", form) else ""
    after = r"(?!\w)" if re.search(r"\w\Z", form) else ""
    return f"{before}{re.escape(form)}{after}"
