"""Istio's objects: who may ask, how, and which workloads ask."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.chart_cases import CASES, GATEWAY, IN_MESH, ORDERS, PROMETHEUS, WAYPOINT
from tests.chart.chart_objects import Thing, objects, only

ISTIO = {"istio": {"enabled": True}}
AMBIENT = {"istio": {"enabled": True, "dataplane": "ambient"}}
SIDECAR = CASES["sidecar in Istio"]


def rules(values: dict[str, Any]) -> list[Thing]:
    policy = only(values, "AuthorizationPolicy", "deputize-who-may-ask")
    assert policy["spec"]["action"] == "ALLOW"
    return list(policy["spec"].get("rules", ()))


def may_reach(values: dict[str, Any], port: str) -> list[str]:
    """Who may reach the port; `*` is anybody."""
    return [
        name
        for rule in rules(values)
        if {"operation": {"ports": [port]}} in rule["to"]
        for source in rule.get("from", [{"source": {"principals": ["*"]}}])
        for name in source["source"]["principals"]
    ]


def pod_labels(values: dict[str, Any]) -> dict[str, str]:
    labels: dict[str, str] = only(values, "Deployment")["spec"]["template"]["metadata"]["labels"]
    return labels


def test_nothing_of_istio_unless_asked_for() -> None:
    for kind in ("PeerAuthentication", "AuthorizationPolicy", "DestinationRule", "ServiceEntry"):
        assert not objects({}, kind)
    assert not {"sidecar.istio.io/inject", "istio.io/dataplane-mode"} & pod_labels({}).keys()


@pytest.mark.parametrize("values", [ISTIO, AMBIENT])
def test_only_mutual_tls_is_accepted(values: dict[str, Any]) -> None:
    assert only(values, "PeerAuthentication")["spec"]["mtls"] == {"mode": "STRICT"}


@pytest.mark.parametrize("values", [ISTIO, AMBIENT])
def test_without_proxies_nobody_may_ask(values: dict[str, Any]) -> None:
    assert rules(values) == []


@pytest.mark.parametrize("values", [ISTIO, AMBIENT])
def test_only_listed_proxies_may_ask(values: dict[str, Any]) -> None:
    asking = {**values, "proxies": [GATEWAY], "monitoring": {"from": [IN_MESH]}}
    assert may_reach(asking, "9191") == ["cluster.local/ns/edge/sa/edge-istio"]
    assert may_reach(asking, "8080") == ["cluster.local/ns/monitoring/sa/prometheus"]


@pytest.mark.parametrize("values", [ISTIO, AMBIENT])
def test_ambient_can_enforce_the_rules(values: dict[str, Any]) -> None:
    for rule in rules({**values, "proxies": [GATEWAY], "monitoring": {"from": [PROMETHEUS]}}):
        assert rule.keys() <= {"from", "to"}
        assert all(each["operation"].keys() == {"ports"} for each in rule["to"])


def test_a_prometheus_in_the_mesh_leaves_the_port_strict() -> None:
    values = {**ISTIO, "monitoring": {"from": [IN_MESH]}}
    assert "portLevelMtls" not in only(values, "PeerAuthentication")["spec"]


def test_a_prometheus_beside_the_mesh_reads_metrics_in_plain_text_and_cannot_ask() -> None:
    values = {**ISTIO, "proxies": [GATEWAY], "monitoring": {"from": [PROMETHEUS]}}
    spec = only(values, "PeerAuthentication")["spec"]
    assert spec["portLevelMtls"] == {"8080": {"mode": "PERMISSIVE"}}
    assert may_reach(values, "8080") == ["*"]
    assert "*" not in may_reach(values, "9191")


@pytest.mark.parametrize("values", [ISTIO, AMBIENT])
@pytest.mark.parametrize("readers", [[IN_MESH], [PROMETHEUS], [IN_MESH, PROMETHEUS]])
def test_who_reads_metrics_cannot_ask(values: dict[str, Any], readers: list[Thing]) -> None:
    reading = {**values, "monitoring": {"from": readers}}
    assert may_reach(reading, "8080")
    for rule in rules(reading):
        assert rule["to"] == [{"operation": {"ports": ["8080"]}}]


def test_proxies_speak_mutual_tls_whatever_the_mesh_says() -> None:
    rule = only(ISTIO, "DestinationRule")["spec"]
    assert rule["host"] == "deputize.deputize.svc.cluster.local"
    assert rule["trafficPolicy"]["tls"] == {"mode": "ISTIO_MUTUAL"}


def test_in_ambient_tunnels_need_no_rule() -> None:
    assert not objects(AMBIENT, "DestinationRule")


def test_pods_are_part_of_the_mesh() -> None:
    assert pod_labels(ISTIO)["sidecar.istio.io/inject"] == "true"
    assert pod_labels(AMBIENT)["istio.io/dataplane-mode"] == "ambient"
    assert pod_labels(AMBIENT)["sidecar.istio.io/inject"] == "false"
    assert pod_labels(CASES["Istio with a revision"])["istio.io/rev"] == "1-30"


def test_pods_with_tls_of_their_own_are_not() -> None:
    labels = pod_labels(CASES["TLS in a mesh"])
    assert labels["sidecar.istio.io/inject"] == "false"
    assert labels["istio.io/dataplane-mode"] == "none"


def test_protected_workloads_ask() -> None:
    policy = only(CASES["Istio"], "AuthorizationPolicy", "orders")
    assert policy["metadata"]["namespace"] == "store"
    assert policy["spec"] == {
        "selector": {"matchLabels": {"app": "orders"}},
        "action": "CUSTOM",
        "provider": {"name": "deputize"},
        "rules": [{}],
    }


def test_protected_workloads_answer_to_their_names_only() -> None:
    policy = only(CASES["Istio"], "AuthorizationPolicy", "orders-hosts")
    assert policy["metadata"]["namespace"] == "store"
    assert policy["spec"] == {
        "selector": {"matchLabels": {"app": "orders"}},
        "action": "ALLOW",
        "rules": [{"to": [{"operation": {"hosts": ["orders.store", "orders.store:*"]}}]}],
    }


def test_waypoints_ask() -> None:
    policy = only(CASES["ambient"], "AuthorizationPolicy", "asks")
    assert policy["spec"]["targetRefs"] == [WAYPOINT]
    assert "selector" not in policy["spec"]


@pytest.mark.parametrize(
    "operation", [{"notPaths": ["/healthz"]}, {"ports": ["8080", "8443"]}, {"ports": ["8080"]}]
)
def test_nobody_asks_about_paths_and_ports_that_are_left_out(operation: dict[str, Any]) -> None:
    values = {"istio": {"enabled": True, "protect": [{**ORDERS, **operation}]}}
    (rule,) = only(values, "AuthorizationPolicy", "orders")["spec"]["rules"]
    assert rule == {"to": [{"operation": operation}]}


def test_paths_and_ports_are_left_out_of_one_rule() -> None:
    (rule,) = only(CASES["bodies"], "AuthorizationPolicy", "orders")["spec"]["rules"]
    assert rule == {"to": [{"operation": {"notPaths": ["/healthz"], "ports": ["8080"]}}]}


@pytest.mark.parametrize(
    ("values", "address"),
    [
        (SIDECAR, "unix:///run/deputize/check.sock"),
        (CASES["sidecar on loopback in Istio"], "127.0.0.1"),
    ],
)
def test_the_mesh_has_a_name_for_sidecars(values: dict[str, Any], address: str) -> None:
    entry = only(values, "ServiceEntry")["spec"]
    assert entry["hosts"] == ["deputize.sidecar.internal"]
    assert entry["resolution"] == "STATIC"
    assert entry["endpoints"] == [{"address": address}]
    assert entry["ports"] == [{"number": 9191, "name": "grpc", "protocol": "GRPC"}]


def test_the_name_is_given_once() -> None:
    assert not objects(CASES["second sidecar release"], "ServiceEntry")


def test_a_sidecar_has_no_port_to_guard() -> None:
    assert not objects(SIDECAR, "PeerAuthentication")
    names = {each["metadata"]["name"] for each in objects(SIDECAR, "AuthorizationPolicy")}
    assert names == {"orders", "orders-hosts"}
