"""Wrong values are refused and named: alone by the schema, together by the chart."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.chart_cases import CERT_MANAGER, EVERYTHING, GATEWAY, ORDERS, WAYPOINT
from tests.harness.helm import KUBE_VERSION, NEEDED, POLICY, ChartRefused, lint, overlay, render

SECRET = {"source": "secret", "secretName": "cert"}
SIDECAR = {"shape": "sidecar"}
ISTIO = {"enabled": True}
NAMELESS = {key: value for key, value in ORDERS.items() if key != "hosts"}
RULE: dict[str, Any] = POLICY["spec"]["rules"][0]

ALONE: dict[str, dict[str, Any]] = {
    "/shape": {"shape": "statefulset"},
    "'replica'": {"replica": 3},
    "/replicas": {"replicas": 0},
    "/image/tag": {"image": {"tag": "has space"}},
    "/image/digest": {"image": {"digest": "sha256:short"}},
    "/image/pullPolicy": {"image": {"pullPolicy": "Sometimes"}},
    "'targetCPU'": {"autoscaling": {"targetCPU": 50}},
    "/proxies/0/namespace": {"proxies": [{"namespace": "Edge"}]},
    "'labels'": {"proxies": [{"namespace": "edge", "labels": {}}]},
    "/proxies/0/spiffeId": {"proxies": [{"namespace": "edge", "spiffeId": "https://edge"}]},
    "/proxies/0/cidr": {"proxies": [{"cidr": "10.0.0.1"}]},
    "/trustDomain": {"trustDomain": "spiffe://cluster.local"},
    "'listen'": {"config": {"server": {"grpc": {"listen": ["0.0.0.0:1"]}}}},
    "'http'": {"config": {"server": {"http": {"listen": "0.0.0.0:1"}}}},
    "'tls'": {"config": {"server": {"grpc": {"tls": {}}}}},
    "'sink'": {"config": {"audit": {"sink": "file"}}},
    "'urlFile'": {"config": {"replay": {"urlFile": "/redis"}}},
    "'policies'": {"config": {"policies": ["/policies"]}},
    "'kubernetes'": {"config": {"kubernetes": {"namespaces": ["store"]}}},
    "'timeout'": {"config": {"timeout": 1}},
    "/config/policyMode": {"config": {"policyMode": "off"}},
    "/config/issuers/0": {"config": {"issuers": [{"issuer": "https://idp.example.org"}]}},
    "/config/server/drain/delaySeconds": {"config": {"server": {"drain": {"delaySeconds": "5"}}}},
    "/policies/orders/kind": {"policies": {"orders": {**POLICY, "kind": "Policy"}}},
    "'path'": {"policies": {"orders": {**POLICY, "spec": {"rules": [{**RULE, "path": "/"}]}}}},
    "/policies": {"policies": {"Orders.yaml": POLICY}},
    "/policyConfigMaps": {"policyConfigMaps": ["team-a", "team-a"]},
    "/policyConfigMaps/0": {"policyConfigMaps": ["../team-a"]},
    "/files": {"files": {"../passwd": ""}},
    "/mounts/0": {"mounts": [{"name": "idp", "secret": "a", "configMap": "b"}]},
    "/kubernetes/namespaces/0": {"kubernetes": {"namespaces": ["*"]}},
    "/tls/source": {"tls": {"source": "acme"}},
    "/tls/certManager/duration": {"tls": {"certManager": {"duration": "1 day"}}},
    "/istio/dataplane": {"istio": {"dataplane": "waypoint"}},
    "/istio/body/maxBytes": {"istio": {"body": {"maxBytes": -1}}},
    "/istio/protect/0": {"istio": {"protect": [{"name": "orders"}]}},
    "/sidecar/listen": {"sidecar": {"listen": "unix:/tmp/x"}},
    "/networkPolicy/dns": {"networkPolicy": {"dns": []}},
    "/networkPolicy/egress/0": {"networkPolicy": {"egress": [{"to": [{"podSelector": {}}]}]}},
    "/networkPolicy/egress/0/to": {
        "networkPolicy": {"egress": [{"to": [], "ports": [{"port": 443}]}]}
    },
    "/probes/readiness": {"probes": {"readiness": "exec"}},
    "/listenHost": {"listenHost": "127.0.0.1"},
    "/resources/limits/memory": {"resources": {"limits": {"memory": "lots"}}},
    "/runAsUser": {"runAsUser": 0},
    "/tls/spire/image": {"tls": {"spire": {"image": "a:1\n  privileged: true"}}},
    "/istio/protect/0/ports/0": {
        "istio": {"protect": [{"name": "a", "namespace": "b", "ports": ["http"]}]}
    },
    "/monitoring/prometheusRule/runbookUrl": {
        "monitoring": {"prometheusRule": {"runbookUrl": "https://a.example\n- b"}}
    },
    "/labels": {"labels": {"bad key!": "x"}},
    "/monitoring/serviceMonitor/interval": {
        "monitoring": {"serviceMonitor": {"interval": "often"}}
    },
    "'proxies'": {"proxies": None},
}
"""By the place or the key that the message must name."""

TOGETHER: dict[str, dict[str, Any]] = {
    "config.peer.trustDomains": {"config": {"peer": None}},
    "config.issuers": {"config": {"issuers": None}},
    "policies": {"policies": {"orders": None}},
    "existingConfigMap": {"existingConfigMap": "mine"},
    "policyConfigMaps": {"policyConfigMaps": ["deputize-policies"]},
    "mounts": {"mounts": [{"name": "a", "secret": "a"}, {"name": "a", "configMap": "a"}]},
    "replay.redis.to": {"replay": {"redis": {"existingSecret": "valkey"}}},
    "proxies[0]": {"proxies": [{"serviceAccount": "edge"}]},
    "proxies[0].podLabels": {"proxies": [{"cidr": "10.0.0.0/8", "podLabels": {"a": "b"}}]},
    "proxies[0].serviceAccount": {"proxies": [{"namespace": "edge"}], "tls": SECRET},
    "proxies[1].serviceAccount": {"proxies": [GATEWAY, {"namespace": "edge"}], "istio": ISTIO},
    "monitoring.from[0]": {"monitoring": {"from": [{"podLabels": {"app": "prometheus"}}]}},
    "tls.secretName": {"tls": {"source": "secret"}},
    "tls.certManager.issuerRef.name": {"tls": {"source": "certManager"}},
    "runAsGroup": {"tls": {"source": "csiDriverSpiffe"}, "runAsGroup": None},
    "tls.spire.image": {"tls": {"source": "spire"}},
    "networkPolicy.enabled": {"networkPolicy": {"enabled": False}, "proxies": [GATEWAY]},
    "podAnnotations": {
        "istio": ISTIO,
        "podAnnotations": {"traffic.sidecar.istio.io/excludeInboundPorts": "9191"},
    },
    "tls.source": {"tls": SECRET, "istio": ISTIO},
    "probes.readiness": {"tls": SECRET, "probes": {"readiness": "grpc"}},
    "config.server.transport": {"tls": SECRET, "config": {"server": {"transport": "native"}}},
    "istio.protect": {"istio": {"protect": [ORDERS]}},
    "istio.timeoutMillis": {"config": {"server": {"decisionTimeoutMillis": 250}}},
    "istio.body.maxBytes": {"istio": {"body": {"maxBytes": 8388608}}},
    "istio.protect[0]": {"istio": {**ISTIO, "protect": [{"name": "all", "namespace": "deputize"}]}},
    "terminationGracePeriodSeconds": {"terminationGracePeriodSeconds": 25},
    "autoscaling.enabled": {"autoscaling": {"enabled": True}, "shape": "daemonset"},
    "autoscaling.minReplicas": {"autoscaling": {"enabled": True, "minReplicas": 9}},
    "serviceAccount.name": {"serviceAccount": {"create": False}},
    "podLabels": {"podLabels": {"app.kubernetes.io/name": "other"}},
    "labels": {"labels": {"app.kubernetes.io/instance": "other"}},
    "kubernetes.enabled": {**SIDECAR, "kubernetes": {"enabled": True}},
}
"""By the key that the message must name."""

MORE: list[tuple[str, dict[str, Any]]] = [
    ("podLabels", {"istio": ISTIO, "podLabels": {"sidecar.istio.io/inject": "false"}}),
    (
        "podAnnotations",
        {
            "istio": {**ISTIO, "dataplane": "ambient"},
            "podAnnotations": {"ambient.istio.io/bypass-inbound-capture": "true"},
        },
    ),
    (
        "podAnnotations",
        {
            "istio": ISTIO,
            "podAnnotations": {"proxy.istio.io/config": "interceptionMode: NONE"},
        },
    ),
    ("networkPolicy.enabled", {"networkPolicy": {"enabled": False}}),
    (
        "networkPolicy.enabled",
        {"networkPolicy": {"enabled": False}, "istio": {**ISTIO, "dataplane": "none"}},
    ),
    ("tls.source", {**SIDECAR, "tls": CERT_MANAGER}),
    ("probes.readiness", {**SIDECAR, "probes": {"readiness": "grpc"}}),
    (
        "probes.readiness",
        {"probes": {"readiness": "grpc"}, "networkPolicy": {"nodeCidrs": ["192.0.2.0/24"]}},
    ),
    ("istio.protect[0]", {"istio": {**ISTIO, "protect": [{**ORDERS, "targetRefs": [WAYPOINT]}]}}),
    ("istio.protect[0].hosts", {"istio": {**ISTIO, "protect": [NAMELESS]}}),
    (
        "istio.protect[0]",
        {"istio": {**ISTIO, "protect": [{"name": "all", "namespace": "istio-system"}]}},
    ),
    ("proxies[0]", {"proxies": [{**GATEWAY, "spiffeId": "spiffe://a.example/b"}]}),
    ("terminationGracePeriodSeconds", {**EVERYTHING, "terminationGracePeriodSeconds": 30}),
]


@pytest.mark.parametrize("named", ALONE)
def test_a_wrong_value_is_refused(named: str) -> None:
    with pytest.raises(ChartRefused) as caught:
        render(ALONE[named])
    told = str(caught.value).partition("values don't meet the specifications of the schema")[2]
    assert f"at {named!r}" in told if named.startswith("/") else named in told


def test_lint_refuses_them_too() -> None:
    with pytest.raises(ChartRefused, match="at '/shape'"):
        lint(ALONE["/shape"])


@pytest.mark.parametrize(("key", "values"), [*TOGETHER.items(), *MORE])
def test_values_that_do_not_go_together_are_refused(key: str, values: dict[str, Any]) -> None:
    assert key in [line.partition(":")[0] for line in problems(values)]


def test_all_problems_are_told_at_once() -> None:
    values = {
        "tls": {"source": "secret"},
        "serviceAccount": {"create": False},
        "probes": {"readiness": "grpc"},
    }
    assert [line.partition(":")[0] for line in problems(values)] == [
        "tls.secretName",
        "probes.readiness",
        "serviceAccount.name",
    ]


def test_without_values_it_says_what_is_needed() -> None:
    assert [line.partition(":")[0] for line in problems({}, needed={})] == [
        "config.peer.trustDomains",
        "config.issuers",
        "policies",
    ]


def test_the_time_to_end_may_be_just_above() -> None:
    assert render({"terminationGracePeriodSeconds": 26})


def test_an_older_kubernetes_is_refused() -> None:
    with pytest.raises(ChartRefused, match="incompatible with Kubernetes"):
        render({}, kube_version="1.28.0")
    assert KUBE_VERSION > "1.28"


def problems(values: dict[str, Any], *, needed: dict[str, Any] | None = None) -> list[str]:
    """What the chart says is wrong."""
    with pytest.raises(ChartRefused) as caught:
        render(overlay(NEEDED if needed is None else needed, values), needed={})
    told = str(caught.value).partition("these values do not go together:\n")[2]
    return [line[2:] for line in told.splitlines() if line.startswith("- ")]
