"""What is read from text beside the options: a value that keeps its law, or an error that says what is wrong."""

import string
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.baseline import COMPARED, PARTS, comparison, read_result
from benchmarks.processes import MeasurementFailed
from lib.alerts.rules import read_rules
from lib.commands.options import YEARS, as_texts, parse_date, parse_symbols
from lib.errors import UsageError
from lib.sessions import parse_plans
from lib.settings import Settings, check_origin, load_settings, without_password
from lib.symbols import check_symbol
from lib.timeframe import Timeframe, parse_timeframes
from lib.vendor.emulator.clock import parse_instant
from lib.vendor.emulator.settings import EmulatorSettings
from tests.fuzz.documents import any_json, changed, spoilt
from tests.fuzz.examples import examples
from tests.fuzz.typing_in import COMMANDS, ONLY_PARSED, takes_a_value, type_of
from tests.fuzz.words import PASSWORD, odd_words, urls

texts = st.text(max_size=30) | odd_words
SAFE = set(string.ascii_letters + string.digits + ".-/:")


def parsed(parse, *arguments):
    """What *parse* makes of it; None for a UsageError, which has to say something fit to be shown."""
    try:
        return parse(*arguments)
    except UsageError as error:
        shown = f"{error}{error.hint}"
        assert PASSWORD not in shown
        assert len(shown) < 1000 and str(error).strip()
        return None


@given(texts | st.from_regex(r"[A-Z:]{1,6}([./-][A-Z]{1,2})?", fullmatch=True))
@examples(300)
def test_a_symbol_holds_nothing_but_what_a_path_may(text):
    symbol = parsed(check_symbol, text)

    assert symbol in (None, text)
    assert symbol is None or (set(symbol) <= SAFE and ".." not in symbol and len(symbol) <= 30)


@given(st.lists(texts | st.sampled_from(["AAPL", "SPY", "X:LTCUSD"]), max_size=4).map(",".join))
@examples(200)
def test_a_list_of_symbols_names_each_once(text):
    symbols = parsed(parse_symbols, text)

    if symbols and symbols != ["all"]:
        assert len(set(symbols)) == len(symbols)
        assert parse_symbols(",".join(symbols)) == symbols == [check_symbol(one) for one in symbols]


@given(content=st.binary(max_size=100) | spoilt(any_json) | st.text(max_size=50).map(str.encode))
@examples(100)
@example(b"AAPL # fruit\n\n,SPY")
def test_a_file_of_symbols(tmp_path, content):
    path = tmp_path / "symbols"
    path.write_bytes(content)
    symbols = parsed(parse_symbols, f"@{path}")

    assert symbols is None or [check_symbol(one) for one in symbols]


def test_a_file_of_symbols_is_read_up_to_a_bound():
    with pytest.raises(UsageError, match="longer than 1,000,000 characters"):
        parse_symbols("@/dev/zero")


@given(st.lists(texts | st.sampled_from(list(Timeframe)), max_size=4).map(",".join))
@examples(200)
def test_timeframes(text):
    frames = parsed(parse_timeframes, text)

    assert frames is None or (
        parse_timeframes(",".join(frames)) == frames and len(set(frames)) == len(frames)
    )


@given(texts | st.dates().map(str) | st.from_regex(r"\d{4}-?\d\d?-?\d\d?", fullmatch=True))
@examples(300)
def test_a_date_is_one_of_the_years_that_are_laid_out(text):
    day = parsed(parse_date, text, "--start")

    assert day is None or (day.year in YEARS and parse_date(day.isoformat(), "--start") == day)


@given(texts)
@examples(200)
def test_plans_and_instants(text):
    plans, instant = parsed(parse_plans, text), parsed(parse_instant, text)

    assert plans is None or parse_plans(f"{plans.stocks},crypto={plans.crypto}") == plans
    assert instant is None or instant.tzinfo is not None


@given(st.dictionaries(texts, texts | st.integers() | st.floats() | st.none() | st.lists(texts), max_size=3))
@examples(200)
def test_the_settings_of_the_emulator(changes):
    made = parsed(EmulatorSettings().changed, changes)

    assert made is None or made.page_cap >= 1


# --- settings

SECRETS = ("DATABASE_URL", "ALERT_SMTP_PASSWORD", "POLYGON_API_KEY", "MASSIVE_API_KEY")
ADDRESSES = ("POLYGON_BASE_URL", "MASSIVE_BASE_URL", "ALERT_WEBHOOK_URL")
OPEN = ("BACKFILL_HOME", "ALERT_RULES", "ALERT_SMTP_USER", "BACKFILL_DATABASE_PATIENCE")  # may be shown
addresses = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["http://", "https://", "//", "ftp://", "HTTPS://", ""]),
    st.sampled_from(
        ["h", "h:1", "h:x", "h:99999", "[::1]", "[", "[x]", "a..b", "é", "u:p@h", "127.1", ".", "h\tx", "-"]
    )
    | texts,
    st.sampled_from(["", "/", "/v2/", "/a b", "/\x1b"]),
    st.sampled_from(["", "?", f"?apiKey={PASSWORD}", f"#{PASSWORD}"]),
)
numbers = st.floats().map(str) | st.sampled_from(["1e400", "nan", "-1", "", "9" * 5000, "1_0"])
places = st.sampled_from(["~", "~x/y", "~nobody-of-that-name", "/", "a\0b", "x" * 5000, ".", "\x1b"])
values = (
    dict.fromkeys(SECRETS, texts | urls)
    | dict.fromkeys(ADDRESSES, texts | addresses)
    | dict.fromkeys(OPEN, texts | numbers | places)
)


