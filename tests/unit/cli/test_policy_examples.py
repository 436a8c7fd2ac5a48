"""Examples of answers about policies, before the real decision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deputize.analysis.policy_set import Asked, PolicySet
from deputize.analysis.questions import ask, compare
from deputize.analysis.witness import Witness
from deputize.cli.court import Court
from deputize.cli.supposed_call import AgentCall, SupposedCall
from deputize.config.policy_compiler import CompiledPolicies
from deputize.config.policy_loader import load_policies
from deputize.core.verdict import Permit
from tests.harness.questioned import RESOURCES, RICH, write

AT = 1_800_000_000.0


def as_call(witness: Witness) -> SupposedCall:
    claims: dict[str, Any] = dict(witness.claims)
    if witness.acr:
        claims["acr"] = witness.acr
    if witness.login_age is not None:
        claims["auth_time"] = AT - witness.login_age
    call = witness.call
    return SupposedCall(
        agent=witness.agent,
        issuer=witness.issuer,
        subject=witness.subject,
        claims=claims,
        scopes=frozenset(witness.scopes),
        chain=tuple(f"hop-{hop}" for hop in range(1, witness.depth)),
        method=witness.method,
        host=witness.host,
        path=witness.path,
        upgrade=witness.upgrade,
        call=None
        if call is None
        else AgentCall(call.protocol, call.method, call.name, call.arguments or {}),
        headers={name: str(value) for name, value in witness.headers.items()},
        body=b"[" if witness.has_other_body else b"",
        at=AT if witness.at is None else witness.at.timestamp(),
    )


def is_permitted(court: Court, witness: Witness) -> bool:
    return isinstance(court.decide(as_call(witness)).decision.verdict, Permit)


def to_set(compiled: CompiledPolicies) -> PolicySet:
    return PolicySet(compiled.rules, compiled.routes, compiled.limits)


def test_every_example_of_an_answer_is_permitted(tmp_path: Path) -> None:
    compiled = load_policies(write(tmp_path / "p.yaml", *RICH, resources=RESOURCES))
    answer = ask(to_set(compiled), Asked())
    court = Court(compiled)
    names = {"staff", "deep", "strong", "tools", "rpc", "task", "rest", "a2a-rpc"}
    assert {row.rule.ref.rule for row in answer.rows} == names
    for row in answer.rows:
        assert row.is_certain
        assert is_permitted(court, row.witness), row.witness


def test_examples_of_a_change_get_different_answers(tmp_path: Path) -> None:
    for dropped in range(len(RICH)):
        rules = [rule for at, rule in enumerate(RICH) if at != dropped]
        old = load_policies(write(tmp_path / "old.yaml", *RICH, resources=RESOURCES))
        new = load_policies(write(tmp_path / "new.yaml", *rules, resources=RESOURCES))
        found = compare(to_set(old), to_set(new))
        before, after = Court(old), Court(new)
        is_forbid = RICH[dropped].get("effect") == "forbid"
        assert bool(found.widened) == is_forbid
        assert bool(found.narrowed) == (not is_forbid)
        for row in found.widened + found.narrowed:
            answers = is_permitted(before, row.witness), is_permitted(after, row.witness)
            assert answers == (not is_forbid, is_forbid)


CONDITIONS: tuple[tuple[dict[str, object], dict[str, object]], ...] = (
    ({"argument": "amount", "atMost": 100}, {"argument": "amount", "atMost": 50}),
    ({"argument": "a.b", "oneOf": ["x", "y"]}, {"argument": "a.b", "equals": "y"}),
    ({"argument": "l", "hasOnly": ["x", "y"]}, {"argument": "l", "hasOnly": ["y"]}),
    ({"header": "x-a", "startsWith": "/a/"}, {"header": "x-a", "startsWith": "/a/b/"}),
    ({"header": "x-a", "exists": False}, {"header": "x-a", "equals": ""}),
    ({"claim": "c.d", "noneOf": [1]}, {"claim": "c.d", "noneOf": [1, 2]}),
    ({"claim": "c", "hasAny": ["x", "y"]}, {"claim": "c", "hasAny": ["z", "y"]}),
    (
        {"time": {"begins": "08:00", "ends": "18:00"}},
        {"time": {"begins": "07:00", "ends": "12:30", "days": ["mon"]}},
    ),
)


@pytest.mark.parametrize(("before", "after"), CONDITIONS)
@pytest.mark.parametrize("effect", ["allow", "forbid"])
def test_examples_of_a_changed_condition_get_different_answers(
    tmp_path: Path, before: dict[str, object], after: dict[str, object], effect: str
) -> None:
    def load(name: str, when: dict[str, object]) -> CompiledPolicies:
        rule = {**RICH[3], "when": [when], "effect": effect, "name": "changed"}
        others = [RICH[3]] if effect == "forbid" else []
        return load_policies(write(tmp_path / name, *others, rule, resources=RESOURCES[:1]))

    old, new = load("old.yaml", before), load("new.yaml", after)
    found = compare(to_set(old), to_set(new))
    courts = Court(old), Court(new)
    assert found.widened + found.narrowed
    for row in found.widened + found.narrowed:
        assert row.is_certain
        if not row.witness.hinges:
            answers = tuple(is_permitted(court, row.witness) for court in courts)
            assert answers == ((False, True) if row in found.widened else (True, False))
