"""Bars as columns: the form in which they travel from the vendor's answer to the COPY stream."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NO_TRADES = -1  # the count of trades is unknown


@dataclass(frozen=True, slots=True)
class Bars:
    """*n* bars of one series, oldest first; every column has shape (n,).

    *t*: start of the window, int64 ms since 1970-01-01 UTC. Prices in the quote currency, *volume* in shares
    or coins (may be fractional). *vwap*: NaN where the source gives none. *trades*: ``NO_TRADES`` likewise.
    """

    t: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    vwap: FloatArray
    trades: IntArray

    def __len__(self) -> int:
        return len(self.t)

    def take(self, which: slice | npt.NDArray[np.bool_] | IntArray) -> "Bars":
        """The bars chosen by a slice, a mask or indices."""
        return Bars(*(getattr(self, f.name)[which] for f in fields(self)))

    def between(self, start_ms: int, end_ms: int) -> "Bars":
        """The bars that start in [start_ms, end_ms)."""
        first, last = np.searchsorted(self.t, (start_ms, end_ms))
        return self.take(slice(int(first), int(last)))

    @staticmethod
    def empty() -> "Bars":
        """No bars."""
        none = np.empty(0, np.float64)
        return Bars(np.empty(0, np.int64), none, none, none, none, none, none, np.empty(0, np.int64))

    @staticmethod
    def concat(parts: Sequence["Bars"]) -> "Bars":
        """*parts* one after the other, in the order given."""
        if not parts:
            return Bars.empty()
        return Bars(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Bars)))


@dataclass(frozen=True, slots=True)
class RefusedBar:
    """A bar that cannot be true and was not stored: its stamp (ms), and why."""

    t: int
    reason: str
