"""``scripts/emulator.py``: the vendor's protocol served on the loopback interface."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lib.commands.running import Output
from lib.errors import BackfillError, UsageError

if TYPE_CHECKING:
    from lib.clock import Clock
    from lib.vendor.emulator.market import Market
    from lib.vendor.emulator.server import Emulator

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def emulator(
    data: Annotated[Path | None, typer.Option(help="Serve the bars of this folder of CSV files.")] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Serve a made-up market (the default).")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="Of the made-up market.")] = 7,
    tickers: Annotated[
        int, typer.Option(min=1, max=100_000, help="How many tickers the made-up market lists.")
    ] = 200,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any free port.")] = 0,
    key: Annotated[
        str | None, typer.Option(help="The key it accepts; empty: any. Default: emulator-key.")
    ] = None,
    rate_limit: Annotated[
        int | None, typer.Option(min=0, max=10**6, help="Requests per minute; 0: no limit.")
    ] = None,
    latency: Annotated[
        float | None, typer.Option(min=0, max=3600, help="Seconds before each answer.")
    ] = None,
    page_cap: Annotated[int | None, typer.Option(min=1, max=50_000, help="The largest limit served.")] = None,
    settings: Annotated[str, typer.Option(help="Any settings as JSON.")] = "{}",
    faults: Annotated[
        str, typer.Option(help='Faults as JSON, e.g. [{"kind": "rate_limited", "every": 5}].')
    ] = "",
    now: Annotated[
        str | None, typer.Option(help="Start the clock at this instant, e.g. 2025-01-08T20:00:00Z.")
    ] = None,
    fixed: Annotated[bool, typer.Option("--fixed", help="With --now: the clock stands still.")] = False,
    until_stdin_closes: Annotated[bool, typer.Option(help="End when standard input is closed.")] = False,
) -> None:
    """Serve the vendor's protocol on the loopback interface until interrupted.

    Prints its address on one line. GET /emulator/counts shows what it was asked; POST /emulator/settings
    changes it while it runs.

    Example: python scripts/emulator.py --simulated --rate-limit 150

    Exit status: 0 ended by a signal, 2 usage.
    """
    options = {"key": key, "rate_limit": rate_limit, "latency_seconds": latency, "page_cap": page_cap}
    try:
        if simulated and data:
            raise UsageError("--data and --simulated exclude each other")
        market = _market(data, seed, tickers)
        changes = _changes(
            settings, faults, {name: value for name, value in options.items() if value is not None}
        )
        made = _emulator(market, changes, _clock(now, fixed), port)
    except BackfillError as refused:
        Output().error(refused)
        raise typer.Exit(refused.exit_status) from refused
    asyncio.run(_serve(made, until_stdin_closes=until_stdin_closes))


def _market(data: Path | None, seed: int, tickers: int) -> "Market":
    from lib.vendor.emulator.folder import FolderMarket
    from lib.vendor.emulator.simulated import SimulatedMarket

    return FolderMarket(data) if data else SimulatedMarket(seed, size=tickers)


def _changes(settings: str, faults: str, options: dict[str, Any]) -> dict[str, Any]:
    import msgspec

    try:
        changes = msgspec.json.decode(settings, type=dict[str, Any]) | options
        if faults:
            changes["faults"] = msgspec.json.decode(faults)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as invalid:
        raise UsageError(f"the settings are not JSON: {invalid}") from invalid
    return changes


def _clock(now: str | None, fixed: bool) -> "Clock":
    from lib.clock import SystemClock
    from lib.vendor.emulator.clock import MovedClock, parse_instant

    if now is None and fixed:
        raise UsageError("--fixed needs --now")
    return SystemClock() if now is None else MovedClock(parse_instant(now), fixed=fixed)


def _emulator(market: "Market", changes: dict[str, Any], clock: "Clock", port: int) -> "Emulator":
    from lib.vendor.emulator.server import Emulator
    from lib.vendor.emulator.settings import EmulatorSettings

    return Emulator(market, EmulatorSettings().changed(changes), clock, port=port)


async def _serve(made: "Emulator", *, until_stdin_closes: bool) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    if until_stdin_closes:
        # A test that was killed cannot stop what it started; its end of the pipe closes all the same.
        loop.add_reader(sys.stdin, lambda: None if os.read(sys.stdin.fileno(), 4096) else ended.set())
    async with made:
        typer.echo(made.url)
        await ended.wait()
    if until_stdin_closes:
        loop.remove_reader(sys.stdin)
