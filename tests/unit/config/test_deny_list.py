from __future__ import annotations

import json
import math

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deputize.config import deny_list as module
from deputize.config.deny_list import DenyList, parse_deny_list
from deputize.config.problems import ConfigError
from deputize.core.revocation import NOTHING_REVOKED, Revocations
from tests.harness.config_files import changed, line_of
from tests.harness.deny_lists import deny_list
from tests.harness.strategies import LAW

FULL = """\
apiVersion: deputize.dev/v1alpha1
kind: DenyList
spec:
  agents:
    - spiffe://prod.example.org/ns/agents/sa/research
  tokens:
    - {issuer: https://idp.example.org, id: 7d0c1c3e}
  principals:
    - {issuer: https://idp.example.org, subject: mallory}
  issuers: [https://idp.evil.example]
  issuedBefore:
    - {issuer: https://idp.example.org, time: "1970-01-01T00:01:40Z"}
    - {issuer: https://idp.example.org, subject: alice, time: "1970-01-01T01:03:20+01:00"}
    - {agent: spiffe://prod.example.org/ns/agents/sa/planner, time: "1970-01-01T00:05:00.5Z"}
"""
IDP = "https://idp.example.org"
HEAD = "apiVersion: deputize.dev/v1alpha1\nkind: DenyList\n"
PLANNER = "spiffe://prod.example.org/ns/agents/sa/planner"
EVERYTHING = Revocations(
    tokens=frozenset({(IDP, "7d0c1c3e")}),
    principals=frozenset({(IDP, "mallory")}),
    agents=frozenset({"spiffe://prod.example.org/ns/agents/sa/research"}),
    issuers=frozenset({"https://idp.evil.example"}),
    issuer_cutoffs={IDP: 100.0},
    principal_cutoffs={(IDP, "alice"): 200.0},
    agent_cutoffs={PLANNER: 300.5},
    usable_until=math.inf,
)


def read(text: str | bytes) -> Revocations:
    return parse_deny_list(text if isinstance(text, bytes) else text.encode(), "deny.yaml")


def places(text: str | bytes) -> list[tuple[int, str]]:
    """Line and pointer of each problem; there must be some."""
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert {problem.file for problem in caught.value.problems} == {"deny.yaml"}
    return [(problem.line, problem.pointer) for problem in caught.value.problems]


def test_everything_reaches_the_core() -> None:
    assert read(FULL) == EVERYTHING


def test_a_list_may_be_json() -> None:
    moments = ["1970-01-01T00:01:40Z", "1970-01-01T00:03:20Z", "1970-01-01T00:05:00.500Z"]
    text = deny_list(
        agents=sorted(EVERYTHING.agents),
        tokens=[{"issuer": IDP, "id": "7d0c1c3e"}],
        principals=[{"issuer": IDP, "subject": "mallory"}],
        issuers=["https://idp.evil.example"],
        issuedBefore=[
            {"issuer": IDP, "time": moments[0]},
            {"issuer": IDP, "subject": "alice", "time": moments[1]},
            {"agent": PLANNER, "time": moments[2]},
        ],
    )
    assert read(text) == read(json.dumps(json.loads(text), indent=4)) == EVERYTHING


def test_nothing_is_revoked_where_that_is_said() -> None:
    assert read(f"{HEAD}spec: {{}}\n") == NOTHING_REVOKED
    assert read(f"{HEAD}spec: {{agents: [], tokens: []}}\n") == NOTHING_REVOKED


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "null\n", "~\n"])
def test_an_empty_file_is_refused(text: str) -> None:
    assert places(text) == [(0, "")]


def test_two_documents_are_refused() -> None:
    assert places(f"{FULL}---\n{FULL}") == [(0, "")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD, [(1, "spec")]),
        (f"{HEAD}spec:\n", [(3, "spec")]),
        (f"{HEAD}spec: []\n", [(3, "spec")]),
        (f"{HEAD}spec:\n  agents:\n", [(4, "spec.agents")]),
        (f"{HEAD}spec:\n  agents: {{}}\n", [(4, "spec.agents")]),
        (f"{HEAD}spec: {{}}\nmetadata: {{}}\n", [(4, "metadata")]),
        ("[]", [(1, "")]),
        ("text", [(1, "")]),
        (b"\xff", [(0, "")]),
        ("{", [(2, "")]),
        ('{"kind": "DenyList", "kind": "DenyList"}', [(1, "kind")]),
    ],
)
def test_what_is_no_deny_list_is_refused(
    text: str | bytes, expected: list[tuple[int, str]]
) -> None:
    assert places(text) == expected


