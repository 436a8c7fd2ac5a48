"""What the targets ask: issuers with one key that is the same in every run.

An input holds what is signed, not the signature, so that a corpus stays good and a mutation comes
past the signature. `join` and the targets fix the form: header, NUL, claims.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deputize.core.keys import Algorithm, KeyRing
from deputize.core.snapshot import Snapshot
from deputize.core.status_list import StatusList
from tests.harness.issuer import Issuer, encode_base64url, public_jwk
from tests.harness.issuer_shapes import SHAPES, IssuerShape
from tests.harness.shaped_world import trust_in
from tests.harness.world import (
    HOST,
    ISSUER_URL,
    NOW,
    TRUST_DOMAIN,
    anyone,
    make_key_ring,
    make_rule,
    make_snapshot,
    make_trusted_issuer,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
JWK = public_jwk(KEY)
_MEMBERS = json.dumps(JWK, separators=(",", ":"), sort_keys=True)
THUMBPRINT = encode_base64url(hashlib.sha256(_MEMBERS.encode()).digest())
STATUS_URI = "https://issuer.example/status/1"
STATUS_VALUES = b"\x00\x01"
ACCOUNT = "system:serviceaccount:agents:research"
"""The one name that the templates of the shapes turn into our agent."""

ANY_AGENT = (f"spiffe://{TRUST_DOMAIN}/**",)
"""In every rule, so that nothing but the binding to the peer refuses another agent."""


def issuer_at(url: str) -> Issuer:
    """An issuer with the fixed key."""
    return Issuer(url, algorithm="Ed25519", private_key=KEY)


ISSUER = issuer_at(ISSUER_URL)
ISSUERS = {shape.issuer: issuer_at(shape.issuer) for shape in SHAPES}
RING: KeyRing = make_key_ring(ISSUER)


def join(header: Mapping[str, object], claims: Mapping[str, object], *more: bytes) -> bytes:
    """An input for the targets that sign."""
    return b"\0".join((json.dumps(header).encode(), json.dumps(claims).encode(), *more))


def shaped_world(shape: IssuerShape) -> Snapshot:
    """Trust in the issuer as its profile gives it, with our key; a good token is let in."""
    trusted = replace(trust_in(shape), algorithms=(Algorithm.ED25519,), has_status_lists=True)
    status = StatusList(STATUS_URI, 1, STATUS_VALUES, NOW + 60, NOW)
    return make_snapshot(
        ISSUERS[shape.issuer],
        trusted=[trusted],
        rules=[make_rule(agents=ANY_AGENT, principals=[anyone(shape.issuer)], scopes=())],
        status_lists={(shape.issuer, STATUS_URI): status},
    )


WORLDS = {shape.name: shaped_world(shape) for shape in SHAPES}
PLAIN = make_snapshot(ISSUER, trusted=[make_trusted_issuer()], rules=[make_rule(agents=ANY_AGENT)])

CHANGELESS = {"jti": "always-the-same"}
GOOD_TOKEN = ISSUER.issue(now=NOW, claims=CHANGELESS)
BOUND_TOKEN = ISSUER.issue(now=NOW, claims={**CHANGELESS, "cnf": {"jkt": THUMBPRINT}})
TOKEN_DIGEST = encode_base64url(hashlib.sha256(BOUND_TOKEN.encode()).digest())
PROOF_HEADER = {"typ": "dpop+jwt", "alg": "Ed25519", "jwk": JWK}
PROOF_CLAIMS: Mapping[str, object] = {
    "jti": "proof-1",
    "htm": "GET",
    "htu": f"https://{HOST}/v1/orders/7",
    "iat": int(NOW),
    "ath": TOKEN_DIGEST,
}
LIST_HEADER = {"typ": "statuslist+jwt", "alg": "Ed25519", "kid": ISSUER.key_id}


def list_claims(bits: int = 1, **changes: object) -> dict[str, object]:
    """The claims of a status list; its values are added by the target."""
    packed = base64.urlsafe_b64encode(zlib.compress(STATUS_VALUES)).rstrip(b"=").decode()
    status = {"bits": bits, "lst": packed}
    return {"sub": STATUS_URI, "iat": int(NOW), "status_list": status, **changes}


def names_agent(shape: IssuerShape, texts: Iterable[object], agent: str) -> bool:
    """True when one of these is a name of the agent, by the identities of the shape alone."""
    names = {agent, *(name for name, known in shape.exact.items() if known == agent)}
    if shape.templates:
        names.add(ACCOUNT)
    return any(isinstance(text, str) and text in names for text in texts)
