"""Stage 2: whom do you represent? The On-Behalf-Of token, verified.

What must hold, in this order; the numbers stand again at the checks:
1. a credential is there, and is a well-formed compact JWS (`jws.py`)
2. its issuer is configured, spelled exactly so
3. its type is one of the issuer's access token types
4. its algorithm is allowed for the issuer
5. its key is in the issuer's ring, pinned to that algorithm, and the ring is fresh enough
6. the signature verifies
7. the claims have the shape the issuer's profile gives them, and that of no other kind of token
8. it was issued for one of our audiences
9. the times hold, with the stated clock skew

Whether it may be used now and by this peer is asked for each request anew, in `token_use.py`.

A token verified before is remembered by its exact text. Then 5 and 9 are checked again, and that
the issuer's settings are still those it was verified under; nothing else can have changed.

Sources: RFC 7519 sections 4.1 and 7.2; RFC 8725 sections 3.1 to 3.12; RFC 9068 sections 2.1, 2.2
and 4; RFC 8693 section 4.2 (`scope`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from deputize.core.claims import (
    ClaimError,
    find_claim,
    format_claim_path,
    read_audience,
    read_first_text,
    read_joined,
    read_scopes,
    read_time,
)
from deputize.core.dpop import PossessionError, read_confirmation
from deputize.core.jws import JwsError, UnverifiedJws, read_unverified_jws
from deputize.core.keys import KeyRing, VerificationKey, parse_algorithm, verify_signature
from deputize.core.mandate import read_mandate
from deputize.core.model import Credential, Json, Principal, VerifiedToken
from deputize.core.profiles import PRINCIPAL_KINDS, find_kind, foreign_kind, normalize_type
from deputize.core.reasons import Reason
from deputize.core.status_list import StatusListError, read_status_reference
from deputize.core.trust import TrustedIssuer, is_still_trusted
from deputize.core.verdict import Denied, KeyWanted

HEADER_MEMBERS = frozenset({"alg", "kid", "typ", "x5t", "x5t#S256"})
"""All that any issuer's tokens may have; which of them is for its profile to say."""

_REQUIRED = ("exp", "iat", "aud")

Recall = Callable[[str], VerifiedToken | None]
"""Looks up a token that `verify` returned earlier for exactly this text. No I/O."""


def verify(
    credential: Credential,
    issuers: Mapping[str, TrustedIssuer],
    key_rings: Mapping[str, KeyRing],
    now: float,
    recall: Recall,
) -> VerifiedToken:
    """Verifies the token.

    Raises:
        Denied: any `token.*` code about the token itself; system.keys_unavailable when the
            issuer's ring was never loaded or is too old.
    """
    if not credential.token:  # 1
        raise Denied(Reason.TOKEN_MISSING, "no token in the configured header")
    earlier = recall(credential.token)
    if earlier is not None and is_still_trusted(earlier, issuers, key_rings, now):
        _check_times(earlier, issuers[earlier.principal.issuer], now)  # 9
        return earlier
    try:
        jws = read_unverified_jws(credential.token, header_members=HEADER_MEMBERS)  # 1
    except JwsError as error:
        raise Denied(Reason.TOKEN_MALFORMED, str(error)) from None
    trusted = _find_issuer(jws, issuers)  # 2
    _check_header(jws, trusted)  # 3
    key = _find_key(jws, trusted, key_rings, now)  # 4, 5
    if not verify_signature(key, jws.signing_input, jws.signature):  # 6
        # The issuer may have put a new key under the same name.
        raise Denied(
            Reason.TOKEN_BAD_SIGNATURE,
            f"signature does not fit kid `{key.key_id}`",
            wanted=KeyWanted(trusted.issuer, key.key_id),
        )
    try:
        _check_kind(jws, trusted)  # 7
        token = _read_claims(jws.payload, trusted, key, credential.token)
    except (ClaimError, PossessionError, StatusListError) as error:
        raise Denied(Reason.TOKEN_MALFORMED, str(error)) from None
    if trusted.audiences.isdisjoint(token.audience):  # 8
        raise Denied(Reason.TOKEN_WRONG_AUDIENCE, "aud names none of our audiences")
    _check_times(token, trusted, now)  # 9
    return token


def _find_issuer(jws: UnverifiedJws, issuers: Mapping[str, TrustedIssuer]) -> TrustedIssuer:
    issuer = jws.payload.get("iss")
    if issuer is None:
        raise Denied(Reason.TOKEN_CLAIM_MISSING, "claim iss is absent")
    trusted = issuers.get(issuer) if isinstance(issuer, str) else None
    if trusted is None:
        raise Denied(Reason.TOKEN_UNKNOWN_ISSUER, "iss is not a configured issuer")
    return trusted


def _check_header(jws: UnverifiedJws, trusted: TrustedIssuer) -> None:
    profile = trusted.mandate_rules.profile
    if not jws.header.further_members <= profile.header_members:
        raise Denied(Reason.TOKEN_MALFORMED, "a header member other than alg, kid, typ")
    if normalize_type(jws.header.token_type) not in profile.token_types:
        allowed = ", ".join(sorted(profile.token_types))
        raise Denied(Reason.TOKEN_WRONG_TYPE, f"typ is not one of the issuer's types: {allowed}")


