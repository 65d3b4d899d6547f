"""One range of one series, page by page: what to ask, and whether the answer can be what was asked for."""

import re
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from urllib.parse import quote

import numpy as np
from yarl import URL

from lib.bars import Bars, RefusedBar
from lib.checks import refuse_impossible
from lib.symbols import Instrument
from lib.timeframe import Timeframe
from lib.vendor.answers import Answer
from lib.vendor.decode import BarsAnswer, to_bars
from lib.zones import midnight_ms, window_ends, window_starts

OWN_PARAMETERS = {"adjusted": "false", "sort": "asc", "limit": "50000"}
_RANGE = re.compile(r"/range/\d+/\w+/(?:(?P<ms>\d{1,17})|(?P<day>\d{4}-\d\d-\d\d))/[^/]+$")


@dataclass(frozen=True, slots=True)
class Page:
    """The bars the vendor has in [*start_ms*, *end_ms*), which this answer covers.

    *refused*: bars that cannot be true, left out of *bars*. *duplicates*: identical repeats, left out too.
    *delayed*: the vendor said that its newest data is late. *vendor_now*: its clock when it answered.
    """

    bars: Bars
    refused: tuple[RefusedBar, ...]
    start_ms: int
    end_ms: int
    duplicates: int = 0
    delayed: bool = False
    vendor_now: datetime | None = None

    @property
    def nothing(self) -> bool:
        """Whether the answer held no bar but repeats."""
        return not (len(self.bars) or self.refused)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What is still to be asked of [start_ms, end_ms).

    *carried*: query parameters of the vendor's next_url. *last*: the last bar before *start_ms*, if any.
    """

    instrument: Instrument
    timeframe: Timeframe
    start_ms: int
    end_ms: int
    carried: tuple[tuple[str, str], ...] = ()
    last: Bars = field(default_factory=Bars.empty)

    @property
    def path(self) -> str:
        """The aggregates path; the vendor counts both ends in."""
        multiplier, timespan = self.timeframe.vendor_range
        ticker = quote(self.instrument.vendor_ticker, safe=":")
        return f"/v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{self.start_ms}/{self.end_ms - 1}"

    @property
    def query(self) -> dict[str, str]:
        """Our parameters over the vendor's: its next_url may have dropped one."""
        return dict(self.carried) | OWN_PARAMETERS


def read_page(
    request: PageRequest, answer: Answer, document: BarsAnswer, origin: URL
) -> tuple[Page, PageRequest | None]:
    """The page that *document* holds, and what to ask next; None after the last page.

    Raises AnswerInvalid if it is not an answer to *request*.
    """
    results = document.results or []
    _check_envelope(request, answer, document, len(results))
    given = to_bars(answer, results)
    bars = _in_order(request, answer, given)
    following = _following(request, answer, document, bars, origin)
    kept, refused = refuse_impossible(bars, request.timeframe, request.instrument.zone)
    page = Page(
        bars=kept,
        refused=refused,
        start_ms=request.start_ms,
        end_ms=following.start_ms if following else request.end_ms,
        duplicates=len(given) - len(bars),
        delayed=document.status == "DELAYED",
        vendor_now=answer.sent_at,
    )
    return page, following


def _check_envelope(request: PageRequest, answer: Answer, document: BarsAnswer, given: int) -> None:
    for name, counted in (("resultsCount", document.results_count), ("count", document.count)):
        if counted is not None and counted != given:
            raise answer.invalid(f"its {name} is {counted:.0f}, but it holds {given} results")
    ticker = request.instrument.vendor_ticker
    if document.ticker is not None and document.ticker != ticker:
        raise answer.invalid(f"it is about {document.ticker}, not {ticker}")
    if given and document.adjusted:  # an empty answer has no prices to be adjusted
        raise answer.invalid("its prices are adjusted for splits, raw ones were asked for")


