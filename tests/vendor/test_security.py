"""What SECURITY.md promises of the way to the vendor and of the log."""

import logging
from pathlib import Path

import pytest

from lib.clock import SystemClock
from lib.commands.options import parse_terms
from lib.commands.running import Output, set_up_logging
from lib.errors import UsageError
from lib.settings import Secret, Settings, check_origin, load_settings
from lib.wiring import open_toolkit

ELSEWHERE = "http://192.0.2.1"


@pytest.mark.parametrize(
    "url",
    ["https://192.0.2.1", "http://127.0.0.1:80", "http://127.9.9.9", "http://[::1]:8", "http://localhost"],
)
def test_the_key_may_go_over_tls_or_within_this_machine(url):
    check_origin(url, insecure_http=False)


@pytest.mark.parametrize(
    "url", [ELSEWHERE, "http://localhost.example.com", "http://127.0.0.1.example.com", "http://[2001:db8::1]"]
)
def test_nothing_else_is_near_enough(url):
    with pytest.raises(UsageError, match="unencrypted") as refused:
        check_origin(url, insecure_http=False)
    assert "--insecure-http" in refused.value.hint
    check_origin(url, insecure_http=True)


async def test_a_toolkit_for_plain_http_opens_only_if_that_was_typed(database):
    settings = Settings(Path("/nonexistent"), Secret("key"), ELSEWHERE)
    with pytest.raises(UsageError, match="unencrypted"):
        async with open_toolkit(settings, parse_terms(0, None, 1, 0, demo=True), SystemClock(), database):
            pass
    typed = parse_terms(0, None, 1, 0, demo=True, insecure_http=True)
    async with open_toolkit(settings, typed, SystemClock(), database) as toolkit:
        assert toolkit.budget_spent


@pytest.fixture
def logging_as_before():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_the_log_is_private_and_shows_no_secret_in_a_traceback(tmp_path, logging_as_before):
    secrets = (
        "the-key",
        "pa/ss-word",
        "pa%2fss-word",
        "pa%2Fss-word",
        "other-word",
        "mail-word",
        "https://hook/x",
    )
    settings = load_settings(
        {
            "POLYGON_API_KEY": "the-key",
            "DATABASE_URL": "postgresql://me:pa%2fss-word@host/name?password=other-word",
            "ALERT_SMTP_PASSWORD": "mail-word",
            "ALERT_WEBHOOK_URL": "https://hook/x",
        }
    )
    path = tmp_path / "log"
    set_up_logging(Output(quiet=True, log_file=path), settings)
    try:
        raise ValueError(" ".join(secrets))
    except ValueError:
        logging.getLogger("some").exception("failed with %s", secrets)

    text = path.read_text()
    assert "Traceback" in text and "***" in text
    assert [secret for secret in secrets if secret in text] == []
    assert path.stat().st_mode & 0o077 == 0


def test_the_log_never_goes_through_a_symbolic_link(tmp_path, logging_as_before):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(UsageError, match="symbolic link"):
        set_up_logging(Output(quiet=True, log_file=tmp_path / "link"), load_settings({}))
    assert not (tmp_path / "target").exists()


def test_a_log_that_is_there_keeps_its_mode_and_its_lines(tmp_path, logging_as_before):
    path = tmp_path / "log"
    path.write_text("before\n")
    path.chmod(0o640)
    set_up_logging(Output(quiet=True, log_file=path), load_settings({}))
    logging.getLogger("some").warning("after")

    assert path.stat().st_mode & 0o777 == 0o640
    assert path.read_text().startswith("before\n") and "after" in path.read_text()
