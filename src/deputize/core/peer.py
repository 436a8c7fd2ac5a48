"""Stage 1: who are you? The peer's SPIFFE ID, as the proxy proved it by mTLS.

Rules of this file:
- One source per deployment, no fallback. `source.principal` is what Envoy takes from the client
  certificate; a waypoint has none and writes a header; agentgateway can send metadata. What the
  other places say is ignored by the first, and may not contradict the others.
- A header is as good as the proxy that wrote it, and some proxies pass on what a client wrote:
  with the source WAYPOINT_XFCC only waypoints should be on the list of proxies that may ask.
- The principal alone can lie: Envoy falls back to DNS SANs, and a DNS SAN may read
  `spiffe://...`. Where the certificate is sent it must be an X.509-SVID for that very ID, and
  issued by an authority of its trust domain where we hold that domain's bundle.

Sources: SPIFFE X509-SVID.md sections 2, 3.1, 4.1, 5.1 and 5.2; Envoy `api/envoy/service/auth/v3/
attribute_context.proto` (Peer.principal, Peer.certificate); agentgateway `crates/agentgateway/
src/http/ext_authz.rs` (build_metadata) and `src/transport/tls.rs` (TlsInfo).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from deputize.core.bundles import Bundle, is_issued_by
from deputize.core.model import AccessRequest, Assurance, Json, Peer, PeerSource
from deputize.core.reasons import Reason
from deputize.core.spiffe import SpiffeId, SpiffeIdError, TrustDomain, parse_spiffe_id
from deputize.core.svid import Svid, SvidError, read_escaped_svid, read_svid
from deputize.core.verdict import Denied
from deputize.core.xfcc import XfccError, XfccNoPeerError, parse_waypoint_xfcc

XFCC_HEADER = "x-forwarded-client-cert"
ANNOTATION = "ambient.istio.io/xfcc-include-client-identity"
"""What makes an Istio waypoint write the header."""


@dataclass(frozen=True, slots=True)
class PeerRules:
    """Whom to believe: which proxies may ask, where they name the peer, whose peers may call.

    `allowed_proxies` holds SPIFFE IDs as text; None means that whoever reaches the port may ask.
    `waypoints` may name peers where the source is WAYPOINT_XFCC, `metadata_namespace` holds the
    peer's names where it is METADATA. A trust domain in `bundles` needs certificates issued by
    that bundle; for the others the proxy's own check stands.
    """

    trust_domains: frozenset[TrustDomain]
    require_certificate: bool
    allowed_proxies: frozenset[str] | None
    source: PeerSource
    waypoints: frozenset[SpiffeId]
    metadata_namespace: str
    bundles: Mapping[TrustDomain, Bundle]


_Claim = tuple[str, str, Callable[[str], Svid]]
"""What the source says, as received: a name, a certificate or an empty text, and its reader."""


def identify(request: AccessRequest, rules: PeerRules, stopped: frozenset[str], now: float) -> Peer:
    """Establishes the peer.

    `stopped` are the SPIFFE IDs of agents an operator has stopped.

    Raises:
        Denied: any `peer.*` code.
    """
    if rules.allowed_proxies is not None:
        _check_proxy(request.proxies, rules.allowed_proxies)
    name, certificate, read = _CLAIMS[rules.source](request, rules)
    try:
        peer_id = parse_spiffe_id(name)
    except SpiffeIdError as error:
        raise Denied(Reason.PEER_MALFORMED, str(error)) from None
    if peer_id.trust_domain not in rules.trust_domains:
        raise Denied(Reason.PEER_UNTRUSTED_DOMAIN, f"trust domain {peer_id.trust_domain}")
    bundle = rules.bundles.get(peer_id.trust_domain) if rules.bundles else None
    if certificate:
        svid = _check_certificate(certificate, read, peer_id, bundle, now)
        peer = Peer(peer_id, Assurance.CERTIFICATE_CHECKED, rules.source, svid.sha256)
    elif rules.require_certificate or bundle is not None:
        raise Denied(Reason.PEER_SVID_INVALID, "the proxy sent no certificate")
    else:
        peer = Peer(peer_id, Assurance.ASSERTED_BY_PROXY, rules.source, "")
    if peer_id.text in stopped:
        raise Denied(Reason.PEER_SUSPENDED, "an operator has stopped this agent")
    return peer


def _check_proxy(proxies: tuple[str, ...] | None, allowed: frozenset[str]) -> None:
    # A certificate with two identities has no single one to trust.
    if proxies is None or len(proxies) != 1 or proxies[0] not in allowed:
        raise Denied(Reason.PEER_UNTRUSTED_SOURCE, "the calling proxy is not on the list")


def _claim_of_principal(request: AccessRequest, _rules: PeerRules) -> _Claim:
    if not request.asserted_principal:
        raise Denied(Reason.PEER_MISSING, f"source.principal is empty: {_find_cause(request)}")
    return request.asserted_principal, request.certificate, read_escaped_svid


def _find_cause(request: AccessRequest) -> str:
    if request.is_internal:
        return (
            "the connection comes from inside the proxy, as at an Istio waypoint; use the peer "
            f"source waypoint-xfcc, and the annotation {ANNOTATION} at the waypoint"
        )
    if XFCC_HEADER in request.headers:
        return f"{XFCC_HEADER} is there, but is not the configured source"
    return (
        "the listener got no client certificate (mTLS); an Istio waypoint reports none, it needs "
        "the peer source waypoint-xfcc"
    )


def _claim_of_waypoint(request: AccessRequest, rules: PeerRules) -> _Claim:
    header = request.headers.get(XFCC_HEADER)
    if not header:
        raise Denied(
            Reason.PEER_MISSING, f"no {XFCC_HEADER}: the waypoint needs the annotation {ANNOTATION}"
        )
    try:
        xfcc = parse_waypoint_xfcc(header)
    except XfccNoPeerError as error:
        raise Denied(Reason.PEER_MISSING, f"{XFCC_HEADER}: {error}") from None
    except XfccError as error:
        raise Denied(Reason.PEER_MALFORMED, f"{XFCC_HEADER}: {error}") from None
    if xfcc.by not in rules.waypoints:
        raise Denied(Reason.PEER_UNTRUSTED_SOURCE, f"{xfcc.by} is not a listed waypoint")
    _check_one_reading(request, xfcc.uri.text)
    return xfcc.uri.text, request.certificate, read_escaped_svid


def _claim_of_metadata(request: AccessRequest, rules: PeerRules) -> _Claim:
    """Reads `{"sans": source.subjectAltNames, "cert": source.certificate}`, a map in CEL.

    agentgateway leaves a namespace out when its expression fails or gives no map. `sans` holds
    names of all kinds as text, `cert` is PEM and may be left out.
    """
    fields = request.metadata.get(rules.metadata_namespace)
    if not isinstance(fields, dict):
        raise Denied(
            Reason.PEER_MISSING,
            f"no metadata in {rules.metadata_namespace}: it is not configured at the proxy, or its "
            "CEL expression failed or gave no map",
        )
    name = _find_uri(fields.get("sans"))
    _check_one_reading(request, name)
    certificate = fields.get("cert")
    if certificate is None:
        certificate = ""
    elif not isinstance(certificate, str) or not certificate:
        raise Denied(Reason.PEER_SVID_INVALID, "`cert` is not a text")
    if request.certificate:
        raise Denied(Reason.PEER_UNTRUSTED_SOURCE, "source.certificate beside the metadata")
    return name, certificate, read_svid


def _find_uri(names: Json) -> str:
    if names is None or names == []:
        raise Denied(Reason.PEER_MISSING, "`sans` is empty: the client showed no certificate")
    if not isinstance(names, list):
        raise Denied(Reason.PEER_MALFORMED, "`sans` is not a list")
    texts = [name for name in names if isinstance(name, str)]
    if len(texts) != len(names):
        raise Denied(Reason.PEER_MALFORMED, "`sans` holds more than texts")
    # Of the names a certificate may have, only URIs and IPv6 addresses have colons.
    uris = [text for text in texts if ":" in text and not _is_ip_address(text)]
    if len(uris) > 1:
        raise Denied(Reason.PEER_SVID_INVALID, f"{len(uris)} URIs in `sans`, not one")
    if not uris:
        raise Denied(Reason.PEER_MALFORMED, "no URI in `sans`")
    return uris[0]


def _is_ip_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _check_one_reading(request: AccessRequest, name: str) -> None:
    if request.asserted_principal and request.asserted_principal != name:
        raise Denied(Reason.PEER_UNTRUSTED_SOURCE, "source.principal names another peer")


_CLAIMS: Mapping[PeerSource, Callable[[AccessRequest, PeerRules], _Claim]] = {
    PeerSource.PRINCIPAL: _claim_of_principal,
    PeerSource.WAYPOINT_XFCC: _claim_of_waypoint,
    PeerSource.METADATA: _claim_of_metadata,
}


def _check_certificate(
    certificate: str,
    read: Callable[[str], Svid],
    peer_id: SpiffeId,
    bundle: Bundle | None,
    now: float,
) -> Svid:
    try:
        svid = read(certificate)
    except SvidError as error:
        raise Denied(Reason.PEER_SVID_INVALID, str(error)) from None
    if svid.uri != peer_id.text:
        raise Denied(Reason.PEER_SVID_INVALID, "the URI SAN is not the reported peer")
    if not svid.not_before <= now <= svid.not_after:
        raise Denied(Reason.PEER_SVID_INVALID, "outside the certificate's validity")
    if bundle is not None and not is_issued_by(bundle, svid, now):
        raise Denied(
            Reason.PEER_SVID_INVALID,
            f"issued by none of the {len(bundle.authorities)} authorities in the bundle of "
            f"{bundle.trust_domain}",
        )
    return svid
