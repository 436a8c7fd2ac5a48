"""Authorization policies that let deputize decide, and what they are attached to.

Sources: istio `security/v1beta1/authorization_policy.proto`; `pilot/pkg/serviceregistry/ambient`
(ztunnel takes no CUSTOM policy); `pilot/pkg/security/authz/builder` (TCP ports are asked about).
"""

from __future__ import annotations

from collections.abc import Iterator

from deputize.doctor.asks import at_place
from deputize.doctor.findings import Code, Finding
from deputize.doctor.istio_mesh import ROOT_NAMESPACE, our_policies, targets
from deputize.doctor.manifests import Manifest, is_same_namespace, is_selected
from deputize.doctor.reading import At
from deputize.doctor.world import GATEWAY_API, Workload, World

MODE = "istio.io/dataplane-mode"

_NOT_HTTP = ("tcp", "tls", "mongo", "mysql", "redis", "udp")


def selector(policy: Manifest) -> dict[str, str]:
    """The labels of the pods that a policy selects; all without."""
    return policy.spec.dig("selector", "matchLabels").words


def selects(policy: Manifest, namespace: str, labels: dict[str, str]) -> bool:
    """Whether a policy is for pods with these labels there."""
    if targets(policy):
        return False
    here = policy.namespace == ROOT_NAMESPACE or is_same_namespace(policy.namespace, namespace)
    return here and is_selected(labels, selector(policy))


def find_policy_faults(world: World) -> Iterator[Finding]:
    """What is wrong with the policies that ask us."""
    for policy in our_policies(world):
        yield from _on_authorizer(policy, world)
        yield from _without_target(policy, world)
        yield from _on_tcp(policy, world)


def _on_authorizer(policy: Manifest, world: World) -> Iterator[Finding]:
    for ours in world.ours:
        if selects(policy, ours.manifest.namespace, ours.labels):
            cause = f"it is for {ours.manifest.title} too: each check would need a check"
            yield at_place(policy.spec, Code.CUSTOM_ON_AUTHORIZER, cause)


def _without_target(policy: Manifest, world: World) -> Iterator[Finding]:
    if targets(policy):
        return
    selected = [each for each in world.workloads if _selects_workload(policy, each)]
    ambient = [each for each in selected if each.labels.get(MODE) == "ambient"]
    is_ambient = world.namespace_labels(policy.namespace).get(MODE) == "ambient"
    if ambient or (is_ambient and not _is_for_gateway(policy, world)):
        cause = f"namespace {policy.namespace} is ambient, and ztunnel asks nobody"
        yield at_place(policy.spec, Code.CUSTOM_WITHOUT_TARGET, cause)


def _on_tcp(policy: Manifest, world: World) -> Iterator[Finding]:
    if targets(policy) or not _covers_all_ports(policy):
        return
    for service in world.of("", "Service"):
        wanted = service.spec["selector"]
        chosen = [
            each
            for each in world.workloads
            if _selects_workload(policy, each)
            and is_same_namespace(each.manifest.namespace, service.namespace)
            and wanted.exists
            and is_selected(each.labels, wanted.words)
        ]
        for port in service.spec["ports"].items if chosen else ():
            if _speaks_no_http(port):
                name = port["name"].text or port["port"].text
                cause = f"it is for port {name} of Service {service.name} too, which is not HTTP"
                yield at_place(policy.spec["rules"], Code.CUSTOM_ON_TCP, cause)


def _selects_workload(policy: Manifest, workload: Workload) -> bool:
    return selects(policy, workload.manifest.namespace, workload.labels)


def _is_for_gateway(policy: Manifest, world: World) -> bool:
    """Whether the labels are those of pods of a gateway, which are no part of ambient."""
    labels = selector(policy)
    named = labels.get("gateway.networking.k8s.io/gateway-name") or labels.get("istio")
    return bool(named) or bool(labels and world.of(GATEWAY_API, "Gateway") and "gateway" in labels)


def _covers_all_ports(policy: Manifest) -> bool:
    return any(_has_no_ports(rule) for rule in policy.spec["rules"].items)


def _has_no_ports(rule: At) -> bool:
    operations = [to["operation"] for to in rule["to"].items]
    # What names a method, path or host is for HTTP only.
    http = ("methods", "paths", "hosts", "notMethods", "notPaths", "notHosts", "ports")
    return not operations or any(
        not any(operation[key].exists for key in http) for operation in operations
    )


def _speaks_no_http(port: At) -> bool:
    protocol = port["appProtocol"].text or port["name"].text
    return protocol.lower().split("-")[0] in _NOT_HTTP or port["protocol"].text == "UDP"
