"""The emulator run by hand: its options, its address, its control endpoints, its end."""

import gzip
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from lib.errors import UsageError
from lib.vendor.emulator.folder import FolderMarket

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "emulator.py"


@contextmanager
def running(*options: str):
    """The process, and its URL."""
    command = [sys.executable, str(SCRIPT), *options, "--until-stdin-closes"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/"
    ) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def ask(url: str, body: object = None, key: str = "emulator-key") -> tuple[int, object]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def test_it_serves_counts_and_can_be_changed_while_it_runs():
    faults = '[{"kind": "not_found", "path": "KO"}]'
    day = "/range/1/day/2025-01-06/2025-01-10?adjusted=false"
    with running(
        "--key", "k", "--rate-limit", "3", "--now", "2025-01-08T23:00:00Z", "--fixed", "--faults", faults
    ) as (_, url):
        assert ask(f"{url}/v2/aggs/ticker/AAPL{day}")[0] == 401
        status, page = ask(f"{url}/v2/aggs/ticker/AAPL{day}", key="k")
        assert (status, page["resultsCount"]) == (200, 3)
        assert ask(f"{url}/v2/aggs/ticker/KO{day}", key="k")[0] == 404

        assert ask(f"{url}/emulator/settings", {"now": "2025-01-10T23:00:00Z", "faults": []})[0] == 200
        assert ask(f"{url}/v2/aggs/ticker/KO{day}", key="k")[1]["resultsCount"] == 4  # the 9th was closed
        assert ask(f"{url}/v2/aggs/ticker/KO{day}", key="k")[0] == 429
        assert ask(f"{url}/emulator/settings", {"colour": "red"})[0] == 400
        assert ask(f"{url}/emulator/settings", {"now": "soon"})[0] == 400
        assert ask(f"{url}/emulator/nothing")[0] == 404

        counts = ask(f"{url}/emulator/counts")[1]
        assert (counts["total"], counts["aggs"], counts["rate_limited"], counts["pages"]) == (5, 5, 1, 2)
        assert counts["by_status"] == {"401": 1, "200": 2, "404": 1, "429": 1}
        assert [entry["status"] for entry in counts["log"]] == [401, 200, 404, 200, 429]
        assert ask(f"{url}/emulator/reset", {})[0] == 200
        assert ask(f"{url}/emulator/counts")[1]["total"] == 0


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, None])
def test_it_ends_on_a_signal_and_with_the_one_who_started_it(ending):
    with running() as (process, url):
        assert url.startswith("http://127.0.0.1:")
        if ending is None:
            process.stdin.close()
        else:
            process.send_signal(ending)

        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize(
    "options",
    [
        ["--faults", "[{]"],
        ["--settings", '{"page_cap": 0}'],
        ["--now", "tomorrow"],
        ["--fixed"],
        ["--data", "/", "--simulated"],
        ["--data", "/nowhere"],
    ],
)
def test_wrong_options_are_usage_errors(options):
    result = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, timeout=30)

    assert result.returncode == 2
    assert result.stdout == "" and "error: " in result.stderr and "Traceback" not in result.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    text = (
        "timestamp,open,high,low,close,volume,vwap,transactions\n"
        "2024-01-02T15:00:00Z,10,10.5,9.75,10.1,100.25,,\n"
    )
    for home, name in (
        ("stocks/AAPL", "1m"),
        ("etfs/SPY", "1m"),
        ("crypto/BTC-USD", "1m"),
        ("index/SPX", "1m"),
    ):
        (tmp_path / home).mkdir(parents=True)
        (tmp_path / home / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    actions = {
        "splits": [{"symbol": "AAPL", "ex_date": "2014-06-09", "split_from": 1, "split_to": 7, "ratio": 7.0}]
    }
    (tmp_path / "corporate_actions").mkdir()
    (tmp_path / "corporate_actions" / "AAPL.json").write_text(json.dumps(actions))
    return tmp_path


def test_it_serves_a_folder(folder):
    with running("--data", str(folder), "--page-cap", "10", "--latency", "0.01") as (_, url):
        _, page = ask(f"{url}/v2/aggs/ticker/X:BTCUSD/range/1/minute/2024-01-02/2024-01-02?adjusted=false")

    assert page["results"] == [{"v": 100.25, "o": 10, "c": 10.1, "h": 10.5, "l": 9.75, "t": 1704207600000}]


def test_a_folder_names_its_tickers_as_the_vendor_does(folder):
    market = FolderMarket(folder)

    assert [(row.ticker, row.market, row.kind) for row in market.listings()] == [
        ("AAPL", "stocks", "CS"),
        ("I:SPX", "indices", ""),
        ("SPY", "stocks", "ETF"),
        ("X:BTCUSD", "crypto", ""),
    ]
    assert [split.split_to for split in market.splits("AAPL")] == [7]
    assert market.splits("SPY") == [] and market.dividends("AAPL") == []
    assert len(market.days("AAPL", 0, 2**50, 10)) == 0 and len(market.minutes("NOPE", 0, 2**50, 10)) == 0
    assert market.listing("NOPE") is None


def test_a_folder_without_bars_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no market data"):
        FolderMarket(tmp_path)
