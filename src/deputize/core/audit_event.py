"""The one audit event of a decision.

Rules of this file:
- One schema version; members are only ever added. Absent knowledge is null, never left out.
- Never the token, never a header value, never a claim beyond those named here.

Sources: RFC 8693 section 4.1 (chain, current actor first); W3C Trace Context section 3.2;
draft-ietf-wimse-aims section 11 (what an audit record of an agent's action must hold).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypedDict

from deputize.core.model import AccessRequest, Delegation, Peer, VerifiedToken
from deputize.core.verdict import Decision, Denial, Permit

SCHEMA_VERSION = "1"
MAX_TEXT = 2048
"""Longer method, host, path or id texts are cut: a refused request may hold anything."""

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class AuditPeer(TypedDict):
    """The peer, how it was established (`certificate-checked`, `asserted-by-proxy`) and where.

    `source` is where its identity was read: `principal`, `waypoint-xfcc` or `metadata`.
    """

    spiffe_id: str
    assurance: str
    source: str


class AuditPrincipal(TypedDict):
    """The person or service on whose behalf the call was made; `kind` as its issuer says."""

    issuer: str
    subject: str
    kind: str


class AuditActor(TypedDict):
    """One hop of the chain; `issuer` is empty where the token names none."""

    subject: str
    issuer: str
    kind: str


class AuditToken(TypedDict):
    """Which token: its identifier and the hex SHA-256 of its text, and what it is bound to.

    `binding` is empty, `certificate`, `key` or both with a `+` between.
    """

    id: str
    sha256: str
    client_id: str
    expires_at: float
    binding: str


class AuditScopes(TypedDict):
    """Scopes the token carries, and those granted for this call."""

    token: list[str]
    granted: list[str]


class AuditHttp(TypedDict):
    """The request as received; the path without its query, which may hold secrets."""

    method: str
    host: str
    path: str


class AuditEvent(TypedDict):
    """One decision. `time` is RFC 3339 in UTC, `duration_us` microseconds of our own work.

    `asserted_principal` is what the proxy claimed, `peer` what was established; `request_id`
    and `trace_id` come from the caller and are not proven.
    """

    schema_version: str
    decision_id: str
    time: str
    effect: str
    reason: str
    detail: str
    rule: str | None
    policy_digest: str
    peer: AuditPeer | None
    asserted_principal: str
    principal: AuditPrincipal | None
    agent: str | None
    chain: list[AuditActor] | None
    style: str | None
    token: AuditToken | None
    scopes: AuditScopes | None
    http: AuditHttp
    request_id: str
    trace_id: str
    duration_us: int


def build(request: AccessRequest, decision: Decision, duration_us: int) -> AuditEvent:
    """Describes the decision by what was proven when it ended."""
    verdict, rule, headers = decision.verdict, decision.rule, request.headers
    return {
        "schema_version": SCHEMA_VERSION,
        "decision_id": decision.decision_id,
        "time": format_time(decision.decided_at),
        "effect": decision.effect.value,
        "reason": decision.reason.value,
        "detail": "" if isinstance(verdict, Permit) else verdict.detail,
        "rule": None if rule is None else str(rule),
        "policy_digest": decision.policy_digest,
        "asserted_principal": request.asserted_principal[:MAX_TEXT],
        "peer": _peer(decision.proven.peer),
        "principal": _principal(decision.proven.token),
        "agent": _agent(decision.proven.delegation),
        "chain": _chain(decision.proven.delegation),
        "style": _style(decision.proven.delegation),
        "token": _token(decision.proven.token),
        "scopes": _scopes(decision.proven.token, verdict),
        "http": {
            "method": request.method[:MAX_TEXT],
            "host": request.host[:MAX_TEXT],
            "path": request.path.partition("?")[0][:MAX_TEXT],
        },
        "request_id": headers.get("x-request-id", "")[:MAX_TEXT],
        "trace_id": _trace_id(headers.get("traceparent", "")),
        "duration_us": duration_us,
    }


def format_time(seconds: float) -> str:
    """RFC 3339 in UTC with microseconds."""
    whole = math.floor(seconds)
    return f"{_format_second(whole)}.{int((seconds - whole) * 1e6):06d}+00:00"


@lru_cache(maxsize=8)
def _format_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _trace_id(traceparent: str) -> str:
    match = _TRACEPARENT.fullmatch(traceparent)
    return match[1] if match else ""


def _peer(peer: Peer | None) -> AuditPeer | None:
    if peer is None:
        return None
    return {
        "spiffe_id": peer.id.text,
        "assurance": peer.assurance.value,
        "source": peer.source.value,
    }


def _principal(token: VerifiedToken | None) -> AuditPrincipal | None:
    if token is None:
        return None
    principal = token.principal
    return {
        "issuer": principal.issuer,
        "subject": principal.subject,
        "kind": principal.kind.value,
    }


def _agent(delegation: Delegation | None) -> str | None:
    return None if delegation is None else delegation.agent.text


def _chain(delegation: Delegation | None) -> list[AuditActor] | None:
    if delegation is None:
        return None
    return [
        {"subject": hop.subject, "issuer": hop.issuer, "kind": hop.kind.value}
        for hop in delegation.chain
    ]


def _style(delegation: Delegation | None) -> str | None:
    return None if delegation is None else delegation.style.value


def _token(token: VerifiedToken | None) -> AuditToken | None:
    if token is None:
        return None
    return {
        "id": token.token_id,
        "sha256": token.digest,
        "client_id": token.client_id,
        "expires_at": token.expires_at,
        "binding": _binding(token),
    }


def _binding(token: VerifiedToken) -> str:
    bound = token.confirmation
    if bound is None:
        return ""
    kinds = (("certificate", bound.certificate), ("key", bound.key))
    return "+".join(name for name, thumbprint in kinds if thumbprint)


def _scopes(token: VerifiedToken | None, verdict: Permit | Denial) -> AuditScopes | None:
    if token is None:
        return None
    granted: list[str] = sorted(verdict.grant.scopes) if isinstance(verdict, Permit) else []
    return {"token": sorted(token.scopes), "granted": granted}
