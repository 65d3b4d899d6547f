"""``--metrics-file``: written whole, by every script, and only if it can be."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator


def read(text):
    return {
        (sample.name.removeprefix("market_backfill_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
async def vendor(database):
    async with database.connection() as connection:
        await connection.execute("UPDATE tracked_symbols SET active = symbol = 'AAPL', timeframes = '{1d}'")
    async with Emulator(SimulatedMarket()) as emulator:
        yield emulator


SCRIPTS = [
    ("master_backfill.py", ["--days", "10", "--output", "audit.json"], "master_backfill"),
    ("scripts/backfill_ohlcv.py", ["--days", "10"], "backfill_ohlcv"),
    ("scripts/backfill_gaps.py", ["fill", "--days", "10"], "backfill_gaps fill"),
    ("backfill_features.py", ["--output", "features.json"], "backfill_features"),
    ("scripts/backfill_corporate_actions.py", [], "backfill_corporate_actions"),
]


async def test_every_script_leaves_the_figures_of_the_whole_database(command, vendor, tmp_path):
    path = tmp_path / "bars.prom"
    for number, (script, options, name) in enumerate(SCRIPTS, 1):
        ended = await command(
            script, *options, "--quiet", "--metrics-file", path, POLYGON_BASE_URL=vendor.url
        )
        assert ended.status == 0, ended.stderr
        figures = read(path.read_text())
        assert figures["last_run_success", name] == 1
        assert len([key for key in figures if key[0] == "last_run_success"]) == number
    assert figures["last_run_requests", "master_backfill"] >= 1
    assert figures["series_bars", "AAPL", "1d"] >= 6
    assert figures["series_freshness", "fresh", "AAPL", "1d"] == 1  # labels by name
    assert list(tmp_path.glob(".*tmp")) == []

    shown = await command("scripts/backfill_status.py", "metrics")
    assert read(shown.stdout).keys() == figures.keys()


async def test_a_place_that_cannot_be_is_said_before_the_run(command, vendor, tmp_path):
    (tmp_path / "link.prom").symlink_to(tmp_path / "elsewhere")
    for place in ("link.prom", "nowhere/bars.prom"):
        ended = await command(
            "scripts/backfill_ohlcv.py", "--metrics-file", place, POLYGON_BASE_URL=vendor.url
        )
        assert ended.status == 2
        assert "--metrics-file" in ended.stderr
    assert vendor.counts.total == 0


async def test_a_run_that_failed_leaves_figures_too(command, vendor, tmp_path):
    ended = await command(
        "scripts/backfill_ohlcv.py",
        "--metrics-file",
        "bars.prom",
        POLYGON_BASE_URL=vendor.url,
        POLYGON_API_KEY="no",
    )

    assert ended.status == 12
    figures = read((tmp_path / "bars.prom").read_text())
    assert figures["last_run_exit_status", "backfill_ohlcv"] == 12
    assert figures["last_run_success", "backfill_ohlcv"] == 0
