from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Mapping

import pytest

from deputize.config import cel
from deputize.config.cel import FACTS, MAX_LENGTH, compile_expression
from deputize.core.case import Case, EvaluationError, to_facts
from deputize.core.model import Json

pytest.importorskip("cel_expr_python")

ARGUMENTS: dict[str, Json] = {
    "amount": 10,
    "rate": 2.0,
    "currency": "EUR",
    "urgent": True,
    "nothing": None,
    "list": [1, 2, 3],
    "items": [{"price": 5}, {"price": 7, "gift": False}],
    "to": {"city": "Bern"},
    "café": "é",
}
EXAMPLE: dict[str, Json] = {
    "agent": "spiffe://corp.example/ns/shop/sa/buyer",
    "principal": {
        "issuer": "https://login.example",
        "subject": "alice",
        "kind": "person",
        "claims": {"groups": ["staff", "buyers"], "auth_time": 1_799_999_900},
    },
    "chain": ["spiffe://corp.example/ns/shop/sa/buyer", "planner"],
    "scopes": ["orders:read", "orders:write"],
    "peer": {
        "trustDomain": "corp.example",
        "namespace": "shop",
        "serviceAccount": "buyer",
        "assurance": "mtls",
    },
    "request": {
        "method": "POST",
        "host": "orders.example",
        "path": "/mcp",
        "headers": {"content-type": "application/json"},
    },
    "call": {
        "protocol": "mcp",
        "method": "tools/call",
        "name": "place_order",
        "arguments": dict(ARGUMENTS),
    },
    "now": 1_800_000_000.25,
}


def gives(source: str, facts: Mapping[str, Json] = EXAMPLE) -> Json:
    return compile_expression(source)(facts)


def refused(source: str) -> str:
    with pytest.raises(ValueError, match=r"\S") as caught:
        compile_expression(source)
    return str(caught.value)


def asked(argument: Json) -> dict[str, Json]:
    """The example with `call.arguments.value`."""
    call: Json = {"protocol": "mcp", "method": "", "name": "", "arguments": {"value": argument}}
    return {**EXAMPLE, "call": call}


@pytest.mark.parametrize(
    "source",
    [
        'agent == "spiffe://corp.example/ns/shop/sa/buyer"',
        'principal.issuer == "https://login.example"',
        'principal.subject == "alice"',
        'principal.kind == "person"',
        '"staff" in principal.claims.groups',
        'chain[1] == "planner"',
        "size(chain) == 2",
        '"orders:read" in scopes',
        'peer.trustDomain == "corp.example"',
        'peer.namespace == "shop"',
        'peer.serviceAccount == "buyer"',
        'peer.assurance == "mtls"',
        'request.method == "POST"',
        'request.host.endsWith(".example")',
        'request.path == "/mcp"',
        'request.headers["content-type"] == "application/json"',
        'call.protocol == "mcp"',
        'call.method == "tools/call"',
        'call.name in ["place_order", "cancel_order"]',
        "call.arguments.amount <= 500",
        "int(now) == 1800000000",
    ],
)
def test_every_fact_can_be_asked_for(source: str) -> None:
    assert gives(source) is True


def test_every_fact_of_a_case_is_a_variable() -> None:
    names = set[str]()
    for name, value in EXAMPLE.items():
        names |= {f"{name}.{member}" for member in value} if isinstance(value, dict) else {name}
    assert names == set(FACTS)
