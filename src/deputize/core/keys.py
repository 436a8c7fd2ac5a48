"""Verification keys: a JWK Set read strictly into a ring, and the one signature check.

Rules of this file:
- A key is pinned to exactly one algorithm; a token that names another is refused.
- Public keys only; no HMAC, no `none`. Weak keys, keys for other uses and keys whose `kid`
  stands twice are left out of the ring, each with a stated reason.
- PyJWT and cryptography do the arithmetic; they decide nothing.
- A DPoP client sends its key with each proof, so loaded keys are remembered, up to a bound.

Sources: RFC 7517 sections 4 and 5; RFC 7518 sections 3.1, 3.3, 3.4 and 6; RFC 7638; RFC 8037; RFC
8032 section 5.1; RFC 8725 sections 3.1, 3.2 and 3.5; RFC 9864 (`Ed25519`, older name `EdDSA`).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import Algorithm as JwtAlgorithm
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm, RSAPSSAlgorithm
from jwt.exceptions import InvalidKeyError

from deputize.core.jws import JwsError, decode_base64url, read_json_object
from deputize.core.model import Json

MIN_RSA_BITS = 2048
"""RFC 7518 section 3.3."""
MIN_RSA_EXPONENT = 65537
"""NIST SP 800-56B section 6.2; refuses e = 1 and e = 3."""
MAX_RSA_BITS = 8192
MAX_RSA_EXPONENT_BITS = 64
"""A larger key only makes each verification dearer."""
MAX_KEYS = 100
MAX_KEY_ID = 256


class Algorithm(StrEnum):
    """The signature algorithms deputize knows."""

    ES256 = "ES256"
    ES384 = "ES384"
    RS256 = "RS256"
    PS256 = "PS256"
    ED25519 = "Ed25519"


def parse_algorithm(name: str) -> Algorithm | None:
    """The algorithm of an `alg` value, compared exactly; None for every other one.

    `EdDSA` is read as `Ed25519`, the only curve we have keys for (RFC 9864 section 4.1.2).
    """
    return _ALGORITHM_NAMES.get(name)


_ALGORITHM_NAMES: Mapping[str, Algorithm] = {
    **{algorithm.value: algorithm for algorithm in Algorithm},
    "EdDSA": Algorithm.ED25519,
}
_EC = {"P-256": Algorithm.ES256, "P-384": Algorithm.ES384}
_VERIFIERS: Mapping[Algorithm, JwtAlgorithm] = {
    Algorithm.ES256: ECAlgorithm(ECAlgorithm.SHA256),
    Algorithm.ES384: ECAlgorithm(ECAlgorithm.SHA384),
    Algorithm.RS256: RSAAlgorithm(RSAAlgorithm.SHA256),
    Algorithm.PS256: RSAPSSAlgorithm(RSAPSSAlgorithm.SHA256),
    Algorithm.ED25519: OKPAlgorithm(),
}
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_REQUIRED = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
"""RFC 7638 section 3.2, in lexical order."""

PublicKey = EllipticCurvePublicKey | RSAPublicKey | Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key with the one algorithm it may be used for."""

    key_id: str
    algorithm: Algorithm
    thumbprint: str
    public_key: PublicKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of one issuer by `kid`; good until `usable_until` (seconds since the epoch)."""

    keys: Mapping[str, VerificationKey]
    usable_until: float

    def find(self, key_id: str) -> VerificationKey | None:
        """The key of that name; without a name the only key there is, if there is just one."""
        if not key_id and len(self.keys) == 1:
            return next(iter(self.keys.values()))
        return self.keys.get(key_id)


def verify_signature(key: VerificationKey, signing_input: bytes, signature: bytes) -> bool:
    """True exactly when `signature` is that of `signing_input` under the key's algorithm.

    ECDSA signatures are R and S of fixed length side by side (RFC 7518 section 3.4), not DER.
    """
    return bool(_VERIFIERS[key.algorithm].verify(signing_input, key.public_key, signature))


def parse_jwk_set(
    octets: bytes, allowed: tuple[Algorithm, ...]
) -> tuple[dict[str, VerificationKey], list[str]]:
    """Reads a JWK Set (RFC 7517 section 5).

    Returns the usable keys by `kid`, and for each key left out one line that says why.

    Raises:
        JwsError: the document itself is not a JWK Set, or has more than 100 keys.
    """
    entries = read_json_object(octets).get("keys")
    if not isinstance(entries, list):
        raise JwsError("no list `keys`")
    if len(entries) > MAX_KEYS:
        raise JwsError(f"more than {MAX_KEYS} keys")
    usable: dict[str, VerificationKey] = {}
    left_out: list[str] = []
    names = Counter(str(entry.get("kid")) for entry in entries if isinstance(entry, dict))
    for position, entry in enumerate(entries):
        try:
            key = _parse_jwk(entry, allowed)
            if names[key.key_id] > 1:
                # Two keys under one name: neither can be pinned.
                raise JwsError(f"kid `{key.key_id}` stands more than once")
            usable[key.key_id] = key
        except JwsError as error:
            left_out.append(f"key {position}: {error}")
    return usable, left_out


def parse_embedded_jwk(entry: Json, algorithm: Algorithm) -> tuple[VerificationKey, str]:
    """Reads a public JWK that came with what it verifies, and its thumbprint in base64url.

    Raises:
        JwsError: no public key for this algorithm, or a weak one.
    """
    if not isinstance(entry, dict):
        raise JwsError("not an object")
    key = _parse_public(entry, "", (algorithm,))
    encoded = base64.urlsafe_b64encode(bytes.fromhex(key.thumbprint))
    return key, encoded.rstrip(b"=").decode()


def freeze_keys(keys: Mapping[str, VerificationKey], usable_until: float) -> KeyRing:
    """A ring of these keys that no longer changes."""
    return KeyRing(MappingProxyType(dict(keys)), usable_until)


def _parse_jwk(entry: Json, allowed: tuple[Algorithm, ...]) -> VerificationKey:
    if not isinstance(entry, dict):
        raise JwsError("not an object")
    key_id = entry.get("kid")
    if not isinstance(key_id, str) or not key_id:
        raise JwsError("no kid")
    if len(key_id) > MAX_KEY_ID or not key_id.isprintable():
        raise JwsError("kid is too long or not printable")
    return _parse_public(entry, key_id, allowed)


def _parse_public(
    entry: dict[str, Json], key_id: str, allowed: tuple[Algorithm, ...]
) -> VerificationKey:
    if entry.get("use", "sig") != "sig":
        raise JwsError("`use` is not `sig`")
    operations = entry.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise JwsError("`key_ops` has no `verify`")
    if not _PRIVATE_MEMBERS.isdisjoint(entry):
        raise JwsError("a secret or private key")
    algorithm = _pin_algorithm(entry, allowed)
    required = _required_members(entry)
    thumbprint = hashlib.sha256(required.encode()).hexdigest()
    return VerificationKey(key_id, algorithm, thumbprint, _load_public_key(required, algorithm))


def _pin_algorithm(entry: dict[str, Json], allowed: tuple[Algorithm, ...]) -> Algorithm:
    kind, curve, name = entry.get("kty"), entry.get("crv"), entry.get("alg")
    if kind == "EC" and isinstance(curve, str) and curve in _EC:
        fitting: tuple[Algorithm, ...] = (_EC[curve],)
    elif kind == "OKP" and curve == "Ed25519":
        fitting = (Algorithm.ED25519,)
    elif kind == "RSA":
        fitting = (Algorithm.RS256, Algorithm.PS256)
    else:
        raise JwsError("key type or curve is not supported")
    if name is not None:
        named = parse_algorithm(name) if isinstance(name, str) else None
        fitting = tuple(algorithm for algorithm in fitting if algorithm is named)
    fitting = tuple(algorithm for algorithm in fitting if algorithm in allowed)
    if not fitting:
        raise JwsError("its algorithm is not allowed")
    if len(fitting) > 1:
        raise JwsError("no `alg` to choose between RS256 and PS256")
    return fitting[0]


def _required_members(entry: dict[str, Json]) -> str:
    """The members that make the key, and no others, as RFC 7638 section 3 hashes them."""
    required = {name: entry.get(name) for name in _REQUIRED[str(entry["kty"])]}
    for name in required.keys() - {"crv", "kty"}:
        value = required[name]
        decode_base64url(value if isinstance(value, str) else "=")
    return json.dumps(required, separators=(",", ":"))


@lru_cache(maxsize=1024)
def _load_public_key(required: str, algorithm: Algorithm) -> PublicKey:
    try:
        # A public key, because no private member is among the required ones.
        key: PublicKey = type(_VERIFIERS[algorithm]).from_jwk(required)
    except (InvalidKeyError, UnsupportedAlgorithm, ValueError, TypeError) as error:
        raise JwsError(f"unreadable key: {type(error).__name__}") from None
    if isinstance(key, RSAPublicKey):
        exponent = key.public_numbers().e
        if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            raise JwsError(f"RSA key not of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits")
        if exponent < MIN_RSA_EXPONENT or exponent.bit_length() > MAX_RSA_EXPONENT_BITS:
            raise JwsError(f"RSA exponent below {MIN_RSA_EXPONENT} or too long")
    elif isinstance(key, Ed25519PublicKey):
        _check_ed25519(key)
    return key


def _check_ed25519(key: Ed25519PublicKey) -> None:
    prime = 2**255 - 19
    y = int.from_bytes(key.public_bytes_raw(), "little") % 2**255
    y2 = y * y % prime
    # The curve: -x^2 + y^2 = 1 - 121665/121666 x^2 y^2.
    x2 = 121666 * (y2 - 1) * pow(121666 - 121665 * y2, -1, prime) % prime
    if y >= prime or pow(x2, (prime - 1) // 2, prime) > 1:
        raise JwsError("not a point of Ed25519")
    # Order 1 or 2 has x = 0, order 4 has y = 0, order 8 has x^2 + y^2 = 0: anyone signs for those.
    if x2 * y2 * (x2 + y2) % prime == 0:
        raise JwsError("an Ed25519 key of small order")
