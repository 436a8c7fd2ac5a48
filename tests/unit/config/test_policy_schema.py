from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deputize.config.policy_loader import load_policies
from deputize.config.policy_schema import COMPARISONS, FACTS, READINGS, When
from deputize.config.problems import ConfigError
from deputize.core.comparisons import Operator
from deputize.core.model import Binding, Protocol
from tests.harness.config_files import POLICY, changed, line_of

SCOPES = "      scopes: [orders:read]\n"
RULES = "  rules:\n"
RULE = "spec.rules[0]"
WHEN = f"{RULE}.when[0]"


@pytest.fixture
def place_of(tmp_path: Path) -> Callable[[str, str], str]:
    """The pointer of the only problem of the policy; empty where there is none."""

    def find(old: str, new: str) -> str:
        text = changed(POLICY, old, new)
        file = tmp_path / "policy.yaml"
        file.write_text(text)
        try:
            load_policies(file)
        except ConfigError as error:
            (problem,) = error.problems
            assert problem.file == str(file)
            first = line_of(text, new)
            is_near = first <= problem.line <= first + new.count("\n")
            assert is_near or problem.pointer in {RULE, "spec"}
            return problem.pointer
        return ""

    return find


Place = Callable[[str, str], str]


@pytest.mark.parametrize(
    ("when", "pointer"),
    [
        ("{claim: a, equals: b}", ""),
        ("{claim: a.b, equals: 1.5}", ""),
        ("{claim: a, equals: true}", ""),
        ("{claim: a, oneOf: [a, b]}", ""),
        ("{claim: a, oneOf: [1, 1.5]}", ""),
        ("{claim: a, oneOf: [1, true]}", WHEN),
        ("{claim: a, oneOf: [1e3, 500]}", WHEN),
        ("{claim: a, startsWith: b}", ""),
        ("{claim: a, endsWith: [b, c]}", ""),
        ("{claim: a, atLeast: 5}", ""),
        ("{claim: a, atMost: 0}", ""),
        ("{claim: a, exists: false}", ""),
        ("{claim: a, equalsClaim: b.c}", ""),
        ("{header: x-zone, noneOf: [a]}", ""),
        ("{path: id, hasAny: [a]}", ""),
        ("{peer: namespace, equals: a}", ""),
        ("{chain: actors, hasOnly: [a]}", ""),
        ("{principal: kind, equals: user}", ""),
        ("{token: ageSeconds, atMost: 60}", ""),
        ("{time: {days: [mon]}}", ""),
        ("{time: {begins: '22:00', ends: '06:00', zone: Europe/Oslo}}", ""),
        ("{time: {notBefore: '2026-01-01T00:00:00Z'}}", ""),
        ("{}", WHEN),
        ("{claim: a}", WHEN),
        ("{equals: a}", WHEN),
        ("{claim: a, header: b, equals: c}", WHEN),
        ("{claim: a, time: {days: [mon]}}", WHEN),
        ("{claim: a, equals: b, atMost: 1}", WHEN),
        ("{claim: a, exists: null}", f"{WHEN}.exists"),
        ("{time: {days: [mon]}, exists: true}", WHEN),
        ("{cel: 'true', equals: b}", WHEN),
        ("{cel: 'true', time: {days: [mon]}}", WHEN),
        ("{path: name, exists: true}", WHEN),
        ("{argument: a, exists: true}", RULE),
        ("{claim: a..b, exists: true}", f"{WHEN}.claim"),
        ("{header: X-Zone, exists: true}", f"{WHEN}.header"),
        ("{peer: name, exists: true}", f"{WHEN}.peer"),
        ("{claim: a, equals: [b]}", f"{WHEN}.equals"),
        ("{claim: a, equals: {b: c}}", f"{WHEN}.equals"),
        ("{claim: a, oneOf: []}", f"{WHEN}.oneOf"),
        ("{claim: a, oneOf: [[b]]}", f"{WHEN}.oneOf[0]"),
        ("{claim: a, startsWith: 7}", f"{WHEN}.startsWith"),
        ("{claim: a, startsWith: []}", f"{WHEN}.startsWith"),
        ("{claim: a, endsWith: ['']}", f"{WHEN}.endsWith"),
        ("{claim: a, endsWith: [b, b]}", f"{WHEN}.endsWith"),
        ("{claim: a, atLeast: '5'}", f"{WHEN}.atLeast"),
        ("{claim: a, atMost: true}", f"{WHEN}.atMost"),
        ("{claim: a, matches: '.*'}", f"{WHEN}.matches"),
        ("{time: {}}", f"{WHEN}.time"),
        ("{time: {zone: UTC}}", f"{WHEN}.time"),
        ("{time: {begins: '08:00'}}", f"{WHEN}.time"),
        ("{time: {ends: '08:00'}}", f"{WHEN}.time"),
        ("{time: {begins: '08:00', ends: '08:00'}}", f"{WHEN}.time"),
        ("{time: {begins: '8:00', ends: '09:00'}}", f"{WHEN}.time.begins"),
        ("{time: {begins: '08:00', ends: '24:00'}}", f"{WHEN}.time.ends"),
        ("{time: {days: []}}", f"{WHEN}.time.days"),
        ("{time: {days: [mon, mon]}}", f"{WHEN}.time.days"),
        ("{time: {days: [monday]}}", f"{WHEN}.time.days[0]"),
        ("{time: {days: [mon], zone: Mars/Base}}", f"{WHEN}.time.zone"),
        ("{time: {days: [mon], zone: ../etc}}", f"{WHEN}.time.zone"),
        ("{time: {notBefore: '2026-01-01'}}", f"{WHEN}.time.notBefore"),
        ("{time: {notAfter: '2026-01-01T00:00:00'}}", f"{WHEN}.time.notAfter"),
        ("{time: {notAfter: soon}}", f"{WHEN}.time.notAfter"),
    ],
)
def test_a_condition_is_one_fact_and_one_comparison(
    place_of: Place, when: str, pointer: str
) -> None:
    assert place_of(SCOPES, f"      when: [{when}]\n{SCOPES}") == pointer


