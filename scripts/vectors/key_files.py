"""The files of the worlds that are made with keys: JWK Sets, status lists, trust bundles.

The JWK Sets have entries no token may be verified with.
"""

from __future__ import annotations

import json
from pathlib import Path

from scripts.vectors.cast import (
    APPROVALS,
    IDP,
    IDP_ED25519,
    IDP_ES384,
    PARTNER,
    PARTNER_PS256,
    WEAK_PARTNER,
    private_key,
    shape_issuer,
)
from scripts.vectors.certificates import bundle_entry
from scripts.vectors.status import status_list
from tests.harness.issuer import Issuer, encode_base64url, public_jwk
from tests.harness.vector_files import FOLDER, ISSUERS_WORLD, WORLD

HMAC_SECRET = b"a secret that both sides would know"


def key_files() -> dict[Path, bytes]:
    """The files by path."""
    return {
        WORLD / "keys" / "idp.jwks.json": _encode(
            {"keys": [*_published(IDP, IDP_ES384, IDP_ED25519), *_unusable()]}
        ),
        WORLD / "keys" / "partner.jwks.json": _encode(
            {"keys": [*_published(PARTNER, PARTNER_PS256, WEAK_PARTNER), _one_as_exponent()]}
        ),
        FOLDER / "world-calls" / "approvals.jwks.json": _encode({"keys": _published(APPROVALS)}),
        WORLD / "keys" / "status-list.jwt": status_list().encode("ascii"),
        **{
            FOLDER / ISSUERS_WORLD / f"{algorithm.lower()}.jwks.json": _encode(
                {"keys": _published(shape_issuer("", algorithm))}
            )
            for algorithm in ("RS256", "ES256")
        },
        **{
            FOLDER / "world-strict" / f"{authority}.bundle.json": _encode(
                {"spiffe_sequence": 1, "keys": [bundle_entry(authority)]}
            )
            for authority in ("authority", "other-authority")
        },
    }


def _unusable() -> list[dict[str, object]]:
    stranger = {**public_jwk(private_key("stranger")), "alg": "ES256"}
    return [
        {**stranger, "kid": "for-encryption", "use": "enc"},
        {**stranger, "kid": "for-signing-only", "key_ops": ["sign"]},
        {**stranger, "kid": "twice"},
        {**public_jwk(IDP.private_key), "kid": "twice", "alg": "ES256"},
        {"kty": "oct", "kid": "shared-secret", "k": encode_base64url(HMAC_SECRET)},
    ]


def _one_as_exponent() -> dict[str, object]:
    """Under this key a signature is the padded message itself: anybody can write one."""
    key = public_jwk(PARTNER.private_key)
    return {**key, "e": encode_base64url(b"\x01"), "kid": "exponent-one", "alg": "RS256"}


def _published(*issuers: Issuer) -> list[dict[str, object]]:
    return [key for issuer in issuers for key in json.loads(issuer.jwks())["keys"]]


def _encode(document: dict[str, object]) -> bytes:
    return (json.dumps(document, indent=2) + "\n").encode("ascii")
