"""Processes of a measurement: a script as the user runs it, with its memory and time; an emulator beside it.

Nothing shares a process with what is measured: neither the emulator nor PostgreSQL nor the measuring tool.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import Request, urlopen

import msgspec

from lib.vendor.emulator.settings import DEFAULT_KEY

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "benchmarks" / "measured.py"
MB = 1e6
_SHOWN_LINES = 12


class MeasurementFailed(Exception):
    """What was to be measured did not run to its end."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that ended well. *peak_bytes*: the most memory it had resident.

    *began* and *ended* are instants of the machine's clock, seconds since 1970.
    """

    stdout: str
    began: float
    ended: float
    cpu_seconds: float
    peak_bytes: int

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def peak_mb(self) -> float:
        return self.peak_bytes / MB

    @property
    def result(self) -> dict[str, Any]:
        """The JSON document on its standard output."""
        document: dict[str, Any] = json.loads(self.stdout)
        return document


async def run_python(*arguments: str, **settings: str) -> Finished:
    """Run ``python *arguments*`` in the checkout, with *settings* as its environment and no other.

    Raises MeasurementFailed unless it ends with status 0.
    """
    with TemporaryDirectory() as folder:
        used = Path(folder) / "used.json"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(MEASURED), str(used), sys.executable, *arguments),
            cwd=ROOT,
            env=environment(**settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        stdout, stderr = await process.communicate()
        document = json.loads(used.read_text()) if used.exists() else {"status": process.returncode}
    if status := document.pop("status"):
        last_lines = "\n".join(stderr.decode().splitlines()[-_SHOWN_LINES:])
        raise MeasurementFailed(f"{arguments[0]} ended with status {status}:\n{last_lines}")
    return Finished(stdout.decode(), **document)


@asynccontextmanager
async def running_python(*arguments: str, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """``python *arguments*`` as ``run_python`` starts it, for the block; killed at its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments), cwd=ROOT, env=environment(**settings), stdin=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def environment(**settings: str) -> dict[str, str]:
    """What a script needs, and *settings*: what the developer has set must not change a measurement."""
    needed = {"PATH": os.defpath, "HOME": str(Path.home()), "LANG": "C.UTF-8", "POLYGON_API_KEY": DEFAULT_KEY}
    return needed | settings


@dataclass(frozen=True, slots=True)
class EmulatorProcess:
    """An emulator that runs beside the measurement."""

    url: str

    def counts(self) -> dict[str, Any]:
        """What it was asked since the last ``reset``; see ``Counts.as_json``."""
        with urlopen(f"{self.url}/emulator/counts") as answer:
            counts: dict[str, Any] = json.load(answer)
        return counts

    def reset(self) -> None:
        """Count from 0."""
        self._post("reset", {})

    def change(self, **settings: Any) -> None:
        """Replace some of its settings."""
        self._post("settings", settings)

    def _post(self, control: str, body: dict[str, Any]) -> None:
        request = Request(f"{self.url}/emulator/{control}", msgspec.json.encode(body), method="POST")
        with urlopen(request):
            pass


@asynccontextmanager
async def emulator_process(*, tickers: int = 200, **settings: Any) -> AsyncIterator[EmulatorProcess]:
    """An emulator of the simulated market, which lists *tickers*, with these settings, for the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "scripts" / "emulator.py"),
        "--until-stdin-closes",
        *("--tickers", str(tickers)),
        "--settings",
        msgspec.json.encode(settings).decode(),
        env=environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin and process.stdout
    try:
        url = (await process.stdout.readline()).decode().strip()
        if not url:
            raise MeasurementFailed("the emulator did not start")
        yield EmulatorProcess(url)
    finally:
        process.stdin.close()
        await process.wait()
