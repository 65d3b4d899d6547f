"""What cannot be meant is refused with status 2 and a message, before anything is opened or written."""

import asyncio
import json

NOBODY = "postgresql://nobody@127.0.0.1:1/none"
MISTAKES = {
    "an unknown option": (("--no-such-option",), {}, "No such option"),
    "a symbol that is none": (("--symbols", "AAPL,../etc"), {}, "'../etc' is not a symbol"),
    "a timeframe that is none": (("--timeframes", "1h,2h"), {}, "'2h' is not a timeframe"),
    "a date that is none": (("--start", "2025-02-30"), {}, "--start '2025-02-30' is not a date"),
    "a pacing that is none": (("--pacing", "fast"), {}, "--pacing 'fast' is unknown"),
    "no key": ((), {"POLYGON_API_KEY": None}, "no API key is set"),
    "a key of two lines": ((), {"POLYGON_API_KEY": "a b"}, "characters no key has"),
    "a database that is not PostgreSQL": ((), {"DATABASE_URL": "mysql://x/y"}, "not a PostgreSQL URL"),
    "an audit into nowhere": (("--output", "nowhere/audit.json"), {}, "there is no folder nowhere"),
    "a symbol that would be SQL": (("--symbols", "A'; DROP TABLE splits; --"), {}, "is not a symbol"),
    "an audit over a link": (("--output", "link.json"), {}, "symbolic link"),
    "a page over a link": (("--output-html", "link.json"), {}, "symbolic link"),
    "a log into nowhere": (("--log-file", "nowhere/log"), {}, "the log file nowhere/log cannot be written"),
}


AT_ONCE = 4  # processes


async def test_2_for_each_mistake_with_its_message_and_no_audit(command, tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "elsewhere.json")
    turn = asyncio.Semaphore(AT_ONCE)

    async def make(options, settings):
        async with turn:
            output = () if "--output" in options else ("--output", "audit.json")
            return await command(
                "master_backfill.py", *options, *output, **{"DATABASE_URL": NOBODY} | settings
            )

    finished = await asyncio.gather(*(make(options, settings) for options, settings, _ in MISTAKES.values()))

    for (name, (_, _, message)), ended in zip(MISTAKES.items(), finished, strict=True):
        assert ended.status == 2, f"{name}: {ended.stderr}"
        assert message in " ".join(ended.stderr.split()), f"{name}: {ended.stderr}"
        assert "Traceback" not in ended.stderr
        assert ended.stdout == "", name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.json"]


async def test_with_json_a_mistake_is_a_document_too(command):
    finished = await command("scripts/backfill_ohlcv.py", "--json", "--symbols", "A B", DATABASE_URL=NOBODY)

    assert finished.status == 2
    assert json.loads(finished.stdout) == {
        "status": "failed",
        "error": "'A B' is not a symbol",
        "hint": "symbols look like AAPL, BRK.B, BTC or X:LTCUSD",
        "exit_status": 2,
    }


async def test_what_is_typed_is_no_part_of_a_statement(master, command, fetch):
    assert (await master("AAPL", "--max-requests", "0")).status == 3
    history = ("scripts/backfill_status.py", "history", "--json", "--script")
    for typed in ("x' OR '' = '", "x'; DROP TABLE backfill_runs; --", "master_backfill' --"):
        assert (await command(*history, typed)).result["runs"] == []

    assert len((await command(*history, "master_backfill")).result["runs"]) == 1
