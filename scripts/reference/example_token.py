"""The token and the key set of the examples, the same at every generation.

The private key is derived from a text that everybody can read: it protects nothing, and the
issuer's name is one that nobody can have (RFC 2606).
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from tests.harness.issuer import Issuer

FOLDER = Path("docs/examples")
ISSUED_AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
"""The examples decide as of a moment after this one (`--at`)."""
_SEED = b"an example of deputize, not a secret"


def generate(_root: Path) -> dict[Path, bytes]:
    """The key set of the example issuer, and the token alice gave the research agent."""
    issuer = make_issuer()
    token = issuer.issue(
        subject="alice",
        agent="spiffe://prod.example.org/ns/agents/sa/research",
        audience="orders",
        scope="orders:read orders:write",
        now=ISSUED_AT.timestamp(),
        claims={"groups": ["sales"], "jti": "example-token-1"},
    )
    return {
        FOLDER / "jwks.json": issuer.jwks() + b"\n",
        FOLDER / "alice-to-research.jwt": token.encode() + b"\n",
    }


def make_issuer() -> Issuer:
    """The issuer of the examples."""
    return Issuer("https://idp.example.org", key_id="example-1", private_key=_private_key())


def _private_key() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(
        int.from_bytes(hashlib.sha256(_SEED).digest()) >> 1, ec.SECP256R1()
    )