def keep_their_law(settings: Settings):
    key = settings.api_key.reveal()
    assert key.isascii() and key.isprintable() and " " not in key
    for url in (settings.base_url, settings.alert_webhook.reveal()):
        assert url.isascii() and url.isprintable()
    assert "@" not in settings.base_url and not settings.base_url.endswith("/")
    assert 0 <= settings.database_patience_seconds < float("inf")
    assert settings.database_name and settings.database_name.isprintable()
    assert PASSWORD not in settings.database_name and "***" not in settings.database_name
    assert isinstance(settings.secrets, tuple)
    parsed(lambda: check_origin(settings.base_url, insecure_http=False))


@given(environment=st.fixed_dictionaries({}, optional=values), url=st.none() | urls)
@examples(500)
def test_settings_of_any_environment(environment, url):
    settings = parsed(lambda: load_settings(environment, database_url=url))

    if settings is not None:
        keep_their_law(settings)


pairs = st.sampled_from(list(values)).flatmap(lambda name: st.tuples(st.just(name), values[name]))
signs = st.sampled_from(["=", " = ", "", "='", '="'])
lines = st.builds(lambda pair, sign: sign.join(pair), pairs, signs)


@given(
    content=st.lists(lines, max_size=4).map("\n".join).map(lambda text: text.encode("utf-8", "replace"))
    | st.binary(max_size=60)
)
@examples(150)
def test_settings_of_any_file(tmp_path, monkeypatch, content):
    (tmp_path / ".env").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    settings = parsed(load_settings)

    if settings is not None:
        keep_their_law(settings)


# --- results of the benchmark

RESULT = {"timestamp": "2025-01-08T20:00:00Z", "config": {"days": 90}, "requests": {"total": 7}}
RESULT |= {"seconds": dict.fromkeys(PARTS, 1.5)} | dict.fromkeys(COMPARED, 2.5)


@given(content=spoilt(changed(RESULT)) | spoilt(any_json))
@examples(150)
def test_an_earlier_result_of_the_benchmark(tmp_path, content):
    path = tmp_path / "earlier.json"
    path.write_bytes(content)
    try:
        earlier = read_result(path)
    except MeasurementFailed as failure:
        assert "is no result of an earlier run: " in str(failure)
    else:
        assert comparison(RESULT, earlier).rows


# --- alert rules

KEYS = [
    "off",
    "gap.warning_days",
    "gap.critical_days",
    "backfill.failed_days",
    "rate_limit.percent",
    "mail.to",
    "mail.port",
]
KEYS += [
    "freshness.warning_hours",
    "freshness.critical_hours",
    "freshness.missing",
    "mail.from",
    "mail.ca_file",
    "gap",
]
toml = st.sampled_from(
    ["nan", "inf", "-inf", "-1", "0", "1", "1e400", "9" * 400, "9" * 5000, "true", '""', '["x"]', "[" * 5000]
)
toml |= st.sampled_from(
    ["2025-01-01", "{}", '"off"', '["gap"]', '["a@b"]', '"\\u0000"', "{a.b=1}", "'\x1b'", "[[[]]]"]
)
rules = st.lists(st.builds("{} = {}".format, st.sampled_from(KEYS), toml), max_size=3).map("\n".join)


@given(content=(rules | texts).map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=50))
@examples(300)
@example(b"x = 1\n" * 100_000)
def test_alert_rules(tmp_path, content):
    path = tmp_path / "alerts.toml"
    path.write_bytes(content)
    found = parsed(read_rules, path)

    assert found is None or 0 <= found.freshness.warning_hours <= found.freshness.critical_hours <= 1e6
    assert found is None or 0 <= found.gap.warning_days <= found.gap.critical_days <= 36_500


# --- laws of the options themselves

NUMERIC = {
    f"{path} {param.opts[0]}": param
    for path, command in COMMANDS.items()
    if not path.startswith(ONLY_PARSED)
    for param in command.params
    if takes_a_value(param) and type_of(param) in (int, float) and param.opts[0] != "--days"
}


@pytest.mark.parametrize("name", NUMERIC)
def test_every_number_has_two_bounds(name):
    """Some may ask for more than the machine has, or wait for ever. --days: parse_request has them."""
    assert NUMERIC[name].min is not None and NUMERIC[name].max is not None


@given(st.text(st.characters(), max_size=20).map(Path) | st.sampled_from([Path("\udcff"), Path("a\x1bb")]))
@examples(100)
def test_a_path_is_stored_as_text_that_a_database_takes(path):
    assert as_texts({"output": path, "days": 1})["output"].encode()


@given(urls | addresses)
@examples(200)
def test_a_url_is_shown_without_its_password(url):
    settings = parsed(lambda: load_settings({"DATABASE_URL": url}))

    assert settings is None or settings.database_url is None or PASSWORD not in without_password(url)
