from __future__ import annotations

import pytest

from deputize.core.identities import IdentityError, parse_template
from tests.harness.world import AGENT, OTHER_AGENT, make_identities

ACCOUNT = "system:serviceaccount:<ns>:<sa>"
ISTIO = "spiffe://prod.example.org/ns/<ns>/sa/<sa>"
IDENTITIES = make_identities({"research-agent": AGENT, "a:b": OTHER_AGENT}, {ACCOUNT: ISTIO})


def test_a_listed_name_has_its_id() -> None:
    assert IDENTITIES.find("research-agent").text == AGENT
    assert IDENTITIES.find("a:b").text == OTHER_AGENT


def test_a_spiffe_id_stands_for_itself() -> None:
    assert IDENTITIES.find(OTHER_AGENT).text == OTHER_AGENT
    assert make_identities().find("spiffe://partner.example/x").text == "spiffe://partner.example/x"


def test_a_listed_name_counts_first() -> None:
    assert make_identities({OTHER_AGENT: AGENT}).find(OTHER_AGENT).text == AGENT
    listed = make_identities({"system:serviceaccount:a:b": AGENT}, {ACCOUNT: ISTIO})
    assert listed.find("system:serviceaccount:a:b").text == AGENT


def test_a_template_gives_the_id_of_a_whole_name() -> None:
    found = IDENTITIES.find("system:serviceaccount:agents:research.v1_A-")
    assert found.text == "spiffe://prod.example.org/ns/agents/sa/research.v1_A-"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "other",
        "Research-agent",
        "research-agent ",
        "SPIFFE://prod.example.org/x",
        "system:serviceaccount:agents",
        "system:serviceaccount:agents:",
        "system:serviceaccount:agents:research:x",
        "system:serviceaccount:agents:research\n",
        "xsystem:serviceaccount:agents:research",
        "system:serviceaccount:agents/sa/planner:research",
        "system:serviceaccount:agents:..%2fplanner",
        "system:serviceaccount:\u0430gents:research",
        f"system:serviceaccount:agents:{'r' * 254}",
    ],
)
def test_an_unknown_name_has_no_id(name: str) -> None:
    with pytest.raises(IdentityError):
        IDENTITIES.find(name)


@pytest.mark.parametrize(
    "name", ["spiffe://prod.example.org", f"{AGENT}/", "spiffe://Prod.example.org/x", "spiffe://"]
)
def test_a_broken_id_is_not_looked_up_elsewhere(name: str) -> None:
    with pytest.raises(IdentityError):
        make_identities(
            templates={"<any>": ISTIO.replace("<sa>", "<any>").replace("<ns>", "x")}
        ).find(name)


@pytest.mark.parametrize("name", ["..", "."])
def test_a_value_cannot_change_the_shape_of_the_id(name: str) -> None:
    with pytest.raises(IdentityError):
        IDENTITIES.find(f"system:serviceaccount:agents:{name}")


def test_two_templates_may_not_disagree() -> None:
    one, other = "spiffe://prod.example.org/one/<x>", "spiffe://prod.example.org/other/<x>"
    templates = make_identities(templates={"agent:<x>": one, "<x>:<y>": f"{other}/<y>"})
    assert templates.find("bot:a").text == "spiffe://prod.example.org/other/bot/a"
    with pytest.raises(IdentityError):
        templates.find("agent:a")


def test_two_templates_may_agree() -> None:
    agreeing = make_identities(
        templates={
            "agent:<name>": "spiffe://prod.example.org/<name>",
            "<kind>:a": "spiffe://prod.example.org/a-<kind>",
            "agent:<same>": "spiffe://prod.example.org/<same>",
        }
    )
    assert agreeing.find("agent:b").text == "spiffe://prod.example.org/b"
    with pytest.raises(IdentityError):
        agreeing.find("agent:a")


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("agent:<x>", "spiffe://td/<x>"),
        ("<x>", "spiffe://td/a-<x>.v1"),
        ("<x>@clients", "spiffe://td/<x>/<x>"),
        ("<a>:<b>/x:<c>", "spiffe://td/<c>/<b>/<a>"),
        (r".*<a>+", "spiffe://td/<a>"),
    ],
)
def test_a_template_that_can_be_used(source: str, target: str) -> None:
    template = parse_template(source, target)
    assert template.apply(source.replace("<", "").replace(">", "")) == target.replace(
        "<", ""
    ).replace(">", "")


def test_what_looks_like_a_pattern_is_text() -> None:
    assert parse_template(".*<a>", "spiffe://td/<a>").apply("xx1") is None


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("agent", "spiffe://td/agent"),
        ("<A>", "spiffe://td/x"),
        ("<x>:<x>", "spiffe://td/<x>"),
        ("<x>", "spiffe://td/<y>"),
        ("<x>", "spiffe://td/x"),
        ("<x>:<y>", "spiffe://td/<x>"),
        ("<x>", "spiffe://td/<x>/<y>"),
        ("<x>", "spiffe://<x>/agent"),
        ("<x>", "spiffe://a.<x>/<x>"),
        ("<x><y>", "spiffe://td/<x>/<y>"),
        ("<x>-<y>", "spiffe://td/<x>/<y>"),
        ("<x>:<y>ab<z>", "spiffe://td/<x>/<y>/<z>"),
        ("<x>", "https://td/<x>"),
        ("<x>", "spiffe://td/<x>/"),
        ("<x>", "spiffe://td/<x>/../y"),
        ("<x>", "spiffe://td/<x>/<Y>"),
        ("<x>", "<x>"),
    ],
)
def test_a_template_with_more_than_one_reading_or_none(source: str, target: str) -> None:
    with pytest.raises(IdentityError):
        parse_template(source, target)
