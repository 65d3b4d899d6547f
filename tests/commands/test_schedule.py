"""The schedule as printed: cron's lines run as cron runs them, the units pass systemd's own check."""

import asyncio
import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from lib.commands.schedule import Schedule, cron_lines, log_rotation, units
from lib.vendor.emulator.simulated import SimulatedMarket
from tests.emulator import Emulator

STATUS = "scripts/backfill_status.py"
ODD = Path("/srv/bars 100%/$HOME")


async def printed(command, *options):
    ended = await command(STATUS, "cron", *options)
    assert ended.status == 0, ended.stderr
    return ended.stdout


def parsed(crontab):
    """The variables and the (minute, hour, ..., command) lines of a crontab, as cron reads it."""
    lines = [line for line in crontab.splitlines() if line and not line.startswith("#")]
    variables = dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))
    entries = [line.split(maxsplit=5) for line in lines if not re.match(r"\w+=", line)]
    return variables, entries


async def typed_by_cron(command, environment, home):
    """Cron knows nothing of the checkout and of nobody's profile; % unescaped would end the line."""
    assert not re.search(r"(?<!\\)%", command)
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        command.replace("\\%", "%"),
        env=environment,
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_the_cron_lines_run_as_they_are_printed(command, database_url, tmp_path):
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "UPDATE tracked_symbols SET active = symbol IN ('AAPL', 'BTC'), timeframes = '{1d,1w}'"
    )
    await connection.close()
    variables, entries = parsed(await printed(command, "--metrics-file", tmp_path / "bars.prom"))
    assert [entry[:5] for entry in entries] == [["0", hour, "*", "*", "*"] for hour in "234"]
    assert variables["CRON_TZ"] == "UTC"

    async with Emulator(SimulatedMarket()) as emulator:
        # What .env in the checkout holds on a machine that is set up.
        env_file = {name: command.environment[name] for name in ("DATABASE_URL", "POLYGON_API_KEY")}
        env_file["POLYGON_BASE_URL"] = emulator.url
        for *_, line in entries:
            status, output = await typed_by_cron(
                line, {"HOME": str(tmp_path), **variables, **env_file}, tmp_path
            )
            assert (status, output) == (0, ""), "a night without trouble sends no mail"

    logs = sorted(path.name for path in (tmp_path / "log").iterdir())
    assert logs == ["actions.log", "audit.json", "backfill.log", "features.json", "features.log"]
    assert (tmp_path / "bars.prom").exists()


async def test_a_second_run_ends_with_11_and_says_why(command, database_url):
    from lib.store.database import open_url
    from lib.store.locks import run_lock

    _, entries = parsed(await printed(command))
    async with open_url(database_url) as database, run_lock(database):
        status, output = await typed_by_cron(entries[0][5], command.environment, "/")

    assert status == 11
    assert "holds the run lock" in output


async def test_the_units_pass_the_check_of_systemd(command, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    await printed(command, "--systemd", "--write-to", tmp_path)
    files = sorted(tmp_path.glob("market-backfill-*"))
    assert len(files) == 6

    checked = await asyncio.create_subprocess_exec(
        *("systemd-analyze", "verify", "--man=no", *files), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await checked.communicate()

    assert (checked.returncode, output) == (0, b"")


async def test_the_command_of_a_unit_runs(command, tmp_path):
    await printed(command, "--systemd", "--write-to", tmp_path)
    unit = configparser.RawConfigParser(strict=False, delimiters="=", comment_prefixes="#")
    unit.optionxform = str
    unit.read(tmp_path / "market-backfill-features.service")
    service = unit["Service"]
    environment = command.environment | dict([service["Environment"].strip('"').split("=", 1)])

    words = re.findall(r'"([^"]*)"|(\S+)', service["ExecStart"])
    process = await asyncio.create_subprocess_exec(
        *(quoted or plain for quoted, plain in words),
        env=environment,
        cwd=service["WorkingDirectory"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()

    assert process.returncode == 1 and b"no bars of AAPL are stored" in output
    assert {"3", "11"} == set(service["SuccessExitStatus"].split())
    assert not {"10", "143"} & set(service["RestartPreventExitStatus"].split())


def test_names_that_mean_something_to_cron_and_systemd_are_kept_from_it(tmp_path):
    schedule = Schedule(ODD, Path(sys.executable), ODD / "home", ODD / "home" / "log", ("--alert",))

    command = parsed("\n".join(cron_lines(schedule, utc=True)))[1][0][5]
    assert r"cd '/srv/bars 100\%/$HOME' && " in command
    service = units(schedule, "ann")["market-backfill-backfill.service"]
    assert "WorkingDirectory=/srv/bars 100%%/$HOME\n" in service
    assert '"/srv/bars 100%%/$$HOME/master_backfill.py"' in service
    assert "CapabilityBoundingSet=\n" in service


def test_a_machine_that_keeps_another_time_is_told(tmp_path):
    schedule = Schedule(ODD, Path(sys.executable), ODD, ODD)

    assert "another" in "\n".join(cron_lines(schedule, utc=False))
    assert "another" not in "\n".join(cron_lines(schedule, utc=True))


def test_the_rotation_is_understood_by_logrotate(tmp_path):
    if not shutil.which("logrotate"):
        pytest.skip("logrotate is not installed")
    schedule = Schedule(tmp_path, Path(sys.executable), tmp_path, tmp_path)
    (tmp_path / "rotation").write_text(log_rotation(schedule))
    checked = subprocess.run(
        ["logrotate", "--debug", tmp_path / "rotation"], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0 and "error" not in checked.stderr
