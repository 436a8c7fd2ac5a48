"""Tokens whose header, key or signature does not hold."""

from __future__ import annotations

import json

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from deputize.core.reasons import Reason
from scripts.vectors.cast import (
    FORGER,
    IDP,
    IDP_ES384,
    MIXED_PARTNER,
    PARTNER,
    PARTNER_PS256,
    WEAK_PARTNER,
    issue,
)
from scripts.vectors.forging import (
    HEADER,
    P256_ORDER,
    PAYLOAD,
    SIGNATURE,
    der_signature,
    with_exponent_one,
    with_hmac,
    with_signature,
)
from scripts.vectors.key_files import HMAC_SECRET
from scripts.vectors.rows import Row, check, group
from tests.harness.issuer import decode_base64url, encode_base64url, public_jwk

_PUBLIC = IDP.private_key.public_key()
_JWK = {**public_jwk(FORGER.private_key), "kid": "idp-es256", "alg": "ES256"}
_SIGNATURE = decode_base64url(SIGNATURE)
_OTHER_HEADER, _OTHER_PAYLOAD, _OTHER_SIGNATURE = issue(sub="bob").split(".")
_BY_FORGER = FORGER.header()


def _header(name: str, title: str, **members: object) -> Row:
    return name, title, check(issue(header=members))


def _sent(name: str, title: str, token: str) -> Row:
    return name, title, check(token)


def _none(name: str, algorithm: str) -> Row:
    return _sent(f"alg-{name}", "no signature algorithm", f"{_unsigned(algorithm)}AA")


def _unsigned(algorithm: str) -> str:
    header = encode_base64url(json.dumps({**IDP.header(), "alg": algorithm}).encode())
    return f"{header}.{PAYLOAD}."


