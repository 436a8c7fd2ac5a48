from __future__ import annotations

import base64
import json

import pytest

from deputize.core.json_rpc import CallError
from deputize.core.mcp import (
    MAX_NAME,
    METHOD_HEADER,
    NAME_HEADER,
    RESPONSE,
    VERSION_HEADER,
    check_mcp_headers,
    may_be_batch,
    read_mcp_calls,
    read_mcp_headers,
)
from deputize.core.model import Call, Json, Protocol

MODERN = "2026-07-28"
LEGACY = "2025-11-25"


def body(method: str, params: object = None, **members: object) -> bytes:
    message: dict[str, object] = {"jsonrpc": "2.0", "id": 1, "method": method}
    if params is not None:
        message["params"] = params
    return json.dumps({**message, **members}).encode()


def call(method: str, name: str = "", arguments: dict[str, Json] | None = None) -> Call:
    return Call(Protocol.MCP, method, name, arguments, 1)


def headers(
    method: str | None = None, name: str | None = None, version: str | None = MODERN
) -> dict[str, str]:
    named = {METHOD_HEADER: method, NAME_HEADER: name, VERSION_HEADER: version}
    return {header: value for header, value in named.items() if value is not None}


def encode(text: str) -> str:
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        (
            "tools/call",
            {"name": "get_weather", "arguments": {"city": "Oslo"}, "_meta": {"a": 1}},
            call("tools/call", "get_weather", {"city": "Oslo"}),
        ),
        ("tools/call", {"name": "a, b"}, call("tools/call", "a, b", {})),
        (
            "tools/call",
            {"name": "a", "uri": 1, "task": {}},
            call("tools/call", "a", {})._replace(has_more=True),
        ),
        ("tools/call", {"name": "x" * MAX_NAME}, call("tools/call", "x" * MAX_NAME, {})),
        ("prompts/get", {"name": "\u00e9"}, call("prompts/get", "\u00e9", {})),
        (
            "resources/read",
            {"uri": "file:///a", "_meta": {}},
            call("resources/read", "file:///a", {"uri": "file:///a"}),
        ),
        (
            "resources/subscribe",
            {"uri": "db://a"},
            call("resources/subscribe", "db://a", {"uri": "db://a"}),
        ),
        (
            "resources/unsubscribe",
            {"uri": "db://a"},
            call("resources/unsubscribe", "db://a", {"uri": "db://a"}),
        ),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "p", "title": "P"}},
            call(
                "completion/complete",
                "p",
                {"ref": {"type": "ref/prompt", "name": "p", "title": "P"}},
            ),
        ),
        (
            "completion/complete",
            {"ref": {"type": "ref/resource", "uri": "file:///{path}"}},
            call(
                "completion/complete",
                "file:///{path}",
                {"ref": {"type": "ref/resource", "uri": "file:///{path}"}},
            ),
        ),
        ("tools/list", None, call("tools/list", "", {})),
        ("tools/list", {"cursor": "c", "_meta": {}}, call("tools/list", "", {"cursor": "c"})),
        ("server/discover", {"name": "x"}, call("server/discover", "", {"name": "x"})),
    ],
)
def test_a_call_is_read(method: str, params: object, expected: Call) -> None:
    assert read_mcp_calls(body(method, params)) == (expected,)


@pytest.mark.parametrize("member", ["inputResponses", "requestState", "task"])
def test_what_is_said_beside_the_arguments_is_noticed(member: str) -> None:
    params = {"name": "pay", "arguments": {"amount": 1}, "_meta": {}}
    assert read_mcp_calls(body("tools/call", params)) == (call("tools/call", "pay", {"amount": 1}),)
    (noticed,) = read_mcp_calls(body("tools/call", {**params, member: {}}))
    assert noticed == call("tools/call", "pay", {"amount": 1})._replace(has_more=True)


def test_a_notification_has_no_id() -> None:
    octets = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
    assert read_mcp_calls(octets) == (
        Call(Protocol.MCP, "notifications/initialized", "", {}, None),
    )


def test_a_reply_has_a_method_of_its_own() -> None:
    octets = b'{"jsonrpc":"2.0","id":"s1","result":{"name":"x"}}'
    assert read_mcp_calls(octets) == (Call(Protocol.MCP, RESPONSE, "", None, "s1"),)


