from __future__ import annotations

from pathlib import Path

import pytest

from deputize.config.compiler import Compiled
from deputize.config.loader import load
from deputize.config.policy_compiler import CompiledPolicies
from deputize.config.policy_loader import load_policies
from deputize.core.approval import ApprovalNeed, ApprovalService
from deputize.core.call_patterns import CallPattern
from deputize.core.keys import Algorithm
from deputize.core.limits import AgentCeiling, PrincipalScopes
from deputize.core.matching import parse_agent_pattern
from deputize.core.model import Protocol, Scope, StepUp
from deputize.core.rules import Budget, BudgetPart, Rule
from tests.harness.config_files import (
    POLICY,
    SERVICE,
    Place,
    changed,
    line_of,
    problem_places,
    write_world,
)
from tests.harness.world import anyone

AGENT = "spiffe://prod.example.org/ns/agents/sa/research"
SCOPES = "      scopes: [orders:read]\n"
APPROVALS = """\
  approvals:
    header: x-ok
    services:
      - issuer: https://approvals.example
        algorithms: [ES256]
        keys: {file: approvals.json}
  audit:
"""
APPROVED = f"      approval: {{services: ['https://approvals.example']}}\n{SCOPES}"


def compile_text(folder: Path, text: str) -> CompiledPolicies:
    file = folder / "policy.yaml"
    file.write_text(text)
    return load_policies(file)


def compile_rule(folder: Path, *keys: str) -> Rule:
    """The only rule, with more keys, on a route that speaks every protocol that it asks for."""
    text = changed(POLICY, SCOPES, "".join(f"      {key}\n" for key in keys) + SCOPES)
    for protocol in Protocol:
        if f"\n      {protocol.value}:" in text:
            spoken = f"{{hosts: ['*'], paths: ['/**'], protocol: {protocol.value}}}"
            text = text.replace("  rules:\n", f"  resources: [{spoken}]\n  rules:\n")
    (rule,) = compile_text(folder, text).rules
    return rule


def test_a_rule_asks_for_nothing_that_is_not_written(tmp_path: Path) -> None:
    rule = compile_rule(tmp_path)
    assert (rule.call, rule.step_up, rule.approval, rule.budget) == (None,) * 4
    assert (rule.conditions, rule.upgrades) == ((), frozenset())
    assert not rule.is_observed


@pytest.mark.parametrize(
    ("key", "call"),
    [
        ("mcp: {methods: [tools/call, 'a*']}",
         CallPattern(Protocol.MCP, ("tools/call", "a*"), ())),
        ("mcp: {methods: ['*'], names: [x, y]}",
         CallPattern(Protocol.MCP, ("*",), ("x", "y"))),
        ("a2a: {operations: [GetTask]}", CallPattern(Protocol.A2A, ("GetTask",), ())),
        ("grpc: {methods: [a.B/*]}", CallPattern(Protocol.GRPC, ("a.B/*",), ())),
    ],
)  # fmt: skip
def test_calls_reach_the_core(tmp_path: Path, key: str, call: CallPattern) -> None:
    assert compile_rule(tmp_path, key).call == call


def test_demands_reach_the_core(tmp_path: Path) -> None:
    rule = compile_rule(
        tmp_path,
        "upgrades: [websocket]",
        "stepUp: {acrValues: [gold, silver], maxAgeSeconds: 60}",
        "approval: {services: [a, b], approverNotPrincipal: true}",
        "budget: {limit: 3, windowSeconds: 60, per: [tool]}",
        "when: [{claim: a, equals: b}, {time: {days: [mon]}}]",
    )
    assert rule.upgrades == {"websocket"}
    assert rule.step_up == StepUp(("gold", "silver"), 60)
    assert rule.approval == ApprovalNeed(frozenset({"a", "b"}), approver_not_principal=True)
    assert rule.budget == Budget(3, 60, frozenset({BudgetPart.TOOL}))
    assert [condition.text for condition in rule.conditions] == ["claim a equals b", "time mon UTC"]


def test_what_is_left_out_of_a_demand_asks_for_the_most(tmp_path: Path) -> None:
    rule = compile_rule(
        tmp_path,
        "stepUp: {maxAgeSeconds: 0}",
        "approval: {services: [a]}",
        "budget: {limit: 3, windowSeconds: 60}",
    )
    assert rule.step_up == StepUp((), 0)
    assert rule.approval == ApprovalNeed(frozenset({"a"}), approver_not_principal=False)
    assert rule.budget == Budget(3, 60, frozenset(BudgetPart))
    assert compile_rule(tmp_path, "stepUp: {acrValues: [gold]}").step_up == StepUp(("gold",), None)


def test_each_wrong_condition_is_a_problem_of_its_own(tmp_path: Path) -> None:
    when = "      when:\n        - {path: x, exists: true}\n        - {cel: 'a +'}\n" + SCOPES
    policy = changed(POLICY, SCOPES, when)
    assert problem_places(write_world(tmp_path, policy=policy)) == [
        ("orders.yaml", line_of(policy, "{path:"), "spec.rules[0].when[0]"),
        ("orders.yaml", line_of(policy, "{cel:"), "spec.rules[0].when[1]"),
    ]


