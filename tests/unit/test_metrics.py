"""The figures in Prometheus' text format, read back by the official client's own parser."""

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lib.metrics import ScriptFigures, SeriesFigures, metrics_text
from lib.timeframe import Timeframe

NOW = datetime(2025, 3, 10, 3, tzinfo=UTC)
MASTER = ScriptFigures(
    "master_backfill", "partial", NOW - timedelta(minutes=5), NOW, NOW - timedelta(days=1), 3, 970, 40, 2
)
KILLED = ScriptFigures(
    "backfill_features", "interrupted", NOW - timedelta(minutes=1), NOW, None, None, 0, 0, 0
)
APPLE = SeriesFigures("AAPL", Timeframe.M1, 970, NOW - timedelta(hours=2), 1, 3, timedelta(hours=1), "aging")
BITCOIN = SeriesFigures("BTC", Timeframe.D1, 0, None, 0, 0, None, "missing")


def parsed(text):
    """By name and labels."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_figure_is_there_under_its_name():
    figures = parsed(metrics_text([MASTER, KILLED], [APPLE, BITCOIN], NOW))

    of_master = {
        name.removeprefix("market_backfill_"): value
        for (name, *labels), value in figures.items()
        if labels == ["master_backfill"]
    }
    assert of_master == {
        "last_success_timestamp_seconds": (NOW - timedelta(days=1)).timestamp(),
        "last_run_timestamp_seconds": NOW.timestamp(),
        "last_run_success": 0,
        "last_run_exit_status": 3,
        "last_run_duration_seconds": 300,
        "last_run_bars": 970,
        "last_run_requests": 40,
        "last_run_rate_limited_requests": 2,
    }
    assert figures["market_backfill_series_bars", "1m", "AAPL"] == 970
    assert (
        figures["market_backfill_series_newest_bar_timestamp_seconds", "1m", "AAPL"] == NOW.timestamp() - 7200
    )
    assert figures["market_backfill_series_age_seconds", "1m", "AAPL"] == 3600
    assert figures["market_backfill_series_gaps", "1m", "AAPL"] == 1
    assert figures["market_backfill_series_gap_sessions", "1m", "AAPL"] == 3
    assert figures["market_backfill_series_freshness", "1m", "AAPL", "aging"] == 1
    assert figures["market_backfill_updated_timestamp_seconds",] == NOW.timestamp()


def test_what_is_not_known_is_not_there():
    figures = parsed(metrics_text([KILLED], [BITCOIN], NOW))

    assert ("market_backfill_last_success_timestamp_seconds", "backfill_features") not in figures
    assert ("market_backfill_last_run_exit_status", "backfill_features") not in figures
    assert ("market_backfill_series_newest_bar_timestamp_seconds", "1d", "BTC") not in figures
    assert ("market_backfill_series_age_seconds", "1d", "BTC") not in figures
    assert figures["market_backfill_series_bars", "1d", "BTC"] == 0


@pytest.mark.parametrize("family", list(text_string_to_metric_families(metrics_text([MASTER], [APPLE], NOW))))
def test_names_are_as_prometheus_wants_them(family):
    assert family.name.startswith("market_backfill_")
    assert family.documentation.endswith(".") and family.type == "gauge"
    assert not family.name.endswith(("_total", "_count", "_sum", "_bucket", "_ms", "_minutes"))
