"""`policy replay`: what other policies would change, and what cannot be said."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deputize.core.audit_form import AuditEvent
from deputize.core.reasons import Reason
from tests.harness.config_files import SERVICE, changed, write_world
from tests.harness.recordings import Recorder, policy_text, run_policy, write_events
from tests.harness.world import AGENT, HOST, ISSUER_URL, NOW, OTHER_AGENT

MCP_RESOURCE = {"hosts": [HOST], "paths": ["/mcp"], "protocol": "mcp"}
TOOLS = {"name": "tools", "methods": ["POST", "GET"], "paths": ["/mcp"], "scopes": []}
ANYONE = {"issuer": ISSUER_URL, "anyone": True}


class Bench:
    """Events recorded under one policy file, replayed under another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.old, self.new = folder / "old.yaml", folder / "new.yaml"
        self.recorder = Recorder(self.old)
        self.use(self.old, {})

    def use(self, file: Path, *rules: Mapping[str, Any], **policy: Any) -> None:  # noqa: ANN401 - members of YAML
        file.write_text(policy_text(*rules, **policy))

    def replay(self, *options: str | Path, policy: Path | None = None) -> dict[str, Any]:
        audit = self.recorder.write(self.folder / "audit.jsonl")
        policy = policy or self.new
        result = run_policy("replay", audit, "--policy", policy, "--json", *options)
        assert result.stdout, result.output
        told: dict[str, Any] = json.loads(result.stdout)
        assert result.exit_code == (1 if told["changes"] else 0)
        return told

    def changes(self) -> list[str]:
        told = self.replay()
        assert told["undetermined"] == []
        return [change["change"] for change in told["changes"]]

    def unknown(self) -> list[str]:
        told = self.replay()
        assert told["changes"] == []
        return [text for group in told["undetermined"] for text in group["unknown"]]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


RICH_RULES: tuple[Mapping[str, Any], ...] = (
    {},
    {"name": "write", "methods": ["POST"], "scopes": ["orders:write"], "chain": {"maxDepth": 1}},
    {"name": "secret", "effect": "forbid", "paths": ["/v1/orders/secret"], "methods": ["*"]},
    {
        "name": "groups",
        "methods": ["PUT"],
        "onBehalfOf": [{"issuer": ISSUER_URL, "claims": {"groups": ["sales"]}}],
        "when": [
            {"claim": "region.name", "equals": "eu"},
            {"chain": "depth", "atMost": 2},
            {"chain": "origin", "startsWith": "spiffe://"},
            {"chain": "style", "equals": "delegated"},
            {"chain": "actors", "hasAny": [AGENT]},
            {"peer": "namespace", "equals": "agents"},
            {"peer": "assurance", "equals": "asserted-by-proxy"},
            {"principal": "kind", "equals": "unknown"},
            {"principal": "subject", "equalsClaim": "owner"},
            {"token": "binding", "equals": "none"},
            {"token": "remainingSeconds", "atLeast": 100},
            {"path": "id", "noneOf": ["9"]},
            {"cel": "chain[0] == agent && principal.claims.region.name == 'eu'"},
            {"cel": "principal.kind == 'unknown' && peer.assurance == 'asserted-by-proxy'"},
            {"cel": "now < timestamp('2027-01-15T08:30:00Z') && !has(principal.claims.nobody)"},
        ],
    },
    {
        "name": "office",
        "methods": ["PATCH"],
        "when": [{"time": {"begins": "08:00", "ends": "09:00", "zone": "UTC"}}],
    },
    {"name": "login", "methods": ["DELETE"], "stepUp": {"acrValues": ["h"], "maxAgeSeconds": 60}},
    {**TOOLS, "mcp": {"methods": ["tools/call"], "names": ["search", "get-*"]}},
    {"name": "budget", "methods": ["OPTIONS"], "budget": {"limit": 1, "windowSeconds": 60}},
)
CLAIMS = {
    "groups": ["sales", "x"],
    "region": {"name": "eu"},
    "owner": "alice",
    "nobody": None,
    "acr": "h",
    "auth_time": NOW - 30,
}


