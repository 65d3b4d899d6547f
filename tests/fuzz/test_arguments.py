"""Every option and argument of every command, found by asking the apps: any text ends it properly."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.examples import examples
from tests.fuzz.typing_in import COMMANDS, ended_properly, run, takes_a_value, type_of
from tests.fuzz.words import PASSWORD, numbers, odd_words, places, urls, words

NOBODY = f"postgresql://nobody:{PASSWORD}@127.0.0.1:1/none"
KEY = "k3yOf7Characters"
STARTS_A_SERVER = {"demo"}


def values_of(param):
    if param.name in STARTS_A_SERVER:
        return st.just(None)
    if not takes_a_value(param):
        return st.sampled_from([True, None])
    if param.name == "database_url":
        return urls
    kind = type_of(param)
    if kind is Path:
        return places
    return (numbers if kind in (int, float) else odd_words) | odd_words | words


@st.composite
def typed_values(draw, command):
    """Values for what *command* requires and for up to three more of its parameters."""
    rest = [param for param in command.params if not param.required and param.name != "help"]
    chosen = [param for param in command.params if param.required]
    if rest:
        chosen += draw(st.lists(st.sampled_from(rest), max_size=3, unique_by=id))
    values = {param: draw(values_of(param)) for param in chosen}
    return {param: value for param, value in values.items() if value is not None or param.required}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with something in the way, and settings under which nothing is reached."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "audit.json")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "audit.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", NOBODY)
    monkeypatch.setenv("POLYGON_API_KEY", KEY)
    monkeypatch.setenv("BACKFILL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


@pytest.mark.parametrize("path", COMMANDS)
@given(data=st.data())
@examples(8)
def test_any_text_for_any_option(folder, path, data):
    values = data.draw(typed_values(COMMANDS[path]))
    ended_properly(run(path, values), PASSWORD, KEY)


def param_of(path, name):
    [param] = [param for param in COMMANDS[path].params if name in param.opts]
    return param


@pytest.mark.parametrize("option", ["--output", "--output-html", "--log-file", "--metrics-file"])
def test_what_a_terminal_would_obey_is_shown(folder, option):
    path = "master_backfill.py"
    typed = run(path, {param_of(path, option): "\x1b[2J\u202e/x"})

    ended_properly(typed)
    assert typed.status == 2 and "\\x1b[2J\\u202e" in typed.stderr


FRACTIONS = [
    (path, param) for path, one in COMMANDS.items() for param in one.params if type_of(param) is float
]


@pytest.mark.parametrize(("path", "param"), FRACTIONS)
@pytest.mark.parametrize("text", ["nan", "inf", "-1"])
def test_what_is_no_number_of_seconds_or_minutes(folder, path, param, text):
    typed = run(path, {param: text})

    ended_properly(typed)
    assert typed.status == 2 and param.opts[0] in typed.stderr
