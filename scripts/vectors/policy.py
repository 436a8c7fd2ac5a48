"""Mandates that are good, for calls that no rule grants."""

from __future__ import annotations

from deputize.core.reasons import Reason
from scripts.vectors.cast import DOMAIN, IDP, OPERATOR, PARTNER, PLANNER, RESEARCH, issue
from scripts.vectors.rows import Request, Row, check, group

_REPORTER = f"{DOMAIN}/ns/finance/sa/reporter"
_BATCH = f"{DOMAIN}/ns/batch/sa/nightly"
_APPROVE = "/v1/orders/7/approve"
_APPROVER = {"scope": "orders:approve", "groups": ["approvers"]}


def _place(**claims: object) -> Request:
    token = issue(IDP, PLANNER, claims={"scope": "orders:read orders:write", **claims})
    return check(token, peer=PLANNER, method="POST", path="/v1/orders")


def _approve(*actors: str, **claims: object) -> Request:
    token = issue(IDP, *(actors or (PLANNER,)), claims={**_APPROVER, **claims})
    return check(token, peer=PLANNER, method="POST", path=_APPROVE)


def _history(**claims: object) -> Request:
    token = issue(claims={"sub": "carol", "clearance": 3, "employee": True, **claims})
    return check(token, path="/v1/orders/7/history")


def _forbidden(name: str, title: str, path: str, method: str = "GET") -> Row:
    return f"forbid-{name}", title, check(peer=OPERATOR, path=path, method=method)


def _report(name: str, title: str, host: str = "eu.reports.example", agent: str = _REPORTER) -> Row:
    return name, title, check(peer=agent, host=host, path="/reports/2027")


