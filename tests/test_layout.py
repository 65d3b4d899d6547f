"""The layout is a promise: entries without logic, one door for the environment, the trees drawn are true."""

import ast
import inspect
import json
import os
import re
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import lib.errors
from lib.errors import BackfillError

ROOT = Path(__file__).resolve().parent.parent
ENTRIES = [*sorted(ROOT.glob("*.py")), *sorted((ROOT / "scripts").glob("*.py"))]
LIBRARY = sorted((ROOT / "lib").rglob("*.py"))
CODE = [*ENTRIES, *LIBRARY, *sorted((ROOT / "benchmarks").rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
HEAVY = {"pandas", "numpy", "asyncpg", "aiohttp", "exchange_calendars", "talib"}

READS_THE_ENVIRONMENT = {
    "lib/settings.py",
    "lib/commands/database.py",  # hands its own on to psql, with the password in it
}


def named(path):
    return str(path.relative_to(ROOT))


def imported(path):
    """The names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", ENTRIES, ids=named)
def test_an_entry_has_no_logic(path):
    lines = path.read_text().splitlines()
    kinds = {type(node) for node in ast.walk(ast.parse(path.read_text()))}

    assert len(lines) <= 20
    assert lines[0].endswith('Usage: --help."""')
    assert not kinds & {ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.For, ast.While}
    assert len([name for name in imported(path) if name.startswith(("lib", "benchmarks"))]) == 1


def test_nobody_imports_an_entry():
    entries = {path.stem for path in ENTRIES} | {f"scripts.{path.stem}" for path in ENTRIES} | {"scripts"}

    assert [named(path) for path in [*CODE, *TESTS] if entries & set(imported(path))] == []


def test_no_script_hides_a_module_of_the_standard_library():
    # The folder of a running script comes first on sys.path.
    assert {path.stem for path in ENTRIES} & sys.stdlib_module_names == set()
    assert not (ROOT / "scripts" / "__init__.py").exists()


def test_the_environment_comes_in_by_one_door():
    reading = [named(path) for path in CODE if re.search(r"\bos\.(environ|getenv)", path.read_text())]

    assert set(reading) == READS_THE_ENVIRONMENT


RUNS_WHAT_IT_READS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml"}


def test_nothing_that_comes_in_is_run():
    """Neither by Python nor by a shell."""
    found = [
        f"{named(path)}:{node.lineno}"
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text()))
        if (
            isinstance(node, ast.Call) and ast.unparse(node.func) in {"eval", "exec", "os.system", "os.popen"}
        )
        or (isinstance(node, ast.keyword) and node.arg == "shell")
    ]

    assert found == []
    assert [named(path) for path in CODE if RUNS_WHAT_IT_READS & set(imported(path))] == []


def drawn_tree():
    """(depth, name, exit status) of each line of the tree in the docstring of lib/errors.py."""
    line = re.compile(r"^ {4}( *)([+.-] )?([A-Z]\w+) +(\d+)  ", re.MULTILINE)
    found = line.finditer(lib.errors.__doc__)
    return [(len(m[1]) // 2 + (1 if m[2] else 0), m[3], int(m[4])) for m in found]


def written_tree(cls=BackfillError, depth=0):
    yield depth, cls.__name__, cls.exit_status
    for child in cls.__subclasses__():
        yield from written_tree(child, depth + 1)


def test_the_tree_of_errors_that_is_drawn_is_the_one_that_is_written():
    assert len(drawn_tree()) > 20
    assert drawn_tree() == list(written_tree())


def test_every_error_has_a_message_of_its_own_and_those_that_end_a_command_a_hint():
    for _, name, _status in written_tree():
        error = getattr(lib.errors, name)
        assert str(error()), name
        assert inspect.getdoc(error) != inspect.getdoc(BackfillError) or error is BackfillError
    for name in ("LockHeld", "DatabaseUnreachable", "EmbeddedServerFailed", "MigrationFailed", "KeyRefused"):
        assert getattr(lib.errors, name).hint, name


def test_help_is_quick_to_import():
    """No script needs the heavy packages to say how it is used."""
    asked = [(entry, ["--help"]) for entry in ENTRIES]
    asked += [(ROOT / "scripts" / "database.py", ["psql", "--help"])]
    asked += [(ROOT / "scripts" / "benchmark.py", ["write", "--help"])]

    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda question: loaded_by(*question), asked))

    for (entry, _), modules in zip(asked, answers, strict=True):
        assert modules & {"lib", "benchmarks"}, f"{named(entry)} did not run"
        assert modules & HEAVY == set(), named(entry)


def test_a_run_without_features_loads_no_pandas():
    """TA-Lib brings it along: a quarter of a second and 65 MB."""
    program = "import lib.commands.backfill, sys; print(*{'pandas', 'talib', 'networkx'} & set(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ended.stdout.split() == []


def loaded_by(script, arguments):
    """The top-level modules that are loaded when *script* has ended."""
    program = (
        "import json, runpy, sys\n"
        f"sys.argv = {[str(script), *arguments]!r}\n"
        "try:\n    runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, env=os.environ, cwd="/"
    )
    assert ended.returncode == 0, ended.stderr
    assert "Usage:" in ended.stdout
    return set(json.loads(ended.stderr.splitlines()[-1]))


def test_modules_and_functions_are_short():
    long_modules = [named(path) for path in LIBRARY if len(path.read_text().splitlines()) > 400]
    lengths = [
        node.end_lineno - node.lineno + 1 - len(inspect.cleandoc(ast.get_docstring(node) or "").splitlines())
        for path in LIBRARY
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    assert long_modules == []
    assert statistics.median(lengths) <= 10


def test_the_map_in_the_library_names_every_room_and_module():
    described = (ROOT / "lib" / "__init__.py").read_text()
    rooms = {
        path.stem
        for path in (ROOT / "lib").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    } - {"__init__"}

    assert {room for room in rooms if not re.search(rf"\b{room}\b", described)} == set()
