"""The key: sent in a header, and never said."""

import logging
import traceback

import pytest

from lib.errors import VendorError
from lib.retry import RetryPolicy
from lib.settings import Secret
from tests.vendor.asking import LIMITED, answer, bar, error_of, read


def told(error):
    """All that any way of printing *error* could show."""
    seen = []
    while error is not None:
        seen += [
            str(error),
            repr(error),
            repr(error.args),
            repr(vars(error)),
            *getattr(error, "__notes__", ()),
        ]
        seen += traceback.format_exception(error)
        error = error.__cause__ or error.__context__
    return "\n".join(seen)


LEAKS = [
    lambda vendor: vendor.reply({"error": f"Unknown API Key {vendor.key}"}, status=401),
    lambda vendor: vendor.reply({"error": vendor.key[:9] + "\x07\u200b" + vendor.key[9:]}, status=403),
    lambda vendor: vendor.reply({"error": "x" * 185 + vendor.key}, status=500),
    lambda vendor: vendor.reply(b"<p>GET /?apiKey=s3cr3t-K3y%2bof%2Fthe%3Dvendor</p>", status=502),
    lambda vendor: vendor.reply(LIMITED | {"error": vendor.key}, status=429, headers={"Retry-After": "400"}),
    lambda vendor: vendor.reply(vendor.key.encode()),
    lambda vendor: vendor.reply(b'{"status":"\xff' + vendor.key.encode() + b'"}'),
    lambda vendor: vendor.reply(answer(ticker=vendor.key)),
    lambda vendor: vendor.reply({"status": vendor.key, "error": vendor.key}),
    lambda vendor: vendor.reply(answer(bar(0), next_url=f"https://{vendor.key}@example.com/")),
    lambda vendor: vendor.reply(answer(bar(0), next_url=f"http://{vendor.key}")),
    lambda vendor: vendor.reply(b"", headers={"Content-Encoding": vendor.key}),
    lambda vendor: vendor.raw(f"{vendor.key}\r\n\r\n".encode()),
    lambda vendor: vendor.raw(f"HTTP/1.1 200 OK\r\n{vendor.key}\r\n\r\n".encode()),
    lambda vendor: vendor.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + vendor.key.encode()),
    lambda vendor: vendor.reset(),
    lambda vendor: vendor.stall(),
]


@pytest.mark.parametrize("leak", LEAKS)
async def test_nothing_that_is_said_holds_the_key(vendor, open_client, aapl, leak, caplog):
    caplog.set_level(logging.DEBUG)
    for _ in range(3):
        leak(vendor)
    async with open_client(policy=RetryPolicy(max_attempts=2), timeout_seconds=0.1) as client:
        with pytest.raises(VendorError) as caught:
            await read(client, aapl)
        shown = "\n".join([told(caught.value), caplog.text, repr(client), repr(vars(client))])

    assert len(shown) > 300
    for form in (
        vendor.key,
        vendor.key.replace("+", "%2b").replace("/", "%2F").replace("=", "%3D"),
        "s3cr3t",
    ):
        assert form.lower() not in shown.lower()


async def test_without_a_key_the_vendors_words_are_left_alone(vendor, open_client, aapl):
    vendor.reply({"status": "ERROR", "error": "API Key was not provided"}, status=401)
    error = await error_of(open_client, aapl, key=Secret(""))

    assert str(error).endswith("HTTP 401: API Key was not provided")
