"""One try of one request over HTTP: what goes out, what comes back, and what can break in between."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import aiohttp
from yarl import URL

from lib.budget import NotSent, RateBudget
from lib.clock import Clock
from lib.errors import AnswerInvalid, ConnectionFailed, RateLimited, RequestTimedOut, TransientVendorError
from lib.settings import Secret
from lib.vendor.answers import Answer
from lib.vendor.counters import Counters
from lib.vendor.redact import Redactor

T = TypeVar("T")

_READ_BUFFER_BYTES = 2**18
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "market-backfill"}


@dataclass(slots=True)
class Wire:
    """A session with the vendor's host; made by ``open_wire``.

    The key goes into the header of each request and nowhere else. Bodies are unpacked by ``Answer``, which
    bounds their length; aiohttp would unpack them on the event loop, and without a bound.
    """

    session: aiohttp.ClientSession
    base_url: str
    key: Secret
    budget: RateBudget
    clock: Clock
    timeout_seconds: float
    max_body_bytes: int
    counters: Counters
    redactor: Redactor
    at_once: asyncio.Semaphore

    @property
    def origin(self) -> URL:
        """Scheme, host and port: the only place the key is sent to."""
        return URL(self.base_url).origin()

    async def get(
        self, path: str, query: Mapping[str, str], may_be_sent: Callable[[], bool] = lambda: True
    ) -> Answer:
        """The answer of HTTP 200 to one GET, within *timeout_seconds* of its slot in the budget.

        Raises NotSent if *may_be_sent* says so when the slot is there, else the error that any other answer
        or failure stands for.
        """
        subject = f"GET {self.redactor.clean(path)}"
        asked_at = self.clock.monotonic()
        async with self.at_once, AsyncExitStack() as closing:
            async with self.budget.request(self.timeout_seconds):
                if not may_be_sent():
                    raise NotSent
                self._sent(asked_at)
                deadline = asyncio.get_running_loop().time() + self.timeout_seconds
                with self._timed():
                    response = await self._send(closing, subject, path, query, deadline)
                    if response.status != 200:
                        raise await self._failure(response, subject, deadline)
            with self._timed():
                return await self._read(response, subject, deadline)

    def _sent(self, asked_at: float) -> None:
        self.counters.total_requests += 1
        self.counters.paced_seconds += self.clock.monotonic() - asked_at

    @contextmanager
    def _timed(self) -> Iterator[None]:
        started_at = self.clock.monotonic()
        try:
            yield
        finally:
            self.counters.api_seconds += self.clock.monotonic() - started_at

    async def _send(
        self, closing: AsyncExitStack, subject: str, path: str, query: Mapping[str, str], deadline: float
    ) -> aiohttp.ClientResponse:
        async def once(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            # aiohttp sends a GET anew by itself when a kept-alive connection breaks, which no budget and no
            # counter would see. An error of ours keeps it from doing so.
            return await self._named(subject, handler(request))

        response = self.session.get(
            URL(f"{self.base_url}{path}", encoded=True).with_query(query),
            headers={"Authorization": f"Bearer {self.key.reveal()}"},
            allow_redirects=False,
            middlewares=(once,),
        )
        return await self._named(subject, closing.enter_async_context(response), deadline)

    async def _failure(self, response: aiohttp.ClientResponse, subject: str, deadline: float) -> Exception:
        error = (await self._read(response, subject, deadline)).failure()
        if isinstance(error, RateLimited):
            self.counters.rate_limited_count += 1
        return error

    async def _read(self, response: aiohttp.ClientResponse, subject: str, deadline: float) -> Answer:
        body = await self._named(subject, self._body(response.content), deadline)
        sent_at = _http_date(response.headers.get("Date"))
        return Answer(
            subject=subject,
            status=response.status,
            body=body,
            encoding=response.headers.get("Content-Encoding", "").strip().lower(),
            sent_at=sent_at,
            retry_after_seconds=_retry_after(
                response.headers.get("Retry-After"), sent_at or self.clock.now()
            ),
            redactor=self.redactor,
            longest_body=self.max_body_bytes,
        )

    async def _body(self, content: aiohttp.StreamReader) -> bytes:
        """The body; of one that is too long, enough to see that it is."""
        parts, length = [], 0
        async for part in content.iter_any():
            parts.append(part)
            length += len(part)
            self.counters.bytes_received += len(part)
            if length > self.max_body_bytes:
                break
        return b"".join(parts)

    async def _named(self, subject: str, step: Awaitable[T], deadline: float | None = None) -> T:
        """*step* until *deadline* (of the event loop); what can break in it becomes an error of ours."""
        try:
            async with asyncio.timeout_at(deadline):
                return await step
        except (aiohttp.ClientError, OSError) as exc:
            failure = self._failed(subject, exc)
        # Raised here, not from the foreign error: that one may quote the vendor's bytes and the request's
        # headers, so the key. What it says is in the message, redacted.
        raise failure

    def _failed(self, subject: str, exc: Exception) -> TransientVendorError:
        why = self.redactor.clean(f"{type(exc).__name__}: {exc}")
        match exc:
            case TimeoutError():
                return RequestTimedOut(f"no answer within {self.timeout_seconds:g} s: {subject}")
            case aiohttp.ClientPayloadError():
                return ConnectionFailed(f"the answer broke off: {subject}: {why}")
            case aiohttp.ClientResponseError():
                return AnswerInvalid(f"the answer to {subject} is not HTTP: {why}")
            case _:
                return ConnectionFailed(f"the connection to the vendor failed: {subject}: {why}")


@asynccontextmanager
async def open_wire(
    *,
    base_url: str,
    key: Secret,
    budget: RateBudget,
    clock: Clock,
    timeout_seconds: float,
    max_body_bytes: int,
    at_once: int,
) -> AsyncIterator[Wire]:
    """A Wire with at most *at_once* requests on their way, closed at the end of the block."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=at_once),
        timeout=aiohttp.ClientTimeout(
            total=None
        ),  # each try has its own bound, the time in the pool included
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=_HEADERS,
        auto_decompress=False,
        read_bufsize=_READ_BUFFER_BYTES,
    ) as session:
        yield Wire(
            session=session,
            base_url=base_url,
            key=key,
            budget=budget,
            clock=clock,
            timeout_seconds=timeout_seconds,
            max_body_bytes=max_body_bytes,
            counters=Counters(),
            redactor=Redactor(key),
            at_once=asyncio.Semaphore(at_once),
        )


def _http_date(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _retry_after(text: str | None, now: datetime) -> float | None:
    """The seconds a Retry-After header asks for, given as seconds or as a date; None if it says nothing."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        moment = _http_date(text)
        return max(0.0, (moment - now).total_seconds()) if moment else None
    return max(0.0, seconds) if math.isfinite(seconds) else None
