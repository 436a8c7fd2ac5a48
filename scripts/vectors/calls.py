"""Calls of agent protocols: bodies, headers and paths, good and with more than one reading."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping

from deputize.core.reasons import Reason
from scripts.vectors.cast import IDP, RESEARCH, issue
from scripts.vectors.rows import Request, Row, check, group
from tests.harness.vector_files import Vector

WORLD = "world-calls"
MCP = "MCP 2025-11-25 and 2026-07-28, Streamable HTTP; JSON-RPC 2.0"
A2A = "A2A 1.0 sections 9 to 11"
NEW = {"mcp-protocol-version": "2026-07-28"}
SCOPES = "tools:read tools:write tasks orders admin"


def post(
    body: object,
    *,
    host: str = "tools.example",
    path: str = "/mcp",
    headers: Mapping[str, str] = {},
    size: int | None = None,
    **claims: object,
) -> Request:
    """A POST with this body, sent whole as octets unless `size` says otherwise."""
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    token = issue(IDP, RESEARCH, claims={"scope": SCOPES, **claims})
    sent = {"content-type": "application/json", "content-length": str(len(octets)), **headers}
    asked = check(token, method="POST", host=host, path=path, headers=sent)
    http = asked["attributes"]["request"]["http"]
    http["rawBody"] = b64encode(octets).decode()
    http["size"] = str(len(octets) if size is None else size)
    return asked


def mcp(method: str, params: object = None, **further: object) -> dict[str, object]:
    """A JSON-RPC request."""
    named = {} if params is None else {"params": params}
    return {"jsonrpc": "2.0", "id": 1, "method": method, **named, **further}


def tool(name: str, **arguments: object) -> dict[str, object]:
    """A call of this tool."""
    return mcp("tools/call", {"name": name, "arguments": arguments})


def _bodiless(headers: Mapping[str, str], host: str = "light.example") -> Request:
    token = issue(IDP, RESEARCH, claims={"scope": SCOPES})
    sent = {"content-type": "application/json", "content-length": "321", **headers}
    return check(token, method="POST", host=host, path="/mcp", headers=sent)


def _grpc(path: str, method: str = "POST", content_type: str = "application/grpc") -> Request:
    token = issue(IDP, RESEARCH, claims={"scope": SCOPES})
    headers = {"content-type": content_type}
    return check(token, method=method, host="grpc.example", path=path, headers=headers)


def _rest(method: str, path: str) -> Request:
    token = issue(IDP, RESEARCH, claims={"scope": SCOPES})
    return check(token, method=method, host="agents.example", path=f"/rest/{path}")


def _group(reason: Reason, source: str, *rows: Row, rule: str | None = None) -> Iterable[Vector]:
    return group(reason, source, *rows, rule=rule, world=WORLD, importance="critical")


_WEATHER = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_weather"%s}}'
_CALL = {**NEW, "mcp-method": "tools/call"}

VECTORS = (
    *_group(
        Reason.POLICY_ALLOWED,
        MCP,
        ("mcp-tool", "a tool the rule names", post(tool("get_weather", city="Bern"))),
        ("mcp-tool-prefix", "a tool by its beginning", post(tool("search_papers", q="x"))),
        (
            "mcp-headers-agree",
            "headers that agree with the body",
            post(tool("get_weather"), headers={**_CALL, "mcp-name": "get_weather"}),
        ),
        (
            "mcp-headers-alone",
            "headers alone, where the version binds them to the body",
            _bodiless({**_CALL, "mcp-name": "get_weather"}),
        ),
        (
            "mcp-headers-encoded",
            "a name in base64",
            _bodiless({**_CALL, "mcp-name": "=?base64?Z2V0X3dlYXRoZXI=?="}),
        ),
        (
            "mcp-batch",
            "two calls that are both allowed",
            post([tool("get_weather"), {**tool("search_x"), "id": 2}]),
        ),
        rule="calls/read-tools",
    ),
    *_group(
        Reason.POLICY_ALLOWED,
        MCP,
        ("mcp-list", "a method the rule names", post(mcp("tools/list"))),
        ("mcp-reply", "a reply to the server", post({"jsonrpc": "2.0", "id": 1, "result": {}})),
        rule="calls/list-tools",
    ),
    *_group(
        Reason.POLICY_ALLOWED,
        MCP,
        (
            "mcp-resource",
            "a resource below the rule's",
            post(mcp("resources/read", {"uri": "file:///workspace/a.txt"})),
        ),
        rule="calls/read-files",
    ),
    *_group(
        Reason.POLICY_NO_MATCH,
        MCP,
        ("mcp-other-tool", "a tool no rule names", post(tool("drop_table"))),
        ("mcp-tool-upper-case", "a tool in another case", post(tool("GET_WEATHER"))),
        ("mcp-other-method", "a method no rule names", post(mcp("logging/setLevel"))),
        (
            "mcp-prompt-named-so",
            "a prompt of the tool's name",
            post(mcp("prompts/get", {"name": "get_weather"})),
        ),
        (
            "mcp-batch-one-bad",
            "one call of two that is not allowed",
            post([tool("get_weather"), {**tool("drop_table"), "id": 2}]),
        ),
        (
            "mcp-resource-beside",
            "a resource whose name only begins so",
            post(mcp("resources/read", {"uri": "file:///workspaces/a.txt"})),
        ),
        (
            "mcp-delete",
            "a method that has no calls",
            check(
                issue(IDP, RESEARCH, claims={"scope": SCOPES}),
                method="DELETE",
                host="tools.example",
                path="/mcp",
            ),
        ),
    ),
    *_group(
        Reason.POLICY_FORBIDDEN,
        MCP,
        ("mcp-forbidden-tool", "a tool that is forbidden", post(tool("search_secrets"))),
        (
            "mcp-forbidden-slash",
            "the same, on the path with a slash",
            post(tool("search_secrets"), path="/mcp/"),
        ),
        (
            "mcp-forbidden-in-batch",
            "one call of two that is forbidden",
            post([tool("get_weather"), {**tool("search_secrets"), "id": 2}]),
        ),
        rule="calls/no-secret-tools",
    ),
    *_group(
        Reason.REQUEST_BODY_UNREADABLE,
        MCP,
        ("mcp-member-twice", "the name twice", post(_WEATHER % b',"name":"search_secrets"')),
        (
            "mcp-member-other-case",
            "the name in two spellings",
            post(_WEATHER % b',"Name":"search_secrets"'),
        ),
        (
            "mcp-member-long-s",
            "a name that Go takes for `params`",
            post(_WEATHER.replace(b'"params"', '"param\u017f"'.encode()) % b""),
        ),
        (
            "mcp-member-escaped",
            "the name twice, once escaped",
            post(_WEATHER % b',"n\\u0061me":"search_secrets"'),
        ),
        ("mcp-argument-twice", "an argument twice", post(_WEATHER % b',"arguments":{"a":1,"a":2}')),
        ("mcp-not-json", "no JSON", post(b"tools/call")),
        ("mcp-not-utf-8", "octets that are no UTF-8", post(_WEATHER % b',"x":"\xff"')),
        ("mcp-two-values", "two documents", post(_WEATHER % b"" + _WEATHER % b"")),
        ("mcp-no-tool", "a tool call without a tool", post(mcp("tools/call", {}))),
        ("mcp-empty-batch", "no call at all", post([])),
        ("mcp-wrong-version", "JSON-RPC 1.0", post({**tool("get_weather"), "jsonrpc": "1.0"})),
        ("mcp-both-kinds", "a request that is a reply too", post({**tool("x"), "result": {}})),
        (
            "mcp-batch-too-new",
            "a batch where the version has none",
            post([tool("get_weather")], headers={"mcp-protocol-version": "2025-06-18"}),
        ),
        (
            "mcp-dotted-resource",
            "dot segments in a resource",
            post(mcp("resources/read", {"uri": "file:///workspace/../etc/passwd"})),
        ),
        (
            "mcp-escaped-resource",
            "escaped dot segments",
            post(mcp("resources/read", {"uri": "file:///workspace/%2e%2e/etc/passwd"})),
        ),
        (
            "mcp-headers-too-old",
            "headers alone, where the version does not bind them",
            _bodiless({"mcp-protocol-version": "2025-11-25", "mcp-method": "tools/list"}),
        ),
    ),
    *_group(
        Reason.REQUEST_BODY_TRUNCATED,
        "Envoy check_request_utils.cc (allow_partial_message)",
        ("mcp-no-body", "a proxy that sends no bodies", _bodiless({}, host="tools.example")),
        (
            "mcp-cut",
            "a body that was cut",
            post(tool("get_weather"), headers={"x-envoy-auth-partial-body": "true"}),
        ),
        (
            "mcp-shorter",
            "a body shorter than its length",
            post(tool("get_weather"), headers={"content-length": "9000"}),
        ),
        ("mcp-cut-agentgateway", "a size that says it was cut", post(tool("get_weather"), size=-1)),
    ),
    *_group(
        Reason.REQUEST_CALL_MISMATCH,
        "MCP 2026-07-28, Streamable HTTP, server validation",
        (
            "mcp-header-other-tool",
            "a header that names another tool",
            post(tool("search_secrets"), headers={**_CALL, "mcp-name": "get_weather"}),
        ),
        (
            "mcp-header-other-method",
            "a header that names another method",
            post(tool("get_weather"), headers={"mcp-method": "tools/list"}),
        ),
        (
            "mcp-header-absent",
            "no header where the version needs it",
            post(tool("get_weather"), headers=NEW),
        ),
        ("mcp-name-absent", "no name beside the method", _bodiless(_CALL)),
    ),
    *_group(
        Reason.POLICY_ALLOWED,
        A2A,
        (
            "a2a-send",
            "a message by JSON-RPC",
            post(mcp("SendMessage", {"message": {}}), host="agents.example", path="/a2a"),
        ),
        ("a2a-rest-send", "a message by HTTP", _rest("POST", "message:send")),
        ("a2a-rest-get", "a task by HTTP", _rest("GET", "tasks/17")),
        rule="calls/send-messages",
    ),
    *_group(
        Reason.POLICY_NO_MATCH,
        A2A,
        ("a2a-rest-cancel", "an operation no rule names", _rest("POST", "tasks/17:cancel")),
        ("a2a-rest-stream", "another verb of the message", _rest("POST", "message:stream")),
        (
            "a2a-cancel",
            "the same by JSON-RPC",
            post(mcp("CancelTask", {"id": "17"}), host="agents.example", path="/a2a"),
        ),
    ),
    *_group(
        Reason.REQUEST_BODY_UNREADABLE,
        A2A,
        ("a2a-rest-unknown", "no operation of A2A", _rest("POST", "tasks/17:destroy")),
        (
            "a2a-unknown",
            "no method of A2A",
            post(mcp("tools/call", {}), host="agents.example", path="/a2a"),
        ),
    ),
    *_group(
        Reason.POLICY_ALLOWED,
        "gRPC PROTOCOL-HTTP2.md, Requests",
        ("grpc-method", "a method the rule names", _grpc("/orders.v1.Orders/Get")),
        ("grpc-service", "any method of a service", _grpc("/orders.v1.Stock/List")),
        rule="calls/read-orders-grpc",
    ),
    *_group(
        Reason.POLICY_NO_MATCH,
        "gRPC PROTOCOL-HTTP2.md, Requests",
        ("grpc-other-method", "another method", _grpc("/orders.v1.Orders/Delete")),
    ),
    *_group(
        Reason.REQUEST_BODY_UNREADABLE,
        "gRPC PROTOCOL-HTTP2.md, Requests",
        ("grpc-get", "a GET", _grpc("/orders.v1.Orders/Get", method="GET")),
        ("grpc-deeper", "a path of three segments", _grpc("/orders.v1.Orders/Get/x")),
        (
            "grpc-json",
            "another content type",
            _grpc("/orders.v1.Orders/Get", content_type="application/json"),
        ),
    ),
)
