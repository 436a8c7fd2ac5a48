"""Law: formatting keeps what is loaded and every comment, and is done when it is done once."""

from __future__ import annotations

import json
from collections.abc import Iterable

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deputize.config.problems import ConfigError
from deputize.config.strict_yaml import Value, parse_documents
from deputize.config.yaml_comments import find_comments, place_comments
from deputize.config.yaml_tree import read_trees
from deputize.config.yaml_writer import write_trees

LAW = settings(max_examples=300, deadline=None)

WORDS = (
    *("a", "b c", "no", "on", "y", "true", "null", "~", "", " ", " a", "a ", "1", "1.5", "1e3"),
    *("0x1f", "08:00", "2026-01-01", "2026-12-31T18:00:00+01:00", "-1", "- a", "-a", "? a", ".5"),
    *(": a", "a: b", "a:", "a #b", "#a", "a#b", "[a]", "{a}", "a,b", "a]", "*a", "*", "&a", "!a"),
    *(
        "|",
        ">",
        "'a'",
        '"a"',
        "it's",
        'say "a"',
        "a\\b",
        "%a",
        "@a",
        "`a`",
        "---",
        "...",
        "=",
        "<<",
    ),
    *("/v1/{id}", "/v1/**", "spiffe://td/a/*", "https://a.t:8/?x#y", "a\nb", "a\n", "\na", " \n a"),
    *("a\tb", "\u00e9", "\u2028", "\x85", "\ufeff", "\U0001f600", "a\x07", "x" * 60),
)
texts = st.sampled_from(WORDS) | st.text(max_size=8).filter(lambda text: "\0" not in text)
scalars = st.none() | st.booleans() | st.integers(-99, 99) | texts
values: st.SearchStrategy[Value] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
comments = st.sampled_from(["", "", "", " # a comment", "  #x", " # 'quoted' [b]: - c"])
lines_between = st.lists(
    st.sampled_from(["", "# alone", "  # indented", "      # further", "#"]), max_size=2
)


def write(draw: st.DrawFn, value: Value, indent: int, *, in_flow: bool = False) -> Iterable[str]:
    """Lines of one way to write the value; the first goes behind what is written already."""
    is_flow = in_flow or draw(st.booleans())
    if isinstance(value, dict | list) and is_flow:
        yield from flow(draw, value, indent)
    elif not isinstance(value, dict | list):
        yield " " + scalar(draw, value, indent, in_flow=in_flow) + draw(comments)
    elif not value:
        yield (" {}" if isinstance(value, dict) else " []") + draw(comments)
    else:
        yield draw(comments)
        inner = indent + draw(st.integers(1, 4))
        pad = " " * inner
        entries = value.items() if isinstance(value, dict) else ((None, each) for each in value)
        for key, each in entries:
            yield from draw(lines_between)
            head = "-" if key is None else f"{json.dumps(key)}:"
            first, *rest = write(draw, each, inner)
            yield f"{pad}{head}{first}"
            yield from rest
        yield from draw(lines_between)


def flow(draw: st.DrawFn, value: Value, indent: int) -> Iterable[str]:
    """The same in braces or brackets, on one line or on many."""
    is_map = isinstance(value, dict)
    pad = " " * (indent + 1)
    if not isinstance(value, dict | list):
        yield " " + scalar(draw, value, indent, in_flow=True)
        return
    yield (" {" if is_map else " [") + draw(comments)
    entries = value.items() if isinstance(value, dict) else ((None, each) for each in value)
    for key, each in entries:
        head = "" if key is None else f"{json.dumps(key)}:"
        first, *rest = flow(draw, each, indent + 1)
        yield f"{pad}{head}{first}"
        yield from rest
        yield f"{pad},{draw(comments)}"
        yield from draw(lines_between)
    yield pad + ("}" if is_map else "]") + ("" if indent else draw(comments))


def scalar(draw: st.DrawFn, value: Value, indent: int, *, in_flow: bool) -> str:
    if value is None:
        return draw(st.sampled_from(["null", "~"]))
    if not isinstance(value, str):
        return json.dumps(value)
    forms = [json.dumps(value), json.dumps(value, ensure_ascii=False)]
    if value.isprintable():
        forms += ["'" + value.replace("'", "''") + "'", value or "''"]
    if not in_flow and "\n" in value:
        pad = "\n" + " " * (indent + 5)
        forms += [f"{mark}{pad}{pad.join(value.split(chr(10)))}" for mark in ("|", ">-", "|+")]
    return draw(st.sampled_from(forms))


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Texts that may be YAML with comments in it; most are."""
    parts = []
    for value in draw(st.lists(values, min_size=1, max_size=2)):
        lines = [*draw(lines_between), "---", *write(draw, value, -1)]
        parts += lines
    return "\n".join(parts) + draw(st.sampled_from(["\n", "", "\n\n# end\n"]))


def rewrite(text: str) -> str:
    trees = read_trees(text)
    place_comments(text, trees, find_comments(text, trees))
    return write_trees(trees, {"a", "b c"})


def comment_texts(text: str) -> list[str]:
    return sorted(comment.text for comment in find_comments(text, read_trees(text)))


def load(text: str) -> list[Value]:
    return [document.value for document in parse_documents(text.encode(), "")]


def load_if_good(text: str) -> list[Value] | None:
    try:
        return load(text)
    except (ConfigError, UnicodeEncodeError):
        return None


@LAW
@given(documents())
def test_formatting_keeps_all(text: str) -> None:
    before = load_if_good(text)
    assume(before is not None)
    after = rewrite(text)
    assert load(after) == before
    assert comment_texts(after) == comment_texts(text)
    assert rewrite(after) == after
