"""The sidecar: a patch that makes a pod of others ask in itself, and the same for other charts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from tests.chart.chart_cases import EVERYTHING
from tests.chart.chart_objects import Thing, service_config, sidecar_patch
from tests.chart.restricted import violations
from tests.harness.helm import CHART, NEEDED, overlay, render, run_helm
from tests.harness.kube_schemas import complaints
from tests.harness.pod_files import containers

SOCKET = {"shape": "sidecar"}
LOOPBACK = {"shape": "sidecar", "sidecar": {"listen": "loopback"}}
ISTIO = {"shape": "sidecar", "istio": {"enabled": True}}
POD_OF_OTHERS: Thing = {
    "metadata": {"labels": {"app": "orders"}, "annotations": {"team": "store"}},
    "spec": {
        "containers": [{"name": "orders", "image": "orders:1", "ports": [{"containerPort": 8080}]}],
        "initContainers": [{"name": "migrate", "image": "orders:1"}],
        "volumes": [{"name": "data", "emptyDir": {}}],
        "securityContext": {"runAsNonRoot": True},
    },
}
ANNOTATION = "sidecar.istio.io/userVolumeMount"


def patched(values: dict[str, Any]) -> Thing:
    """A Deployment of others, with the patch."""
    patch = sidecar_patch(values)
    deployment: Thing = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "orders", "namespace": "store"},
        "spec": {"selector": {"matchLabels": {"app": "orders"}}, "template": POD_OF_OTHERS},
    }
    return merged(deployment, patch)


def merged(below: Thing, above: Thing) -> Thing:
    """As a strategic merge patch: lists of what has a name are merged by it, and patches go first.

    Source: kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch.
    """
    whole = dict(below)
    for key, value in above.items():
        under = below.get(key)
        if isinstance(value, dict) and isinstance(under, dict):
            whole[key] = merged(under, value)
        elif isinstance(value, list) and isinstance(under, list):
            names = {each["name"] for each in value}
            whole[key] = [*value, *(each for each in under if each["name"] not in names)]
        else:
            whole[key] = value
    return whole


def sidecar(values: dict[str, Any]) -> Thing:
    """The container in the patch."""
    (found,) = sidecar_patch(values)["spec"]["template"]["spec"]["initContainers"]
    assert isinstance(found, dict)
    return found


def test_a_cluster_takes_the_patched_workload() -> None:
    for values in (SOCKET, LOOPBACK, ISTIO, {**EVERYTHING, "shape": "sidecar"}):
        assert complaints(patched(values)) == []


def test_what_was_there_stays() -> None:
    template = patched(ISTIO)["spec"]["template"]
    assert template["metadata"]["annotations"]["team"] == "store"
    names = [each["name"] for each in containers(template["spec"])]
    assert sorted(names) == ["deputize", "migrate", "orders"]
    assert {"name": "data", "emptyDir": {}} in template["spec"]["volumes"]


def test_the_chart_itself_makes_no_pods() -> None:
    kinds = {each["kind"] for each in render(SOCKET)}
    assert kinds == {"ConfigMap"}


def test_it_starts_before_the_application_and_ends_after_it() -> None:
    assert sidecar(SOCKET)["restartPolicy"] == "Always"
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= sidecar(SOCKET).keys()


def test_it_satisfies_the_restricted_standard_whatever_the_pod_says() -> None:
    spec = patched(SOCKET)["spec"]["template"]["spec"]
    assert violations({**spec, "containers": [], "initContainers": [sidecar(SOCKET)]}) == []


def test_it_listens_on_a_socket_that_only_its_sharers_see() -> None:
    assert service_config(SOCKET)["server"]["grpc"]["listen"] == ["unix:/run/deputize/check.sock"]
    mount = {"name": "deputize-socket", "mountPath": "/run/deputize"}
    assert mount in sidecar(SOCKET)["volumeMounts"]


def pod_security(values: dict[str, Any]) -> object:
    return sidecar_patch(values)["spec"]["template"]["spec"].get("securityContext")


def test_a_proxy_that_is_another_user_can_open_the_socket() -> None:
    assert pod_security(SOCKET) == pod_security(ISTIO) == {"fsGroup": 65532}
    assert pod_security({**SOCKET, "runAsGroup": 4294967294}) == {"fsGroup": 4294967294}


def test_the_pods_group_is_left_alone_where_nothing_needs_it() -> None:
    assert pod_security(LOOPBACK) is None
    # As on OpenShift, which gives each pod a group.
    assert pod_security({**SOCKET, "runAsUser": None, "runAsGroup": None}) is None


def test_what_the_pod_says_of_its_security_stays() -> None:
    spec = patched(SOCKET)["spec"]["template"]["spec"]
    assert spec["securityContext"] == {"runAsNonRoot": True, "fsGroup": 65532}


def test_or_on_loopback() -> None:
    assert service_config(LOOPBACK)["server"]["grpc"]["listen"] == ["127.0.0.1:9191"]
    names = {mount["name"] for mount in sidecar(LOOPBACK)["volumeMounts"]}
    assert "deputize-socket" not in names


def test_it_leaves_the_applications_ports_alone() -> None:
    (port,) = sidecar(SOCKET)["ports"]
    assert port == {"name": "deputize-http", "containerPort": 9192, "protocol": "TCP"}
    assert service_config(SOCKET)["server"]["http"]["listen"] == "0.0.0.0:9192"
    assert sidecar(SOCKET)["readinessProbe"]["httpGet"]["port"] == 9192


def test_istio_sees_the_socket() -> None:
    annotations = sidecar_patch(ISTIO)["spec"]["template"]["metadata"]["annotations"]
    assert json.loads(annotations[ANNOTATION]) == [
        {"name": "deputize-socket", "mountPath": "/run/deputize", "readOnly": True}
    ]
    for values in ({**ISTIO, **LOOPBACK}, SOCKET):
        assert (
            ANNOTATION not in sidecar_patch(values)["spec"]["template"]["metadata"]["annotations"]
        )


def test_its_volumes_cannot_be_taken_for_the_applications() -> None:
    everything = sidecar_patch({**EVERYTHING, "shape": "sidecar"})
    for volume in everything["spec"]["template"]["spec"]["volumes"]:
        assert volume["name"].startswith("deputize-")


def test_another_chart_includes_the_same(tmp_path: Path) -> None:
    chart = _chart_that_depends_on_ours(tmp_path)
    values = json.dumps({"deputize": overlay(NEEDED, ISTIO)})
    text = run_helm(
        "template", "store", str(chart), "--namespace=store", "--values=-", values=values
    )
    things = [each for each in yaml.safe_load_all(text) if each]
    (deployment,) = (each for each in things if each["kind"] == "Deployment")
    template = deployment["spec"]["template"]
    assert complaints(deployment) == []
    ours, theirs = containers(template["spec"])
    assert (ours["name"], theirs["name"]) == ("deputize", "orders")
    assert ANNOTATION in template["metadata"]["annotations"]
    assert template["spec"]["securityContext"] == {"fsGroup": 65532}
    made = {each["metadata"]["name"] for each in things if each["kind"] == "ConfigMap"}
    for volume in template["spec"]["volumes"]:
        assert volume.get("configMap", {"name": "store-deputize-config"})["name"] in made


def _chart_that_depends_on_ours(folder: Path) -> Path:
    chart = folder / "store"
    (chart / "templates").mkdir(parents=True)
    (chart / "charts").mkdir()
    (chart / "charts/deputize").symlink_to(CHART)
    dependency = {"name": "deputize", "version": "0.1.0"}
    about = {"apiVersion": "v2", "name": "store", "version": "1.0.0", "dependencies": [dependency]}
    (chart / "Chart.yaml").write_text(yaml.safe_dump(about))
    (chart / "templates/deployment.yaml").write_text(_DEPLOYMENT)
    return chart


_DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: orders}
spec:
  selector: {matchLabels: {app: orders}}
  template:
    metadata:
      labels: {app: orders}
      annotations:
        {{- include "deputize.sidecar.annotations" .Subcharts.deputize | nindent 8 }}
    spec:
      securityContext:
        {{- include "deputize.sidecar.podSecurity" .Subcharts.deputize | nindent 8 }}
      initContainers:
        {{- include "deputize.sidecar.container" .Subcharts.deputize | nindent 8 }}
      containers: [{name: orders, image: "orders:1"}]
      volumes:
        {{- include "deputize.sidecar.volumes" .Subcharts.deputize | nindent 8 }}
"""
