"""Which rule was nearest, and what of it was missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from deputize.cli import near_miss
from deputize.cli.court import Court
from deputize.cli.near_miss import explain_principal, hint_spelling, show
from deputize.cli.nearest import PARTS, Nearest, find_nearest
from deputize.cli.supposed_call import AgentCall, SupposedCall
from deputize.core.matching import PrincipalPattern
from deputize.core.model import Json, Kind, Principal, Protocol
from tests.harness.config_files import changed
from tests.harness.court_policies import compile_text
from tests.harness.world import AGENT, ISSUER_URL, OTHER_AGENT

RULE = f"""\
apiVersion: deputize.dev/v1alpha1
kind: DelegationPolicy
metadata:
  name: one
spec:
  resources:
    - {{hosts: ["*"], paths: [/mcp], protocol: mcp}}
    - {{hosts: ["*"], paths: [/a2a], protocol: a2a}}
  agentCeilings:
    - {{agents: ["spiffe://prod.example.org/**"], scopes: [Orders, orders:read]}}
  rules:
    - name: rule
      effect: allow
      agents: [{AGENT}]
      onBehalfOf: [{{issuer: "{ISSUER_URL}", subjects: [alice, bob]}}]
      hosts: ["*.shop.example", orders.example]
      methods: [GET]
      paths: ["/v1/Orders/{{id}}", /v2/]
      upgrades: [websocket]
      when:
        - {{claim: groups, hasAny: [staff]}}
        - {{claim: level, atLeast: 3}}
      chain: {{maxDepth: 1}}
      stepUp: {{acrValues: [gold], maxAgeSeconds: 60}}
      scopes: [orders:read]
