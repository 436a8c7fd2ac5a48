"""Calls that must be allowed: what is refused beside them is refused for its own reason only."""

from __future__ import annotations

from collections.abc import Iterable

from deputize.core.reasons import Reason
from scripts.vectors import allow_rules
from scripts.vectors.cast import (
    COURIER,
    DOMAIN,
    IDP,
    IDP_ED25519,
    IDP_ES384,
    IDP_URL,
    NOW,
    OPERATOR,
    PARTNER,
    PARTNER_PS256,
    PARTNER_URL,
    PLANNER,
    RESEARCH,
    issue,
)
from scripts.vectors.certificates import certificate
from scripts.vectors.rows import Request, Row, check, group, with_raw_headers
from tests.harness.vector_files import Vector

_SAME_NAMES = {"sub": "shop", "iss": PARTNER_URL, "act": {"sub": "shop", "iss": IDP_URL}}


def _read(source: str, *rows: Row, now: int = NOW) -> Iterable[Vector]:
    return group(Reason.POLICY_ALLOWED, source, *rows, rule="orders/read-orders", now=now)


def _token(name: str, title: str, token: str) -> Row:
    return name, title, check(token)


def _host(name: str, title: str, host: str) -> Row:
    return f"host-{name}", title, check(host=host)


def _full_message() -> Request:
    """Also what is not read: destination, context, body, and the time."""
    request = check(certificate=certificate())
    attributes = request["attributes"]
    attributes["destination"] = {"address": {"socketAddress": {"address": "10.0.0.7"}}}
    attributes["source"]["address"] = {"socketAddress": {"address": "10.0.0.8"}}
    attributes["contextExtensions"] = {"effect": "allow"}
    attributes["metadataContext"] = {"filterMetadata": {"deputize": {"effect": "allow"}}}
    attributes["request"]["time"] = "2027-01-15T08:00:00Z"
    attributes["request"]["http"].update({"id": "1", "protocol": "HTTP/2", "size": "-1"})
    return request


VECTORS = (
    *_read(
        "RFC 7518 section 3.1; RFC 8037 section 3.1; RFC 9864",
        _token("alg-es256", "ES256", issue()),
        _token("alg-es384", "ES384", issue(IDP_ES384)),
        _token("alg-ed25519", "Ed25519", issue(IDP_ED25519)),
        _token(
            "alg-eddsa", "Ed25519 by its older name", issue(IDP_ED25519, header={"alg": "EdDSA"})
        ),
        _token("alg-rs256", "RS256, and the other issuer", issue(PARTNER)),
        _token("alg-ps256", "PS256, and the other issuer", issue(PARTNER_PS256)),
    ),
    *_read(
        "RFC 7515 section 4.1.9; RFC 9068 section 4",
        _token("type-upper-case", "a type in upper case", issue(header={"typ": "AT+JWT"})),
        _token("type-with-prefix", "a type in full", issue(header={"typ": "application/at+jwt"})),
    ),
    *_read(
        "RFC 6750 section 2.1; RFC 9110 section 11.1",
        (
            "scheme-lower-case",
            "the scheme in lower case",
            check(headers={"authorization": f"bearer {issue()}"}),
        ),
    ),
    *_read(
        "RFC 7519 section 4.1.3",
        _token("aud-list", "one audience of several", issue(aud=["invoices", "orders"])),
        _token(
            "aud-spiffe-id",
            "our SPIFFE ID as audience",
            issue(aud="spiffe://prod.example.org/ns/shop/sa/orders"),
        ),
    ),
    *_read(
        "RFC 7519 sections 4.1.4 to 4.1.6",
        _token("nbf-within-skew", "nbf at the end of the tolerated skew", issue(nbf=NOW + 10)),
        _token("iat-within-skew", "iat at the end of the tolerated skew", issue(iat=NOW + 10)),
        _token("lifetime-longest", "the longest life", issue(exp=NOW + 3600)),
    ),
    *_read(
        "RFC 7519 section 4.1.4",
        ("exp-within-skew", "the last tolerated second", check()),
        now=NOW + 309,
    ),
    *_read(
        "RFC 8693 section 4.1",
        _token("chain-two-hops", "two hops", issue(IDP, RESEARCH, PLANNER)),
        _token(
            "chain-four-hops",
            "as many hops as allowed",
            issue(IDP, RESEARCH, PLANNER, OPERATOR, COURIER),
        ),
        _token(
            "chain-starts-with-client",
            "an earlier actor that is no SPIFFE ID",
            issue(IDP, RESEARCH, "web-shop"),
        ),
        _token(
            "chain-with-one-name-of-two-issuers",
            "two earlier actors that only have the same name",
            issue(act={"sub": RESEARCH, "act": _SAME_NAMES}),
        ),
        _token(
            "act-with-more-members",
            "members of act that are no identity are not read",
            issue(act={"sub": RESEARCH, "exp": 1, "aud": "invoices", "scope": "none"}),
        ),
        _token(
            "act-iss-is-issuer",
            "the issuer vouches for the actor's name",
            issue(act={"sub": RESEARCH, "iss": IDP_URL}),
        ),
        _token(
            "act-iss-is-domain",
            "the trust domain gave the actor's name",
            issue(act={"sub": RESEARCH, "iss": DOMAIN}),
        ),
    ),
    *_read(
        "own; one agent, many users",
        _token("user-alice", "the agent for one user", issue(sub="alice")),
        _token("user-bob", "the same agent for another user", issue(sub="bob")),
        _token("user-non-ascii", "a user outside ASCII", issue(sub="zo\u00eb")),
    ),
    *_read(
        "Envoy attribute_context.proto",
        (
            "certificate-fits",
            "a certificate for the very principal",
            check(certificate=certificate()),
        ),
        (
            "certificate-with-dns",
            "a DNS SAN beside the one URI SAN",
            check(certificate=certificate((RESEARCH,), ("research.example",))),
        ),
        ("headers-raw", "raw headers", with_raw_headers(check())),
        (
            "headers-raw-repeated",
            "a raw header twice that is no credential",
            with_raw_headers(check(), ("x-team", b"a"), ("x-team", b"b")),
        ),
        ("full-message", "a check with everything Envoy can send", _full_message()),
    ),
    *_read(
        "RFC 9110 sections 4.2.3 and 7.2; RFC 3986 section 6.2.2.1",
        _host("upper-case", "a host in another case", "Orders.EXAMPLE"),
        _host("with-port", "a host with a port", "orders.example:8443"),
    ),
    *_read(
        "RFC 3986 section 3.4",
        ("query-with-path", "a query is not read", check(path="/v1/orders/7?x=/../admin%2f#"[:-1])),
        ("query-two-marks", "two question marks: the first counts", check(path="/v1/orders/7?a?b")),
        ("collection", "a template without parameter", check(path="/v1/orders")),
    ),
    *_read(
        "RFC 3986 sections 2.1 and 2.2; RFC 3629",
        ("path-utf-8", "an encoded letter outside ASCII", check(path="/v1/orders/caf%C3%A9")),
        ("path-encoded-space", "an encoded space inside a segment", check(path="/v1/orders/a%20b")),
    ),
    *allow_rules.VECTORS,
)
