"""X.509-SVIDs: the certificate of a workload, read strictly, once.

Rules of this file:
- What is read is a leaf certificate with exactly one URI SAN, fit to prove a client. Whose it is,
  who issued it and whether it is valid now is for others to ask.
- One certificate, one spelling: PEM, or the URL-encoded PEM that Envoy sends. Never both.
- Certificates come back with every call of an agent, so the reading is remembered. The memory is
  bounded, and the whole text is the key.

Sources: SPIFFE X509-SVID.md sections 2, 3.1, 4.1, 4.3, 4.4 and 5.2; RFC 5280 sections 4.2,
4.2.1.3 and 4.2.1.12; RFC 8705 section 3.1 (thumbprint); Envoy `api/envoy/service/auth/v3/
attribute_context.proto` (Peer.certificate); agentgateway `crates/agentgateway/src/transport/
tls.rs` (`source.certificate` in CEL).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID

MAX_CERTIFICATE_BYTES = 32768
"""As sent; URL-encoded PEM with a 4096-bit RSA key has about 3 kB."""
REMEMBERED = 1024
"""Certificates of each spelling."""

ExtensionT = TypeVar("ExtensionT", bound=x509.ExtensionType)


class SvidError(ValueError):
    """The text is not one X.509-SVID; the message never quotes it."""


@dataclass(frozen=True, slots=True, eq=False)
class Svid:
    """An X.509-SVID whose issuer and validity are not checked yet.

    `uri` is its one URI SAN, `sha256` its thumbprint as `x5t#S256` writes it. Times are seconds
    since the epoch. Equal only to itself, so that it can be looked up at no cost.
    """

    uri: str
    sha256: str
    not_before: float
    not_after: float
    certificate: x509.Certificate


@lru_cache(maxsize=REMEMBERED)
def read_escaped_svid(escaped: str) -> Svid:
    """Reads URL-encoded PEM, as Envoy sends it.

    Raises:
        SvidError: not exactly one readable certificate, or one that is no X.509-SVID.
    """
    _check_size(escaped)
    try:
        pem = unquote(escaped, errors="strict")
    except ValueError:
        raise SvidError("not UTF-8") from None
    return _read(pem)


@lru_cache(maxsize=REMEMBERED)
def read_svid(pem: str) -> Svid:
    """Reads plain PEM, as agentgateway sends it: lines end with CR LF, nothing is escaped.

    Raises:
        SvidError: not exactly one readable certificate, or one that is no X.509-SVID.
    """
    _check_size(pem)
    return _read(pem)


def find_extension(certificate: x509.Certificate, kind: type[ExtensionT]) -> ExtensionT | None:
    """The extension of this kind, None where there is none."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def check_critical_extensions(certificate: x509.Certificate) -> None:
    """RFC 5280 section 4.2: what is critical and not understood makes a certificate unusable.

    Raises:
        SvidError: a critical extension of a kind that nobody here knows.
    """
    for extension in certificate.extensions:
        if extension.critical and isinstance(extension.value, x509.UnrecognizedExtension):
            raise SvidError(f"unknown critical extension {extension.oid.dotted_string}")


def find_uris(certificate: x509.Certificate) -> tuple[str, ...]:
    """All URI SANs, as they are spelled."""
    names = find_extension(certificate, x509.SubjectAlternativeName)
    return tuple(names.get_values_for_type(x509.UniformResourceIdentifier)) if names else ()


def _check_size(text: str) -> None:
    if len(text) > MAX_CERTIFICATE_BYTES:
        raise SvidError(f"longer than {MAX_CERTIFICATE_BYTES} bytes")


def _read(pem: str) -> Svid:
    try:
        leaf, *others = x509.load_pem_x509_certificates(pem.encode("ascii"))
        uris = find_uris(leaf)
        _check_use(leaf)
    except SvidError:
        raise
    except (
        ValueError,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise SvidError(f"unreadable certificate: {type(error).__name__}") from None
    if others:
        raise SvidError("more than one certificate")
    if len(uris) != 1:
        raise SvidError(f"{len(uris)} URI SANs, not one")
    return Svid(
        uris[0],
        base64.urlsafe_b64encode(leaf.fingerprint(SHA256())).rstrip(b"=").decode("ascii"),
        leaf.not_valid_before_utc.timestamp(),
        leaf.not_valid_after_utc.timestamp(),
        leaf,
    )


def _check_use(leaf: x509.Certificate) -> None:
    check_critical_extensions(leaf)
    constraints = find_extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        raise SvidError("a signing certificate is not a workload's")
    usage = find_extension(leaf, x509.KeyUsage)
    if usage is not None:
        if usage.key_cert_sign or usage.crl_sign:
            raise SvidError("a signing certificate is not a workload's")
        if not usage.digital_signature:
            raise SvidError("its key usage has no digitalSignature")
    purposes = find_extension(leaf, x509.ExtendedKeyUsage)
    if purposes is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in purposes:
        raise SvidError("its extended key usage has no clientAuth")
