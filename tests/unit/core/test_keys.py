from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from deputize.core.jws import JwsError
from deputize.core.keys import (
    MAX_KEYS,
    Algorithm,
    VerificationKey,
    freeze_keys,
    parse_algorithm,
    parse_embedded_jwk,
    parse_jwk_set,
    verify_signature,
)
from deputize.core.model import Json
from tests.harness.issuer import (
    PrivateKey,
    encode_base64url,
    generate_key,
    join_ecdsa,
    public_jwk,
    sign_bytes,
)
from tests.harness.world import shared_issuer

ALL = tuple(Algorithm)
MESSAGE = b"header.payload"
ORDERS = {
    "ES256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "ES384": 2**384 - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D,
}

ED25519_PRIME = 2**255 - 19
ED25519_BASE = bytes.fromhex("58" + "66" * 31)
ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL_ORDER = {
    "order 1": 1,
    "order 2": ED25519_PRIME - 1,
    "order 4": 0,
    "order 8": ORDER_8,
    "order 8, the other": ED25519_PRIME - ORDER_8,
}


@cache
def weak_rsa_key(exponent: int, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(exponent, bits)


def jwk(algorithm: str = "ES256", **members: object) -> dict[str, object]:
    return {**public_jwk(shared_issuer(algorithm).private_key), "kid": "k1", **members}


def read(*entries: object, allowed: tuple[Algorithm, ...] = ALL) -> dict[str, VerificationKey]:
    usable, left_out = parse_jwk_set(json.dumps({"keys": entries}).encode(), allowed)
    assert len(usable) + len(left_out) == len(entries)
    return usable


def key_of(algorithm: str) -> tuple[PrivateKey, VerificationKey]:
    return shared_issuer(algorithm).private_key, read(jwk(algorithm, alg=algorithm))["k1"]


def ec_key_of(algorithm: str) -> tuple[ec.EllipticCurvePrivateKey, VerificationKey]:
    private_key, key = key_of(algorithm)
    assert isinstance(private_key, ec.EllipticCurvePrivateKey)
    return private_key, key


def split_ecdsa(signature: bytes) -> tuple[int, int]:
    half = len(signature) // 2
    return int.from_bytes(signature[:half]), int.from_bytes(signature[half:])


@pytest.mark.parametrize("name", [algorithm.value for algorithm in Algorithm])
def test_an_algorithm_by_its_exact_name(name: str) -> None:
    assert parse_algorithm(name) == name


def test_eddsa_is_the_older_name_of_ed25519() -> None:
    assert parse_algorithm("EdDSA") is Algorithm.ED25519


@pytest.mark.parametrize(
    "name",
    ["", "none", "None", "nOnE", "NONE", "HS256", "HS384", "HS512", "es256", "ES256 ", "ES256K",
     "ES512", "RS384", "RS512", "PS384", "ED25519", "eddsa", "Ed448", "RSA1_5", "dir"],
)  # fmt: skip
def test_every_other_algorithm_is_unknown(name: str) -> None:
    assert parse_algorithm(name) is None


@pytest.mark.parametrize("algorithm", ALL)
def test_a_good_signature_verifies(algorithm: str) -> None:
    private_key, key = key_of(algorithm)
    assert verify_signature(key, MESSAGE, sign_bytes(private_key, algorithm, MESSAGE))


@pytest.mark.parametrize("algorithm", ALL)
def test_a_signature_over_something_else_does_not_verify(algorithm: str) -> None:
    private_key, key = key_of(algorithm)
    signature = sign_bytes(private_key, algorithm, MESSAGE)
    assert not verify_signature(key, MESSAGE + b"x", signature)
    assert not verify_signature(key, b"", signature)


@pytest.mark.parametrize("algorithm", ALL)
def test_a_flipped_bit_anywhere_in_the_signature_is_seen(algorithm: str) -> None:
    private_key, key = key_of(algorithm)
    signature = sign_bytes(private_key, algorithm, MESSAGE)
    for position in range(0, len(signature) * 8, 7):
        changed = bytearray(signature)
        changed[position // 8] ^= 1 << position % 8
        assert not verify_signature(key, MESSAGE, bytes(changed)), position


@pytest.mark.parametrize("algorithm", ALL)
def test_a_signature_of_another_length_does_not_verify(algorithm: str) -> None:
    private_key, key = key_of(algorithm)
    signature = sign_bytes(private_key, algorithm, MESSAGE)
    for changed in (b"", signature[:-1], signature[1:], signature + b"\0", b"\0" + signature):
        assert not verify_signature(key, MESSAGE, changed)
    assert not verify_signature(key, MESSAGE, signature * 2)


@pytest.mark.parametrize("algorithm", ALL)
def test_another_key_does_not_verify(algorithm: str) -> None:
    _, key = key_of(algorithm)
    assert not verify_signature(
        key, MESSAGE, sign_bytes(generate_key(algorithm), algorithm, MESSAGE)
    )


@pytest.mark.parametrize(("signed", "pinned"), [("RS256", "PS256"), ("PS256", "RS256")])
def test_an_rsa_key_verifies_only_its_own_padding(signed: str, pinned: str) -> None:
    private_key, key = key_of(pinned)
    assert not verify_signature(key, MESSAGE, sign_bytes(private_key, signed, MESSAGE))


@pytest.mark.parametrize("algorithm", ORDERS)
def test_a_der_signature_does_not_verify(algorithm: str) -> None:
    private_key, key = ec_key_of(algorithm)
    r, s = split_ecdsa(sign_bytes(private_key, algorithm, MESSAGE))
    assert not verify_signature(key, MESSAGE, encode_dss_signature(r, s))


@pytest.mark.parametrize("algorithm", ORDERS)
def test_r_and_s_lie_between_0_and_the_order(algorithm: str) -> None:
    private_key, key = ec_key_of(algorithm)
    order, biggest = ORDERS[algorithm], 2**private_key.key_size - 1
    r, s = split_ecdsa(sign_bytes(private_key, algorithm, MESSAGE))
    outside = (0, order, order + 1, biggest)
    pairs = {(bad, s) for bad in outside} | {(r, bad) for bad in outside}
    pairs |= {(bad, other) for bad in outside for other in (*outside, 1)}
    for bad_r, bad_s in pairs:
        assert not verify_signature(key, MESSAGE, join_ecdsa(private_key, bad_r, bad_s))


@pytest.mark.parametrize("algorithm", ALL)
def test_a_signature_of_zeros_does_not_verify(algorithm: str) -> None:
    private_key, key = key_of(algorithm)
    length = len(sign_bytes(private_key, algorithm, MESSAGE))
    assert not verify_signature(key, MESSAGE, bytes(length))


def test_a_thumbprint_is_that_of_rfc_7638() -> None:
    # The example of RFC 7638 section 3.1.
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP"
        "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY"
        "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f"
        "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    key = {"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    thumbprint = bytes.fromhex(read(key)["2011-04-29"].thumbprint)
    assert encode_base64url(thumbprint) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize("algorithm", ALL)
def test_a_thumbprint_names_the_key_and_nothing_else(algorithm: str) -> None:
    first = read(jwk(algorithm, alg=algorithm))["k1"]
    second = read(jwk(algorithm, alg=algorithm, kid="k2", use="sig"))["k2"]
    other = read({**public_jwk(generate_key(algorithm)), "alg": algorithm, "kid": "k1"})["k1"]
    assert first.thumbprint == second.thumbprint != other.thumbprint


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "Ed25519"])
def test_a_curve_pins_the_algorithm(algorithm: str) -> None:
    assert read(jwk(algorithm))["k1"].algorithm == algorithm