def _in_order(request: PageRequest, answer: Answer, given: Bars) -> Bars:
    """*given* without identical repeats.

    Raises AnswerInvalid for a differing repeat, a step back and a stamp outside the range.
    """
    if not len(given):
        return given
    bars = given if _ascending(request, given) else _without_repeats(request, answer, given)
    if len(bars) and not (request.start_ms <= bars.t[0] and bars.t[-1] < request.end_ms):
        raise answer.invalid(f"it holds bars from {bars.t[0]} to {bars.t[-1]}, outside the range asked for")
    return bars


def _ascending(request: PageRequest, given: Bars) -> bool:
    before = int(request.last.t[-1]) if len(request.last) else int(given.t[0]) - 1
    return bool((np.diff(given.t, prepend=before) > 0).all())


def _without_repeats(request: PageRequest, answer: Answer, given: Bars) -> Bars:
    """*given*, compared bar by bar with the one before, the first with the last of the page before."""
    bars = Bars.concat((request.last, given))
    steps = np.diff(bars.t)
    if (steps < 0).any():
        row = int(np.flatnonzero(steps < 0)[0])
        raise answer.invalid(f"its bars step back in time, from {bars.t[row]} to {bars.t[row + 1]}")
    for row in np.flatnonzero(steps == 0).tolist():
        if not _identical(bars.take(slice(row, row + 1)), bars.take(slice(row + 1, row + 2))):
            raise answer.invalid(f"it holds two different bars of {bars.t[row]}")
    is_new = np.concatenate((np.ones(1, np.bool_), steps > 0))
    return bars.take(is_new).take(slice(len(request.last), None))


def _identical(one: Bars, other: Bars) -> bool:
    return all(
        np.array_equal(getattr(one, column.name), getattr(other, column.name), equal_nan=True)
        for column in fields(Bars)
    )


def _following(
    request: PageRequest, answer: Answer, document: BarsAnswer, bars: Bars, origin: URL
) -> PageRequest | None:
    """The request for the page after *bars*; None if there is none.

    It goes on where the last window ends, by our own arithmetic, so that no page leaves a seam in coverage;
    the vendor's next_url only says that there is more, and lends its cursor.
    """
    if not document.next_url:
        return None
    url = own_url(answer, document.next_url, origin)
    vendor_from = _from_ms(url, request.instrument.zone)
    if vendor_from is not None and vendor_from <= request.start_ms:
        raise answer.invalid(f"its next page loops: it begins at {vendor_from}, not after {request.start_ms}")
    start_ms = _end_of_last_window(request, bars) if len(bars) else vendor_from
    if start_ms is None:
        raise answer.invalid("it holds no bars and a next page that does not say where it begins")
    if start_ms >= request.end_ms:
        return None
    carried = tuple(carried_by(answer, url).items())
    last = bars.take(slice(-1, None)) if len(bars) else request.last
    return replace(request, start_ms=start_ms, carried=carried, last=last)


def own_url(answer: Answer, next_url: str, origin: URL) -> URL:
    """*next_url*, made absolute.

    Raises AnswerInvalid if it leaves *origin*: whoever is there would be sent the key.
    """
    try:
        url = origin.join(URL(next_url))
        place = url.origin()
    except ValueError:
        place = None
    if place is None:
        raise answer.invalid(f"its next_url is not usable: {next_url}")
    if place != origin:
        raise answer.invalid(f"its next page is on a foreign host and was not asked for: {next_url}")
    return url


def carried_by(answer: Answer, url: URL) -> dict[str, str]:
    """The parameters of a next page, but those that hold the key: it goes into no address."""
    return {
        name: value
        for name, value in url.query.items()
        if name.lower() != "apikey" and not answer.redactor.finds(f"{name}={value}")
    }


def _from_ms(url: URL, zone: str) -> int | None:
    """The ``from`` of an aggregates path; None if the path has another form."""
    found = _RANGE.search(url.path)
    if found is None:
        return None
    if found["ms"]:
        return int(found["ms"])
    try:
        return midnight_ms(date.fromisoformat(found["day"]), zone)
    except ValueError:
        return None


def _end_of_last_window(request: PageRequest, bars: Bars) -> int:
    zone = request.instrument.zone
    return int(window_ends(window_starts(bars.t[-1:], request.timeframe, zone), request.timeframe, zone)[0])