@pytest.mark.parametrize(
    ("old", "new", "pointer"),
    [
        ("deputize.dev/v1alpha1", "deputize.dev/v1", "apiVersion"),
        ("kind: DenyList", "kind: ServiceConfig", "kind"),
        ("  tokens:", "  token: []\n  tokens:", "spec.token"),
        ("- spiffe://prod.example.org/ns/agents/sa/research", "- research", "spec.agents[0]"),
        ("sa/research", "sa/*", "spec.agents[0]"),
        ("spiffe://prod.example.org/ns/agents/sa/research", "spiffe://A/b", "spec.agents[0]"),
        ("id: 7d0c1c3e", "id: 7", "spec.tokens[0].id"),
        ("id: 7d0c1c3e", "id: ''", "spec.tokens[0].id"),
        ("id: 7d0c1c3e", 'id: "7d0c1c3e\\n"', "spec.tokens[0].id"),
        ("id: 7d0c1c3e", "jti: 7d0c1c3e, id: a", "spec.tokens[0].jti"),
        ("id: 7d0c1c3e", f"id: {'a' * 2049}", "spec.tokens[0].id"),
        ("subject: mallory", "subject: null", "spec.principals[0].subject"),
        ("subject: mallory", 'subject: "a\\u202e"', "spec.principals[0].subject"),
        ("[https://idp.evil.example]", "[[]]", "spec.issuers[0]"),
        ("[https://idp.evil.example]", '["a\\n"]', "spec.issuers[0]"),
        ("[https://idp.evil.example]", "https://idp.evil.example", "spec.issuers"),
        ("subject: alice", f"agent: {PLANNER}", "spec.issuedBefore[1]"),
        ("subject: alice", f"subject: alice, agent: {PLANNER}", "spec.issuedBefore[1]"),
        ("subject: alice", "client: alice", "spec.issuedBefore[1].client"),
        ("agent: spiffe", "subject: alice, agent: spiffe", "spec.issuedBefore[2]"),
        ("agent: spiffe", "agent: s", "spec.issuedBefore[2].agent"),
        (f"agent: {PLANNER}", "subject: alice", "spec.issuedBefore[2]"),
        (f"agent: {PLANNER}, ", "", "spec.issuedBefore[2]"),
        ('"1970-01-01T00:05:00.5Z"', "300", "spec.issuedBefore[2].time"),
        (', time: "1970-01-01T00:05:00.5Z"', "", "spec.issuedBefore[2].time"),
    ],
)
def test_one_mistake_refuses_the_list_and_says_where(old: str, new: str, pointer: str) -> None:
    text = changed(FULL, old, new)
    ((line, found),) = places(text)
    assert found == pointer
    # The first changed line is the place, also where it no longer has the key.
    lines = zip(FULL.splitlines(), text.splitlines(), strict=False)
    assert line == next(number for number, (was, now) in enumerate(lines, 1) if was != now)


def test_all_mistakes_come_at_once() -> None:
    text = changed(FULL, "id: 7d0c1c3e", "id: 7").replace("sa/research", "sa/re search")
    text = text.replace("00:01:40Z", "00:01:40").replace("principals", "principal")
    assert places(text) == [
        (line_of(text, "re search"), "spec.agents[0]"),
        (line_of(text, "id: 7"), "spec.tokens[0].id"),
        (line_of(text, "principal:"), "spec.principal"),
        (line_of(text, "00:01:40"), "spec.issuedBefore[0].time"),
    ]


def test_a_key_comes_with_the_likely_one_and_a_value_is_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        read(changed(FULL, "issuedBefore:", "issued_before:").replace("7d0c1c3e", "'', ids: 4711"))
    messages = " ".join(problem.message for problem in caught.value.problems)
    assert "`issuedBefore`" in messages
    assert "`id`" in messages


