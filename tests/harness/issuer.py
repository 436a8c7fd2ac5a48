"""An issuer of On-Behalf-Of tokens, all in memory.

Its tokens have the shape of RFC 9068 (access token) and RFC 8693 (`act`). ECDSA signatures are
deterministic and `jti` counts up, so with given keys its tokens are the same every time.
"""

from __future__ import annotations

import base64
import itertools
import json
import threading
from collections.abc import Collection, Mapping, Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | Ed25519PrivateKey
PublicJwk = dict[str, str]

_CURVES: Mapping[str, tuple[ec.EllipticCurve, hashes.HashAlgorithm]] = {
    "ES256": (ec.SECP256R1(), hashes.SHA256()),
    "ES384": (ec.SECP384R1(), hashes.SHA384()),
}


class Issuer:
    """Issues tokens with its current key and publishes all keys that are not withdrawn.

    Threads may ask it for tokens while its keys change.
    """

    def __init__(
        self,
        url: str,
        *,
        algorithm: str = "ES256",
        key_id: str = "k1",
        private_key: PrivateKey | None = None,
    ) -> None:
        self.url = url
        self.algorithm = algorithm
        self.key_id = key_id
        self.private_key = private_key or generate_key(algorithm)
        self._published: dict[str, PublicJwk] = {}
        self._numbers = itertools.count(1)
        self._changing = threading.Lock()
        self._publish()

    def issue(
        self,
        *,
        subject: str = "alice",
        agent: str = "spiffe://prod.example.org/ns/agents/sa/research",
        chain: Sequence[str] = (),
        audience: str | Sequence[str] = "orders",
        scope: str = "orders:read",
        now: float,
        lifetime: float = 300,
        claims: Mapping[str, object] = {},
        omit: Collection[str] = (),
        header: Mapping[str, object] = {},
    ) -> str:
        """A token for `agent` to act for `subject`; `chain` has earlier actors, nearest first.

        `claims` and `header` add or replace members; `omit` removes claims or header members.
        """
        payload: dict[str, object] = {
            "iss": self.url,
            "aud": audience,
            "sub": subject,
            "client_id": agent,
            "jti": f"{self.key_id}-{next(self._numbers)}",
            "iat": int(now),
            "exp": int(now + lifetime),
            "scope": scope,
            "act": nest_actors(agent, *chain),
            **claims,
        }
        with self._changing:
            return self.sign(
                _without(omit, {**self.header(), **header}),
                json.dumps(_without(omit, payload)).encode(),
            )

    def header(self) -> dict[str, object]:
        """The header of its tokens."""
        return {"typ": "at+jwt", "alg": self.algorithm, "kid": self.key_id}

    def sign(self, header: Mapping[str, object], payload: bytes) -> str:
        """A compact JWS over any header and any payload, with the current key."""
        return self.sign_parts(json.dumps(header).encode(), payload)

    def sign_parts(self, header: bytes, payload: bytes) -> str:
        """The same over header bytes that need not be JSON."""
        signing_input = f"{encode_base64url(header)}.{encode_base64url(payload)}"
        signature = sign_bytes(self.private_key, self.algorithm, signing_input.encode())
        return f"{signing_input}.{encode_base64url(signature)}"

    def jwks(self) -> bytes:
        """The JWK Set it publishes."""
        with self._changing:
            return json.dumps({"keys": list(self._published.values())}).encode()

    def rotate(self, key_id: str) -> None:
        """Signs with a new key from now on; earlier keys stay published."""
        with self._changing:
            self.key_id = key_id
            self.private_key = generate_key(self.algorithm)
            self._publish()

    def withdraw(self, key_id: str) -> None:
        """Publishes this key no longer."""
        with self._changing:
            del self._published[key_id]

    def _publish(self) -> None:
        self._published[self.key_id] = {
            **public_jwk(self.private_key),
            "kid": self.key_id,
            "alg": self.algorithm,
            "use": "sig",
        }


def nest_actors(current: str, *earlier: str) -> dict[str, object]:
    """An `act` claim: the current actor outside, earlier ones inside, nearest first."""
    act: dict[str, object] = {"sub": current}
    return {**act, "act": nest_actors(*earlier)} if earlier else act


def generate_key(algorithm: str) -> PrivateKey:
    """A new key that fits the algorithm."""
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm][0])
    if algorithm == "Ed25519":
        return Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def sign_bytes(key: PrivateKey, algorithm: str, octets: bytes) -> bytes:
    """A signature as RFC 7518 and RFC 8037 write it."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        digest = _CURVES[algorithm][1]
        r, s = decode_dss_signature(key.sign(octets, ec.ECDSA(digest, deterministic_signing=True)))
        return join_ecdsa(key, r, s)
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(octets)
    if algorithm == "PS256":
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        return key.sign(octets, pss, hashes.SHA256())
    return key.sign(octets, padding.PKCS1v15(), hashes.SHA256())


def join_ecdsa(key: ec.EllipticCurvePrivateKey, r: int, s: int) -> bytes:
    """R and S side by side, each as long as the curve's order."""
    return _octets(r, key.key_size) + _octets(s, key.key_size)


def public_jwk(key: PrivateKey) -> PublicJwk:
    """The public key as a JWK without `kid`, `alg` and `use`."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_numbers()
        return {
            "kty": "EC",
            "crv": f"P-{key.key_size}",
            "x": encode_base64url(_octets(point.x, key.key_size)),
            "y": encode_base64url(_octets(point.y, key.key_size)),
        }
    if isinstance(key, Ed25519PrivateKey):
        octets = key.public_key().public_bytes_raw()
        return {"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(octets)}
    numbers = key.public_key().public_numbers()
    return {
        "kty": "RSA",
        "n": encode_base64url(_octets(numbers.n, key.key_size)),
        "e": encode_base64url(_octets(numbers.e, numbers.e.bit_length())),
    }


def encode_base64url(octets: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes:
    """The reverse, for tests that change what is inside."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _octets(number: int, bits: int) -> bytes:
    return number.to_bytes((bits + 7) // 8, "big")


def _without(names: Collection[str], members: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in members.items() if name not in names}
