"""The commands of all scripts, found by asking the apps themselves, typed into this process."""

import importlib
import io
import logging
import os
import re
import signal
import sys
import unicodedata
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import typer

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [*sorted(ROOT.glob("*.py")), *sorted((ROOT / "scripts").glob("*.py"))]
ONLY_PARSED = (
    "scripts/benchmark.py",
    "scripts/database.py psql",
)  # what they do takes minutes, or a terminal
HELD = {"scripts/emulator.py": ["--until-stdin-closes"]}  # serves until then: at once


@dataclass(frozen=True)
class Typed:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str


def app_of(script):
    [module] = re.findall(r"^from (\S+) import app$", script.read_text(), re.MULTILINE)
    return typer.main.get_command(importlib.import_module(module).app)


def commands(command, path):
    """Every command at and below *command*, with the words that lead to it."""
    if hasattr(command, "commands"):
        for word, one in command.commands.items():
            yield from commands(one, f"{path} {word}")
    else:
        yield path, command


COMMANDS = {
    path: command
    for script in SCRIPTS
    for path, command in commands(app_of(script), str(script.relative_to(ROOT)))
}


def takes_a_value(param):
    return is_argument(param) or not param.is_flag


def is_argument(param):
    return param.param_type_name == "argument"


def type_of(param):
    """What its value becomes."""
    return param.type_descriptor.annotation


def run(path, values):
    """Type command *path* with *values* by parameter; flags are True."""
    command = copy(COMMANDS[path])
    if path.startswith(ONLY_PARSED):
        command.callback = lambda *_, **__: None
    options = [word for param, value in values.items() for word in _words(param, value)]
    arguments = [value for param, value in values.items() if is_argument(param)]
    words = [*options, *HELD.get(path, ()), *(["--", *arguments] if arguments else [])]
    with _captured() as (out, err):
        try:
            command.main(words, prog_name=path)
            status = 0
        except SystemExit as end:
            status = end.code
    return Typed(status, out.getvalue().decode(), err.getvalue().decode())


def _words(param, value):
    if is_argument(param):
        return []
    return [param.opts[0]] if value is True else [f"{param.opts[0]}={value}"]


@contextmanager
def _captured():
    """Both streams as bytes, strict and escaping as Python makes them; the process is left as it was."""
    root, out, err = logging.getLogger(), io.BytesIO(), io.BytesIO()
    handlers, level = list(root.handlers), root.level
    stdin, interrupted = sys.stdin, signal.getsignal(signal.SIGINT)
    ended, writing = os.pipe()
    os.close(writing)
    stdout = io.TextIOWrapper(out, "utf-8", write_through=True)
    stderr = io.TextIOWrapper(err, "utf-8", "backslashreplace", write_through=True)
    root.handlers.clear()
    try:
        with redirect_stdout(stdout), redirect_stderr(stderr), os.fdopen(ended) as sys.stdin:
            yield out, err
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:], sys.stdin = handlers, stdin
        root.setLevel(level)
        signal.signal(signal.SIGINT, interrupted)
        stdout.detach(), stderr.detach()


def ended_properly(typed, *secrets):
    """What any command may end with: a documented status, and a message that a terminal shows as it is."""
    assert typed.status in {0, 1, 2, 3, 10, 11, 12}, typed
    assert "Traceback" not in typed.stderr and "defect of the toolkit" not in typed.stderr, typed.stderr
    for text in (typed.stdout, typed.stderr):
        assert not any(secret in text for secret in secrets)
        assert [c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"] == [], repr(
            text
        )
    assert typed.stderr or typed.stdout or typed.status == 0