def moment(text: str) -> float:
    cutoffs = read(deny_list(issuedBefore=[{"issuer": IDP, "time": text}])).issuer_cutoffs
    return cutoffs[IDP]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00+00:00", 0),
        ("1970-01-01T00:00:00-00:00", 0),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1969-12-31T18:30:00-05:30", 0),
        ("1970-01-01T00:00:00.25Z", 0.25),
        ("2024-02-29T00:00:00Z", 1_709_164_800),
        ("2026-01-31T12:00:00Z", 1_769_860_800),
    ],
)
def test_a_time_is_rfc_3339(text: str, seconds: float) -> None:
    assert moment(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00",
        "2026-01-31",
        "2026-01-31 12:00:00Z",
        "2026-01-31t12:00:00z",
        "2026-01-31T12:00Z",
        "20260131T120000Z",
        "2026-W05-6T12:00:00Z",
        "2026-02-29T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:00:60Z",
        "2026-01-31T12:00:00,5Z",
        "2026-01-31T12:00:00.1234567Z",
        "2026-01-31T12:00:00+2:00",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+00:60",
        "2026-01-31T12:00:00+00:00:01",
        "0000-01-01T00:00:00Z",
        "\u0662026-01-31T12:00:00Z",
        "2026-01-31T12:00:00Z\n",
        " 2026-01-31T12:00:00Z",
        "1769860800",
        "yesterday",
        "",
    ],
)
def test_a_time_that_is_not_is_refused(text: str) -> None:
    listed = deny_list(issuedBefore=[{"issuer": IDP, "time": text}])
    assert places(listed) == [(1, "spec.issuedBefore[0].time")]


def test_a_time_needs_no_quotes() -> None:
    assert read(FULL.replace('"', "")) == EVERYTHING


def test_an_entry_that_stands_twice_counts_once() -> None:
    entries: dict[str, list[object]] = {
        "agents": [PLANNER],
        "tokens": [{"issuer": IDP, "id": "a"}],
        "principals": [{"issuer": IDP, "subject": "a"}],
        "issuers": [IDP],
        "issuedBefore": [{"issuer": IDP, "time": "2026-01-31T12:00:00Z"}],
    }
    twice = {name: value * 2 for name, value in entries.items()}
    assert read(deny_list(**twice)) == read(deny_list(**entries))


@LAW
@given(st.permutations([100, 200, 300]), st.sampled_from([{}, {"subject": "a"}]))
def test_the_latest_of_several_moments_counts(minutes: list[int], more: dict[str, object]) -> None:
    entries = [
        {"issuer": IDP, "time": f"1970-01-01T0{each // 60}:{each % 60:02}:00Z", **more}
        for each in minutes
    ]
    found = read(deny_list(issuedBefore=entries))
    cutoffs = found.principal_cutoffs if more else found.issuer_cutoffs
    assert list(cutoffs.values()) == [300 * 60]


def test_a_list_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    text = deny_list(agents=[PLANNER])
    monkeypatch.setattr(module, "MAX_BYTES", len(text))
    assert read(text).agents == {PLANNER}
    assert places(f"{text}\n") == [(0, "")]


@pytest.mark.parametrize("name", ["agents", "tokens", "principals", "issuers", "issuedBefore"])
def test_too_many_entries_are_one_problem(name: str) -> None:
    entries = "a," * (module.MAX_ENTRIES + 1)
    assert places(f"{HEAD}spec: {{{name}: [{entries}]}}\n") == [(3, f"spec.{name}")]


def test_the_models_schema_accepts_what_is_read() -> None:
    schema = DenyList.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    text = deny_list(
        agents=[PLANNER], issuedBefore=[{"agent": PLANNER, "time": "2026-01-31T12:00:00Z"}]
    )
    jsonschema.validate(json.loads(text), schema, jsonschema.Draft202012Validator)
    wrong = json.loads(deny_list(agents=[PLANNER], token=[]))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema, jsonschema.Draft202012Validator)