def _find_key(
    jws: UnverifiedJws, trusted: TrustedIssuer, key_rings: Mapping[str, KeyRing], now: float
) -> VerificationKey:
    algorithm = parse_algorithm(jws.header.algorithm)
    if algorithm is None or algorithm not in trusted.algorithms:  # 4
        raise Denied(Reason.TOKEN_ALGORITHM_REFUSED, "alg is not allowed for the issuer")
    wanted = KeyWanted(trusted.issuer, jws.header.key_id)
    ring = key_rings.get(trusted.issuer)
    if ring is None or not now <= ring.usable_until:  # 5
        raise Denied(
            Reason.SYSTEM_KEYS_UNAVAILABLE,
            "no fresh key set for the issuer",
            wanted=wanted,
        )
    key = ring.find(jws.header.key_id)
    if key is None:
        raise Denied(Reason.TOKEN_UNKNOWN_KEY, "kid is not in the key set", wanted=wanted)
    if key.algorithm is not algorithm:
        raise Denied(Reason.TOKEN_ALGORITHM_REFUSED, f"kid is pinned to {key.algorithm}")
    return key


def _read_claims(
    claims: dict[str, Json], trusted: TrustedIssuer, key: VerificationKey, credential: str
) -> VerifiedToken:
    profile = trusted.mandate_rules.profile
    for path in (*((name,) for name in _REQUIRED), *profile.principal, *profile.required_claims):
        if find_claim(claims, path) is None:
            detail = f"claim {format_claim_path(path)} is absent"
            raise Denied(Reason.TOKEN_CLAIM_MISSING, detail)
    client = read_first_text(claims, profile.client)
    token_id = read_first_text(claims, profile.token_id)
    kind = find_kind(profile.principal_kind, claims, PRINCIPAL_KINDS)
    subject = read_joined(claims, profile.principal)
    attributes = {name: find_claim(claims, path) for name, path in profile.attributes}
    told = MappingProxyType({**claims, **attributes})
    return VerifiedToken(
        principal=Principal(trusted.issuer, subject, kind, told),
        audience=read_audience(claims),
        client_id=client,
        token_id=token_id,
        use_key=_use_key(trusted.issuer, token_id),
        scopes=read_scopes(claims, profile.scopes),
        issued_at=read_time(claims, "iat"),
        not_before=read_time(claims, "nbf") if "nbf" in claims else 0.0,
        expires_at=read_time(claims, "exp"),
        confirmation=read_confirmation(claims),
        status=read_status_reference(claims),
        mandate=read_mandate(claims, subject, kind, trusted.mandate_rules),
        key_id=key.key_id,
        algorithm=key.algorithm.value,
        key_thumbprint=key.thumbprint,
        trust_digest=trusted.digest,
        digest=hashlib.sha256(credential.encode("ascii")).hexdigest(),
    )


def _use_key(issuer: str, token_id: str) -> str:
    if not token_id:
        return ""
    name = hashlib.sha256(f"{issuer}\0{token_id}".encode()).hexdigest()
    return f"token:{name}"


def _check_kind(jws: UnverifiedJws, trusted: TrustedIssuer) -> None:
    claims, profile = jws.payload, trusted.mandate_rules.profile
    for path, allowed in profile.type_claims:
        value = find_claim(claims, path)
        if not isinstance(value, str) or value not in allowed:
            name = format_claim_path(path)
            known = ", ".join(sorted(allowed))
            raise Denied(Reason.TOKEN_WRONG_TYPE, f"claim {name} is none of: {known}")
    client = read_first_text(claims, profile.client)
    foreign = foreign_kind(claims, client, normalize_type(jws.header.token_type))
    if foreign:
        raise Denied(Reason.TOKEN_WRONG_TYPE, f"the token has the shape of {foreign}")


def _show_time(moment: float) -> str:
    try:
        return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):
        # A number that no calendar has.
        return f"{moment:.0f}"


def _check_times(token: VerifiedToken, trusted: TrustedIssuer, now: float) -> None:
    # Each check asks for what must hold, so that a time that is no number passes none of them.
    skew = trusted.clock_skew
    if not now < token.expires_at + skew:
        ago = f"{now - token.expires_at:.0f} s ago"
        raise Denied(Reason.TOKEN_EXPIRED, f"expired {ago}, at {_show_time(token.expires_at)}")
    if not token.not_before <= now + skew:
        raise Denied(Reason.TOKEN_NOT_YET_VALID, "nbf lies in the future")
    if not token.issued_at <= now + skew:
        raise Denied(Reason.TOKEN_NOT_YET_VALID, "iat lies in the future")
    lifetime = token.expires_at - token.issued_at
    if not lifetime > 0:
        raise Denied(Reason.TOKEN_MALFORMED, "exp is not after iat")
    if not lifetime <= trusted.max_lifetime:
        raise Denied(
            Reason.TOKEN_LIFETIME_TOO_LONG,
            f"exp - iat is {lifetime:.0f} s, at most {trusted.max_lifetime:.0f} s",
        )
