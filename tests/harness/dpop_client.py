"""A client that holds a key and proves it: DPoP proofs (RFC 9449 section 4.2)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping

from tests.harness.issuer import (
    PrivateKey,
    encode_base64url,
    generate_key,
    public_jwk,
    sign_bytes,
)

_THUMBPRINT_MEMBERS = frozenset({"crv", "e", "kty", "n", "x", "y"})


class ProofKey:
    """Makes proofs with one key. `thumbprint` is its `jkt` (RFC 7638)."""

    def __init__(self, algorithm: str = "ES256", private_key: PrivateKey | None = None) -> None:
        self.algorithm = algorithm
        self.private_key = private_key or generate_key(algorithm)
        self.jwk = public_jwk(self.private_key)
        needed = {name: value for name, value in self.jwk.items() if name in _THUMBPRINT_MEMBERS}
        canonical = json.dumps(needed, separators=(",", ":"), sort_keys=True)
        self.thumbprint = encode_base64url(hashlib.sha256(canonical.encode()).digest())

    def prove(
        self,
        token: str,
        *,
        now: float,
        method: str = "GET",
        url: str = "https://orders.example/v1/orders/7",
        claims: Mapping[str, object] = {},
        omit: Collection[str] = (),
        header: Mapping[str, object] = {},
    ) -> str:
        """A proof for this token and call; `claims` and `header` replace members."""
        payload = {
            "jti": "proof-1",
            "htm": method,
            "htu": url,
            "iat": int(now),
            "ath": encode_base64url(hashlib.sha256(token.encode()).digest()),
            **claims,
        }
        kept = {name: value for name, value in payload.items() if name not in omit}
        parts = ({"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.jwk, **header}, kept)
        signing_input = ".".join(encode_base64url(json.dumps(part).encode()) for part in parts)
        signature = sign_bytes(self.private_key, self.algorithm, signing_input.encode())
        return f"{signing_input}.{encode_base64url(signature)}"
