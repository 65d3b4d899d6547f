"""When something goes wrong: rules that pick requests. What then happens: ``defects`` and ``delivery``."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import msgspec
import numpy as np

from lib.vendor.emulator.traits import draw


class FaultKind(StrEnum):
    """Ways in which an answer can be wrong; *detail*, *status*, *seconds* of the rule refine some of them."""

    # Another answer altogether. status: 500 unless set.
    ERROR_JSON = "error_json"
    ERROR_HTML = "error_html"
    ERROR_EMPTY = "error_empty"
    HTML_UNDER_200 = "html_under_200"
    EMPTY_BODY = "empty_body"
    BAD_REQUEST = "bad_request"
    KEY_MISSING = "key_missing"
    KEY_UNKNOWN = "key_unknown"
    NOT_ENTITLED = "not_entitled"
    OUTSIDE_PLAN = "outside_plan"
    REFUSED_UNDER_200 = "refused_under_200"
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"  # seconds > 0: with Retry-After

    # In the JSON of an answer of 200.
    RESULTS_NULL = "results_null"  # the counts stay
    RESULTS_EMPTY = "results_empty"  # likewise
    RESULTS_ABSENT = "results_absent"  # likewise
    NO_DATA_NULL = "no_data_null"  # results null and all counts 0
    NO_DATA_EMPTY = "no_data_empty"  # results [] and all counts 0
    COUNT_ABSENT = "count_absent"
    COUNT_MISMATCH = "count_mismatch"
    ADJUSTED_FLIPS = "adjusted_flips"
    STATUS = "status"  # detail: the word, DELAYED unless set
    OTHER_TICKER = "other_ticker"
    EXTRA_FIELDS = "extra_fields"
    NEXT_URL_FOREIGN_HOST = "next_url_foreign_host"  # detail: the base, unless set one that cannot exist
    NEXT_URL_SCHEME = "next_url_scheme"  # detail: the scheme, https unless set
    NEXT_URL_LOOP = "next_url_loop"  # the page names itself as the next
    REPEAT_ACROSS_PAGES = "repeat_across_pages"  # the first bar is the last one of the page before
    REPEAT_ACROSS_PAGES_DIFFERS = "repeat_across_pages_differs"
    REPEAT = "repeat"  # the last bar comes twice
    REPEAT_DIFFERS = "repeat_differs"
    OUT_OF_ORDER = "out_of_order"
    OUTSIDE_WINDOW = "outside_window"  # detail: "before" or, unless set, after
    FIELD_MISSING = "field_missing"  # detail: which, "c" unless set
    FIELD_NULL = "field_null"  # likewise
    FIELD_TEXT = "field_text"  # likewise
    HIGH_BELOW_LOW = "high_below_low"
    NEGATIVE_VOLUME = "negative_volume"
    OFF_GRID = "off_grid"
    HUGE_PRICE = "huge_price"
    INFINITE_PRICE = "infinite_price"  # 1e999

    # In the bytes.
    TRUNCATED_JSON = "truncated_json"
    TRUNCATED_GZIP = "truncated_gzip"
    BOM = "bom"

    # On the way.
    STALL = "stall"  # seconds before the first byte
    SLOW_BODY = "slow_body"  # seconds over the body
    RESET = "reset"  # no answer at all
    RESET_MID_BODY = "reset_mid_body"
    LENGTH_TOO_LONG = "length_too_long"  # more announced than sent
    LENGTH_TOO_SHORT = "length_too_short"  # less


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule: what goes wrong, and with which requests.

    Of the requests whose path and query match the regular expression *path*, the first *after* are spared;
    of the next *first* (0: of all) every *every*-th is hit, with *probability*. Only from
    *since* and before *until*, by the emulator's clock, where given: an outage of the vendor is a rule too.
    """

    kind: FaultKind
    path: str = ""
    after: int = 0
    every: int = 1
    first: int = 0
    probability: float = 1.0
    seed: int = 0
    since: datetime | None = None
    until: datetime | None = None
    status: int = 500
    seconds: float = 0.0
    detail: str = ""

    def __post_init__(self) -> None:
        try:
            re.compile(self.path)
        except re.error as invalid:
            raise ValueError(f"path is no regular expression: {invalid}") from invalid
        if self.every < 1 or self.after < 0 or self.first < 0:
            raise ValueError("every is 1 or more; after and first are 0 or more")
        if any(moment is not None and moment.tzinfo is None for moment in (self.since, self.until)):
            raise ValueError("since and until are aware instants")

    def hits(self, number: int) -> bool:
        """Whether the rule hits the *number*-th matching request, counted from 1."""
        number -= self.after
        if number < 1 or number % self.every or (self.first and number > self.first):
            return False
        return int(draw(self.seed, np.array([number]))[0]) < self.probability * 2.0**64


@dataclass(slots=True)
class FaultBook:
    """Counts the matching requests of each rule, by its place among the rules."""

    _seen: Counter[int] = field(default_factory=Counter)

    def hitting(self, rules: tuple[Fault, ...], path: str, now: datetime) -> list[Fault]:
        """The rules that hit this request, in their order."""
        return [fault for place, fault in enumerate(rules) if self._applies(place, fault, path, now)]

    def _applies(self, place: int, fault: Fault, path: str, now: datetime) -> bool:
        if (fault.since and now < fault.since) or (fault.until and now >= fault.until):
            return False
        if not re.search(fault.path, path):
            return False
        self._seen[place] += 1
        return fault.hits(self._seen[place])
