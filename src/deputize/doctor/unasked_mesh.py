"""Calls of an Istio mesh that nobody asks about, though a policy of ours seems to cover them.

Sources: istio `security/v1beta1/authorization_policy.proto` (what no rule matches is let in by
`CUSTOM`); `pilot/pkg/networking/core/listener_builder.go` (`CUSTOM` runs before tokens are read);
`pkg/kube/inject/inject.go` (who gets no sidecar).
"""

from __future__ import annotations

from collections.abc import Iterator

from deputize.doctor.asks import at_place
from deputize.doctor.findings import Code, Finding
from deputize.doctor.istio_mesh import our_policies
from deputize.doctor.istio_peers import asking_waypoints
from deputize.doctor.istio_policies import (
    INJECT,
    MODE,
    is_of_gateway,
    selected,
    selector,
    speaks_no_http,
)
from deputize.doctor.listeners import target_refs
from deputize.doctor.manifests import Manifest, is_same_namespace, is_selected
from deputize.doctor.place import At
from deputize.doctor.pods import PROXY, Workload
from deputize.doctor.world import ISTIO_SECURITY, World

_EXCLUDED = "traffic.sidecar.istio.io/excludeInboundPorts"
_WAYPOINT = "istio.io/use-waypoint"


def find_unasked(world: World) -> Iterator[Finding]:
    """Rules that match nothing, workloads without a proxy, and ways around a waypoint."""
    policies = our_policies(world)
    for policy in policies:
        yield from _rules(policy)
        yield from _ports(policy, world)
        if not target_refs(policy) and not is_of_gateway(selector(policy)):
            yield from _nobody(policy, world)
            for workload in selected(policy, world):
                yield from _without_proxy(workload, world)
    for waypoint in asking_waypoints(policies, world):
        yield from _around(waypoint, world)


def _rules(policy: Manifest) -> Iterator[Finding]:
    rules = policy.spec["rules"]
    if not rules.items:
        yield _unasked(rules, "without a rule it matches nothing, and nothing is asked about")
    for rule in rules.items:
        of_tokens = [each.dig("source", "requestPrincipals") for each in rule["from"].items]
        of_tokens += [
            each["values"]
            for each in rule["when"].items
            if each["key"].text.startswith("request.auth.")
        ]
        for at in of_tokens:
            if at.exists:
                yield _unasked(at, "tokens are not read before deputize is asked: it never matches")
        for to in rule["to"].items:
            for path in to["operation"]["notPaths"].items:
                if "*" in path.text:
                    yield _unasked(path, f"nobody is asked about any path like {path.text}")


def _ports(policy: Manifest, world: World) -> Iterator[Finding]:
    """Rules for ports that none of its Services has; some others may be left out on purpose."""
    operations = [
        to["operation"] for rule in policy.spec["rules"].items for to in rule["to"].items or [rule]
    ]
    listed = {port for each in operations for port in each["ports"].texts}
    if not operations or not all(each["ports"].exists for each in operations):
        return
    served = set(_served(policy, world))
    if served and not served & listed and all(port.isdecimal() for port in served):
        shown = ", ".join(sorted(served))
        at = policy.spec["rules"]
        yield _unasked(at, f"it is for no port that speaks HTTP; those are {shown}")


def _served(policy: Manifest, world: World) -> Iterator[str]:
    """HTTP ports as the proxy sees them: of Services at a waypoint, of pods at a sidecar."""
    of_pods = not target_refs(policy)
    workloads = selected(policy, world)
    for service in world.services_of(policy.namespace):
        wanted = service.spec["selector"].words
        is_served = any(is_selected(each.labels, wanted) for each in workloads)
        for port in service.spec["ports"].items if wanted and is_served else ():
            if not speaks_no_http(port):
                yield (of_pods and port["targetPort"].text) or port["port"].text


def _nobody(policy: Manifest, world: World) -> Iterator[Finding]:
    """A selector that fits no pod, as far as workloads and Services tell."""
    wanted = selector(policy)
    known = [each.labels for each in world.workloads_for(policy)]
    if not known or not wanted:
        return
    known += [each.spec["selector"].words for each in world.services_of(policy.namespace)]
    if not any(is_selected(labels, wanted) for labels in known):
        yield _unasked(policy.spec["selector"], "it selects no workload that was given")


def _without_proxy(workload: Workload, world: World) -> Iterator[Finding]:
    words = {**workload.annotations, **workload.labels}
    template = workload.manifest.at.dig("spec", "template", "metadata")
    excluded = template.dig("annotations", _EXCLUDED)
    if excluded.text:
        yield _unasked(excluded, f"port {excluded.text} passes the sidecar by")
    if workload.pod["hostNetwork"].is_on:
        yield _unasked(workload.pod["hostNetwork"], "it gets no sidecar in the node's network")
    elif words.get(INJECT) == "false":
        yield _unasked(template, "it says that it has no sidecar, and so nobody asks")
    elif _is_left_out(workload, words, world):
        name = workload.manifest.namespace
        yield _unasked(template, f"namespace {name} gets no sidecars, and so nobody asks")


def has_proxy(workload: Workload, world: World) -> bool:
    """Whether it has a sidecar, as far as anything is said."""
    words = {**workload.annotations, **workload.labels}
    labels = {**world.namespace_labels(workload.manifest.namespace), **workload.labels}
    return not (
        workload.pod["hostNetwork"].is_on
        or words.get(INJECT) == "false"
        or labels.get(MODE) == "ambient"
        or _is_left_out(workload, words, world)
    )


def _is_left_out(workload: Workload, words: dict[str, str], world: World) -> bool:
    labels = world.namespace_labels(workload.manifest.namespace)
    is_in = "istio.io/rev" in labels or labels.get("istio-injection") == "enabled"
    names = [at["name"].text for at in workload.pod["containers"].items]
    names += [at["name"].text for at in workload.pod["initContainers"].items]
    own = words.get(INJECT) == "true" or "istio.io/rev" in words or PROXY in names
    # Ambient has a finding of its own.
    return bool(labels) and not is_in and not own and labels.get(MODE) != "ambient"


def _around(waypoint: Manifest, world: World) -> Iterator[Finding]:
    namespace = waypoint.namespace
    labels = world.namespace_labels(namespace)
    led = [labels, *(each.labels for each in world.services_of(namespace))]
    if labels and not any(each.get(_WAYPOINT) == waypoint.name for each in led):
        cause = f"nothing leads calls in {namespace} through it ({_WAYPOINT})"
        yield _unasked(waypoint.at["metadata"], cause)
    account = f"/ns/{namespace}/sa/{waypoint.name}"
    guards = [
        each
        for each in world.of(ISTIO_SECURITY, "AuthorizationPolicy")
        if is_same_namespace(each.namespace, namespace)
        and each.spec["action"].text in {"", "ALLOW"}
        and not target_refs(each)
        and any(text.endswith(account) for text in _principals(each))
    ]
    if not guards:
        cause = "who calls a pod itself does not pass it, and no policy lets only it in"
        yield _unasked(waypoint.at["metadata"], cause)


def _principals(policy: Manifest) -> Iterator[str]:
    for rule in policy.spec["rules"].items:
        for each in rule["from"].items:
            yield from each["source"]["principals"].texts


def _unasked(at: At, cause: str) -> Finding:
    return at_place(at, Code.CALLS_UNASKED, cause)
