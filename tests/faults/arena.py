"""Where schedules are carried out: a job, a vendor and a database behind proxies, and what it should leave."""

import asyncio
import os
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from lib.clock import ScaledClock
from lib.errors import BackfillError
from lib.outcome import RunStatus
from lib.settings import Secret, Settings
from lib.store.database import open_url
from lib.vendor.emulator.settings import EmulatorSettings
from lib.vendor.emulator.simulated import SimulatedMarket
from lib.wiring import calendars
from tests.emulator import Emulator
from tests.end_to_end.conftest import Workbench
from tests.faults.proxy import Proxy
from tests.faults.server import proxied
from tests.leaks import KEY, search_database, with_password

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2025, 3, 20, 12, tzinfo=UTC)
SYMBOLS, START, END = "BTC,KO", "2025-03-03", "2025-03-06"
MOST_SECONDS = 120.0  # of the machine: a run that takes longer hangs


@dataclass(frozen=True, slots=True)
class Scale:
    """The settings of the suite. *speed*: seconds of the toolkit's and the vendor's clocks in one of ours."""

    speed: float = 120.0
    page_cap: int = 300
    latency_seconds: float = 1.0
    further_runs: int = 3


SCALE = Scale()


class JumpingClock(ScaledClock):
    """Its ``now`` jumps; what it measures and waits for does not."""

    offset = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.offset


@dataclass
class Bench(Workbench):
    """A workbench whose vendor is reached at *base_url*."""

    base_url: str = ""

    @property
    def settings(self) -> Settings:
        url = self.base_url or self.emulator.url
        return Settings(Path("/nonexistent"), Secret(KEY), url, with_password(self.database_url))

    async def tables(self):
        """As of the workbench; without the ledger's own count, which is an estimate where a row was split."""
        bars, coverage, counts = await super().tables()
        return bars, [row[:-1] for row in coverage], counts

    async def job(self):
        return await self.run(SYMBOLS, "all", START, END, gap_retries=2)


class Databases:
    """Databases of a server of its own, made as copies of one with calendars."""

    def __init__(self, server) -> None:
        self.server = server
        self._numbers = count()

    async def prepare(self) -> None:
        await self._sql("CREATE DATABASE template TEMPLATE template0")
        async with open_url(self._url("template"), clock=ScaledClock(NOW)) as database:
            await calendars(database, ScaledClock(NOW))

    @asynccontextmanager
    async def fresh(self):
        """The URL of a database as good as new, for the block."""
        name = f"arena_{next(self._numbers)}"
        await self._sql(f"CREATE DATABASE {name} TEMPLATE template STRATEGY FILE_COPY")
        try:
            yield self._url(name)
        finally:
            await asyncio.to_thread(search_database, self._url(name))
            await self._sql(f"DROP DATABASE {name} WITH (FORCE)")

    async def _sql(self, statement: str) -> None:
        connection = await asyncpg.connect(self.server.url)
        await connection.execute(statement)
        await connection.close()

    def _url(self, name: str) -> str:
        return urlsplit(self.server.url)._replace(path=f"/{name}").geturl()


@asynccontextmanager
async def vendor(**settings):
    """A vendor of the scale, and its clock."""
    clock = ScaledClock(NOW, SCALE.speed)
    terms = EmulatorSettings(page_cap=SCALE.page_cap, latency_seconds=SCALE.latency_seconds, **settings)
    async with Emulator(SimulatedMarket(), terms, clock) as emulator:
        yield emulator


async def undisturbed(databases):
    """The tables that a run leaves which nothing disturbs."""
    async with databases.fresh() as url, vendor() as emulator:
        bench = Bench(url, emulator, ScaledClock(NOW, SCALE.speed))
        report = await bench.job()
        assert report.status is RunStatus.COMPLETE, report
        return await bench.tables()


def difference(tables, wanted) -> str:
    """How *tables* differ from those *wanted*, a line for each; empty if they do not."""
    lines = []
    for name, have, want in zip(("bars", "coverage", "audited counts"), tables, wanted, strict=True):
        had, wished = set(map(str, have)), set(map(str, want))
        lacking, extra = sorted(wished - had), sorted(had - wished)
        if have != want:
            lines.append(f"{name}: {len(lacking)} lacking {lacking[:3]}, {len(extra)} too many {extra[:3]}")
    return "\n".join(lines)


