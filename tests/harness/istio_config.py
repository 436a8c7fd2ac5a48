"""What Istio sends to one proxy, from its own code, for manifests as they stand in a file.

The program is `tests/tools/istio/listeners`: Istio's control plane in memory. It knows no scheduler
and no controller of Deployments and Gateways, so what those would add is added here: pods with
addresses, cluster IPs, the Service of a Gateway.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.tools.install import tool

Manifest = dict[str, Any]

_GATEWAY_LABEL = "gateway.networking.k8s.io/gateway-name"
_CLASSES = {
    "istio": "istio.io/gateway-controller",
    "istio-waypoint": "istio.io/mesh-controller",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyNode:
    """A proxy as it connects. `kind` is `sidecar`, `router` (a gateway) or `waypoint`."""

    kind: str
    namespace: str
    name: str
    account: str
    address: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Manifests as a cluster runs them; every pod and service has an address."""

    objects: tuple[Manifest, ...]

    def service_address(self, name: str, namespace: str) -> str:
        """The cluster IP."""
        return str(self._one("Service", name, namespace)["spec"]["clusterIP"])

    def node(self, kind: str, name: str, namespace: str) -> ProxyNode:
        """The proxy of the pod of the Deployment or Gateway of this name."""
        pod = self._one("Pod", f"{name}-1", namespace)
        return ProxyNode(
            kind=kind,
            namespace=namespace,
            name=f"{name}-1",
            account=pod["spec"]["serviceAccountName"],
            address=pod["status"]["podIP"],
            labels=pod["metadata"]["labels"],
            annotations=pod["metadata"].get("annotations", {}),
        )

    def _one(self, kind: str, name: str, namespace: str) -> Manifest:
        wanted = (kind, name, namespace)
        (found,) = (each for each in self.objects if _key(each) == wanted)
        return found


def read_manifests(files: Iterable[Path]) -> list[Manifest]:
    """All objects of the files, in order."""
    return [
        each for file in files for each in yaml.load_all(file.read_text(), yaml.CSafeLoader) if each
    ]


def run_cluster(manifests: Iterable[Manifest]) -> Cluster:
    """What controllers make of the manifests."""
    objects = [*manifests]
    for gateway in [each for each in objects if each["kind"] == "Gateway"]:
        objects += _made_for_gateway(gateway)
    for deployment in [each for each in objects if each["kind"] == "Deployment"]:
        objects.append(_pod(deployment["metadata"], deployment["spec"]["template"]))
    addressed = [_with_address(each, position) for position, each in enumerate(objects)]
    return Cluster(tuple(addressed))


def generate(mesh: Path, cluster: Cluster, node: ProxyNode, folder: Path) -> dict[str, Any]:
    """`listeners`, `clusters` and `routes` of the proxy, as JSON of their protobuf messages.

    `ztunnel` has the policies for all ztunnels, each an `authorization` with the reason of the
    `problem` for which it is refused, or an empty text.
    """
    file = folder / f"{node.name}.manifests.yaml"
    file.write_text(yaml.dump_all(cluster.objects, Dumper=yaml.CSafeDumper))
    asked = {
        "type": node.kind,
        "namespace": node.namespace,
        "name": node.name,
        "ip": node.address,
        "labels": dict(node.labels),
        "annotations": dict(node.annotations),
    }
    command: Sequence[str | Path] = [
        *(tool("istio-listeners"), "-mesh", mesh),
        *("-proxy", json.dumps(asked), file),
    ]
    done = subprocess.run(  # noqa: S603 - our own program
        command,
        env=os.environ | {"PILOT_ENABLE_AMBIENT": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _made_for_gateway(gateway: Manifest) -> list[Manifest]:
    """Istio's controller of Gateways: class, Service, pod, and the address in the status."""
    name, namespace = gateway["metadata"]["name"], gateway["metadata"]["namespace"]
    class_name = gateway["spec"]["gatewayClassName"]
    service = name if class_name == "istio-waypoint" else f"{name}-{class_name}"
    managed = _CLASSES[class_name].replace("/", "-")
    labels = {_GATEWAY_LABEL: name, "gateway.istio.io/managed": managed}
    host = f"{service}.{namespace}.svc.cluster.local"
    gateway["status"] = {"addresses": [{"type": "Hostname", "value": host}]}
    ports = [
        {
            "name": listener["name"],
            "port": listener["port"],
            "targetPort": listener["port"],
            **({"appProtocol": "hbone"} if listener["protocol"] == "HBONE" else {}),
        }
        for listener in gateway["spec"]["listeners"]
    ]
    metadata = {"name": service, "namespace": namespace, "labels": labels}
    # What Istio copies from a Gateway to its pod.
    annotations = gateway["metadata"].get("annotations", {})
    template = {
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": {"serviceAccountName": service},
    }
    return [
        {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GatewayClass",
            "metadata": {"name": class_name},
            "spec": {"controllerName": _CLASSES[class_name]},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": {_GATEWAY_LABEL: name}, "ports": ports},
        },
        _pod({"name": name, "namespace": namespace}, template),
    ]


def _pod(owner: Mapping[str, Any], template: Mapping[str, Any]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **template["metadata"],
            "name": f"{owner['name']}-1",
            "namespace": owner["namespace"],
        },
        "spec": template["spec"],
    }


def _with_address(thing: Manifest, position: int) -> Manifest:
    if thing["kind"] == "Service":
        # As an API server fills it in.
        ports = [{"targetPort": each["port"], **each} for each in thing["spec"]["ports"]]
        spec = {**thing["spec"], "clusterIP": f"10.0.0.{position + 1}", "ports": ports}
        return {**thing, "spec": spec}
    if thing["kind"] == "Pod":
        address = f"10.1.0.{position + 1}"
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "podIP": address,
            "podIPs": [{"ip": address}],
        }
        return {**thing, "status": status}
    if thing["kind"] == "Namespace":
        metadata = thing["metadata"]
        labels = {**metadata.get("labels", {}), "kubernetes.io/metadata.name": metadata["name"]}
        return {**thing, "metadata": {**metadata, "labels": labels}}
    return thing


def _key(thing: Manifest) -> tuple[str, str, str]:
    metadata = thing["metadata"]
    return thing["kind"], metadata["name"], metadata.get("namespace", "")
