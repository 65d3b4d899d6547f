"""What a person may type for a word, a number, a place or an address."""

from urllib.parse import parse_qs, urlsplit

from hypothesis import strategies as st

PASSWORD = "pw0Secret7of9"

# What no file system and no program's arguments can hold is left out: NUL.
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
ODD_WORDS = [
    *(
        "",
        " ",
        ",",
        "-",
        "--",
        "@",
        "@@",
        "@.",
        "@/dev/zero",
        "@/dev/null",
        "@" + "x" * 5000,
        "*",
        "%",
        "'",
        "../..",
    ),
    *(
        "\x1b[2J",
        "\x07",
        "\r\n",
        "\u202eLPAA",
        "\u2028",
        "\udcff",
        "\ufeffAAPL",
        "$(id)",
        "A" * 5000,
        "[red]x[/]",
    ),
    *(
        "all",
        "all,",
        "AAPL",
        "X:LTCUSD",
        "BRK.B",
        "aapl,,SPY",
        "1h,1d",
        "1H",
        "1h,1h",
        "60m",
        "raw",
        "csv",
        "staggered",
    ),
    *(
        "starter",
        "starter,crypto=basic",
        "crypto=",
        "2025-01-01",
        "2025-1-1",
        "20250101",
        "2025-W01-1",
        "2025-02-30",
    ),
    *("0001-01-01", "9999-12-31", "1969-12-31", "2100-01-01", "٢٠٢٥-٠١-٠١", "today", "2025-01-08T20:00:00Z"),
    *(
        "2025-01-08T20:00:00",
        "9999-12-31T23:59:59-23:59",
        "{}",
        "[]",
        "null",
        "1",
        "[" * 2000,
        '{"x":1}',
        '{"key":1}',
    ),
    *(
        '{"rate_limit": 1e400}',
        '{"rate_window_seconds": NaN}',
        '{"page_cap":0}',
        '[{"kind":"stall","path":"("}]',
    ),
    '[{"kind":"rate_limited","every":0}]',
]
ODD_NUMBERS = [
    *(
        "",
        " ",
        "-1",
        "0",
        "1",
        "2",
        "1.5",
        "1_000",
        "٣",
        "1e3",
        "0x10",
        "+1",
        " 1 ",
        "1,5",
        "-0",
        "-0.0",
        "x",
        "36500",
    ),
    *(
        "nan",
        "-nan",
        "inf",
        "-inf",
        "infinity",
        "1e308",
        "1e400",
        "5e-324",
        "9" * 20,
        "9" * 400,
        "9" * 5000,
        "36501",
    ),
    *(str(2**31), str(2**63), "65535", "65536"),
]
# None in which a run by root would leave something beside its working folder.
ODD_PLACES = [
    *("", ".", "-", "audit.json", "nowhere/audit.json", "folder", "folder/", "link", "dangling"),
    *(
        "audit.json/x",
        "/dev/null",
        "/dev/full",
        "/dev/null/x",
        "/proc/none/x",
        "~nobody-of-that-name/x",
        "x" * 300,
    ),
    *("x/" * 3000, "\x1b[2J", "\udcff", "a\nb", "é", "$HOME", "*", "%s"),
]
odd_words = st.sampled_from(ODD_WORDS)
numbers = st.integers().map(str) | st.floats().map(repr) | st.sampled_from(ODD_NUMBERS)
places = st.sampled_from(ODD_PLACES) | words.filter(lambda text: text[:1] not in "/~" and ".." not in text)


def is_harmless(url):
    """Whether trying it asks nobody but port 1 of this machine, where nobody listens."""
    if not url.strip().lower().startswith("postgres"):
        return True
    try:
        parts = urlsplit(url)
        return (parts.hostname, parts.port) == ("127.0.0.1", 1) and not parse_qs(parts.query).keys() & {
            "host",
            "port",
        }
    except ValueError:
        return True


SCHEMES = ["postgres", "postgresql", "POSTGRESQL", "mysql"]
QUERIES = ["", "?sslmode=x", "?sslmode=require", "?a=b", "?password=x", "?user=%00", "?x", "?port=1,2", "#x"]
BROKEN = ["postgresql://[", "postgresql://127.0.0.1:x/y", "postgresql://127.0.0.1:99999/y", "postgres"]
somewhere = st.builds(
    "{}://{}:{}@127.0.0.1:1/{}{}".format,
    st.sampled_from(SCHEMES),
    words | odd_words,
    st.just(PASSWORD),
    words | odd_words,
    st.sampled_from(QUERIES) | words.map("?{}".format),
)
urls = (words | odd_words | somewhere | st.sampled_from(BROKEN)).filter(is_harmless)
