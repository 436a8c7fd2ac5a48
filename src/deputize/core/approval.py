"""Approvals: somebody's signed word that this agent may make this very call, once.

What must hold, in this order; the numbers stand again at the checks:
1. it is a well-formed compact JWS (`jws.py`) of the type of approvals
2. its issuer is a configured approval service, one the rule trusts
3. its key is in the service's ring, pinned to an allowed algorithm, and the ring is fresh enough
4. the signature verifies
5. the times hold, and it is short-lived
6. it names this agent, this principal and this call, and nothing else
7. somebody approved it who may

Rules of this file:
- A bound that is not understood is an error; it is never left out.
- Nothing is consumed here: that it is used once is given back as an obligation.

Sources: RFC 7515 sections 4 and 5.2; RFC 7519 sections 4.1 and 7.2; RFC 8725 sections 3.1, 3.2,
3.8, 3.11 and 3.12.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from deputize.core.approved_call import ApprovalError, ApprovalSubject
from deputize.core.claims import ClaimError, is_within_times, read_text, read_time
from deputize.core.jws import JwsError, UnverifiedJws, read_unverified_jws
from deputize.core.keys import (
    Algorithm,
    KeyRing,
    VerificationKey,
    parse_algorithm,
    verify_signature,
)
from deputize.core.model import Approved, Json, UseOnce
from deputize.core.profiles import normalize_type
from deputize.core.verdict import KeyWanted

APPROVAL_TYPE = "deputize-approval+jwt"
APPROVAL = "approval"
"""The beginning of the key under which its use is noted, up to a colon."""
_TIMES = ("iat", "exp")
_UNENFORCED = ("aud", "cnf", "status")
"""Registered claims that bound a token in ways an approval is not checked for."""


@dataclass(frozen=True, slots=True)
class ApprovalNeed:
    """What a rule asks for: an approval by one of these services, named by their `iss`.

    `approver_not_principal` refuses the principal's own approval (four eyes).
    """

    services: frozenset[str]
    approver_not_principal: bool


@dataclass(frozen=True, slots=True)
class ApprovalService:
    """How approvals of one service are checked. Times are in seconds.

    `issuer` is compared exactly with `iss`. `max_lifetime` bounds `exp - iat`; `clock_skew` is
    tolerated either way.
    """

    issuer: str
    algorithms: tuple[Algorithm, ...]
    max_lifetime: float
    clock_skew: float


def verify_approval(
    compact: str,
    subject: ApprovalSubject,
    need: ApprovalNeed,
    services: Mapping[str, ApprovalService],
    key_rings: Mapping[str, KeyRing],
    now: float,
) -> Approved:
    """Verifies the approval of exactly this call.

    `services` and `key_rings` are by `iss`; `now` is in seconds since the epoch. Gives the
    approval's identifier, which must not be used again while the approval could be accepted.

    Raises:
        ApprovalError: anything that does not hold.
    """
    try:
        jws = read_unverified_jws(compact)  # 1
        if normalize_type(jws.header.token_type) != APPROVAL_TYPE:
            raise ApprovalError(f"typ is not {APPROVAL_TYPE}")
        service = _find_service(jws, need, services)  # 2
        key = _find_key(jws, service, key_rings, now)  # 3
        if not verify_signature(key, jws.signing_input, jws.signature):  # 4
            # The service may have put a new key under the same name.
            wanted = KeyWanted(service.issuer, jws.header.key_id)
            raise ApprovalError("the signature does not verify", wanted=wanted)
        expires_at = _check_times(jws.payload, service, now)  # 5
        _check_subject(jws.payload, subject)  # 6
        approver = _check_approver(jws.payload, subject, need)  # 7
        identifier = read_text(jws.payload, ("jti",))
    except (JwsError, ClaimError) as error:
        raise ApprovalError(str(error)) from None
    name = hashlib.sha256(f"{service.issuer}\0{identifier}".encode()).hexdigest()
    # Accepted until `exp` + skew by our clock; once more for that of another replica.
    use = UseOnce(f"{APPROVAL}:{name}", expires_at + 2 * service.clock_skew + 1)
    return Approved(service.issuer, approver, identifier, use)


def _find_service(
    jws: UnverifiedJws, need: ApprovalNeed, services: Mapping[str, ApprovalService]
) -> ApprovalService:
    issuer = jws.payload.get("iss")
    service = services.get(issuer) if isinstance(issuer, str) else None
    if service is None:
        raise ApprovalError("iss is not a configured approval service")
    if service.issuer not in need.services:
        raise ApprovalError("the rule does not trust this approval service")
    return service


def _find_key(
    jws: UnverifiedJws, service: ApprovalService, key_rings: Mapping[str, KeyRing], now: float
) -> VerificationKey:
    algorithm = parse_algorithm(jws.header.algorithm)
    if algorithm is None or algorithm not in service.algorithms:
        raise ApprovalError("alg is not allowed for the approval service")
    wanted = KeyWanted(service.issuer, jws.header.key_id)
    ring = key_rings.get(service.issuer)
    if ring is None or not now <= ring.usable_until:
        detail = "no fresh key set for the approval service"
        raise ApprovalError(detail, wanted=wanted, is_unavailable=True)
    key = ring.find(jws.header.key_id)
    if key is None:
        raise ApprovalError("kid is not in the key set", wanted=wanted)
    if key.algorithm is not algorithm:
        raise ApprovalError(f"kid is pinned to {key.algorithm}")
    return key


def _check_times(claims: dict[str, Json], service: ApprovalService, now: float) -> float:
    """Gives `exp`. Each check asks for what must hold, so that NaN passes none of them."""
    for name in _TIMES:
        if name not in claims:
            raise ApprovalError(f"claim {name} is absent")
    issued_at, expires_at = (read_time(claims, name) for name in _TIMES)
    if not is_within_times(claims, now, service.clock_skew):
        raise ApprovalError("expired, or its nbf lies in the future")
    if not issued_at <= now + service.clock_skew:
        raise ApprovalError("iat lies in the future")
    if not 0 < expires_at - issued_at <= service.max_lifetime:
        raise ApprovalError(f"exp is not within {service.max_lifetime:.0f} s after iat")
    return expires_at


def _check_subject(claims: dict[str, Json], subject: ApprovalSubject) -> None:
    for name in _UNENFORCED:
        if name in claims:
            raise ApprovalError(f"claim {name} is a bound that approvals cannot have")
    for name, expected in subject.to_json().items():
        value = claims.get(name)
        if isinstance(expected, dict) and isinstance(value, dict):
            if not value.keys() <= expected.keys():
                raise ApprovalError(f"claim {name} has a member the call has not")
            for member, part in expected.items():
                if value.get(member) != part:
                    raise ApprovalError(f"claim {name}.{member} is not that of the call")
        elif value != expected:
            raise ApprovalError(f"claim {name} is not that of the call")


def _check_approver(claims: dict[str, Json], subject: ApprovalSubject, need: ApprovalNeed) -> str:
    """Gives the approver."""
    approver = read_text(claims, ("approver",))
    # Who must differ is compared without case: a second spelling is no second person.
    folded = approver.casefold()
    if folded == subject.agent.casefold():
        raise ApprovalError("approved by the agent itself")
    if need.approver_not_principal and folded == subject.principal.casefold():
        raise ApprovalError("approved by the principal, where the rule asks for somebody else")
    return approver