REFUSED = {
    "not JSON": b"tools/call",
    "a duplicate": body("tools/call", {"name": "a"}).replace(b"}", b',"name":"b"}', 1),
    "a method that stands for replies": body(RESPONSE),
    "no params": body("tools/call"),
    "no name": body("tools/call", {"arguments": {}}),
    "an empty name": body("tools/call", {"name": ""}),
    "a name of null": body("tools/call", {"name": None}),
    "a name that is a list": body("tools/call", {"name": ["a"]}),
    "a long name": body("tools/call", {"name": "x" * (MAX_NAME + 1)}),
    "a name with a line end": body("tools/call", {"name": "a\nb"}),
    "a name with an invisible character": body("tools/call", {"name": "a\u200b"}),
    "a name with a space at its end": body("tools/call", {"name": "a "}),
    "a name in another case": body("tools/call", {"Name": "a"}),
    "two names": body("tools/call", {"name": "a", "uri": "b", "\u212aey": 1, "NAME": "b"}),
    "arguments with a long s": body("tools/call", {"name": "a", "argument\u017f": {}}),
    "meta in another case": body("tools/list", {"_Meta": {}}),
    "arguments of null": body("tools/call", {"name": "a", "arguments": None}),
    "arguments that are a list": body("prompts/get", {"name": "a", "arguments": []}),
    "a name for a URI": body("resources/read", {"name": "file:///a"}),
    "a URI that climbs": body("resources/read", {"uri": "file:///workspace/../etc/passwd"}),
    "an encoded climb": body("resources/subscribe", {"uri": "file:///workspace/%2E%2e/etc"}),
    "a relative URI": body("resources/unsubscribe", {"uri": "workspace/a"}),
    "no ref": body("completion/complete", {}),
    "a ref that is a text": body("completion/complete", {"ref": "p"}),
    "a ref of two kinds": body(
        "completion/complete", {"ref": {"type": "ref/prompt", "name": "p", "uri": "file:///a"}}
    ),
    "a ref of no kind": body("completion/complete", {"ref": {"name": "p"}}),
    "a ref of an unknown kind": body("completion/complete", {"ref": {"type": "x", "name": "p"}}),
    "a ref whose kind is a list": body("completion/complete", {"ref": {"type": [], "name": "p"}}),
    "a ref of the other kind": body(
        "completion/complete", {"ref": {"type": "ref/prompt", "uri": "file:///a"}}
    ),
    "a ref in another case": body(
        "completion/complete", {"ref": {"type": "ref/prompt", "name": "p", "URI": "x"}}
    ),
    "a template that climbs": body(
        "completion/complete", {"ref": {"type": "ref/resource", "uri": "file:///{a}/../b"}}
    ),
    "one of a batch": b"[" + body("tools/list") + b"," + body("tools/call", id=2) + b"]",
}


@pytest.mark.parametrize("octets", REFUSED.values(), ids=REFUSED.keys())
def test_a_call_of_no_reading_or_two_is_refused(octets: bytes) -> None:
    with pytest.raises(CallError) as caught:
        read_mcp_calls(octets)
    assert not caught.value.is_mismatch


def test_every_call_of_a_batch_is_read() -> None:
    octets = b"[" + body("tools/list") + b"," + body("tools/call", {"name": "a"}, id=2) + b"]"
    first, second = read_mcp_calls(octets)
    assert (first.method, second.method, second.name) == ("tools/list", "tools/call", "a")
    with pytest.raises(CallError):
        read_mcp_calls(octets, allow_batch=False)


@pytest.mark.parametrize(
    ("version", "expected"),
    [(None, True), ("2025-03-26", True), ("2025-06-18", False), (LEGACY, False), (MODERN, False)],
)
def test_later_versions_have_no_batches(version: str | None, *, expected: bool) -> None:
    assert may_be_batch(headers(version=version)) == expected


VERSIONS_REFUSED = (
    "",
    "2026-7-28",
    "2026-07-28,2025-11-25",
    "2026-07-28 ",
    "20260728",
    "2026-13-01",
    "2026-W31-2",
    "DRAFT-2026-v1",
    "\u0662026-07-28",
)


@pytest.mark.parametrize("version", VERSIONS_REFUSED)
def test_a_version_that_is_not_one_date_is_refused(version: str) -> None:
    given = headers("tools/list", version=version)
    for check in (
        lambda: may_be_batch(given),
        lambda: read_mcp_headers(given),
        lambda: check_mcp_headers(given, (call("tools/list"),)),
    ):
        with pytest.raises(CallError):
            check()


@pytest.mark.parametrize(
    ("method", "header", "name"),
    [
        ("tools/call", "get_weather", "get_weather"),
        ("tools/call", "get weather", "get weather"),
        ("tools/call", encode("a,b"), "a,b"),
        ("prompts/get", encode("\u4e16\u754c"), "\u4e16\u754c"),
        ("tools/call", encode("=?base64?YQ==?="), "=?base64?YQ==?="),
        ("tools/call", encode("plain"), "plain"),
        ("resources/read", "file:///workspace/a", "file:///workspace/a"),
        ("tools/list", None, ""),
        ("server/discover", None, ""),
    ],
)
def test_a_call_is_read_from_headers(method: str, header: str | None, name: str) -> None:
    expected = Call(Protocol.MCP, method, name, None, None)
    assert read_mcp_headers(headers(method, header)) == expected
    assert read_mcp_headers(headers(method, header, "2027-01-01")) == expected


@pytest.mark.parametrize("version", [None, "2025-03-26", LEGACY, "2026-07-27"])
def test_headers_alone_are_not_believed_in_versions_that_do_not_bind_them(
    version: str | None,
) -> None:
    with pytest.raises(CallError) as caught:
        read_mcp_headers(headers("tools/call", "a", version))
    assert not caught.value.is_mismatch


