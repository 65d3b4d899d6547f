"""Which path is which question."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from lib.vendor.emulator import actions, reference
from lib.vendor.emulator.aggregates import answer_aggregates
from lib.vendor.emulator.grouped import answer_grouped
from lib.vendor.emulator.question import Question
from lib.vendor.emulator.settings import Actions
from lib.vendor.emulator.wire import Answer

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Route:
    """*kind*: under which requests are counted; *generation*: of the corporate actions, where it is one."""

    kind: str
    pattern: re.Pattern[str]
    answer: Callable[[Question], Answer]
    generation: Actions | None = None


def _route(
    kind: str, pattern: str, answer: Callable[[Question], Answer], generation: Actions | None = None
) -> Route:
    return Route(kind, re.compile(pattern), answer, generation)


_ROUTES = (
    _route(
        "aggs",
        r"/v2/aggs/ticker/(?P<ticker>[^/]+)/range/(?P<multiplier>[^/]+)/(?P<timespan>[^/]+)/(?P<from>[^/]+)/(?P<to>[^/]+)",
        answer_aggregates,
    ),
    _route(
        "grouped",
        r"/v2/aggs/grouped/locale/(?i:us|global)/market/(?P<market>(?i:stocks|crypto|fx))/(?P<date>[^/]+)",
        answer_grouped,
    ),
    _route("splits", "/v3/reference/splits", actions.answer_splits_v3, Actions.V3),
    _route("dividends", "/v3/reference/dividends", actions.answer_dividends_v3, Actions.V3),
    _route("splits", "/stocks/v1/splits", actions.answer_splits_v1, Actions.V1),
    _route("dividends", "/stocks/v1/dividends", actions.answer_dividends_v1, Actions.V1),
    _route("tickers", "/v3/reference/tickers", reference.answer_tickers),
    _route("ticker", "/v3/reference/tickers/(?P<ticker>[^/]+)", reference.answer_ticker),
    _route("upcoming", "/v1/marketstatus/upcoming", reference.answer_upcoming),
    _route("now", "/v1/marketstatus/now", reference.answer_now),
)


def find_route(path: str, offered: Actions) -> tuple[Route, dict[str, str]] | None:
    """The route of *path* (decoded, without the query) and its variable parts; None if there is none."""
    for route in _ROUTES:
        match = route.pattern.fullmatch(path)
        if match and route.generation in (None, offered, *(Actions if offered is Actions.BOTH else ())):
            return route, match.groupdict()
    return None
