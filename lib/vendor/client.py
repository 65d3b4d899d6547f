"""The vendor's REST interface as the toolkit uses it: bars of a range, page by page, and ticker details.

Every request goes through the rate budget of the key, is tried again when the service failed, and is
believed only if it can be the answer to what was asked. See the errors' tree for what is raised.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Generic, Self, TypeVar

from lib.actions import E
from lib.breaker import Breaker
from lib.budget import NotSent, RateBudget
from lib.clock import Clock, to_ms
from lib.errors import AnswerInvalid, NotFound, RateLimited, VendorError
from lib.retry import RetryPolicy, persist
from lib.settings import Secret
from lib.symbols import AssetClass, Instrument
from lib.timeframe import Timeframe
from lib.vendor.actions import (
    ActionPage,
    ActionRequest,
    ActionsAnswer,
    Kind,
    action_requests,
    read_actions,
)
from lib.vendor.answers import Answer
from lib.vendor.counters import Counters
from lib.vendor.decode import BarsAnswer, GroupedAnswer, Refusal, TickerAnswer, decode
from lib.vendor.grouped import OWN_PARAMETERS as GROUPED_PARAMETERS
from lib.vendor.grouped import GroupedDay, grouped_path, read_grouped
from lib.vendor.paging import Page, PageRequest, read_page
from lib.vendor.tickers import TickerDetails, read_ticker, ticker_path
from lib.vendor.wire import Wire, open_wire

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_BODY_BYTES = 32 * 2**20  # 50,000 bars are about 5 MB
_ANSWERS_HELD = 16
_MAX_DECODING = 1  # decoding holds the interpreter's lock: a second one at a time only takes memory
_MAX_PAGES = 10_000
_WORTH_A_THREAD_BYTES = 32 * 2**10
_WITNESS = Instrument("IBM", AssetClass.STOCK, "IBM")
_WITNESS_SPAN_MS = 7 * 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class _Question(Generic[T]):
    """One request and how its answer is read."""

    path: str
    query: Mapping[str, str]
    read: Callable[[Answer], T | Refusal]


class VendorClient:
    """One key's conversation with the vendor. Made by ``open``; may be shared by any number of tasks."""

    def __init__(self, wire: Wire, policy: RetryPolicy, breaker: Breaker) -> None:
        self.breaker = breaker
        self._wire = wire
        self._policy = policy
        # Bodies and the objects of their decoding are what takes memory: both are bounded.
        self._held = asyncio.Semaphore(_ANSWERS_HELD)
        self._decoding = asyncio.Semaphore(_MAX_DECODING)
        self._old_actions = False  # learnt from the first 404

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        base_url: str,
        key: Secret,
        budget: RateBudget,
        clock: Clock,
        policy: RetryPolicy | None = None,
        breaker: Breaker | None = None,
        timeout_seconds: float = 30.0,
        max_body_bytes: int = MAX_BODY_BYTES,
        requests_at_once: int = 8,
    ) -> AsyncIterator[Self]:
        """A client for the host of *base_url* (no trailing slash), closed at the end of the block.

        *timeout_seconds* bounds one try from its slot in the budget to the last byte; it is of the machine's
        time, whatever *clock* says. *max_body_bytes* bounds a body as sent and unpacked. *requests_at_once*: on
        their way; of what has come, more may still be read.
        """
        async with open_wire(
            base_url=base_url,
            key=key,
            budget=budget,
            clock=clock,
            timeout_seconds=timeout_seconds,
            max_body_bytes=max_body_bytes,
            at_once=requests_at_once,
        ) as wire:
            yield cls(wire, policy or RetryPolicy(), breaker or Breaker(clock))

    @property
    def counters(self) -> Counters:
        return self._wire.counters

    async def pages(
        self, instrument: Instrument, timeframe: Timeframe, start_ms: int, end_ms: int
    ) -> AsyncGenerator[Page, None]:
        """The bars that start in [start_ms, end_ms), oldest first; the pages cover it without a seam.

        Both ends should lie on the grid of *timeframe*: the vendor widens a range to whole windows, and bars
        outside of what was asked make an answer invalid. A promised page with nothing new is believed only the
        second time.

        Raises a VendorError; what was yielded before it stays true.
        """
        request = PageRequest(instrument, timeframe, start_ms, end_ms)
        for number in range(_MAX_PAGES):
            page, following = await self._page(request)
            if number and page.nothing:
                page, following = await self._page(request)
            yield page
            if following is None:
                return
            request = following
        raise AnswerInvalid(f"more than {_MAX_PAGES:,} pages: GET {request.path}")

    async def grouped_day(self, asset_class: AssetClass, day: date, wanted: Collection[str]) -> GroupedDay:
        """The day bars of *day* of the *wanted* vendor tickers, out of the whole market's in one request.

        Raises a VendorError.
        """

        def read(answer: Answer) -> GroupedDay | Refusal:
            document = decode(answer, GroupedAnswer)
            if isinstance(document, Refusal):
                return document
            return read_grouped(asset_class, day, wanted, answer, document)

        found = await self._ask(_Question(grouped_path(asset_class, day), GROUPED_PARAMETERS, read))
        self.counters.pages += 1
        return found

    async def ticker_details(self, vendor_ticker: str) -> TickerDetails:
        """What the vendor knows of *vendor_ticker*.

        Raises NotFound if it does not know it, or another VendorError.
        """

        def read(answer: Answer) -> TickerDetails | Refusal:
            document = decode(answer, TickerAnswer)
            return document if isinstance(document, Refusal) else read_ticker(vendor_ticker, answer, document)

        return await self._ask(_Question(ticker_path(vendor_ticker), {}, read))

    async def actions(
        self, kind: Kind[E], instruments: Sequence[Instrument], since: date | None, today: date
    ) -> AsyncGenerator[ActionPage[E], None]:
        """The splits or dividends of *instruments* from the date *since* on (None: ever), announced ones too.

        From the endpoints of v1, or of v3 where the server has only those. Raises a VendorError; the pages
        are an answer only once all of them have come.
        """
        asked = partial(self._actions, kind, instruments, since, today)
        pages = asked(old=self._old_actions)
        try:
            first = await anext(pages, None)
        except NotFound:
            if self._old_actions:
                raise
            self._old_actions = True
            self.counters.failed -= 1  # it was an answer: the server is of the generation before
            pages = asked(old=True)
            first = await anext(pages, None)
        if first is not None:
            yield first
        async with aclosing(pages):
            async for page in pages:
                yield page

    async def _actions(
        self, kind: Kind[E], instruments: Sequence[Instrument], since: date | None, today: date, *, old: bool
    ) -> AsyncGenerator[ActionPage[E], None]:
        for first in action_requests(kind, instruments, since, today, old=old):
            request: ActionRequest[E] | None = first
            for _ in range(_MAX_PAGES):
                if request is None:
                    break
                page, request = await self._actions_page(request)
                yield page
            else:
                raise AnswerInvalid(f"more than {_MAX_PAGES:,} pages: GET {first.path}")

    async def _actions_page(self, request: ActionRequest[E]) -> tuple[ActionPage[E], ActionRequest[E] | None]:
        origin = self._wire.origin

        def read(answer: Answer) -> tuple[ActionPage[E], ActionRequest[E] | None] | Refusal:
            document = decode(answer, ActionsAnswer)
            if isinstance(document, Refusal):
                return document
            return read_actions(request, answer, document, origin)

        return await self._ask(_Question(request.path, request.query, read))

    async def _page(self, request: PageRequest) -> tuple[Page, PageRequest | None]:
        origin = self._wire.origin

        def read(answer: Answer) -> tuple[Page, PageRequest | None] | Refusal:
            document = decode(answer, BarsAnswer)
            return document if isinstance(document, Refusal) else read_page(request, answer, document, origin)

        page = await self._ask(_Question(request.path, request.query, read))
        self.counters.pages += 1
        return page

    async def _ask(self, question: _Question[T]) -> T:
        try:
            return await self._ask_twice(question)
        except VendorError:
            self.counters.failed += 1
            raise

    async def _ask_twice(self, question: _Question[T]) -> T:
        """The answer; a refusal under HTTP 200 is believed only the second time."""
        result = await self._persist(question)
        if isinstance(result, Refusal):
            wait_seconds = self._policy.wait_seconds(1)
            self._note_retry(result.error, wait_seconds)
            await self._wire.clock.sleep(wait_seconds)
            result = await self._persist(question)
        if isinstance(result, Refusal):
            raise result.error
        return result

    async def _persist(self, question: _Question[T]) -> T | Refusal:
        return await persist(
            partial(self._try, question),
            policy=self._policy,
            clock=self._wire.clock,
            pause_seconds=lambda: self._wire.budget.pause_seconds,
            waited_out=self._waited_out,
            on_retry=self._note_retry,
        )

    async def _waited_out(self, error: VendorError) -> bool:
        """Whether *error* is of an outage of the vendor, whose end the next try waits for."""
        down = await self.breaker.confirms(partial(self._answer, self._witness(), lambda: True))
        if down:
            self.counters.retries += 1
            log.info("trying again when the vendor is back: %s", error)
        return down

    def _witness(self) -> _Question[object]:
        """A question that is always answered unless the vendor is down, the last week of a large company."""
        end_ms = to_ms(self._wire.clock.now())
        request = PageRequest(_WITNESS, Timeframe.D1, end_ms - _WITNESS_SPAN_MS, end_ms)
        return _Question(request.path, request.query, lambda answer: decode(answer, BarsAnswer))

    def _note_retry(self, error: VendorError, wait_seconds: float) -> None:
        if not isinstance(error, RateLimited):
            self.counters.retries += 1
        log.info("trying again in %.1f s: %s", wait_seconds, error)

    async def _try(self, question: _Question[T]) -> T | Refusal:
        while True:
            try:
                async with self._held, self.breaker.attempt() as may_be_sent:
                    return await self._answer(question, may_be_sent)
            except NotSent:
                continue

    async def _answer(self, question: _Question[T], may_be_sent: Callable[[], bool]) -> T | Refusal:
        answer = await self._wire.get(question.path, question.query, may_be_sent)
        if len(answer.body) < _WORTH_A_THREAD_BYTES:
            return self._read(question, answer)
        async with self._decoding:
            return await asyncio.to_thread(self._read, question, answer)

    def _read(self, question: _Question[T], answer: Answer) -> T | Refusal:
        started_at = self._wire.clock.monotonic()
        try:
            return question.read(answer)
        finally:
            self.counters.decode_seconds += self._wire.clock.monotonic() - started_at
