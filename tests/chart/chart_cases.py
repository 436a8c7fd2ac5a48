"""Ways to install the chart, as values above those that are `NEEDED`."""

from __future__ import annotations

from typing import Any

from tests.harness.helm import overlay

GATEWAY = {
    "namespace": "edge",
    "podLabels": {"gateway": "edge"},
    "serviceAccount": "edge-istio",
}
PROMETHEUS = {"namespace": "monitoring", "podLabels": {"app": "prometheus"}}
IN_MESH = {**PROMETHEUS, "serviceAccount": "prometheus"}
REDIS_POD = {"podSelector": {"matchLabels": {"app": "valkey"}}}
REDIS = {"redis": {"existingSecret": "valkey", "to": [REDIS_POD]}}
CERT_MANAGER = {"source": "certManager", "certManager": {"issuerRef": {"name": "mesh"}}}
SPIRE = {"source": "spire", "spire": {"image": "registry.example/spiffe-helper:0.11.0"}}
ORDERS = {
    "name": "orders",
    "namespace": "store",
    "podLabels": {"app": "orders"},
    "hosts": ["orders.store"],
}
WAYPOINT = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "waypoint"}
REMOTE: dict[str, Any] = {
    "denyLists": [{"url": "https://security.example.org/deny.yaml"}],
    "approvals": {
        "services": [
            {"issuer": "https://ok.example", "keys": {"url": "https://ok.example/jwks.json"}}
        ]
    },
}
FILES: dict[str, Any] = {
    "files": {"jwks.json": '{"keys": []}', "deny.yaml": "kind: DenyList\n"},
    "mounts": [{"name": "idp", "secret": "idp-client"}, {"name": "ca", "configMap": "idp-ca"}],
}
EVERYTHING: dict[str, Any] = {
    **FILES,
    "proxies": [GATEWAY, {"cidr": "10.20.0.0/16", "spiffeId": "spiffe://vm.example/envoy"}],
    "config": overlay(REMOTE, {"server": {"drain": {"delaySeconds": 0, "graceSeconds": 20}}}),
    "policyConfigMaps": ["team-a", "team-b"],
    "replay": REDIS,
    "monitoring": {"from": [PROMETHEUS]},
    "image": {"digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "networkPolicy": {
        "nodeCidrs": ["192.0.2.0/24"],
        "egress": [
            {
                "to": [{"namespaceSelector": {"matchLabels": {"team": "identity"}}}],
                "ports": [{"port": 8443, "protocol": "TCP"}],
            }
        ],
    },
    "labels": {"team": "platform"},
    "annotations": {"example.org/owner": "platform"},
    "podLabels": {"tier": "control"},
    "podAnnotations": {"example.org/note": "yes"},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "gateway", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {}},
    "serviceAccount": {"name": "decider", "annotations": {"example.org/role": "none"}},
}

