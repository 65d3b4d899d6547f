"""Every query is a file, every file is used, and its header tells its parameters."""

import re
from pathlib import Path

import pytest

from lib import sql

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in sql.QUERIES.glob("*.sql"))


def test_the_text_is_the_file_header_included():
    assert (sql.QUERIES / "record_migration.sql").read_text() == sql.load("record_migration")


def test_an_unknown_name_is_an_error_that_names_it():
    with pytest.raises(FileNotFoundError, match=r"no_such_query\.sql"):
        sql.load("no_such_query")


def test_every_name_in_the_code_is_a_file_and_every_file_is_named_in_the_code():
    code = "\n".join(path.read_text() for path in (ROOT / "lib").rglob("*.py"))

    assert sorted(set(re.findall(r'sql\.load\(\s*"(\w+)"', code))) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_header_says_what_and_names_every_parameter(name):
    header, statement = _split(sql.load(name))

    assert header.startswith("-- ")
    assert {f"${n}" for n in re.findall(r"\$(\d+)", statement)} == {
        f"${n}" for n in re.findall(r"\$(\d+)", header)
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_file_holds_one_statement(name):
    _, statement = _split(sql.load(name))

    assert ";" not in statement.strip().removesuffix(";")


def _split(text: str) -> tuple[str, str]:
    lines = text.splitlines(keepends=True)
    body = next(n for n, line in enumerate(lines) if not line.startswith("--"))
    return "".join(lines[:body]), "".join(lines[body:])
