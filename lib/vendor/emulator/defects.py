"""What goes wrong with an answer before it is sent: another answer, wrong JSON, wrong bytes."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from lib.vendor.emulator.faults import Fault
from lib.vendor.emulator.faults import FaultKind as Kind
from lib.vendor.emulator.wire import (
    BAD_KEY,
    NO_KEY,
    NOT_ENTITLED,
    OUTSIDE_PLAN,
    TOO_MANY,
    Answer,
    WireBar,
    error,
    message,
)

_HTML = b"<html>\r\n<head><title>%b</title></head>\r\n<body><h1>%b</h1></body>\r\n</html>\r\n"
_NOWHERE = "https://vendor.invalid"
_MINUTE_MS = 60_000

Body = dict[str, Any]


@dataclass(slots=True)
class Scene:
    """What a defect may need to know of the request: its address, and the last bar of the page before."""

    base_url: str
    raw_path: str
    previous: WireBar | None = None
    bars: list[WireBar] = field(default_factory=list)


def replaced(fault: Fault) -> Answer | None:
    """The answer *fault* gives instead; None if it leaves the answer to be made."""
    make = _REPLACEMENTS.get(fault.kind)
    return make(fault) if make else None


def spoil(answer: Answer, fault: Fault, scene: Scene) -> None:
    """Damage the JSON of *answer* as *fault* says; one without a body of an object is left alone."""
    damage = _DAMAGES.get(fault.kind)
    if damage and answer.status == 200 and isinstance(answer.body, dict):
        rows = answer.body.get("results") or []
        scene.bars = [row for row in rows if isinstance(row, WireBar)] if isinstance(rows, list) else []
        damage(answer.body, fault, scene)


def _html(status: int, title: bytes) -> Answer:
    return Answer(body=_HTML % (title, title), status=status, content_type="text/html")


def _rate_limited(fault: Fault) -> Answer:
    answer = error(429, TOO_MANY)
    if fault.seconds:
        answer.headers["Retry-After"] = f"{fault.seconds:g}"
    return answer


_REPLACEMENTS: dict[Kind, Callable[[Fault], Answer]] = {
    Kind.ERROR_JSON: lambda fault: error(fault.status, "internal server error"),
    Kind.ERROR_HTML: lambda fault: _html(fault.status, b"%d Bad Gateway" % fault.status),
    Kind.ERROR_EMPTY: lambda fault: Answer(status=fault.status, content_type="text/plain"),
    Kind.HTML_UNDER_200: lambda _: _html(200, b"Be right back"),
    Kind.EMPTY_BODY: lambda _: Answer(),
    Kind.BAD_REQUEST: lambda _: error(400, "The request could not be processed"),
    Kind.KEY_MISSING: lambda _: error(401, NO_KEY),
    Kind.KEY_UNKNOWN: lambda _: error(401, BAD_KEY),
    Kind.NOT_ENTITLED: lambda _: message(403, "NOT_AUTHORIZED", NOT_ENTITLED),
    Kind.OUTSIDE_PLAN: lambda _: message(403, "NOT_AUTHORIZED", OUTSIDE_PLAN),
    Kind.REFUSED_UNDER_200: lambda _: message(200, "NOT_AUTHORIZED", NOT_ENTITLED),
    Kind.NOT_FOUND: lambda _: message(404, "NOT_FOUND", "Data not found."),
    Kind.RATE_LIMITED: _rate_limited,
}


def _results(value: object, *, counted: bool) -> Callable[[Body, Fault, Scene], None]:
    def damage(body: Body, _fault: Fault, _scene: Scene) -> None:
        body["results"] = value
        if not counted:
            body |= {"queryCount": 0, "resultsCount": 0}
            body.pop("count", None)
            body.pop("next_url", None)

    return damage


def _results_absent(body: Body, _fault: Fault, _scene: Scene) -> None:
    body.pop("results", None)


def _count_absent(body: Body, _fault: Fault, _scene: Scene) -> None:
    for name in ("count", "resultsCount", "queryCount"):
        body.pop(name, None)


def _count_mismatch(body: Body, _fault: Fault, _scene: Scene) -> None:
    for name in ("count", "resultsCount"):
        body[name] = body.get(name, 0) + 1


def _adjusted_flips(body: Body, _fault: Fault, _scene: Scene) -> None:
    body["adjusted"] = not body.get("adjusted", False)


def _status(body: Body, fault: Fault, _scene: Scene) -> None:
    body["status"] = fault.detail or "DELAYED"


def _other_ticker(body: Body, _fault: Fault, _scene: Scene) -> None:
    body["ticker"] = "OTHER"


def _extra_fields(body: Body, _fault: Fault, _scene: Scene) -> None:
    rows = msgspec.json.decode(msgspec.json.encode(body.get("results") or []))
    body["results"] = [{**row, "dv": "1.5"} for row in rows]
    body["currency"] = {"code": "USD", "since": [1, 2, {"a": None}]}


def _foreign_host(body: Body, fault: Fault, scene: Scene) -> None:
    body["next_url"] = (fault.detail or _NOWHERE) + scene.raw_path


def _other_scheme(body: Body, fault: Fault, scene: Scene) -> None:
    body["next_url"] = f"{fault.detail or 'https'}://{urlsplit(scene.base_url).netloc}{scene.raw_path}"


def _loop(body: Body, _fault: Fault, scene: Scene) -> None:
    body["next_url"] = scene.base_url + scene.raw_path


def _set_rows(body: Body, rows: list[Any]) -> None:
    body["results"] = rows
    body["resultsCount"] = body["count"] = len(rows)


def _differing(bar: WireBar) -> WireBar:
    other = copy.copy(bar)
    other.h = other.h + 1
    return other


def _repeat(across: bool, differs: bool) -> Callable[[Body, Fault, Scene], None]:
    def damage(body: Body, _fault: Fault, scene: Scene) -> None:
        bar = scene.previous if across else next(iter(scene.bars[-1:]), None)
        if bar is not None:
            again = [_differing(bar) if differs else bar]
            rows: list[WireBar] = scene.bars
            _set_rows(body, again + rows if across else rows + again)

    return damage


def _out_of_order(body: Body, _fault: Fault, scene: Scene) -> None:
    if len(scene.bars) > 1:
        middle = len(scene.bars) // 2
        rows = scene.bars
        rows[middle - 1], rows[middle] = rows[middle], rows[middle - 1]
        _set_rows(body, rows)


def _outside_window(body: Body, fault: Fault, scene: Scene) -> None:
    if scene.bars:
        before = fault.detail == "before"
        stray = copy.copy(scene.bars[0 if before else -1])
        far = 400 * 1440 * _MINUTE_MS
        stray.t += -far if before else far
        _set_rows(body, [stray, *scene.bars] if before else [*scene.bars, stray])


def _bar(change: Callable[[WireBar, str], None]) -> Callable[[Body, Fault, Scene], None]:
    """A defect of one bar in the middle of the page."""

    def damage(_body: Body, fault: Fault, scene: Scene) -> None:
        if scene.bars:
            change(scene.bars[len(scene.bars) // 2], fault.detail or "c")

    return damage


def _high_below_low(bar: WireBar, _detail: str) -> None:
    bar.h, bar.l = bar.l - 1, bar.h + 1


def _negative_volume(bar: WireBar, _detail: str) -> None:
    bar.v = -1000


def _off_grid(bar: WireBar, _detail: str) -> None:
    bar.t += 17_001


def _huge_price(bar: WireBar, _detail: str) -> None:
    bar.h = 1e300


def _set_field(value: object) -> Callable[[WireBar, str], None]:
    return lambda bar, detail: setattr(bar, detail, value)


_DAMAGES: dict[Kind, Callable[[Body, Fault, Scene], None]] = {
    Kind.RESULTS_NULL: _results(None, counted=True),
    Kind.RESULTS_EMPTY: _results([], counted=True),
    Kind.RESULTS_ABSENT: _results_absent,
    Kind.NO_DATA_NULL: _results(None, counted=False),
    Kind.NO_DATA_EMPTY: _results([], counted=False),
    Kind.COUNT_ABSENT: _count_absent,
    Kind.COUNT_MISMATCH: _count_mismatch,
    Kind.ADJUSTED_FLIPS: _adjusted_flips,
    Kind.STATUS: _status,
    Kind.OTHER_TICKER: _other_ticker,
    Kind.EXTRA_FIELDS: _extra_fields,
    Kind.NEXT_URL_FOREIGN_HOST: _foreign_host,
    Kind.NEXT_URL_SCHEME: _other_scheme,
    Kind.NEXT_URL_LOOP: _loop,
    Kind.REPEAT_ACROSS_PAGES: _repeat(across=True, differs=False),
    Kind.REPEAT_ACROSS_PAGES_DIFFERS: _repeat(across=True, differs=True),
    Kind.REPEAT: _repeat(across=False, differs=False),
    Kind.REPEAT_DIFFERS: _repeat(across=False, differs=True),
    Kind.OUT_OF_ORDER: _out_of_order,
    Kind.OUTSIDE_WINDOW: _outside_window,
    Kind.FIELD_MISSING: _bar(_set_field(UNSET)),
    Kind.FIELD_NULL: _bar(_set_field(None)),
    Kind.FIELD_TEXT: _bar(_set_field("n/a")),
    Kind.HIGH_BELOW_LOW: _bar(_high_below_low),
    Kind.NEGATIVE_VOLUME: _bar(_negative_volume),
    Kind.OFF_GRID: _bar(_off_grid),
    Kind.HUGE_PRICE: _bar(_huge_price),
    Kind.INFINITE_PRICE: _bar(_set_field(msgspec.Raw(b"1e999"))),
}
