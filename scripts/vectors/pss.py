"""RSASSA-PSS with a salt that is always the same, which no library offers.

Source: RFC 8017 sections 8.1.1 (RSASSA-PSS-SIGN), 9.1.1 (EMSA-PSS-ENCODE) and B.2.1 (MGF1).
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric import rsa

_SALT = bytes(range(32))


def sign_pss(key: rsa.RSAPrivateKey, message: bytes) -> bytes:
    """A PS256 signature. For test vectors only: the arithmetic is not hardened."""
    private = key.private_numbers()
    number = int.from_bytes(_encode(message, key.key_size - 1), "big")
    signature = pow(number, private.d, private.public_numbers.n)
    return signature.to_bytes(key.key_size // 8, "big")


def _encode(message: bytes, bits: int) -> bytes:
    length = (bits + 7) // 8
    digest = hashlib.sha256(bytes(8) + hashlib.sha256(message).digest() + _SALT).digest()
    block = bytes(length - len(_SALT) - len(digest) - 2) + b"\x01" + _SALT
    mask = _mask(digest, len(block))
    masked = int.from_bytes(block, "big") ^ int.from_bytes(mask, "big")
    masked &= (1 << (8 * len(block) - (8 * length - bits))) - 1
    return masked.to_bytes(len(block), "big") + digest + b"\xbc"


def _mask(seed: bytes, length: int) -> bytes:
    blocks = (hashlib.sha256(seed + bytes((0, 0, 0, n))).digest() for n in range(256))
    return b"".join(blocks)[:length]
