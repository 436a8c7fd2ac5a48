"""Tokens that are bound to a certificate or a key, with and without what they are bound to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from deputize.core.reasons import Reason
from scripts.vectors.cast import NOW, issue, private_key
from scripts.vectors.certificates import certificate, thumbprint
from scripts.vectors.rows import Importance, Row, check, group
from tests.harness.dpop_client import ProofKey
from tests.harness.issuer import encode_base64url
from tests.harness.vector_files import Vector

_CERTIFICATE = certificate()
_RENEWED = certificate(valid=(NOW - 120, NOW + 3600))
_THUMBPRINT = thumbprint(_CERTIFICATE)
_KEY = ProofKey(private_key=private_key("proof"))
_OTHER_KEY = ProofKey(private_key=private_key("stranger"))
_ED25519 = ProofKey("Ed25519", private_key("idp-ed25519"))
_BOUND = issue(cnf={"jkt": _KEY.thumbprint})
_MAX_AGE = 60
_SKEW = 10


def _certified(name: str, title: str, cnf: object, shown: str = _CERTIFICATE) -> Row:
    return f"bound-{name}", title, check(issue(cnf=cnf), certificate=shown)


def _dpop(
    token: str, proof: str | None, *, scheme: str = "DPoP", certificate_text: str = ""
) -> dict[str, object]:
    headers = {"authorization": f"{scheme} {token}", **({} if proof is None else {"dpop": proof})}
    return check(headers=headers, certificate=certificate_text)


def _proof(name: str, title: str, *, key: ProofKey = _KEY, **changes: object) -> Row:
    """A bound token with a proof in which these claims are others; None leaves one out."""
    left_out = [claim for claim, value in changes.items() if value is None]
    proof = key.prove(_BOUND, now=NOW, claims=changes, omit=left_out)
    return f"proof-{name}", title, _dpop(_BOUND, proof)


def _proof_header(name: str, title: str, **header: object) -> Row:
    return f"proof-{name}", title, _dpop(_BOUND, _KEY.prove(_BOUND, now=NOW, header=header))


def _good(name: str, title: str, **claims: object) -> Row:
    # Each identifier is good once, so each has its own.
    proof = _KEY.prove(_BOUND, now=NOW, claims={"jti": name, **claims})
    return name, title, _dpop(_BOUND, proof)


def _invalid(source: str, *rows: Row, importance: Importance = "critical") -> Iterable[Vector]:
    return group(Reason.TOKEN_PROOF_INVALID, source, *rows, importance=importance)


def _with_private_part() -> Mapping[str, object]:
    secret = encode_base64url(b"not a secret any more, 32 bytes!")
    return {**_KEY.jwk, "d": secret}


VECTORS = (
    *group(
        Reason.POLICY_ALLOWED,
        "RFC 8705 section 3.1",
        _certified("certificate", "the certificate it is bound to", {"x5t#S256": _THUMBPRINT}),
        rule="orders/read-orders",
    ),
    *group(
        Reason.TOKEN_WRONG_BINDING,
        "RFC 8705 section 3",
        _certified("other-certificate", "another one", {"x5t#S256": _THUMBPRINT}, _RENEWED),
        _certified("no-certificate", "none was sent", {"x5t#S256": _THUMBPRINT}, ""),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_MALFORMED,
        "RFC 7800 section 3.1; RFC 8705 section 3.1",
        _certified("unknown-method", "bound in a way nobody knows", {"kid": "proof"}),
        _certified("key-itself", "bound to a key in full", {"jwk": _KEY.jwk}),
        _certified("empty", "bound to nothing", {}),
        _certified("null", "cnf that is null", None),
        _certified("text", "cnf as text", _THUMBPRINT),
        _certified("sha-1", "a SHA-1 thumbprint", {"x5t": encode_base64url(bytes(20))}),
        _certified("hex", "a thumbprint in hex", {"x5t#S256": hashlib.sha256(b"").hexdigest()}),
        _certified("padded", "a thumbprint with padding", {"x5t#S256": f"{_THUMBPRINT}="}),
        importance="critical",
    ),
    *group(
        Reason.POLICY_ALLOWED,
        "RFC 9449 sections 4.3, 7.1 and 11.1",
        _good("dpop", "a proof of the key the token is bound to"),
        _good(
            "dpop-default-port",
            "htu with the default port",
            htu="https://orders.example:443/v1/orders/7",
        ),
        _good(
            "dpop-host-upper-case", "htu in another case", htu="HTTPS://Orders.Example/v1/orders/7"
        ),
        _good("dpop-oldest", "the oldest proof that counts", iat=NOW - _MAX_AGE - _SKEW),
        _good("dpop-ahead", "a proof at the end of the tolerated skew", iat=NOW + _SKEW),
        (
            "dpop-ed25519",
            "a key of another kind",
            _dpop(
                _token := issue(cnf={"jkt": _ED25519.thumbprint}),
                _ED25519.prove(_token, now=NOW, claims={"jti": "dpop-ed25519"}),
            ),
        ),
        rule="orders/read-orders",
        again=Reason.TOKEN_REPLAYED,
        importance="critical",
    ),
    *group(
        Reason.TOKEN_WRONG_BINDING,
        "RFC 9449 sections 7.1 and 7.2",
        ("dpop-absent", "a bound token without a proof", _dpop(_BOUND, None)),
        ("dpop-as-bearer", "a bound token as a bearer's", check(_BOUND)),
        (
            "dpop-as-bearer-with-proof",
            "a proof beside the scheme Bearer",
            _dpop(_BOUND, _KEY.prove(_BOUND, now=NOW), scheme="Bearer"),
        ),
        (
            "dpop-not-bound",
            "a proof for a token that is bound to nothing",
            _dpop(issue(), _KEY.prove(issue(), now=NOW)),
        ),
        (
            "dpop-bound-to-both",
            "a proof, but not the certificate the token is bound to as well",
            _dpop(
                _both := issue(cnf={"jkt": _KEY.thumbprint, "x5t#S256": _THUMBPRINT}),
                _KEY.prove(_both, now=NOW),
                certificate_text=_RENEWED,
            ),
        ),
        importance="critical",
    ),
    *_invalid(
        "RFC 9449 section 4.3, check 8 (htm)",
        _proof("htm-other", "for another method", htm="POST"),
        _proof("htm-lower-case", "a method in lower case is another", htm="get"),
        _proof("htm-absent", "for no method", htm=None),
    ),
    *_invalid(
        "RFC 9449 section 4.3, check 9 (htu)",
        _proof("htu-path", "for another path", htu="https://orders.example/v1/orders/8"),
        _proof("htu-host", "for another host", htu="https://evil.example/v1/orders/7"),
        _proof("htu-scheme", "for another scheme", htu="http://orders.example/v1/orders/7"),
        _proof("htu-port", "for another port", htu="https://orders.example:8443/v1/orders/7"),
        _proof("htu-longer", "for our URL and more", htu="https://orders.example/v1/orders/7/x"),
        _proof("htu-user", "a user before the host", htu="https://a@orders.example/v1/orders/7"),
        _proof("htu-relative", "for a path alone", htu="/v1/orders/7"),
        _proof("htu-absent", "for no URL", htu=None),
    ),
    *_invalid(
        "RFC 9449 section 4.3, check 12 (ath)",
        _proof(
            "ath-other",
            "for another token",
            ath=encode_base64url(hashlib.sha256(issue().encode()).digest()),
        ),
        _proof("ath-absent", "for no token", ath=None),
    ),
    *_invalid(
        "RFC 9449 section 4.3, check 11 (iat), and section 11.1",
        _proof("stale", "a second too old", iat=NOW - _MAX_AGE - _SKEW - 1),
        _proof("early", "a second too early", iat=NOW + _SKEW + 1),
        _proof("iat-absent", "of no time", iat=None),
        _proof("iat-text", "a time as text", iat=str(NOW)),
        _proof("jti-absent", "without an identifier", jti=None),
    ),
    *_invalid(
        "RFC 9449 section 4.3, checks 6, 7 and 12",
        _proof("other-key", "made with another key", key=_OTHER_KEY),
        (
            "proof-forged",
            "names the right key, signed with another",
            _dpop(_BOUND, _OTHER_KEY.prove(_BOUND, now=NOW, header={"jwk": _KEY.jwk})),
        ),
        _proof_header("private-key", "a private key in jwk", jwk=_with_private_part()),
        _proof_header("key-absent", "no key", jwk={}),
        _proof_header("key-symmetric", "a shared secret as key", jwk={"kty": "oct", "k": "AAAA"}),
    ),
    *_invalid(
        "RFC 9449 section 4.3, checks 4 and 5; RFC 8725 sections 2.1 and 3.11",
        _proof_header("hmac", "a symmetric algorithm", alg="HS256"),
        _proof_header("unsigned", "no algorithm", alg="none"),
        _proof_header("type-other", "a proof of another type", typ="jwt"),
        _proof_header("type-access-token", "an access token's type", typ="at+jwt"),
        _proof_header("key-url", "a key set's URL beside the key", jku="https://evil.example/"),
        ("proof-is-token", "the token in place of its proof", _dpop(_BOUND, _BOUND)),
        ("proof-unreadable", "no JWS", _dpop(_BOUND, "proof")),
    ),
    *group(
        Reason.REQUEST_DUPLICATE_CREDENTIAL,
        "RFC 9449 section 4.3, check 1",
        (
            "proofs-joined",
            "two proofs, joined as Envoy does it",
            _dpop(_BOUND, ",".join(_KEY.prove(_BOUND, now=NOW, claims={"jti": n}) for n in "ab")),
        ),
        importance="critical",
    ),
)