def record_everything(recorder: Recorder) -> None:
    """A call for each rule above, and one that just misses it."""
    recorder.claims = [*CLAIMS]
    said: dict[str, Any] = {"claims": CLAIMS, "scope": "orders:read orders:write"}
    for change in (
        {},
        {"chain": [OTHER_AGENT]},
        {"scope": ""},
        {"claims": {**CLAIMS, "groups": ["x"], "acr": "l"}},
        {"claims": {**CLAIMS, "owner": "bob", "auth_time": NOW - 90}},
        {"claims": {name: CLAIMS[name] for name in ("groups", "region")}},
        {"lifetime": 60},
    ):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            for path in ("/v1/orders/7", "/v1/orders/secret", "/v1/orders/9", "/v2"):
                recorder.ask(method=method, path=path, token={**said, **change})
        recorder.ask(method="PATCH", now=NOW + 3600, token={**said, **change})
    for tool in ("search", "get-order", "delete"):
        recorder.call(tool)
    recorder.ask(path="/mcp")


@pytest.mark.parametrize("mode", ["enforce", "observe", "global"])
def test_under_the_same_policies_nothing_changes(bench: Bench, mode: str) -> None:
    policy_mode = "observe" if mode == "observe" else "enforce"
    bench.use(bench.old, *RICH_RULES, resources=[MCP_RESOURCE], mode=policy_mode)
    bench.recorder.is_observed = mode == "global"
    record_everything(bench.recorder)
    effects = {(event["effect"], event["observed"] is None) for event in bench.recorder.events}
    assert len(effects) == (3 if mode == "observe" else 2)
    policy = bench.old
    if mode == "global":
        service = changed(SERVICE, "  audit:", "  policyMode: observe\n  audit:")
        policy = write_world(bench.folder / "service", service=service, policy=policy.read_text())
    told = bench.replay(policy=policy)
    assert (told["changes"], told["undetermined"]) == ([], [])
    assert told["totals"]["unchanged"] == len(bench.recorder.events)


@pytest.mark.parametrize(
    ("rules", "change"),
    [
        (({},), []),
        (({"name": "other"},), ["other rule"]),
        (({"methods": ["POST"]},), ["allow -> deny"]),
        (({}, {"name": "no", "effect": "forbid"}), ["allow -> deny"]),
        (({"scopes": ["orders:admin"]},), ["allow -> deny"]),
    ],
)
def test_an_allowed_call(bench: Bench, rules: Any, change: list[str]) -> None:  # noqa: ANN401 - members of YAML
    bench.recorder.ask()
    bench.use(bench.new, *rules)
    assert bench.changes() == change


@pytest.mark.parametrize(
    ("rules", "change"),
    [
        (({},), []),
        (({"methods": ["DELETE"]},), ["deny -> allow"]),
        (({"methods": ["DELETE"], "scopes": ["x"]},), ["other reason"]),
    ],
)
def test_a_refused_call(bench: Bench, rules: Any, change: list[str]) -> None:  # noqa: ANN401 - members of YAML
    bench.recorder.ask(method="DELETE")
    bench.use(bench.new, *rules)
    assert bench.changes() == change


def test_another_reason_or_rule_may_be_no_change(bench: Bench) -> None:
    bench.recorder.ask()
    bench.recorder.ask(method="DELETE")
    bench.use(bench.new, {"name": "other"}, {"methods": ["DELETE"], "scopes": ["x"]})
    assert sorted(bench.changes()) == ["other reason", "other rule"]
    assert bench.replay("--answers-only")["totals"]["unchanged"] == 2
    bench.use(bench.new, {"methods": ["DELETE"]})
    assert bench.replay("--answers-only")["totals"]["changed"] == 2


def test_what_observe_mode_let_pass_is_refused_once_enforced(bench: Bench) -> None:
    bench.recorder.is_observed = True
    bench.recorder.ask(method="DELETE")
    bench.recorder.ask()
    bench.use(bench.new, {})
    told = bench.replay()
    (change,) = told["changes"]
    assert change["change"] == "allow (observed) -> deny"
    assert change["before"] == {"state": "observe", "reason": "policy.no_match", "rule": None}
    assert (change["count"], change["example"]) == (1, f"{0:032x}")
    assert told["totals"]["unchanged"] == 1


