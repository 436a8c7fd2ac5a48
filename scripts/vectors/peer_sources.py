"""Peers that are not named by the connection: by an Istio waypoint's header, by metadata."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from deputize.core.reasons import Reason
from scripts.vectors.cast import DOMAIN, PLANNER, RESEARCH, issue
from scripts.vectors.certificates import certificate
from scripts.vectors.rows import Importance, Row, check, group
from tests.harness.vector_files import Vector

_WAYPOINT = f"{DOMAIN}/ns/mesh/sa/waypoint"
_XFCC = "x-forwarded-client-cert"
_GOOD = f"By={_WAYPOINT};URI={RESEARCH}"
_NAMESPACE = "deputize.peer"
_PEM = unquote(certificate()).replace("\n", "\r\n")


def _waypoint(reason: Reason, source: str, *rows: Row) -> Iterable[Vector]:
    return _in_world("world-waypoint", reason, source, *rows)


def _metadata(reason: Reason, source: str, *rows: Row) -> Iterable[Vector]:
    return _in_world("world-metadata", reason, source, *rows)


def _in_world(world: str, reason: Reason, source: str, *rows: Row) -> Iterable[Vector]:
    allowed = reason is Reason.POLICY_ALLOWED
    rule = "orders/read-orders" if allowed else None
    importance: Importance = "high" if allowed else "critical"
    return group(reason, source, *rows, rule=rule, world=world, importance=importance)


def _xfcc(name: str, title: str, header: str, principal: str = "") -> Row:
    return f"xfcc-{name}", title, check(issue(), peer=principal, headers={_XFCC: header})


def _fields(name: str, title: str, fields: object, principal: str = "", shown: str = "") -> Row:
    metadata = {_NAMESPACE: fields}
    asked = check(issue(), peer=principal, certificate=shown, metadata=metadata)
    return f"metadata-{name}", title, asked


VECTORS = (
    *_waypoint(
        Reason.POLICY_ALLOWED,
        "Istio pilot/pkg/xds/filters/filters.go (WaypointXFCCClientIdentityFilter)",
        _xfcc("peer", "a listed waypoint names the peer", _GOOD),
        _xfcc("peer-and-principal", "the connection names the same peer", _GOOD, RESEARCH),
    ),
    *_waypoint(
        Reason.PEER_MISSING,
        "Istio pilot/pkg/xds/filters/filters.go (WaypointXFCCClientIdentityFilter)",
        ("xfcc-absent", "no header", check(issue(), peer="")),
        ("xfcc-absent-with-principal", "only the connection names one", check(issue())),
        _xfcc("nobody", "the waypoint knew no peer", f"By={_WAYPOINT};URI=-"),
    ),
    *_waypoint(
        Reason.PEER_MALFORMED,
        "Envoy headers.rst (x-forwarded-client-cert): elements that a client sent before ours",
        _xfcc("two-elements", "two elements", f"{_GOOD},{_GOOD}"),
        _xfcc("comma", "a comma in the peer's name", f"{_GOOD},{PLANNER}"),
        _xfcc("two-uris", "two peers in one element", f"{_GOOD};URI={PLANNER}"),
        _xfcc(
            "envoy-form",
            "what Envoy itself writes",
            f'By={_WAYPOINT};Hash=00;Subject="";URI={RESEARCH}',
        ),
        _xfcc("swapped", "the peer before the waypoint", f"URI={RESEARCH};By={_WAYPOINT}"),
        _xfcc("no-waypoint", "nobody says it", f"URI={RESEARCH}"),
        _xfcc("quoted", "a quoted peer", f'By={_WAYPOINT};URI="{RESEARCH}"'),
        _xfcc("keys-lower-case", "keys in lower case", _GOOD.replace("By", "by")),
        _xfcc("no-spiffe-id", "a peer that is no SPIFFE ID", f"By={_WAYPOINT};URI=research"),
    ),
    *_waypoint(
        Reason.PEER_UNTRUSTED_SOURCE,
        "own; `peer.waypoints`",
        _xfcc(
            "other-waypoint", "a waypoint that is not listed", f"By={_WAYPOINT}-2;URI={RESEARCH}"
        ),
        _xfcc("by-peer", "the peer speaks for itself", f"By={RESEARCH};URI={RESEARCH}"),
        _xfcc("principal-differs", "the connection names another peer", _GOOD, PLANNER),
    ),
    *_waypoint(
        Reason.PEER_UNTRUSTED_DOMAIN,
        "SPIFFE-ID section 2.1",
        _xfcc(
            "other-domain",
            "a peer of another trust domain",
            _GOOD.replace("URI=spiffe://prod", "URI=spiffe://test"),
        ),
    ),
    *_waypoint(
        Reason.DELEGATION_ACTOR_MISMATCH,
        "RFC 8693 section 4.1",
        _xfcc(
            "other-agent",
            "the token was given to another agent than the waypoint names",
            f"By={_WAYPOINT};URI={PLANNER}",
        ),
    ),
    *group(
        Reason.PEER_MISSING,
        "own; one source for each deployment, no fallback",
        _xfcc("not-configured", "a header of a waypoint where none is configured", _GOOD),
        importance="critical",
    ),
    *group(
        Reason.POLICY_ALLOWED,
        "own; one source for each deployment, no fallback",
        _xfcc(
            "not-read",
            "a header of a waypoint that is not the source",
            f"By={_WAYPOINT};URI={PLANNER}",
            RESEARCH,
        ),
        _fields("not-read", "metadata that is not the source", {"sans": [PLANNER]}, RESEARCH),
        rule="orders/read-orders",
    ),
    *_metadata(
        Reason.POLICY_ALLOWED,
        "agentgateway crates/agentgateway/src/http/ext_authz.rs (build_metadata)",
        _fields("peer", "the names and the certificate", {"sans": [RESEARCH], "cert": _PEM}),
        _fields("no-certificate", "the names alone", {"sans": [RESEARCH]}),
        _fields(
            "further-names",
            "a DNS name and an address beside the one URI",
            {"sans": ["research.example", "2001:db8::7", RESEARCH]},
        ),
        _fields(
            "and-principal", "the connection names the same peer", {"sans": [RESEARCH]}, RESEARCH
        ),
    ),
    *_metadata(
        Reason.PEER_MISSING,
        "agentgateway crates/agentgateway/src/http/ext_authz.rs (build_metadata): left out "
        "when its expression fails or gives no map",
        ("metadata-absent", "no metadata", check(issue(), peer="")),
        ("metadata-absent-with-principal", "only the connection names one", check(issue())),
        (
            "metadata-other-namespace",
            "another namespace",
            check(issue(), peer="", metadata={"peer": {"sans": [RESEARCH]}}),
        ),
        _fields("empty", "a map with nothing in it", {}),
        _fields("no-names", "the client showed no certificate", {"sans": []}),
    ),
    *_metadata(
        Reason.PEER_MALFORMED,
        "agentgateway crates/agentgateway/src/transport/tls.rs (TlsInfo)",
        _fields("names-text", "a text in place of the list", {"sans": RESEARCH}),
        _fields("names-mixed", "a number among the names", {"sans": [RESEARCH, 1]}),
        _fields("no-uri", "DNS names only", {"sans": ["research.prod.example.org"]}),
        _fields(
            "no-spiffe-id", "a URI that is no SPIFFE ID", {"sans": ["https://research.example"]}
        ),
    ),
    *_metadata(
        Reason.PEER_SVID_INVALID,
        "X509-SVID section 2",
        _fields("two-uris", "two identities", {"sans": [RESEARCH, PLANNER]}),
        _fields(
            "other-certificate",
            "the certificate of another agent",
            {"sans": [PLANNER], "cert": _PEM},
        ),
        _fields(
            "certificate-number", "a certificate that is no text", {"sans": [RESEARCH], "cert": 1}
        ),
        _fields(
            "certificate-escaped",
            "a certificate in the spelling of another proxy",
            {"sans": [RESEARCH], "cert": certificate()},
        ),
    ),
    *_metadata(
        Reason.PEER_UNTRUSTED_SOURCE,
        "own; two places that name different peers",
        _fields(
            "principal-differs", "the connection names another peer", {"sans": [RESEARCH]}, PLANNER
        ),
        _fields(
            "two-certificates",
            "a certificate beside the metadata",
            {"sans": [RESEARCH]},
            RESEARCH,
            certificate(),
        ),
    ),
)
