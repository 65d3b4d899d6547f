"""The page in a real browser: readable at any width, in light and dark, with and without its script."""

import asyncio
import base64
import json
import re
import shutil
import struct
import subprocess
import zlib
from contextlib import asynccontextmanager

import aiohttp
import pytest

from lib.page import Page, render
from tests.unit.pages import all_states, audit, shown

BROWSER = shutil.which("chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
SECONDS = 30.0  # for each answer of the browser

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium here; .ci/run installs it")


class Tab:
    """A page in the browser, told what to do by its debugging protocol."""

    def __init__(self, socket):
        self._socket, self._number, self._events = socket, 0, []

    async def call(self, method, **parameters):
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        answer = await self._received(lambda message: message.get("id") == self._number)
        assert "error" not in answer, answer
        return answer["result"]

    async def _received(self, wanted):
        async with asyncio.timeout(SECONDS):
            while not wanted(message := await self._socket.receive_json()):
                self._events.append(message.get("method"))
        return message

    async def show(self, path, width=1280, scheme="light", *, script=True):
        await self.call("Emulation.setScriptExecutionDisabled", value=not script)
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        await self.call(
            "Emulation.setEmulatedMedia",
            features=[
                {"name": "prefers-color-scheme", "value": scheme},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ],
        )
        await self.call("Page.enable")
        self._events.clear()
        await self.call("Page.navigate", url=path.as_uri())
        if "Page.loadEventFired" not in self._events:
            await self._received(lambda message: message.get("method") == "Page.loadEventFired")

    async def ask(self, expression):
        answer = await self.call("Runtime.evaluate", expression=f"JSON.stringify({expression})")
        assert "exceptionDetails" not in answer, answer
        return json.loads(answer["result"]["value"])

    async def picture(self):
        return base64.b64decode((await self.call("Page.captureScreenshot"))["data"])


@asynccontextmanager
async def opened_tab(folder):
    process = await asyncio.create_subprocess_exec(
        BROWSER,
        *FLAGS,
        f"--user-data-dir={folder}",
        "about:blank",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(SECONDS):
            while not (found := re.search(rb"listening on ws://([\d.:]+)/", await process.stderr.readline())):
                assert process.returncode is None
        draining = asyncio.create_task(process.stderr.read())
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://{found[1].decode()}/json") as answer:
                [address] = [
                    tab["webSocketDebuggerUrl"] for tab in await answer.json() if tab["type"] == "page"
                ]
            async with session.ws_connect(address, max_msg_size=0) as socket:
                yield Tab(socket)
    finally:
        process.terminate()
        await process.wait()
        await draining


@pytest.fixture
async def tab(tmp_path_factory):
    """A browser of the test's own, with nothing in it."""
    async with opened_tab(tmp_path_factory.mktemp("browser")) as tab:
        yield tab


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.html"
    path.write_text(render(all_states()), encoding="utf-8")
    return path


# The elements whose text stands out too little from what is behind it, with the ratio. (WCAG 1.4.3)
FAINT = """(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = parts(colour).map((v) => (v / 255 + 0.055) ** 2.4 / 1.055 ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const colour = getComputedStyle(element).backgroundColor;
      if ((parts(colour)[3] ?? 1) > 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const faint = [];
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const colour = element instanceof SVGElement ? style.fill : style.color;
    if (element.closest("title")) continue;
    const [a, b] = [light(colour), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.push([element.tagName, element.textContent.slice(0, 30), colour, ratio]);
  }
  return faint;
})()"""

OUTSIDE = """[...document.body.querySelectorAll("*")]
  .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .filter((e) => !e.closest(".aside, .marks"))
  .map((e) => e.outerHTML.slice(0, 80))"""


def distinct_rows(picture):
    """How many rows of a PNG differ from all others: 1 of an empty page."""
    (height,) = struct.unpack(">I", picture[20:24])
    data, at = b"", 8
    while at < len(picture):
        length, kind = struct.unpack(">I4s", picture[at : at + 8])
        data += picture[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    raw = zlib.decompress(data)
    step = len(raw) // height
    return len({raw[n * step : (n + 1) * step] for n in range(height)})


@pytest.mark.parametrize("width", [360, 1280])
async def test_it_is_readable_without_moving_it_sideways_in_light_and_dark(tab, page, width):
    papers = {}
    for scheme in ("light", "dark"):
        await tab.show(page, width, scheme)

        assert await tab.ask("innerWidth") == width
        assert await tab.ask("document.documentElement.scrollWidth <= innerWidth")
        assert await tab.ask(OUTSIDE) == []
        assert await tab.ask(FAINT) == []
        assert distinct_rows(await tab.picture()) > 100
        papers[scheme] = await tab.ask(
            "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
        )

    assert min(papers["light"]) > 240
    assert max(papers["dark"]) < 40


SHOWN = """["tr", "article"].map((kind) => [...document.querySelectorAll(`${kind}[data-symbol]`)]
  .filter((e) => !e.hidden).map((e) => e.dataset.symbol))"""


async def test_symbols_are_found_ordered_and_opened(tab, page):
    names = [symbol.symbol for symbol in all_states().symbols]
    await tab.show(page)
    assert await tab.ask(SHOWN) == [names, names]

    async def typed(script):
        await tab.ask(f"(({{find, only, worst}}) => {{ {script} }})(controls.elements) ?? 0")
        await tab.ask("controls.dispatchEvent(new Event('input'))")
        matrix, calendars = await tab.ask(SHOWN)
        assert matrix == calendars
        return matrix

    assert await typed("find.value = 'b'") == ["BRK.B", "BTC", "X:ABCDEFGHUSD"]
    assert await typed("find.value = ''; only.checked = true") == ["EVERY", "X:ABCDEFGHUSD"]
    assert await typed("worst.checked = true") == ["X:ABCDEFGHUSD", "EVERY"]
    assert await typed("only.checked = false; worst.checked = false") == names


async def test_a_folded_calendar_opens_when_the_matrix_leads_to_it(tab, tmp_path):
    path = tmp_path / "many.html"
    path.write_text(render(Page(audit(), [shown(f"S{n:03}") for n in range(100)])))
    await tab.show(path)
    opened = "document.querySelectorAll('details[open]').length"
    assert await tab.ask(opened) == 0

    await tab.ask("document.querySelector('.matrix a[href=\"#s70\"]').click() ?? 0")
    in_sight = "(top => 0 < top && top < 900)(document.querySelector('#s70 svg').getBoundingClientRect().top)"
    async with asyncio.timeout(30):
        while not await tab.ask(in_sight):  # noqa: ASYNC110  scrolling has no event of ours
            await asyncio.sleep(0.01)
    assert await tab.ask(opened) == 1


# What can be read, also where nobody has looked yet: that is laid out whenever a frame is drawn.
TEXT = """(
  document.querySelectorAll("article").forEach((one) => { one.style.contentVisibility = "visible"; }),
  document.body.innerText
)"""


async def test_without_its_script_it_says_the_same(tab, page):
    await tab.show(page)
    with_script = await tab.ask(f"(document.querySelector('#controls').remove(), {TEXT})")

    await tab.show(page, script=False)

    assert await tab.ask("document.querySelector('#controls').offsetParent === null")
    assert await tab.ask(TEXT) == with_script
