"""Proof of possession: what a token is bound to, and the DPoP proof that its key was there.

Rules of this file:
- A binding that is not understood is an error: a token that says it is bound is never a bearer.
- A proof is for one method, one URL, one token and a short time. Only what a URL may spell in two
  ways without meaning two things is levelled: case of scheme and host, the default port.
- A proof may be used once; its identifier is given back so that it is.

Sources: RFC 7800 section 3.1; RFC 8705 section 3.1; RFC 9449 sections 4.2, 4.3, 6.1, 7.1 and 11.1;
RFC 7519 sections 4.1.4 and 4.1.5; RFC 7638; RFC 3986 sections 6.2.2.1 (case) and 6.2.3 (default
port, empty path).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping

from deputize.core.claims import ClaimError, is_within_times, read_text, read_time
from deputize.core.jws import JwsError, UnverifiedJws, decode_base64url, read_unverified_jws
from deputize.core.keys import parse_algorithm, parse_embedded_jwk, verify_signature
from deputize.core.model import AccessRequest, Confirmation, Json, UseOnce
from deputize.core.profiles import normalize_type

_TYPE = "dpop+jwt"
_HEADER_MEMBERS = frozenset({"typ", "alg", "jwk"})
_DIGEST_BYTES = 32
_URL = re.compile(r"([A-Za-z]+)://([^/]+)(.*)")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_PATH = re.compile(r"/[!-\"$->@-~]*")
"""Printable ASCII without `?` and `#`."""
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}


class PossessionError(ValueError):
    """A binding cannot be read, or a proof does not hold; the message quotes neither."""


def read_confirmation(claims: Mapping[str, Json]) -> Confirmation | None:
    """What the token is bound to; None without a claim `cnf`.

    Raises:
        PossessionError: no member that is understood, or one that is no SHA-256 thumbprint.
    """
    if "cnf" not in claims:
        return None
    cnf = claims["cnf"]
    if not isinstance(cnf, dict):
        raise PossessionError("claim cnf is not an object")
    bound = Confirmation(_read_thumbprint(cnf, "x5t#S256"), _read_thumbprint(cnf, "jkt"))
    if not bound.certificate and not bound.key:
        raise PossessionError("claim cnf has no member that is understood")
    return bound


def check_proof(
    proof: str,
    *,
    jkt: str,
    token: str,
    request: AccessRequest,
    now: float,
    max_age: float,
    clock_skew: float,
) -> UseOnce:
    """Checks a proof for this request and token by the key with the thumbprint `jkt`.

    `now` is in seconds since the epoch, `max_age` and `clock_skew` in seconds. Gives the proof's
    identifier, which must not be used again while the proof could be accepted.

    Raises:
        PossessionError: anything that does not hold.
    """
    try:
        jws = read_unverified_jws(proof, header_members=_HEADER_MEMBERS)
        _check_key(jws, jkt)
        _check_call(jws.payload, request)
        claimed = read_text(jws.payload, ("ath",)).encode()
        if not token.isascii() or not hmac.compare_digest(claimed, _hash(token)):
            raise PossessionError("ath is not the digest of the token")
        if "iat" not in jws.payload:
            raise PossessionError("claim iat is absent")
        issued_at = read_time(jws.payload, "iat")
        if not is_within_times(jws.payload, now, clock_skew):
            raise PossessionError("outside its own exp or nbf")
        identifier = _hash(read_text(jws.payload, ("jti",)))
    except (JwsError, ClaimError) as error:
        raise PossessionError(str(error)) from None
    if not now - max_age - clock_skew <= issued_at <= now + clock_skew:
        raise PossessionError("iat is too old or in the future")
    # Accepted until `iat` + age + skew by our clock; once more for that of another replica.
    until = issued_at + max_age + 2 * clock_skew + 1
    return UseOnce(f"proof:{jkt}:{identifier.decode()}", until)


def _check_key(jws: UnverifiedJws, jkt: str) -> None:
    if normalize_type(jws.header.token_type) != _TYPE:
        raise PossessionError(f"typ is not {_TYPE}")
    algorithm = parse_algorithm(jws.header.algorithm)
    if algorithm is None:
        raise PossessionError("alg is not one of ours")
    key, thumbprint = parse_embedded_jwk(jws.header.jwk, algorithm)
    if not hmac.compare_digest(thumbprint.encode(), jkt.encode("ascii", "replace")):
        raise PossessionError("made with another key than the token is bound to")
    if not verify_signature(key, jws.signing_input, jws.signature):
        raise PossessionError("the signature does not verify")


def _check_call(claims: Mapping[str, Json], request: AccessRequest) -> None:
    if claims.get("htm") != request.method:
        raise PossessionError("htm is not the method")
    htu = claims.get("htu")
    url = _URL.fullmatch(htu) if isinstance(htu, str) else None
    if url is None:
        raise PossessionError("htu is not an absolute URL")
    asked = _normalize(request.scheme, request.host, request.path.partition("?")[0])
    if _normalize(url[1], url[2], url[3] or "/") != asked:
        raise PossessionError("htu is not the URL")


def _normalize(scheme: str, host: str, path: str) -> tuple[str, str, str]:
    """Scheme and host in lower case, without the scheme's own port, and the path as it is."""
    scheme = scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise PossessionError("a scheme other than http and https")
    if not _HOST.fullmatch(host) or not _PATH.fullmatch(path):
        raise PossessionError("a URL with more than scheme, host, port and path")
    return scheme, host.lower().removesuffix(_DEFAULT_PORTS[scheme]), path


def _read_thumbprint(cnf: dict[str, Json], member: str) -> str:
    value = cnf.get(member, "")
    try:
        octets = decode_base64url(value) if isinstance(value, str) else b""
    except JwsError:
        octets = b""
    if not isinstance(value, str) or (member in cnf and len(octets) != _DIGEST_BYTES):
        raise PossessionError(f"cnf.{member} is not a SHA-256 thumbprint in base64url")
    return value


def _hash(text: str) -> bytes:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
