"""The key is in the memory of a running command: no core file of it may stay behind."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A shell that allows core files of any size, as far as the machine lets it.
ALLOWED = ("sh", "-c", 'ulimit -c "$(ulimit -H -c)"; exec "$@"', "sh")
PATTERN = Path("/proc/sys/kernel/core_pattern")
IN_MID_RUN = {
    "master_backfill.py": ("--symbols", "AAPL", "--output", "audit.json"),
    "scripts/backfill_corporate_actions.py": ("--symbols", "AAPL"),
    "scripts/backfill_status.py": ("doctor",),
}

pytestmark = pytest.mark.skipif(
    not PATTERN.exists(), reason="how the limit is read, and where cores go, is Linux's"
)


def core_limits(pid):
    """Soft and hard limit of the size of core files of a process."""
    [line] = [line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if "core file" in line]
    return line.split()[4:6]


def cores_elsewhere():
    """What lies where the machine puts core files, unless that is the working folder or a program."""
    folder = Path(PATTERN.read_text().strip()).parent
    return set(folder.iterdir()) if folder.is_absolute() and folder.is_dir() else set()


@pytest.mark.parametrize("how", [signal.SIGABRT, signal.SIGSEGV])
@pytest.mark.parametrize("script", IN_MID_RUN)
async def test_a_command_that_crashes_in_mid_run_leaves_no_core_file(command, vendor, tmp_path, script, how):
    vendor.change(latency_seconds=3600)
    before = cores_elsewhere()
    process = await asyncio.create_subprocess_exec(
        *(*ALLOWED, sys.executable, ROOT / script, *IN_MID_RUN[script]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=command.environment | {"POLYGON_BASE_URL": vendor.url},
        cwd=tmp_path,
    )
    while not vendor.counts.in_flight and process.returncode is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert core_limits(process.pid) == ["0", "0"]

    process.send_signal(how)
    said, _ = await process.communicate()

    assert process.returncode == -how, said.decode()
    assert [path for path in tmp_path.rglob("core*") if path.is_file()] == []
    assert [path for path in cores_elsewhere() - before if str(process.pid) in path.name] == []


async def test_what_a_command_starts_leaves_none_either(command):
    asked = await command("scripts/database.py", "psql", "-Atc", r"\! ulimit -H -c")

    assert asked.stdout == "0\n"
