"""Calls that must be allowed by one rule each, of every form a rule can have."""

from __future__ import annotations

from collections.abc import Iterable

from deputize.core.reasons import Reason
from scripts.vectors.cast import COURIER, DOMAIN, IDP, OPERATOR, PARTNER, PLANNER, issue
from scripts.vectors.rows import Request, Row, check, group
from tests.harness.vector_files import Vector

_REPORTER = f"{DOMAIN}/ns/finance/sa/reporter"
_BATCH = f"{DOMAIN}/ns/batch/sa/nightly"


def _allow(rule: str, source: str, *rows: Row) -> Iterable[Vector]:
    return group(Reason.POLICY_ALLOWED, source, *rows, rule=rule)


def _approve(groups: object) -> Request:
    token = issue(IDP, PLANNER, scope="orders:approve", groups=groups)
    return check(token, peer=PLANNER, method="POST", path="/v1/orders/7/approve")


def _report(path: str) -> Request:
    return check(peer=_REPORTER, host="eu.reports.example", path=path)


def _operated(name: str, title: str, path: str, method: str = "GET") -> Row:
    return name, title, check(peer=OPERATOR, path=path, method=method)


def _place(subject: str) -> Row:
    token = issue(IDP, PLANNER, sub=subject, scope="orders:read orders:write")
    request = check(token, peer=PLANNER, method="POST", path="/v1/orders")
    return f"subject-{subject}", "one of several users a rule names", request


VECTORS = (
    *_allow(
        "operations/operate",
        "own; literals that only look like something else",
        _operated("path-upper-case", "a forbid is case-sensitive like everything", "/Admin"),
        _operated("path-comma-parameter", "a comma separates nothing", "/admin,a=b/users"),
        _operated("path-at", "an at sign", "/@admin"),
        _operated("path-longer", "what is forbidden, and more", "/administrator"),
        _operated("path-grpc", "a gRPC method", "/shop.v1.Orders/Get", "POST"),
        _operated("path-verb", "a verb behind a colon", "/v1/tasks/7:cancel", "POST"),
        ("host-ipv6", "an IPv6 address", check(peer=OPERATOR, host="[2001:db8::7]:8443")),
    ),
    *_allow(
        "orders/place-orders",
        "own; subjects and scopes",
        _place("alice"),
        _place("bob"),
    ),
    *_allow(
        "orders/approve-orders",
        "own; claims of the principal",
        ("claim-in-list", "one group of several", _approve(["buyers", "managers"])),
        ("claim-as-text", "one group as text", _approve("approvers")),
    ),
    *_allow(
        "orders/inspect-orders",
        "own; claims of the principal",
        (
            "claim-number-and-boolean",
            "claims that are a number and a boolean",
            check(issue(sub="carol", clearance=3, employee=True), path="/v1/orders/7/history"),
        ),
    ),
    *_allow(
        "reports/team-reports",
        "own; wildcards",
        (
            "wildcard-segment",
            "an agent by a wildcard segment, below a tail",
            _report("/reports/a/b"),
        ),
        ("tail-itself", "a tail without anything behind", _report("/reports")),
    ),
    *_allow(
        "reports/batch-reports",
        "own; wildcards",
        (
            "wildcard-tail",
            "an agent by a tail, and HEAD where it is named",
            check(peer=_BATCH, host="reports.example", method="HEAD", path="/reports/2027/01"),
        ),
    ),
    *_allow(
        "operations/deliver",
        "SPIFFE_Trust_Domain_and_Bundle; RFC 7519 section 4.1.1",
        (
            "other-domain-and-issuer",
            "an agent of another trust domain, a user of another issuer",
            check(
                issue(PARTNER, COURIER, scope="deliveries:write"),
                peer=COURIER,
                method="PUT",
                path="/v1/deliveries/7",
            ),
        ),
    ),
)
