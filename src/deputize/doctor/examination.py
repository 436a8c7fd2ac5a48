"""Everything that can be said of manifests, and of a configuration, without asking anybody."""

from __future__ import annotations

from collections.abc import Sequence

from deputize.doctor import (
    agentgateway,
    asks,
    callers,
    envoy,
    gateways,
    installations,
    istio_mesh,
    istio_peers,
    istio_policies,
    unasked_gateways,
    unasked_mesh,
    unlisted,
    workloads,
)
from deputize.doctor.findings import Report
from deputize.doctor.world import World


def examine(worlds: Sequence[World], report: Report) -> None:
    """Adds to the report what is wrong with what was given, for each installation."""
    asking = [ask for world in worlds for ask in _examine(world, report)]
    if worlds[0].manifests:
        _tell(worlds, asking, report)


def _examine(world: World, report: Report) -> list[asks.Ask]:
    asking = [
        *istio_mesh.read_asks(world),
        *envoy.read_asks(world),
        *agentgateway.read_asks(world),
        *gateways.read_asks(world),
    ]
    for ask in asking:
        report.add(asks.find_faults(ask, world))
    report.add(asks.find_missing_bodies(asking, world))
    report.add(istio_mesh.find_unknown_providers(world))
    report.add(istio_policies.find_faults(world))
    report.add(istio_peers.find_faults(world))
    report.add(envoy.find_faults(world))
    report.add(agentgateway.find_faults(world))
    report.add(gateways.find_faults(world))
    report.add(unasked_mesh.find_unasked(world))
    report.add(unasked_gateways.find_unasked(world))
    report.add(callers.find_open_ports(world))
    report.add(unlisted.find_unlisted(world))
    report.add(workloads.find_faults(world))
    return asking


def _tell(worlds: Sequence[World], asking: list[asks.Ask], report: Report) -> None:
    """What was looked at, and what was not there to be looked at."""
    first = worlds[0]
    ours = [each.manifest for world in worlds for each in world.ours]
    services = [each for world in worlds for each in world.services]
    report.checked.append(f"{len(first.manifests)} objects in manifests")
    report.checked += sorted({f"how {ask.proxy} asks: {ask.at.where}" for ask in asking})
    report.checked += [f"how deputize is run: {each.title}" for each in ours]
    absent = {
        "no proxy among the manifests asks deputize": not asking,
        "no workload of deputize among the manifests": not ours,
        "no Service of deputize among the manifests, so its ports are not compared": not services,
        "no service configuration given, so its defaults are assumed": first.settings is None,
        "policies with action CUSTOM, but no mesh settings: providers are not compared": bool(
            istio_mesh.custom_policies(first) and not istio_mesh.mesh_settings(first)
        ),
    }
    report.unchecked += [text for text, is_absent in absent.items() if is_absent]
    report.unchecked += installations.find_absent(worlds)
    if len(worlds) > 1 and first.settings is not None:
        report.unchecked += [
            f"which installation is asked here: {ask.at.where}; "
            f"it is compared with {first.settings.at.where}"
            for ask in asking
            if not ask.is_served(services)
        ]
