"""The one audit event of a decision.

Rules of this file:
- One schema version; members are only ever added. Absent knowledge is null, never left out.
- Never the token, a header value or an argument of a call; claims only where the configuration
  names them.

Sources: RFC 8693 section 4.1 (chain, current actor first); W3C Trace Context section 3.2;
draft-ietf-wimse-aims section 11 (what an audit record of an agent's action must hold).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from deputize.core.audit_form import (
    AuditActor,
    AuditApproval,
    AuditCall,
    AuditEvent,
    AuditObserved,
    AuditPeer,
    AuditPrincipal,
    AuditScopes,
    AuditToken,
)
from deputize.core.model import AccessRequest, Action, Delegation, Json, Peer, VerifiedToken
from deputize.core.verdict import Decision, Denial, Permit

SCHEMA_VERSION = "1"
MAX_TEXT = 2048
"""Longer method, host, path or id texts are cut: a refused request may hold anything."""

_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**64 - 1
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def build(
    request: AccessRequest, decision: Decision, duration_us: int, claims: Sequence[str] = ()
) -> AuditEvent:
    """Describes the decision by what was proven when it ended, with these claims of the token."""
    verdict, rule, headers = decision.verdict, decision.rule, request.headers
    action = decision.proven.action
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
        "claims": _claims(decision.proven.token, claims),
        "http": {
            "method": request.method[:MAX_TEXT],
            "host": request.host[:MAX_TEXT],
            "path": request.path.partition("?")[0][:MAX_TEXT],
            "upgrade": "" if action is None else action.upgrade[:MAX_TEXT],
        },
        "calls": _calls(action),
        "approvals": _approvals(verdict),
        "observed": _observed(decision.observed),
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


def _claims(token: VerifiedToken | None, names: Sequence[str]) -> dict[str, Json] | None:
    if token is None:
        return None
    claims = token.principal.claims
    return {name: _recorded(claims[name]) for name in names if name in claims}


def _recorded(value: Json) -> Json:
    """The value, with integers beyond 64 bits as texts: not every writer of JSON has those."""
    if isinstance(value, list):
        return [_recorded(entry) for entry in value]
    if isinstance(value, dict):
        return {name: _recorded(entry) for name, entry in value.items()}
    if isinstance(value, int) and not _MIN_INTEGER <= value <= _MAX_INTEGER:
        return str(value)
    return value


def _calls(action: Action | None) -> list[AuditCall]:
    return [
        {
            "protocol": call.protocol.value,
            "method": call.method[:MAX_TEXT],
            "name": call.name[:MAX_TEXT],
        }
        for call in (action.calls if action is not None else ())
    ]


def _approvals(verdict: Permit | Denial) -> list[AuditApproval]:
    if isinstance(verdict, Denial):
        return []
    return [
        {"service": approved.service, "approver": approved.approver, "id": approved.id}
        for approved in verdict.grant.approvals
    ]


def _observed(denial: Denial | None) -> AuditObserved | None:
    if denial is None:
        return None
    return {
        "reason": denial.reason.value,
        "detail": denial.detail,
        "rule": None if denial.rule is None else str(denial.rule),
    }


def _scopes(token: VerifiedToken | None, verdict: Permit | Denial) -> AuditScopes | None:
    if token is None:
        return None
    granted: list[str] = sorted(verdict.grant.scopes) if isinstance(verdict, Permit) else []
    return {"token": sorted(token.scopes), "granted": granted}
