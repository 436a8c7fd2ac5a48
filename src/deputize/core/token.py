"""Stage 2: whom do you represent? The On-Behalf-Of token, verified.

What must hold, in this order; the numbers stand again at the checks:
1. a credential is there, and is a well-formed compact JWS (`jws.py`)
2. its issuer is configured, spelled exactly so
3. its type is one of the issuer's access token types
4. its algorithm is allowed for the issuer
5. its key is in the issuer's ring, pinned to that algorithm, and the ring is fresh enough
6. the signature verifies
7. the claims have the required shape
8. it was issued for one of our audiences
9. the times hold, with the stated clock skew

A token verified before is remembered by its exact text. Then 5 and 9 are checked again, and that
the issuer's settings are still those it was verified under; nothing else can have changed.

Sources: RFC 7519 sections 4.1 and 7.2; RFC 8725 sections 3.1 to 3.12; RFC 9068 sections 2.1, 2.2
and 4; RFC 8693 section 4.2 (`scope`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from deputize.core.jws import JwsError, UnverifiedJws, read_unverified_jws
from deputize.core.keys import (
    Algorithm,
    KeyRing,
    VerificationKey,
    parse_algorithm,
    verify_signature,
)
from deputize.core.model import Json, Scope, VerifiedToken
from deputize.core.reasons import Reason
from deputize.core.verdict import Denied, KeyWanted

MAX_NUMERIC_DATE = 2**53
"""Above this a JSON number is no longer exact everywhere."""
MAX_CLAIM_TEXT = 1024

_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*")
_REQUIRED = ("exp", "iat", "aud", "sub", "client_id", "jti")

Recall = Callable[[str], VerifiedToken | None]
"""Looks up a token that `verify` returned earlier for exactly this text. No I/O."""


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """How tokens of one issuer are checked.

    `issuer` is compared exactly with `iss`. `token_types` are lower-case without the prefix
    `application/`. `max_lifetime` bounds `exp - iat`; `clock_skew` is tolerated either way; both
    in seconds. `digest` names exactly these settings.
    """

    issuer: str
    audiences: frozenset[str]
    algorithms: tuple[Algorithm, ...]
    token_types: frozenset[str]
    max_lifetime: float
    clock_skew: float
    digest: str


def verify(
    credential: str | None,
    issuers: Mapping[str, TrustedIssuer],
    key_rings: Mapping[str, KeyRing],
    now: float,
    recall: Recall,
) -> VerifiedToken:
    """Verifies the token.

    Raises:
        Denied: any `token.*` code; system.keys_unavailable when the issuer's ring was never
            loaded or is too old.
    """
    if credential is None:  # 1
        raise Denied(Reason.TOKEN_MISSING, "no token in the configured header")
    earlier = recall(credential)
    if earlier is not None and _still_trusted(earlier, issuers, key_rings, now):
        _check_times(earlier, issuers[earlier.issuer], now)  # 9
        return earlier
    try:
        jws = read_unverified_jws(credential)  # 1
    except JwsError as error:
        raise Denied(Reason.TOKEN_MALFORMED, str(error)) from None
    trusted = _find_issuer(jws, issuers)  # 2
    if normalize_type(jws.header.token_type) not in trusted.token_types:  # 3
        raise Denied(Reason.TOKEN_WRONG_TYPE, "typ is not one of the issuer's token types")
    key = _find_key(jws, trusted, key_rings, now)  # 4, 5
    if not verify_signature(key, jws.signing_input, jws.signature):  # 6
        raise Denied(Reason.TOKEN_BAD_SIGNATURE, f"signature does not fit kid `{key.key_id}`")
    token = _read_claims(jws.payload, trusted, key, credential)  # 7
    if trusted.audiences.isdisjoint(token.audience):  # 8
        raise Denied(Reason.TOKEN_WRONG_AUDIENCE, "aud names none of our audiences")
    _check_times(token, trusted, now)  # 9
    return token


def normalize_type(token_type: str) -> str:
    """A `typ` value for comparing: RFC 7515 section 4.1.9 lets `application/` be left out."""
    return token_type.lower().removeprefix("application/")


def _still_trusted(
    token: VerifiedToken,
    issuers: Mapping[str, TrustedIssuer],
    key_rings: Mapping[str, KeyRing],
    now: float,
) -> bool:
    trusted = issuers.get(token.issuer)
    ring = key_rings.get(token.issuer)
    if trusted is None or ring is None or not now <= ring.usable_until:
        return False
    key = ring.keys.get(token.key_id)
    return (
        key is not None
        and key.thumbprint == token.key_thumbprint
        and key.algorithm == token.algorithm
        and trusted.digest == token.trust_digest
    )


def _find_issuer(jws: UnverifiedJws, issuers: Mapping[str, TrustedIssuer]) -> TrustedIssuer:
    issuer = jws.payload.get("iss")
    if issuer is None:
        raise Denied(Reason.TOKEN_CLAIM_MISSING, "claim iss is absent")
    trusted = issuers.get(issuer) if isinstance(issuer, str) else None
    if trusted is None:
        raise Denied(Reason.TOKEN_UNKNOWN_ISSUER, "iss is not a configured issuer")
    return trusted


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
            key_wanted=wanted,
        )
    key = ring.keys.get(jws.header.key_id)
    if key is None:
        raise Denied(Reason.TOKEN_UNKNOWN_KEY, "kid is not in the key set", key_wanted=wanted)
    if key.algorithm is not algorithm:
        raise Denied(Reason.TOKEN_ALGORITHM_REFUSED, f"kid is pinned to {key.algorithm}")
    return key


def _read_claims(
    claims: dict[str, Json], trusted: TrustedIssuer, key: VerificationKey, credential: str
) -> VerifiedToken:
    for name in _REQUIRED:
        if claims.get(name) is None:
            raise Denied(Reason.TOKEN_CLAIM_MISSING, f"claim {name} is absent")
    return VerifiedToken(
        issuer=trusted.issuer,
        subject=_text(claims, "sub"),
        audience=_audience(claims),
        client_id=_text(claims, "client_id"),
        token_id=_text(claims, "jti"),
        scopes=_scopes(claims),
        issued_at=_time(claims, "iat"),
        not_before=_time(claims, "nbf") if "nbf" in claims else 0.0,
        expires_at=_time(claims, "exp"),
        key_id=key.key_id,
        algorithm=key.algorithm.value,
        key_thumbprint=key.thumbprint,
        trust_digest=trusted.digest,
        digest=hashlib.sha256(credential.encode("ascii")).hexdigest(),
        claims=MappingProxyType(claims),
    )


def _check_times(token: VerifiedToken, trusted: TrustedIssuer, now: float) -> None:
    # Each check asks for what must hold, so that a time that is no number passes none of them.
    skew = trusted.clock_skew
    if not now < token.expires_at + skew:
        raise Denied(Reason.TOKEN_EXPIRED, f"expired {now - token.expires_at:.0f} s ago")
    if not token.not_before <= now + skew:
        raise Denied(Reason.TOKEN_NOT_YET_VALID, "nbf lies in the future")
    if not token.issued_at <= now + skew:
        raise Denied(Reason.TOKEN_NOT_YET_VALID, "iat lies in the future")
    lifetime = token.expires_at - token.issued_at
    if not lifetime > 0:
        raise Denied(Reason.TOKEN_MALFORMED, "exp is not after iat")
    if not lifetime <= trusted.max_lifetime:
        raise Denied(Reason.TOKEN_LIFETIME_TOO_LONG, f"exp - iat is {lifetime:.0f} s")


def _text(claims: dict[str, Json], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str) or not value:
        raise Denied(Reason.TOKEN_MALFORMED, f"claim {name} is not a text")
    if len(value) > MAX_CLAIM_TEXT or not value.isprintable():
        raise Denied(Reason.TOKEN_MALFORMED, f"claim {name} is too long or not printable")
    return value


def _audience(claims: dict[str, Json]) -> tuple[str, ...]:
    value = claims["aud"]
    entries = value if isinstance(value, list) else [value]
    audience = tuple(entry for entry in entries if isinstance(entry, str) and entry)
    if len(audience) != len(entries) or not audience:
        raise Denied(Reason.TOKEN_MALFORMED, "claim aud is not a text or a list of texts")
    return audience


def _time(claims: dict[str, Json], name: str) -> float:
    """A NumericDate (RFC 7519 section 2): a JSON number, never a text; bool is no number."""
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Denied(Reason.TOKEN_MALFORMED, f"claim {name} is not a number")
    if not 0 <= value <= MAX_NUMERIC_DATE:
        raise Denied(Reason.TOKEN_MALFORMED, f"claim {name} is out of range")
    return float(value)


def _scopes(claims: dict[str, Json]) -> frozenset[Scope]:
    value = claims.get("scope", "")
    if not isinstance(value, str):
        raise Denied(Reason.TOKEN_MALFORMED, "claim scope is not a text")
    if not value:
        return frozenset()
    if not _SCOPE.fullmatch(value):
        raise Denied(Reason.TOKEN_MALFORMED, "claim scope has characters RFC 6749 3.3 forbids")
    return frozenset(Scope(scope) for scope in value.split(" "))
