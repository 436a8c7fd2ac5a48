"""What a real API server refuses by our definitions, and that it drops nothing of the rest."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from deputize.config.issuer_schema import IssuerProfileFile
from deputize.config.model import Model
from deputize.config.policy_schema import DelegationPolicy
from tests.harness.api_server import ApiServer
from tests.harness.object_space import PLURALS, objects_path
from tests.harness.stored_objects import FORBID, RULE

ROOT = Path(__file__).resolve().parents[2]
HOLDS = {"claim": "team", "equals": "sales"}
PLACE = {"hosts": ["orders.example"], "paths": ["/mcp/**"]}
PROFILE: dict[str, Any] = {"title": "Ours", "sources": ["our handbook"]}


def said(server: ApiServer, spec: object, kind: str = "DelegationPolicy", name: str = "a") -> str:
    """Why the server refuses the object; empty when it would take it."""
    body = {
        "apiVersion": "deputize.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }
    answer = server.request("POST", objects_path("default", kind), body, dryRun="All")
    assert answer.status_code in {201, 422}, answer.text
    if answer.status_code == 201:
        assert answer.json()["spec"] == spec, "nothing is dropped, nothing is added"
        return ""
    return str(answer.json()["message"])


def allow(**keys: object) -> dict[str, Any]:
    return {"rules": [RULE | keys]}


def forbid(**keys: object) -> dict[str, Any]:
    return {"rules": [FORBID | keys]}


def when(**keys: object) -> dict[str, Any]:
    return allow(when=[keys])


def window(**keys: object) -> dict[str, Any]:
    return when(time=keys)


def behalf(**keys: object) -> dict[str, Any]:
    return allow(onBehalfOf=[{"issuer": "https://issuer.example", **keys}])


def resource(**keys: object) -> dict[str, Any]:
    return {"resources": [PLACE | keys]}


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (behalf(), "anyone: true"),
        (behalf(anyone=True, subjects=["alice"]), "anyone: true"),
        (window(begins="09:00"), "`begins` goes with `ends`"),
        (window(begins="09:00", ends="09:00"), "are the same"),
        (window(), "give `days`"),
        (window(zone="UTC"), "give `days`"),
        (when(equals="a"), "exactly one fact"),
        (when(claim="a", header="b", equals="a"), "exactly one fact"),
        (when(claim="a", cel="true"), "exactly one fact"),
        (when(claim="a"), "one and only one"),
        (when(claim="a", equals=1, oneOf=[1]), "one and only one"),
        (when(cel="true", exists=True), "one and only one"),
        (allow(stepUp={}), "`acrValues`"),
        ({"rules": [{key: value for key, value in RULE.items() if key != "scopes"}]}, "`scopes`"),
        (forbid(scopes=[]), "no `scopes`"),
        (forbid(upgrades=["websocket"]), "no `upgrades`"),
        (forbid(chain={"maxDepth": 1}), "no `chain`"),
        (forbid(stepUp={"maxAgeSeconds": 1}), "no `stepUp`"),
        (forbid(approval={"services": ["a"]}), "no `approval`"),
        (forbid(budget={"limit": 1, "windowSeconds": 60}), "no `budget`"),
        (forbid(obligations={}), "no `obligations`"),
        (allow(mcp={"methods": ["*"]}, grpc={"methods": ["*"]}), "one of `mcp`"),
        (when(argument="a", equals=1), "`argument` needs"),
        (resource(protocol="mcp", read="rest"), "`read` of"),
        (resource(protocol="grpc", read="grpc"), "`read` of"),
        (resource(), "`metadataUrl`"),
        (
            {"resources": [PLACE | {"protocol": "a2a", "read": "rest", "paths": ["/a"]}]},
            "every path",
        ),
        ({}, "give `rules`"),
        ({"rules": []}, "give `rules`"),
        (
            {"mode": "observe", "agentCeilings": [{"agents": RULE["agents"], "scopes": []}]},
            "observed only",
        ),
        (allow(effect="deny"), "Unsupported value"),
        (allow(hosts=["a.example", "a.example"]), "Duplicate value"),
        (allow(hosts=[]), "at least 1 items"),
        (allow(budget={"limit": 0, "windowSeconds": 60}), "greater than or equal to 1"),
        (allow(name="Read"), "should match"),
        ({"rules": [RULE, RULE]}, "Duplicate value"),
        ({"rules": [RULE | {"name": f"r{number}"} for number in range(257)]}, "at most 256"),
    ],
)
def test_a_policy_that_breaks_a_rule_is_refused(server: ApiServer, spec: object, told: str) -> None:
    assert told in said(server, spec)


@pytest.mark.parametrize(
    ("actor", "told"),
    [
        (["act.sub", "act.client_id"], "at most one"),
        (["act"], "outermost"),
        (["act.act.sub"], "outermost"),
        (["act.a.act"], "outermost"),
        (["act.sub", "azp"], ""),
        (["active.sub", "acting"], ""),
        ([r"act.a\.act"], ""),
        ([r"act.a\\.act"], ""),
    ],
)
def test_a_profile_names_one_actor_of_a_chain(
    server: ApiServer, actor: list[str], told: str
) -> None:
    found = said(server, {**PROFILE, "actor": actor}, "IssuerProfile")
    assert told in found
    assert bool(told) == bool(found)


@pytest.mark.parametrize("name", ["a.b", "a" * 64])
@pytest.mark.parametrize("kind", sorted(PLURALS))
def test_a_name_has_no_dots(server: ApiServer, name: str, kind: str) -> None:
    spec = PROFILE if kind == "IssuerProfile" else allow()
    assert "a name has" in said(server, spec, kind, name)
    assert said(server, spec, kind) == ""


@pytest.mark.parametrize(
    "spec",
    [
        allow(whenn=[HOLDS]),
        allow(when=None),
        allow(chain={"maxDepth": 1, "minDepth": 1}),
        forbid(chain=None),
        when(claim="a", equals=None),
        when(claim="a", equals={"b": [1, None]}),
        when(claim="a", oneOf=["a", 1, True, 1.5]),
        when(claim="a", startsWith=["b"]),
        {**allow(), "rule": []},
    ],
)
def test_nothing_that_was_written_is_dropped(server: ApiServer, spec: object) -> None:
    # The service refuses most of it. Without these keys the rules would allow more than was meant.
    assert said(server, spec) == ""


POOL: Mapping[str, list[Any]] = {
    "mode": ["enforce", "observe", "on"],
    "effect": ["allow", "forbid"],
    "scopes": [[], ["a"], ["a", "a"], ["a b"]],
    "hosts": [["a.example"], [], ["a", "a"]],
    "onBehalfOf": [
        [{"issuer": "a", **who}]
        for who in ({"anyone": True}, {}, {"subjects": ["b"]}, {"anyone": True, "claims": {}})
    ],
    "when": [
        [HOLDS],
        [],
        [{"claim": "a"}],
        [{"argument": "a", "exists": True}],
        [{"time": {"begins": "09:00", "ends": "10:00"}}],
        [{"time": {"zone": "UTC"}}],
        [{"header": "x-a", "atLeast": 1, "atMost": 2}],
        [{"cel": "true"}, {"cel": "true", "claim": "a"}],
    ],
    "mcp": [{"methods": ["*"]}, {"methods": []}, {}],
    "a2a": [{"operations": ["*"]}],
    "grpc": [{"methods": ["*"]}],
    "stepUp": [{}, {"maxAgeSeconds": 1}, {"maxAgeSeconds": -1}],
    "budget": [{"limit": 1, "windowSeconds": 1}, {"limit": 1}],
    "resources": [
        [],
        [PLACE | {"protocol": "mcp"}],
        [PLACE | {"protocol": "a2a", "read": "rest"}],
        [PLACE | {"protocol": "mcp", "read": "rest"}],
        [PLACE],
    ],
    "agentCeilings": [[], [{"agents": RULE["agents"], "scopes": ["a"]}]],
}
_OF_SPEC = ("mode", "resources", "agentCeilings")


def draw(source: random.Random) -> dict[str, Any]:
    """A policy that is nearly right."""
    rule, spec = copy.deepcopy(RULE), dict[str, Any]()
    for key in source.sample(sorted(POOL), source.randint(0, 4)):
        (spec if key in _OF_SPEC else rule)[key] = source.choice(POOL[key])
    if source.random() < 0.2:
        rule.pop("scopes")
    return spec if source.random() < 0.1 else {**spec, "rules": [rule]}


def mistakes(model: type[Model], spec: object) -> list[ErrorDetails]:
    kind = model.model_fields["kind"].annotation.__args__[0]  # type: ignore[union-attr]
    head = {"apiVersion": "deputize.dev/v1alpha1", "kind": kind, "metadata": {"name": "a"}}
    try:
        model.model_validate({**head, "spec": spec})
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def test_the_server_and_the_service_agree(server: ApiServer) -> None:
    source, counts = random.Random(17), [0, 0]  # noqa: S311 - no secret
    for _number in range(400):
        spec = draw(source)
        found, refusal = mistakes(DelegationPolicy, spec), said(server, spec)
        if refusal:
            assert found, f"{spec}: {refusal}"
        spanning = [each for each in found if isinstance(each["input"], dict)]
        if spanning and len(spanning) == len(found):
            assert refusal, f"{spec}: {found}"
        counts[bool(refusal)] += 1
    assert min(counts) > 50, "both happen"


def test_every_profile_that_comes_with_deputize_could_be_an_object(server: ApiServer) -> None:
    for file in sorted((ROOT / "src/deputize/profiles").glob("*.yaml")):
        spec = yaml.safe_load(file.read_text())["spec"]
        assert mistakes(IssuerProfileFile, spec) == []
        assert said(server, spec, "IssuerProfile") == ""
