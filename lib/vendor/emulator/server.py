"""The emulator's socket: receives, decides in the vendor's order of checks, answers, counts."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web
from aiohttp.web_request import BaseRequest

from lib.clock import Clock, SystemClock
from lib.errors import UsageError
from lib.vendor.emulator import defects
from lib.vendor.emulator.clock import MovedClock, parse_instant
from lib.vendor.emulator.counts import Counts, LogEntry
from lib.vendor.emulator.delivery import Parcel, deliver, pack
from lib.vendor.emulator.faults import Fault, FaultBook, FaultKind
from lib.vendor.emulator.limits import RateLimiter
from lib.vendor.emulator.market import Market
from lib.vendor.emulator.question import Question
from lib.vendor.emulator.routes import UNKNOWN, Route, find_route
from lib.vendor.emulator.settings import EmulatorSettings
from lib.vendor.emulator.wire import BAD_KEY, NO_KEY, TOO_MANY, Answer, Refusal, WireBar, error

HOST = "127.0.0.1"
_CONTROL = "/emulator/"


class Emulator:
    """A vendor of *market* on the loopback interface; entered as an async context manager.

    *port* 0 lets the system choose. *clock* decides what is past, running and future, and all waiting.
    *settings* may be replaced at any time with ``change``; ``counts`` says what was asked.

    Beside the vendor's paths it has, uncounted and without a key: ``GET /emulator/counts``;
    ``POST /emulator/reset``, which sets them to 0; ``POST /emulator/settings`` with the fields to change as
    JSON, and with ``now`` (ISO-8601) to move a MovedClock.
    """

    def __init__(
        self,
        market: Market,
        settings: EmulatorSettings | None = None,
        clock: Clock | None = None,
        *,
        port: int = 0,
    ) -> None:
        self.market = market
        self.settings = settings or EmulatorSettings()
        self.clock: Clock = clock or SystemClock()
        self.counts = Counts()
        self.url = ""
        self._port = port
        self._limiter = RateLimiter()
        self._book = FaultBook()
        self._last_bars: dict[str, WireBar] = {}
        self._parcels: dict[tuple[str, bool], Parcel] = {}

    async def __aenter__(self) -> Self:
        # A handler ends with its client: a stalled one must not hold up the end of a test.
        self._runner = web.ServerRunner(
            web.Server(self._serve, access_log=None, handler_cancellation=True), shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self._port).start()
        self.url = f"http://{HOST}:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    def change(self, **changes: Any) -> None:
        """Replace some settings; new faults count requests anew. Raises UsageError for what does not fit."""
        self.settings = self.settings.changed(changes)
        if "faults" in changes:
            self._book = FaultBook()
        self._parcels.clear()

    async def _serve(self, request: BaseRequest) -> web.StreamResponse:
        if request.path.startswith(_CONTROL):
            return await self._control(request)
        found = find_route(request.path, self.settings.actions)
        entry = LogEntry(self.clock.now(), request.raw_path, found[0].kind if found else UNKNOWN)
        self.counts.arrive(entry, self.clock.monotonic(), self.settings.rate_window_seconds)
        try:
            return await self._answer(request, found, entry)
        finally:
            self.counts.leave()

    async def _answer(
        self, request: BaseRequest, found: tuple[Route, dict[str, str]] | None, entry: LogEntry
    ) -> web.StreamResponse:
        """Route 404, key 401, rate 429, faults, then the question itself: 400, 403, 404, 200."""
        refusal = self._refusal(request, found)
        faults = [] if refusal else self._book.hitting(self.settings.faults, entry.path, self.clock.now())
        self.counts.faults.update(fault.kind for fault in faults)
        await self.clock.sleep(self.settings.latency_seconds)
        compress = self.settings.gzip and "gzip" in request.headers.get("Accept-Encoding", "")
        if refusal or found is None:
            parcel = await pack(refusal or _no_route(), [], compress=compress)
        else:
            parcel = await self._parcel(request, *found, faults, compress=compress)
        silent = any(fault.kind is FaultKind.RESET for fault in faults)
        self.counts.answered(entry, 0 if silent else parcel.status)
        return await deliver(request, parcel, faults, self.clock)

    def _refusal(self, request: BaseRequest, found: object | None) -> Answer | None:
        if found is None:
            return _no_route()
        key = request.headers.get("Authorization", "").removeprefix("Bearer ") or request.query.get(
            "apiKey", ""
        )
        if not key:
            return error(401, NO_KEY)
        if self.settings.key and key != self.settings.key:
            return error(401, BAD_KEY)
        if self._limiter.admit(self.settings, self.clock):
            return None
        answer = error(429, TOO_MANY)
        if self.settings.retry_after_seconds is not None:
            answer.headers["Retry-After"] = f"{self.settings.retry_after_seconds:g}"
        return answer

    async def _parcel(
        self,
        request: BaseRequest,
        route: Route,
        parts: Mapping[str, str],
        faults: list[Fault],
        *,
        compress: bool,
    ) -> Parcel:
        key = (request.raw_path, compress)
        if self.settings.prerender and not faults and key in self._parcels:
            return self._parcels[key]
        parcel = await pack(self._made(request, route, parts, faults), faults, compress=compress)
        if self.settings.prerender and not faults and parcel.status == 200:
            self._parcels[key] = parcel
        return parcel

    def _made(
        self, request: BaseRequest, route: Route, parts: Mapping[str, str], faults: list[Fault]
    ) -> Answer:
        for fault in faults:
            if replacement := defects.replaced(fault):
                return replacement
        base_url = self.settings.next_url_base or self.url
        path = request.raw_path.partition("?")[0]
        question = Question(parts, request.query, path, base_url, self.market, self.settings, self.clock)
        try:
            answer = route.answer(question)
        except Refusal as refused:
            return refused.answer
        series = "/".join(parts.get(name, "") for name in ("ticker", "multiplier", "timespan"))
        previous = self._last_bars.get(series) if "cursor" in request.query else None
        scene = defects.Scene(self.url, request.raw_path, previous)
        for fault in faults:
            defects.spoil(answer, fault, scene)
        self._remember(series, answer)
        return answer

    def _remember(self, series: str, answer: Answer) -> None:
        rows = answer.body.get("results") if isinstance(answer.body, dict) else None
        if isinstance(rows, list) and rows and isinstance(rows[-1], WireBar):
            self._last_bars[series] = rows[-1]

    async def _control(self, request: BaseRequest) -> web.Response:
        action = (request.method, request.path.removeprefix(_CONTROL))
        if action == ("GET", "counts"):
            return _json(self.counts.as_json())
        if action == ("POST", "reset"):
            self.counts = Counts(in_flight=self.counts.in_flight)
            return _json({})
        if action == ("POST", "settings"):
            return await self._change_by_request(request)
        return _json({"error": "there is no such control"}, status=404)

    async def _change_by_request(self, request: BaseRequest) -> web.Response:
        try:
            changes = msgspec.json.decode(await request.read(), type=dict[str, Any])
            if (moment := changes.pop("now", None)) is not None:
                self._move(moment)
            self.change(**changes)
        except (UsageError, msgspec.DecodeError) as refused:
            return _json({"error": str(refused)}, status=400)
        return _json(msgspec.to_builtins(self.settings))

    def _move(self, moment: object) -> None:
        if not isinstance(self.clock, MovedClock):
            raise UsageError("this emulator's clock cannot be moved", hint="start it with --now")
        self.clock.move_to(parse_instant(moment))


def _no_route() -> Answer:
    return Answer(body=b"404 page not found\n", status=404, content_type="text/plain")


def _json(value: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")
