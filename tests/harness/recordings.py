"""Audit files of decisions that were really made, and the commands that read them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
from typer.testing import CliRunner, Result

from deputize.cli.policy_commands import policy_commands
from deputize.config.policy_loader import load_policies
from deputize.core import audit_event
from deputize.core.audit_form import AuditEvent
from deputize.core.decide import decide
from deputize.core.policy_index import PolicyIndex
from deputize.core.rules import Policies
from tests.harness.issuer import Issuer
from tests.harness.world import (
    AGENT,
    APPROVAL_HEADER,
    HOST,
    ISSUER_URL,
    NOW,
    make_request,
    make_snapshot,
    no_recall,
    shared_issuer,
)

HEAD = """\
apiVersion: deputize.dev/v1alpha1
kind: DelegationPolicy
metadata:
  name: {name}
spec:
  mode: {mode}
  resources: {resources}
  principalScopes: {principal_scopes}
  rules:
"""


def policy_text(
    *rules: Mapping[str, Any],
    name: str = "orders",
    mode: str = "enforce",
    resources: Sequence[Mapping[str, Any]] = (),
    principal_scopes: Sequence[Mapping[str, Any]] = (),
) -> str:
    """A policy file; what a rule does not say is as in the world of `world.py`."""
    head = HEAD.format(
        name=name,
        mode=mode,
        resources=json.dumps(list(resources)),
        principal_scopes=json.dumps(list(principal_scopes)),
    )
    return head + "".join(f"    - {json.dumps(_rule(rule))}\n" for rule in rules)


def _rule(given: Mapping[str, Any]) -> dict[str, Any]:
    rule = {
        "name": "read",
        "effect": "allow",
        "agents": [AGENT],
        "onBehalfOf": [{"issuer": ISSUER_URL, "anyone": True}],
        "hosts": [HOST],
        "methods": ["GET"],
        "paths": ["/v1/orders/{id}"],
        "scopes": ["orders:read"],
        **given,
    }
    if rule["effect"] == "forbid":
        del rule["scopes"]
    return rule


@dataclass(slots=True)
class Recorder:
    """Decides under a policy file as the service does, and keeps the events."""

    policy: Path
    is_observed: bool = False
    claims: Sequence[str] = ()
    issuer: Issuer = field(default_factory=shared_issuer)
    events: list[AuditEvent] = field(default_factory=list)

    def ask(
        self,
        *,
        method: str = "GET",
        path: str = "/v1/orders/7",
        host: str = HOST,
        peer: str = AGENT,
        now: float = NOW,
        headers: Mapping[str, str] = MappingProxyType({}),
        body: bytes = b"",
        token: Mapping[str, Any] = MappingProxyType({}),
    ) -> AuditEvent:
        """One decision; `token` changes what the token says."""
        compact = self.issuer.issue(**{"now": now, "agent": peer, **token})
        request = make_request(
            compact,
            method=method,
            path=path,
            host=host,
            peer=peer,
            headers=headers,
            decision_id=f"{len(self.events):032x}",
        )._replace(body=body, body_size=len(body))
        compiled = load_policies(self.policy)
        policies = Policies(
            index=PolicyIndex(compiled.rules),
            resources=compiled.resources,
            limits=compiled.limits,
            approval_header=APPROVAL_HEADER,
            approval_services={},
            is_observed=self.is_observed,
        )
        snapshot = replace(make_snapshot(self.issuer), policies=policies)
        decision = decide(request, snapshot, now, no_recall)
        event = audit_event.build(request, decision, 100, self.claims)
        self.events.append(event)
        return event

    def call(self, tool: str, *, path: str = "/mcp", peer: str = AGENT) -> AuditEvent:
        """A call of a tool by MCP."""
        return self.ask(method="POST", path=path, peer=peer, **mcp_call(tool))

    def write(self, file: Path) -> Path:
        """All events as an audit file."""
        return write_events(file, self.events)


def mcp_call(tool: str) -> dict[str, Any]:
    """Headers and body of a call of a tool."""
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": tool, "arguments": {"amount": 5}},
    }
    return {
        "body": json.dumps(message).encode(),
        "headers": {
            "content-type": "application/json",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/call",
            "mcp-name": tool,
        },
    }


def write_events(file: Path, events: Iterable[Mapping[str, Any] | AuditEvent]) -> Path:
    """The events as the service writes them."""
    file.write_bytes(
        b"".join(orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in events)
    )
    return file


def run_policy(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    """`deputize policy` with these arguments."""
    return CliRunner().invoke(policy_commands, [str(each) for each in arguments], input=stdin)
