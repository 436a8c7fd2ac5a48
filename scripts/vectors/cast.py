"""Who takes part: agents, and issuers with the fixed keys of the world.

Tokens are the same in every run: ECDSA and PSS signatures are made without chance, and `jti` is
always the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from scripts.vectors.pss import sign_pss
from tests.harness.issuer import Issuer, PrivateKey, encode_base64url
from tests.harness.vector_files import READ_AT, WORLD

NOW = READ_AT

HOST = "orders.example"
DOMAIN = "spiffe://prod.example.org"
RESEARCH = f"{DOMAIN}/ns/agents/sa/research"
PLANNER = f"{DOMAIN}/ns/agents/sa/planner"
OPERATOR = f"{DOMAIN}/ns/ops/sa/operator"
COURIER = "spiffe://partner.example/courier"
RUNAWAY = f"{DOMAIN}/ns/agents/sa/runaway"
"""Stands in the deny list: an operator has stopped it."""
SCRAPER = f"{DOMAIN}/ns/agents/sa/scraper"
"""May stand in no chain."""

IDP_URL = "https://idp.example.org"
PARTNER_URL = "https://partner.example/"
PARTNER_AUDIENCE = "orders-for-partners"


@cache
def private_key(name: str) -> PrivateKey:
    """A key of the world, by the name of its file."""
    key = load_pem_private_key((WORLD / "private" / f"{name}.pem").read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed25519PrivateKey):
        raise TypeError(f"{name} is of another kind")
    return key


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    """A key of the world that is on a curve."""
    key = private_key(name)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{name} is on no curve")
    return key


class FixedIssuer(Issuer):
    """An issuer whose PSS signatures do not differ either."""

    def sign_parts(self, header: bytes, payload: bytes) -> str:
        """A compact JWS."""
        if self.algorithm != "PS256" or not isinstance(self.private_key, rsa.RSAPrivateKey):
            return super().sign_parts(header, payload)
        signing_input = f"{encode_base64url(header)}.{encode_base64url(payload)}"
        signature = sign_pss(self.private_key, signing_input.encode())
        return f"{signing_input}.{encode_base64url(signature)}"


def _issuer(url: str, algorithm: str, key_id: str, key: str = "") -> FixedIssuer:
    return FixedIssuer(
        url, algorithm=algorithm, key_id=key_id, private_key=private_key(key or key_id)
    )


IDP = _issuer(IDP_URL, "ES256", "idp-es256")
IDP_ES384 = _issuer(IDP_URL, "ES384", "idp-es384")
IDP_ED25519 = _issuer(IDP_URL, "Ed25519", "idp-ed25519")
PARTNER = _issuer(PARTNER_URL, "RS256", "partner-rs256")
PARTNER_PS256 = _issuer(PARTNER_URL, "PS256", "partner-ps256")
WEAK_PARTNER = _issuer(PARTNER_URL, "RS256", "partner-weak")
MIXED_PARTNER = _issuer(PARTNER_URL, "RS256", "partner-ps256")
"""Signs by RS256 with the key that is for PS256."""
ONCE = _issuer("https://once.example.org", "ES256", "idp-es256")
"""Each of its tokens is good for one call."""
CLOSED = _issuer("https://closed.example.org", "ES256", "idp-es256")
"""Stands in the deny list."""
UNREACHABLE = _issuer("https://unreachable.example.org", "ES256", "idp-es256")
"""Its keys never came."""
APPROVALS = _issuer("https://approvals.example.org", "ES256", "approvals")
"""Where calls are approved."""
LATE = _issuer("https://late.example.org", "ES256", "approvals")
"""Approves too, but its keys never came."""
FORGER = _issuer(IDP_URL, "ES256", "idp-es256", "stranger")
"""Says it is the idp, and names its key, but has a key of its own."""


def shape_issuer(url: str, algorithm: str) -> FixedIssuer:
    """Any of the real issuers: those with one algorithm share a key."""
    key = {"RS256": "partner-rs256", "ES256": "idp-es256"}[algorithm]
    return _issuer(url, algorithm, "k1", key)


def issue(
    issuer: Issuer = IDP,
    *actors: str,
    omit: Collection[str] = (),
    header: Mapping[str, object] = {},
    claims: Mapping[str, object] = {},
    **further: object,
) -> str:
    """A token for `actors`, the current one first; without any, for the research agent.

    `claims`, `further` claims and `header` add or replace members; `omit` removes claims or
    header members.
    """
    chain: Sequence[str] = actors or (RESEARCH,)
    return issuer.issue(
        agent=chain[0],
        chain=chain[1:],
        now=NOW,
        omit=omit,
        header=header,
        claims={
            "jti": "token-1",
            **({"aud": PARTNER_AUDIENCE} if issuer.url == PARTNER_URL else {}),
            **claims,
            **further,
        },
    )