@pytest.mark.parametrize(
    ("key", "pointer"),
    [
        ("when: []", f"{RULE}.when"),
        ("upgrades: [websocket]", ""),
        ("upgrades: []", f"{RULE}.upgrades"),
        ("upgrades: [WebSocket]", f"{RULE}.upgrades[0]"),
        ("stepUp: {acrValues: [gold], maxAgeSeconds: 0}", ""),
        ("stepUp: {maxAgeSeconds: 60}", ""),
        ("stepUp: {}", f"{RULE}.stepUp"),
        ("stepUp: {acrValues: []}", f"{RULE}.stepUp.acrValues"),
        ("stepUp: {acrValues: ['a b']}", f"{RULE}.stepUp.acrValues[0]"),
        ("stepUp: {acrValues: ['a\"']}", f"{RULE}.stepUp.acrValues[0]"),
        ("stepUp: {maxAgeSeconds: -1}", f"{RULE}.stepUp.maxAgeSeconds"),
        ("approval: {services: ['https://a.example']}", ""),
        ("approval: {services: []}", f"{RULE}.approval.services"),
        ("approval: {}", f"{RULE}.approval.services"),
        ("budget: {limit: 1, windowSeconds: 1, per: []}", ""),
        ("budget: {limit: 1, windowSeconds: 60}", ""),
        ("budget: {limit: 0, windowSeconds: 1}", f"{RULE}.budget.limit"),
        ("budget: {limit: 1, windowSeconds: 0}", f"{RULE}.budget.windowSeconds"),
        ("budget: {limit: 1}", f"{RULE}.budget.windowSeconds"),
        ("budget: {limit: 1, windowSeconds: 1, per: [user]}", f"{RULE}.budget.per[0]"),
        ("budget: {limit: 1, windowSeconds: 1, per: [tool, tool]}", f"{RULE}.budget.per"),
        ("mcp: {}", f"{RULE}.mcp.methods"),
        ("mcp: {methods: ['tools/**']}", f"{RULE}.mcp.methods[0]"),
        ("mcp: {methods: ['*'], names: []}", f"{RULE}.mcp.names"),
        ("mcp: {methods: ['*'], names: ['a*b']}", f"{RULE}.mcp.names[0]"),
        ("a2a: {operations: []}", f"{RULE}.a2a.operations"),
        ("a2a: {methods: ['*'], operations: ['*']}", f"{RULE}.a2a.methods"),
        ("grpc: {methods: ['']}", f"{RULE}.grpc.methods[0]"),
    ],
)
def test_what_an_allow_may_ask_for(place_of: Place, key: str, pointer: str) -> None:
    assert place_of(SCOPES, f"      {key}\n{SCOPES}") == pointer


