"""The form of an audit event, schema version 1.

Rules of this file:
- Members are only ever added. Absent knowledge is null, never left out.
"""

from __future__ import annotations

from typing import TypedDict

from deputize.core.model import Json


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
    """The request as received; the path without its query, which may hold secrets.

    `upgrade` is the protocol the connection shall change to, empty for none.
    """

    method: str
    host: str
    path: str
    upgrade: str


class AuditCall(TypedDict):
    """One call of an agent protocol: its arguments may hold secrets and are not here.

    `name` is the tool, prompt, resource URI or task, empty where there is none.
    """

    protocol: str
    method: str
    name: str


class AuditApproval(TypedDict):
    """An approval the call was allowed on: `approver` as the service (`iss`) names it."""

    service: str
    approver: str
    id: str


class AuditObserved(TypedDict):
    """What would have refused an allowed call, were its policy enforced."""

    reason: str
    detail: str
    rule: str | None


class AuditEvent(TypedDict):
    """One decision. `time` is RFC 3339 in UTC, `duration_us` microseconds of our own work.

    `claims` are those of the token that the configuration says to record, null where no token was
    verified; `calls` are those that were read. `observed` stands on an allow only.
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
    claims: dict[str, Json] | None
    http: AuditHttp
    calls: list[AuditCall]
    approvals: list[AuditApproval]
    observed: AuditObserved | None
    request_id: str
    trace_id: str
    duration_us: int
