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


def test_to_observe_what_was_enforced_widens(tmp_path: Path) -> None:
    enforced = write(tmp_path / "a.yaml", READ, NO_SECRET)
    observed = write(tmp_path / "b.yaml", READ, NO_SECRET, mode="observe")
    result = run("diff", enforced, observed, "--fail-on-widening", "--json")
    assert result.exit_code == 1
    answer = read(result)
    assert {reading for row in answer["widened"] for reading in row["readings"]} == {"now"}
    assert answer["observed_policies"] == ["orders"]
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
    assert row["depends_on"] == ["claim sub has alice"]


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


@pytest.mark.parametrize(
    ("question", "part", "similar"),
    [
        (("who-can", "--route", f"POST {HOST}x/mcp", "--tool", "get_a"), "host", HOST),
        (("who-can", "--route", f"POST {HOST}/mpc/x/y", "--tool", "get_a"), "path", None),
        (("who-can", "--route", f"POST {HOST}/mcp", "--tool", "got_a"), "tool", None),
        (("who-can", "--route", f"PUT {HOST}/mcp", "--tool", "get_a"), "method", None),
        (
            ("who-can", "--route", f"POST {HOST}/mcp", "--call", "resources/raed"),
            "call",
            "resources/read",
        ),
        (("what-can", "--agent", f"{AGENT}x"), "agent", AGENT),
        (
            ("what-can", "--agent", AGENT, "--on-behalf-of", f"{ISSUER_URL}x"),
            "issuer",
            ISSUER_URL,
        ),
        (
            ("what-can", "--agent", AGENT, "--on-behalf-of", f"{ISSUER_URL} alize"),
            "subject",
            "alice",
        ),
    ],
)
def test_what_no_rule_names_is_told(
    tmp_path: Path, question: tuple[str, ...], part: str, similar: str | None
) -> None:
    only = [{"issuer": ISSUER_URL, "subjects": ["alice"]}]
    rule = {**RICH[3], "onBehalfOf": only}
    policies = write(tmp_path / "p.yaml", rule, resources=RESOURCES[:1])
    result = run(question[0], policies, *question[1:], "--json")
    assert result.exit_code == 0
    (unknown,) = read(result)["unknown"]
    assert (unknown["part"], unknown["similar"]) == (part, similar)
    told = run(question[0], policies, *question[1:])
    assert "nobody" in told.stdout
    assert unknown["asked"] in told.stderr
    assert ("did you mean" in told.stderr) == (similar is not None)


def test_what_rules_name_apart_from_each_other_is_not_unknown(tmp_path: Path) -> None:
    policies = write(tmp_path / "p.yaml", READ, RICH[3], resources=RESOURCES[:1])
    asked = ("who-can", policies, "--route", f"GET {HOST}/mcp")
    answer = read(run(*asked, "--json"))
    assert answer["rows"] == answer["unknown"] == []


def test_a_principal_is_an_issuer_first(tmp_path: Path) -> None:
    named = {**READ, "onBehalfOf": [{"issuer": "accounts.example", "anyone": True}]}
    policies = write(tmp_path / "p.yaml", named)
    asked = ("what-can", policies, "--agent", AGENT, "--on-behalf-of")
    assert run(*asked, "alice").exit_code == 2
    assert "ISSUER SUBJECT" in run(*asked, "alice").stderr
    assert run(*asked, "accounts.example alice").stdout.endswith("1 answer\n")


def test_given_claims_leave_no_other_claim(tmp_path: Path) -> None:
    rule = {**READ, "when": [{"claim": "region", "equals": "EU"}]}
    policies = write(tmp_path / "p.yaml", rule)
    asked = ("what-can", policies, "--agent", AGENT)
    (row,) = read(run(*asked, "--json"))["rows"]
    assert row["certain"]
    assert row["example"]["claims"] == {"region": "EU"}
    assert read(run(*asked, "--claim", "groups=a", "--json"))["rows"] == []
    (row,) = read(run(*asked, "--claim", "region=EU", "--json"))["rows"]
    assert row["example"]["claims"] == {"region": "EU"}
    assert read(run(*asked, "--claim", "region=US", "--json"))["rows"] == []
    assert read(run(*asked, "--claim", "region=EU", "--claim", "region=US", "--json"))["rows"] == []
