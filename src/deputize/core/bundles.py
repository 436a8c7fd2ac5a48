"""SPIFFE trust bundles: the authorities of one trust domain, and whose certificates they issued.

A proxy has checked the peer's chain before it asks us. With a bundle we check the last link again,
against the authorities of the very trust domain the peer names, so that one domain cannot issue
identities of another.

Rules of this file:
- A proxy sends the leaf only, so an intermediate authority that issues leaves must itself stand
  in the bundle; no chains are built.
- Bundles of different trust domains are never merged. An empty one trusts nobody.
- An entry of a kind we do not know is passed over, as the standard demands. One that is meant for
  X.509-SVIDs and does not hold makes the whole bundle unusable.

Sources: SPIFFE_Trust_Domain_and_Bundle.md sections 3, 4.1 and 4.2; X509-SVID.md sections 3.2,
4.1, 4.2, 4.3 and 6.2; RFC 7517 section 4.7 (`x5c`); RFC 5280 sections 4.2, 6.1.3 and 6.1.4.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from deputize.core.jws import JwsError, decode_base64url, read_json_object
from deputize.core.model import Json
from deputize.core.spiffe import TrustDomain
from deputize.core.svid import (
    Svid,
    SvidError,
    check_critical_extensions,
    find_extension,
    find_uris,
)

MAX_BUNDLE_BYTES = 1048576
MAX_ENTRIES = 100
USE = "x509-svid"
KEY_TYPES = frozenset({"EC", "RSA"})


class BundleError(ValueError):
    """The octets are not a bundle of the trust domain; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Authority:
    """A certificate that may issue SVIDs. Times are seconds since the epoch."""

    certificate: x509.Certificate
    not_before: float
    not_after: float


@dataclass(frozen=True, slots=True)
class Bundle:
    """The authorities of one trust domain; good until `usable_until` (seconds since the epoch).

    `sequence` grows with each change, where it is kept.
    """

    trust_domain: TrustDomain
    authorities: tuple[Authority, ...]
    sequence: int | None
    usable_until: float


def empty_bundle(trust_domain: TrustDomain) -> Bundle:
    """A bundle without authorities: no SVID of the trust domain is trusted."""
    return Bundle(trust_domain, (), None, math.inf)


def parse_bundle(octets: bytes, trust_domain: TrustDomain) -> Bundle:
    """Reads a SPIFFE bundle document (a JWK Set) of this trust domain; its end is for the caller.

    Raises:
        BundleError: not a bundle, or an entry for X.509-SVIDs that is no signing certificate of
            the trust domain.
    """
    if len(octets) > MAX_BUNDLE_BYTES:
        raise BundleError(f"longer than {MAX_BUNDLE_BYTES} bytes")
    try:
        document = read_json_object(octets)
    except JwsError as error:
        raise BundleError(str(error)) from None
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise BundleError("no list `keys`")
    if len(entries) > MAX_ENTRIES:
        raise BundleError(f"more than {MAX_ENTRIES} keys")
    authorities: list[Authority] = []
    for position, entry in enumerate(entries):
        try:
            if (encoded := _find_certificate(entry)) is not None:
                authorities.append(_read_authority(*encoded, trust_domain))
        except (BundleError, JwsError, SvidError) as error:
            raise BundleError(f"key {position}: {error}") from None
    return Bundle(trust_domain, tuple(authorities), _read_sequence(document), math.inf)


def is_issued_by(bundle: Bundle, svid: Svid, now: float) -> bool:
    """True exactly when an authority of the bundle, both good now, signed the certificate itself.

    An intermediate between the two is not looked for: Envoy sends the leaf only, so an
    intermediate that issues leaves must itself stand in the bundle.
    """
    return now <= bundle.usable_until and any(
        authority.not_before <= now <= authority.not_after and _has_signed(authority, svid)
        for authority in bundle.authorities
    )


@lru_cache(maxsize=2048)
def _has_signed(authority: Authority, svid: Svid) -> bool:
    # Remembered by object: agents come back with the same certificate, bundles stay for hours.
    try:
        svid.certificate.verify_directly_issued_by(authority.certificate)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _find_certificate(entry: Json) -> tuple[dict[str, Json], str] | None:
    """The entry with the certificate in it, None for one that says nothing of X.509-SVIDs."""
    if not isinstance(entry, dict):
        raise BundleError("not an object")
    chain = entry.get("x5c", [])
    if entry.get("use") != USE or not chain:
        return None
    kind = entry.get("kty")
    if not isinstance(kind, str) or not kind:
        raise BundleError("no `kty`")
    if kind not in KEY_TYPES:
        return None
    if not isinstance(chain, list) or not isinstance(chain[0], str):
        raise BundleError("`x5c` is not a list of texts")
    # X509-SVID.md section 6.2: what follows the first certificate is ignored.
    return entry, chain[0]


def _read_authority(entry: dict[str, Json], encoded: str, trust_domain: TrustDomain) -> Authority:
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode(encoded, validate=True))
        _check_authority(certificate, trust_domain)
        _check_key(certificate, entry)
    except (BundleError, JwsError, SvidError):
        raise
    except (
        ValueError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise BundleError(f"unreadable certificate: {type(error).__name__}") from None
    return Authority(
        certificate,
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
    )


def _check_authority(certificate: x509.Certificate, trust_domain: TrustDomain) -> None:
    check_critical_extensions(certificate)
    constraints = find_extension(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise BundleError("not a signing certificate")
    usage = find_extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise BundleError("its key usage has no keyCertSign")
    if find_extension(certificate, x509.NameConstraints) is not None:
        # Nobody here applies them, and without them it could issue more than it may.
        raise BundleError("name constraints are not supported")
    own = f"spiffe://{trust_domain}"
    if any(uri != own and not uri.startswith(f"{own}/") for uri in find_uris(certificate)):
        raise BundleError(f"a URI SAN outside the trust domain {trust_domain}")


def _check_key(certificate: x509.Certificate, entry: dict[str, Json]) -> None:
    # RFC 7517 section 4.7: the key beside the certificate must be the same one.
    kind, numbers = _describe_key(certificate)
    if entry["kty"] != kind:
        raise BundleError("`kty` is not that of the certificate")
    for name, number in numbers.items():
        text = entry.get(name)
        if not isinstance(text, str) or int.from_bytes(decode_base64url(text), "big") != number:
            raise BundleError(f"`{name}` is not that of the certificate")


def _describe_key(certificate: x509.Certificate) -> tuple[str, dict[str, int]]:
    key = certificate.public_key()
    if isinstance(key, RSAPublicKey):
        return "RSA", {"n": key.public_numbers().n, "e": key.public_numbers().e}
    if isinstance(key, EllipticCurvePublicKey):
        return "EC", {"x": key.public_numbers().x, "y": key.public_numbers().y}
    return "", {}


def _read_sequence(document: dict[str, Json]) -> int | None:
    sequence = document.get("spiffe_sequence")
    if sequence is None:
        return None
    if not isinstance(sequence, int) or isinstance(sequence, bool) or sequence < 0:
        raise BundleError("`spiffe_sequence` is not a whole number")
    return sequence
