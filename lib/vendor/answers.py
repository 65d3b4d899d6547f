"""What the vendor answered, before its meaning: unpacking, and the error each HTTP status stands for."""

import zlib
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from lib.errors import (
    AnswerInvalid,
    KeyRefused,
    NotEntitled,
    NotFound,
    RateLimited,
    RequestRejected,
    RequestTimedOut,
    ServiceFailed,
    VendorError,
)
from lib.vendor.redact import Redactor, without_markup

_LONGEST_ERROR_BODY = 4096  # bytes looked at; the text shown is far shorter
_GZIP = zlib.MAX_WBITS | 16
_MOST_MEMBERS = 100  # gzip allows any number, one after the other; each copies the rest of the body
_GZIPPED = ("gzip", "x-gzip")
_ENCODINGS = ("", "identity", *_GZIPPED)
_ABOUT_DATES = ("timeframe", "historical")  # in the vendor's refusals of dates, not of a market
_BOM = b"\xef\xbb\xbf"

_WHAT_FAILED: dict[int, tuple[type[VendorError], str]] = {
    400: (RequestRejected, "the vendor rejected the request"),
    401: (KeyRefused, "the vendor refused the API key"),
    403: (NotEntitled, "the plan of this key does not include the data"),
    404: (NotFound, "the vendor does not know what was asked for"),
    408: (RequestTimedOut, "the vendor gave up waiting"),
    429: (RateLimited, "the vendor's rate limit is exceeded"),
    499: (ServiceFailed, "the vendor's service failed"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it came off the wire.

    *subject*: what was asked, as people may see it (method and path, no query). *body*: as sent, perhaps
    compressed. *sent_at*: the vendor's own clock, from its Date header.
    """

    subject: str
    status: int
    body: bytes = field(repr=False)
    encoding: str
    sent_at: datetime | None
    retry_after_seconds: float | None
    redactor: Redactor
    longest_body: int

    def content(self, longest: int | None = None) -> bytes:
        """The body, unpacked, without a byte order mark.

        Raises AnswerInvalid if it is packed in another way than gzip, cut, or longer than *longest* or
        *longest_body*.
        """
        return self._unpacked(min(longest or self.longest_body, self.longest_body)).removeprefix(_BOM)

    def invalid(self, why: str) -> AnswerInvalid:
        """The error that says why this answer is not believed."""
        return AnswerInvalid(f"the answer to {self.subject} cannot be used: {self.redactor.clean(why)}")

    def error(self, kind: type[VendorError], what: str, text: str) -> VendorError:
        """An error that quotes the vendor's *text*."""
        said = self.redactor.clean(text)
        error = kind(f"{what}: {self.subject}: HTTP {self.status}{f': {said}' if said else ''}")
        if isinstance(error, NotEntitled):
            error.outside_window = any(word in text.lower() for word in _ABOUT_DATES)
        return error

    def not_entitled(self, text: str) -> VendorError:
        """The error for a refusal that came under HTTP 200."""
        return self.error(*_WHAT_FAILED[403], text)

    def failure(self) -> VendorError:
        """The error that the HTTP status, one other than 200, stands for."""
        kind, what = self._kind()
        error = self.error(kind, what, self._text())
        if isinstance(error, RateLimited | ServiceFailed):
            error.retry_after_seconds = self.retry_after_seconds
        return error

    def _kind(self) -> tuple[type[VendorError], str]:
        if self.status >= 500:
            return ServiceFailed, "the vendor's service failed"
        if 300 <= self.status < 400:
            return AnswerInvalid, "the vendor redirected the request, which is not followed"
        if self.status < 300:
            return AnswerInvalid, "the vendor gave an unexpected answer"
        return _WHAT_FAILED.get(self.status, _WHAT_FAILED[400])

    def _text(self) -> str:
        try:
            content = _unpack(self.body, self.encoding, _LONGEST_ERROR_BODY)[0].removeprefix(_BOM)
        except zlib.error:
            return ""
        return said_in(content) or without_markup(content.decode("utf-8", "replace"))

    def _unpacked(self, longest: int) -> bytes:
        if self.encoding not in _ENCODINGS:
            raise self.invalid(f"its body is packed as {self.encoding!r}, which was not asked for")
        try:
            content, complete = _unpack(self.body, self.encoding, longest + 1)
        except zlib.error as exc:
            raise self.invalid(f"its gzip body is damaged ({exc})") from exc
        if len(content) > longest:
            raise self.invalid(f"it is longer than {longest:,} bytes")
        if not complete:
            raise self.invalid("its gzip body is cut short")
        return content


class _Said(msgspec.Struct):
    """The words of an error, not decoded: whatever else they are would take many times its length."""

    error: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()


_SAID = msgspec.json.Decoder(_Said)
_TEXT = msgspec.json.Decoder(str)


def said_in(content: bytes) -> str:
    """What ``error`` or ``message`` of a JSON object say; empty if *content* is none or has neither."""
    try:
        said = _SAID.decode(content)
        return _words(said.error) or _words(said.message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _words(raw: msgspec.Raw) -> str:
    """A text as it is meant, anything else as it is written."""
    content = bytes(raw)
    if content.startswith(b'"'):
        return _TEXT.decode(content)
    return "" if content == b"null" else content[:_LONGEST_ERROR_BODY].decode("utf-8", "replace")


def _unpack(body: bytes, encoding: str, longest: int) -> tuple[bytes, bool]:
    """At most *longest* bytes of the unpacked *body*, and whether its end was reached.

    Raises zlib.error for what is not gzip, or in too many pieces.
    """
    if encoding not in _GZIPPED:
        return body[:longest], len(body) <= longest
    parts, length = [], 0
    for _ in range(_MOST_MEMBERS):
        member = zlib.decompressobj(_GZIP)
        parts.append(member.decompress(body, longest - length))
        length += len(parts[-1])
        body = member.unused_data
        if not body or not member.eof or length >= longest:
            return b"".join(parts), member.eof
    raise zlib.error(f"more than {_MOST_MEMBERS} members")
