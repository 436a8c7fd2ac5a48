"""Tokens and agents that are revoked, by deny list and status list, and those used twice."""

from __future__ import annotations

from deputize.core.reasons import Reason
from scripts.vectors.cast import (
    CLOSED,
    IDP,
    NOW,
    ONCE,
    PARTNER,
    PLANNER,
    RESEARCH,
    RUNAWAY,
    SCRAPER,
    UNREACHABLE,
    issue,
)
from scripts.vectors.rows import Request, Row, check, group
from scripts.vectors.status import BEYOND, INVALID, LIST_URI, SUSPENDED, VALID, status

_CUTOFF = NOW - 60
"""Of one principal and of the planner; that of the issuer is half an hour before now."""
_STOLEN = "token-stolen"


def _token(name: str, title: str, token: str) -> Row:
    return name, title, check(token)


def _planned(name: str, title: str, **claims: object) -> Row:
    return name, title, check(issue(IDP, PLANNER, claims=claims), peer=PLANNER)


def _status(name: str, title: str, claim: object) -> Row:
    return f"status-{name}", title, check(issue(status=claim))


def _pay(**claims: object) -> Request:
    token = issue(IDP, PLANNER, claims={"scope": "orders:pay", **claims})
    return check(token, peer=PLANNER, method="POST", path="/v1/orders/7/pay")


VECTORS = (
    *group(
        Reason.TOKEN_REVOKED,
        "RFC 7009; own; deny lists",
        _token("revoked-token", "a token in a deny list", issue(jti=_STOLEN)),
        _token("revoked-principal", "a principal in a deny list", issue(sub="trudy")),
        _token("revoked-issuer", "an issuer in a deny list", issue(CLOSED)),
        importance="critical",
    ),
    *group(
        Reason.TOKEN_REVOKED,
        "RFC 9700 section 4.14; own; cut-offs of deny lists",
        _token(
            "issued-before-issuer-cutoff",
            "issued before all of its issuer were revoked",
            issue(iat=NOW - 1801),
        ),
        _token(
            "issued-before-principal-cutoff",
            "issued before all for its principal were revoked",
            issue(sub="victor", iat=_CUTOFF - 1),
        ),
        _planned(
            "issued-before-agent-cutoff",
            "issued before all for its agent were revoked",
            iat=_CUTOFF - 1,
        ),
        importance="critical",
    ),
    *group(
        Reason.POLICY_ALLOWED,
        "own; a deny list revokes nothing beside what it names",
        _token("cutoff-of-issuer-reached", "issued at the very cut-off", issue(iat=NOW - 1800)),
        _planned("cutoff-of-agent-reached", "issued at the very cut-off", iat=_CUTOFF),
        _token(
            "revoked-id-of-other-issuer",
            "the identifier of a revoked token, from another issuer",
            issue(PARTNER, jti=_STOLEN),
        ),
        _token(
            "revoked-principal-of-other-issuer",
            "the name of a revoked principal, from another issuer",
            issue(PARTNER, sub="trudy"),
        ),
        rule="orders/read-orders",
    ),
    *group(
        Reason.PEER_SUSPENDED,
        "own; kill switch",
        ("agent-stopped", "an agent an operator has stopped", check(peer=RUNAWAY)),
        (
            "agent-stopped-without-token",
            "a stopped agent learns nothing about tokens",
            check(peer=RUNAWAY, omit=("authorization",)),
        ),
        importance="critical",
    ),
    *group(
        Reason.DELEGATION_MEMBER_REFUSED,
        "own; kill switch",
        _token("chain-stopped", "a stopped agent acted earlier", issue(IDP, RESEARCH, RUNAWAY)),
        importance="critical",
    ),
    *group(
        Reason.DELEGATION_MEMBER_REFUSED,
        "own; `delegation.forbiddenActors`",
        _token("chain-forbidden", "a forbidden agent acted earlier", issue(IDP, RESEARCH, SCRAPER)),
        _token(
            "chain-forbidden-first",
            "a forbidden client acted first",
            issue(IDP, RESEARCH, PLANNER, "legacy-portal"),
        ),
        ("chain-forbidden-peer", "a forbidden agent acts now", check(peer=SCRAPER)),
    ),
    *group(
        Reason.TOKEN_REVOKED,
        "draft-ietf-oauth-status-list sections 7.1 and 8.3",
        _status("invalid", "a status list says 1: invalid", status(INVALID)),
        _status("suspended", "a status list says 2: suspended", status(SUSPENDED)),
        _status("beyond-list", "a place the status list does not have", status(BEYOND)),
        importance="critical",
    ),
    *group(
        Reason.POLICY_ALLOWED,
        "draft-ietf-oauth-status-list section 7.1",
        _status("valid", "a status list says 0: valid", status(VALID)),
        rule="orders/read-orders",
    ),
    *group(
        Reason.TOKEN_MALFORMED,
        "draft-ietf-oauth-status-list section 6.1",
        _status("of-other-kind", "a status of a kind nobody knows", {"crl": {"idx": VALID}}),
        _status("null", "a status that is null", None),
        _status("index-text", "a place that is no number", status("0")),
        _status("index-negative", "a place before the first", status(-1)),
    ),
    *group(
        Reason.SYSTEM_STATUS_UNAVAILABLE,
        "draft-ietf-oauth-status-list section 8.3: what cannot be known refuses",
        _status("list-unknown", "a status list we do not have", status(VALID, f"{LIST_URI}0")),
        _status("list-elsewhere", "a list of the caller", status(VALID, "https://evil.example/")),
        _token(
            "status-not-configured",
            "a status list of an issuer that has none here",
            issue(PARTNER, status=status(VALID)),
        ),
        importance="critical",
    ),
    *group(
        Reason.SYSTEM_KEYS_UNAVAILABLE,
        "own; an issuer whose keys never came",
        _token("keys-unavailable", "nothing to verify the token with", issue(UNREACHABLE)),
    ),
    *group(
        Reason.POLICY_ALLOWED,
        "RFC 7519 section 4.1.7; own; `useOnce` of an issuer",
        _token("once-of-issuer", "a token that is good for one call", issue(ONCE, jti="once-1")),
        rule="orders/read-orders",
        again=Reason.TOKEN_REPLAYED,
        importance="critical",
    ),
    *group(
        Reason.POLICY_ALLOWED,
        "RFC 7519 section 4.1.7; own; `obligations.useTokenOnce` of a rule",
        ("once-of-rule", "a call that uses its token up", _pay(jti="once-2")),
        rule="orders/pay-orders",
        again=Reason.TOKEN_REPLAYED,
        importance="critical",
    ),
    *group(
        Reason.POLICY_INSUFFICIENT_SCOPE,
        "own; only a call that is allowed uses a token up",
        ("once-without-scope", "refused both times for the same reason", _pay(scope="none")),
        rule="orders/pay-orders",
    ),
)
