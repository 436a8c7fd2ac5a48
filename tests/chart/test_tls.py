"""Our own TLS: the same three files, whoever gives them, and only listed proxies may ask."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.chart_cases import CASES, CERT_MANAGER, GATEWAY, SPIRE
from tests.chart.chart_objects import Thing, container, objects, only, pod_spec, service_config

SOURCES: dict[str, dict[str, Any]] = {
    "secret": {"source": "secret", "secretName": "cert"},
    "certManager": CERT_MANAGER,
    "csiDriverSpiffe": {"source": "csiDriverSpiffe"},
    "spire": SPIRE,
}
each_source = pytest.mark.parametrize("source", SOURCES)


def values(source: str) -> dict[str, Any]:
    return {"proxies": [GATEWAY], "tls": SOURCES[source]}


def volume(source: str) -> Thing:
    (found,) = (
        each for each in pod_spec(values(source))["volumes"] if each["name"] == "deputize-tls"
    )
    assert isinstance(found, dict)
    return found


def test_there_is_none_unless_asked_for() -> None:
    assert "tls" not in service_config({})["server"]["grpc"]


@each_source
def test_the_files_are_where_they_are_mounted(source: str) -> None:
    tls = service_config(values(source))["server"]["grpc"]["tls"]
    assert tls["certificateFile"] == "/etc/deputize/tls/tls.crt"
    assert tls["privateKeyFile"] == "/etc/deputize/tls/tls.key"
    assert tls["clientCaFile"] == "/etc/deputize/tls/ca.crt"
    mount = {"name": "deputize-tls", "mountPath": "/etc/deputize/tls", "readOnly": True}
    assert mount in container(values(source))["volumeMounts"]


@each_source
def test_listed_proxies_may_ask(source: str) -> None:
    tls = service_config(values(source))["server"]["grpc"]["tls"]
    assert tls["allowedCallers"] == ["spiffe://cluster.local/ns/edge/sa/edge-istio"]


@each_source
def test_with_no_proxies_only_the_service_itself_may_ask(source: str) -> None:
    tls = service_config({"tls": SOURCES[source]})["server"]["grpc"]["tls"]
    assert tls["allowedCallers"] == ["spiffe://cluster.local/ns/deputize/sa/deputize"]


def test_proxies_of_other_trust_domains_and_other_forms() -> None:
    proxies = [
        {**GATEWAY, "trustDomain": "east.example"},
        {"cidr": "192.0.2.0/24", "spiffeId": "spiffe://vm.example/envoy"},
    ]
    tls = service_config({"proxies": proxies, "tls": SOURCES["secret"]})["server"]["grpc"]["tls"]
    assert tls["allowedCallers"] == [
        "spiffe://east.example/ns/edge/sa/edge-istio",
        "spiffe://vm.example/envoy",
    ]


def test_secret() -> None:
    assert volume("secret")["secret"] == {"secretName": "cert"}


def test_cert_manager_writes_the_secret_that_is_mounted() -> None:
    certificate = only(values("certManager"), "Certificate", "deputize-tls")["spec"]
    assert volume("certManager")["secret"] == {"secretName": certificate["secretName"]}


def test_cert_manager_is_asked_for_our_identity_and_fresh_keys() -> None:
    certificate = only(values("certManager"), "Certificate", "deputize-tls")["spec"]
    assert certificate["uris"] == ["spiffe://cluster.local/ns/deputize/sa/deputize"]
    assert "deputize.deputize.svc.cluster.local" in certificate["dnsNames"]
    assert certificate["privateKey"]["algorithm"] == "ECDSA"
    assert certificate["privateKey"]["rotationPolicy"] == "Always"
    assert certificate["issuerRef"]["name"] == "mesh"


def test_csi_driver_spiffe_lets_our_group_read_and_our_account_ask() -> None:
    csi = volume("csiDriverSpiffe")["csi"]
    assert csi["driver"] == "spiffe.csi.cert-manager.io"
    assert csi["volumeAttributes"] == {"spiffe.csi.cert-manager.io/fs-group": "65532"}
    (rule,) = only(values("csiDriverSpiffe"), "Role", "deputize-certificates")["rules"]
    assert rule == {
        "apiGroups": ["cert-manager.io"],
        "resources": ["certificaterequests"],
        "verbs": ["create"],
    }
    binding = only(values("csiDriverSpiffe"), "RoleBinding", "deputize-certificates")
    assert [each["name"] for each in binding["subjects"]] == ["deputize"]


def test_spire_writes_the_files_before_we_start_and_keeps_them_fresh() -> None:
    first, second = pod_spec(values("spire"))["initContainers"]
    assert "-daemon-mode=false" in first["args"]
    assert "restartPolicy" not in first
    assert "-daemon-mode=true" in second["args"]
    assert second["restartPolicy"] == "Always"
    for each in (first, second):
        assert {"name": "deputize-tls", "mountPath": "/etc/deputize/tls"} in each["volumeMounts"]


def test_spire_is_asked_at_its_socket() -> None:
    text = only(values("spire"), "ConfigMap", "deputize-spiffe-helper")["data"]["helper.conf"]
    assert 'agent_address = "/spiffe-workload-api/spire-agent.sock"' in text
    for name in ("tls.crt", "tls.key", "ca.crt"):
        assert f'"{name}"' in text


def test_keys_lie_in_memory() -> None:
    assert volume("spire")["emptyDir"]["medium"] == "Memory"


def test_proxies_of_a_mesh_show_their_certificates_of_it() -> None:
    rule = only(CASES["TLS in a mesh"], "DestinationRule")["spec"]
    assert rule["trafficPolicy"]["tls"]["mode"] == "ISTIO_MUTUAL"
    assert rule["trafficPolicy"]["tls"]["subjectAltNames"] == [
        "spiffe://cluster.local/ns/deputize/sa/deputize"
    ]
    assert not objects(CASES["TLS in a mesh"], "PeerAuthentication")