def test_an_rsa_key_without_alg_is_pinned_where_only_one_is_allowed() -> None:
    assert read(jwk("RS256"), allowed=(Algorithm.PS256,))["k1"].algorithm is Algorithm.PS256
    assert not read(jwk("RS256"))


def test_a_key_may_name_eddsa() -> None:
    assert read(jwk("Ed25519", alg="EdDSA"))["k1"].algorithm is Algorithm.ED25519


def test_a_key_of_an_algorithm_that_is_not_allowed_is_left_out() -> None:
    assert not read(jwk("ES384"), allowed=(Algorithm.ES256,))


@pytest.mark.parametrize(
    "changes",
    [
        {"kid": None},
        {"kid": ""},
        {"kid": 1},
        {"kid": ["k1"]},
        {"use": "enc"},
        {"use": None},
        {"use": ["sig"]},
        {"key_ops": []},
        {"key_ops": ["sign"]},
        {"key_ops": ["encrypt", "wrapKey"]},
        {"key_ops": "verify"},
        {"key_ops": None},
        {"d": "AQ"},
        {"p": "AQ"},
        {"k": "AQ"},
        {"kty": "oct"},
        {"kty": "EC "},
        {"kty": "ec"},
        {"kty": None},
        {"kty": ["EC"]},
        {"kty": "RSA"},
        {"kty": "OKP"},
        {"crv": "P-384"},
        {"crv": "P-521"},
        {"crv": "secp256k1"},
        {"crv": ["P-256"]},
        {"crv": None},
        {"alg": "ES384"},
        {"alg": "RS256"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": ["ES256"]},
        {"alg": 256},
        {"x": None},
        {"x": 1},
        {"x": ""},
        {"x": "AQAB"},
        {"x": "A"},
        {"x": encode_base64url(bytes(32))},
        {"x": encode_base64url(b"\xff" * 32)},
    ],
)
def test_a_key_that_cannot_be_trusted_is_left_out(changes: Mapping[str, object]) -> None:
    assert not read({**jwk(), **changes})


@pytest.mark.parametrize("entry", [None, 1, "k1", [], True])
def test_what_is_no_key_is_left_out(entry: object) -> None:
    assert read(entry, jwk()).keys() == {"k1"}


def test_a_secret_among_public_keys_is_left_out() -> None:
    secret = {"kty": "oct", "kid": "hmac", "k": "c2VjcmV0", "alg": "HS256"}
    assert read(secret, jwk()).keys() == {"k1"}


def test_two_keys_under_one_name_are_both_left_out() -> None:
    twin = jwk("Ed25519")
    assert read(jwk(), twin, jwk("ES384", kid="k2")).keys() == {"k2"}


def test_a_twin_that_is_unusable_still_makes_the_name_ambiguous() -> None:
    assert not read(jwk(), jwk(use="enc"))


def test_a_short_rsa_key_is_left_out() -> None:
    short = public_jwk(weak_rsa_key(65537, 1024))
    assert not read({**short, "kid": "k1", "alg": "RS256"})


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
@pytest.mark.parametrize("exponent", ["AQ", "Aw", "AAE", "EQ"])
def test_an_rsa_key_with_a_small_exponent_is_left_out(algorithm: str, exponent: str) -> None:
    assert not read(jwk(algorithm, alg=algorithm, e=exponent))


@pytest.mark.parametrize(
    "document",
    [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":null}', b'{"keys":[],"keys":[]}', b"\xff",
     b'{"keys":[]} x'],
)  # fmt: skip
def test_what_is_no_jwk_set(document: bytes) -> None:
    with pytest.raises(JwsError):
        parse_jwk_set(document, ALL)


def test_the_most_keys() -> None:
    names = [jwk(kid=f"k{number}") for number in range(MAX_KEYS)]
    assert len(read(*names)) == MAX_KEYS
    with pytest.raises(JwsError):
        read(*names, jwk(kid="one more"))


def test_an_empty_set_is_a_set() -> None:
    assert read() == {}


def test_a_ring_does_not_change_with_what_it_was_made_of() -> None:
    keys = read(jwk())
    ring = freeze_keys(keys, 1.0)
    keys.clear()
    assert ring.keys.keys() == {"k1"}
    assert ring.usable_until == 1.0


def test_a_key_does_not_show_itself_in_a_log() -> None:
    assert "public_key" not in repr(read(jwk())["k1"])


@pytest.mark.parametrize(
    "change",
    [
        {"kid": "k1\n"},
        {"kid": "\x1b[31m"},
        {"kid": "k" * 257},
        {"x": "="},
        {"x": "\u00fc"},
        {"x": 1},
        {"y": "AAAA+A"},
    ],
)
def test_a_key_spelled_oddly_is_left_out(change: dict[str, object]) -> None:
    assert read(jwk("ES256", **change)) == {}


def test_a_padded_member_is_left_out() -> None:
    good = jwk("ES256")
    assert read({**good, "x": f"{good['x']}="}) == {}


@pytest.mark.parametrize("member", ["n", "e"])
def test_a_key_that_makes_verification_dear_is_left_out(member: str) -> None:
    long = {"n": 2**8200 + 1, "e": 2**64 + 1}[member]
    octets = long.to_bytes((long.bit_length() + 7) // 8, "big")
    assert read(jwk("RS256", alg="RS256", **{member: encode_base64url(octets)})) == {}


def ed25519_jwk(y: int, sign: int = 0) -> dict[str, Json]:
    encoded = (y | sign << 255).to_bytes(32, "little")
    return {"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": encode_base64url(encoded)}


@pytest.mark.parametrize("y", SMALL_ORDER.values(), ids=SMALL_ORDER.keys())
def test_anyone_signs_for_an_ed25519_key_of_small_order(y: int) -> None:
    weak = Ed25519PublicKey.from_public_bytes(y.to_bytes(32, "little"))
    key = VerificationKey("k1", Algorithm.ED25519, "", weak)
    forged = ED25519_BASE + (1).to_bytes(32, "little")
    assert any(verify_signature(key, bytes([number]), forged) for number in range(64))


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", SMALL_ORDER.values(), ids=SMALL_ORDER.keys())
def test_an_ed25519_key_of_small_order_is_left_out(y: int, sign: int) -> None:
    assert not read(ed25519_jwk(y, sign))
    with pytest.raises(JwsError):
        parse_embedded_jwk(ed25519_jwk(y, sign), Algorithm.ED25519)


@pytest.mark.parametrize("sign", [0, 1])
def test_a_second_spelling_of_an_ed25519_key_is_left_out(sign: int) -> None:
    for y in range(ED25519_PRIME, 2**255):
        assert not read(ed25519_jwk(y, sign)), y - ED25519_PRIME


def test_what_is_no_point_of_ed25519_is_left_out() -> None:
    assert not read(ed25519_jwk(2))
    assert read(ed25519_jwk(3)).keys() == {"k1"}


@pytest.mark.parametrize("algorithm", ALL)
def test_an_embedded_key_needs_no_name(algorithm: Algorithm) -> None:
    private_key, named = key_of(algorithm)
    entry: dict[str, Json] = {**public_jwk(private_key)}
    key, thumbprint = parse_embedded_jwk(entry, algorithm)
    assert (key.key_id, key.algorithm, key.thumbprint) == ("", algorithm, named.thumbprint)
    assert thumbprint == encode_base64url(bytes.fromhex(named.thumbprint))
    assert verify_signature(key, MESSAGE, sign_bytes(private_key, algorithm, MESSAGE))
    assert parse_embedded_jwk({**entry, "kid": "k1", "alg": algorithm}, algorithm) == (
        key,
        thumbprint,
    )


def test_the_thumbprint_of_an_embedded_key_is_that_of_rfc_9449() -> None:
    # The example of RFC 9449 sections 4.1 and 6.1.
    entry: Json = {
        "kty": "EC",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
        "crv": "P-256",
    }
    _, thumbprint = parse_embedded_jwk(entry, Algorithm.ES256)
    assert thumbprint == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


@pytest.mark.parametrize("entry", [None, 1, "k1", [], True, {}])
def test_what_is_no_embedded_key(entry: Json) -> None:
    with pytest.raises(JwsError):
        parse_embedded_jwk(entry, Algorithm.ES256)


@pytest.mark.parametrize("algorithm", [name for name in ALL if name is not Algorithm.ES256])
def test_an_embedded_key_is_pinned_to_the_algorithm_it_came_with(algorithm: Algorithm) -> None:
    entry: dict[str, Json] = {**public_jwk(shared_issuer("ES256").private_key)}
    with pytest.raises(JwsError):
        parse_embedded_jwk(entry, algorithm)


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"d": "AQ"},
        {"k": "AQ"},
        {"alg": "ES384"},
        {"kty": "oct"},
        {"x": "A"},
        {"y": None},
    ],
)
def test_that_a_key_was_seen_before_excuses_nothing(change: dict[str, Json]) -> None:
    entry: dict[str, Json] = {**public_jwk(shared_issuer("ES256").private_key)}
    first, second = (parse_embedded_jwk(entry, Algorithm.ES256)[0] for _ in range(2))
    assert first.public_key is second.public_key
    with pytest.raises(JwsError):
        parse_embedded_jwk({**entry, **change}, Algorithm.ES256)


@pytest.mark.parametrize(("exponent", "bits"), [(65537, 1024), (3, 2048)])
def test_a_weak_embedded_key_is_refused(exponent: int, bits: int) -> None:
    entry: dict[str, Json] = {**public_jwk(weak_rsa_key(exponent, bits))}
    for algorithm in (Algorithm.RS256, Algorithm.PS256):
        with pytest.raises(JwsError):
            parse_embedded_jwk(entry, algorithm)


def test_a_ring_knows_its_keys_by_name() -> None:
    keys = read(jwk(), jwk("ES384", kid="k2"))
    ring = freeze_keys(keys, 1.0)
    assert ring.find("k2") is keys["k2"]
    assert ring.find("k3") is None
    assert ring.find("") is None


def test_without_a_name_the_only_key_is_meant() -> None:
    ring = freeze_keys(read(jwk()), 1.0)
    assert ring.find("") is ring.keys["k1"]
    assert ring.find("k2") is None
    assert freeze_keys({}, 1.0).find("") is None
