"""A week of runs under a moved clock, with a real receiver of webhooks and a real mail server."""

from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from lib.alerts import Mail, Rules
from lib.jobs.alerts import watch
from lib.notify import channels
from lib.settings import Secret, Settings
from lib.store.database import open_url
from lib.vendor.emulator.faults import Fault, FaultKind
from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator
from tests.notify.receivers import MailReceiver, WebhookReceiver

SYMBOLS, TIMEFRAMES = "AAPL,BTC", "1d,1w"
DOWN = (Fault(kind=FaultKind.ERROR_JSON, status=503),)
APPLE_DOWN = (Fault(kind=FaultKind.ERROR_JSON, status=503, path="AAPL"),)


class Week:
    """Runs, judges and tells as a nightly cron line with --alert does; ``next_day`` moves the clock."""

    def __init__(self, workbench, clock, channels_of):
        self.bench, self.clock, self._channels_of = workbench, clock, channels_of

    async def night(self, faults=()):
        """The conditions that hold after the run of a night on which the vendor has *faults*."""
        self.bench.emulator.change(faults=list(faults))
        report = await self.bench.run(
            SYMBOLS, TIMEFRAMES, days=10, gap_retries=1, max_attempts=1, script="master_backfill"
        )
        return report, await self.look()

    async def look(self):
        async with open_url(self.bench.database_url, clock=self.clock) as database:
            return await watch(database, *self._channels_of(), self.clock)

    def next_day(self, days=1):
        self.clock.moment += timedelta(days=days)


@pytest.fixture
async def receivers():
    async with WebhookReceiver.open() as webhook:
        with MailReceiver.open() as mail:
            yield webhook, mail


@pytest.fixture
def week(workbench_of, jump_clock, receivers):
    webhook, mail = receivers

    @asynccontextmanager
    async def begin(at="2025-03-11T06:00"):
        clock = jump_clock(at)

        def told():
            rules = Rules(mail=Mail("127.0.0.1", mail.port, "none", to=("ann@example.com",)))
            settings = Settings(workbench.settings.home, alert_webhook=Secret(webhook.url))
            return rules, channels(settings, rules)

        async with Emulator(SimulatedMarket(), clock=clock) as emulator:
            workbench = workbench_of(emulator, clock)
            await workbench.fetch(
                "UPDATE tracked_symbols SET active = symbol IN ('AAPL', 'BTC'), timeframes = '{1d,1w}'"
            )
            yield Week(workbench, clock, told)

    return begin


def summary(watched):
    return sorted((c.rule.value, c.subject, c.severity.value) for c in watched.conditions)


async def test_a_week_is_told_condition_by_condition_once(week, receivers):
    webhook, mail = receivers
    told = []
    async with week() as nights:
        # Tuesday: success.
        report, seen = await nights.night()
        assert (report.status, summary(seen)) == ("complete", [])

        # Wednesday: a part of it.
        nights.next_day()
        report, seen = await nights.night(APPLE_DOWN)
        assert (report.status, summary(seen)) == ("partial", [])  # one session: not more than a day
        assert webhook.posted == []

        # Thursday to Saturday: nothing could be had; on the third day in a row somebody is woken.
        expected = [("gap", "AAPL", "warning")]
        for new in (
            [],
            [("freshness", "BTC", "warning"), ("gap", "BTC", "warning")],
            [("backfill", "master_backfill", "critical"), ("freshness", "AAPL", "warning")],
        ):
            nights.next_day()
            report, seen = await nights.night(DOWN)
            expected = sorted(expected + new)
            assert (report.status, summary(seen)) == ("failed", expected)
            told.append(len(webhook.posted))
        assert told == [1, 2, 3]

        # The same night once more, and the same state looked at again: told before.
        await nights.night(DOWN)
        await nights.look()
        assert len(webhook.posted) == 3

        # Sunday: all of it.
        nights.next_day()
        report, seen = await nights.night()
        assert (report.status, summary(seen)) == ("complete", [])
        nights.next_day()
        await nights.night()

    subjects = [text.splitlines()[0].strip("*") for text in webhook.texts]
    assert subjects == [
        "market-backfill: 1 warning",
        "market-backfill: 2 warning",
        "market-backfill: 1 critical, 1 warning",
        "market-backfill: 5 recovered",
    ]
    assert "the backfill failed on 3 days in a row" in webhook.texts[2]
    assert webhook.texts[3].count("recovered: ") == 5
    assert [m["Subject"] for m in mail.mails] == subjects
    told = [line for text in webhook.texts for line in text.splitlines()[1:]]
    assert [line for m in mail.mails for line in m.get_content().splitlines()] == told


async def test_a_channel_that_is_down_is_told_by_the_next_run(week, receivers):
    webhook, mail = receivers
    async with week() as nights:
        await nights.night()
        nights.next_day(4)
        webhook.statuses = [503] * 3
        report, seen = await nights.night(DOWN)

        [by_webhook, by_mail] = seen.deliveries
        assert (report.status, by_mail.error) == ("failed", None)
        assert "answered 503" in str(by_webhook.error)
        assert len(webhook.posted) == 3, "three tries, and no more in one run"
        assert nights.clock.slept[-2:] == pytest.approx([1.0, 2.0], rel=0.3)

        await nights.look()
        assert "gap of" in webhook.texts[-1] and len(webhook.posted) == 4
        assert len(mail.mails) == 1

        # Down again while it ends: told that it came and went, not forgotten.
        nights.next_day()
        webhook.statuses = [404]
        _, seen = await nights.night()
        assert "answered 404" in str(seen.deliveries[0].error)
        assert len(webhook.posted) == 5, "what is refused is not tried again at once"
        await nights.look()

    assert "recovered: AAPL" in webhook.texts[-1]
    assert [m["Subject"] for m in mail.mails][1:] == ["market-backfill: 4 recovered"]


async def test_what_got_worse_is_told_again_and_a_new_channel_hears_what_holds(week, receivers):
    webhook, _ = receivers
    async with week() as nights:
        await nights.night()
        nights.next_day(3)
        webhook.statuses = [404]
        await nights.night(DOWN)
        nights.next_day(9)
        await nights.night(DOWN)
        first = webhook.texts[-1]
        assert first.startswith("*market-backfill: 3 critical, 1 warning*")
        assert "worse" not in first, "it was never told"

        await nights.bench.fetch("UPDATE alert_deliveries SET told_severity = 'warning'")
        await nights.look()

    assert webhook.texts[-1].count("worse: critical: ") == 3