@pytest.mark.parametrize(
    "keys",
    [
        "mcp: {methods: ['*']}\n      a2a: {operations: ['*']}",
        "mcp: {methods: ['*']}\n      grpc: {methods: ['*']}",
        "a2a: {operations: ['*']}\n      grpc: {methods: ['*']}",
        "grpc: {methods: ['*']}\n      when: [{argument: a, exists: true}]",
    ],
)
def test_a_rule_is_about_calls_of_one_protocol(place_of: Place, keys: str) -> None:
    assert place_of(SCOPES, f"      {keys}\n{SCOPES}") == RULE


@pytest.mark.parametrize(
    "key",
    [
        "scopes: []",
        "upgrades: [websocket]",
        "chain: {maxDepth: 1}",
        "stepUp: {maxAgeSeconds: 60}",
        "approval: {services: [a]}",
        "budget: {limit: 1, windowSeconds: 1}",
        "obligations: {}",
    ],
)
def test_what_belongs_to_an_allow_is_refused_on_a_forbid(tmp_path: Path, key: str) -> None:
    policy = changed(POLICY, "effect: allow", "effect: forbid")
    file = tmp_path / "policy.yaml"
    file.write_text(changed(policy, SCOPES, f"      {key}\n"))
    with pytest.raises(ConfigError) as caught:
        load_policies(file)
    (problem,) = caught.value.problems
    assert problem.pointer == RULE
    assert f"`{key.partition(':')[0]}`" in problem.message


@pytest.mark.parametrize(
    "key", ["when", "mcp", "upgrades", "chain", "stepUp", "approval", "budget", "obligations"]
)
def test_a_key_without_a_value_does_not_count_as_left_out(place_of: Place, key: str) -> None:
    assert place_of(SCOPES, f"{SCOPES}      {key}:\n") == f"{RULE}.{key}"


def test_a_forbid_may_have_conditions(tmp_path: Path) -> None:
    policy = changed(POLICY, "effect: allow", "effect: forbid")
    file = tmp_path / "policy.yaml"
    file.write_text(changed(policy, SCOPES, "      when: [{claim: a, equals: b}]\n"))
    (rule,) = load_policies(file).rules
    assert [condition.text for condition in rule.conditions] == ["claim a equals b"]


RESOURCE = "{hosts: [orders.example], paths: [/mcp], %s}"


