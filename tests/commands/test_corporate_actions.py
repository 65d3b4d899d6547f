"""``scripts/backfill_corporate_actions.py`` as a real process."""

import json

from typer.testing import CliRunner

from lib.commands.actions import app

SCRIPT = "scripts/backfill_corporate_actions.py"


async def test_a_run_stores_events_says_what_follows_and_is_recorded(command, vendor, fetch, tmp_path):
    arguments = (SCRIPT, "--symbols", "AAPL,KO", "--log-file", tmp_path / "log")

    done = await command(*arguments, POLYGON_BASE_URL=vendor.url)

    assert done.status == 0, done.stderr
    assert done.stdout == ""
    assert "splits     4 new" in done.stderr
    assert (
        "AAPL is now adjusted by 2005-02-28 2:1, 2014-06-09 7:1, 2020-08-31 4:1; its features" in done.stderr
    )
    assert "python backfill_features.py" in done.stderr
    [run] = await fetch("SELECT * FROM backfill_runs")
    assert (run["script"], run["status"]) == ("backfill_corporate_actions", "complete")
    audit = json.loads(run["audit"])
    assert audit["corporate_actions"]["features_stale"] == ["AAPL", "KO"]
    assert json.loads(run["summary"]) == audit["summary"]
    assert audit["summary"]["new_splits"] == 4

    again = await command(*arguments, "--json", "--quiet", POLYGON_BASE_URL=vendor.url)

    assert again.status == 0 and again.stderr == ""
    assert again.result["summary"]["requests"] == 2
    assert again.result["corporate_actions"]["splits"]["new"] == 0
    assert again.result["corporate_actions"]["features_stale"] == []


async def test_a_symbol_that_is_not_tracked_is_named_and_the_others_go_on(command, vendor, fetch):
    done = await command(SCRIPT, "--symbols", "KO,NOBODY", "--quiet", POLYGON_BASE_URL=vendor.url)

    assert done.status == 3
    assert "NOBODY: not tracked" in done.stderr
    assert len(await fetch("SELECT FROM splits")) == 1


async def test_a_vendor_that_cannot_be_reached_is_a_failure_that_is_recorded(command, fetch):
    done = await command(
        SCRIPT, "--symbols", "KO", "--max-attempts", "1", "--json", POLYGON_BASE_URL="http://127.0.0.1:1"
    )

    assert done.status == 1
    assert "splits: the connection to the vendor failed" in done.stderr
    assert done.result["corporate_actions"]["splits"]["status"] == "failed"
    [run] = await fetch("SELECT status FROM backfill_runs")
    assert run["status"] == "failed"


async def test_a_refused_key_and_a_spent_budget_have_their_statuses(command, vendor):
    async def run(*options, **settings):
        return (
            await command(SCRIPT, "--symbols", "KO", *options, **{"POLYGON_BASE_URL": vendor.url} | settings)
        ).status

    assert await run(POLYGON_API_KEY="another") == 12
    assert await run("--max-requests", "1") == 3


def test_without_a_key_nothing_is_done():
    assert CliRunner().invoke(app, ["--symbols", "KO"]).exit_code == 2


async def test_the_demo_needs_neither_key_nor_network(command, tmp_path):
    done = await command(SCRIPT, "--demo", "--symbols", "KO", DATABASE_URL=None, POLYGON_API_KEY=None)

    assert done.status == 0, done.stderr
    assert (tmp_path / "demo").is_dir()
