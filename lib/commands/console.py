"""The console of all commands: names, paths and other people's words are shown, and cannot drive the terminal."""

import re
from typing import Any

from rich import console
from rich.text import Text

# Control characters but tab and new line, signs that turn the direction of writing, and halves of characters.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def visible(text: str) -> str:
    """*text* with what a terminal would obey, or cannot show, written as in Python: ``\\x1b``."""
    return _UNSEEN.sub(lambda found: repr(found[0])[1:-1], text)


class Console(console.Console):
    """Rich's console, of which every text is visible."""

    def render_str(self, text: str, **how: Any) -> Text:
        return super().render_str(visible(text), **how)
