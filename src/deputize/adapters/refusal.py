"""What a refusal says to the caller, in the caller's own protocol.

Rules of this file:
- A caller sees the reason code, a public text, the decision id and what would help: scopes, a
  stronger login, what must be approved, when to come again. Nothing of policy or token.
- A gRPC caller gets its status from the HTTP status, as Envoy maps it, and the body as its message.
- On a resource of JSON-RPC the body is a JSON-RPC error; everybody else gets a problem document.

Sources: RFC 6750 section 3; RFC 9110 section 10.2.3 (`Retry-After`); RFC 9449 section 7.1; RFC
9457; RFC 9470 section 3; RFC 9728 section 5.1; JSON-RPC 2.0 section 5.1; MCP 2026-07-28 (errors);
Envoy `source/common/grpc/status.cc` (HTTP status to gRPC status).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import orjson

from deputize.adapters.presentation import PRESENTATIONS, Presentation
from deputize.core.keys import Algorithm
from deputize.core.model import AccessRequest, Action, Binding, Json, Protocol, Resource
from deputize.core.reasons import REASONS, Reason
from deputize.core.verdict import Decision, Denial

MAX_SHOWN_BYTES = 16384
"""What must be approved is shown up to this size: it repeats the path the caller sent."""

_DENIED = -32003
_JSON_RPC_CODES = {
    Reason.REQUEST_BODY_UNREADABLE: -32600,
    Reason.REQUEST_CALL_MISMATCH: -32020,
}
"""JSON-RPC's own code for an invalid request, and that of MCP for headers that do not fit."""

_PROOF_ERROR = "invalid_dpop_proof"
_BEARER = 'Bearer realm="deputize"'
_DPOP = f'DPoP realm="deputize", algs="{" ".join(Algorithm)}"'
_BAD_REQUEST, _FORBIDDEN = 400, 403


class Refusal(NamedTuple):
    """A refusal ready to be sent; `grpc_code` is that of the check itself."""

    http_status: int
    grpc_code: int
    headers: tuple[tuple[str, str], ...]
    body: str


def write_refusal(request: AccessRequest, decision: Decision, denial: Denial) -> Refusal:
    """The refusal in the form that fits the request."""
    shown = PRESENTATIONS[denial.reason]
    action, resource = decision.proven.action, decision.proven.resource
    http_status = shown.http_status
    if request.headers.get("content-type", "").startswith("application/grpc"):
        # Envoy makes INTERNAL of 400, which says that the fault is the server's.
        http_status = _FORBIDDEN if http_status == _BAD_REQUEST else http_status
        content_type, body = "text/plain", REASONS[denial.reason].public
    elif _speaks_json_rpc(resource):
        content_type, body = "application/json", _json_rpc_error(decision, denial, action)
    else:
        content_type, body = "application/problem+json", _problem(decision, denial, http_status)
    headers = (
        ("content-type", content_type),
        ("cache-control", "no-store"),
        *_further_headers(shown, denial, resource),
    )
    return Refusal(http_status, shown.grpc_code, headers, body)


def _further_headers(
    shown: Presentation, denial: Denial, resource: Resource | None
) -> Iterator[tuple[str, str]]:
    if shown.challenge is not None:
        yield "www-authenticate", _challenge(shown.challenge, denial, resource)
    if denial.retry_after is not None:
        yield "retry-after", str(max(1, math.ceil(denial.retry_after)))


def _speaks_json_rpc(resource: Resource | None) -> bool:
    return resource is not None and (
        resource.protocol is Protocol.MCP or resource.binding is Binding.JSON_RPC
    )


def _challenge(error: str, denial: Denial, resource: Resource | None) -> str:
    parts = [_DPOP if error == _PROOF_ERROR else _BEARER]
    if error:
        parts.append(f'error="{error}"')
        parts.append(f'error_description="{REASONS[denial.reason].public}"')
    if denial.needed_scopes:
        parts.append(f'scope="{" ".join(sorted(denial.needed_scopes))}"')
    if denial.step_up is not None:
        if denial.step_up.acr_values:
            parts.append(f'acr_values="{" ".join(denial.step_up.acr_values)}"')
        if denial.step_up.max_age is not None:
            parts.append(f"max_age={denial.step_up.max_age}")
    if resource is not None and resource.metadata_url:
        parts.append(f'resource_metadata="{resource.metadata_url}"')
    return ", ".join(parts)


def _facts(decision: Decision, denial: Denial) -> dict[str, Json]:
    facts: dict[str, Json] = {
        "reason": denial.reason.value,
        "decision_id": decision.decision_id,
    }
    if denial.approval is not None:
        approval = dict(denial.approval)
        if len(orjson.dumps(approval)) <= MAX_SHOWN_BYTES:
            facts["approval"] = approval
    return facts


def _json_rpc_error(decision: Decision, denial: Denial, action: Action | None) -> str:
    calls = () if action is None else action.calls
    return orjson.dumps(
        {
            "jsonrpc": "2.0",
            "id": calls[0].id if len(calls) == 1 else None,
            "error": {
                "code": _JSON_RPC_CODES.get(denial.reason, _DENIED),
                "message": REASONS[denial.reason].public,
                "data": _facts(decision, denial),
            },
        }
    ).decode()


def _problem(decision: Decision, denial: Denial, http_status: int) -> str:
    return orjson.dumps(
        {
            "type": f"urn:deputize:reason:{denial.reason.value}",
            "title": "Access denied",
            "status": http_status,
            "detail": REASONS[denial.reason].public,
            **_facts(decision, denial),
        }
    ).decode()
