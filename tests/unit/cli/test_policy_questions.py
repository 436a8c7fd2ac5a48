"""`policy who-can`, `what-can` and `diff`, and their examples before the real decision."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deputize.analysis import space
from deputize.analysis.policy_set import Asked, PolicySet
from deputize.analysis.questions import ask, compare
from deputize.analysis.witness import Witness
from deputize.cli.court import AgentCall, Court, SupposedCall
from deputize.cli.policy_commands import policy_commands
from deputize.config.policy_compiler import CompiledPolicies
from deputize.config.policy_loader import load_policies
from deputize.core.verdict import Permit
from tests.harness.recordings import policy_text
from tests.harness.world import AGENT, HOST, ISSUER_URL, OTHER_AGENT

AT = 1_800_000_000.0
READ = {"name": "read"}
NO_SECRET = {
    "name": "no-secret",
    "effect": "forbid",
    "agents": ["spiffe://prod.example.org/**"],
    "methods": ["*"],
    "paths": ["/v1/orders/secret"],
}
RICH = (
    {"name": "staff", "onBehalfOf": [{"issuer": ISSUER_URL, "claims": {"groups": ["a", "b"]}}]},
    {"name": "deep", "paths": ["/v2/{x}"], "chain": {"maxDepth": 2}, "upgrades": ["websocket"]},
    {"name": "strong", "paths": ["/v3"], "stepUp": {"acrValues": ["gold"], "maxAgeSeconds": 60}},
    {
        "name": "tools",
        "methods": ["POST"],
        "paths": ["/mcp"],
        "mcp": {"methods": ["tools/*", "resources/read"], "names": ["get_*", "file:///a/*"]},
    },
    {"name": "rpc", "methods": ["*"], "paths": ["/**"], "grpc": {"methods": ["pkg.Svc/Get*"]}},
    {"name": "task", "methods": ["*"], "paths": ["/a2a/**"], "a2a": {"operations": ["*"]}},
    {"name": "rest", "methods": ["*"], "paths": ["/rest/**"], "a2a": {"operations": ["*"]}},
    {"name": "a2a-rpc", "methods": ["*"], "paths": ["/**"], "a2a": {"operations": ["GetTask"]}},
    {
        "name": "no-b",
        "effect": "forbid",
        "methods": ["*"],
        "paths": ["/**"],
        "onBehalfOf": [{"issuer": ISSUER_URL, "claims": {"groups": ["b"]}}],
    },
    NO_SECRET,
)
RESOURCES = (
    {"hosts": [HOST], "paths": ["/mcp"], "protocol": "mcp"},
    {"hosts": [HOST], "paths": ["/pkg.Svc/{method}"], "protocol": "grpc"},
    {"hosts": [HOST], "paths": ["/a2a/agent"], "protocol": "a2a"},
    {"hosts": [HOST], "paths": ["/rest/**"], "protocol": "a2a", "read": "rest"},
    {
        "hosts": [HOST],
        "paths": ["/lf.a2a.v1.A2AService/{method}"],
        "protocol": "a2a",
        "read": "grpc",
    },
)


def write(file: Path, *rules: Mapping[str, object], **head: Any) -> Path:  # noqa: ANN401 - as `policy_text`
    file.write_text(policy_text(*rules, **head))
    return file


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(policy_commands, list(map(str, arguments)))


def read(result: Result) -> Any:  # noqa: ANN401 - whatever is in the answer
    return json.loads(result.stdout)


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
        call=None if call is None else AgentCall(call.protocol, call.method, call.name),
        body=b"[" if witness.has_other_body else b"",
        at=AT,
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

    assert ask_for()[0]["demands"] == ["claim groups has a", "claim groups is without b"]
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


def test_a_changed_condition_is_possible_either_way(tmp_path: Path) -> None:
    def limited(name: str, most: int) -> Path:
        rule = {**RICH[3], "when": [{"argument": "amount", "atMost": most}]}
        return write(tmp_path / name, rule, resources=RESOURCES)

    result = run("diff", limited("a.yaml", 5), limited("b.yaml", 6), "--fail-on-widening", "--json")
    assert result.exit_code == 1
    for side in ("widened", "narrowed"):
        (row,) = read(result)[side]
        assert not row["certain"]
        assert len(row["dependsOn"]) == 2
    assert (
        run("diff", tmp_path / "a.yaml", tmp_path / "a.yaml", "--fail-on-widening").exit_code == 0
    )
    assert "(possible)" in run("diff", tmp_path / "a.yaml", tmp_path / "b.yaml").stdout


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
