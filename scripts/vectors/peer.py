"""Peers whose identity does not hold. The token and everything else is always good."""

from __future__ import annotations

from deputize.core.reasons import Reason
from scripts.vectors.cast import DOMAIN, NOW, PLANNER, RESEARCH, issue
from scripts.vectors.certificates import certificate
from scripts.vectors.rows import Row, check, group


def _named(name: str, title: str, principal: str) -> Row:
    return f"principal-{name}", title, check(issue(), peer=principal)


def _certified(name: str, title: str, certificate_text: str) -> Row:
    return f"certificate-{name}", title, check(certificate=certificate_text)


VECTORS = (
    *group(
        Reason.PEER_MISSING,
        "Envoy attribute_context.proto (Peer.principal)",
        _named("empty", "no principal: no client certificate", ""),
        (
            "principal-empty-with-certificate",
            "a certificate but no principal: nothing is read out of it",
            check(issue(), peer="", certificate=certificate()),
        ),
        importance="critical",
    ),
    *group(
        Reason.PEER_MALFORMED,
        "Envoy attribute_context.proto (Peer.principal): DNS SAN or subject as fallback",
        _named("dns", "a DNS name", "research.prod.example.org"),
        _named("subject", "a certificate subject", "CN=research,O=prod.example.org"),
    ),
    *group(
        Reason.PEER_MALFORMED,
        "SPIFFE-ID section 2",
        _named("without-path", "a trust domain without a path", DOMAIN),
        _named("slash-last", "a slash at the end", f"{RESEARCH}/"),
        _named("dot-segment", "a dot segment", f"{DOMAIN}/ns/ops/../agents/sa/research"),
        _named("query", "a query", f"{RESEARCH}?x=1"),
        _named("scheme-upper-case", "a scheme in upper case", RESEARCH.replace("spiffe", "SPIFFE")),
        _named("two-joined", "two identities joined", f"{RESEARCH},{PLANNER}"),
    ),
    *group(
        Reason.PEER_UNTRUSTED_DOMAIN,
        "SPIFFE-ID section 2.1; SPIFFE_Trust_Domain_and_Bundle",
        _named("other-domain", "another trust domain", RESEARCH.replace("prod", "test")),
        _named("domain-suffix", "a trusted name before a suffix", RESEARCH.replace("org", "org.x")),
        importance="critical",
    ),
    *group(
        Reason.PEER_SVID_INVALID,
        "X509-SVID section 2; Envoy uriSanPeerCertificate falls back to DNS SANs",
        _certified(
            "two-uris", "two URI SANs, the first as reported", certificate((RESEARCH, PLANNER))
        ),
        _certified(
            "two-uris-swapped",
            "two URI SANs, the last as reported",
            certificate((PLANNER, RESEARCH)),
        ),
        _certified(
            "dns-spoof", "a DNS SAN that reads like a SPIFFE ID", certificate((), (RESEARCH,))
        ),
        _certified("no-names", "no SAN at all", certificate(())),
        _certified("other-uri", "the URI SAN of another agent", certificate((PLANNER,))),
        importance="critical",
    ),
    *group(
        Reason.PEER_SVID_INVALID,
        "X509-SVID sections 4.1, 4.3 and 5.2",
        _certified("authority", "a certificate of an authority", certificate(is_authority=True)),
        _certified(
            "signs-certificates",
            "a key that may sign certificates",
            certificate(signs_certificates=True),
        ),
        importance="critical",
    ),
    *group(
        Reason.PEER_SVID_INVALID,
        "RFC 5280 section 4.1.2.5",
        _certified("expired", "an expired certificate", certificate(valid=(NOW - 3600, NOW - 1))),
        _certified("too-early", "not yet valid", certificate(valid=(NOW + 1, NOW + 3600))),
    ),
    *group(
        Reason.PEER_SVID_INVALID,
        "Envoy attribute_context.proto (Peer.certificate)",
        _certified("unreadable", "no certificate", "-----BEGIN%20CERTIFICATE-----%0A"),
        _certified("two-of-them", "two certificates", certificate(copies=2)),
        importance="normal",
    ),
)
