"""`policy suggest`: what was seen is allowed, and nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from deputize.cli.court import Court
from deputize.cli.recorded import Recorded
from deputize.cli.supposed_call import AgentCall, SupposedCall
from deputize.config.policy_loader import load_policies
from deputize.core.audit_form import AuditEvent
from deputize.core.model import Protocol
from deputize.core.reasons import Reason
from tests.harness.recordings import Recorder, policy_text, run_policy, write_events
from tests.harness.world import AGENT, HOST, ISSUER_URL, OTHER_AGENT

MCP_RESOURCE = {"hosts": [HOST], "paths": ["/mcp"], "protocol": "mcp"}
RULES = (
    {"paths": ["/v1/orders", "/v1/orders/{id}"], "agents": [AGENT, OTHER_AGENT]},
    {"name": "write", "methods": ["POST"], "paths": ["/v1/orders"], "scopes": ["orders:write"]},
    {"name": "tools", "methods": ["POST", "GET"], "paths": ["/mcp"], "scopes": []},
)


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text(*RULES, resources=[MCP_RESOURCE]))
    return Recorder(policy)


def suggest(folder: Path, events: Sequence[AuditEvent], *options: str) -> Result:
    return run_policy("suggest", write_events(folder / "audit.jsonl", events), *options)


def court_of(result: Result, folder: Path) -> Court:
    file = folder / "suggested.yaml"
    file.write_text(result.stdout)
    return Court(load_policies(file))


def rules_of(result: Result) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = yaml.safe_load(result.stdout)["spec"]["rules"]
    return rules


def as_call(event: AuditEvent) -> SupposedCall:
    """What was recorded, as a call that can be varied."""
    seen = Recorded.model_validate(event)
    assert seen.principal is not None
    assert seen.scopes is not None
    call = seen.calls[0] if seen.calls else None
    return SupposedCall(
        agent=seen.agent or "",
        issuer=seen.principal.issuer,
        subject=seen.principal.subject,
        scopes=frozenset(seen.scopes.token),
        chain=tuple(f"hop-{position}" for position in range(1, len(seen.chain or ()))),
        method=seen.http.method,
        host=seen.http.host,
        path=seen.http.path,
        call=None if call is None else AgentCall(call.protocol, call.method, call.name),
    )


def test_what_was_seen_is_allowed_and_its_neighbours_are_not(
    recorder: Recorder, tmp_path: Path
) -> None:
    seen = [
        recorder.ask(),
        recorder.ask(path="/v1/orders/8?x=1", token={"scope": "orders:read orders:write"}),
        recorder.ask(peer=OTHER_AGENT, path="/v1/orders"),
        recorder.ask(method="POST", path="/v1/orders", token={"scope": "orders:write"}),
        recorder.call("search"),
        recorder.call("fetch"),
        recorder.ask(path="/mcp"),
    ]
    assert [event["effect"] for event in seen] == ["allow"] * len(seen)
    result = suggest(tmp_path, seen)
    assert result.exit_code == 0, result.stderr
    court = court_of(result, tmp_path)
    calls = [as_call(event) for event in seen]

    def reason(call: SupposedCall) -> str:
        return court.decide(call).decision.reason

    assert [reason(call) for call in calls] == [Reason.POLICY_ALLOWED] * len(calls)
    stranger = "spiffe://prod.example.org/ns/agents/sa/stranger"
    for call in calls:
        for other in (
            replace(call, agent=stranger),
            replace(call, method="PUT"),
            replace(call, host="other.example"),
            replace(call, issuer="https://other.example"),
            replace(call, subject="mallory"),
            replace(call, path="/v2/other"),
            replace(call, chain=("one", "two")),
        ):
            assert reason(other) != Reason.POLICY_ALLOWED, other
    post = calls[3]
    assert reason(replace(post, path="/v1/orders/7")) == Reason.POLICY_NO_MATCH
    assert reason(replace(post, scopes=frozenset())) == Reason.POLICY_INSUFFICIENT_SCOPE
    tool = calls[4]
    for unseen in (
        AgentCall(Protocol.MCP, "tools/call", "delete"),
        AgentCall(Protocol.MCP, "tools/list"),
        AgentCall(Protocol.MCP, "prompts/get", "search"),
    ):
        assert reason(replace(tool, call=unseen)) == Reason.POLICY_NO_MATCH


def test_scopes_are_those_that_every_grant_had(recorder: Recorder, tmp_path: Path) -> None:
    seen = [recorder.ask(token={"scope": "a orders:read"}), recorder.ask(path="/v1/orders/9")]
    assert [rule["scopes"] for rule in rules_of(suggest(tmp_path, seen))] == [["orders:read"]]


def test_what_no_rule_granted_gets_the_scopes_that_all_tokens_had(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text({"paths": ["/none"]}))
    recorder = Recorder(policy, is_observed=True)
    seen = [recorder.ask(token={"scope": scope}) for scope in ("a b", "b c")]
    result = suggest(tmp_path, seen)
    assert result.exit_code == 0
    assert [rule["scopes"] for rule in rules_of(result)] == [["b"]]
    assert "by observe mode only" in result.stdout
    nothing = suggest(tmp_path, seen, "--no-include-observed")
    assert (nothing.exit_code, nothing.stdout) == (1, "")


@pytest.mark.parametrize(("people", "is_listed"), [(3, True), (4, False)])
def test_few_principals_are_listed(
    recorder: Recorder,
    tmp_path: Path,
    people: int,
    is_listed: bool,  # noqa: FBT001
) -> None:
    names = [f"person-{number}" for number in range(people)]
    seen = [recorder.ask(token={"subject": name}) for name in names]
    (rule,) = rules_of(suggest(tmp_path, seen))
    said = {"subjects": names} if is_listed else {"anyone": True}
    assert rule["onBehalfOf"] == [{"issuer": ISSUER_URL, **said}]


def test_the_chain_is_as_long_as_it_was_seen(recorder: Recorder, tmp_path: Path) -> None:
    seen = [recorder.ask(), recorder.ask(token={"chain": [OTHER_AGENT]})]
    (rule,) = rules_of(suggest(tmp_path, seen))
    assert rule["chain"] == {"maxDepth": 2}


def test_rare_calls_are_left_out_and_said(recorder: Recorder, tmp_path: Path) -> None:
    seen = [recorder.ask(), recorder.ask(), recorder.ask(path="/v1/orders"), recorder.call("x")]
    result = suggest(tmp_path, seen, "--min-count", "2", "--name", "mine")
    (rule,) = rules_of(result)
    assert rule["paths"] == ["/v1/orders/{id}"]
    assert yaml.safe_load(result.stdout)["metadata"] == {"name": "mine"}
    assert "left out: 2" in result.stderr
    assert "# - GET /v1/orders: seen once" in result.stdout


def test_refusals_suggest_nothing(recorder: Recorder, tmp_path: Path) -> None:
    seen = [recorder.ask(method="DELETE"), recorder.ask(token={"omit": ["act"]})]
    result = suggest(tmp_path, seen)
    assert (result.exit_code, result.stdout) == (1, "")


@pytest.mark.parametrize("tool", ["all*", "naïve"])
def test_a_tool_that_no_pattern_names_exactly_is_left_out(
    recorder: Recorder, tmp_path: Path, tool: str
) -> None:
    event = recorder.call("search")
    event["calls"][0]["name"] = tool
    result = suggest(tmp_path, [recorder.ask(), event])
    assert result.exit_code == 0
    assert not [rule for rule in rules_of(result) if "mcp" in rule]
    assert "left out: 1" in result.stderr


def test_calls_that_were_not_recorded_are_left_out(recorder: Recorder, tmp_path: Path) -> None:
    blind = recorder.call("search")
    blind["calls"] = []
    result = suggest(tmp_path, [recorder.call("search"), blind])
    assert result.exit_code == 0
    assert [rule["mcp"] for rule in rules_of(result)] == [
        {"methods": ["tools/call"], "names": ["search"]}
    ]
    assert "left out: 1" in result.stderr


@pytest.mark.parametrize(
    ("resource", "request_", "said"),
    [
        (
            {"paths": ["/pkg.Orders/{method}"], "protocol": "grpc"},
            {"path": "/pkg.Orders/Get", "headers": {"content-type": "application/grpc"}},
            {"grpc": {"methods": ["pkg.Orders/Get"]}},
        ),
        (
            {"paths": ["/agent/**"], "protocol": "a2a", "read": "rest"},
            {"path": "/agent/message:send"},
            {"a2a": {"operations": ["SendMessage"]}},
        ),
        (
            {"paths": ["/agent"], "protocol": "a2a"},
            {
                "path": "/agent",
                "headers": {"content-type": "application/json"},
                "body": b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{}}',
            },
            {"a2a": {"operations": ["SendMessage"]}},
        ),
        (
            {"paths": ["/lf.a2a.v1.A2AService/{x}"], "protocol": "a2a", "read": "grpc"},
            {
                "path": "/lf.a2a.v1.A2AService/ListTasks",
                "headers": {"content-type": "application/grpc"},
            },
            {"a2a": {"operations": ["ListTasks"]}},
        ),
    ],
)
def test_other_protocols_are_named_by_their_calls(
    tmp_path: Path, resource: dict[str, Any], request_: dict[str, Any], said: dict[str, Any]
) -> None:
    policy = tmp_path / "policy.yaml"
    rule = {"methods": ["POST"], "paths": resource["paths"], "scopes": []}
    policy.write_text(policy_text(rule, resources=[{"hosts": [HOST], **resource}]))
    event = Recorder(policy).ask(method="POST", **request_)
    assert event["effect"] == "allow"
    result = suggest(tmp_path, [event])
    assert result.exit_code == 0, result.output
    (suggested,) = rules_of(result)
    assert said.items() <= suggested.items()


def test_hostile_texts_stay_texts(recorder: Recorder, tmp_path: Path) -> None:
    subject = 'a"\\: \u2028#{}[] \U0001f600\u202e'
    event = recorder.ask()
    assert event["principal"] is not None
    event["principal"]["subject"] = subject
    event["decision_id"] = "x\nspec: {}\x1b[0m"
    result = suggest(tmp_path, [event])
    assert "\x1b" not in result.output
    (rule,) = rules_of(result)
    assert rule["onBehalfOf"][0]["subjects"] == [subject]


def test_an_upgrade_that_was_recorded_is_allowed(recorder: Recorder, tmp_path: Path) -> None:
    event: Any = recorder.ask()
    event["http"]["upgrade"] = "websocket"
    result = suggest(tmp_path, [event])
    assert result.exit_code == 0
    assert [rule["upgrades"] for rule in rules_of(result)] == [["websocket"]]


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"name": "no", "effect": "forbid"}, Reason.POLICY_FORBIDDEN),
        ({"when": [{"header": "x-tenant", "equals": "a"}]}, Reason.POLICY_CONDITION_FAILED),
        ({"stepUp": {"maxAgeSeconds": 5}}, Reason.POLICY_STEP_UP_REQUIRED),
    ],
)
def test_what_somebody_meant_to_refuse_is_left_out(
    tmp_path: Path, rule: dict[str, Any], reason: Reason
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text(rule, {"name": "list", "paths": ["/v1/orders"]}))
    recorder = Recorder(policy, is_observed=True)
    refused, granted = recorder.ask(), recorder.ask(path="/v1/orders")
    assert refused["observed"] is not None
    assert refused["observed"]["reason"] == reason
    result = suggest(tmp_path, [refused, granted])
    assert [rule["paths"] for rule in rules_of(result)] == [["/v1/orders"]]
    assert f"# - GET /v1/orders/{{id}}: {reason}" in result.stdout


@pytest.mark.parametrize("path", ["no-path", "/a//b", "/a/../b", "/a;b", "/a\n", "/%00"])
def test_a_path_that_no_request_can_have_is_left_out(
    recorder: Recorder, tmp_path: Path, path: str
) -> None:
    event = recorder.ask()
    event["http"]["path"] = path
    result = suggest(tmp_path, [recorder.ask(), event])
    assert result.exit_code == 0
    assert "left out: 1" in result.stderr


ORDERS = {"paths": ["/v1/orders/**"]}
NO_EXPORT = {"name": "no", "effect": "forbid", "paths": ["/v1/orders/export"]}


@pytest.fixture
def strict_recorder(tmp_path: Path) -> Recorder:
    policy = tmp_path / "strict.yaml"
    tenant = {
        "name": "named",
        "paths": ["/v1/tenants/{id}"],
        "scopes": [],
        "when": [{"principal": "subject", "oneOf": ["alice", "bob"]}],
    }
    policy.write_text(policy_text(ORDERS, NO_EXPORT, tenant))
    return Recorder(policy)


def test_what_a_template_would_let_in_is_forbidden(
    strict_recorder: Recorder, tmp_path: Path
) -> None:
    seen = [strict_recorder.ask(), strict_recorder.ask(path="/v1/orders/8")]
    refused = [
        strict_recorder.ask(path="/v1/orders/export"),
        strict_recorder.ask(path="/v1/orders/export", token={"subject": "bob"}),
    ]
    result = suggest(tmp_path, [*seen, *refused])
    assert result.exit_code == 0, result.stderr
    allow, forbid = rules_of(result)
    assert allow["paths"] == ["/v1/orders/{id}"]
    assert (forbid["effect"], forbid["paths"]) == ("forbid", ["/v1/orders/export"])
    assert forbid["onBehalfOf"] == [{"issuer": ISSUER_URL, "anyone": True}]
    court = court_of(result, tmp_path)
    assert [court.decide(as_call(event)).decision.effect for event in seen] == ["allow"] * 2
    assert [court.decide(as_call(event)).decision.effect for event in refused] == ["deny"] * 2


def test_a_refused_route_is_forbidden_whoever_was_refused(
    strict_recorder: Recorder, tmp_path: Path
) -> None:
    seen = strict_recorder.ask()
    refused = strict_recorder.ask(path="/v1/orders/export", token={"subject": "bob"})
    result = suggest(tmp_path, [seen, refused])
    court = court_of(result, tmp_path)
    call = replace(as_call(refused), subject="alice")
    assert court.decide(call).decision.reason == Reason.POLICY_FORBIDDEN


def test_who_was_refused_among_many_is_named(strict_recorder: Recorder, tmp_path: Path) -> None:
    names = ["alice", "carol", "dan", "eve"]
    seen = [strict_recorder.ask(token={"subject": name}) for name in names]
    refused = strict_recorder.ask(token={"subject": "bob", "scope": ""})
    seen_without = [replace_scopes(event) for event in seen]
    result = suggest(tmp_path, [*seen_without, refused])
    assert result.exit_code == 0, result.stderr
    allow, forbid = rules_of(result)
    assert allow["onBehalfOf"] == [{"issuer": ISSUER_URL, "anyone": True}]
    assert forbid["onBehalfOf"] == [{"issuer": ISSUER_URL, "subjects": ["bob"]}]


def replace_scopes(event: AuditEvent) -> AuditEvent:
    """As it would be if the rule that granted it had asked for nothing."""
    assert event["scopes"] is not None
    return {**event, "scopes": {**event["scopes"], "granted": []}}


def test_what_was_refused_at_other_times_is_left_out(tmp_path: Path) -> None:
    policy = tmp_path / "hours.yaml"
    hours = {"when": [{"header": "x-tenant", "equals": "a"}]}
    policy.write_text(policy_text(hours, {"name": "list", "paths": ["/v1/orders"]}))
    recorder = Recorder(policy)
    events = [
        recorder.ask(headers={"x-tenant": "a"}),
        recorder.ask(headers={"x-tenant": "b"}, path="/v1/orders/8"),
        recorder.ask(path="/v1/orders"),
    ]
    assert [event["effect"] for event in events] == ["allow", "deny", "allow"]
    result = suggest(tmp_path, events)
    assert [rule["paths"] for rule in rules_of(result)] == [["/v1/orders"]]
    assert "# - GET /v1/orders/{id}: refused at other times: policy.condition_failed" in (
        result.stdout
    )
    nothing = suggest(tmp_path, events[:2])
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert "refused at other times" in nothing.stderr


def test_where_too_much_would_be_forbidden_it_is_left_out(
    strict_recorder: Recorder, tmp_path: Path
) -> None:
    events = [strict_recorder.ask(), strict_recorder.ask(path="/v1/orders")]
    refused = strict_recorder.ask(path="/v1/orders/export")
    for number in range(41):
        word = "".join("abcdefgh"[int(digit)] for digit in f"{number:o}")
        other: Any = {**refused["http"], "path": f"/v1/orders/{word}"}
        events.append({**refused, "http": other, "decision_id": word})
    result = suggest(tmp_path, events)
    assert result.exit_code == 0
    assert [rule["paths"] for rule in rules_of(result)] == [["/v1/orders"]]


def test_a_rare_call_that_a_template_covers_is_said(recorder: Recorder, tmp_path: Path) -> None:
    seen = [recorder.ask(), recorder.ask(), recorder.ask(path="/v1/orders/export")]
    result = suggest(tmp_path, seen, "--min-count", "2")
    assert result.exit_code == 0
    assert "export: seen once, but a rule covers it all the same" in result.stdout


def test_the_head_says_whether_it_is_generalised(recorder: Recorder, tmp_path: Path) -> None:
    (first, *_) = suggest(
        tmp_path, [recorder.ask(path="/v1/orders", peer=OTHER_AGENT)]
    ).stdout.splitlines()
    assert first.endswith("what was seen, and no more.")
    people = [recorder.ask(token={"subject": f"person-{number}"}) for number in range(4)]
    (first, *_) = suggest(tmp_path, people).stdout.splitlines()
    assert "generalised: `{id}`" in first
    assert "`anyone`" in first


def test_what_a_forbid_would_refuse_too_is_left_out(
    strict_recorder: Recorder, tmp_path: Path
) -> None:
    seen = [strict_recorder.ask(), strict_recorder.ask(path="/v1/orders/import/")]
    refused = strict_recorder.ask(path="/v1/orders/export")
    # A forbid covers the same path with a `/` at its end too.
    refused["http"]["path"] = "/v1/orders/import"
    result = suggest(tmp_path, [*seen, refused])
    assert result.exit_code == 0
    allow, forbid = rules_of(result)
    assert (allow["paths"], forbid["paths"]) == (["/v1/orders/{id}"], ["/v1/orders/import"])
    assert "# - GET /v1/orders/import/: what was refused cannot be told from it" in result.stdout


def test_a_budget_that_was_used_up_leaves_nothing_out(recorder: Recorder, tmp_path: Path) -> None:
    spent: Any = {**recorder.ask(), "effect": "deny", "reason": Reason.POLICY_BUDGET_EXHAUSTED}
    result = suggest(tmp_path, [recorder.ask(), spent])
    assert result.exit_code == 0
    assert [rule["paths"] for rule in rules_of(result)] == [["/v1/orders/{id}"]]