HEADERS_REFUSED = {
    "a name beside one read like it": headers("tools/call", "a") | {"mcp_name": "b"},
    "a method beside one read like it": headers("tools/call", "a") | {"mcp.method": "b"},
    "a version beside one read like it": headers("tools/call", "a") | {"mcp-protocol_version": ""},
    "no method": headers(None, "a"),
    "two methods": headers("tools/call,tools/list", "a"),
    "an empty method": headers("", "a"),
    "a method with a space": headers("tools/call ", "a"),
    "a method in base64 is one we do not decode": headers(encode("tools/call"), "a"),
    "no name": headers("tools/call"),
    "an empty name": headers("tools/call", ""),
    "two names": headers("tools/call", "a,b"),
    "two encoded names": headers("tools/call", f"{encode('a')},{encode('b')}"),
    "a name with a space at its end": headers("tools/call", "a "),
    "a name that is not ASCII": headers("tools/call", "caf\u00e9"),
    "a name with a tab": headers("tools/call", "a\tb"),
    "a name for a method without": headers("tools/list", "a"),
    "base64 that is not": headers("tools/call", "=?base64?a?="),
    "no base64": headers("tools/call", "=?base64??="),
    "base64 that is not canonical": headers("tools/call", "=?base64?YR==?="),
    "base64 with a space": headers("tools/call", "=?base64?Y Q==?="),
    "base64 that is not UTF-8": headers("tools/call", "=?base64?/w==?="),
    "base64 never closed": headers("tools/call", "=?base64?YQ=="),
    "base64 in another case": headers("tools/call", "=?BASE64?YQ==?="),
}


@pytest.mark.parametrize("given", HEADERS_REFUSED.values(), ids=HEADERS_REFUSED.keys())
def test_headers_of_no_reading_or_two_are_refused(given: dict[str, str]) -> None:
    with pytest.raises(CallError):
        read_mcp_headers(given)


@pytest.mark.parametrize(
    "given",
    [
        headers("completion/complete"),
        headers("resources/subscribe", "file:///a"),
        headers("resources/unsubscribe"),
        headers(RESPONSE),
        headers("resources/read", "file:///workspace/../etc"),
        headers("resources/read", encode("file:///workspace/%2e%2e/etc")),
        headers("tools/call", encode("a\nb")),
        headers("tools/call", encode(" a")),
    ],
)
def test_a_name_that_headers_cannot_give_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(CallError):
        read_mcp_headers(given)


CALL = call("tools/call", "a,b", {})
NOTIFICATION = Call(Protocol.MCP, "notifications/x", "", {}, None)
REPLY = Call(Protocol.MCP, RESPONSE, "", None, 1)


@pytest.mark.parametrize(
    ("given", "calls"),
    [
        (headers("tools/call", encode("a,b")), (CALL,)),
        (headers("tools/call", encode("a,b"), LEGACY), (CALL,)),
        (headers("tools/call", version=LEGACY), (CALL,)),
        (headers(None, encode("a,b"), LEGACY), (CALL,)),
        (headers(version=LEGACY), (CALL,)),
        (headers(version=None), (CALL,)),
        (headers(version=None), (CALL, CALL)),
        (headers(version="2025-03-26"), (CALL, CALL)),
        (headers(version=LEGACY), (REPLY,)),
        (headers("tools/list"), (call("tools/list"),)),
        (headers(), (NOTIFICATION,)),
        (headers("notifications/x"), (NOTIFICATION,)),
        (headers("completion/complete", "p"), (call("completion/complete", "p"),)),
    ],
)
def test_headers_that_agree_pass(given: dict[str, str], calls: tuple[Call, ...]) -> None:
    check_mcp_headers(given, calls)


@pytest.mark.parametrize(
    ("given", "calls"),
    [
        (headers(), (CALL,)),
        (headers("tools/call"), (CALL,)),
        (headers(None, encode("a,b")), (CALL,)),
        (headers("tools/list", encode("a,b")), (CALL,)),
        (headers("Tools/Call", encode("a,b")), (CALL,)),
        (headers("tools/call", "a,b"), (CALL,)),
        (headers("tools/call", "A"), (call("tools/call", "a"),)),
        (headers("tools/list", "a"), (call("tools/list"),)),
        (headers("tools/list", version=None), (CALL,)),
        (headers(None, "x", None), (CALL,)),
        (headers("tools/call", version=None), (CALL, CALL)),
        (headers(RESPONSE, version=LEGACY), (REPLY,)),
        (headers("notifications/y"), (NOTIFICATION,)),
    ],
)
def test_headers_that_differ_are_refused(given: dict[str, str], calls: tuple[Call, ...]) -> None:
    with pytest.raises(CallError) as caught:
        check_mcp_headers(given, calls)
    assert caught.value.is_mismatch


@pytest.mark.parametrize(
    ("given", "calls"),
    [
        (headers(version=LEGACY), (CALL, CALL)),
        (headers("tools/call", encode("a,b")), (CALL, CALL)),
        (headers(), (REPLY,)),
    ],
)
def test_what_a_version_has_not_is_refused(given: dict[str, str], calls: tuple[Call, ...]) -> None:
    with pytest.raises(CallError) as caught:
        check_mcp_headers(given, calls)
    assert not caught.value.is_mismatch
