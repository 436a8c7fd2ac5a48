"""Targets whose input is the body of a call, or an approval of one.

Each is a plain function of bytes that returns when its law holds, and needs no fuzzer.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator

from deputize.core.a2a import read_a2a_json_rpc
from deputize.core.approval import ApprovalNeed, ApprovalService
from deputize.core.call_patterns import CallPattern
from deputize.core.json_rpc import CallError
from deputize.core.keys import Algorithm
from deputize.core.mcp import read_mcp_calls
from deputize.core.model import AccessRequest, Binding, Json, Protocol, Resource
from deputize.core.snapshot import Snapshot
from deputize.core.verdict import Effect, Permit
from tests.fuzz.worlds import GOOD_TOKEN, ISSUER, RING, issuer_at
from tests.harness.approvals import ApprovalDesk
from tests.harness.vector_files import read_vector, vector_files
from tests.harness.world import (
    APPROVAL_HEADER,
    HOST,
    NOW,
    SKEW,
    decide_now,
    make_policies,
    make_request,
    make_rule,
    make_snapshot,
)

TOOL = "get_weather"
_APPROVALS_URL = "https://approvals.example"
_MCP = Resource(Protocol.MCP, Binding.BODY, 0, "")
_SERVICE = ApprovalService(_APPROVALS_URL, tuple(Algorithm), 300.0, SKEW)
_NEED = ApprovalNeed(frozenset({_APPROVALS_URL}), approver_not_principal=True)


def _world(need: ApprovalNeed | None) -> Snapshot:
    rule = make_rule(
        methods=["POST"],
        paths=["/mcp"],
        scopes=[],
        call=CallPattern(Protocol.MCP, ("tools/call",), (TOOL,)),
        approval=need,
    )
    resources = [(HOST, "/mcp", _MCP)]
    policies = make_policies([rule], resources=resources, services=[_SERVICE])
    rings = {ISSUER.url: RING, _APPROVALS_URL: RING}
    return make_snapshot(ISSUER, policies=policies, key_rings=rings)


_OPEN, _APPROVED = _world(None), _world(_NEED)
_DESK = ApprovalDesk(issuer=issuer_at(_APPROVALS_URL))


def fuzz_mcp(octets: bytes) -> None:
    """Whatever the body is, only calls of the one tool are let in, however it is read."""
    decision = decide_now(_request(octets), _OPEN)
    assert decision.reason.family in {"request", "policy"}, decision
    if decision.effect is Effect.ALLOW:
        for names in _all_readings(octets):
            assert names == {TOOL}


def fuzz_calls(octets: bytes) -> None:
    """The readers refuse in the one way they say; what they read is what is written."""
    for read in (read_mcp_calls, read_a2a_json_rpc):
        try:
            calls = read(octets)
        except CallError:
            continue
        messages = json.loads(octets)
        listed = messages if isinstance(messages, list) else [messages]
        assert len(calls) == len(listed)


def fuzz_approval(octets: bytes) -> None:
    """Whatever is signed, it approves nothing but what it says: this call, by somebody else."""
    header, _, payload = octets.partition(b"\0")
    body = json.dumps(_call(TOOL)).encode()
    compact = _DESK.issuer.sign_parts(header, payload)
    decision = decide_now(_request(body, {APPROVAL_HEADER: compact}), _APPROVED)
    assert decision.reason.family != "system", decision
    if isinstance(decision.verdict, Permit):
        claims, (approved,) = json.loads(payload), decision.verdict.grant.approvals
        assert claims["action"]["name"] == TOOL
        assert claims["sub"] == decision.verdict.delegation.principal.subject
        assert approved.approver not in {claims["sub"], claims["agent"]}
        assert claims["exp"] + SKEW > NOW


def body_seeds() -> Iterator[bytes]:
    """Bodies as the vectors have them."""
    for file in vector_files():
        vector = read_vector(file)
        if vector.world == "world-calls":
            request = read_body_of(vector.request)
            if request:
                yield request
    yield json.dumps(_call(TOOL)).encode()
    yield json.dumps([_call(TOOL), _call("x")]).encode()


def approval_seeds() -> Iterator[bytes]:
    """Header and claims of an approval that holds, and of some that do not."""
    decision = decide_now(_request(json.dumps(_call(TOOL)).encode()), _APPROVED)
    assert not isinstance(decision.verdict, Permit)
    asked = dict(decision.verdict.approval or {})
    head = {**_DESK.issuer.header(), "typ": "deputize-approval+jwt"}
    claims: dict[str, object] = {
        "iss": _APPROVALS_URL,
        "iat": NOW,
        "exp": NOW + 60,
        "jti": "1",
        "approver": "carol",
        **asked,
    }
    changes: list[dict[str, object]] = [
        {},
        {"approver": "alice"},
        {"exp": NOW + 9999},
        {"action": {}},
    ]
    for changed in changes:
        yield json.dumps(head).encode() + b"\0" + json.dumps({**claims, **changed}).encode()


def read_body_of(request: object) -> bytes:
    """The raw body of a CheckRequest in the JSON form of protobuf; empty where it has none."""
    http = request["attributes"]["request"]["http"] if isinstance(request, dict) else {}
    return b64decode(http.get("rawBody", ""))


def _call(tool: str) -> dict[str, Json]:
    params: Json = {"name": tool, "arguments": {"city": "Bern"}}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def _request(body: bytes, headers: dict[str, str] | None = None) -> AccessRequest:
    sent = {"content-length": str(len(body)), **(headers or {})}
    return make_request(GOOD_TOKEN, method="POST", path="/mcp", headers=sent, body=body)


def _all_readings(octets: bytes) -> Iterator[set[str]]:
    """The tools that other parsers see: the last or the first of two, whatever the case."""
    for is_first in (False, True):

        def object_of(pairs: list[tuple[str, object]], *, first: bool = is_first) -> object:
            ordered = reversed(pairs) if first else pairs
            return {name.casefold(): value for name, value in ordered}

        message = json.loads(octets, object_pairs_hook=object_of)
        messages = message if isinstance(message, list) else [message]
        yield {each["params"]["name"] for each in messages}
