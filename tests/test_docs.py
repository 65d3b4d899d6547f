"""The documents cannot lie: what there is is described, what is described is there, what is shown runs."""

import asyncio
import importlib
import re
import shlex
import sys
from pathlib import Path

import pytest
import typer

from lib.audit import key_docs
from lib.commands.running import SIGNAL_STATUS
from lib.errors import BackfillError
from lib.gaps import GAPS, Sign, State
from lib.outcome import COMPLETE_STATUS, FAILED_STATUS, PARTIAL_STATUS, REFUSED_STATUS
from lib.settings import DEFAULT_BASE_URL

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("README", "BACKFILL_QUICKSTART", "BACKFILL_ARCHITECTURE", "CONTRIBUTING", "CHANGELOG", "SECURITY")
DOCUMENTS = {name: (ROOT / f"{name}.md").read_text() for name in NAMES}
ARCHITECTURE, QUICKSTART = DOCUMENTS["BACKFILL_ARCHITECTURE"], DOCUMENTS["BACKFILL_QUICKSTART"]
SCRIPTS = [*sorted(ROOT.glob("*.py")), *sorted((ROOT / "scripts").glob("*.py"))]


def section(document, heading):
    """The text below a heading, up to the next one of its level or above."""
    match = re.search(rf"^(#+) {re.escape(heading)}\n", document, re.MULTILINE)
    level, start = len(match[1]), match.end()
    following = re.search(rf"^#{{1,{level}}} ", document[start:], re.MULTILINE)
    return document[start : start + following.start()] if following else document[start:]


def rows(text):
    """The cells of each row of the tables in *text*, heads and rules left out."""
    tables = re.findall(r"^\|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for table in tables
        for line in table.splitlines()
    ]


def blocks(document, mark=""):
    """The code blocks of a document; those below a comment *mark* if one is given."""
    before = rf"<!-- {mark} -->\n" if mark else ""
    return re.findall(rf"{before}```\w*\n(.*?)```", document, re.DOTALL)


def in_code(text):
    """What stands between backticks in the running text."""
    return re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


# --- commands and their options


def commands():
    """Each command as it is typed, e.g. ``scripts/database.py psql``, with its options."""
    found = {}
    for script in SCRIPTS:
        [module] = re.findall(r"^from (\S+) import app$", script.read_text(), re.MULTILINE)
        command = typer.main.get_command(importlib.import_module(module).app)
        name = str(script.relative_to(ROOT))
        for sub, one in leaves(command):
            found[f"{name} {sub}".strip()] = [p for p in one.params if p.param_type_name == "option"]
    return found


def leaves(command, path=""):
    """The commands at and below *command*, each with the words that lead to it."""
    if not hasattr(command, "commands"):
        yield path, command
        return
    for word, one in command.commands.items():
        yield from leaves(one, f"{path} {word}".strip())


def documented_options():
    """The same from the tables: by command, each option with its default and meaning."""
    found = {name: {} for name in commands()}
    for heading in re.findall(r"^### (`.*)$", ARCHITECTURE, re.MULTILINE):
        for command in in_code(heading):
            for names, default, meaning in rows(section(ARCHITECTURE, heading)):
                found[command] |= dict.fromkeys(in_code(names), (default, meaning))
    return found


@pytest.mark.parametrize("command", commands())
def test_every_option_is_documented_and_every_documented_option_exists(command):
    existing = {name for option in commands()[command] for name in (*option.opts, *option.secondary_opts)}

    assert set(documented_options()[command]) == existing


@pytest.mark.parametrize("command", commands())
def test_the_documented_defaults_are_those_of_the_code(command):
    documented = documented_options()[command]
    for option in commands()[command]:
        default, meaning = documented[option.opts[0]]
        assert len(meaning) > 5, option.opts[0]
        if not isinstance(option.default, bool | None) and option.default != "":
            shown = f"{option.default:g}" if isinstance(option.default, float) else str(option.default)
            assert default == f"`{shown}`", option.opts[0]


@pytest.mark.parametrize("command", commands())
def test_every_option_has_a_help_text(command):
    assert [option.opts[0] for option in commands()[command] if not option.help] == []


def test_every_command_is_in_the_readme_and_in_the_contract():
    assert {name.split()[0] for name in commands()} <= set(in_code(DOCUMENTS["README"]))
    assert set(commands()) == set(documented_options())


def test_every_option_that_a_document_mentions_exists_somewhere():
    options = {name for many in commands().values() for o in many for name in (*o.opts, *o.secondary_opts)}
    for name, document in DOCUMENTS.items():
        mentioned = {
            word for code in in_code(document) for word in re.findall(r"(?<!\S)--[a-z][a-z-]+", code)
        }
        assert mentioned <= options | {"--help"}, name


def groups(command, path):
    """Every group of *command*, itself included, with the name it is typed by."""
    if hasattr(command, "commands"):
        yield path, command
        for name, below in command.commands.items():
            yield from groups(below, f"{path} {name}")