@pytest.mark.parametrize(
    ("rule", "unknown"),
    [
        ({"when": [{"header": "x-tenant", "equals": "a"}]}, ["header x-tenant"]),
        ({"when": [{"token": "ageSeconds", "atMost": 5}]}, ["token ageSeconds"]),
        ({"when": [{"claim": "region", "equals": "eu"}]}, ["claim region"]),
        ({"when": [{"claim": "region", "exists": False}]}, ["claim region"]),
        ({"when": [{"principal": "subject", "equalsClaim": "owner"}]}, ["claim owner"]),
        ({"onBehalfOf": [{"issuer": ISSUER_URL, "claims": {"groups": ["x"]}}]}, ["claim groups"]),
        ({"when": [{"cel": "principal.claims.region == 'eu'"}]}, ["claim region"]),
        (
            {"when": [{"cel": "has(principal.claims.x) || request.headers['a'] == 'b'"}]},
            ["claim x", "cel has(principal.claims.x) || request.headers['a'] == 'b'"],
        ),
        ({"stepUp": {"acrValues": ["high"]}}, ["claim acr"]),
        ({"stepUp": {"maxAgeSeconds": 5}}, ["claim auth_time"]),
    ],
)
def test_what_hangs_on_something_unrecorded_is_undetermined(
    bench: Bench, rule: dict[str, Any], unknown: list[str]
) -> None:
    bench.recorder.ask()
    bench.use(bench.new, rule)
    assert bench.unknown() == unknown
    claims = [text.removeprefix("claim ") for text in unknown if text.startswith("claim ")]
    assert bench.replay()["record_claims"] == claims
    # A forbid hangs on the same.
    forbid = {**rule, "name": "no", "effect": "forbid"}
    forbid.pop("stepUp", None)
    if forbid.keys() & {"when", "onBehalfOf"}:
        bench.use(bench.new, {}, forbid)
        assert bench.unknown() == unknown


@pytest.mark.parametrize(
    "rule",
    [
        {"methods": ["PUT"], "when": [{"header": "x-tenant", "equals": "a"}]},
        {"scopes": ["x"], "when": [{"header": "x-tenant", "equals": "a"}]},
        {"hosts": ["other.example"], "stepUp": {"acrValues": ["high"]}},
        {
            "paths": ["/v2"],
            "onBehalfOf": [{"issuer": ISSUER_URL, "claims": {"groups": ["x"]}}],
        },
    ],
)
def test_what_does_not_hang_on_it_is_certain(bench: Bench, rule: dict[str, Any]) -> None:
    bench.recorder.ask()
    bench.use(bench.new, rule)
    assert bench.changes() == ["allow -> deny"]


def test_two_unmet_wishes_leave_the_reason_open_and_the_refusal_certain(bench: Bench) -> None:
    bench.use(bench.old, {"scopes": ["x"]})
    bench.recorder.ask()
    rule = {"scopes": ["x"], "when": [{"header": "x-tenant", "equals": "a"}]}
    bench.use(bench.new, rule)
    # Refused for the scope if the header is there, for the header if not: refused as before.
    assert bench.changes() == []


def test_a_claim_that_others_record_under_the_same_configuration_is_known_to_be_absent(
    bench: Bench,
) -> None:
    bench.recorder.claims = ["region"]
    bench.recorder.ask()
    bench.use(bench.new, {"when": [{"claim": "region", "exists": False}]})
    assert bench.unknown() == ["claim region"]
    bench.recorder.ask(token={"claims": {"region": "eu"}})
    assert bench.changes() == ["allow -> deny"]
    bench.recorder.events[0]["policy_digest"] = "another configuration"
    told = bench.replay()
    assert (told["totals"]["changed"], told["totals"]["undetermined"]) == (1, 1)


def test_limits_of_principals_may_hang_on_claims(bench: Bench) -> None:
    bench.recorder.ask()
    by_claim = {"issuer": ISSUER_URL, "claims": {"groups": ["x"]}}
    limit = {"onBehalfOf": [by_claim], "scopes": ["orders:read"]}
    bench.use(bench.new, {}, principal_scopes=[limit])
    assert bench.unknown() == ["claim groups"]
    bench.use(bench.new, {}, principal_scopes=[{**limit, "scopes": []}])
    assert bench.changes() == ["allow -> deny"]
    bench.use(bench.new, {}, principal_scopes=[{**limit, "onBehalfOf": [by_claim, ANYONE]}])
    assert bench.changes() == []


def approved(event: AuditEvent, approver: str) -> None:
    event["approvals"] = [
        {"service": "https://approve.example", "approver": approver, "id": "approval-1"}
    ]


