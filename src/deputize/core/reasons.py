"""Every reason code: why a request was allowed or refused.

Rules of this file:
- A code is `family.name`; the family names the file in `core/` that raises it
  (`system.*` stands for faults on our side and may be raised anywhere).
- Codes are append-only: never renamed, never reused.
- No HTTP or gRPC here. What a caller sees of a code is in `adapters/presentation.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """A stable code, the same in response, audit event, metric and log."""

    REQUEST_MALFORMED = "request.malformed"
    REQUEST_NOT_HTTP = "request.not_http"
    REQUEST_AMBIGUOUS_PATH = "request.ambiguous_path"
    REQUEST_OVERRIDE_HEADER = "request.override_header"
    REQUEST_DUPLICATE_CREDENTIAL = "request.duplicate_credential"
    REQUEST_BODY_TRUNCATED = "request.body_truncated"
    REQUEST_BODY_UNREADABLE = "request.body_unreadable"
    REQUEST_CALL_MISMATCH = "request.call_mismatch"
    PEER_UNTRUSTED_SOURCE = "peer.untrusted_source"
    PEER_MISSING = "peer.missing"
    PEER_MALFORMED = "peer.malformed"
    PEER_UNTRUSTED_DOMAIN = "peer.untrusted_domain"
    PEER_SVID_INVALID = "peer.svid_invalid"
    PEER_SUSPENDED = "peer.suspended"
    TOKEN_MISSING = "token.missing"
    TOKEN_MALFORMED = "token.malformed"
    TOKEN_ALGORITHM_REFUSED = "token.algorithm_refused"
    TOKEN_WRONG_TYPE = "token.wrong_type"
    TOKEN_UNKNOWN_ISSUER = "token.unknown_issuer"
    TOKEN_UNKNOWN_KEY = "token.unknown_key"
    TOKEN_BAD_SIGNATURE = "token.bad_signature"
    TOKEN_CLAIM_MISSING = "token.claim_missing"
    TOKEN_EXPIRED = "token.expired"
    TOKEN_NOT_YET_VALID = "token.not_yet_valid"
    TOKEN_LIFETIME_TOO_LONG = "token.lifetime_too_long"
    TOKEN_WRONG_AUDIENCE = "token.wrong_audience"
    TOKEN_REVOKED = "token.revoked"
    TOKEN_REPLAYED = "token.replayed"
    TOKEN_WRONG_BINDING = "token.wrong_binding"
    TOKEN_PROOF_INVALID = "token.proof_invalid"
    DELEGATION_ABSENT = "delegation.absent"
    DELEGATION_MALFORMED = "delegation.malformed"
    DELEGATION_ACTOR_UNMAPPED = "delegation.actor_unmapped"
    DELEGATION_ACTOR_MISMATCH = "delegation.actor_mismatch"
    DELEGATION_TOO_DEEP = "delegation.too_deep"
    DELEGATION_CYCLE = "delegation.cycle"
    DELEGATION_ACTOR_NOT_AGENT = "delegation.actor_not_agent"
    DELEGATION_MEMBER_REFUSED = "delegation.member_refused"
    POLICY_ALLOWED = "policy.allowed"
    POLICY_NO_MATCH = "policy.no_match"
    POLICY_FORBIDDEN = "policy.forbidden"
    POLICY_INSUFFICIENT_SCOPE = "policy.insufficient_scope"
    POLICY_SCOPE_NOT_DELEGABLE = "policy.scope_not_delegable"
    POLICY_CONDITION_FAILED = "policy.condition_failed"
    POLICY_EVALUATION_ERROR = "policy.evaluation_error"
    POLICY_STEP_UP_REQUIRED = "policy.step_up_required"
    POLICY_APPROVAL_REQUIRED = "policy.approval_required"
    POLICY_APPROVAL_INVALID = "policy.approval_invalid"
    POLICY_BUDGET_EXHAUSTED = "policy.budget_exhausted"
    SYSTEM_NOT_READY = "system.not_ready"
    SYSTEM_KEYS_UNAVAILABLE = "system.keys_unavailable"
    SYSTEM_STATUS_UNAVAILABLE = "system.status_unavailable"
    SYSTEM_AUDIT_UNAVAILABLE = "system.audit_unavailable"
    SYSTEM_OBLIGATION_FAILED = "system.obligation_failed"
    SYSTEM_DEADLINE = "system.deadline"
    SYSTEM_INTERNAL = "system.internal"

    @property
    def family(self) -> str:
        """The part before the dot: `request`, `peer`, `token`, `delegation`, `policy`, `system`."""
        return self.value.partition(".")[0]


@dataclass(frozen=True, slots=True)
class ReasonInfo:
    """What one code means to those who meet it.

    `meaning` is for the reference, `remedy` tells the operator what to do,
    `public` is the only text a caller may see: it gives no policy and no token detail away.
    """

    meaning: str
    remedy: str
    public: str


_NO_ENTRY = "The call is not permitted."
_BAD_TOKEN = "The delegation token was not accepted."
_BAD_REQUEST = "The request has more than one reading."
_OUR_SIDE = "The authorizer cannot decide right now."

REASONS: dict[Reason, ReasonInfo] = {
    Reason.REQUEST_MALFORMED: ReasonInfo(
        "The check request cannot be read, or its method, host or header forms are not valid.",
        "Look at the detail in the audit event; check the proxy's version and filter settings.",
        "The request is malformed.",
    ),
    Reason.REQUEST_NOT_HTTP: ReasonInfo(
        "The proxy asked about a connection that carries no HTTP request.",
        "Attach the authorizer to HTTP ports only; an Istio CUSTOM policy on a TCP port asks this.",
        _NO_ENTRY,
    ),
    Reason.REQUEST_AMBIGUOUS_PATH: ReasonInfo(
        "Proxy and back end could read the path differently: dot segments, empty segments, "
        "encoded separators, encoded letters, path parameters, control or look-alike characters.",
        "Send the plain spelling of the path; nothing is repaired on the way.",
        _BAD_REQUEST,
    ),
    Reason.REQUEST_OVERRIDE_HEADER: ReasonInfo(
        "A header that replaces method or URL behind the proxy was sent.",
        "Remove the header at the client, or at the edge if it is added there.",
        _BAD_REQUEST,
    ),
    Reason.REQUEST_DUPLICATE_CREDENTIAL: ReasonInfo(
        "More than one credential was sent, so it is not clear which one counts.",
        "Send exactly one token, in the configured header, and none in the query string.",
        "Exactly one credential is accepted.",
    ),
    Reason.REQUEST_BODY_TRUNCATED: ReasonInfo(
        "The body is needed to decide, and the proxy sent none of it, or only a part.",
        "Let the proxy send whole bodies to the check (Envoy: `with_request_body`, "
        "`allow_partial_message: false`), and raise its limit if calls may be larger.",
        "The request body is too large to be checked.",
    ),
    Reason.REQUEST_BODY_UNREADABLE: ReasonInfo(
        "The body is no call of the resource's protocol, or has more than one reading: a member "
        "twice, two spellings of a name, text that is not UTF-8.",
        "Look at the detail in the audit event and at how the client writes its calls; let the "
        "proxy send bodies as bytes (Envoy: `pack_as_bytes`).",
        "The request body cannot be read as a call of this protocol.",
    ),
    Reason.REQUEST_CALL_MISMATCH: ReasonInfo(
        "The headers that name the call (`Mcp-Method`, `Mcp-Name`) differ from the body, are "
        "absent where the protocol version requires them, or stand where it does not vouch for "
        "them.",
        "Let the client send headers and body of the same call.",
        "Headers and body of the request do not name the same call.",
    ),
    Reason.PEER_UNTRUSTED_SOURCE: ReasonInfo(
        "The proxy that asks is not on the list of allowed callers of this service, the waypoint "
        "that names the peer is not listed, or two places name different peers.",
        "Add the proxy's SPIFFE ID to `server.grpc.tls.allowedCallers`, or the waypoint's to "
        "`peer.waypoints`; or find out who asks.",
        _NO_ENTRY,
    ),
    Reason.PEER_MISSING: ReasonInfo(
        "The proxy reported no peer identity in the configured place.",
        "The detail says why. Require client certificates (mTLS) on the listener; at an Istio "
        "waypoint use the peer source `waypoint-xfcc`.",
        _NO_ENTRY,
    ),
    Reason.PEER_MALFORMED: ReasonInfo(
        "The peer identity is not a SPIFFE ID, for example a DNS name or a certificate subject.",
        "Give the agent an X.509-SVID with exactly one URI SAN.",
        _NO_ENTRY,
    ),
    Reason.PEER_UNTRUSTED_DOMAIN: ReasonInfo(
        "The peer's trust domain is not listed.",
        "Add it to `peer.trustDomains` if its workloads may act here.",
        _NO_ENTRY,
    ),
    Reason.PEER_SVID_INVALID: ReasonInfo(
        "The peer certificate is not a valid X.509-SVID for the reported identity, "
        "or none was sent although one is required.",
        "Issue a leaf certificate with one URI SAN; let the proxy send it "
        "(`include_peer_certificate`).",
        _NO_ENTRY,
    ),
    Reason.PEER_SUSPENDED: ReasonInfo(
        "An operator has stopped this agent (kill switch): it stands in a deny list.",
        "Take the agent off the deny list when it may act again.",
        _NO_ENTRY,
    ),
    Reason.TOKEN_MISSING: ReasonInfo(
        "No delegation token was sent.",
        "The agent must send an On-Behalf-Of token in the configured header.",
        "A delegation token is required.",
    ),
    Reason.TOKEN_MALFORMED: ReasonInfo(
        "The token is not a well-formed signed JWT, or a claim has the wrong shape.",
        "Look at the detail in the audit event and at how the issuer writes the token.",
        _BAD_TOKEN,
    ),
    Reason.TOKEN_ALGORITHM_REFUSED: ReasonInfo(
        "The token's algorithm is not allowed for its issuer, or is not the one of its key.",
        "Let the issuer sign with one of the issuer's configured `algorithms`.",
        _BAD_TOKEN,
    ),
    Reason.TOKEN_WRONG_TYPE: ReasonInfo(
        "The token is of another kind: an ID token, an identity assertion, a JWT-SVID, a "
        "transaction, logout or event token. Its `typ`, a claim or its shape shows it.",
        "Send an access token whose `typ` header is listed for its issuer.",
        _BAD_TOKEN,
    ),
    Reason.TOKEN_UNKNOWN_ISSUER: ReasonInfo(
        "The token's issuer is not configured.",
        "Add the issuer, spelled exactly as in `iss`, if its tokens shall be trusted.",
        _BAD_TOKEN,
    ),
    Reason.TOKEN_UNKNOWN_KEY: ReasonInfo(
        "The issuer's key set has no key with the token's `kid`.",
        "Check the issuer's JWKS; keys that are too weak or not for signatures are left out.",
        _BAD_TOKEN,
    ),
    Reason.TOKEN_BAD_SIGNATURE: ReasonInfo(
        "The signature does not verify.",
        "A forged or damaged token; investigate where it came from.",
        _BAD_TOKEN,
    ),
    Reason.TOKEN_CLAIM_MISSING: ReasonInfo(
        "A required claim is absent.",
        "Let the issuer add the claim that the detail names.",
        _BAD_TOKEN,
    ),
    Reason.TOKEN_EXPIRED: ReasonInfo(
        "The token has expired.",
        "Get a fresh token; check the clocks if it should still be valid.",
        "The delegation token has expired.",
    ),
    Reason.TOKEN_NOT_YET_VALID: ReasonInfo(
        "The token says it was issued, or becomes valid, in the future.",
        "Check the clocks of issuer and authorizer.",
        _BAD_TOKEN,
    ),
    Reason.TOKEN_LIFETIME_TOO_LONG: ReasonInfo(
        "The token lives longer than `maxLifetimeSeconds` of its issuer.",
        "Shorten the token's life at the issuer.",
        _BAD_TOKEN,
    ),
    Reason.TOKEN_WRONG_AUDIENCE: ReasonInfo(
        "The token was issued for another audience.",
        "Request a token for one of the issuer's configured `audiences`.",
        _BAD_TOKEN,
    ),
    Reason.TOKEN_REVOKED: ReasonInfo(
        "The token, its principal or its issuer stands in a deny list, its status list says that "
        "it is no longer valid, or its issuer says that it is not active.",
        "Get a fresh token, if its principal may still be acted for.",
        _BAD_TOKEN,
    ),
    Reason.TOKEN_REPLAYED: ReasonInfo(
        "A token or a proof that may be used once was used before.",
        "Get a fresh one for each call; if nobody did, somebody else has it.",
        _BAD_TOKEN,
    ),
    Reason.TOKEN_WRONG_BINDING: ReasonInfo(
        "The token is bound to a certificate or key (`cnf`) that was not shown, or a binding is "
        "required and there is none.",
        "Send the token over the connection, or with the DPoP proof, it was issued for; for "
        "`x5t#S256` let the proxy send the certificate.",
        _BAD_TOKEN,
    ),
    Reason.TOKEN_PROOF_INVALID: ReasonInfo(
        "The DPoP proof does not hold: its form, its signature, or what it was made for.",
        "Make a new proof for each call: method, URL, time and token must fit (RFC 9449).",
        _BAD_TOKEN,
    ),
    Reason.DELEGATION_ABSENT: ReasonInfo(
        "The token names no actor that acts for the principal, or its style of delegation is not "
        "one the issuer's profile allows.",
        "Exchange the user's token for an On-Behalf-Of token (RFC 8693) that names the agent.",
        _NO_ENTRY,
    ),
    Reason.DELEGATION_MALFORMED: ReasonInfo(
        "The `act` claim does not have the shape RFC 8693 gives it.",
        "Look at how the issuer writes `act`.",
        _NO_ENTRY,
    ),
    Reason.DELEGATION_ACTOR_UNMAPPED: ReasonInfo(
        "The current actor's name is no SPIFFE ID this issuer may name, and none it is mapped to.",
        "Add the name to the issuer's `identities`, or let the issuer write the agent's SPIFFE ID.",
        _NO_ENTRY,
    ),
    Reason.DELEGATION_ACTOR_MISMATCH: ReasonInfo(
        "The current actor is not the peer: the token was given to another agent.",
        "A stolen or misrouted token; investigate how the peer got it.",
        _NO_ENTRY,
    ),
    Reason.DELEGATION_TOO_DEEP: ReasonInfo(
        "The delegation chain has more hops than `delegation.maxChainDepth`.",
        "Shorten the chain or raise the limit.",
        _NO_ENTRY,
    ),
    Reason.DELEGATION_CYCLE: ReasonInfo(
        "The same actor stands twice in the delegation chain.",
        "Look for agents that call each other in a circle.",
        _NO_ENTRY,
    ),
    Reason.DELEGATION_ACTOR_NOT_AGENT: ReasonInfo(
        "The actor is a person, as in an administrator's impersonation, or is not shown to be an "
        "agent although the issuer's profile asks for it.",
        "Let the agent get a token that names itself as the actor.",
        _NO_ENTRY,
    ),
    Reason.DELEGATION_MEMBER_REFUSED: ReasonInfo(
        "The chain has a hop that is forbidden or stopped, or lacks one that is required.",
        "Look at `delegation.forbiddenActors`, `delegation.requiredActors` and the deny lists.",
        _NO_ENTRY,
    ),
    Reason.POLICY_ALLOWED: ReasonInfo(
        "All four questions were answered and a rule grants the call.", "Nothing.", "Allowed."
    ),
    Reason.POLICY_NO_MATCH: ReasonInfo(
        "No rule grants this agent this call for this principal (default deny).",
        "Look at the nearest rule that `deputize explain` names; add a rule if the call is wanted.",
        _NO_ENTRY,
    ),
    Reason.POLICY_FORBIDDEN: ReasonInfo(
        "A forbid rule covers the call.",
        "Change or remove the named rule if the call is wanted.",
        _NO_ENTRY,
    ),
    Reason.POLICY_INSUFFICIENT_SCOPE: ReasonInfo(
        "A rule would grant the call, but the token lacks a scope it needs.",
        "Request a token with the scopes the challenge names.",
        "The delegation token lacks a scope this call needs.",
    ),
    Reason.POLICY_SCOPE_NOT_DELEGABLE: ReasonInfo(
        "The token has the scopes, but one of them is more than this agent may ever have, or than "
        "this principal may delegate.",
        "Look at `agentCeilings` and `principalScopes` of the policies; the detail names the "
        "scope.",
        _NO_ENTRY,
    ),
    Reason.POLICY_CONDITION_FAILED: ReasonInfo(
        "A rule would grant the call, but one of its conditions does not hold.",
        "The detail names the condition.",
        _NO_ENTRY,
    ),
    Reason.POLICY_EVALUATION_ERROR: ReasonInfo(
        "A condition could not be evaluated: what it asks about has an unexpected form. A forbid "
        "then refuses, an allow does not grant.",
        "The detail names rule and condition; write the condition so that it fits what is sent.",
        _NO_ENTRY,
    ),
    Reason.POLICY_STEP_UP_REQUIRED: ReasonInfo(
        "A rule would grant the call, but asks for a stronger or more recent login of the "
        "principal.",
        "Let the principal log in again as the challenge says (RFC 9470), and get a fresh token.",
        "The principal must log in again, more strongly or more recently.",
    ),
    Reason.POLICY_APPROVAL_REQUIRED: ReasonInfo(
        "A rule would grant the call, but asks for somebody's approval of this very call.",
        "Get an approval for what the answer's `approval` names, and send it with the call.",
        "This call needs an approval.",
    ),
    Reason.POLICY_APPROVAL_INVALID: ReasonInfo(
        "An approval was sent, but it does not hold for this call: its signature, its time, or "
        "what it was given for.",
        "The detail says what is wrong; get a fresh approval of this very call.",
        "The approval does not hold for this call.",
    ),
    Reason.POLICY_BUDGET_EXHAUSTED: ReasonInfo(
        "The budget of the rule is used up for this window.",
        "Wait for the next window, or raise the rule's `budget`.",
        "The budget for this call is used up.",
    ),
    Reason.SYSTEM_NOT_READY: ReasonInfo(
        "The service has no valid configuration yet.",
        "Look at `/readyz` and the log.",
        _OUR_SIDE,
    ),
    Reason.SYSTEM_KEYS_UNAVAILABLE: ReasonInfo(
        "The issuer's keys were never loaded, or the last good copy is too old.",
        "Check the reachability of the issuer's JWKS; see `deputize_source_age_seconds`.",
        _OUR_SIDE,
    ),
    Reason.SYSTEM_STATUS_UNAVAILABLE: ReasonInfo(
        "Whether the token is revoked, active or used before cannot be found out now.",
        "Check the deny lists' source, the status list, the introspection endpoint or the replay "
        "store that the detail names.",
        _OUR_SIDE,
    ),
    Reason.SYSTEM_AUDIT_UNAVAILABLE: ReasonInfo(
        "The audit event cannot be written and `audit.onFailure` is `deny`.",
        "Restore the audit sink; see `deputize_audit_queue_length`.",
        _OUR_SIDE,
    ),
    Reason.SYSTEM_OBLIGATION_FAILED: ReasonInfo(
        "A header the grant obliges us to send cannot be written, for example because it is "
        "too long.",
        "Look at the detail in the audit event.",
        _OUR_SIDE,
    ),
    Reason.SYSTEM_DEADLINE: ReasonInfo(
        "The time for the decision ran out.",
        "Look at load and at the proxy's timeout.",
        _OUR_SIDE,
    ),
    Reason.SYSTEM_INTERNAL: ReasonInfo(
        "An error in deputize itself.",
        "Look at the log for the decision id and report it.",
        _OUR_SIDE,
    ),
}
