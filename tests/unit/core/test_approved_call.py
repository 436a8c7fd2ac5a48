from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping

import pytest
from hypothesis import given

from deputize.core.approved_call import (
    MAX_ARGUMENTS_BYTES,
    ApprovalError,
    ApprovalSubject,
    describe_call,
)
from deputize.core.model import AccessRequest, Action, Call, Json, Protocol
from tests.harness.approvals import make_delegation
from tests.harness.issuer import encode_base64url
from tests.harness.strategies import json_values
from tests.harness.world import AGENT, HOST, ISSUER_URL, make_request

ACTION = Action("POST", HOST, ("v1", "orders"))
REQUEST = make_request(method="POST", path="/v1/orders?dry=1", headers={"content-length": "0"})
DELEGATION = make_delegation()


def call_with(arguments: Mapping[str, Json] | None) -> Call:
    return Call(Protocol.MCP, "tools/call", "pay", arguments, 7)


def digest_of(octets: bytes) -> str:
    return encode_base64url(hashlib.sha256(octets).digest())


def describe(
    call: Call | None = None, *, request: AccessRequest = REQUEST, action: Action = ACTION
) -> ApprovalSubject:
    return describe_call(request, DELEGATION, action, call)


def hash_arguments(arguments: Mapping[str, Json]) -> str:
    return describe(call_with(arguments)).arguments_sha256


def has_canonical_form(arguments: Mapping[str, Json] | None) -> bool:
    try:
        describe(call_with(arguments))
    except ApprovalError:
        return False
    return True


def test_what_is_approved_of_a_plain_request() -> None:
    assert describe().to_json() == {
        "sub": "alice",
        "sub_iss": ISSUER_URL,
        "agent": AGENT,
        "action": {
            "method": "POST",
            "host": HOST,
            "path": "/v1/orders?dry=1",
            "arguments_sha256": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
        },
    }


def test_what_is_approved_of_a_call() -> None:
    assert describe(call_with({"b": 2, "a": "\u00e9"})).to_json()["action"] == {
        "method": "POST",
        "host": HOST,
        "path": "/v1/orders?dry=1",
        "arguments_sha256": digest_of('{"a":"\u00e9","b":2}'.encode()),
        "protocol": "mcp",
        "call": "tools/call",
        "name": "pay",
    }


def test_the_body_of_a_plain_request_is_hashed_byte_by_byte() -> None:
    body = b'{"b": 2, "a": 1}\xff'
    request = make_request(method="POST")._replace(body=body, body_size=len(body))
    assert describe(request=request).arguments_sha256 == digest_of(body)


def test_the_port_belongs_to_the_host() -> None:
    for host, expected in [("Orders.Example:8443", "orders.example:8443"), (HOST, HOST)]:
        assert describe(request=REQUEST._replace(host=host)).host == expected


def test_what_cannot_be_approved() -> None:
    for unknown in (
        {"call": call_with(None)},
        {"call": call_with({"amount": 1})._replace(has_more=True)},
        {"request": make_request(method="POST")},
        {"request": REQUEST._replace(body_defect="replaced")},
        {"request": REQUEST._replace(path="/v1/orders/a!b")},
        {"request": REQUEST._replace(path="/v1/orders?a!b")},
        {"action": ACTION._replace(upgrade="websocket")},
    ):
        with pytest.raises(ApprovalError) as refused:
            describe(**unknown)
        assert refused.value.wanted is None
        assert not refused.value.is_unavailable


def test_arguments_that_nobody_would_read_cannot_be_approved() -> None:
    longest = MAX_ARGUMENTS_BYTES - len('{"a":""}')
    assert has_canonical_form({"a": "x" * longest})
    assert not has_canonical_form({"a": "x" * (longest + 1)})
    call = call_with({"a": "x" * longest})
    with pytest.raises(ApprovalError):
        describe(call, action=ACTION._replace(calls=(call, call)))


@pytest.mark.parametrize(
    ("arguments", "canonical"),
    [
        ({}, "{}"),
        ({"b": [True, None], "a": {"d": "", "c": False}}, None),
        # Members are in the order of their UTF-16 code units, not of their code points.
        ({"\ufb33": 1, "\U0001f600": 2}, '{"\U0001f600":2,"\ufb33":1}'),
        ({"a": 'quote " slash / \\ \b\t\n\f\r\x01\x1f\x7f\u2028'}, None),
        ({"a": [1.0, 4.50, 2e-3, 1e30, 1e-27, 333333333.33333329, -0.0]},
         '{"a":[1,4.5,0.002,1e+30,1e-27,333333333.3333333,0]}'),
        ({"a": [1e16, 1e20, 1e21, 1e-6, 1e-7, 5e-324]},
         '{"a":[10000000000000000,100000000000000000000,1e+21,0.000001,1e-7,5e-324]}'),
        ({"a": [2**53 - 1, -(2**53) + 1]}, '{"a":[9007199254740991,-9007199254740991]}'),
    ],
)  # fmt: skip
def test_arguments_are_hashed_in_canonical_json(
    arguments: Mapping[str, Json], canonical: str | None
) -> None:
    if canonical is None:  # where Python writes the same
        compact = (",", ":")
        canonical = json.dumps(arguments, sort_keys=True, ensure_ascii=False, separators=compact)
    assert hash_arguments(arguments) == digest_of(canonical.encode())


@pytest.mark.parametrize(
    "value",
    [2**53, -(2**53), 10**5000, math.nan, math.inf, "\ud800", {"\ud800": 1}],
    ids=lambda value: type(value).__name__,
)
def test_arguments_without_a_canonical_form(value: Json) -> None:
    assert not has_canonical_form({"a": value})
    assert not has_canonical_form({"a": [{"b": value}]})


def test_arguments_that_are_too_deep() -> None:
    deep: Json = None
    for _ in range(5000):
        deep = [deep]
    assert not has_canonical_form({"a": deep})


@given(json_values)
def test_arguments_are_hashed_or_refused(value: Json) -> None:
    has_canonical_form({"a": value})
