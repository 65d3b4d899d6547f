"""The search for secrets after each test finds them, and every test is searched."""

import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from lib.vendor.emulator.settings import DEFAULT_KEY
from tests.leaks import KEY

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
PLANTED = 17  # secrets
QUIETLY = ("--color=no", "-rN", "--tb=no", "--show-capture=no", "-p", "no:cacheprovider")


def test_a_secret_that_is_left_anywhere_makes_its_test_fail(postgres):
    with TemporaryDirectory() as folder:  # not tmp_path, which is searched after this test
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-v", *QUIETLY, "--basetemp", folder, TESTS / "planted.py"],
            env=os.environ | {"TEST_DATABASE_URL": postgres.url},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    outcomes = re.findall(r"^tests/planted.py::(.+?) (PASSED|FAILED|ERROR) ", ended.stdout, re.MULTILINE)
    passed, red = (
        {name for name, outcome in outcomes if outcome == wanted} for wanted in ("PASSED", "ERROR")
    )

    assert len(passed) == PLANTED + 1, ended.stdout
    assert passed - red == {"test_where_it_belongs"}


def test_no_test_runs_against_a_vendor_of_another_key():
    """The key the emulator takes by itself is in the documents: a search for it would say nothing."""
    importing = [
        str(path.relative_to(TESTS))
        for path in TESTS.rglob("*.py")
        if re.search(r"emulator\.server import|emulator import server|DEFAULT_KEY", path.read_text())
    ]

    assert KEY != DEFAULT_KEY
    assert [path for path in importing if not path.startswith("vendor/")] == ["emulator.py", "test_leaks.py"]
