"""A case as the facts of a CEL expression, and what expressions make of it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from deputize.config.cel import compile_expression
from deputize.core.model import Json

ARGUMENTS: dict[str, Json] = {
    "amount": 10,
    "rate": 2.0,
    "large": 2**64 - 1,
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
        "kind": "user",
        "claims": {"groups": ["staff", "buyers"], "auth_time": 1_799_999_900},
    },
    "chain": ["spiffe://corp.example/ns/shop/sa/buyer", "planner"],
    "scopes": ["orders:read", "orders:write"],
    "peer": {
        "trustDomain": "corp.example",
        "namespace": "shop",
        "serviceAccount": "buyer",
        "assurance": "certificate-checked",
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
