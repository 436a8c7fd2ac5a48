"""Audit events of the examples: a day of observe mode, decided by the service's own code.

The same at every generation; the events are made under `docs/examples/config.yaml` with
`policyMode: observe` and `audit.claims: [groups]`.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import orjson

from deputize.config.loader import load
from deputize.core import audit_event
from deputize.core.decide import decide
from deputize.core.keys import freeze_keys, parse_jwk_set
from deputize.core.revocation import NOTHING_REVOKED
from deputize.server.state import Fetched, build_snapshot
from scripts.reference import example_token
from tests.harness.world import make_request

FILE = example_token.FOLDER / "observing/audit.jsonl"
_AGENTS = "spiffe://prod.example.org/ns/agents/sa/"


class _Asked(NamedTuple):
    agent: str
    subject: str
    groups: tuple[str, ...]
    scope: str
    method: str
    path: str


_RESEARCH = ("research", "alice", ("sales",), "orders:read")
_BILLING = ("billing", "bob", ("finance",), "orders:write")
_DAY = (
    *(_Asked(*_RESEARCH, "GET", f"/v1/orders/{number}") for number in (17, 18, 23)),
    _Asked(*_RESEARCH, "GET", "/v1/orders"),
    *(_Asked(*_RESEARCH, "GET", f"/v1/orders/{number}/lines") for number in (17, 23)),
    _Asked("research", "carol", ("sales",), "orders:read", "GET", "/v1/orders/export"),
    *(_Asked(*_BILLING, "POST", "/v1/orders") for _ in range(3)),
    _Asked("planner", "alice", ("sales",), "orders:write", "POST", "/v1/orders"),
)
_EXPIRED = _Asked("research", "dave", (), "orders:read", "GET", "/v1/orders/17")


def generate(root: Path) -> dict[Path, bytes]:
    """The file."""
    loaded = load(root / example_token.FOLDER / "config.yaml")
    issuer = example_token.make_issuer()
    start = example_token.ISSUED_AT.timestamp()
    rings = {
        name: freeze_keys(parse_jwk_set(issuer.jwks(), trusted.algorithms)[0], start * 2)
        for name, trusted in loaded.compiled.issuers.items()
    }
    compiled = replace(loaded.compiled, is_observed=True)
    fetched = Fetched(rings, NOTHING_REVOKED, {}, {})
    # Not the real digest: this file shall not change with each comment in the configuration.
    digest = hashlib.sha256(b"the configuration of the example").hexdigest()
    snapshot = build_snapshot(compiled, digest, fetched, None)
    lines: list[bytes] = []
    for number, asked in enumerate((*_DAY, _EXPIRED)):
        at = start + 600 * number
        agent = _AGENTS + asked.agent
        token = issuer.issue(
            subject=asked.subject,
            agent=agent,
            audience="orders",
            scope=asked.scope,
            now=at - (3600 if asked is _EXPIRED else 60),
            claims={"groups": list(asked.groups), "jti": f"example-{number}"},
        )
        request = make_request(
            token,
            method=asked.method,
            host="orders.example",
            path=asked.path,
            peer=agent,
            decision_id=hashlib.sha256(f"decision {number}".encode()).hexdigest()[:32],
        )
        decision = decide(request, snapshot, at, lambda _compact: None)
        event = audit_event.build(request, decision, 400 + number, ["groups"])
        lines.append(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE))
    return {FILE: b"".join(lines)}
