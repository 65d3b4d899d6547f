"""What health, history and freshness say on each day of a week in which the vendor fails."""

from datetime import timedelta

from lib.freshness import Freshness
from lib.health import Level
from tests.end_to_end.week import WEEK


async def test_each_day_of_the_week_is_told_as_it_was(week):
    said = {}
    for day in WEEK:
        report = await week.play(day)
        health = await week.health()
        (newest, *_) = await week.records.runs()
        said[day.name] = (
            report.exit_status,
            newest["status"],
            health.level,
            {reason.condition for reason in health.reasons},
            await week.freshness(),
        )

    fresh, stale, older = Freshness.FRESH, Freshness.STALE, Freshness.OLDER
    bad = {"failed:master_backfill", "age", "gap", "silent"}
    late = {"AAPL": stale, "BTC": older}  # a session of 6.5 hours lacks of the stock, two days of the coin
    assert said == {
        "success": (0, "complete", Level.OK, set(), {"AAPL": fresh, "BTC": fresh}),
        "partial": (
            *(3, "partial", Level.WARNING, {"partial:master_backfill"}),
            {"AAPL": fresh, "BTC": stale},
        ),
        "failure 1": (1, "failed", Level.WARNING, bad, late),
        "failure 2": (1, "failed", Level.WARNING, bad, late),
        "failure 3": (1, "failed", Level.CRITICAL, bad, late),
        "recovery": (0, "complete", Level.OK, set(), {"AAPL": fresh, "BTC": fresh}),
    }


async def test_the_history_keeps_the_failures_and_each_series_its_reason(week):
    for day in WEEK[:-1]:
        await week.play(day)
    [statistics] = await week.records.run_statistics()
    assert (statistics["failures_in_a_row"], statistics["failed_days"]) == (3, 3)
    assert {(one.failures > 2, "500" in (one.error or "")) for one in await week.series()} == {(True, True)}
    failures = await week.bench.fetch("SELECT script, symbol, error FROM run_failures ORDER BY started_at")
    assert {row["symbol"] for row in failures[:8]} == {"BTC"}, "the partial run's"

    told = week.bench.audit["freshness"]["BTC"]["1d"]
    assert (told["freshness"], told["last"]) == ("older", "2025-11-10T00:00:00Z")
    assert "500" in told["error"]

    await week.play(WEEK[-1])
    assert week.bench.audit["freshness"]["BTC"]["1d"] == {
        "freshness": "fresh",
        "age_hours": 0.0,
        "last": "2025-11-15T00:00:00Z",
        "error": None,
    }
    [statistics] = await week.records.run_statistics()
    assert (statistics["failures_in_a_row"], statistics["complete"], statistics["runs"]) == (0, 2, 6)
    assert {(one.failures, one.error) for one in await week.series()} == {(0, None)}


async def test_over_the_weekend_a_stock_stays_fresh_and_a_coin_does_not(week):
    await week.play(WEEK[-1])  # Sunday, 02:00 UTC
    week.clock.moment += timedelta(hours=12)
    assert await week.freshness() == {"AAPL": Freshness.FRESH, "BTC": Freshness.STALE}
    week.clock.moment += timedelta(hours=24)  # Monday, 09:00 in New York
    assert await week.freshness() == {"AAPL": Freshness.FRESH, "BTC": Freshness.OLDER}
