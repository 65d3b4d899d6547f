"""Delivery to real receivers, and what is said of one that fails: never the address, never the password."""

import socket
from pathlib import Path

import pytest

from lib.alerts import Mail, Rules
from lib.errors import AlertRulesInvalid, DeliveryFailed, DeliveryRefused
from lib.notify import Message, channels
from lib.settings import Secret, Settings, load_settings
from tests.notify.receivers import PASSWORD, PATH, USER, MailReceiver, WebhookReceiver, self_signed

# Of the receiving server: its own use of its old names, and that it counts TLS from the first byte as none.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Session.login_data:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning"),
]

MESSAGE = Message("market-backfill: 1 critical", ("critical: AAPL <& more>", "next: é"))


def only_channel(webhook="", mail=None, password=""):
    settings = Settings(
        Path("/nonexistent"),
        alert_webhook=Secret(webhook),
        smtp_user=USER if password else "",
        smtp_password=Secret(password),
    )
    [channel] = channels(settings, Rules(mail=mail or Mail()))
    return channel


def mailbox(receiver, security="none", **more):
    return Mail(
        "127.0.0.1",
        receiver.port,
        security,
        "bars@example.com",
        ("ann@example.com", "bob@example.com"),
        **more,
    )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("certificate"))


def test_nobody_is_told_where_nothing_is_set_up():
    assert channels(Settings(Path("/nonexistent")), Rules()) == []


async def test_a_webhook_gets_what_slack_takes():
    async with WebhookReceiver.open() as receiver:
        await only_channel(receiver.url).deliver(MESSAGE)

    assert receiver.posted == [
        {"text": "*market-backfill: 1 critical*\ncritical: AAPL &lt;&amp; more&gt;\nnext: é"}
    ]


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, DeliveryRefused), (302, DeliveryRefused), (429, DeliveryFailed), (503, DeliveryFailed)],
)
async def test_a_webhook_that_refuses_is_named_without_its_address(status, error):
    async with WebhookReceiver.open() as receiver:
        receiver.statuses = [status]
        with pytest.raises(DeliveryFailed, match=str(status)) as raised:
            await only_channel(receiver.url).deliver(MESSAGE)

    assert type(raised.value) is error
    assert_silent(raised.value, receiver.url)


async def test_a_webhook_that_is_not_there_is_named_without_its_address():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}{PATH}"
    with pytest.raises(DeliveryFailed, match="cannot be reached") as raised:
        await only_channel(url).deliver(MESSAGE)

    assert_silent(raised.value, str(port))


def assert_silent(error, secret):
    """Neither the message nor anything an error carries along shows *secret*."""
    assert PATH not in repr(error) and secret not in str(error)
    assert error.__cause__ is None and (error.__context__ is None or error.__suppress_context__)


@pytest.mark.parametrize("url", ["hooks.example.com/secret", "ftp://host/secret", "https://[secret"])
def test_a_webhook_that_is_no_address_is_refused_without_quoting_it(url):
    with pytest.raises(Exception, match="webhook is not an address") as raised:
        load_settings({"ALERT_WEBHOOK_URL": url})

    assert "secret" not in str(raised.value)


def test_no_secret_shows_in_the_settings():
    settings = load_settings({"ALERT_WEBHOOK_URL": f"https://host{PATH}", "ALERT_SMTP_PASSWORD": PASSWORD})

    assert PATH not in repr(settings) and PASSWORD not in repr(settings)


@pytest.mark.parametrize("security", ["starttls", "ssl"])
async def test_mail_goes_encrypted_with_a_login(security, certificate):
    with MailReceiver.open(security, certificate) as receiver:
        box = mailbox(receiver, security, ca_file=str(certificate))
        await only_channel(mail=box, password=PASSWORD).deliver(MESSAGE)

    [mail] = receiver.mails
    assert (mail["Subject"], mail["To"]) == (MESSAGE.subject, "ann@example.com, bob@example.com")
    assert tuple(mail.get_content().splitlines()) == MESSAGE.lines
    assert receiver.logins == [(USER, PASSWORD)]


@pytest.mark.parametrize("security", ["starttls", "ssl"])
async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(security, certificate):
    with (
        MailReceiver.open(security, certificate) as receiver,
        pytest.raises(DeliveryFailed, match="cannot be used"),
    ):
        await only_channel(mail=mailbox(receiver, security), password=PASSWORD).deliver(MESSAGE)

    assert receiver.logins == []


async def test_starttls_is_not_left_out_where_the_server_has_none():
    with MailReceiver.open() as receiver, pytest.raises(DeliveryFailed):
        await only_channel(mail=mailbox(receiver, "starttls")).deliver(MESSAGE)

    assert receiver.mails == []


async def test_a_wrong_password_is_refused_and_not_shown(certificate):
    with MailReceiver.open("starttls", certificate) as receiver:
        box = mailbox(receiver, "starttls", ca_file=str(certificate))
        with pytest.raises(DeliveryRefused, match="refused the login") as raised:
            await only_channel(mail=box, password="not it").deliver(MESSAGE)

    assert "not it" not in str(raised.value)


@pytest.mark.parametrize(("answer", "error"), [("451 later", DeliveryFailed), ("554 no", DeliveryRefused)])
async def test_a_mail_server_says_whether_to_come_again(answer, error):
    with MailReceiver.open() as receiver:
        receiver.answers = [answer]
        with pytest.raises(DeliveryFailed, match=answer[:3]) as raised:
            await only_channel(mail=mailbox(receiver)).deliver(MESSAGE)

    assert type(raised.value) is error


def test_a_password_is_never_sent_in_the_clear():
    with pytest.raises(AlertRulesInvalid, match=r"mail\.security"):
        only_channel(mail=Mail(security="none", to=("ann@example.com",)), password=PASSWORD)