VECTORS = (
    *group(
        Reason.TOKEN_ALGORITHM_REFUSED,
        "CVE-2022-23540; RFC 8725 section 3.2",
        _none("none", "none"),
        _none("none-mixed-case", "nOnE"),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_MALFORMED,
        "CVE-2022-23540; RFC 7515 section 7.1",
        _sent("alg-none-without-signature", "neither algorithm nor signature", _unsigned("none")),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_ALGORITHM_REFUSED,
        "CVE-2016-10555; RFC 8725 section 2.1",
        _sent(
            "hmac-of-pem",
            "an HMAC under the public key's PEM",
            with_hmac(_PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), {}),
        ),
        _sent(
            "hmac-of-der",
            "an HMAC under the public key's DER",
            with_hmac(_PUBLIC.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), {}),
        ),
        _sent(
            "hmac-of-jwk",
            "an HMAC under the public key's JWK",
            with_hmac(json.dumps(public_jwk(IDP.private_key)).encode(), {}),
        ),
        _sent(
            "hmac-of-shared-secret",
            "an HMAC under a secret that stands in the key set",
            with_hmac(HMAC_SECRET, {"kid": "shared-secret"}),
        ),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_ALGORITHM_REFUSED,
        "RFC 8725 section 3.1; RFC 7515 section 4.1.1",
        _sent("alg-absent", "no alg", issue(omit=("alg",))),
        _header("alg-lower-case", "alg in lower case", alg="es256"),
        _sent("alg-not-of-issuer", "an algorithm of the other issuer", issue(PARTNER, iss=IDP.url)),
        _sent(
            "alg-not-of-curve",
            "ES256 named for a P-384 key",
            issue(IDP_ES384, header={"alg": "ES256"}),
        ),
        _sent("alg-not-of-key", "RS256 under a key for PS256", issue(MIXED_PARTNER)),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_MALFORMED,
        "RFC 7515 sections 4.1.1 and 4.1.4",
        _header("alg-list", "alg as a list", alg=["ES256"]),
        _header("kid-number", "kid as a number", kid=1),
    ),
    *group(
        Reason.TOKEN_UNKNOWN_KEY,
        "RFC 7515 section 4.1.4; RFC 8725 section 3.10",
        _sent("kid-absent", "no kid", issue(omit=("kid",))),
        _header("kid-retired", "a kid that is no longer in the set", kid="idp-2019"),
        _header("kid-path", "a kid that is a file name", kid="../../../../dev/null"),
        _header("kid-query", "a kid that is a piece of SQL", kid="' OR 1=1 --"),
        _header("kid-url", "a kid that is a URL", kid="https://evil.example/jwks.json"),
    ),
    *group(
        Reason.TOKEN_UNKNOWN_KEY,
        "RFC 7519 section 4.1.1; RFC 8725 section 3.8",
        _sent(
            "kid-of-other-issuer",
            "a key of the other issuer",
            issue(PARTNER_PS256, iss="https://partner.example/", header={"kid": "idp-es256"}),
        ),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_UNKNOWN_KEY,
        "RFC 7517 sections 4.2, 4.3 and 4.5; RFC 7518 section 3.3",
        _sent(
            "key-for-encryption",
            "a key for encryption",
            issue(FORGER, header={"kid": "for-encryption"}),
        ),
        _sent(
            "key-not-for-verifying",
            "a key whose key_ops has no verify",
            issue(FORGER, header={"kid": "for-signing-only"}),
        ),
        _sent(
            "key-twice",
            "a kid that stands twice in the set",
            issue(FORGER, header={"kid": "twice"}),
        ),
        _sent("key-weak", "an RSA key of 1024 bits", issue(WEAK_PARTNER)),
        _sent("key-exponent-one", "a key under which anybody can sign", with_exponent_one()),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_MALFORMED,
        "CVE-2018-0114; RFC 7515 sections 4.1.2, 4.1.3 and 4.1.5 to 4.1.8; RFC 8725 section 3.10",
        _sent(
            "header-jwk", "a key in the header", issue(FORGER, header={**_BY_FORGER, "jwk": _JWK})
        ),
        _sent(
            "header-jku",
            "a key set's URL in the header",
            issue(FORGER, header={**_BY_FORGER, "jku": "https://evil.example/jwks.json"}),
        ),
        _sent("header-x5c", "a certificate in the header", issue(FORGER, header={"x5c": ["MIIB"]})),
        _header("header-x5u", "a certificate's URL in the header", x5u="https://evil.example/"),
        _header("header-x5t", "a SHA-1 thumbprint in the header", x5t="x"),
        _header("header-x5t-s256", "a thumbprint in the header", **{"x5t#S256": "x"}),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_MALFORMED,
        "RFC 7515 section 4.1.11; RFC 7797 section 3; RFC 7516 section 4.1.3",
        _header("crit-unknown", "crit with an extension nobody knows", crit=["x"], x=1),
        _header("crit-absent", "crit with a member that is not there", crit=["x"]),
        _header("crit-registered", "crit with a member everybody knows", crit=["kid"]),
        _header("crit-empty", "crit that is empty", crit=[]),
        _header("unencoded-payload", "b64 that is false", b64=False, crit=["b64"]),
        _header("compressed", "zip", zip="DEF"),
        _header("encrypted", "enc", enc="A256GCM"),
        _header("many-rounds", "a count that costs time", p2c=2**31),
        _header("nested", "cty that says a token is inside", cty="JWT"),
    ),
    *group(
        Reason.TOKEN_BAD_SIGNATURE,
        "RFC 7515 section 5.2; RFC 8725 section 3.3",
        _sent("forged", "signed with a key of somebody else", issue(FORGER)),
        _sent(
            "payload-exchanged", "another user's payload", f"{HEADER}.{_OTHER_PAYLOAD}.{SIGNATURE}"
        ),
        _sent(
            "signature-exchanged",
            "another token's signature",
            f"{HEADER}.{PAYLOAD}.{_OTHER_SIGNATURE}",
        ),
        _sent(
            "header-exchanged",
            "another header over the same",
            f"{encode_base64url(json.dumps({**IDP.header(), 'typ': 'AT+JWT'}).encode())}"
            f".{PAYLOAD}.{SIGNATURE}",
        ),
        _sent(
            "signature-bit",
            "one bit of the signature turned over",
            with_signature(bytes((_SIGNATURE[0] ^ 1,)) + _SIGNATURE[1:]),
        ),
        _sent(
            "signature-rs256-for-ps256",
            "an RS256 signature where the header says PS256",
            issue(MIXED_PARTNER, header={"alg": "PS256"}),
        ),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_BAD_SIGNATURE,
        "CVE-2022-21449; RFC 7518 section 3.4",
        _sent("signature-zero", "r and s that are zero", with_signature(bytes(64))),
        _sent(
            "signature-order",
            "r and s that are the curve's order",
            with_signature(P256_ORDER.to_bytes(32, "big") * 2),
        ),
        _sent("signature-der", "the right signature as DER", with_signature(der_signature())),
        _sent(
            "signature-short", "a signature that is a byte short", with_signature(_SIGNATURE[:-1])
        ),
        importance="critical",
    ),
)
