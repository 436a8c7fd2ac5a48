"""How each refusal looks outside: the only place that maps reasons to HTTP, gRPC and OAuth.

Rules of this file:
- Every reason but that of an allow has a row (tests compare).
- gRPC codes are 7 or 16: other codes count as failures, which proxies may let pass.

Sources: RFC 9110 section 15; RFC 6750 section 3.1; Envoy `api/envoy/service/auth/v3/
external_auth.proto` (CheckResponse.status).
"""

from __future__ import annotations

from dataclasses import dataclass

from deputize.core.reasons import Reason

PERMISSION_DENIED = 7
UNAUTHENTICATED = 16
_HTTP_UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class Presentation:
    """How one refusal looks outside: HTTP status, and the OAuth error of its challenge.

    `challenge` is None without `WWW-Authenticate`, empty for one without error (RFC 6750
    section 3: no error where no credential was sent).
    """

    http_status: int
    challenge: str | None = None

    @property
    def grpc_code(self) -> int:
        """16 where authentication may help, else 7."""
        return UNAUTHENTICATED if self.http_status == _HTTP_UNAUTHORIZED else PERMISSION_DENIED


_BAD_REQUEST = Presentation(400)
_FORBIDDEN = Presentation(403)
_BAD_TOKEN = Presentation(401, "invalid_token")
_UNAVAILABLE = Presentation(503)

PRESENTATIONS: dict[Reason, Presentation] = {
    Reason.REQUEST_MALFORMED: _BAD_REQUEST,
    Reason.REQUEST_NOT_HTTP: _FORBIDDEN,
    Reason.REQUEST_AMBIGUOUS_PATH: _BAD_REQUEST,
    Reason.REQUEST_OVERRIDE_HEADER: _BAD_REQUEST,
    Reason.REQUEST_DUPLICATE_CREDENTIAL: Presentation(400, "invalid_request"),
    Reason.REQUEST_BODY_TRUNCATED: Presentation(413),
    Reason.REQUEST_BODY_UNREADABLE: _BAD_REQUEST,
    Reason.REQUEST_CALL_MISMATCH: _BAD_REQUEST,
    Reason.PEER_UNTRUSTED_SOURCE: _FORBIDDEN,
    Reason.PEER_MISSING: _FORBIDDEN,
    Reason.PEER_MALFORMED: _FORBIDDEN,
    Reason.PEER_UNTRUSTED_DOMAIN: _FORBIDDEN,
    Reason.PEER_SVID_INVALID: _FORBIDDEN,
    Reason.PEER_SUSPENDED: _FORBIDDEN,
    Reason.TOKEN_MISSING: Presentation(401, ""),
    Reason.TOKEN_MALFORMED: _BAD_TOKEN,
    Reason.TOKEN_ALGORITHM_REFUSED: _BAD_TOKEN,
    Reason.TOKEN_WRONG_TYPE: _BAD_TOKEN,
    Reason.TOKEN_UNKNOWN_ISSUER: _BAD_TOKEN,
    Reason.TOKEN_UNKNOWN_KEY: _BAD_TOKEN,
    Reason.TOKEN_BAD_SIGNATURE: _BAD_TOKEN,
    Reason.TOKEN_CLAIM_MISSING: _BAD_TOKEN,
    Reason.TOKEN_EXPIRED: _BAD_TOKEN,
    Reason.TOKEN_NOT_YET_VALID: _BAD_TOKEN,
    Reason.TOKEN_LIFETIME_TOO_LONG: _BAD_TOKEN,
    Reason.TOKEN_WRONG_AUDIENCE: _BAD_TOKEN,
    Reason.TOKEN_REVOKED: _BAD_TOKEN,
    Reason.TOKEN_REPLAYED: _BAD_TOKEN,
    Reason.TOKEN_WRONG_BINDING: _BAD_TOKEN,
    Reason.TOKEN_PROOF_INVALID: Presentation(401, "invalid_dpop_proof"),
    Reason.DELEGATION_ABSENT: _FORBIDDEN,
    Reason.DELEGATION_MALFORMED: _FORBIDDEN,
    Reason.DELEGATION_ACTOR_UNMAPPED: _FORBIDDEN,
    Reason.DELEGATION_ACTOR_MISMATCH: _FORBIDDEN,
    Reason.DELEGATION_TOO_DEEP: _FORBIDDEN,
    Reason.DELEGATION_CYCLE: _FORBIDDEN,
    Reason.DELEGATION_ACTOR_NOT_AGENT: _FORBIDDEN,
    Reason.DELEGATION_MEMBER_REFUSED: _FORBIDDEN,
    Reason.POLICY_NO_MATCH: _FORBIDDEN,
    Reason.POLICY_FORBIDDEN: _FORBIDDEN,
    Reason.POLICY_INSUFFICIENT_SCOPE: Presentation(403, "insufficient_scope"),
    Reason.POLICY_SCOPE_NOT_DELEGABLE: _FORBIDDEN,
    Reason.POLICY_CONDITION_FAILED: _FORBIDDEN,
    Reason.POLICY_EVALUATION_ERROR: _FORBIDDEN,
    Reason.POLICY_STEP_UP_REQUIRED: Presentation(401, "insufficient_user_authentication"),
    Reason.POLICY_APPROVAL_REQUIRED: _FORBIDDEN,
    Reason.POLICY_APPROVAL_INVALID: _FORBIDDEN,
    Reason.POLICY_BUDGET_EXHAUSTED: Presentation(429),
    Reason.SYSTEM_NOT_READY: _UNAVAILABLE,
    Reason.SYSTEM_KEYS_UNAVAILABLE: _UNAVAILABLE,
    Reason.SYSTEM_STATUS_UNAVAILABLE: _UNAVAILABLE,
    Reason.SYSTEM_AUDIT_UNAVAILABLE: _UNAVAILABLE,
    Reason.SYSTEM_OBLIGATION_FAILED: _UNAVAILABLE,
    Reason.SYSTEM_DEADLINE: _UNAVAILABLE,
    Reason.SYSTEM_INTERNAL: _UNAVAILABLE,
}
