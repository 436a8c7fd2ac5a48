"""`deputize test`: cases in files beside the policies they are about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from typer.testing import CliRunner, Result

from deputize.cli.junit import CaseReport, render_junit
from deputize.cli.main import app
from deputize.core.reasons import Reason
from tests.harness.config_files import SERVICE, changed, write_world
from tests.harness.court_policies import RULES, write_policies
from tests.harness.world import AGENT, ISSUER_URL, OTHER_AGENT

DEFAULTS: dict[str, Any] = {
    "agent": AGENT,
    "onBehalfOf": {"issuer": ISSUER_URL, "subject": "alice", "claims": {"groups": ["staff"]}},
    "scopes": ["orders:read"],
    "url": "https://orders.example/v1/orders/7",
}
ALLOW = {"effect": "allow"}


def case(name: str = "a case", expect: Mapping[str, Any] = ALLOW, **call: Any) -> dict[str, Any]:  # noqa: ANN401 - any part of a call
    return {"name": name, "call": call, "expect": dict(expect)}


def write_cases(folder: Path, *cases: object, name: str = "shop", **spec: object) -> Path:
    text = {
        "apiVersion": "deputize.dev/v1alpha1",
        "kind": "PolicyTest",
        "spec": {"defaults": DEFAULTS, "cases": list(cases), **spec},
    }
    file = folder / f"{name}.test.yaml"
    file.write_text(yaml.safe_dump(text, sort_keys=False))
    return file


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["test", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_policies(tmp_path)
    return tmp_path


GOOD: list[dict[str, Any]] = [
    case(),
    case(expect={**ALLOW, "reason": "policy.allowed", "rule": "shop/read"}),
    case(expect={**ALLOW, "scopes": ["orders:read"], "observed": "none"}),
    case(expect={"effect": "deny", "reason": "policy.no_match"}, agent=OTHER_AGENT),
    case(
        expect={"effect": "deny", "reason": "policy.forbidden", "rule": "shop/no-secrets"},
        url="https://any.example:8443/v1/orders/secret?x=1",
    ),
    case(expect={"effect": "deny"}, host="other.example"),
    case(expect={"effect": "deny"}, path="/v1/orders"),
    case(expect={"effect": "deny"}, method="PUT"),
    case(
        expect={"effect": "deny", "reason": "request.override_header"},
        headers={"x-rewrite-url": "/"},
    ),
    case(expect={"effect": "deny"}, onBehalfOf={"claims": {"groups": ["x"]}}),
    case(expect={"effect": "deny"}, onBehalfOf={"issuer": "https://other.example"}),
    case(expect={"effect": "deny"}, scopes=[]),
    case(url="https://office.example", at="2026-01-05T17:59:00+01:00", chain=["planner"]),
    case(url="https://office.example", upgrade="websocket", style="impersonated"),
    case(url="https://office.example", onBehalfOf={"kind": "user"}),
    case(expect={"effect": "deny"}, url="https://office.example", at="2026-01-06T12:00:00Z"),
    case(
        expect={**ALLOW, "rule": "shop/search"},
        url="https://tools.example/mcp",
        scopes=["tools"],
        mcp={"method": "tools/call", "name": "search", "arguments": {"q": [1, None, 2.5]}},
    ),
    case(
        expect={"effect": "deny", "rule": "shop/pay"},
        url="https://tools.example/mcp",
        scopes=["tools"],
        mcp={"method": "tools/call", "name": "pay", "arguments": {"amount": 500}},
    ),
    case(url="https://agents.example/rest", a2a={"operation": "GetTask", "task": "t1"}),
    case(url="https://grpc.example/shop.Orders/List"),
    case(
        url="https://orders.example/v1/orders/7/refund",
        method="POST",
        scopes=["orders:write"],
        onBehalfOf={"claims": {"acr": "gold"}},
        body="{}",
        approved="carol",
    ),
    case(
        expect={"effect": "deny", "reason": "policy.approval_required"},
        url="https://orders.example/v1/orders/7/refund",
        method="POST",
        scopes=["orders:write"],
        onBehalfOf={"claims": {"acr": "gold"}},
        approved=False,
    ),
]


REFUND: dict[str, Any] = {
    "url": "https://orders.example/v1/orders/7/refund",
    "method": "POST",
    "scopes": ["orders:write"],
    "onBehalfOf": {"claims": {"acr": "gold"}},
    "approved": "carol",
}
USED_UP = {"effect": "deny", "reason": "policy.budget_exhausted", "rule": "shop/refund"}
GOOD += [
    case(**REFUND, used=2),
    case(expect=USED_UP, **REFUND, used=3),
    case(used=1000),
    case(expect={"effect": "deny", "reason": "policy.no_match"}, method="PUT", used=3),
]


@pytest.mark.parametrize("good", GOOD, ids=range(len(GOOD)))
def test_a_case_that_passes(folder: Path, good: dict[str, Any]) -> None:
    write_cases(folder, good)
    result = run(folder)
    assert result.exit_code == 0, result.output
    assert result.stdout == "cases 1, failed 0, files 1\n"


@pytest.mark.parametrize(
    ("failing", "expected", "got", "because"),
    [
        (
            case(scopes=[]),
            "allow",
            "deny, policy.insufficient_scope",
            "nearest rule shop/read: needs scope orders:read",
        ),
        (case(expect={"effect": "deny"}), "deny", "allow, policy.allowed", "by rule shop/read"),
        (
            case(expect={**ALLOW, "rule": "shop/office"}),
            "allow, rule shop/office",
            "allow, policy.allowed, rule shop/read",
            "granted by rule shop/read",
        ),
        (
            case(expect={**ALLOW, "rule": "shop/read"}, method="PUT"),
            "allow, rule shop/read",
            "deny, policy.no_match, rule none",
            "rule shop/read: method PUT is not in [GET]",
        ),
        (
            case(expect={**ALLOW, "scopes": []}),
            "allow, scopes none",
            "allow, policy.allowed, scopes orders:read",
            "granted by rule shop/read",
        ),
        (
            case(path="/v1/orders/secret"),
            "allow",
            "deny, policy.forbidden",
            "(rule shop/no-secrets)",
        ),
        (
            case(path="/v1/../x"),
            "allow",
            f"deny, {Reason.REQUEST_AMBIGUOUS_PATH}",
            "a dot segment",
        ),
        (
            case(expect={"effect": "deny"}, agent="research"),
            "deny, policy.*",
            "deny, peer.malformed",
            "",
        ),
        (
            case(expect={**ALLOW, "observed": "policy.forbidden"}),
            "allow, observed policy.forbidden",
            "allow, policy.allowed, observed none",
            "granted",
        ),
        (
            case(expect={"effect": "deny", "reason": "policy.forbidden"}, method="PUT"),
            "deny, policy.forbidden",
            "deny, policy.no_match",
            "nearest rule",
        ),
    ],
)
def test_a_case_that_fails(
    folder: Path, failing: dict[str, Any], expected: str, got: str, because: str
) -> None:
    file = write_cases(folder, case("good"), {**failing, "name": "bad"})
    result = run(file)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    line = file.read_text().splitlines().index("  - name: bad") + 1
    assert lines[0] == f"FAILED {file}:{line}: bad"
    assert lines[1].split(maxsplit=1) == ["expected", expected]
    assert lines[2].split(maxsplit=1) == ["got", got]
    assert because in lines[3]
    assert lines[-1] == "cases 2, failed 1, files 1"


def problems(result: Result) -> list[str]:
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    return result.stderr.splitlines()


def test_all_problems_have_their_lines(folder: Path) -> None:
    write_cases(
        folder,
        case("twice"),
        case("twice", expect={**ALLOW, "rule": "shop/reed"}),
        case("nothing can send it", onBehalfOf={"claims": {"sub": "x"}}),
    )
    write_cases(folder, case(nonsense=1), name="other")
    found = problems(run(folder))
    assert [text.split(": ")[1] for text in found] == [
        "spec.cases[0].call.nonsense",
        "spec.cases[1].name",
        "spec.cases[1].expect.rule",
    ]
    assert "did you mean `shop/read`" in found[2]
    assert all(text.split(": ")[0].rpartition(":")[2].isdigit() for text in found)


def test_a_call_that_nobody_can_make_is_bad_input(folder: Path) -> None:
    write_cases(folder, case(onBehalfOf={"claims": {"sub": "x"}}), case("b", onBehalfOf={"issuer": "https://approvals.example"}))  # fmt: skip # noqa: E501
    found = problems(run(folder))
    assert [text.split(": ")[1] for text in found] == ["spec.cases[0].call", "spec.cases[1].call"]


@pytest.mark.parametrize(
    "bad",
    [
        case(expect={"effect": "maybe"}),
        case(expect={"effect": "deny", "scopes": []}),
        case(expect={"effect": "deny", "observed": "none"}),
        case(expect={"effect": "deny", "reason": "policy.allowed"}),
        case(expect={"effect": "allow", "reason": "policy.no_match"}),
        case(expect={"effect": "deny", "reason": "policy.nothing"}),
        case(expect={"effect": "allow", "observed": "policy.nothing"}),
        case(expect={}),
        case(url="orders.example/x"),
        case(url="https://orders.example/x", path="/y"),
        case(body="x", mcp={"method": "ping"}),
        case(at="2026-01-01"),
        case(name=""),
    ],
)
def test_bad_cases(folder: Path, bad: dict[str, Any]) -> None:
    write_cases(folder, bad)
    assert problems(run(folder))


@pytest.mark.parametrize(
    ("absent", "place"),
    [("agent", "agent"), ("onBehalfOf", "onBehalfOf.issuer"), ("url", "url")],
)
def test_what_a_call_must_have(folder: Path, absent: str, place: str) -> None:
    defaults = {name: value for name, value in DEFAULTS.items() if name != absent}
    write_cases(folder, case(), defaults=defaults)
    (found,) = problems(run(folder))
    assert f"spec.cases[0].call.{place}: " in found


def test_a_part_of_the_principal_is_not_enough(folder: Path) -> None:
    write_cases(folder, case(), defaults={**DEFAULTS, "onBehalfOf": {"issuer": ISSUER_URL}})
    (found,) = problems(run(folder))
    assert "onBehalfOf.subject" in found


def test_what_many_cases_have_not_is_told_once_at_the_defaults(folder: Path) -> None:
    defaults = {**DEFAULTS, "onBehalfOf": {"issuer": ISSUER_URL}}
    file = write_cases(folder, case("a"), case("b"), case("c"), defaults=defaults)
    (found,) = problems(run(folder))
    line = file.read_text().splitlines().index("    onBehalfOf:") + 1
    assert found.startswith(f"{file}:{line}: spec.defaults.onBehalfOf.subject: ")


def test_a_reason_that_is_nearly_one_is_told(folder: Path) -> None:
    write_cases(folder, case(expect={"effect": "deny", "reason": "policy.nomatch"}))
    (found,) = problems(run(folder))
    assert "did you mean `policy.no_match`?" in found


def test_of_several_contents_the_own_one_counts(folder: Path) -> None:
    defaults = {
        **DEFAULTS,
        "url": "https://tools.example/mcp",
        "scopes": ["tools"],
        "mcp": {"method": "tools/call", "name": "search"},
    }
    refused = {"effect": "deny", "reason": "request.body_unreadable"}
    write_cases(folder, case("a"), case("b", refused, body="x", method="POST"), defaults=defaults)
    assert run(folder).exit_code == 0


@pytest.mark.parametrize("text", ["", "a: [", "kind: DelegationPolicy\n"])
def test_a_file_that_is_no_test(folder: Path, text: str) -> None:
    (folder / "bad.test.yaml").write_text(text)
    assert all("bad.test.yaml" in text for text in problems(run(folder)))


def test_files_that_are_not_there_or_have_another_name(tmp_path: Path) -> None:
    assert problems(run(tmp_path / "nowhere.test.yaml"))
    assert problems(run(tmp_path / "nowhere.yaml"))
    assert problems(run(tmp_path))


def test_problems_of_policies_are_told_once(folder: Path) -> None:
    (folder / "shop.yaml").write_text(RULES.replace("[GET]", "[get]"))
    write_cases(folder, case(), name="a")
    write_cases(folder, case(), name="b")
    found = problems(run(folder))
    assert len(found) == RULES.count("[GET]")
    assert all(text.startswith(f"{folder / 'shop.yaml'}:") for text in found)


def test_folders_are_searched_but_hidden_ones(tmp_path: Path) -> None:
    for name in ("a", "b/c", ".hidden"):
        inner = tmp_path / name
        inner.mkdir(parents=True)
        write_policies(inner)
        write_cases(inner, case())
    assert run(tmp_path).stdout == "cases 2, failed 0, files 2\n"
    assert run(tmp_path, tmp_path / "a").stdout == "cases 2, failed 0, files 2\n"


def test_a_budget_that_is_observed_refuses_nothing(tmp_path: Path) -> None:
    begin, end = RULES.index("  agentCeilings:"), RULES.index("  rules:")
    # Limits cannot be observed only.
    bare = RULES[:begin] + RULES[end:]
    policy = changed(bare, "  resources:", "  mode: observe\n  resources:")
    (tmp_path / "shop.yaml").write_text(policy)
    observed = {**ALLOW, "observed": "policy.budget_exhausted"}
    within = {**ALLOW, "observed": "none"}
    for expected, used in ((observed, 9), (within, 1)):
        write_cases(tmp_path, case("a", expected, **REFUND, used=used))
        result = run(tmp_path)
        assert result.exit_code == 0, result.output


def test_each_call_of_a_batch_counts(tmp_path: Path) -> None:
    budget = "    - name: search\n      budget: {limit: 3, windowSeconds: 60, per: []}\n"
    (tmp_path / "shop.yaml").write_text(changed(RULES, "    - name: search\n", budget))
    asked = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "search"}}
    body = json.dumps([{**asked, "id": number} for number in (1, 2)])
    call: dict[str, Any] = {
        "url": "https://tools.example/mcp",
        "scopes": ["tools"],
        "method": "POST",
        "body": body,
    }
    used_up = {"effect": "deny", "reason": "policy.budget_exhausted"}
    for expected, used in ((ALLOW, 1), (used_up, 2)):
        write_cases(tmp_path, case("a", expected, **call, used=used))
        result = run(tmp_path)
        assert result.exit_code == 0, result.output


def test_policies_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "tests").mkdir()
    write_policies(tmp_path / "policies")
    for named in ("../policies", "../policies/shop.yaml"):
        write_cases(tmp_path / "tests", case(), policies=[named])
        assert run(tmp_path).exit_code == 0
    file = write_cases(tmp_path / "tests", case(), policies=["../policies", "crmm.yaml"])
    (found,) = problems(run(tmp_path))
    line = file.read_text().splitlines().index("  - crmm.yaml") + 1
    assert found.startswith(f"{file}:{line}: spec.policies[1]: ")


APPROVALS = (
    "  approvals: {services: [{issuer: 'https://approvals.example', keys: {file: a.json}}]}\n"
)


def test_a_service_brings_its_bounds_and_its_mode(tmp_path: Path) -> None:
    service = changed(
        SERVICE,
        "  audit:\n",
        f"{APPROVALS}  policyMode: observe\n  delegation: {{maxChainDepth: 2}}\n  audit:\n",
    )
    config_file = write_world(tmp_path, service=service, policy=RULES)
    observed = {**ALLOW, "observed": "policy.no_match"}
    too_deep = {"effect": "deny", "reason": "delegation.too_deep"}
    cases = [
        case("a", observed, method="PUT"),
        case("b", too_deep, chain=["x", "y"]),
        case("c", observed, agent="spiffe://elsewhere.example/x"),
    ]
    write_cases(tmp_path, *cases, policies=[config_file.name])
    result = run(tmp_path)
    assert result.exit_code == 0, result.output
    write_cases(tmp_path, *cases, policies=[config_file.name, "policies"])
    assert problems(run(tmp_path))


def test_coverage_names_rules_without_a_case(folder: Path) -> None:
    secret = case("s", {"effect": "deny"}, path="/v1/orders/secret")
    refused = case("r", {"effect": "deny"}, url="https://orders.example/v1/orders/1/refund", method="POST")  # fmt: skip # noqa: E501
    write_cases(folder, case("a"), secret, refused)
    result = run(folder, "--coverage")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[1] == "rules 8, exercised 3 (38 %)"
    names = [line.split()[2] for line in lines[2:]]
    assert set(names) == {"shop/office", "shop/search", "shop/pay", "shop/talk", "shop/list"}
    place = RULES[: RULES.index("- name: office")].count("\n") + 1
    assert f"not exercised: shop/office ({folder / 'shop.yaml'}:{place})" in lines
    assert run(folder, "--min-coverage", "37").exit_code == 0
    assert run(folder, "--min-coverage", "38").exit_code == 1
    assert run(folder, "--min-coverage", "101").exit_code == 2


def test_a_rule_found_in_two_ways_counts_once(folder: Path) -> None:
    write_cases(folder, case(), name="a")
    write_cases(folder, case(), name="b", policies=["shop.yaml"])
    assert "rules 8, exercised 1" in run(folder, "--coverage").stdout


def test_without_rules_coverage_is_full(tmp_path: Path) -> None:
    write_policies(tmp_path, RULES.partition("  rules:\n")[0])
    write_cases(tmp_path, case(expect={"effect": "deny"}))
    assert run(tmp_path, "--min-coverage", "100").exit_code == 0


def test_paths_below_this_folder_are_shown_as_one_writes_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cases(folder, case())
    monkeypatch.chdir(folder)
    assert "not exercised: shop/list (shop.yaml:" in run("--coverage").stdout


def test_names_do_not_steer_a_terminal(folder: Path) -> None:
    write_cases(folder, case("\x1b[2J", scopes=[]))
    assert "\\x1b[2J" in run(folder).stdout
    assert "\x1b" not in run(folder).stdout


def test_claims_may_have_any_name(folder: Path) -> None:
    write_cases(folder, case(onBehalfOf={"claims": {"https://acme.example/roles": ["a"]}}))
    assert run(folder).exit_code == 0


def test_junit(folder: Path, tmp_path: Path) -> None:
    write_cases(folder, case("good"), case("bad\u0007 \ufffe <&>", scopes=[]))
    report = tmp_path / "report.xml"
    assert run(folder, "--junit", report).exit_code == 1
    root = ET.fromstring(report.read_bytes())  # noqa: S314 - our own report
    assert root.attrib["tests"] == "2"
    (suite,) = root
    assert (suite.tag, suite.attrib["failures"]) == ("testsuite", "1")
    good, bad = suite
    assert (good.attrib["name"], list(good)) == ("good", [])
    assert bad.attrib["name"] == "bad\\x07 \\ufffe <&>"
    assert bad[0].tag == "failure"
    assert "policy.insufficient_scope" in bad[0].attrib["message"]
    assert problems_of_junit(folder)


def problems_of_junit(folder: Path) -> bool:
    return run(folder, "--junit", folder / "nowhere" / "report.xml").exit_code == 2


def test_reports_hold_what_xml_cannot() -> None:
    report = CaseReport("a\x00b", "f\udc80", 1, 0.5, "\x1b[31m", "\ud800 tab\t")
    root = ET.fromstring(render_junit([("s\x01", [report])]))  # noqa: S314 - our own report
    assert root[0].attrib["time"] == "0.500000"
    failure = root[0][0][0]
    assert (failure.attrib["message"], failure.text) == ("\\x1b[31m", "\\ud800 tab\t")