@pytest.mark.parametrize(
    ("approver", "others", "is_settled"),
    [
        (None, False, False),
        ("bob", True, True),
        ("Alice", True, False),
        ("alice", False, True),
    ],
)
def test_an_approval_is_known_where_it_let_the_call_in(
    bench: Bench,
    approver: str | None,
    others: bool,  # noqa: FBT001
    is_settled: bool,  # noqa: FBT001
) -> None:
    event = bench.recorder.ask()
    if approver is not None:
        approved(event, approver)
    need = {"services": ["https://approve.example"], "approverNotPrincipal": others}
    bench.use(bench.new, {"approval": need})
    assert bench.unknown() == ([] if is_settled else ["an approval"])


def refuse(event: AuditEvent, reason: Reason) -> None:
    """As if an obligation had not been met."""
    event["effect"], event["reason"] = "deny", reason.value


def test_budgets_count_as_not_used_up_unless_one_was(bench: Bench) -> None:
    refuse(bench.recorder.ask(), Reason.POLICY_BUDGET_EXHAUSTED)
    bench.recorder.ask(path="/v1/orders/8")
    bench.use(bench.new, {"budget": {"limit": 5, "windowSeconds": 60}})
    told = bench.replay()
    assert told["totals"]["allowed_within_budgets"] == 1
    assert [group["unknown"] for group in told["undetermined"]] == [
        ["the uses of the budget of orders/read"]
    ]
    bench.use(bench.new, {})
    assert bench.changes() == ["deny -> allow"]


def test_calls_are_asked_again_one_by_one(bench: Bench) -> None:
    bench.use(bench.old, TOOLS, resources=[MCP_RESOURCE])
    for tool in ("search", "delete"):
        bench.recorder.call(tool)
    rule = {**TOOLS, "mcp": {"methods": ["tools/call"], "names": ["search"]}}
    bench.use(bench.new, rule, resources=[MCP_RESOURCE])
    told = bench.replay()
    assert [group["target"] for group in told["changes"]] == ["mcp tools/call delete"]
    two = bench.recorder.events[0]
    two["calls"] = [*two["calls"], *bench.recorder.events[1]["calls"]]
    assert bench.replay()["totals"]["changed"] == 2


def test_calls_that_were_not_recorded_leave_it_open(bench: Bench) -> None:
    bench.use(bench.old, TOOLS)
    bench.recorder.call("search")
    named = {**TOOLS, "mcp": {"methods": ["tools/call"], "names": ["search"]}}
    bench.use(bench.new, named, resources=[MCP_RESOURCE])
    assert bench.unknown() == ["the calls in the request"]
    bench.use(bench.new, {**named, "agents": [OTHER_AGENT]}, resources=[MCP_RESOURCE])
    assert bench.changes() == ["allow -> deny"]


def test_a_condition_on_an_argument_is_open(bench: Bench) -> None:
    bench.use(bench.old, TOOLS, resources=[MCP_RESOURCE])
    bench.recorder.call("search")
    mcp = {"methods": ["tools/call"]}
    rule = {**TOOLS, "mcp": mcp, "when": [{"argument": "amount", "atMost": 9}]}
    bench.use(bench.new, rule, resources=[MCP_RESOURCE])
    assert bench.unknown() == ["argument amount"]


def test_what_identity_and_token_refused_is_not_for_policies_to_say(bench: Bench) -> None:
    bench.recorder.ask(token={"omit": ["act"]})
    bench.recorder.ask(token={"agent": OTHER_AGENT})
    refuse(bench.recorder.ask(), Reason.TOKEN_REPLAYED)
    bench.use(bench.new, {"methods": ["DELETE"]})
    told = bench.replay()
    assert told["totals"] == {
        "unchanged": 0,
        "changed": 0,
        "undetermined": 0,
        "not_for_policies": {
            "delegation.absent": 1,
            "delegation.actor_mismatch": 1,
            "token.replayed": 1,
        },
        "allowed_within_budgets": 0,
    }


def test_a_text_that_was_cut_is_open(bench: Bench) -> None:
    event = bench.recorder.ask()
    event["http"]["path"] = "/v1/orders/" + "7" * 2037
    bench.use(bench.new, {"methods": ["DELETE"]})
    assert bench.unknown() == ["the end of a text that was cut"]


