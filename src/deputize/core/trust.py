"""What is trusted of one issuer, and whether a token verified earlier is still trusted under it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deputize.core.keys import Algorithm, KeyRing
from deputize.core.mandate import MandateRules
from deputize.core.model import VerifiedToken


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """How tokens of one issuer are checked. Times are in seconds.

    `issuer` is compared exactly with `iss`; it need not be a URL. `max_lifetime` bounds
    `exp - iat`; `clock_skew` is tolerated either way. `mandate_rules` say how its tokens are
    written. `use_once` tokens are good for one call, `introspected` ones are asked about at the
    issuer. `binding_required` refuses tokens without `cnf`; a DPoP proof may be `proof_max_age`
    old. `has_status_lists` and `status_required` are about Token Status Lists. `digest` names
    exactly these settings.
    """

    issuer: str
    audiences: frozenset[str]
    algorithms: tuple[Algorithm, ...]
    max_lifetime: float
    clock_skew: float
    mandate_rules: MandateRules
    use_once: bool
    introspected: bool
    binding_required: bool
    proof_max_age: float
    has_status_lists: bool
    status_required: bool
    digest: str


def is_still_trusted(
    token: VerifiedToken,
    issuers: Mapping[str, TrustedIssuer],
    key_rings: Mapping[str, KeyRing],
    now: float,
) -> bool:
    """Whether the key and the settings it was verified under are still in use."""
    issuer = token.principal.issuer
    trusted = issuers.get(issuer)
    ring = key_rings.get(issuer)
    if trusted is None or ring is None or not now <= ring.usable_until:
        return False
    key = ring.keys.get(token.key_id)
    return (
        key is not None
        and key.thumbprint == token.key_thumbprint
        and key.algorithm == token.algorithm
        and trusted.digest == token.trust_digest
    )
