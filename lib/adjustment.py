"""The price basis: by how much the bars of an era are adjusted, and whether a split is to be believed.

Prices before a split of ratio r (new shares for an old one) are divided by r, volume is multiplied by it;
before several, by their product, computed exactly from the events and rounded once. A split takes effect at
the local midnight that begins its execution date, before the first trade of that day.

Total return, by the method of CRSP: on an ex date the price falls by the dividend, so the prices before it
are multiplied by

    f = 1 - D / P

with D the cash of all dividends of that ex date and P the last close before it, both per share of one basis
(a split on the ex date or later divides both). The total-return close of a day is its split-adjusted close
times the product of f over all later ex dates up to now; the ratio of two of them is what an owner gained who
bought more shares with each dividend. ``dividend_eras`` in sql/schema/ computes the products.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from math import inf, log, prod

import numpy as np

from lib.actions import Split
from lib.bars import Bars, FloatArray, IntArray
from lib.zones import sunday_of

EVER = -(2**62)  # before any bar, as a stamp

# ln: a fifth up or down over night is common enough on the day of a split.
TOLERANCE = log(1.25)
_OPENS_WITHIN, _CLOSES_WITHIN = log(1.06), log(1.12)
COMMON_RATIOS = (
    *(Fraction(n) for n in (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50)),
    Fraction(3, 2),
    *(Fraction(1, n) for n in (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100)),
)


@dataclass(frozen=True, slots=True)
class Era:
    """Bars that start on [*start*, *end*), as seen on [*as_of_start*, *as_of_end*); None: without an end.

    *factor*: shares now for a share then; None: a week whose bars are of two bases. *weekly*: of 1w bars.
    """

    start: date | None
    end: date
    factor: Fraction | None
    as_of_start: date
    as_of_end: date | None
    weekly: bool = False


def split_eras(splits: Sequence[Split]) -> list[Era]:
    """The eras of one symbol whose *splits* are all applied, each from its day on.

    Bars after the last split are in no era: they are as they are. A 1w bar of a week in which a split was
    executed after Monday is of two bases and gets an era without a factor; before Tuesday, no session of that
    week was before it.
    """
    ratios: dict[date, Fraction] = {}
    for split in splits:
        ratios[split.day] = ratios.get(split.day, Fraction(1)) * split.ratio
    days = sorted(ratios)
    eras = []
    for count, (as_of_start, as_of_end) in enumerate(pairwise([*days, None]), start=1):
        seen = {day: ratios[day] for day in days[:count]}
        assert as_of_start is not None
        template = Era(None, as_of_start, None, as_of_start, as_of_end)
        eras += _daily_eras(seen, template)
        eras += _weekly_eras(seen, template)
    return eras


def _daily_eras(ratios: Mapping[date, Fraction], template: Era) -> list[Era]:
    days = list(ratios)
    return [
        replace(template, start=start, end=end, factor=_product(ratios[day] for day in days[number:]))
        for number, (start, end) in enumerate(zip([None, *days], days, strict=False))
    ]


def _weekly_eras(ratios: Mapping[date, Fraction], template: Era) -> list[Era]:
    """As the daily ones, with bounds on Sundays and the weeks of two bases between them."""
    weeks: dict[date, list[date]] = {}
    for day in ratios:
        weeks.setdefault(sunday_of(day), []).append(day)
    eras, start = list[Era](), None
    for sunday, days in weeks.items():
        later = _product(ratio for day, ratio in ratios.items() if day >= days[0])
        if start is None or start < sunday:
            eras.append(replace(template, start=start, end=sunday, factor=later, weekly=True))
        start = sunday
        if days[-1] > sunday + timedelta(days=1):
            start = sunday + timedelta(days=7)
            eras.append(replace(template, start=sunday, end=start, factor=None, weekly=True))
    return eras


@dataclass(frozen=True, slots=True)
class Factors:
    """What the dividends multiply the split-adjusted prices of a symbol by; both columns of shape (eras,).

    *day_start_ms*: local midnight of the first day of each era, the first of them ``EVER``.
    """

    day_start_ms: IntArray
    price_factor: FloatArray

    def at(self, t_ms: IntArray) -> FloatArray:
        """The factor at *t_ms*. Shape as given."""
        return self.price_factor[np.searchsorted(self.day_start_ms, t_ms, side="right") - 1]


def total_return(bars: Bars, factors: Factors) -> Bars:
    """*bars*, split-adjusted and shorter than 1w, for total returns; volume is what it was."""
    factor = factors.at(bars.t)
    return replace(
        bars,
        open=bars.open * factor,
        high=bars.high * factor,
        low=bars.low * factor,
        close=bars.close * factor,
        vwap=bars.vwap * factor,
    )


@dataclass(frozen=True, slots=True)
class Around:
    """Raw day bars around a split: the last close before it, the first open and close of it or after."""

    close_before: float
    open_after: float
    close_after: float

    def jump(self, expected: float) -> float:
        """Close before over open or close after, whichever is nearer to *expected*: opens may be bad."""
        seen = (self.close_before / self.open_after, self.close_before / self.close_after)
        return min(seen, key=lambda ratio: abs(log(ratio / expected)))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the bars show a split. *word*: ``fits``, ``suspect`` or ``unchecked``; *observed*: the jump."""

    word: str
    applied: bool
    observed: float | None = None
    reason: str | None = None