"""
AT = 1767614400.0
CALL = SupposedCall(
    agent=AGENT,
    issuer=ISSUER_URL,
    subject="alice",
    claims={"groups": ["staff"], "level": 3, "acr": "gold", "auth_time": AT - 30},
    scopes=frozenset({"orders:read"}),
    host="orders.example",
    path="/v1/Orders/7",
    at=AT,
)


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Court:
    return Court(compile_text(tmp_path_factory.mktemp("nearest"), RULE))


def nearest(court: Court, call: SupposedCall) -> Nearest:
    asked, decision = court.decide(call)
    found = find_nearest(asked, decision, court.snapshot)
    assert found is not None
    return found


def test_of_an_allow_there_is_none(court: Court) -> None:
    asked, decision = court.decide(CALL)
    assert find_nearest(asked, decision, court.snapshot) is None


def claims(**changes: object) -> dict[str, Any]:
    return {"claims": {**CALL.claims, **changes}}


@pytest.mark.parametrize(
    ("changes", "part", "said", "hint"),
    [
        ({"agent": OTHER_AGENT}, "agent", OTHER_AGENT, ""),
        ({"agent": f"{AGENT}r"}, "agent", f"{AGENT}r", AGENT),
        ({"subject": "Alice"}, "principal", "Alice", "alice, in another case"),
        ({"issuer": f"{ISSUER_URL}/"}, "principal", ISSUER_URL, ISSUER_URL),
        ({"host": "a.b.shop.example"}, "host", "a.b.shop.example", "exactly one label"),
        ({"host": "shop.example"}, "host", "shop.example", "exactly one label"),
        ({"host": "order.example"}, "host", "order.example", "orders.example"),
        ({"host": "elsewhere.test"}, "host", "elsewhere.test", ""),
        ({"path": "/v1/Orders/7/"}, "path", "/v1/Orders/7/", "without the / at its end"),
        ({"path": "/v2"}, "path", "/v2", "with a / at its end"),
        ({"path": "/v1/orders/7"}, "path", "/v1/orders/7", "another case"),
        ({"path": "/elsewhere"}, "path", "/elsewhere", ""),
        ({"method": "HEAD"}, "method", "HEAD is not in [GET]", ""),
        ({"upgrade": "h2c"}, "upgrade", "h2c is not in [websocket]", ""),
        ({"chain": ("planner",)}, "depth", "chain of 1 hops, this one has 2", ""),
        (claims(groups=[]), "condition", "claim groups hasAny staff", "the list []"),
        (claims(level="3"), "condition", "another type", 'the text "3"'),
        (claims(level=None), "condition", "claim level atLeast 3", "claim level is absent"),
        (claims(level=2), "condition", "claim level atLeast 3", "claim level is the number 2"),
        ({"scopes": frozenset({"orders.read"})}, "scopes", "scope orders:read", "orders.read"),
        (claims(acr="silver"), "step-up", "acr in [gold], found silver", ""),
        (claims(acr=None), "step-up", "found none", ""),
        (claims(auth_time=AT - 90), "step-up", "found 90 s ago", ""),
        (claims(auth_time="x"), "step-up", "at most 60 s ago, found x", ""),
    ],
)
def test_one_part_is_missing(
    court: Court, changes: dict[str, Any], part: str, said: str, hint: str
) -> None:
    found = nearest(court, replace(CALL, **changes))
    (unmet,) = found.unmet
    assert unmet.part == part
    assert part in PARTS
    assert said in unmet.message
    assert hint in unmet.hint
    assert bool(hint) is bool(unmet.hint)
    assert str(found).startswith("nearest rule one/rule: ")


def test_all_parts_at_once(court: Court) -> None:
    call = SupposedCall(
        agent=OTHER_AGENT,
        issuer="https://elsewhere.example",
        subject="eve",
        host="elsewhere.test",
        chain=("x",),
        method="POST",
        upgrade="h2c",
    )
    parts = [unmet.part for unmet in nearest(court, call).unmet]
    assert set(parts) == set(PARTS) - {"call", "limits", "approval"}


def test_a_limit(tmp_path: Path) -> None:
    court = Court(compile_text(tmp_path, changed(RULE, "[Orders, orders:read]", "[Orders]")))
    assert [unmet.part for unmet in nearest(court, CALL).unmet] == ["limits"]


MCP = changed(
    changed(RULE, "methods: [GET]", "methods: [POST]"), 'paths: ["/v1/Orders/{id}", /v2/]',
    "paths: [/mcp]\n      mcp: {methods: [tools/call, tools/list], names: [Search, find*]}",
)  # fmt: skip


@pytest.mark.parametrize(
    ("call", "said", "hint"),
    [
        (AgentCall(Protocol.MCP, "tools/calls", ""), "mcp method tools/calls", "tools/call"),
        (AgentCall(Protocol.MCP, "tools/call", "search"), "name search", "Search, in another"),
        (AgentCall(Protocol.MCP, "tools/list"), "name (none)", ""),
    ],
)
def test_another_call(tmp_path: Path, call: AgentCall, said: str, hint: str) -> None:
    court = Court(compile_text(tmp_path, MCP))
    (unmet,) = nearest(court, replace(CALL, path="/mcp", call=call)).unmet
    assert unmet.part == "call"
    assert said in unmet.message
    assert hint in unmet.hint


def test_no_call_or_one_of_another_protocol(tmp_path: Path) -> None:
    court = Court(compile_text(tmp_path, MCP))
    plain = nearest(court, replace(CALL, path="/elsewhere", method="POST"))
    assert [unmet.part for unmet in plain.unmet] == ["path", "call"]
    assert "protocol: mcp" in plain.unmet[1].hint
    send = AgentCall(Protocol.A2A, "SendMessage")
    other = nearest(court, replace(CALL, path="/a2a", call=send))
    assert "one of a2a, not of mcp" in other.unmet[1].message


def test_rules_that_cover_the_call_are_nearer_than_others(tmp_path: Path) -> None:
    copy = RULE.partition("  rules:\n")[2]
    easy = copy.partition("      when:")[0] + "      scopes: []\n"
    easy = easy.replace("name: rule", "name: easy").replace("orders.example", "other.example")
    court = Court(compile_text(tmp_path, RULE + easy))
    found = nearest(court, replace(CALL, claims={}, scopes=frozenset()))
    assert str(found.rule) == "one/rule"
    assert nearest(court, replace(CALL, method="PUT")).rule.rule == "rule"


def test_claims_of_principals() -> None:
    staff = PrincipalPattern(ISSUER_URL, frozenset(), {"groups": frozenset({"staff", "it"})})
    eve = Principal(ISSUER_URL, "eve", Kind.USER, {"groups": ["Staff", "x"]})
    message, hint = explain_principal(eve, [staff])
    assert message == "claim groups is [Staff, x], none of [it, staff]"
    assert "staff" in hint
    nobody = Principal(ISSUER_URL, "eve", Kind.USER, {})
    assert explain_principal(nobody, [staff]) == ("claim groups is absent, none of [it, staff]", "")


def test_long_lists_are_cut() -> None:
    assert show([str(number) for number in range(7)]) == "[0, 1, 2, 3, 4, and 2 more]"
    assert show([]) == "[]"
    assert hint_spelling("x", []) == ""


def test_a_rule_that_differs_in_a_letter_is_nearer_than_one_of_other_methods(
    tmp_path: Path,
) -> None:
    one = MCP.partition("  rules:\n")[2]
    listing = changed(one, "methods: [tools/call, tools/list], names: [Search, find*]",
                      "methods: [tools/list]").replace("name: rule", "name: a-listing")  # fmt: skip
    other = changed(one, "names: [Search, find*]", "names: [drop]").replace(
        "name: rule", "name: other"
    )
    court = Court(compile_text(tmp_path, MCP + listing + other))
    for name, rule in (("Searches", "rule"), ("dropp", "other"), ("qqq", "other")):
        call = replace(CALL, path="/mcp", call=AgentCall(Protocol.MCP, "tools/call", name))
        assert nearest(court, call).rule.rule == rule, name


WHEN = RULE.partition("      when:")[0] + "      when: [{WANTED}]\n      scopes: []\n"


@pytest.mark.parametrize(
    ("condition", "hint"),
    [
        ("header: x-a, equals: b", "header x-a is a text of 50 characters"),
        ("header: x-b, equals: b", ""),
        ("header: x-c, exists: true", "header x-c is absent"),
        ("claim: long, hasAny: [b]", "claim long is a list of 30 elements"),
        ("claim: deep, equals: b", "claim deep is an object"),
        ("claim: yes, equals: false", "claim yes is true"),
        ("path: id, equalsClaim: who", 'path id is the text "7", claim who is absent'),
        ("time: {days: [tue]}", "it is Monday 2026-01-05 12:00 in UTC"),
        ("cel: 'false'", ""),
    ],
)
def test_what_was_found_where_a_condition_does_not_hold(
    tmp_path: Path, condition: str, hint: str
) -> None:
    text = changed(changed(WHEN, ", /v2/", ""), "WANTED", condition)
    court = Court(compile_text(tmp_path, text))
    given: dict[str, Json] = {"long": ["x"] * 30, "deep": {"a": 1}, "yes": True}
    headers = {"x-a": "a" * 50, "x-b": "a,b"}
    (unmet,) = nearest(court, replace(CALL, claims=given, headers=headers)).unmet
    assert (unmet.part, unmet.hint) == ("condition", hint)


def test_a_time_that_no_calendar_has() -> None:
    assert near_miss._clock(1e300, UTC) == ""


def test_for_programs(court: Court) -> None:
    told = nearest(court, replace(CALL, method="PUT")).to_json()
    unmet = {"part": "method", "message": "method PUT is not in [GET]", "hint": ""}
    assert told == {"rule": "one/rule", "call": None, "unmet": [unmet]}