def test_the_help_of_a_group_is_written_for_the_reader_not_taken_from_the_module():
    for script in SCRIPTS:
        [module] = re.findall(r"^from (\S+) import app$", script.read_text(), re.MULTILINE)
        for path, group in groups(typer.main.get_command(importlib.import_module(module).app), script.name):
            assert group.help and "`" not in group.help, path


def test_the_help_of_all_scripts_looks_alike():
    for script in SCRIPTS:
        [module] = re.findall(r"^from (\S+) import app$", script.read_text(), re.MULTILINE)
        assert importlib.import_module(module).app.rich_markup_mode is None, script.name


def test_the_examples_in_the_help_can_be_typed():
    for script in SCRIPTS:
        [module] = re.findall(r"^from (\S+) import app$", script.read_text(), re.MULTILINE)
        command = typer.main.get_command(importlib.import_module(module).app)
        for _, one in leaves(command):
            for example in re.findall(r"Example: python (.+)", one.help or ""):
                typed, *words = shlex.split(example)
                assert typed == str(script.relative_to(ROOT))
                known = {name for option in one.params for name in option.opts} | {"-c"}
                assert {word for word in words if word.startswith("-")} <= known, example


# --- settings, statuses, keys, tables, targets


def settings_read():
    code = (ROOT / "lib" / "settings.py").read_text()
    return set(re.findall(r'values(?:\.get\(|\[)"([A-Z_]+)"', code))


def test_every_setting_is_documented_and_every_documented_one_is_read():
    documented = {
        name
        for names, *_ in rows(section(QUICKSTART, "3. Your key and your database"))
        for name in in_code(names)
    }

    assert documented == settings_read() | {"NO_COLOR"}
    assert settings_read() <= set(in_code(section(ARCHITECTURE, "Settings")))
    example = re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert set(example) <= settings_read()
    assert settings_read() - set(example) == {"MASSIVE_API_KEY", "MASSIVE_BASE_URL"}, "the other names"


def statuses():
    def of(error):
        yield error.exit_status
        for child in error.__subclasses__():
            yield from of(child)

    ends = {COMPLETE_STATUS, FAILED_STATUS, PARTIAL_STATUS, REFUSED_STATUS}
    return ends | set(SIGNAL_STATUS.values()) | set(of(BackfillError))


@pytest.mark.parametrize(
    ("document", "heading"),
    [("BACKFILL_QUICKSTART", "6. Exit status"), ("BACKFILL_ARCHITECTURE", "Exit status")],
)
def test_every_exit_status_is_documented_and_no_other(document, heading):
    assert {int(status) for status, *_ in rows(section(DOCUMENTS[document], heading))} == statuses()


@pytest.mark.parametrize("script", ["master_backfill.py", "scripts/backfill_ohlcv.py"])
def test_the_help_names_every_exit_status(script):
    [module] = re.findall(r"^from (\S+) import app$", (ROOT / script).read_text(), re.MULTILINE)
    text = typer.main.get_command(importlib.import_module(module).app).help
    named = {int(number) for number in re.findall(r"\b(\d+)\b", text.partition("Exit status:")[2])}

    without_lock = {11} if script != "master_backfill.py" else set()
    assert named == statuses() - without_lock


def test_every_key_of_the_audit_is_documented_in_the_words_of_the_code():
    documented = {in_code(key)[0]: meaning for key, meaning in rows(section(ARCHITECTURE, "The audit"))}

    assert documented == key_docs()


def test_every_table_and_view_is_documented_and_no_other():
    schema = "\n".join(path.read_text() for path in (ROOT / "sql" / "schema").glob("*.sql"))
    made = re.findall(r"^CREATE (?:TABLE|VIEW) (\w+)", schema, re.MULTILINE)

    assert sorted(in_code(name)[0] for name, *_ in rows(section(ARCHITECTURE, "Tables"))) == sorted(made)


def test_every_state_and_sign_is_documented():
    documented = {in_code(state)[0]: bool(gap) for state, _, gap in rows(section(ARCHITECTURE, "Gaps"))}

    assert documented == {str(state): state in GAPS for state in State}
    for document in (ARCHITECTURE, QUICKSTART):
        shown = {code[0] for code in in_code(document)}
        assert {str(sign) for sign in Sign} - shown <= {Sign.NOT_ASKED}


def test_every_target_that_is_mentioned_exists_and_every_target_is_mentioned():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):.*##", makefile, re.MULTILINE))
    everything = "\n".join(DOCUMENTS.values())
    code = "\n".join([*in_code(everything), *blocks(everything)])
    mentioned = set(re.findall(r"\bmake ([a-z]+)\b", code))

    assert mentioned - targets == set()
    assert targets - mentioned == {"help"}


