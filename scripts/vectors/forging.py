"""Tokens no issuer would make: parts of a good one changed, or signed as they should not be."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from scripts.vectors.cast import IDP, PARTNER, ec_key, issue
from tests.harness.issuer import decode_base64url, encode_base64url

TOKEN = issue()
HEADER, PAYLOAD, SIGNATURE = TOKEN.split(".")
SIGNED = f"{HEADER}.{PAYLOAD}"

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def with_payload(old: str, new: str) -> str:
    """Properly signed, with a payload in which `old` text was replaced."""
    text = decode_base64url(PAYLOAD).decode()
    if old not in text:
        raise ValueError(f"the payload has no {old}")
    return signed(text.replace(old, new).encode())


def signed(payload: bytes) -> str:
    """Properly signed, over any payload."""
    return IDP.sign(IDP.header(), payload)


def with_header(text: str) -> str:
    """Properly signed, with this header text."""
    return IDP.sign_parts(text.encode(), decode_base64url(PAYLOAD))


def with_signature(signature: bytes) -> str:
    """A good header and payload, with this signature."""
    return f"{SIGNED}.{encode_base64url(signature)}"


def der_signature() -> bytes:
    """The right signature in the form that X.509 uses."""
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    return ec_key("idp-es256").sign(SIGNED.encode(), algorithm)


def with_hmac(secret: bytes, header: Mapping[str, object]) -> str:
    """An HMAC under something that is no secret."""
    text = json.dumps({**IDP.header(), "alg": "HS256", **header}).encode()
    signing_input = f"{encode_base64url(text)}.{PAYLOAD}"
    digest = hmac.digest(secret, signing_input.encode(), hashlib.sha256)
    return f"{signing_input}.{encode_base64url(digest)}"


def with_exponent_one() -> str:
    """RSASSA-PKCS1-v1_5 under a key whose exponent is 1: the padded digest is the signature."""
    header, payload, _signature = issue(PARTNER, header={"kid": "exponent-one"}).split(".")
    digest = hashlib.sha256(f"{header}.{payload}".encode()).digest()
    block = bytes.fromhex("3031300d060960864801650304020105000420") + digest
    padding = b"\xff" * (256 - len(block) - 3)
    return f"{header}.{payload}.{encode_base64url(bytes((0, 1)) + padding + bytes(1) + block)}"


def loose_bits(token: str) -> str:
    """The same bytes, with bits set that the last base64url character does not use."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) + 1]


def deep(levels: int) -> list[object]:
    """Lists within lists."""
    return [deep(levels - 1)] if levels > 1 else []
