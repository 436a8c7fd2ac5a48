"""`policy who-can`, `what-can` and `diff`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deputize.analysis import space
from tests.harness.questioned import NO_SECRET, READ, RESOURCES, RICH, read, run, write
from tests.harness.service_config import service_config
from tests.harness.world import AGENT, HOST, ISSUER_URL, OTHER_AGENT


def test_who_can_names_agents_and_what_they_need(tmp_path: Path) -> None:
    policies = write(tmp_path / "p.yaml", READ, {**READ, "name": "more", "agents": [OTHER_AGENT]})
    result = run("who-can", policies, "--route", f"GET {HOST}/v1/orders/7")
    assert result.exit_code == 0
    assert AGENT in result.stdout
    assert OTHER_AGENT in result.stdout
    answer = read(run("who-can", policies, "--route", f"GET {HOST}/v1/orders/7", "--json"))
    assert [row["agents"] for row in answer["rows"]] == [[OTHER_AGENT], [AGENT]]
    assert answer["rows"][0]["scopes"] == ["orders:read"]
    one = run("who-can", policies, "--route", f"GET {HOST}/v1/orders/7", "--agent", AGENT, "--json")
    assert [row["rule"] for row in read(one)["rows"]] == ["orders/read"]


def test_a_forbid_and_a_limit_leave_nobody(tmp_path: Path) -> None:
    policies = write(tmp_path / "p.yaml", READ, NO_SECRET)
    result = run("who-can", policies, "--route", f"GET {HOST}/v1/orders/secret")
    assert result.exit_code == 0
    assert "nobody" in result.stdout
    limit = {"onBehalfOf": [{"issuer": ISSUER_URL, "anyone": True}], "scopes": ["other"]}
    policies = write(tmp_path / "p.yaml", READ, principal_scopes=[limit])
    answer = read(run("what-can", policies, "--agent", AGENT, "--json"))
    assert answer["rows"] == []


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--tool", "get_a"), 1),
        (("--tool", "put"), 0),
        (("--call", "tools/call get_a"), 1),
        (("--call", "resources/read file:///a/b"), 1),
        (("--call", "tools/list"), 0),
    ],
)
def test_who_can_is_asked_about_calls(tmp_path: Path, options: tuple[str, ...], count: int) -> None:
    policies = write(tmp_path / "p.yaml", *RICH, resources=RESOURCES)
    result = run("who-can", policies, "--route", f"POST {HOST}/mcp", *options, "--json")
    assert len(read(result)["rows"]) == count


def test_what_can_is_asked_about_a_principal(tmp_path: Path) -> None:
    policies = write(tmp_path / "p.yaml", RICH[0], RICH[-2], NO_SECRET)

    def ask_for(*options: str) -> list[Any]:
        return list(read(run("what-can", policies, "--agent", AGENT, *options, "--json"))["rows"])

    assert ask_for()[0]["demands"] == ["claim groups has a"]
    assert ask_for()[0]["unless"] == ["claim groups has b"]
    assert len(ask_for("--on-behalf-of", f"{ISSUER_URL} alice", "--claim", "groups=a")) == 1
    assert ask_for("--claim", "groups=b") == []
    assert ask_for("--claim", "groups=a", "--claim", "groups=b") == []
    assert ask_for("--on-behalf-of", "https://other.example") == []


def test_a_diff_fails_on_what_widens_only(tmp_path: Path) -> None:
    wide = write(tmp_path / "wide.yaml", READ)
    narrow = write(tmp_path / "narrow.yaml", READ, NO_SECRET)
    assert run("diff", narrow, wide).exit_code == 0
    result = run("diff", narrow, wide, "--fail-on-widening", "--json")
    assert result.exit_code == 1
    (row,) = read(result)["widened"]
    assert row["certain"]
    assert row["paths"] == ["/v1/orders/secret"]
    assert row["example"]["path"] == "/v1/orders/secret"
    assert run("diff", wide, narrow, "--fail-on-widening").exit_code == 0
    assert "newly refused" in run("diff", wide, narrow).stdout
    assert run("diff", wide, wide, "--fail-on-widening").exit_code == 0


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
        assert len(row["dependsOn"]) == 2
    assert "(possible)" in run("diff", before, after).stdout
    assert run("diff", before, after, "--fail-on-widening", "--ignore-possible").exit_code == 0
    assert run("diff", before, before, "--fail-on-widening").exit_code == 0
    spaced = office("c.yaml", " 1  in\n [1] ")
    assert run("diff", before, spaced, "--fail-on-widening").exit_code == 0


def test_to_observe_what_was_enforced_widens(tmp_path: Path) -> None:
    enforced = write(tmp_path / "a.yaml", READ, NO_SECRET)
    observed = write(tmp_path / "b.yaml", READ, NO_SECRET, mode="observe")
    result = run("diff", enforced, observed, "--fail-on-widening", "--json")
    assert result.exit_code == 1
    answer = read(result)
    assert {reading for row in answer["widened"] for reading in row["readings"]} == {"now"}
    assert answer["observedPolicies"] == ["orders"]
    assert run("diff", observed, enforced, "--fail-on-widening").exit_code == 0
    told = run("what-can", observed, "--agent", AGENT).stdout
    assert "only observed" in told


@pytest.mark.parametrize(
    "arguments",
    [
        ("diff", "absent.yaml", "absent.yaml"),
        ("who-can", "p.yaml", "--route", "GET"),
        ("who-can", "p.yaml", "--route", "get a.t/x"),
        ("who-can", "p.yaml", "--route", "GET a.t/x", "--tool", "a", "--call", "b"),
        ("who-can", "p.yaml", "--route", "GET a.t/x", "--call", "a*b"),
        ("who-can", "p.yaml", "--route", "GET a.t/x", "--agent", "nobody"),
        ("what-can", "p.yaml", "--agent", AGENT, "--claim", "groups"),
    ],
)
def test_bad_input_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "p.yaml", READ)
    assert run(*arguments).exit_code == 2


def test_what_cannot_be_decided_is_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "MAX_WORK", 1)
    policies = write(tmp_path / "p.yaml", READ, NO_SECRET)
    result = run("diff", policies, policies, "--json")
    assert result.exit_code == 3
    assert result.stdout == ""
    assert "not decided" in result.stderr


def test_a_claim_that_says_again_who_it_is_makes_a_row_possible(tmp_path: Path) -> None:
    named = {**READ, "onBehalfOf": [{"issuer": ISSUER_URL, "claims": {"sub": ["alice"]}}]}
    policies = write(tmp_path / "p.yaml", named)
    (row,) = read(run("what-can", policies, "--agent", AGENT, "--json"))["rows"]
    assert not row["certain"]
    assert row["dependsOn"] == ["claim sub has alice"]


def test_a_service_that_enforces_nothing_is_told(tmp_path: Path) -> None:
    write(tmp_path / "p.yaml", READ)

    def service(name: str, mode: str) -> Path:
        document = service_config(
            issuer=ISSUER_URL,
            audience="orders",
            keys={"file": "keys.json"},
            trust_domains=["prod.example.org"],
            policies=["p.yaml"],
            grpc_listen=["127.0.0.1:1"],
        )
        document["spec"]["policyMode"] = mode
        file = tmp_path / name
        file.write_text(json.dumps(document))
        return file

    enforced, observed = service("a.yaml", "enforce"), service("b.yaml", "observe")
    result = run("diff", enforced, observed, "--fail-on-widening")
    assert result.exit_code == 1, result.output
    assert "policyMode was enforce and is observe" in result.stdout
    assert run("diff", observed, enforced, "--fail-on-widening").exit_code == 0
    assert run("diff", enforced, tmp_path / "p.yaml", "--fail-on-widening").exit_code == 0
    told = run("what-can", observed, "--agent", AGENT)
    assert "policyMode is observe" in told.stdout
