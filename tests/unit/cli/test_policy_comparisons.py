"""`policy diff` on conditions, budgets, approvals and claims: what it says of their values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.harness.questioned import NO_SECRET, READ, RESOURCES, RICH, read, run, write
from tests.harness.world import AGENT, ISSUER_URL


def limited(file: Path, **when: object) -> Path:
    return write(file, {**RICH[3], "when": [when]}, resources=RESOURCES[:1])


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ({"argument": "amount", "atMost": 100}, {"argument": "amount", "atMost": 50}),
        ({"argument": "a.b", "atLeast": 1}, {"argument": "a.b", "atLeast": 1.5}),
        ({"argument": "to", "oneOf": ["EU", "US"]}, {"argument": "to", "oneOf": ["EU"]}),
        ({"header": "x-to", "noneOf": ["EU"]}, {"header": "x-to", "noneOf": ["US", "EU"]}),
        ({"claim": "to", "hasAny": [1, 2]}, {"claim": "to", "hasAny": [2]}),
        ({"claim": "to", "hasOnly": [1, 2]}, {"claim": "to", "hasOnly": [1]}),
        ({"argument": "at", "startsWith": "/a/"}, {"argument": "at", "startsWith": "/a/b/"}),
        ({"argument": "at", "endsWith": ["a", "b"]}, {"argument": "at", "endsWith": "b"}),
        ({"token": "ageSeconds", "atMost": 90}, {"token": "ageSeconds", "atMost": 60}),
        ({"header": "x-to", "exists": True}, {"header": "x-to", "equals": "EU"}),
    ],
)
def test_a_tighter_condition_widens_nothing(
    tmp_path: Path, wide: dict[str, object], narrow: dict[str, object]
) -> None:
    before, after = limited(tmp_path / "a.yaml", **wide), limited(tmp_path / "b.yaml", **narrow)
    result = run("diff", before, after, "--fail-on-widening", "--json")
    assert result.exit_code == 0, result.stdout
    (row,) = read(result)["narrowed"]
    assert row["certain"]
    back = run("diff", after, before, "--fail-on-widening", "--ignore-possible")
    assert back.exit_code == 1


def test_an_example_has_values_of_facts(tmp_path: Path) -> None:
    before = limited(tmp_path / "a.yaml", argument="pay.amount", atMost=100)
    after = limited(tmp_path / "b.yaml", argument="pay.amount", atMost=50)
    (row,) = read(run("diff", before, after, "--json"))["narrowed"]
    assert 50 < row["example"]["call"]["arguments"]["pay"]["amount"] <= 100
    assert row["demands"] == ["argument pay.amount atMost 100, but not atMost 50"]
    assert "pay" in run("diff", before, after).stdout


def test_a_changed_expression_is_possible_either_way(tmp_path: Path) -> None:
    def office(name: str, source: str) -> Path:
        return limited(tmp_path / name, cel=source)

    before, after = office("a.yaml", "1 in [1]"), office("b.yaml", "2 in [2]")
    result = run("diff", before, after, "--fail-on-widening", "--json")
    assert result.exit_code == 1
    for side in ("widened", "narrowed"):
        (row,) = read(result)[side]
        assert not row["certain"]
        assert len(row["depends_on"]) == 2
    assert "(possible)" in run("diff", before, after).stdout
    assert run("diff", before, after, "--fail-on-widening", "--ignore-possible").exit_code == 0
    assert run("diff", before, before, "--fail-on-widening").exit_code == 0
    spaced = office("c.yaml", " 1  in\n [1] ")
    assert run("diff", before, spaced, "--fail-on-widening").exit_code == 0


def changed(tmp_path: Path, before: Mapping[str, object], after: Mapping[str, object]) -> Any:  # noqa: ANN401 - whatever is in the answer
    old, new = (
        write(tmp_path / f"{at}.yaml", {**READ, **rule}) for at, rule in enumerate((before, after))
    )
    return read(run("diff", old, new, "--json"))


def test_budgets_are_compared_by_their_numbers(tmp_path: Path) -> None:
    def budget(limit: int, seconds: int = 60, per: tuple[str, ...] = ()) -> dict[str, object]:
        return {"budget": {"limit": limit, "windowSeconds": seconds, "per": list(per)}}

    found = changed(tmp_path, budget(20), budget(10))
    assert found["widened"] == []
    (row,) = found["narrowed"]
    assert row["certain"]
    assert row["demands"] == ["10 to 19 calls counted for orders/read in 60 seconds, all together"]
    assert changed(tmp_path, budget(10), {})["widened"][0]["certain"]
    other = changed(tmp_path, budget(10), budget(10, 3600))
    assert not other["widened"][0]["certain"]
    assert not other["narrowed"][0]["certain"]
    assert len(changed(tmp_path, budget(10), budget(10, 60, ("agent",)))["widened"]) == 1


def test_a_renamed_rule_with_a_budget_is_told_but_widens_nothing(tmp_path: Path) -> None:
    budget = {"budget": {"limit": 5, "windowSeconds": 60}}
    found = changed(tmp_path, budget, {**budget, "name": "other"})
    assert found["widened"] == found["narrowed"] == []
    assert found["renamed_budgets"] == [{"old": "orders/read", "new": "orders/other"}]
    assert "counts it anew" in run("diff", tmp_path / "0.yaml", tmp_path / "1.yaml").stdout


def test_approvals_are_compared_by_service_and_approver(tmp_path: Path) -> None:
    def approval(*services: str, four_eyes: bool = False) -> dict[str, object]:
        urls = [f"https://{name}.example" for name in services]
        return {"approval": {"services": urls, "approverNotPrincipal": four_eyes}}

    for wide, narrow in (
        (approval("a"), approval("a", four_eyes=True)),
        (approval("a", "b"), approval("a")),
        (approval("a", "b"), approval("b", four_eyes=True)),
        ({}, approval("a")),
    ):
        found = changed(tmp_path, wide, narrow)
        assert found["widened"] == []
        assert all(row["certain"] for row in found["narrowed"])
        assert found["narrowed"]
    (row,) = changed(tmp_path, approval("a"), approval("a", "b"))["widened"]
    assert row["demands"] == ["an approval of https://b.example"]
    (row,) = changed(tmp_path, approval("a", four_eyes=True), approval("a"))["widened"]
    assert row["demands"] == ["an approval of https://a.example, by the principal"]
    assert row["example"]["provided"] == row["demands"]


def test_values_of_one_claim_are_one_answer(tmp_path: Path) -> None:
    policies = write(tmp_path / "p.yaml", RICH[0])
    (row,) = read(run("what-can", policies, "--agent", AGENT, "--json"))["rows"]
    assert row["demands"] == ["claim groups has a or b"]
    (row,) = read(run("diff", write(tmp_path / "q.yaml", NO_SECRET), policies, "--json"))["widened"]
    assert row["demands"] == ["claim groups has a or b"]
    two = {
        **READ,
        "onBehalfOf": [{"issuer": ISSUER_URL, "claims": {"g": ["a", "b"], "h": ["c", "d"]}}],
    }
    (row,) = read(run("what-can", write(tmp_path / "r.yaml", two), "--agent", AGENT, "--json"))[
        "rows"
    ]
    assert row["demands"] == ["claim g has a or b", "claim h has c or d"]


def test_what_must_not_be_there_is_told_apart(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", {**READ, "scopes": ["crm:read"]})
    write(tmp_path / "b.yaml", {**READ, "scopes": []})
    (row,) = read(run("diff", tmp_path / "a.yaml", tmp_path / "b.yaml", "--json"))["widened"]
    assert row["unless"] == ["scope crm:read"]
    assert (
        "unless       scope crm:read"
        in run("diff", tmp_path / "a.yaml", tmp_path / "b.yaml").stdout
    )
