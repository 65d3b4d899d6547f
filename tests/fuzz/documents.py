"""JSON as nobody should write it: real documents with values, keys and bytes changed, down to single tokens.

Documents are trees of plain values, lists, ``Fields`` (an object whose keys may repeat) and ``Token``.
"""

import json
from dataclasses import dataclass

from hypothesis import strategies as st

KEY = "s3cr3t-K3y+of/the=vendor"
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Token:
    """A piece of JSON, or of what is none, written as it stands."""

    text: str


class Fields(list):
    """The pairs of an object, in their order."""


def tree(value):
    """A JSON value in the form that can be changed: every part of it a new one."""
    if isinstance(value, dict):
        return Fields([name, tree(one)] for name, one in value.items())
    return [tree(one) for one in value] if isinstance(value, list) else value


def written(node) -> str:
    if isinstance(node, Token):
        return node.text
    if isinstance(node, Fields):
        return "{" + ",".join(f"{json.dumps(name)}:{written(value)}" for name, value in node) + "}"
    if isinstance(node, list):
        return "[" + ",".join(map(written, node)) + "]"
    return json.dumps(node)


TOKENS = [
    *(
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "-1e400",
        "1e-400",
        "1e308",
        "5e-324",
        "-0",
        "-0.0",
        "01",
        "1.",
    ),
    *(
        ".5",
        "+1",
        "1_000",
        "0x10",
        "1e",
        "--1",
        "tru",
        "undefined",
        "'x'",
        "",
        " ",
        "// no",
        "1/**/",
        "9" * 400,
    ),
    *("9" * 5000, "0." + "9" * 5000, "1e" + "9" * 400, str(2**53 + 1), str(2**64), "12345678901234567890.5"),
    *(
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\\u0000"',
        '"\\x"',
        '"\\u12"',
        '"\x00"',
        '"\x1b[2J"',
        '"\u202etxt"',
        '"',
    ),
    *("[" * n + "]" * n for n in (3, 490, 900, 980, 995, 5000)),
    *('{"a":' * n + "1" + "}" * n for n in (3, 490, 980, 5000)),
    *("[" * 3000, "]", "}", ",", '{"a":1,"a":2}', "{,}", "[1,]", '{"a"}', f'"{KEY}"', f'{{"x":"{KEY}"}}'),
]
VALUES = [None, True, False, "", "1", "1.5", "NaN", "null", "OK", "x" * 5000, KEY, [], Fields(), [[]], [None]]
NUMBERS = [0, -1, 1, 0.5, -0.5, 1e-9, 1e15, 2**31, 2**53, 2**63, -(2**63), 10**18, 10**30, 253402300800000]
NUMBERS += [-62135596800000, -1700000040000, 1e16, 1.7976931348623157e308]

odd_values = (
    st.sampled_from([Token(text) for text in TOKENS])
    | st.sampled_from(VALUES)
    | st.sampled_from(NUMBERS)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers()
    | st.text(max_size=20)
)
any_json = st.recursive(
    odd_values,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(st.tuples(st.text(max_size=8), inner).map(list), max_size=4).map(Fields)
    ),
    max_leaves=12,
)


def places(node):
    """Each value of a tree, as the list it stands in and its number there."""
    for number, one in enumerate(node):
        holder, place = (one, 1) if isinstance(node, Fields) else (node, number)
        yield node, number, holder, place
        if isinstance(holder[place], list):
            yield from places(holder[place])


@st.composite
def changed(draw, document, most=3):
    """*document* (plain JSON values) with at most so many changes, as a tree."""
    root = [tree(document)]
    for _ in range(draw(st.integers(0, most))):
        if root:
            _change(draw, *draw(st.sampled_from(list(places(root)))))
    return root[0] if root else None


def _change(draw, node, number, holder, place):
    match draw(st.sampled_from(("value", "value", "value", "remove", "repeat", "rename", "swap"))):
        case "value":
            holder[place] = tree_copy(draw(odd_values))
        case "remove":
            del node[number]
        case "repeat":
            # The copy shares nothing, so that a later change meets one of the two.
            again = tree_copy(node[number])
            if isinstance(node, Fields) and draw(st.booleans()):
                again[1] = tree_copy(draw(odd_values))
            node.insert(draw(st.integers(0, len(node))), again)
        case "rename" if isinstance(node, Fields):
            node[number][0] = draw(st.text(max_size=5) | st.sampled_from([f"{holder[0]}s", "T", "status"]))
        case _:
            other = draw(st.integers(0, len(node) - 1))
            node[number], node[other] = node[other], node[number]


def tree_copy(node):
    return type(node)(map(tree_copy, node)) if isinstance(node, list) else node


@st.composite
def spoilt(draw, documents):
    """The bytes of one of *documents* (a strategy of trees), most often as they are."""
    content = written(draw(documents)).encode("utf-8", "surrogatepass")
    at = draw(st.integers(0, len(content)))
    match draw(st.sampled_from(("as it is",) * 5 + ("cut", "bom", "after", "bytes", "twice", "utf-16"))):
        case "cut":
            return content[:at]
        case "bom":
            return BOM + content
        case "after":
            return content + draw(st.sampled_from([b" \n", b"\x00", b"}", b"null", b"\xff", content]))
        case "bytes":
            junk = draw(
                st.sampled_from([b"\xff", b"\xc3", b"\x00", b"\xed\xa0\x80", BOM]) | st.binary(max_size=4)
            )
            return content[:at] + junk + content[at + draw(st.integers(0, 4)) :]
        case "twice":
            return content[:at] + content
        case "utf-16":
            return content.decode("utf-8", "replace").encode("utf-16")
    return content
