"""What rules ask for beside patterns: conditions, limits, logins, approvals, budgets, upgrades."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256

from deputize.core.reasons import Reason
from scripts.vectors.calls import SCOPES, WORLD, post, tool
from scripts.vectors.cast import APPROVALS, FORGER, IDP, IDP_URL, LATE, NOW, RESEARCH, issue
from scripts.vectors.rows import Request, Row, check, group
from tests.harness.approvals import ApprovalDesk
from tests.harness.issuer import Issuer
from tests.harness.vector_files import Vector

_NO_ARGUMENTS = urlsafe_b64encode(sha256(b'{"user":"bob"}').digest()).rstrip(b"=").decode()
_ACTION = {
    "method": "POST",
    "host": "tools.example",
    "path": "/mcp",
    "protocol": "mcp",
    "call": "tools/call",
    "name": "delete_user",
    "arguments_sha256": _NO_ARGUMENTS,
}


def _delete(
    *,
    issuer: Issuer = APPROVALS,
    lifetime: float = 60,
    action: Mapping[str, object] = {},
    claims: Mapping[str, object] = {},
) -> Request:
    asked = {
        "sub": "alice",
        "sub_iss": IDP_URL,
        "agent": RESEARCH,
        "action": {**_ACTION, **action},
    }
    approval = ApprovalDesk(issuer=issuer).approve(
        asked, now=NOW, lifetime=lifetime, claims={"jti": "approval-1", **claims}
    )
    return post(tool("delete_user", user="bob"), headers={"x-approval": approval})


def _get(host: str, path: str, headers: Mapping[str, str] = {}, **claims: object) -> Request:
    token = issue(IDP, RESEARCH, claims={"scope": SCOPES, **claims})
    return check(token, host=host, path=path, headers=headers)


def _report(**claims: object) -> Request:
    token = issue(IDP, RESEARCH, claims={"scope": SCOPES, **claims})
    return check(token, host="records.example", path="/reports")


def _group(
    reason: Reason,
    source: str,
    *rows: Row,
    rule: str | None = None,
    now: int = NOW,
    again: Reason | None = None,
) -> Iterable[Vector]:
    return group(
        reason, source, *rows, rule=rule, now=now, again=again, world=WORLD, importance="critical"
    )


_PAY = json.loads(json.dumps(tool("pay", amount=100, currency="EUR")))

VECTORS = (
    *_group(
        Reason.POLICY_ALLOWED,
        "own; conditions",
        ("when-argument", "an argument within its bound", post(_PAY)),
        rule="calls/small-payments",
    ),
    *_group(
        Reason.POLICY_CONDITION_FAILED,
        "own; conditions",
        (
            "when-argument-beyond",
            "an argument beyond its bound",
            post(tool("pay", amount=101, currency="EUR")),
        ),
        (
            "when-argument-other",
            "an argument that is not listed",
            post(tool("pay", amount=1, currency="XAU")),
        ),
        ("when-argument-absent", "an argument that is absent", post(tool("pay", amount=1))),
        rule="calls/small-payments",
    ),
    *_group(
        Reason.POLICY_EVALUATION_ERROR,
        "own; conditions",
        (
            "when-argument-text",
            "a text where a number is compared",
            post(tool("pay", amount="1", currency="EUR")),
        ),
        (
            "when-argument-list",
            "a list where one value is compared",
            post(tool("pay", amount=1, currency=["EUR"])),
        ),
        (
            "when-argument-spelling",
            "an argument in another spelling",
            post(tool("pay", Amount=1, currency="EUR")),
        ),
        rule="calls/small-payments",
    ),
    *_group(
        Reason.POLICY_ALLOWED,
        "own; conditions",
        (
            "when-own-record",
            "the record the token names",
            _get("records.example", "/customers/c-17", customer_id="c-17"),
        ),
        rule="calls/own-record",
    ),
    *_group(
        Reason.POLICY_CONDITION_FAILED,
        "own; conditions",
        (
            "when-other-record",
            "somebody else's record",
            _get("records.example", "/customers/c-18", customer_id="c-17"),
        ),
        ("when-no-record", "no record in the token", _get("records.example", "/customers/c-17")),
        rule="calls/own-record",
    ),
    *_group(
        Reason.POLICY_ALLOWED,
        "own; conditions",
        ("when-in-time", "within the hours", _report(department="sales")),
        rule="calls/working-hours",
    ),
    *_group(
        Reason.POLICY_CONDITION_FAILED,
        "own; conditions",
        ("when-other-department", "a claim that is not listed", _report(department="legal")),
        rule="calls/working-hours",
    ),
    *_group(
        Reason.POLICY_CONDITION_FAILED,
        "own; conditions",
        ("when-too-early", "a second before the hours", _report(department="sales")),
        rule="calls/working-hours",
        now=NOW - 1,
    ),
    *_group(
        Reason.POLICY_FORBIDDEN,
        "own; conditions",
        ("when-forbidden", "a forbid whose condition holds", _report(department="sales", risk=80)),
        rule="calls/no-bots",
    ),
    *_group(
        Reason.POLICY_EVALUATION_ERROR,
        "own; conditions",
        (
            "when-forbid-unclear",
            "a forbid that cannot be evaluated",
            _report(department="sales", risk="high"),
        ),
        rule="calls/no-bots",
    ),
    *_group(
        Reason.POLICY_SCOPE_NOT_DELEGABLE,
        "own; permission intersection",
        ("ceiling-of-agent", "a scope above the agent's ceiling", post(tool("reboot"))),
        rule="calls/admin-tools",
    ),
    *_group(
        Reason.POLICY_SCOPE_NOT_DELEGABLE,
        "own; permission intersection",
        ("scope-of-principal", "a scope the principal may not delegate", post(tool("send_mail"))),
        rule="calls/write-tools",
    ),
    *_group(
        Reason.POLICY_ALLOWED,
        "own; permission intersection",
        (
            "scope-of-group",
            "a scope the principal's group may delegate",
            post(tool("send_mail"), groups=["writers"]),
        ),
        rule="calls/write-tools",
    ),
    *_group(
        Reason.POLICY_INSUFFICIENT_SCOPE,
        "RFC 6750 section 3.1",
        (
            "scope-of-token",
            "a scope the token lacks",
            post(tool("send_mail"), scope="tools:read", groups=["writers"]),
        ),
        rule="calls/write-tools",
    ),
    *_group(
        Reason.POLICY_STEP_UP_REQUIRED,
        "RFC 9470 section 3",
        ("login-absent", "no word of the login", post(tool("export"))),
        ("login-weak", "a weaker login", post(tool("export"), acr="pwd", auth_time=NOW - 10)),
        ("login-old", "an older login", post(tool("export"), acr="phr", auth_time=NOW - 301)),
        (
            "login-unreadable",
            "a time that is none",
            post(tool("export"), acr="phr", auth_time="now"),
        ),
        rule="calls/export",
    ),
    *_group(
        Reason.POLICY_ALLOWED,
        "RFC 9470 section 6",
        (
            "login-fits",
            "a login that is strong and recent",
            post(tool("export"), acr="phr", auth_time=NOW - 300),
        ),
        rule="calls/export",
    ),
    *_group(
        Reason.POLICY_APPROVAL_REQUIRED,
        "own; approvals",
        ("approval-absent", "no approval", post(tool("delete_user", user="bob"))),
        rule="calls/delete",
    ),
    *_group(
        Reason.POLICY_ALLOWED,
        "own; approvals",
        ("approval-fits", "an approval of this call", _delete()),
        rule="calls/delete",
        again=Reason.POLICY_APPROVAL_INVALID,
    ),
    *_group(
        Reason.POLICY_APPROVAL_INVALID,
        "own; approvals",
        ("approval-other-tool", "an approval of another tool", _delete(action={"name": "x"})),
        (
            "approval-other-arguments",
            "an approval of other arguments",
            _delete(action={"arguments_sha256": "x"}),
        ),
        ("approval-other-host", "an approval for another host", _delete(action={"host": "x"})),
        ("approval-other-user", "an approval for another user", _delete(claims={"sub": "bob"})),
        ("approval-other-agent", "an approval for another agent", _delete(claims={"agent": "x"})),
        ("approval-by-principal", "an approval by the user", _delete(claims={"approver": "alice"})),
        ("approval-by-agent", "an approval by the agent", _delete(claims={"approver": RESEARCH})),
        ("approval-long", "an approval that lives too long", _delete(lifetime=301)),
        (
            "approval-over",
            "an approval that is over",
            _delete(claims={"iat": NOW - 100, "exp": NOW - 11}),
        ),
        (
            "approval-forged",
            "an approval signed with another key",
            _delete(issuer=FORGER, claims={"iss": "https://approvals.example.org"}),
        ),
        ("approval-by-idp", "an approval by the issuer of tokens", _delete(issuer=IDP)),
        (
            "approval-is-token",
            "a token for an approval",
            post(tool("delete_user", user="bob"), headers={"x-approval": issue()}),
        ),
        rule="calls/delete",
    ),
    *_group(
        Reason.SYSTEM_KEYS_UNAVAILABLE,
        "own; approvals",
        ("approval-keys-absent", "a service whose keys never came", _delete(issuer=LATE)),
        rule="calls/delete",
    ),
    *_group(
        Reason.POLICY_ALLOWED,
        "own; budgets",
        ("budget-once", "a call within its budget", post(tool("newsletter"))),
        rule="calls/once-a-day",
        again=Reason.POLICY_BUDGET_EXHAUSTED,
    ),
    *_group(
        Reason.POLICY_ALLOWED,
        "RFC 9110 section 7.8; RFC 6455 section 4.1",
        (
            "upgrade-listed",
            "a protocol the rule lists",
            _get("chat.example", "/ws", {"upgrade": "websocket", "connection": "Upgrade"}),
        ),
        rule="calls/chat",
    ),
    *_group(
        Reason.POLICY_NO_MATCH,
        "RFC 9110 section 7.8; RFC 6455 section 4.1; RFC 8441 section 4",
        (
            "upgrade-not-listed",
            "an upgrade where no rule lists one",
            _get("chat.example", "/page", {"upgrade": "websocket", "connection": "Upgrade"}),
        ),
        (
            "upgrade-other",
            "another protocol than the listed",
            _get("chat.example", "/ws", {"upgrade": "h2c", "connection": "Upgrade"}),
        ),
        (
            "upgrade-two",
            "two protocols",
            _get("chat.example", "/ws", {"upgrade": "websocket, h2c", "connection": "Upgrade"}),
        ),
        (
            "upgrade-extended-connect",
            "an upgrade as HTTP/2 has it",
            _get("chat.example", "/page", {":protocol": "websocket"}),
        ),
    ),
)
