"""The pods: how they run in each shape, start, end, scale, and are spread."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import yaml

from tests.chart.chart_cases import EVERYTHING
from tests.chart.chart_objects import container, objects, only, pod_spec, service_config
from tests.harness.helm import CHART, render

NAME = {"app.kubernetes.io/name": "deputize", "app.kubernetes.io/instance": "deputize"}


def test_ports_are_those_that_everything_relies_on() -> None:
    ports = {port["name"]: port for port in only({}, "Service")["spec"]["ports"]}
    assert {name: port["port"] for name, port in ports.items()} == {"grpc": 9191, "http": 8080}
    assert ports["grpc"]["appProtocol"] == "grpc"
    inside = {port["name"]: port["containerPort"] for port in container({})["ports"]}
    assert inside == {"grpc": 9191, "http": 8080}
    server = service_config({})["server"]
    assert server["grpc"]["listen"] == ["0.0.0.0:9191"]
    assert server["http"]["listen"] == "0.0.0.0:8080"


def test_an_update_never_leaves_fewer_pods() -> None:
    for values, key in (({}, "strategy"), ({"shape": "daemonset"}, "updateStrategy")):
        (workload,) = objects(values, "DaemonSet") or objects(values, "Deployment")
        assert workload["spec"][key]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_a_pod_gets_no_token_of_the_cluster() -> None:
    assert pod_spec({})["automountServiceAccountToken"] is False
    assert only({}, "ServiceAccount")["automountServiceAccountToken"] is False


def test_a_pod_gets_a_token_where_policies_are_objects() -> None:
    values = {"kubernetes": {"enabled": True}}
    assert pod_spec(values)["automountServiceAccountToken"] is True
    assert only(values, "ServiceAccount")["automountServiceAccountToken"] is False


def test_a_pod_gets_no_addresses_of_services() -> None:
    assert pod_spec({})["enableServiceLinks"] is False


def test_user_and_group_are_fixed() -> None:
    assert container({})["securityContext"]["runAsUser"] == 65532
    assert container({})["securityContext"]["runAsGroup"] == 65532


def test_the_platform_may_choose_the_user() -> None:
    spec = pod_spec({"runAsUser": None, "runAsGroup": None})
    for context in (spec["securityContext"], spec["containers"][0]["securityContext"]):
        assert context["runAsNonRoot"] is True
        assert not {"runAsUser", "runAsGroup"} & context.keys()


@pytest.mark.parametrize(
    ("drain", "seconds"),
    [
        ({}, 30),
        ({"delaySeconds": 0}, 25),
        ({"delaySeconds": 60, "graceSeconds": 30}, 105),
    ],
)
def test_there_is_time_to_end(drain: dict[str, int], seconds: int) -> None:
    values = {"config": {"server": {"drain": drain}}}
    assert pod_spec(values)["terminationGracePeriodSeconds"] == seconds


def test_probes_ask_for_life_and_for_readiness() -> None:
    ours = container({})
    assert ours["startupProbe"]["httpGet"] == {"path": "/healthz", "port": 8080}
    assert ours["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": 8080}
    assert ours["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": 8080}


def test_readiness_by_grpc() -> None:
    probe = container({"probes": {"readiness": "grpc"}})["readinessProbe"]
    assert probe["grpc"] == {"port": 9191}
    assert "httpGet" not in probe


def test_proxies_of_a_node_reach_the_pod_of_that_node() -> None:
    assert only({"shape": "daemonset"}, "Service")["spec"]["internalTrafficPolicy"] == "Local"
    assert "internalTrafficPolicy" not in only({}, "Service")["spec"]


@pytest.mark.parametrize(
    ("values", "there_is"),
    [
        ({}, True),
        ({"replicas": 1}, False),
        ({"podDisruptionBudget": {"enabled": False}}, False),
        ({"shape": "daemonset"}, False),
        ({"autoscaling": {"enabled": True, "minReplicas": 1}}, False),
        ({"replicas": 1, "autoscaling": {"enabled": True}}, True),
    ],
)
def test_a_budget_for_disruptions_only_where_one_can_go(
    values: dict[str, Any], *, there_is: bool
) -> None:
    budgets = objects(values, "PodDisruptionBudget")
    assert bool(budgets) is there_is
    for budget in budgets:
        assert budget["spec"]["maxUnavailable"] == 1


def test_autoscaling_sets_the_number_of_pods_alone() -> None:
    values = {"autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 9}}
    scaler = only(values, "HorizontalPodAutoscaler")
    assert scaler["apiVersion"] == "autoscaling/v2"
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (3, 9)
    assert scaler["spec"]["scaleTargetRef"]["kind"] == "Deployment"
    assert scaler["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
    assert "replicas" not in only(values, "Deployment")["spec"]


def test_without_it_there_is_no_autoscaler() -> None:
    assert not objects({}, "HorizontalPodAutoscaler")
    assert only({}, "Deployment")["spec"]["replicas"] == 2


def test_pods_are_spread_by_their_own_labels() -> None:
    constraints = pod_spec({})["topologySpreadConstraints"]
    assert [each["topologyKey"] for each in constraints] == [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    ]
    for each in constraints:
        assert each["labelSelector"]["matchLabels"] == NAME
        assert each["whenUnsatisfiable"] == "ScheduleAnyway"


def test_placement_is_handed_on() -> None:
    spec = pod_spec(EVERYTHING)
    for key in ("priorityClassName", "nodeSelector", "tolerations", "affinity"):
        assert spec[key] == EVERYTHING[key]
    assert spec["imagePullSecrets"] == EVERYTHING["imagePullSecrets"]


def test_labels_and_annotations_are_added() -> None:
    for each in render(EVERYTHING):
        assert each["metadata"]["labels"]["team"] == "platform"
        assert each["metadata"]["annotations"]["example.org/owner"] == "platform"
    template = only(EVERYTHING, "Deployment")["spec"]["template"]["metadata"]
    assert template["labels"]["tier"] == "control"
    assert template["annotations"].items() >= EVERYTHING["podAnnotations"].items()


def test_the_chart_runs_the_version_it_comes_with() -> None:
    version = tomllib.loads((CHART.parents[1] / "pyproject.toml").read_text())["project"]["version"]
    assert container({})["image"] == f"deputize:{version}"
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["version"] == version


def test_a_digest_is_part_of_the_image() -> None:
    assert container(EVERYTHING)["image"] == f"deputize:0.1.0@sha256:{'0' * 64}"
    assert container({"image": {"tag": "1.2.3"}})["image"] == "deputize:1.2.3"


def test_changes_of_policies_restart_nothing() -> None:
    before = only({}, "Deployment")
    after = only({"files": {}, "config": {"policyMode": "observe"}}, "Deployment")
    assert before["spec"]["template"] == after["spec"]["template"]


def test_names_follow_the_release() -> None:
    assert only({}, "Service", "orders-deputize", name="orders")
    assert only({}, "Service", "deputize-eu", name="deputize-eu")
    assert only({"fullnameOverride": "asks"}, "Service", "asks")
