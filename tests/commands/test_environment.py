"""Where a command gets its settings: the command line, the environment, .env here, .env beside the script."""

import asyncio
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def database(name):
    return f"postgresql://nobody@127.0.0.1:1/{name}"


async def test_the_nearest_setting_wins(command, tmp_path):
    checkout, elsewhere, own = (tmp_path / name for name in ("checkout", "elsewhere", "own"))
    _copy(checkout)
    (checkout / ".env").write_text(f"DATABASE_URL={database('beside')}\nMASSIVE_API_KEY=key\n")
    elsewhere.mkdir()
    own.mkdir()
    (own / ".env").write_text(f"DATABASE_URL={database('here')}\nPOLYGON_API_KEY=key\n")
    script = checkout / "scripts/backfill_ohlcv.py"
    unset = {"DATABASE_URL": None, "POLYGON_API_KEY": None}

    beside, here, environment, typed = await asyncio.gather(
        command(script, cwd=elsewhere, **unset),
        command(script, cwd=own, **unset),
        command(script, cwd=own, **unset | {"DATABASE_URL": database("environment")}),
        command(
            script,
            *("--database-url", database("typed")),
            cwd=own,
            **unset | {"DATABASE_URL": database("environment")},
        ),
    )

    for name, finished in {
        "beside": beside,
        "here": here,
        "environment": environment,
        "typed": typed,
    }.items():
        assert finished.status == 10, f"{name}: {finished.stderr}"
        assert f"no connection to the database {database(name)}" in finished.stderr


def _copy(checkout):
    checkout.mkdir()
    for name in ("lib", "sql", "scripts"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
