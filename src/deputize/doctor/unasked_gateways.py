"""Calls that a proxy with a question to deputize lets in without asking it.

Sources: Envoy `.../filters/http/ext_authz/v3/ext_authz.proto` (ExtAuthzPerRoute) and
`http_connection_manager.proto` (HttpFilter.disabled); kgateway `ext_auth_types.go`; Envoy Gateway
`securitypolicy_types.go` (of two policies the narrower one holds, all of it); agentgateway
`ext_authz.rs` (conditional).
"""

from __future__ import annotations

from collections.abc import Iterator

from deputize.doctor.agentgateway import conditions
from deputize.doctor.asks import at_place
from deputize.doctor.envoy import asking_chains, get, is_type
from deputize.doctor.findings import Code, Finding
from deputize.doctor.gateways import (
    ENVOY_GATEWAY,
    KGATEWAY,
    asking_policies,
    asking_routes,
    asking_traffic_policies,
)
from deputize.doctor.listeners import gateways_of, target_refs
from deputize.doctor.place import At
from deputize.doctor.world import World


def find_unasked(world: World) -> Iterator[Finding]:
    """Places where the question is turned off, or was forgotten."""
    yield from _envoy(world)
    yield from _envoy_gateway(world)
    yield from _kgateway(world)
    for route in asking_routes(world):
        for rule in route.spec["rules"].items:
            if not any(each["externalAuth"].exists for each in rule["filters"].items):
                yield _unasked(rule, "another rule of the route has the filter, and this one not")
    for conditional in conditions(world):
        if all(each["condition"].exists for each in conditional.items):
            yield _unasked(conditional, "what meets none of the conditions is let in")


def _envoy(world: World) -> Iterator[Finding]:
    for manager in asking_chains(world):
        for entry in get(manager, "http_filters").items:
            config = get(entry, "typed_config")
            if not is_type(config, "ExtAuthz"):
                continue
            if entry["disabled"].is_on:
                yield _unasked(entry["disabled"], "the filter is off unless a route turns it on")
            condition = get(config, "filter_enabled_metadata")
            if condition.exists:
                yield _unasked(condition, "what has other metadata is let in")
        for place in get(manager, "route_config").walk():
            # A single path can be meant; whatever begins so is more than one thinks of.
            is_single = get(place, "match")["path"].exists
            for _name, own in get(place, "typed_per_filter_config").entries:
                if is_type(own, "ExtAuthzPerRoute") and own["disabled"].is_on and not is_single:
                    yield _unasked(own["disabled"], "the question is turned off here")


def _kgateway(world: World) -> Iterator[Finding]:
    if not asking_traffic_policies(world):
        return
    for policy in world.of(KGATEWAY, "TrafficPolicy"):
        if policy.spec.dig("extAuth", "disable").exists:
            yield _unasked(policy.spec.dig("extAuth", "disable"), "it turns the question off")


def _envoy_gateway(world: World) -> Iterator[Finding]:
    asked = {
        gateway.title for policy in asking_policies(world) for gateway in gateways_of(policy, world)
    }
    for policy in world.of(ENVOY_GATEWAY, "SecurityPolicy"):
        is_narrow = any(
            ref["kind"].text != "Gateway" or ref["sectionName"].exists
            for ref in target_refs(policy)
        )
        is_behind = any(gateway.title in asked for gateway in gateways_of(policy, world))
        if is_narrow and is_behind and not policy.spec["extAuth"].exists:
            yield _unasked(policy.spec, "it takes the place of the policy that asks")


def _unasked(at: At, cause: str) -> Finding:
    return at_place(at, Code.CALLS_UNASKED, cause)
