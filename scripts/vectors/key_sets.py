"""The JWK Sets of the two issuers, with entries no token may be verified with."""

from __future__ import annotations

import json
from pathlib import Path

from scripts.vectors.cast import (
    IDP,
    IDP_ED25519,
    IDP_ES384,
    PARTNER,
    PARTNER_PS256,
    WEAK_PARTNER,
    private_key,
)
from tests.harness.issuer import Issuer, encode_base64url, public_jwk
from tests.harness.vector_files import WORLD

HMAC_SECRET = b"a secret that both sides would know"


def key_sets() -> dict[Path, bytes]:
    """The files by path."""
    stranger = {**public_jwk(private_key("stranger")), "alg": "ES256"}
    unusable: list[dict[str, object]] = [
        {**stranger, "kid": "for-encryption", "use": "enc"},
        {**stranger, "kid": "for-signing-only", "key_ops": ["sign"]},
        {**stranger, "kid": "twice"},
        {**public_jwk(IDP.private_key), "kid": "twice", "alg": "ES256"},
        {"kty": "oct", "kid": "shared-secret", "k": encode_base64url(HMAC_SECRET)},
    ]
    return {
        WORLD / "keys" / "idp.jwks.json": _encode(
            [*_published(IDP, IDP_ES384, IDP_ED25519), *unusable]
        ),
        WORLD / "keys" / "partner.jwks.json": _encode(
            _published(PARTNER, PARTNER_PS256, WEAK_PARTNER)
        ),
    }


def _published(*issuers: Issuer) -> list[dict[str, object]]:
    return [key for issuer in issuers for key in json.loads(issuer.jwks())["keys"]]


def _encode(keys: list[dict[str, object]]) -> bytes:
    return (json.dumps({"keys": keys}, indent=2) + "\n").encode("ascii")
