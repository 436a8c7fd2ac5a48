"""Stage 2, for each request anew: may a verified token be used now, and by this peer?

Rules of this file:
- It is asked of remembered tokens too: what was revoked since is refused.
- What cannot be known refuses: a deny list or status list that is absent or too old.
- A bound token needs its proof. Nothing here consumes anything: what must not be used twice is
  given back as an obligation.

Sources: RFC 7800 section 3.1; RFC 8705 section 3; RFC 9449 sections 4.3, 7.1 and 7.2;
draft-ietf-oauth-status-list sections 7 and 8.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from deputize.core.dpop import PossessionError, check_proof
from deputize.core.model import (
    AccessRequest,
    Credential,
    Grant,
    Introspect,
    Mandate,
    Obligation,
    Peer,
    UseOnce,
    VerifiedToken,
)
from deputize.core.reasons import Reason
from deputize.core.revocation import Revocations
from deputize.core.status_list import StatusList, StatusListError, status_at
from deputize.core.trust import TrustedIssuer
from deputize.core.verdict import Denied, StatusWanted

VALID_STATUS = 0

StatusLists = Mapping[tuple[str, str], StatusList]
"""Status lists by issuer and URI."""


def check_not_revoked(
    token: VerifiedToken,
    trusted: TrustedIssuer,
    revocations: Revocations,
    status_lists: StatusLists,
    now: float,
) -> None:
    """Looks the token up in deny lists and in its status list.

    Raises:
        Denied: token.revoked; system.status_unavailable where it cannot be known.
    """
    if not now <= revocations.usable_until:
        raise Denied(Reason.SYSTEM_STATUS_UNAVAILABLE, "a deny list is absent or too old")
    if not revocations.is_empty:
        issuer, subject = token.principal.issuer, token.principal.subject
        why = revocations.why_token_revoked(issuer, token.token_id, subject, token.issued_at)
        if why:
            raise Denied(Reason.TOKEN_REVOKED, why)
        mandate = token.mandate
        if isinstance(mandate, Mandate):
            cutoff = revocations.agent_cutoffs.get(mandate.agent.text, 0.0)
            if token.issued_at < cutoff:
                raise Denied(Reason.TOKEN_REVOKED, "issued to its agent before a cut-off")
    if token.status is not None or trusted.status_required:
        _check_status(token, trusted, status_lists, now)


def check_possession(
    token: VerifiedToken,
    trusted: TrustedIssuer,
    credential: Credential,
    peer: Peer,
    request: AccessRequest,
    now: float,
) -> UseOnce | None:
    """Checks that whoever sends the token is whom it is bound to (RFC 7800).

    Gives the DPoP proof's identifier, which must not be used again; None without DPoP.

    Raises:
        Denied: token.wrong_binding, token.proof_invalid.
    """
    bound = token.confirmation
    if credential.is_dpop and (bound is None or not bound.key):
        raise Denied(Reason.TOKEN_WRONG_BINDING, "scheme DPoP with a token bound to no key")
    if bound is None:
        if trusted.binding_required:
            raise Denied(Reason.TOKEN_WRONG_BINDING, "the token is bound to nothing")
        return None
    if bound.certificate and not hmac.compare_digest(bound.certificate, peer.certificate_sha256):
        detail = "not the peer's certificate" if peer.certificate_sha256 else "no certificate sent"
        raise Denied(Reason.TOKEN_WRONG_BINDING, f"x5t#S256: {detail}")
    if not bound.key:
        return None
    if not credential.is_dpop or not credential.proof:
        raise Denied(Reason.TOKEN_WRONG_BINDING, "a token bound to a key without its DPoP proof")
    try:
        return check_proof(
            credential.proof,
            jkt=bound.key,
            token=credential.token,
            request=request,
            now=now,
            max_age=trusted.proof_max_age,
            clock_skew=trusted.clock_skew,
        )
    except PossessionError as error:
        raise Denied(Reason.TOKEN_PROOF_INVALID, str(error)) from None


def find_obligations(
    token: VerifiedToken, trusted: TrustedIssuer, proof: UseOnce | None, grant: Grant
) -> tuple[Obligation, ...]:
    """What must be done before the token lets the call in; the cheapest to undo comes first.

    Raises:
        Denied: token.claim_missing: it may be used once, but has no identifier.
    """
    if proof is None and not (
        trusted.introspected or trusted.use_once or grant.use_once or grant.owed
    ):
        return ()
    owed: list[Obligation] = []
    if trusted.introspected:
        owed.append(Introspect(trusted.issuer))
    owed += grant.owed
    if proof is not None:
        owed.append(proof)
    if trusted.use_once or grant.use_once:
        owed.append(_use_once(token, trusted))
    return tuple(owed)


def _use_once(token: VerifiedToken, trusted: TrustedIssuer) -> UseOnce:
    if not token.use_key:
        raise Denied(Reason.TOKEN_CLAIM_MISSING, "a token that may be used once has no identifier")
    return UseOnce(token.use_key, token.expires_at + trusted.clock_skew)


def _check_status(
    token: VerifiedToken,
    trusted: TrustedIssuer,
    status_lists: StatusLists,
    now: float,
) -> None:
    status = token.status
    if status is None:
        raise Denied(Reason.TOKEN_CLAIM_MISSING, "claim status is absent")
    if not trusted.has_status_lists:
        detail = "the token names a status list, and `statusLists` of its issuer is not configured"
        raise Denied(Reason.SYSTEM_STATUS_UNAVAILABLE, detail)
    found = status_lists.get((trusted.issuer, status.uri))
    if found is None or not now <= found.usable_until:
        raise Denied(
            Reason.SYSTEM_STATUS_UNAVAILABLE,
            "the token's status list is absent or too old",
            wanted=StatusWanted(trusted.issuer, status.uri),
        )
    try:
        value = status_at(found, status.position)
    except StatusListError as error:
        raise Denied(Reason.TOKEN_REVOKED, str(error)) from None
    if value != VALID_STATUS:
        raise Denied(Reason.TOKEN_REVOKED, f"its status is {value}")