def test_a_rule_about_calls_that_nobody_speaks_is_refused(tmp_path: Path) -> None:
    policy = changed(POLICY, SCOPES, f"      mcp: {{methods: ['*']}}\n{SCOPES}")
    assert problem_places(write_world(tmp_path, policy=policy)) == [
        ("orders.yaml", line_of(policy, "mcp:"), "spec.rules[0].mcp")
    ]


def test_resources_of_another_policy_count(tmp_path: Path) -> None:
    policy = changed(POLICY, SCOPES, f"      mcp: {{methods: ['*']}}\n{SCOPES}")
    config_file = write_world(tmp_path, policy=policy)
    head = POLICY[: POLICY.index("  rules:")].replace("name: orders", "name: resources")
    spoken = "  resources: [{hosts: ['*'], paths: ['/v1/**'], protocol: mcp}]\n"
    (tmp_path / "policies" / "resources.yaml").write_text(head + spoken)
    policies = load(config_file).compiled.policies
    assert [(route.host, route.path.text) for route in policies.routes] == [("*", "/v1/**")]
    assert len(policies.resources.find("any", ("v1", "x"))) == 1


def test_a_policy_may_be_observed_only(tmp_path: Path) -> None:
    (rule,) = compile_text(tmp_path, changed(POLICY, "  rules:", "  mode: observe\n  rules:")).rules
    assert rule.is_observed


LIMITS = """\
  agentCeilings:
    - agents: ["spiffe://prod.example.org/**"]
      scopes: [a, b]
  principalScopes:
    - onBehalfOf: [{issuer: https://issuer.example, anyone: true}]
      scopes: [b]
  rules:
"""


def test_limits_reach_the_core(tmp_path: Path) -> None:
    limits = compile_text(tmp_path, changed(POLICY, "  rules:\n", LIMITS)).limits
    agents = (parse_agent_pattern("spiffe://prod.example.org/**"),)
    assert limits.agent_ceilings == (AgentCeiling(agents, frozenset({Scope("a"), Scope("b")})),)
    assert limits.principal_scopes == (PrincipalScopes((anyone(),), frozenset({Scope("b")})),)


@pytest.mark.parametrize(
    ("old", "new", "pointer"),
    [
        ("spiffe://prod.example.org/**", "spiffe://test.example.org/**",
         "spec.agentCeilings[0].agents[0]"),
        ("[{issuer: https://issuer.example,", "[{issuer: https://other.example,",
         "spec.principalScopes[0].onBehalfOf[0].issuer"),
    ],
)  # fmt: skip
def test_limits_name_only_what_is_known(tmp_path: Path, old: str, new: str, pointer: str) -> None:
    policy = changed(changed(POLICY, "  rules:\n", LIMITS), old, new)
    assert problem_places(write_world(tmp_path, policy=policy)) == [
        ("orders.yaml", line_of(policy, new), pointer)
    ]


# Approval services, and what spans policies and service


def compile_world(folder: Path, service: str, policy: str = POLICY) -> Compiled:
    return load(write_world(folder, service=service, policy=policy)).compiled


def test_approval_services_reach_the_core(tmp_path: Path) -> None:
    service = changed(SERVICE, "  audit:\n", APPROVALS)
    compiled = compile_world(tmp_path, service, changed(POLICY, SCOPES, APPROVED))
    assert compiled.approval_header == "x-ok"
    (known,) = compiled.approval_services.values()
    assert known == ApprovalService(
        "https://approvals.example", (Algorithm.ES256,), known.max_lifetime, known.clock_skew
    )


def test_without_approval_services_there_is_no_header(tmp_path: Path) -> None:
    compiled = compile_world(tmp_path, SERVICE)
    assert (compiled.approval_header, compiled.approval_services) == ("", {})
    assert not compiled.is_observed


def test_all_policies_may_be_observed(tmp_path: Path) -> None:
    service = changed(SERVICE, "  policies:", "  policyMode: observe\n  policies:")
    assert compile_world(tmp_path, service).is_observed


def service_places(folder: Path, old: str, new: str, policy: str = POLICY) -> list[Place]:
    service = changed(changed(SERVICE, "  audit:\n", APPROVALS), old, new)
    return problem_places(write_world(folder, service=service, policy=policy))


@pytest.mark.parametrize(
    ("old", "new", "pointer"),
    [
        ("issuer: https://approvals.example", "issuer: https://issuer.example",
         "spec.approvals.services[0].issuer"),
        ("{file: approvals.json}", "{discovery: true}",
         "spec.approvals.services[0].keys.discovery"),
        ("header: x-ok", "header: x-deputize-ok", "spec.approvals.header"),
    ],
)  # fmt: skip
def test_an_approval_service_is_none_of_the_issuers(
    tmp_path: Path, old: str, new: str, pointer: str
) -> None:
    assert [place[2] for place in service_places(tmp_path, old, new)] == [pointer]


@pytest.mark.parametrize("service", [SERVICE, changed(SERVICE, "  audit:\n", APPROVALS)])
def test_a_rule_names_a_known_approval_service(tmp_path: Path, service: str) -> None:
    policy = changed(POLICY, SCOPES, APPROVED).replace("approvals.example", "approval.example")
    assert problem_places(write_world(tmp_path, service=service, policy=policy)) == [
        ("orders.yaml", line_of(policy, "approval.example"), "spec.rules[0].approval.services[0]")
    ]
