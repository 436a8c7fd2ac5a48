"""`explain` of calls, demands, limits and observed policies, and of what was missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deputize.cli.main import app
from deputize.core.reasons import Reason
from tests.harness.approvals import APPROVALS_URL, ApprovalDesk
from tests.harness.config_files import SERVICE, changed, write_world
from tests.harness.court_policies import RULES
from tests.harness.issuer import Issuer
from tests.harness.world import AGENT, ISSUER_URL, NOW

APPROVALS = (
    f"  approvals: {{services: [{{issuer: '{APPROVALS_URL}', keys: {{file: desk.json}}}}]}}\n"
)
WITH_APPROVALS = changed(SERVICE, "  audit:\n", f"{APPROVALS}  audit:\n")
REFUND = "https://orders.example/v1/orders/7/refund"
TOOLS = "https://tools.example/mcp"


class Shop:
    """A configuration with many rules, and a token for it."""

    def __init__(self, folder: Path, service: str = WITH_APPROVALS, policy: str = RULES) -> None:
        self.issuer = Issuer(ISSUER_URL)
        self.desk = ApprovalDesk()
        self.folder = folder
        self.config_file = write_world(folder, service=service, policy=policy, issuer=self.issuer)
        (folder / "desk.json").write_bytes(self.desk.issuer.jwks())

    def explain(
        self,
        url: str,
        *flags: str,
        scope: str = "",
        claims: Mapping[str, object] = {},
        body: str | None = None,
        as_json: bool = True,
    ) -> Result:
        token = self.folder / "token.txt"
        token.write_text(self.issuer.issue(now=NOW, scope=scope, claims=claims))
        words = ["explain", "-c", str(self.config_file), "--peer", AGENT, "--url", url]
        words += ["--at", str(NOW), "--token", str(token), *flags]
        if body is not None:
            words += ["--body", "-"]
        return CliRunner().invoke(app, words + ["--json"] * as_json, input=body)

    def ask(self, url: str, *flags: str, **further: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
        answer: dict[str, Any] = json.loads(self.explain(url, *flags, **further).stdout)
        return answer


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def unmet(answer: dict[str, Any]) -> list[str]:
    return [each["part"] for each in answer["nearest"]["unmet"]]


def tool_call(name: str, **arguments: object) -> str:
    params = {"name": name, "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})


def test_a_call_of_a_protocol_is_read_from_the_body(shop: Shop) -> None:
    answer = shop.ask(TOOLS, "--method", "POST", scope="tools", body=tool_call("search"))
    assert (answer["reason"], answer["nearest"]) == (Reason.POLICY_ALLOWED, None)
    assert answer["calls"] == [{"protocol": "mcp", "method": "tools/call", "name": "search"}]
    told = shop.explain(TOOLS, "--method", "POST", body=tool_call("search"), as_json=False)
    assert "mcp tools/call search" in told.stdout
    assert "nearest rule shop/search: needs scope tools" in told.stdout


def test_the_body_may_be_a_file_and_its_length_is_the_callers(shop: Shop) -> None:
    file = shop.folder / "body.json"
    file.write_text(tool_call("search"))
    flags = ["--method", "POST", "--body", str(file)]
    assert shop.ask(TOOLS, *flags, scope="tools")["effect"] == "allow"
    cut = [*flags, "--header", "content-length: 1000"]
    assert shop.ask(TOOLS, *cut, scope="tools")["reason"] == Reason.REQUEST_BODY_TRUNCATED


def test_what_must_be_done_is_told(shop: Shop) -> None:
    asking = changed(
        WITH_APPROVALS,
        "  policies:",
        "      introspection: {url: 'https://issuer.example/i', clientId: x, clientSecretFile: s}\n"
        "  policies:",
    )
    policy = changed(
        RULES, "      upgrades: [websocket]", "      obligations: {useTokenOnce: true}"
    )
    policy = policy.replace('when: [{time: {days: [mon], begins: "09:00", ends: "17:00"}}]', "")
    told = Shop(shop.folder, asking, policy).explain("https://office.example/", as_json=False)
    assert f"provided that: ask {ISSUER_URL}" in told.stdout
    assert "provided that: the token must not have been used before" in told.stdout


def test_a_body_that_cannot_be_read_refuses_after_the_mandate(shop: Shop) -> None:
    answer = shop.ask(TOOLS, "--method", "POST", scope="tools", body="{")
    assert (answer["reason"], answer["nearest"]) == (Reason.REQUEST_BODY_UNREADABLE, None)
    states = [entry["state"] for entry in answer["questions"]]
    assert states == ["refused", "proved", "proved", "proved", "not reached"]


def test_of_several_calls_the_one_that_is_missing_is_named(shop: Shop) -> None:
    calls = [json.loads(tool_call(name)) | {"id": name} for name in ("search", "drop")]
    policy = changed(RULES, 'names: [search, "file:///data/*", "*"]', "names: [search]")
    shop = Shop(shop.folder, policy=policy)
    answer = shop.ask(TOOLS, "--method", "POST", scope="tools", body=json.dumps(calls))
    assert answer["reason"] == Reason.POLICY_NO_MATCH
    assert answer["nearest"]["call"] == "mcp tools/call drop"
    assert unmet(answer) == ["call"]


def test_what_a_token_holds_cannot_steer_a_terminal(shop: Shop) -> None:
    claims = {"groups": ["\x1b[2J\u009b31m"]}
    told = shop.explain("https://orders.example/v1/orders/7", claims=claims, as_json=False)
    assert "claim groups is [\\x1b[2J\\x9b31m]" in told.stdout
    assert {"\x1b", "\u009b"}.isdisjoint(told.stdout)


def test_a_forbid_is_named_and_nothing_is_nearest(shop: Shop) -> None:
    answer = shop.ask("https://orders.example/v1/orders/secret")
    assert (answer["rule"], answer["nearest"]) == ("shop/no-secrets", None)


def test_what_other_questions_refuse_has_no_nearest_rule(shop: Shop) -> None:
    answer = shop.ask("https://orders.example/v1/orders/7", claims={"exp": NOW - 100})
    assert answer["nearest"] is None


def test_an_approval_is_told_and_then_accepted(shop: Shop) -> None:
    asked: dict[str, Any] = {"scope": "orders:write", "claims": {"acr": "gold"}, "body": "{}"}
    answer = shop.ask(REFUND, "--method", "POST", **asked)
    assert answer["reason"] == Reason.POLICY_APPROVAL_REQUIRED
    assert unmet(answer) == ["approval"]
    told = shop.explain(REFUND, "--method", "POST", as_json=False, **asked)
    assert f"needs an approval of this call by one of [{APPROVALS_URL}]" in told.stdout
    assert '"arguments_sha256"' in told.stdout
    approval = shop.desk.approve(answer["approval"], now=NOW)
    header = ["--header", f"x-approval: {approval}"]
    answer = shop.ask(REFUND, "--method", "POST", *header, **asked)
    assert answer["reason"] == Reason.POLICY_ALLOWED
    assert len(answer["obligations"]) == 2
    assert any("budget of shop/refund" in text for text in answer["obligations"])


def test_all_that_is_missing_is_told(shop: Shop) -> None:
    answer = shop.ask(REFUND, "--method", "POST", scope="orders.write", body="{}")
    assert unmet(answer) == ["scopes", "step-up", "approval"]
    hints = [each["hint"] for each in answer["nearest"]["unmet"]]
    assert "orders.write" in hints[0]


def test_limits_are_told(shop: Shop) -> None:
    policy = changed(RULES, "[orders:read, orders:write, tools]", "[orders:read]")
    shop = Shop(shop.folder, policy=policy)
    answer = shop.ask(TOOLS, "--method", "POST", scope="tools", body=tool_call("search"))
    assert answer["reason"] == Reason.POLICY_SCOPE_NOT_DELEGABLE
    assert answer["withheld_scopes"] == ["tools"]
    assert unmet(answer) == ["limits"]
    told = shop.explain(
        TOOLS, "--method", "POST", scope="tools", body=tool_call("x"), as_json=False
    )
    assert "limits withhold tools" in told.stdout


def test_what_is_only_observed_is_told(shop: Shop) -> None:
    service = changed(WITH_APPROVALS, "  policies:", "  policyMode: observe\n  policies:")
    shop = Shop(shop.folder, service=service)
    answer = shop.ask("https://elsewhere.example/")
    assert (answer["effect"], answer["rule"]) == ("allow", None)
    assert answer["observed"]["reason"] == Reason.POLICY_NO_MATCH
    assert "host" in unmet(answer)
    told = shop.explain("https://elsewhere.example/", as_json=False)
    assert "observed only: policy.no_match" in told.stdout
    assert "no rule grants it" in told.stdout
    forbidden = shop.explain("https://orders.example/v1/orders/secret", as_json=False)
    assert "(rule shop/no-secrets)" in forbidden.stdout
    assert "enforced, it is refused: policy.forbidden by rule shop/no-secrets" in forbidden.stdout
    assert "grants scopes" not in forbidden.stdout


def test_an_upgrade_is_told(shop: Shop) -> None:
    flags = ["--header", "upgrade: h2c"]
    told = shop.explain("https://office.example/", *flags, as_json=False)
    assert "upgrade to h2c" in told.stdout
