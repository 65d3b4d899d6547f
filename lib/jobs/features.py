"""The features of many symbols: which series have anything new, one after the other, and what came of it."""

import asyncio
import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from lib.adjustment import Factors
from lib.audit.features import (
    FeatureAudit,
    FeatureFacts,
    FeatureOutcome,
    FeatureStatus,
    SymbolFeatures,
    build_feature_audit,
    feature_timing,
)
from lib.clock import Clock
from lib.concurrency import run_bounded
from lib.coverage import Range
from lib.errors import BackfillError, DatabaseError, HorizonExceeded, UsageError
from lib.indicators import FEATURE_SET_VERSION
from lib.jobs.feature_pages import Basis, Phases, SeriesWork
from lib.jobs.run import Request
from lib.outcome import COMPLETE_STATUS, FAILED_STATUS, PARTIAL_STATUS, Busy, RunStatus
from lib.sessions import bars_per_year
from lib.settings import Settings
from lib.store.bars import Series
from lib.store.features import EVER, FeatureState
from lib.symbols import Instrument
from lib.timeframe import Timeframe
from lib.wiring import FeatureTools
from lib.zones import NEW_YORK, floor_to_window, midnight_ms

SCRIPT = "backfill_features"
SAMPLE_SERIES = 10  # so many are recomputed by --verify


class Mode(StrEnum):
    """What a run does with the rows there are."""

    INCREMENTAL = "incremental"
    FULL = "full"
    VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class FeatureRequest:
    """What the user asked for. *timeframes* None: each symbol's own. *dates* None: from the first bar to the last."""

    timeframes: tuple[Timeframe, ...] | None
    dates: Request | None
    mode: Mode = Mode.INCREMENTAL
    max_concurrent: int = 5

    def span(self, instrument: Instrument, timeframe: Timeframe, now: datetime) -> Range:
        """The stamps whose rows may be written: of the windows that reach into the dates."""
        if self.dates is None:
            return EVER
        dates = self.dates.dates(now, instrument.zone)
        ...