def test_every_dependency_has_its_reason():
    project = (ROOT / "pyproject.toml").read_text()
    listed = re.findall(
        r'^    "([A-Za-z_-]+)', project.partition("dependencies = [")[2].partition("\n]")[0], re.M
    )

    assert [in_code(name)[0] for name, *_ in rows(section(ARCHITECTURE, "Dependencies"))] == listed


def test_every_file_that_is_mentioned_exists():
    for name, document in DOCUMENTS.items():
        paths = set(re.findall(r"`((?:lib|sql|scripts|tests|benchmarks)/[\w/.]*)`", document))
        paths |= set(re.findall(r"\]\(([\w./]+\.md)", document))
        assert [path for path in paths if not (ROOT / path).exists()] == [], name


def test_every_link_into_a_document_finds_its_heading():
    for name, document in DOCUMENTS.items():
        for target, anchor in re.findall(r"\]\((\w+)\.md#([\w-]+)\)", document):
            headings = re.findall(r"^#+ (.*)$", DOCUMENTS[target], re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in anchors, name


def test_the_messages_that_are_explained_are_the_messages_of_the_code():
    code = " ".join(path.read_text() for path in (ROOT / "lib").rglob("*.py"))
    messages = [in_code(seen)[0] for seen, _ in rows(section(QUICKSTART, "If something is in the way"))]

    assert [message for message in messages if message not in code] == []


def test_no_document_names_this_machine_or_a_host_beside_the_vendors():
    for name, document in DOCUMENTS.items():
        assert set(re.findall(r"https?://[^\s)`|]+", document)) <= {DEFAULT_BASE_URL}, name
        assert str(ROOT) not in document, name
        assert str(Path.home()) not in document.replace("~", ""), name


# --- what is shown runs


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A folder that looks like the checkout to who types in it, and is nobody's."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("master_backfill.py", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    return folder


async def typed(text, checkout, home):
    """What *text*, typed into a shell in the checkout, prints on both streams; it has to succeed."""
    for written, run in {
        "make demo": ".venv/bin/python master_backfill.py --demo",
        "make psql": ".venv/bin/python scripts/database.py psql",
    }.items():
        text = re.sub(
            rf'{written} ARGS="((?:[^"\\]|\\.)*)"', lambda m, run=run: f"{run} {unescaped(m[1])}", text
        )
    text = text.replace(".venv/bin/python", shlex.quote(sys.executable))
    text = text.replace("master_backfill.py --demo", "master_backfill.py --demo --output audit.json")
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-euc",
        text,
        cwd=checkout,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "BACKFILL_HOME": str(home)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


def unescaped(text):
    return re.sub(r"\\(.)", r"\1", text)


async def test_the_quickstart_runs(checkout, tmp_path):
    runnable = blocks(QUICKSTART, "runnable")
    assert len(runnable) >= 3

    outputs = [await typed(block, checkout, tmp_path) for block in runnable]

    assert "complete: 2 of 2 symbols done" in outputs[0]
    assert re.search(r"AAPL +\| 1m +\| +\d+", outputs[1])
    assert "0 2 * * * cd " in outputs[2] and "OnCalendar=*-*-* 02:00:00 UTC" in outputs[2]
    assert "'succeeded': 1" in outputs[-1]


async def test_the_queries_shown_are_understood(database):
    async with database.connection() as connection:
        for block in re.findall(r"```sql\n(.*?)```", QUICKSTART + ARCHITECTURE, re.DOTALL):
            await connection.execute(block)


async def test_the_frames_shown_can_be_had(database_url, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", database_url)
    [block] = re.findall(r"```python\n(.*?)```", ARCHITECTURE, re.DOTALL)
    names = {}

    exec(block, names)

    assert "close" in names["frame"] and "rsi_14" in names["hours"]


async def test_the_transcripts_of_the_readme_are_what_it_prints(checkout, tmp_path):
    for transcript in blocks(DOCUMENTS["README"], "transcript"):
        command, _, shown = transcript.removeprefix("$ ").partition("\n")
        printed = await typed(command, checkout, tmp_path)
        assert comparable(shown) == comparable(printed), f"paste this:\n{printed}"


def comparable(text):
    """Without what differs from run to run: seconds, folders, the order in which symbols are done."""
    text = re.sub(r"\d+\.\d s\b", "N s", text)
    text = re.sub(r"embedded \(.*\)", "embedded (HOME)", text)
    text = re.sub(r"^events .*$", "events", text, flags=re.MULTILINE)  # there are more of them each year
    text = re.sub(r"^(query it|audit) .*$", r"\1", text, flags=re.MULTILINE)
    lines = [line.rstrip() for line in text.strip("\n").splitlines()]
    lines = [line for line in lines if not line.startswith("WARNING: waiting for the embedded")]
    finished = sorted(re.sub(r"^\d+/", "N/", line) for line in lines if re.match(r"\d+/\d+ ", line))
    return [line for line in lines if not re.match(r"\d+/\d+ ", line)], finished
