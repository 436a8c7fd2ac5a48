"""Stage 1: who are you? The peer's SPIFFE ID, as the proxy proved it by mTLS.

Rules of this file:
- One source, no fallback: `source.principal`, which Envoy fills from the client certificate.
- The principal alone can lie: Envoy falls back to DNS SANs, and a DNS SAN may read
  `spiffe://...`. Where the certificate is sent it must be an X.509-SVID for that very ID.

Sources: SPIFFE X509-SVID.md sections 2, 3.1, 4.1 and 5.2; Envoy `api/envoy/service/auth/v3/
attribute_context.proto` (Peer.principal, Peer.certificate).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar
from urllib.parse import unquote

from cryptography import x509

from deputize.core.model import AccessRequest, Assurance, Peer
from deputize.core.reasons import Reason
from deputize.core.spiffe import SpiffeIdError, TrustDomain, parse_spiffe_id
from deputize.core.verdict import Denied

MAX_CERTIFICATE_BYTES = 32768
"""URL-encoded PEM; a certificate with a 4096-bit RSA key has about 3 kB."""

ExtensionT = TypeVar("ExtensionT", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class PeerRules:
    """Whom to believe: trust domains of peers, and which proxies may ask.

    `allowed_proxies` holds SPIFFE IDs as text; None means that whoever reaches the port may ask.
    """

    trust_domains: frozenset[TrustDomain]
    require_certificate: bool
    allowed_proxies: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class _Svid:
    uri_names: tuple[str, ...]
    is_authority: bool
    not_before: float
    not_after: float


def identify(request: AccessRequest, rules: PeerRules, now: float) -> Peer:
    """Establishes the peer.

    Raises:
        Denied: peer.untrusted_source, peer.missing, peer.malformed, peer.untrusted_domain,
            peer.svid_invalid.
    """
    if rules.allowed_proxies is not None:
        _check_proxy(request.proxies, rules.allowed_proxies)
    if not request.asserted_principal:
        raise Denied(Reason.PEER_MISSING, "source.principal is empty")
    try:
        peer_id = parse_spiffe_id(request.asserted_principal)
    except SpiffeIdError as error:
        raise Denied(Reason.PEER_MALFORMED, str(error)) from None
    if peer_id.trust_domain not in rules.trust_domains:
        raise Denied(Reason.PEER_UNTRUSTED_DOMAIN, f"trust domain {peer_id.trust_domain}")
    if request.certificate:
        _check_certificate(request.certificate, peer_id.text, now)
        return Peer(peer_id, Assurance.CERTIFICATE_CHECKED)
    if rules.require_certificate:
        raise Denied(Reason.PEER_SVID_INVALID, "the proxy sent no certificate")
    return Peer(peer_id, Assurance.ASSERTED_BY_PROXY)


def _check_proxy(proxies: tuple[str, ...] | None, allowed: frozenset[str]) -> None:
    # A certificate with two identities has no single one to trust.
    if proxies is None or len(proxies) != 1 or proxies[0] not in allowed:
        raise Denied(Reason.PEER_UNTRUSTED_SOURCE, "the calling proxy is not on the list")


def _check_certificate(certificate: str, principal: str, now: float) -> None:
    if len(certificate) > MAX_CERTIFICATE_BYTES:
        raise Denied(Reason.PEER_SVID_INVALID, f"longer than {MAX_CERTIFICATE_BYTES} bytes")
    try:
        svid = _read_certificate(certificate)
    except ValueError as error:
        raise Denied(Reason.PEER_SVID_INVALID, f"unreadable certificate: {error}") from None
    if len(svid.uri_names) != 1:
        raise Denied(Reason.PEER_SVID_INVALID, f"{len(svid.uri_names)} URI SANs, not one")
    if svid.uri_names[0] != principal:
        raise Denied(Reason.PEER_SVID_INVALID, "the URI SAN is not the reported principal")
    if svid.is_authority:
        raise Denied(Reason.PEER_SVID_INVALID, "a signing certificate is not a workload's")
    if not svid.not_before <= now <= svid.not_after:
        raise Denied(Reason.PEER_SVID_INVALID, "outside the certificate's validity")


@lru_cache(maxsize=1024)
def _read_certificate(certificate: str) -> _Svid:
    """Reads URL-encoded PEM, as Envoy sends it. Bounded memory; the text is the whole key.

    Raises:
        ValueError: not exactly one readable certificate.
    """
    try:
        pem = unquote(certificate, errors="strict").encode("ascii")
        leaf, *others = x509.load_pem_x509_certificates(pem)
        names = _extension(leaf, x509.SubjectAlternativeName)
        constraints = _extension(leaf, x509.BasicConstraints)
        usage = _extension(leaf, x509.KeyUsage)
    except (
        ValueError,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    ) as error:
        raise ValueError(type(error).__name__) from None
    if others:
        raise ValueError("more than one certificate")
    signs = usage is not None and (usage.key_cert_sign or usage.crl_sign)
    return _Svid(
        tuple(names.get_values_for_type(x509.UniformResourceIdentifier)) if names else (),
        signs or (constraints is not None and constraints.ca),
        leaf.not_valid_before_utc.timestamp(),
        leaf.not_valid_after_utc.timestamp(),
    )


def _extension(leaf: x509.Certificate, kind: type[ExtensionT]) -> ExtensionT | None:
    try:
        return leaf.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