@pytest.mark.parametrize(
    ("style", "subject", "kind", "depth"),
    [
        ("autonomous", AGENT, "agent", 1),
        ("autonomous", "planner-client", "service", 2),
        ("impersonated", "alice", "user", 1),
        ("delegated", "earlier-actor-1", "unknown", 3),
    ],
)
def test_every_style_can_be_asked_again(
    bench: Bench, style: str, subject: str, kind: str, depth: int
) -> None:
    event = bench.recorder.ask()
    assert event["principal"] is not None
    event["principal"] = {"issuer": ISSUER_URL, "subject": subject, "kind": kind}
    event["style"] = style
    hop = {"subject": "someone", "issuer": "", "kind": "unknown"}
    event["chain"] = [hop] * depth  # type: ignore[list-item] # as it is written
    when = [
        {"chain": "style", "equals": style},
        {"principal": "kind", "equals": kind},
        {"chain": "depth", "equals": depth},
    ]
    bench.use(bench.new, {"when": when})
    assert bench.changes() == []


def test_no_policy_ends_with_2(bench: Bench) -> None:
    audit = bench.recorder.write(bench.folder / "audit.jsonl")
    assert run_policy("replay", audit, "--policy", bench.folder / "none.yaml").exit_code == 2
    bench.use(bench.new, {"methods": ["get"]})
    assert run_policy("replay", audit, "--policy", bench.new).exit_code == 2


def test_people_are_told_the_same(bench: Bench) -> None:
    bench.recorder.ask()
    bench.recorder.ask(path="/v1/orders/8")
    audit = bench.recorder.write(bench.folder / "audit.jsonl")
    bench.use(bench.new, {"scopes": ["x"]})
    result = run_policy("replay", audit, "--policy", bench.new)
    assert result.exit_code == 1
    for text in ("2 changed", "allow -> deny", "2 x ", AGENT, "policy.insufficient_scope"):
        assert text in result.stdout


def test_ten_thousand_different_events_take_far_less_than_a_minute(bench: Bench) -> None:
    event = bench.recorder.ask()
    bench.use(bench.new, *RICH_RULES, resources=[MCP_RESOURCE])
    events = (
        {
            **event,
            "decision_id": f"{number:x}",
            "principal": {"issuer": ISSUER_URL, "subject": f"p{number % 500}", "kind": "user"},
            "http": {"method": "GET", "host": HOST, "path": f"/v1/orders/{number}"},
        }
        for number in range(10_000)
    )
    audit = write_events(bench.folder / "many.jsonl", events)
    started = time.process_time()
    result = run_policy("replay", audit, "--policy", bench.new, "--json")
    assert json.loads(result.stdout)["totals"]["unchanged"] == 10_000
    assert time.process_time() - started < 30


def test_an_upgrade_that_was_recorded_is_asked_again(bench: Bench) -> None:
    event: Any = bench.recorder.ask()
    event["http"]["upgrade"] = "websocket"
    assert event["effect"] == "allow"
    bench.use(bench.new, {})
    assert bench.changes() == ["allow -> deny"]
    bench.use(bench.new, {"upgrades": ["websocket"]})
    assert bench.changes() == []


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("agent", "not a SPIFFE ID"),
        ("http", {"method": "get", "host": "?", "path": "no path"}),
        ("principal", {"issuer": "", "subject": "\x00", "kind": "user"}),
        ("time", "9999-01-01T00:00:00Z"),
        ("time", "0001-01-01T00:00:00Z"),
        ("scopes", {"token": ["a b", "\ud83d"], "granted": []}),
        ("token", {"expires_at": 1e300, "binding": "?"}),
        ("claims", {"groups": {"deep": [None, 1e308]}}),
        ("calls", [{"protocol": "mcp", "method": "", "name": "\x00"}]),
    ],
)
def test_what_nobody_can_have_recorded_ends_in_an_answer(
    bench: Bench, member: str, value: object
) -> None:
    event: Any = bench.recorder.ask()
    event[member] = value
    office = {"name": "office", "when": [{"time": {"days": ["mon"]}}]}
    remaining = {"name": "b", "when": [{"token": "remainingSeconds", "atLeast": 5}]}
    groups = {"name": "c", "when": [{"claim": "groups", "hasAny": ["x"]}]}
    bench.use(bench.new, office, remaining, groups, resources=[MCP_RESOURCE])
    audit = bench.folder / "audit.jsonl"
    audit.write_text(json.dumps(event))
    for result in (
        run_policy("replay", audit, "--policy", bench.new),
        run_policy("suggest", audit),
    ):
        assert result.exit_code in {0, 1, 2}
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