UNCHECKED = Verdict("unchecked", applied=True)
CONTRADICTS = "contradicts another split of that day"


def judge(splits: Sequence[Split], around: Around | None) -> list[Verdict]:
    """A verdict for each of the *splits* of one symbol and day, by the day bars *around* it.

    A split is suspect if the jump is not within a quarter of its ratio. It is applied all the same if the
    bars look more like it than like no split at all, and not applied otherwise. Without bars it is believed.

    Several on one day: the one that fits best is judged, or all together if they do; the others are not
    applied, and none without bars.
    """
    if len(splits) == 1:
        return [_judge(splits[0].ratio, around)]
    if around is None:
        return [Verdict("suspect", False, None, f"{CONTRADICTS}; no day bars tell which")] * len(splits)
    together = _product(split.ratio for split in splits)
    best = min([together, *(split.ratio for split in splits)], key=lambda ratio: _distance(ratio, around))
    if best == together:
        return [_judge(together, around)] * len(splits)
    chosen = next(split for split in splits if split.ratio == best)
    other = Verdict("suspect", False, around.jump(float(best)), f"{CONTRADICTS}, which fits better")
    return [_judge(best, around) if split is chosen else other for split in splits]


def _judge(ratio: Fraction, around: Around | None) -> Verdict:
    if around is None:
        return UNCHECKED
    observed, distance = around.jump(float(ratio)), _distance(ratio, around)
    if distance <= TOLERANCE:
        return Verdict("fits", True, observed)
    applied = distance < _distance(Fraction(1), around)
    seen = f"the bars show {observed:.4g} where {float(ratio):.4g} is due"
    return Verdict("suspect", applied, observed, seen if applied else f"{seen}, more like no split at all")


def _distance(ratio: Fraction, around: Around) -> float:
    return abs(log(around.jump(float(ratio)) / ratio))


def common_ratio(around: Around) -> Fraction | None:
    """The common ratio of splits that a jump looks like; None if like none.

    The close must be within 12 % of it and the open within 6 %: real falls of that size do not stop there.
    """
    by_open, by_close = around.close_before / around.open_after, around.close_before / around.close_after
    nearest, distance = None, inf
    for ratio in COMMON_RATIOS:
        off = abs(log(by_close / ratio))
        if off <= _CLOSES_WITHIN and abs(log(by_open / ratio)) <= _OPENS_WITHIN and off < distance:
            nearest, distance = ratio, off
    return nearest


def shown(ratio: Fraction) -> str:
    """A ratio as people write it: 7:1 is seven new shares for an old one."""
    return f"{ratio.numerator}:{ratio.denominator}"


def basis(splits: Sequence[Split]) -> str:
    """A text that two lists of applied splits share if they adjust alike."""
    in_order = sorted(splits, key=lambda split: (split.day, split.ratio))
    return ", ".join(f"{split.day} {shown(split.ratio)}" for split in in_order)


def _product(ratios: Iterable[Fraction]) -> Fraction:
    return prod(ratios, start=Fraction(1))
