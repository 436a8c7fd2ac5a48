"""The audit event as a JSON Schema, from the types of `core/audit_form.py`.

Members are only ever added to the event, so the schema lets unknown ones pass.
"""

from __future__ import annotations

import types
from typing import Union, get_args, get_origin, get_type_hints, is_typeddict

from deputize.core.audit_event import SCHEMA_VERSION
from deputize.core.audit_form import AuditEvent
from scripts.reference.json_types import Schema

_PLAIN = {str: "string", int: "integer", float: "number"}

MEANINGS = {
    "schema_version": "Version of this form; a new one only when a member changes its meaning.",
    "decision_id": "The same id as in the answer, the dynamic metadata of the proxy and, where "
    "something went wrong on our side, the log.",
    "time": "When it was decided: RFC 3339 in UTC with microseconds.",
    "effect": "`allow` or `deny`.",
    "reason": "The reason code.",
    "detail": "Why in words, for operators; empty on an allow. Never sent to the caller.",
    "rule": "The rule that determined the answer, `<policy>/<rule>`; null where none did.",
    "policy_digest": "SHA-256 over configuration and policy files in use, hex; empty where the "
    "decision was made without them.",
    "asserted_principal": "What the proxy said the peer is, cut to 2048 characters; not proven.",
    "peer": "The workload that was established; null where question 1 was not answered.",
    "peer.spiffe_id": "Its SPIFFE ID.",
    "peer.assurance": "`certificate-checked` where we saw its certificate, else "
    "`asserted-by-proxy`.",
    "peer.source": "Where its identity was read: `principal`, `waypoint-xfcc` or `metadata`.",
    "principal": "On whose behalf the call is made; null where no token was verified.",
    "principal.issuer": "`iss` of the token.",
    "principal.subject": "Its name there: `sub`, or what the issuer's profile reads instead.",
    "principal.kind": "What the issuer says it is: `user`, `agent`, `service` or `unknown`.",
    "agent": "SPIFFE ID of the acting agent; null where the mandate was not shown.",
    "chain": "The delegation chain, current actor first; null where the mandate was not shown.",
    "chain[].subject": "Its name: `act.sub` of the hop, or what the issuer's profile reads "
    "instead; empty where the profile lets an earlier hop have none.",
    "chain[].issuer": "`act.iss` of the hop, empty where the token names none.",
    "chain[].kind": "What the issuer says it is: `agent`, `service`, `unknown`; `user` behind the "
    "current actor only.",
    "style": "`delegated`, `impersonated` or `autonomous`; null where the mandate was not shown.",
    "token": "Which token; null where none was verified.",
    "token.id": "`jti` of the token, or what the issuer's profile reads instead; may be empty.",
    "token.sha256": "SHA-256 of the whole token text, hex.",
    "token.client_id": "The client: `client_id`, or what the issuer's profile reads instead.",
    "token.expires_at": "`exp` of the token, seconds since the epoch.",
    "token.binding": "What it is bound to: `certificate`, `key`, `certificate+key`, or empty.",
    "scopes": "Scopes of the token and of the grant; null where no token was verified.",
    "scopes.token": "Scopes the token carries, sorted.",
    "scopes.granted": "Those the granting rule needs, sorted; empty on a deny.",
    "claims": "Those of the token that `audit.claims` names and it has, by name, integers beyond "
    "64 bits as text; null where no "
    "token was verified.",
    "http": "The request as received.",
    "http.method": "Method, cut to 2048 characters.",
    "http.host": "Host with port, cut to 2048 characters.",
    "http.path": "Path without query, undecoded, cut to 2048 characters.",
    "http.upgrade": "What the connection shall be changed to, in lower case, for example "
    "`websocket`; empty for nothing.",
    "calls": "The calls of an agent protocol in the request; empty where none were read: the "
    "resource speaks none, or the request was refused before.",
    "calls[].protocol": "`mcp`, `a2a` or `grpc`.",
    "calls[].method": "JSON-RPC method, A2A operation or gRPC method, cut to 2048 characters.",
    "calls[].name": "Tool, prompt, resource URI or task, cut to 2048 characters; may be empty.",
    "approvals": "The approvals an allowed call was let in on; empty where no rule asked for one.",
    "approvals[].service": "The approval service: `iss` of the approval.",
    "approvals[].approver": "Who approved, as the service names it.",
    "approvals[].id": "`jti` of the approval.",
    "observed": "On an allow only: what would have refused it, were all policies enforced; null "
    "where nothing would.",
    "observed.reason": "The reason code it would have had.",
    "observed.detail": "Why in words.",
    "observed.rule": "The rule that would have, `<policy>/<rule>`; null where none matched.",
    "request_id": "The caller's `x-request-id`; not proven.",
    "trace_id": "Trace id of the caller's `traceparent`, else empty; not proven.",
    "duration_us": "Microseconds from the check's arrival to this event.",
}
"""What each member says; a missing or an unused entry ends the generation."""


def audit_schema() -> Schema:
    """The schema of one event.

    Raises:
        ValueError: `MEANINGS` and the members of the event are not the same.
    """
    used: set[str] = set()
    schema = _object(AuditEvent, "", used)
    if used != MEANINGS.keys():
        raise ValueError(f"describe exactly the members: {sorted(used ^ MEANINGS.keys())}")
    schema["properties"]["schema_version"]["const"] = SCHEMA_VERSION
    schema["properties"]["effect"]["enum"] = ["allow", "deny"]
    return schema


def _object(typed: object, path: str, used: set[str]) -> Schema:
    properties: Schema = {}
    for name, hint in get_type_hints(typed).items():
        inner = f"{path}{name}"
        used.add(inner)
        properties[name] = {**_schema(hint, inner, used), "description": MEANINGS.get(inner, "")}
    text = " ".join(str(typed.__doc__).split())
    return {
        "type": "object",
        "description": text,
        "properties": properties,
        "required": list(properties),
    }


def _schema(hint: object, path: str, used: set[str]) -> Schema:
    if get_origin(hint) in {Union, types.UnionType}:
        choices = [_schema(choice, path, used) for choice in get_args(hint) if choice not in _NONE]
        return {"anyOf": [*choices, {"type": "null"}]}
    if get_origin(hint) is list:
        items = get_args(hint)[0]
        return {"type": "array", "items": _schema(items, f"{path}[]", used)}
    if get_origin(hint) is dict:
        return {"type": "object"}
    if is_typeddict(hint):
        return _object(hint, f"{path}.", used)
    return {"type": next(name for kind, name in _PLAIN.items() if hint is kind)}


_NONE = (None, type(None))