@pytest.mark.parametrize(
    ("resource", "pointer"),
    [
        (RESOURCE % "protocol: mcp", ""),
        (RESOURCE % "protocol: mcp, read: headers", ""),
        (RESOURCE % "protocol: a2a, read: grpc", ""),
        (RESOURCE % "metadataUrl: 'https://orders.example/m'", ""),
        ("{hosts: [a], paths: [/a/**], protocol: a2a, read: rest}", ""),
        (RESOURCE % "protocol: a2a, read: rest", "spec.resources[0]"),
        ("{hosts: [a], paths: [/a/**, /b], protocol: a2a, read: rest}", "spec.resources[0]"),
        (RESOURCE % "protocol: a2a, read: body", "spec.resources[0]"),
        (RESOURCE % "protocol: mcp, read: rest", "spec.resources[0]"),
        (RESOURCE % "protocol: grpc, read: grpc", "spec.resources[0]"),
        (RESOURCE % "metadataUrl: 'https://a.example', read: body", "spec.resources[0]"),
        ("{hosts: [a], paths: [/a]}", "spec.resources[0]"),
        (RESOURCE % "protocol: soap", "spec.resources[0].protocol"),
        (RESOURCE % "metadataUrl: 'http://a.example'", "spec.resources[0].metadataUrl"),
        (RESOURCE % """metadataUrl: 'https://a",x="'""", "spec.resources[0].metadataUrl"),
        (RESOURCE % """metadataUrl: 'https://a.example/"'""", "spec.resources[0].metadataUrl"),
        (RESOURCE % "metadataUrl: 'https://a.example/\\'", "spec.resources[0].metadataUrl"),
        ("{hosts: [], paths: [/a], protocol: mcp}", "spec.resources[0].hosts"),
        ("{hosts: [A], paths: [/a], protocol: mcp}", "spec.resources[0].hosts[0]"),
        ("{hosts: [a], paths: [], protocol: mcp}", "spec.resources[0].paths"),
        ("{hosts: [a], paths: [a], protocol: mcp}", "spec.resources[0].paths[0]"),
    ],
)
def test_a_resource_says_what_is_spoken_and_how(
    place_of: Place, resource: str, pointer: str
) -> None:
    assert place_of(RULES, f"  resources:\n    - {resource}\n{RULES}") == pointer


PRINCIPALS = "onBehalfOf: [{issuer: 'https://issuer.example', anyone: true}]"


@pytest.mark.parametrize(
    ("spec", "pointer"),
    [
        ("agentCeilings: [{agents: ['spiffe://a/**'], scopes: []}]", ""),
        ("agentCeilings: [{agents: [], scopes: []}]", "spec.agentCeilings[0].agents"),
        ("agentCeilings: [{agents: ['*'], scopes: []}]", "spec.agentCeilings[0].agents[0]"),
        (
            "agentCeilings: [{agents: ['spiffe://a/b'], scopes: ['a b']}]",
            "spec.agentCeilings[0].scopes[0]",
        ),
        (f"principalScopes: [{{{PRINCIPALS}, scopes: [a]}}]", ""),
        ("principalScopes: [{onBehalfOf: [], scopes: [a]}]", "spec.principalScopes[0].onBehalfOf"),
        (f"principalScopes: [{{{PRINCIPALS}, scopes: [a, a]}}]", "spec.principalScopes[0].scopes"),
        ("mode: observe", ""),
        ("mode: off", "spec.mode"),
        (f"mode: observe\n  principalScopes: [{{{PRINCIPALS}, scopes: []}}]", "spec"),
        (
            "mode: observe\n  agentCeilings: [{agents: ['spiffe://a/b'], scopes: []}]",
            "spec",
        ),
    ],
)
def test_limits_and_modes(place_of: Place, spec: str, pointer: str) -> None:
    assert place_of(RULES, f"  {spec}\n{RULES}") == pointer


def test_a_policy_says_something(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    head = POLICY[: POLICY.index(RULES)]
    for spec in ("rules: []", "mode: enforce"):
        file.write_text(f"{head}  {spec}\n")
        with pytest.raises(ConfigError) as caught:
            load_policies(file)
        assert [problem.pointer for problem in caught.value.problems] == ["spec"]
        assert caught.value.problems[0].line == line_of(head, "spec:")
    file.write_text(f"{head}  resources: [{RESOURCE % 'protocol: mcp'}]\n")
    assert load_policies(file).rules == ()


def test_every_fact_and_comparison_is_a_key() -> None:
    assert set(When.model_fields) == {*FACTS, *COMPARISONS, "time", "cel"}
    aliases = {When.model_fields[name].alias for name in COMPARISONS}
    assert aliases == {*Operator, "exists", "equalsClaim"}


def test_what_can_be_read_is_what_the_core_reads() -> None:
    assert {reading for readings in READINGS.values() for reading in readings} == set(Binding)
    assert READINGS.keys() < set(Protocol)
