"""Whether Istio can tell who calls: waypoints, gateways, and mTLS of what is protected.

Sources: istio `pilot/pkg/networking/core/listener_waypoint.go` (a waypoint has no principal; its
annotation `ambient.istio.io/xfcc-include-client-identity`); `networking/v1beta1/gateway.proto`
(server TLS modes); `security/v1beta1/peer_authentication.proto`.
"""

from __future__ import annotations

from collections.abc import Iterator

from deputize.doctor.asks import at_place
from deputize.doctor.findings import Code, Finding
from deputize.doctor.istio_mesh import our_policies
from deputize.doctor.istio_policies import is_of_gateway, selector
from deputize.doctor.listeners import find_open_listeners, gateways_of, target_refs
from deputize.doctor.manifests import Manifest, is_same_namespace, is_selected
from deputize.doctor.place import At
from deputize.doctor.world import (
    GATEWAY_API,
    ISTIO_NETWORKING,
    ISTIO_SECURITY,
    ROOT_NAMESPACE,
    World,
)

ANNOTATION = "ambient.istio.io/xfcc-include-client-identity"
WAYPOINT_CLASS = "istio-waypoint"

_NO_CLIENT_CERTIFICATE = frozenset({"", "SIMPLE", "OPTIONAL_MUTUAL"})
_LAX = frozenset({"PERMISSIVE", "DISABLE"})


def find_faults(world: World) -> Iterator[Finding]:
    """Why a peer would be missing, or not be believed."""
    policies = our_policies(world)
    asking = asking_waypoints(policies, world)
    for waypoint in asking:
        yield from _waypoint(waypoint, world)
    yield from _absent_waypoint(policies, asking, world)
    for policy in policies:
        yield from _gateways(policy, world)
        yield from _mtls(policy, world)


def asking_waypoints(policies: list[Manifest], world: World) -> list[Manifest]:
    """Waypoints of Envoy that a policy of ours is attached to, or what stands behind them."""
    waypoints = [
        each
        for each in world.of(GATEWAY_API, "Gateway")
        if each.spec["gatewayClassName"].text == WAYPOINT_CLASS
    ]
    return [
        waypoint
        for waypoint in waypoints
        if any(
            is_same_namespace(policy.namespace, waypoint.namespace)
            and any(_leads_to(ref, waypoint) for ref in target_refs(policy))
            for policy in policies
        )
    ]


def _leads_to(ref: At, waypoint: Manifest) -> bool:
    is_gateway = ref["kind"].text == "Gateway"
    return ref["name"].text == waypoint.name if is_gateway else True


def _waypoint(waypoint: Manifest, world: World) -> Iterator[Finding]:
    at = waypoint.at.dig("metadata", "annotations")
    if waypoint.annotations.get(ANNOTATION) != "true":
        cause = f"waypoint {waypoint.name} does not write who calls: every call is refused"
        yield at_place(at[ANNOTATION], Code.WAYPOINT_NOT_ANNOTATED, cause)
    if world.settings is None:
        return
    peer, place = world.settings.spec.peer, world.settings.at.dig("spec", "peer")
    if peer.source != "waypoint-xfcc":
        cause = f"waypoint {waypoint.name} asks, and has no principal; peer.source is {peer.source}"
        yield at_place(place["source"], Code.WAYPOINT_SOURCE, cause)
        return
    account = f"/ns/{waypoint.namespace}/sa/{waypoint.name}"
    if waypoint.namespace and not any(each.endswith(account) for each in peer.waypoints or ()):
        cause = f"spiffe://...{account} asks, and is not listed"
        yield at_place(place["waypoints"], Code.WAYPOINT_UNLISTED, cause)


def _absent_waypoint(
    policies: list[Manifest], asking: list[Manifest], world: World
) -> Iterator[Finding]:
    is_expected = world.settings is not None and world.settings.spec.peer.source == "waypoint-xfcc"
    if is_expected and world.settings and policies and not asking:
        cause = "peers are read from the header of a waypoint, and no waypoint asks"
        at = world.settings.at.dig("spec", "peer", "source")
        yield at_place(at, Code.WAYPOINT_ABSENT, cause)


def _gateways(policy: Manifest, world: World) -> Iterator[Finding]:
    wanted = selector(policy)
    for gateway in world.of(ISTIO_NETWORKING, "Gateway"):
        own = gateway.spec["selector"].words
        if target_refs(policy) or not wanted or not is_selected(own, wanted):
            continue
        for server in gateway.spec["servers"].items:
            mode = server.dig("tls", "mode")
            is_https = server.dig("port", "protocol").text in {"HTTPS", "TLS"}
            if is_https and mode.text in _NO_CLIENT_CERTIFICATE:
                cause = f"TLS mode {mode.text or 'SIMPLE'} asks for no client certificate"
                yield at_place(mode, Code.CLIENT_CERTIFICATE_NOT_REQUIRED, cause)
    for gateway in world.of(GATEWAY_API, "Gateway"):
        if _is_asked_at(policy, gateway) and gateway.spec["gatewayClassName"].text == "istio":
            yield from find_open_listeners(gateway)


def _is_asked_at(policy: Manifest, gateway: Manifest) -> bool:
    if not is_same_namespace(policy.namespace, gateway.namespace):
        return False
    refs = [ref["name"].text for ref in target_refs(policy) if ref["kind"].text == "Gateway"]
    named = selector(policy).get("gateway.networking.k8s.io/gateway-name")
    return gateway.name in {*refs, named}


def _mtls(policy: Manifest, world: World) -> Iterator[Finding]:
    """Of a workload, its namespace and the mesh, the narrowest that says something holds."""
    if _is_for_gateway(policy, world):
        return
    found = world.of(ISTIO_SECURITY, "PeerAuthentication")
    here = [
        each
        for each in found
        if is_same_namespace(each.namespace, policy.namespace)
        and (
            is_selected(selector(policy), selector(each))
            or is_selected(selector(each), selector(policy))
        )
    ]
    mesh = [each for each in found if each.namespace == ROOT_NAMESPACE and not selector(each)]
    is_said = any(not selector(each) and each.spec.dig("mtls", "mode").exists for each in here)
    for each in here if is_said else [*here, *mesh]:
        modes = [each.spec.dig("mtls", "mode")]
        modes += [port["mode"] for _port, port in each.spec["portLevelMtls"].entries]
        for mode in modes:
            if mode.text in _LAX:
                cause = f"{mode.text}: who calls without mTLS has no principal, and is refused"
                yield at_place(mode, Code.MTLS_NOT_STRICT, cause)


def _is_for_gateway(policy: Manifest, world: World) -> bool:
    """Whether it is for gateways at the edge, whose clients are no part of the mesh."""
    if target_refs(policy):
        return any(
            gateway.spec["gatewayClassName"].text != WAYPOINT_CLASS
            for gateway in gateways_of(policy, world)
        )
    return is_of_gateway(selector(policy))