CASES: dict[str, dict[str, Any]] = {
    "only what is needed": {},
    "gateway": {"proxies": [GATEWAY]},
    "all of a namespace": {"proxies": [{"namespace": "edge"}]},
    "everything": EVERYTHING,
    "everything on each node": {**EVERYTHING, "shape": "daemonset"},
    "everything as a sidecar": {**EVERYTHING, "shape": "sidecar"},
    "daemonset": {"shape": "daemonset", "proxies": [GATEWAY]},
    "one pod": {"replicas": 1, "proxies": [GATEWAY]},
    "autoscaling": {"autoscaling": {"enabled": True}},
    "no network policy": {
        "proxies": [GATEWAY],
        "networkPolicy": {"enabled": False},
        "istio": {"enabled": True},
    },
    "gRPC probe": {"probes": {"readiness": "grpc"}},
    "IPv6": {"listenHost": "[::]"},
    "OpenShift": {"runAsUser": None, "runAsGroup": None},
    "native transport": {"config": {"server": {"transport": "native"}}},
    "shared store": {"replay": REDIS},
    "shared store in ambient": {
        "replay": REDIS,
        "istio": {"enabled": True, "dataplane": "ambient"},
    },
    "policies of others": {"policies": None, "policyConfigMaps": ["team-a", "team-b"]},
    "configuration of others": {"config": None, "existingConfigMap": "mine"},
    "policies as objects": {"kubernetes": {"enabled": True, "namespaces": ["store", "agents"]}},
    "objects alone": {"policies": None, "kubernetes": {"enabled": True}, "crds": {"install": True}},
    "TLS of a secret": {"proxies": [GATEWAY], "tls": {"source": "secret", "secretName": "cert"}},
    "TLS of cert-manager": {"proxies": [GATEWAY], "tls": CERT_MANAGER},
    "TLS of csi-driver-spiffe": {"proxies": [GATEWAY], "tls": {"source": "csiDriverSpiffe"}},
    "TLS of SPIRE": {"proxies": [GATEWAY], "tls": SPIRE},
    "TLS of SPIRE on each node": {"shape": "daemonset", "tls": SPIRE},
    "TLS for nobody": {"tls": {"source": "secret", "secretName": "cert"}},
    "TLS in a mesh": {
        "proxies": [GATEWAY],
        "tls": CERT_MANAGER,
        "istio": {"enabled": True, "dataplane": "none", "protect": [ORDERS]},
    },
    "Istio": {"proxies": [GATEWAY], "istio": {"enabled": True, "protect": [ORDERS]}},
    "Istio for nobody": {"istio": {"enabled": True}},
    "Istio with a revision": {"istio": {"enabled": True, "revision": "1-30"}},
    "Istio and Prometheus in it": {
        "istio": {"enabled": True},
        "monitoring": {"from": [IN_MESH]},
    },
    "Istio and Prometheus beside it": {
        "istio": {"enabled": True},
        "monitoring": {"from": [PROMETHEUS, IN_MESH]},
    },
    "ambient": {
        "proxies": [{"namespace": "store", "serviceAccount": "waypoint"}],
        "monitoring": {"from": [PROMETHEUS]},
        "istio": {
            "enabled": True,
            "dataplane": "ambient",
            "protect": [{"name": "asks", "namespace": "store", "targetRefs": [WAYPOINT]}],
        },
    },
    "ambient on each node": {
        "shape": "daemonset",
        "probes": {"readiness": "grpc"},
        "istio": {"enabled": True, "dataplane": "ambient"},
    },
    "bodies": {
        "istio": {
            "enabled": True,
            "body": {"maxBytes": 1048576},
            "protect": [{**ORDERS, "notPaths": ["/healthz"], "ports": ["8080"]}],
        }
    },
    "names that look like something else": {
        "proxies": [{"namespace": "123", "serviceAccount": "1e3"}],
        "monitoring": {"from": [{"namespace": "null"}]},
        "kubernetes": {"enabled": True, "namespaces": ["123", "true"]},
        "policyConfigMaps": ["123", "true"],
        "mounts": [{"name": "123", "secret": "1e3"}, {"name": "true", "configMap": "null"}],
        "replay": {"redis": {"existingSecret": "123", "key": "null", "to": [REDIS_POD]}},
        "serviceAccount": {"name": "123"},
        "imagePullSecrets": [{"name": "123"}],
        "priorityClassName": "123",
        "istio": {
            "enabled": True,
            "revision": "123",
            "rootNamespace": "null",
            "provider": "123",
            "protect": [
                {"name": "123", "namespace": "true", "podLabels": {"app": "1"}, "hosts": ["0x1"]}
            ],
        },
    },
    "secret with a name like a number": {"tls": {"source": "secret", "secretName": "123"}},
    "sidecar": {"shape": "sidecar"},
    "sidecar on loopback": {"shape": "sidecar", "sidecar": {"listen": "loopback"}},
    "sidecar in Istio": {"shape": "sidecar", "istio": {"enabled": True, "protect": [ORDERS]}},
    "sidecar on loopback in Istio": {
        "shape": "sidecar",
        "sidecar": {"listen": "loopback"},
        "istio": {"enabled": True},
    },
    "second sidecar release": {
        "shape": "sidecar",
        "sidecar": {"serviceEntry": False},
        "istio": {"enabled": True},
    },
}
