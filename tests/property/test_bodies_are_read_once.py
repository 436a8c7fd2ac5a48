"""Whatever we read of a body, other parsers read alike; and nothing in it can be read twice."""

from __future__ import annotations

import json
from collections.abc import Iterator

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from deputize.core.json_body import JsonBodyError, read_json
from deputize.core.json_rpc import CallError
from deputize.core.mcp import check_mcp_headers, read_mcp_calls
from tests.harness.strategies import json_values

FUZZ = settings(max_examples=400, deadline=None)

names = st.sampled_from(["a", "A", "id", "Id", "\u017f", "s", "\u212a", "k", "\u00df", "ss", ""])
numbers = st.sampled_from(
    ["0", "-0", "1.0", "1e2", "1E400", "-1e-400", "18446744073709551616", "9" * 25, "0.1", "1e308"]
)
texts = st.sampled_from(['""', '"\\u0041"', '"\\ud83d\\ude00"', '"\\udc00"', '"\\\\u003a"', '":{"'])


def _write(parts: list[tuple[str, str]], spell: bool) -> str:  # noqa: FBT001
    def name(text: str) -> str:
        return "".join(f"\\u{ord(char):04x}" for char in text) if spell else text

    return "{" + ", ".join(f'"{name(key)}":{value}' for key, value in parts) + "}"


# Texts that JSON writers do not write: duplicates, escaped names, odd numbers.
raw_json = st.recursive(
    numbers | texts | st.sampled_from(["true", "null", "NaN", "[]", "{}"]),
    lambda inner: (
        st.builds(_write, st.lists(st.tuples(names, inner), max_size=4), st.booleans())
        | st.lists(inner, max_size=3).map(lambda parts: "[" + ",".join(parts) + "]")
    ),
    max_leaves=8,
)
written = st.builds(lambda value: json.dumps(value).encode(), json_values)
compact = st.builds(
    lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    ),
    json_values,
)
bodies = st.binary(max_size=40) | written | compact | raw_json.map(str.encode)


def _objects(octets: bytes) -> Iterator[list[str]]:
    """The names of each object as they stand, duplicates and all."""
    found: list[list[str]] = []

    def keep(pairs: list[tuple[str, object]]) -> None:
        found.append([name for name, _ in pairs])

    json.loads(octets, object_pairs_hook=keep)
    yield from found


def _as_doubles(value: object) -> object:
    """The value as a reader sees it that knows no integers beyond 64 bits."""
    if isinstance(value, dict):
        return {name: _as_doubles(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_as_doubles(inner) for inner in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value)
    return value


@FUZZ
@given(bodies)
def test_other_parsers_read_what_we_read(octets: bytes) -> None:
    try:
        value = read_json(octets)
    except JsonBodyError:
        return
    assert value == _as_doubles(json.loads(octets.decode("utf-8")))
    assert value == orjson.loads(octets)
    assert read_json(orjson.dumps(value)) == value


@FUZZ
@given(bodies)
def test_no_name_is_read_twice(octets: bytes) -> None:
    try:
        read_json(octets)
    except JsonBodyError:
        return
    for found in _objects(octets):
        assert len({name.casefold() for name in found}) == len(found)


@FUZZ
@given(json_values)
def test_only_names_and_extremes_are_refused_of_what_a_writer_writes(value: object) -> None:
    octets = json.dumps(value).encode()
    try:
        assert read_json(octets) == _as_doubles(json.loads(octets))
    except JsonBodyError:
        twice = any(len({n.casefold() for n in found}) != len(found) for found in _objects(octets))
        assert twice or b"\\ud" in octets or b"NaN" in octets or b"Infinity" in octets


@FUZZ
@given(
    bodies,
    st.dictionaries(
        st.sampled_from(["mcp-method", "mcp-name", "mcp-protocol-version"]),
        st.text(max_size=8) | st.sampled_from(["2026-07-28", "=?base64?YQ==?=", "tools/call"]),
    ),
)
def test_every_body_and_header_gets_calls_or_an_error(
    octets: bytes, headers: dict[str, str]
) -> None:
    message = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":' + octets + b"}"
    for body in (octets, message):
        try:
            calls = read_mcp_calls(body)
            check_mcp_headers(headers, calls)
        except CallError:
            continue
        assert all(call.name or call.method != "tools/call" for call in calls)
