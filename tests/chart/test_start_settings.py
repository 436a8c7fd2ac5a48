"""An upgrade replaces pods for what they read at start only, and for nothing else they read."""

from __future__ import annotations

from typing import Any

import pytest

from deputize.config.schema import ServiceSpec
from deputize.server.app import _needs_restart
from tests.chart.chart_cases import FILES, GATEWAY, REDIS, REMOTE
from tests.chart.chart_objects import only, service_config, sidecar_patch
from tests.chart.test_refusals import problems
from tests.harness.helm import NEEDED, POLICY, overlay

ANNOTATION = "deputize.dev/start-settings"
ISSUER: dict[str, Any] = NEEDED["config"]["issuers"][0]
KUBERNETES = {"kubernetes": {"enabled": True}}

CHANGES: dict[str, list[dict[str, Any]]] = {
    "server": [
        {"config": {"server": {"decisionTimeoutMillis": 100}}},
        {"config": {"server": {"drain": {"delaySeconds": 7}}}},
        {"config": {"server": {"grpc": {"maxMessageBytes": 16777216}}}},
        {"listenHost": "[::]"},
        {"proxies": [GATEWAY], "tls": {"source": "secret", "secretName": "cert"}},
    ],
    "audit": [{"config": {"audit": {"queueSize": 500}}}],
    "kubernetes": [
        KUBERNETES,
        {"kubernetes": {"enabled": True, "namespaces": ["store"]}},
        {"kubernetes": {"enabled": True, "namespaces": ["store", "agents"]}},
    ],
    "replay": [{"replay": REDIS}, {"config": {"replay": {"entries": 500}}}],
    "token": [
        {"config": {"token": {"cacheEntries": 500}}},
        {"config": {"token": {"upstream": "keep"}}},
    ],
    "peer": [{"config": {"peer": {"trustDomains": ["a.example"]}}}],
    "delegation": [{"config": {"delegation": {"forbiddenActors": ["a"]}}}],
    "issuers": [{"config": {"issuers": [{**ISSUER, "audiences": ["a"]}]}}],
    "denyLists": [{"config": {"denyLists": REMOTE["denyLists"]}}],
    "profiles": [{"config": {"profiles": ["/profiles"]}}],
    "policies": [{"policyConfigMaps": ["team-a"]}],
    "policyMode": [{"config": {"policyMode": "observe"}}],
    "approvals": [{"config": {"approvals": REMOTE["approvals"]}}],
    "upstream": [{"config": {"upstream": {"headerPrefix": "x-agent-"}}}],
}
"""Values that change a setting of the service, by its key in `spec`."""


def digest(values: dict[str, Any]) -> str:
    template = only(values, "Deployment")["spec"]["template"]
    found: str = template["metadata"]["annotations"][ANNOTATION]
    return found


def spec(values: dict[str, Any]) -> ServiceSpec:
    return ServiceSpec.model_validate(service_config(values))


def test_every_setting_is_changed() -> None:
    keys = {field.alias for field in ServiceSpec.model_fields.values()}
    assert keys == CHANGES.keys()


@pytest.mark.parametrize(
    "values",
    [each for key in CHANGES for each in CHANGES[key]],
    ids=lambda values: str(values)[:60],
)
def test_pods_are_replaced_for_what_takes_effect_at_the_next_start(values: dict[str, Any]) -> None:
    assert spec(values) != spec({})
    assert (digest(values) != digest({})) is bool(_needs_restart(spec({}), spec(values)))


def test_each_setting_of_start_is_noticed_alone() -> None:
    noted = {
        note
        for each in CHANGES.values()
        for values in each
        for note in _needs_restart(spec({}), spec(values))
    }
    assert {note.split()[0] for note in noted} == {
        "spec.server",
        "spec.audit",
        "spec.kubernetes",
        "spec.replay",
        "spec.token.cacheEntries",
    }


def test_other_namespaces_replace_pods() -> None:
    first, second, third = CHANGES["kubernetes"]
    assert len({digest(first), digest(second), digest(third)}) == 3


def test_files_and_objects_beside_replace_nothing() -> None:
    for values in (FILES, {"policies": {"more": POLICY}}):
        assert digest(values) == digest({})
    before = only(FILES, "Deployment")["spec"]["template"]
    after = only(overlay(FILES, {"files": {"jwks.json": "{}"}}), "Deployment")["spec"]["template"]
    assert before == after


def test_the_annotation_is_beside_those_of_the_operator() -> None:
    values = {"podAnnotations": {"example.org/note": "yes"}}
    annotations = only(values, "Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {"example.org/note": "yes", ANNOTATION: digest({})}
    (problem,) = problems({"podAnnotations": {ANNOTATION: "mine"}})
    assert ANNOTATION in problem


def test_a_configuration_of_others_is_not_known() -> None:
    values = {"config": None, "existingConfigMap": "mine"}
    template = only(values, "Deployment")["spec"]["template"]
    assert "annotations" not in template["metadata"]
    assert "metadata" not in sidecar_patch({**values, "shape": "sidecar"})["spec"]["template"]


def test_each_shape_has_it() -> None:
    template = only({"shape": "daemonset"}, "DaemonSet")["spec"]["template"]
    assert template["metadata"]["annotations"] == {ANNOTATION: digest({})}


def test_pods_with_a_sidecar_are_replaced_when_they_are_patched_again() -> None:
    def patched(**config: object) -> str:
        patch = sidecar_patch({"shape": "sidecar", "config": config})
        found: str = patch["spec"]["template"]["metadata"]["annotations"][ANNOTATION]
        return found

    assert patched() == patched(policyMode="observe")
    assert patched() != patched(audit={"queueSize": 500})