VECTORS = (
    *group(
        Reason.POLICY_NO_MATCH,
        "own; default deny",
        ("no-rule-path", "a path no rule names", check(path="/v1/invoices/7")),
        ("no-rule-host", "a host no rule names", check(host="invoices.example")),
        ("no-rule-method", "a method no rule names", check(method="DELETE")),
        ("no-rule-agent", "an agent no rule names", check(peer=f"{DOMAIN}/ns/agents/sa/sales")),
        ("no-rule-subject", "a user the rule does not name", _place(sub="mallory")),
        ("subject-upper-case", "a user's name in another case", _place(sub="Alice")),
        importance="critical",
    ),
    *group(
        Reason.POLICY_NO_MATCH,
        "RFC 7519 section 4.1.2: sub is unique below its issuer only",
        (
            "subject-of-other-issuer",
            "the user's name, given by the other issuer",
            check(
                issue(PARTNER, PLANNER, scope="orders:read orders:write"),
                peer=PLANNER,
                method="POST",
                path="/v1/orders",
            ),
        ),
        importance="critical",
    ),
    *group(
        Reason.POLICY_NO_MATCH,
        "RFC 9110 sections 9.1 and 9.3.2",
        ("head-is-not-get", "HEAD where only GET is allowed", check(method="HEAD")),
    ),
    *group(
        Reason.POLICY_NO_MATCH,
        "own; path templates",
        ("template-deeper", "a segment more", check(path="/v1/orders/7/extra")),
        ("template-empty", "a parameter that is empty", check(path="/v1/orders/")),
        ("literal-longer", "a literal and more", check(path="/v1/ordersX")),
        ("literal-upper-case", "a literal in another case", check(path="/V1/orders/7")),
        ("path-in-query", "an allowed path in the query only", check(path="/v2?x=/v1/orders/7")),
    ),
    *group(
        Reason.POLICY_NO_MATCH,
        "own; headers that only claim another URL",
        (
            "path-in-header",
            "an allowed path in headers only",
            check(
                path="/v2/orders",
                headers={
                    "x-forwarded-uri": "/v1/orders/7",
                    "x-forwarded-host": "orders.example",
                    "x-envoy-original-path": "/v1/orders/7",
                },
            ),
        ),
        importance="critical",
    ),
    *group(
        Reason.POLICY_NO_MATCH,
        "own; wildcards stand for one label or whole segments",
        _report("host-two-labels", "two labels where the wildcard is one", "a.eu.reports.example"),
        _report("host-no-label", "no label where the wildcard is one", "reports.example"),
        _report(
            "agent-two-segments",
            "two segments where the wildcard is one",
            agent=f"{DOMAIN}/ns/a/b/sa/reporter",
        ),
        _report("agent-longer", "an agent's name and more", agent=f"{_REPORTER}-2"),
        _report(
            "agent-of-other-domain",
            "an agent of the same name in the other trust domain",
            agent=_REPORTER.replace(DOMAIN, "spiffe://partner.example"),
        ),
        (
            "agent-above",
            "an agent above those the tail covers",
            check(peer=f"{DOMAIN}/ns/batch", host="reports.example", path="/reports/2027/01"),
        ),
    ),
    *group(
        Reason.POLICY_NO_MATCH,
        "own; claims of the principal",
        ("claim-absent", "no groups at all", _approve(groups=None)),
        ("claim-other", "other groups", _approve(groups=["buyers", "readers"])),
        ("claim-longer", "a group's name and more", _approve(groups=["approvers-2"])),
        ("claim-second-missing", "one of two claims", _history(employee=False)),
        ("claim-right-subject-wrong", "the claims of another user", _history(sub="alice")),
        importance="critical",
    ),
    *group(
        Reason.POLICY_NO_MATCH,
        "RFC 8693 section 4.1: only top-level claims grant",
        (
            "claim-of-actor",
            "the groups of an actor, not of the user",
            _approve(groups=None, act={"sub": PLANNER, "groups": ["approvers"]}),
        ),
        (
            "claim-of-earlier-actor",
            "the groups of an earlier actor",
            _approve(
                groups=None,
                act={"sub": PLANNER, "act": {"sub": OPERATOR, "groups": ["approvers"]}},
            ),
        ),
        importance="critical",
    ),
    *group(
        Reason.POLICY_FORBIDDEN,
        "own; a forbid wins",
        _forbidden("admin", "a forbid over an allow for everything", "/admin"),
        _forbidden("admin-slash", "a slash behind what is forbidden", "/admin/"),
        _forbidden("template", "a forbidden template", "/admin/users/7", "DELETE"),
        _forbidden("tail", "below a forbidden tail", "/internal/a/b/c"),
        _forbidden("tail-itself", "a forbidden tail itself", "/internal"),
        rule="guard/no-admin",
        importance="critical",
    ),
    *group(
        Reason.POLICY_FORBIDDEN,
        "own; a forbid wins",
        (
            "forbid-under-template",
            "a forbid that an allow's template covers",
            check(path="/v1/orders/export"),
        ),
        (
            "forbid-before-scope",
            "a forbid comes before a missing scope",
            check(issue(scope="none"), path="/v1/orders/export"),
        ),
        rule="guard/no-export",
        importance="critical",
    ),
    *group(
        Reason.POLICY_INSUFFICIENT_SCOPE,
        "RFC 6750 section 3.1; RFC 6749 section 3.3",
        ("scope-absent", "no scope", check(issue(omit=("scope",)))),
        ("scope-longer", "a scope's name and more", check(issue(scope="orders:readwrite"))),
        ("scope-upper-case", "a scope in another case", check(issue(scope="Orders:Read"))),
        (
            "scope-in-actor",
            "a scope inside act",
            check(issue(scope="none", act={"sub": RESEARCH, "scope": "orders:read"})),
        ),
        (
            "authorization-details",
            "details of an authorization nobody configured",
            check(issue(scope="none", authorization_details=[{"type": "orders:read"}])),
        ),
        (
            "scope-in-other-claim",
            "a scope in claims nobody configured",
            check(issue(scope="none", scp=["orders:read"], permissions=["orders:read"])),
        ),
        rule="orders/read-orders",
        importance="critical",
    ),
    *group(
        Reason.POLICY_INSUFFICIENT_SCOPE,
        "RFC 6750 section 3.1",
        ("scope-one-of-two", "one of two scopes", _place(scope="orders:write")),
        rule="orders/place-orders",
        importance="critical",
    ),
    *group(
        Reason.POLICY_CONDITION_FAILED,
        "own; `chain.maxDepth` of a rule",
        ("chain-too-deep-for-rule", "two hops where one is allowed", _approve(PLANNER, RESEARCH)),
        rule="orders/approve-orders",
    ),
)
