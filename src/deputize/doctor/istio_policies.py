"""Authorization policies that let deputize decide, and what they are attached to.

Sources: istio `security/v1beta1/authorization_policy.proto`; `pilot/pkg/serviceregistry/ambient`
(ztunnel takes no CUSTOM policy); `pilot/pkg/security/authz/model/model.go` (on TCP, what is
about HTTP is left out of a rule that does not allow).
"""

from __future__ import annotations

from collections.abc import Iterator

from deputize.doctor.asks import at_place
from deputize.doctor.findings import Code, Finding
from deputize.doctor.istio_mesh import our_policies
from deputize.doctor.listeners import target_refs
from deputize.doctor.manifests import Manifest, is_same_namespace, is_selected
from deputize.doctor.place import At
from deputize.doctor.pods import Workload
from deputize.doctor.world import ROOT_NAMESPACE, World

MODE = "istio.io/dataplane-mode"
INJECT = "sidecar.istio.io/inject"

_GATEWAY_LABELS = frozenset({"istio", "gateway.networking.k8s.io/gateway-name"})
_NOT_HTTP = ("tcp", "tls", "mongo", "mysql", "redis", "udp")


def selector(policy: Manifest) -> dict[str, str]:
    """The labels of the pods that a policy selects; all without."""
    return policy.spec.dig("selector", "matchLabels").words


def selects(policy: Manifest, namespace: str, labels: dict[str, str]) -> bool:
    """Whether a policy is for pods with these labels there."""
    here = policy.namespace == ROOT_NAMESPACE or is_same_namespace(policy.namespace, namespace)
    return here and not target_refs(policy) and is_selected(labels, selector(policy))


def find_faults(world: World) -> Iterator[Finding]:
    """What is wrong with the policies that ask us."""
    for policy in our_policies(world):
        yield from _on_authorizer(policy, world)
        yield from _without_target(policy, world)
        yield from _on_tcp(policy, world)


def _on_authorizer(policy: Manifest, world: World) -> Iterator[Finding]:
    for ours in world.ours:
        if not ours.is_beside and selects(policy, ours.manifest.namespace, ours.labels):
            cause = f"it is for {ours.manifest.title} too: each check would need a check"
            yield at_place(policy.spec, Code.CUSTOM_ON_AUTHORIZER, cause)


def _without_target(policy: Manifest, world: World) -> Iterator[Finding]:
    if target_refs(policy):
        return
    found = selected(policy, world)
    ambient = [each for each in found if each.labels.get(MODE) == "ambient"]
    is_ambient = world.namespace_labels(policy.namespace).get(MODE) == "ambient"
    if ambient or (is_ambient and not is_of_gateway(selector(policy))):
        cause = f"namespace {policy.namespace} is ambient, and ztunnel asks nobody"
        yield at_place(policy.spec, Code.CUSTOM_WITHOUT_TARGET, cause)


def _on_tcp(policy: Manifest, world: World) -> Iterator[Finding]:
    if target_refs(policy):
        return
    found = selected(policy, world)
    namespaces = sorted({each.manifest.namespace for each in found})
    for service in (each for name in namespaces for each in world.services_of(name)):
        wanted = service.spec["selector"]
        is_served = wanted.exists and any(
            is_same_namespace(each.manifest.namespace, service.namespace)
            and is_selected(each.labels, wanted.words)
            for each in found
        )
        for port in service.spec["ports"].items if is_served else ():
            if speaks_no_http(port) and _covers(policy, port):
                name = port["name"].text or port["port"].text
                cause = f"it is for port {name} of Service {service.name} too, which is not HTTP"
                yield at_place(policy.spec["rules"], Code.CUSTOM_ON_TCP, cause)


def selected(policy: Manifest, world: World) -> list[Workload]:
    """The workloads that a policy without `targetRefs` is for."""
    wanted = selector(policy)
    return [each for each in world.workloads_for(policy) if is_selected(each.labels, wanted)]


def is_of_gateway(labels: dict[str, str]) -> bool:
    """Whether these labels select pods of gateways, as Istio labels them."""
    return not _GATEWAY_LABELS.isdisjoint(labels)


def _covers(policy: Manifest, port: At) -> bool:
    """Whether it is for that port of a Service.

    Only ports count: what names methods, paths or hosts is left out where there is no HTTP, and the
    rest of the rule holds.
    """
    target = port["targetPort"].text or port["port"].text
    for rule in policy.spec["rules"].items:
        operations = [to["operation"] for to in rule["to"].items]
        for operation in operations:
            ports, others = operation["ports"], operation["notPorts"].texts
            if (not ports.exists or target in ports.texts) and target not in others:
                return True
        if not operations:
            return True
    return False


def speaks_no_http(port: At) -> bool:
    """Whether a port of a Service says so."""
    protocol = port["appProtocol"].text or port["name"].text
    return protocol.lower().split("-")[0] in _NOT_HTTP or port["protocol"].text == "UDP"
