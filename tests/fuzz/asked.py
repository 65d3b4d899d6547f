"""Ten minutes of AAPL, read by the decoder of the toolkit and, for comparison, by Python's own JSON."""

import gzip
import json
import unicodedata
from collections import Counter

from hypothesis import strategies as st
from yarl import URL

from lib.errors import BackfillError
from lib.settings import Secret
from lib.symbols import AssetClass, Instrument
from lib.timeframe import Timeframe
from lib.vendor.answers import Answer
from lib.vendor.decode import BarsAnswer, Refusal, decode
from lib.vendor.paging import PageRequest, read_page
from lib.vendor.redact import Redactor
from tests.fuzz.documents import BOM, KEY, changed, spoilt
from tests.vendor.asking import END, MINUTE, PATH, START, answer

ORIGIN = URL("https://vendor.example")
AAPL = Instrument("AAPL", AssetClass.STOCK, "AAPL")
REQUEST = PageRequest(AAPL, Timeframe.M1, START, END)
LONGEST = 2**18
NUMBERS = ("o", "h", "l", "c", "v", "vw")
COLUMNS = ("open", "high", "low", "close", "volume", "vwap")

prices = st.floats(0, 1e6) | st.sampled_from([10, 10.5, 0.1, 1e-9, 1234567.0, 0.30000000000000004, 5e-324])


@st.composite
def true_bars(draw, minutes=10):
    """Bars as the vendor may send them, oldest first."""
    stamps = sorted(draw(st.sets(st.integers(0, minutes - 1), max_size=5)))
    return [_bar(draw, START + minute * MINUTE) for minute in stamps]


def _bar(draw, t):
    low, open_, close, high = sorted(draw(st.tuples(prices, prices, prices, prices)))
    bar = {"v": draw(prices), "o": open_, "c": close, "h": high, "l": low, "t": t}
    more = {"vw": draw(prices | st.none()), "n": draw(st.integers(0, 2**53) | st.none())}
    return bar | {name: value for name, value in more.items() if draw(st.booleans())}


@st.composite
def answers(draw, most=3):
    """Trees of aggregates answers, with at most so many changes."""
    return draw(changed(answer(*draw(true_bars()), count=...), most))


bodies = spoilt(answers())


def answer_of(body: bytes, encoding="", status=200, longest=LONGEST) -> Answer:
    """*body* as it would have come off the wire."""
    return Answer(f"GET {PATH}", status, body, encoding, None, None, Redactor(Secret(KEY)), longest)


def page_of(body: bytes, encoding="", longest=LONGEST, request=REQUEST):
    """The page and what to ask next, as the client reads an answer. Raises what it would raise."""
    given = answer_of(body, encoding, longest=longest)
    document = decode(given, BarsAnswer)
    if isinstance(document, Refusal):
        raise document.error
    return read_page(request, given, document, ORIGIN)


def refused_properly(error: BackfillError) -> None:
    """What any error may say: one line of plain text, of bounded length, without the key."""
    text = f"{error} {error.hint}"
    assert KEY not in text
    assert len(text) < 1000
    assert [c for c in text if unicodedata.category(c) in ("Cc", "Cs")] == []


def bits(number: float) -> str:
    """A text that no two different numbers share; both zeros are one."""
    return float.hex(number + 0.0)


def found_in(bars) -> Counter:
    """Bars as they would be stored, each as a tuple."""
    columns = [bars.t.tolist(), *(map(bits, getattr(bars, name).tolist()) for name in COLUMNS)]
    return Counter(zip(*columns, bars.trades.tolist(), strict=True))


def written_in(body: bytes, encoding="") -> Counter:
    """The same of what *body* says, read by Python's own JSON, which is stricter where nobody looks."""
    return Counter(map(stored, results_in(gzip.decompress(body) if encoding else body)))


def results_in(content: bytes) -> list:
    return document_in(content).get("results") or []


def document_in(content: bytes) -> dict:
    text = content.removeprefix(BOM).decode("utf-8", "replace")
    return json.loads(text, parse_int=float, strict=False)


def stored(bar):
    """What is stored of one bar as Python reads it."""
    numbers = [float("nan") if bar.get(name) is None else bar[name] for name in NUMBERS]
    trades = bar.get("n")
    known = trades is not None and trades.is_integer() and 0 <= trades <= 2**53
    return (int(bar["t"]), *map(bits, numbers), int(trades) if known else -1)
