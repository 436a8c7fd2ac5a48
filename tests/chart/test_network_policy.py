"""The network policy: who gets in, and where pods get out to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.chart_cases import (
    CASES,
    EVERYTHING,
    GATEWAY,
    IN_MESH,
    PROMETHEUS,
    REDIS,
    REDIS_POD,
    REMOTE,
)
from tests.chart.chart_objects import Thing, objects, only, ports_from, ports_to

EDGE = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "edge"}},
    "podSelector": {"matchLabels": {"gateway": "edge"}},
}
MONITORING = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}},
    "podSelector": {"matchLabels": {"app": "prometheus"}},
}
ISTIOD = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "istio-system"}},
    "podSelector": {"matchLabels": {"app": "istiod"}},
}
KUBELET_IN_AMBIENT = {"ipBlock": {"cidr": "169.254.7.127/32"}}
ANYWHERE = {"ipBlock": {"cidr": "0.0.0.0/0"}}
FROM_FILE = {"file": "/etc/deputize/files/jwks.json"}
AMBIENT = {"istio": {"enabled": True, "dataplane": "ambient"}}


def policy(values: dict[str, Any]) -> Thing:
    return only(values, "NetworkPolicy")


def test_it_is_there_unless_turned_off() -> None:
    assert policy({})["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert not objects(CASES["no network policy"], "NetworkPolicy")


def test_without_proxies_nobody_gets_in() -> None:
    assert policy({})["spec"]["ingress"] == []


@pytest.mark.parametrize("values", [{}, EVERYTHING, {"proxies": [GATEWAY]}, AMBIENT])
def test_no_rule_is_for_everybody(values: dict[str, Any]) -> None:
    spec = policy(values)["spec"]
    for rule in spec["ingress"]:
        assert rule["from"]
        assert rule["ports"]
    for rule in spec["egress"]:
        assert rule["to"]
        assert rule["ports"]


def test_proxies_get_in_to_ask_and_no_further() -> None:
    assert ports_from(policy({"proxies": [GATEWAY]}), EDGE) == {9191}


def test_proxies_outside_of_the_cluster_are_told_by_address() -> None:
    assert ports_from(policy(EVERYTHING), {"ipBlock": {"cidr": "10.20.0.0/16"}}) == {9191}


def test_all_pods_of_a_namespace_where_no_labels_are_given() -> None:
    peer = {"namespaceSelector": EDGE["namespaceSelector"]}
    assert ports_from(policy({"proxies": [{"namespace": "edge"}]}), peer) == {9191}


def test_prometheus_reads_metrics_and_cannot_ask() -> None:
    assert ports_from(policy({"monitoring": {"from": [PROMETHEUS]}}), MONITORING) == {8080}


def test_in_ambient_calls_come_through_tunnels() -> None:
    values = {**AMBIENT, "proxies": [GATEWAY], "monitoring": {"from": [IN_MESH]}}
    assert ports_from(policy(values), EDGE) == {15008}
    assert ports_from(policy(values), MONITORING) == {8080, 15008}


def test_in_ambient_only_an_account_gets_a_tunnel_to_metrics() -> None:
    other = {"namespace": "metrics"}
    values = {**AMBIENT, "monitoring": {"from": [IN_MESH, other]}}
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "metrics"}}}
    assert ports_from(policy(values), MONITORING) == {8080, 15008}
    assert ports_from(policy(values), peer) == {8080}


def test_in_ambient_probes_have_an_address_of_their_own() -> None:
    assert ports_from(policy(AMBIENT), KUBELET_IN_AMBIENT) == {8080}
    by_grpc = {**AMBIENT, "probes": {"readiness": "grpc"}}
    assert ports_from(policy(by_grpc), KUBELET_IN_AMBIENT) == {8080, 9191}


@pytest.mark.parametrize(
    ("values", "ports"),
    [
        ({}, {8080}),
        ({**AMBIENT, "probes": {"readiness": "grpc"}}, {8080, 9191}),
        ({"istio": {"enabled": True}}, {15020, 15021}),
    ],
)
def test_nodes_that_must_be_named_reach_probes_only(
    values: dict[str, Any], ports: set[int]
) -> None:
    nodes = {"networkPolicy": {"nodeCidrs": ["192.0.2.0/24"]}}
    assert ports_from(policy({**values, **nodes}), {"ipBlock": {"cidr": "192.0.2.0/24"}}) == ports


def test_names_can_be_looked_up() -> None:
    dns = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    assert ports_to(policy({}), dns) == {53}
    assert ports_to(policy({}), {"ipBlock": {"cidr": "169.254.20.10/32"}}) == {53}


def _public(values: dict[str, Any]) -> list[Thing]:
    return [
        rule
        for rule in policy(values)["spec"]["egress"]
        if any("except" in peer.get("ipBlock", {}) for peer in rule["to"])
    ]


@pytest.mark.parametrize(
    "config",
    [
        {"issuers": [{"issuer": "https://idp.example.org", "keys": {"discovery": True}}]},
        {"issuers": [{"issuer": "a", "keys": {"url": "https://idp.example.org/jwks"}}]},
        {
            "issuers": [
                {
                    "issuer": "a",
                    "keys": FROM_FILE,
                    "statusLists": {"uriPrefixes": ["https://idp.example.org/status/"]},
                }
            ]
        },
        {"denyLists": REMOTE["denyLists"]},
        {"approvals": REMOTE["approvals"]},
        {"peer": {"bundles": [{"trustDomain": "a.example", "url": "https://a.example/"}]}},
    ],
)
def test_public_addresses_where_something_is_fetched(config: dict[str, Any]) -> None:
    local = {
        "issuers": [{"issuer": "https://a.example", "audiences": ["a"], "keys": {"file": "a"}}]
    }
    assert not _public({"config": local})
    for issuer in config.get("issuers", ()):
        issuer.setdefault("audiences", ["orders"])
    (rule,) = _public({"config": {**local, **config}, "files": {"jwks.json": ""}})
    assert rule["ports"] == [{"port": 443, "protocol": "TCP"}]


def test_fetching_leads_nowhere_into_the_network() -> None:
    (rule,) = _public({})
    v4, v6 = (peer["ipBlock"]["except"] for peer in rule["to"])
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(v4)
    assert {"fc00::/7", "fe80::/10"} <= set(v6)


def test_what_an_unknown_configuration_fetches_may_be_public() -> None:
    assert _public({"config": None, "existingConfigMap": "mine"})


def test_public_addresses_can_be_closed() -> None:
    assert not _public({"networkPolicy": {"publicHttps": False}})


def test_the_store_is_reached_where_it_is() -> None:
    assert ports_to(policy({"replay": REDIS}), REDIS_POD) == {6379}
    assert ports_to(policy({**AMBIENT, "replay": REDIS}), REDIS_POD) == {6379, 15008}


def test_the_kubernetes_api_is_reached_only_for_policies() -> None:
    assert ports_to(policy({}), ANYWHERE) == set()
    assert ports_to(policy({"kubernetes": {"enabled": True}}), ANYWHERE) == {443, 6443}


def test_the_kubernetes_api_can_be_named() -> None:
    values = {"kubernetes": {"enabled": True}, "networkPolicy": {"kubernetesApi": ["192.0.2.1/32"]}}
    assert ports_to(policy(values), {"ipBlock": {"cidr": "192.0.2.1/32"}}) == {443, 6443}
    assert ports_to(policy(values), ANYWHERE) == set()


def test_a_sidecar_of_istio_reaches_its_control_plane() -> None:
    assert ports_to(policy({"istio": {"enabled": True}}), ISTIOD) == {15012}
    assert ports_to(policy(AMBIENT), ISTIOD) == set()


def test_further_rules_are_added() -> None:
    (rule,) = EVERYTHING["networkPolicy"]["egress"]
    assert rule in policy(EVERYTHING)["spec"]["egress"]


def test_a_sidecar_is_not_ours_to_fence() -> None:
    assert not objects({"shape": "sidecar"}, "NetworkPolicy")