@dataclass
class Arena:
    """One schedule under way."""

    schedule: object
    databases: Databases
    emulator: Emulator
    database_proxy: Proxy
    vendor_proxy: Proxy
    clock: JumpingClock
    database_url: str
    proxied_url: str
    home: Path
    process: object = None
    errors: list[str] = field(default_factory=list)

    @property
    def vendor_url(self) -> str:
        return f"http://127.0.0.1:{self.vendor_proxy.port}"

    async def disturbed(self) -> list[RunStatus]:
        """What the runs of the schedule say of themselves; a run that was killed says nothing."""
        work = asyncio.ensure_future(self._runs())
        striking = asyncio.ensure_future(self._strike(work))
        try:
            async with asyncio.timeout(MOST_SECONDS):
                return await work
        finally:
            work.cancel()
            await striking

    async def _runs(self) -> list[RunStatus]:
        if self.schedule.kills:
            for _ in range(sum(blow.what == "kill" for blow in self.schedule.blows)):
                await self._script()
            return []
        return await asyncio.gather(*(self._run() for _ in range(self.schedule.runs)))

    async def _run(self) -> RunStatus:
        bench = Bench(self.proxied_url, self.emulator, self.clock, self.vendor_url)
        try:
            return (await bench.job()).status
        except BackfillError as error:
            self.errors.append(repr(error))
            return RunStatus.FAILED

    async def _script(self) -> None:
        """The real script, until it is killed or ends."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "BACKFILL_HOME": str(self.home),
            "DATABASE_URL": with_password(self.proxied_url),
            "POLYGON_API_KEY": KEY,
            "POLYGON_BASE_URL": self.vendor_url,
        }
        arguments = ("--symbols", SYMBOLS, "--start", START, "--end", END, "--rate-limit", "0")
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / "scripts/backfill_ohlcv.py"),
            *arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=self.home,
        )
        ending = asyncio.ensure_future(self.process.communicate())
        # In time of the machine its waits are long: what it does after that is for the next run to do.
        done, _ = await asyncio.wait([ending], timeout=8)
        if not done:
            await self._kill(None)
        said, _ = await ending
        assert b"internal error" not in said, said.decode()

    async def _strike(self, work) -> None:
        blows = {
            "restart": self._restart,
            "cut_database": lambda _: self._cut(self.database_proxy),
            "cut_vendor": lambda _: self._cut(self.vendor_proxy),
            "swallow_commit": self._swallow,
            "jump": self._jump,
            "kill": self._kill,
        }
        for blow in self.schedule.blows:
            while self.emulator.counts.total < blow.requests and not work.done():  # noqa: ASYNC110
                await asyncio.sleep(0.002)
            if work.done():
                return
            await blows[blow.what](blow.how)

    async def _restart(self, how) -> None:
        await self.databases.server.restart(how)

    async def _cut(self, proxy) -> None:
        proxy.cut()

    async def _swallow(self, _) -> None:
        self.database_proxy.swallow_commit = True

    async def _jump(self, by) -> None:
        self.clock.offset = by

    async def _kill(self, _) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()

    async def further(self, wanted) -> list[RunStatus]:
        """Runs that nothing disturbs until the tables are as *wanted*; what they say of themselves."""
        self.emulator.change(faults=())
        self.clock.offset = timedelta(0)
        said: list[RunStatus] = []
        bench = Bench(self.database_url, self.emulator, self.clock)
        self.emulator.change(next_url_base=None)
        while len(said) < SCALE.further_runs:
            async with asyncio.timeout(MOST_SECONDS):
                report = await bench.job()
            said.append(report.status)
            differs = difference(await bench.tables(), wanted)
            assert not differs or report.status is not RunStatus.COMPLETE, f"complete, and {differs}"
            if not differs:
                break
        return said


@asynccontextmanager
async def arena(schedule, databases, home):
    """Everything that *schedule* needs, for the block."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        url = await enter(databases.fresh())
        database_proxy, proxied_url = await enter(proxied(url))
        emulator = await enter(vendor())
        port = int(urlsplit(emulator.url).port)
        vendor_proxy = await enter(Proxy(lambda: asyncio.open_connection("127.0.0.1", port)))
        emulator.change(faults=tuple(schedule.faults), next_url_base=f"http://127.0.0.1:{vendor_proxy.port}")
        if schedule.slow_line:
            for proxy in (database_proxy, vendor_proxy):
                proxy.delay_seconds, proxy.bytes_per_second = 0.001, 10_000_000
        clock = JumpingClock(NOW, SCALE.speed)
        yield Arena(
            schedule, databases, emulator, database_proxy, vendor_proxy, clock, url, proxied_url, home
        )
