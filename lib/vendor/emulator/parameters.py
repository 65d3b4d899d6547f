"""Reading the parameters of a question; what cannot be read is refused with the vendor's words."""

import base64
import re
from collections.abc import Mapping
from datetime import date
from urllib.parse import parse_qsl, urlencode

from lib.vendor.emulator.wire import refuse

Query = Mapping[str, str]

EPOCH = date(1970, 1, 1)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def flag(query: Query, name: str, default: bool) -> bool:
    """A parameter that is ``true`` or ``false``."""
    text = query.get(name, "").lower()
    if text not in ("", "true", "false"):
        raise refuse(f"The parameter '{name}' must be true or false")
    return text == "true" if text else default


def whole(query: Query, name: str, default: int, most: int) -> int:
    """A parameter that is a whole number; 0 and absent mean *default*, above *most* is cut to it."""
    text = query.get(name, "")
    if text and not text.isdecimal():
        raise refuse(f"The parameter '{name}' must be a positive integer")
    return min(int(text or 0) or default, most)


def choice(query: Query, name: str, *options: str) -> str:
    """A parameter that is one of *options*, the first by default."""
    text = query.get(name, "") or options[0]
    if text not in options:
        raise refuse(f"The parameter '{name}' must be one of: {', '.join(options)}")
    return text


def day(text: str, complaint: str) -> date:
    """A date written YYYY-MM-DD; refuses with *complaint* otherwise."""
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError as invalid:
        raise refuse(complaint) from invalid
    raise refuse(complaint)


def cursor_of(parameters: Query) -> str:
    """Parameters as the vendor hides them in a next_url: sorted, url-encoded, base64 without padding."""
    plain = urlencode(sorted(parameters.items()))
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def with_cursor(query: Query) -> dict[str, str]:
    """The parameters of a question, those of its cursor included; what is given openly wins."""
    given = {name: text for name, text in query.items() if name not in ("cursor", "apiKey")}
    if "cursor" not in query:
        return given
    text = query["cursor"]
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError as invalid:
        raise refuse("The parameter 'cursor' is invalid") from invalid
    return dict(parse_qsl(plain)) | given
