from __future__ import annotations

import pytest

from deputize.core.call_patterns import CallKeys, CallPattern, parse_call_text, text_matches
from deputize.core.matching import PatternError
from deputize.core.model import Call, Protocol
from tests.harness.rulings import mcp_call

CALL = mcp_call("get_order")


def pattern(*names: str, methods: tuple[str, ...] = ("tools/call",)) -> CallPattern:
    return CallPattern(Protocol.MCP, methods, names)


@pytest.mark.parametrize(
    ("text", "matched", "unmatched"),
    [
        ("get", ["get"], ["ge", "gett", "Get", "", "get*"]),
        ("get*", ["get", "get_order", "get*"], ["ge", "Get", ""]),
        ("*", ["", "get", "*"], []),
        ("file:///a/*", ["file:///a/", "file:///a/b/c"], ["file:///a", "file:///b"]),
    ],
)
def test_a_text_or_its_beginning(text: str, matched: list[str], unmatched: list[str]) -> None:
    assert all(text_matches(parse_call_text(text), other) for other in matched)
    assert not any(text_matches(text, other) for other in unmatched)


@pytest.mark.parametrize(
    "text",
    ["", "**", "*a", "a*b", "a**", " a", "a ", " *", "a *", "a\n", "\u00e9", "a\x7f", "a" * 1025],
)
def test_no_pattern(text: str) -> None:
    with pytest.raises(PatternError):
        parse_call_text(text)


@pytest.mark.parametrize("text", ["a b", "~", "!", "a(b)", "a" * 1024, "(*", "+*"])
def test_odd_patterns(text: str) -> None:
    assert parse_call_text(text) == text


@pytest.mark.parametrize(
    ("covering", "call", "expected"),
    [
        (pattern(), CALL, True),
        (pattern(), CALL._replace(name=""), True),
        (pattern("get_order"), CALL, True),
        (pattern("x", "get_*"), CALL, True),
        (pattern(methods=("tools/list", "tools/*")), CALL, True),
        (pattern("get_orders"), CALL, False),
        (pattern(methods=("tools/list",)), CALL, False),
        (pattern(), CALL._replace(protocol=Protocol.A2A), False),
        (pattern(), None, False),
        (pattern("*", methods=("*",)), None, False),
    ],
)
def test_a_pattern_covers_a_call(
    covering: CallPattern, call: Call | None, *, expected: bool
) -> None:
    assert covering.matches(call) is expected
    keys = CallKeys()
    found = set(keys.add(covering)) & set(keys.keys(call))
    assert bool(found) >= expected


def test_what_asks_for_no_call_is_found_for_each() -> None:
    keys = CallKeys()
    assert keys.add(None) == [""]
    assert keys.keys(None) == [""]
    assert "" in keys.keys(CALL)


def test_a_look_up_grows_with_lengths_not_with_patterns() -> None:
    keys = CallKeys()
    for number in range(100, 900):
        keys.add(pattern(f"tool{number}*", f"tool{number}"))
    assert len(keys.keys(CALL._replace(name="tool500_and_more"))) == 3
    assert len(keys.keys(CALL._replace(name="t"))) == 2
