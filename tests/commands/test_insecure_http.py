"""Plain HTTP to another machine: no command sends the key there unless that was typed."""

import socket
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

ADDRESS_OF_DOCUMENTATION = ("192.0.2.1", 9)
ASKED = ("--symbols", "AAPL", "--timeframes", "1d", "--days", "9", "--max-requests", "3")
COMMANDS = {
    "master_backfill.py": (*ASKED, "--output", "audit.json"),
    "scripts/backfill_ohlcv.py": ASKED,
    "scripts/backfill_gaps.py": ("fill", *ASKED),
    "scripts/backfill_corporate_actions.py": ("--symbols", "AAPL"),
    "scripts/backfill_status.py": ("freshness", "--fill", "--symbols", "AAPL", "--timeframes", "1d"),
    "scripts/backfill_status.py symbols": ("add", "ZM"),
    "scripts/backfill_status.py doctor": (),
}


def address_of_this_machine():
    """One that is not loopback, if it has any; nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        try:
            route.connect(ADDRESS_OF_DOCUMENTATION)
        except OSError:
            return None
        return route.getsockname()[0]


@asynccontextmanager
async def refusing_vendor(host):
    """Refuses every key; yields its address and the keys it was sent."""
    keys = []

    async def refuse(request):
        keys.append(request.headers.get("Authorization"))
        return web.json_response({"status": "ERROR", "error": "Unknown API Key"}, status=401)

    runner = web.ServerRunner(web.Server(refuse, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, host, 0).start()
    try:
        yield f"http://{host}:{runner.addresses[0][1]}", keys
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("name", COMMANDS)
async def test_the_key_goes_there_only_with_the_option(command, calendars, name):
    host = address_of_this_machine()
    if host is None or host.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    script, *words = name.split()
    async with refusing_vendor(host) as (url, keys):
        refused = await command(script, *words, *COMMANDS[name], POLYGON_BASE_URL=url)
        assert (refused.status, keys) == (2, []), refused.stderr
        said = " ".join((refused.stderr + refused.stdout).split())
        assert f"the key would go to {url} unencrypted" in said
        assert "--insecure-http where the network is yours" in said

        sent = await command(script, *words, *COMMANDS[name], "--insecure-http", POLYGON_BASE_URL=url)

    assert "unencrypted" not in sent.stderr + sent.stdout
    assert "Unknown API Key" in sent.stderr + sent.stdout
    assert keys and all(key.startswith("Bearer ") for key in keys)
