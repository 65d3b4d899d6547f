"""``--alert`` and its ways: what is told, what a failed delivery costs, what may not show."""

import pytest

from lib.vendor.emulator.faults import Fault, FaultKind
from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator
from tests.notify.receivers import PATH, WebhookReceiver

MASTER = (
    "master_backfill.py",
    "--symbols",
    "AAPL",
    "--timeframes",
    "1d",
    "--days",
    "20",
    "--gap-retries",
    "0",
)
DOWN = [Fault(kind=FaultKind.ERROR_JSON, status=503)]
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture
async def vendor(database):
    async with database.connection() as connection:
        await connection.execute("UPDATE tracked_symbols SET active = symbol = 'AAPL', timeframes = '{1d}'")
    async with Emulator(SimulatedMarket()) as emulator:
        yield emulator


@pytest.fixture
async def receiver():
    async with WebhookReceiver.open() as receiver:
        yield receiver


async def test_a_run_tells_what_is_new_and_keeps_its_own_status(command, vendor, receiver, tmp_path):
    vendor.change(faults=DOWN)
    settings = {"POLYGON_BASE_URL": vendor.url, "ALERT_WEBHOOK_URL": receiver.url}
    typed = [
        *MASTER,
        "--max-attempts",
        "1",
        "--alert",
        "--output",
        tmp_path / "audit.json",
        "--log-file",
        "log",
    ]

    first = await command(*typed, **settings)
    second = await command(*typed, **settings)

    assert (first.status, second.status) == (1, 1)
    [text] = receiver.texts
    assert "critical: AAPL: a gap of" in text
    assert "critical: AAPL: a gap of" in second.stderr, "what holds is said in every run"
    shown = first.stderr + (tmp_path / "log").read_text() + (tmp_path / "audit.json").read_text()
    assert PATH not in shown


async def test_a_delivery_that_fails_is_said_and_does_not_fail_the_run(command, vendor, receiver, tmp_path):
    receiver.statuses = [404]
    settings = {"POLYGON_BASE_URL": vendor.url, "ALERT_WEBHOOK_URL": receiver.url}
    (tmp_path / "alerts.toml").write_text("[gap]\nwarning_days = 0\n[rate_limit]\npercent = 0")
    vendor.change(faults=[Fault(kind=FaultKind.RATE_LIMITED, first=1)])

    ended = await command(
        *MASTER, "--alert", "--quiet", "--output", "audit.json", ALERT_RULES="alerts.toml", **settings
    )

    assert ended.status == 0
    assert "not delivered: the webhook answered 404" in ended.stderr


async def test_rules_that_cannot_be_are_said_before_anything_is_done(command, vendor, tmp_path):
    (tmp_path / "alerts.toml").write_text("[gap]\nwarning_days = -1")

    ended = await command(*MASTER, "--alert", ALERT_RULES="alerts.toml", POLYGON_BASE_URL=vendor.url)

    assert ended.status == 2
    assert "gap.warning_days" in ended.stderr
    assert vendor.counts.total == 0


async def test_a_database_that_cannot_be_reached_is_told_once_and_its_return_too(command, vendor, receiver):
    settings = {"POLYGON_BASE_URL": vendor.url, "ALERT_WEBHOOK_URL": receiver.url}
    typed = [*MASTER, "--alert", "--output", "audit.json"]

    for _ in range(2):
        ended = await command(*typed, DATABASE_URL=NOWHERE, **settings)
        assert ended.status == 10
    assert [text.splitlines()[0] for text in receiver.texts] == ["*market-backfill: 1 critical*"]
    assert "no connection to the database" in receiver.texts[0]

    for _ in range(2):
        assert (await command(*typed, **settings)).status == 0
    assert len(receiver.texts) == 2
    assert "can be reached again" in receiver.texts[1]


async def test_alert_ends_with_what_holds_as_a_monitor_reads_it(command, vendor, receiver):
    settings = {"POLYGON_BASE_URL": vendor.url, "ALERT_WEBHOOK_URL": receiver.url}
    alert = ("scripts/backfill_status.py", "alert")
    fresh = await command(*alert, "--json")
    assert (fresh.status, fresh.result["conditions"][0]["text"]) == (1, "AAPL: no bars of 1d")

    vendor.change(faults=DOWN)
    await command(*MASTER, "--max-attempts", "1", "--output", "audit.json", **settings)
    ended = await command(*alert, "--json", **settings)

    assert ended.status == 2
    assert [(c["rule"], c["subject"], c["severity"]) for c in ended.result["conditions"]] == [
        ("gap", "AAPL", "critical"),
        ("freshness", "AAPL", "warning"),
    ]
    assert ended.result["deliveries"] == [{"channel": "webhook", "alerts": 2, "error": None}]
    assert (await command(*alert, DATABASE_URL=NOWHERE)).status == 2


async def test_a_test_message_says_whether_it_arrives(command, receiver):
    test = ("scripts/backfill_status.py", "alert", "--test")
    assert (await command(*test)).status == 3
    assert (await command(*test, ALERT_WEBHOOK_URL=receiver.url)).status == 0
    assert receiver.texts[0].startswith("*market-backfill: test*")
    receiver.statuses = [404]
    assert (await command(*test, ALERT_WEBHOOK_URL=receiver.url)).status == 1
