"""Which installation of deputize is which, where several are among the manifests.

One is a service configuration with the workloads that mount it, the Services that lead to those,
and the policies that they mount beside it, or read as objects. Without workloads that tell them
apart the first configuration counts for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from deputize.config.loader import Loaded
from deputize.doctor.manifests import Manifest
from deputize.doctor.pods import Workload, leads_to
from deputize.doctor.settings import (
    HeldPolicy,
    HeldSettings,
    Own,
    needs_of,
    needs_of_held,
    settings_of,
)
from deputize.doctor.world import Settings, World


class _Part(NamedTuple):
    """One installation; without a configuration none of those given is mounted."""

    service: HeldSettings | None
    workloads: list[Workload]


def find_worlds(
    manifests: Sequence[Manifest], own: Own, loaded: Loaded | None, unchecked: list[str]
) -> list[World]:
    """What is to be looked at for each installation; at least one.

    A configuration that was loaded from a file comes before all among the manifests. What cannot
    be told apart is added to `unchecked`.
    """
    whole = World(manifests)
    parts = _parts(whole, own)
    if loaded is not None:
        if len(parts) > 1:
            unchecked.append("several installations: all are compared with the one of --config")
        # Policies may be given both ways: as files, and as objects.
        settings = settings_of(loaded)
        needs = needs_of(loaded).and_those(needs_of_held(own.policies, None))
        return [World(manifests, settings, needs)]
    mounted = [part.service for part in parts if part.service is not None]
    if not mounted or (len(parts) == 1 and len(own.services) == 1):
        first = own.services[0].settings if own.services else None
        unchecked += _unread(own.services[1:], "give the manifests of one installation at a time")
        return [World(manifests, first, needs_of_held(own.policies, first))]
    rest = [each for each in own.services if each not in mounted]
    unchecked += _unread(rest, "no workload of deputize among the manifests mounts them")
    return list(_divide(parts, own, whole, unchecked))


def find_absent(worlds: Sequence[World]) -> Iterator[str]:
    """ConfigMaps that are mounted and were not given: what they say is not compared."""
    for world in worlds:
        given = world.of("", "ConfigMap")
        for ours in world.ours:
            held = {each.name for each in given if ours.mounts(each)}
            for at in ours.config_maps:
                if at.text not in held:
                    yield f"ConfigMap {at.text}, which {ours.manifest.title} mounts: not given"


def _parts(whole: World, own: Own) -> list[_Part]:
    """Workloads by the configuration that they mount; those with one come first."""
    parts = [_Part(each, []) for each in own.services]
    strangers = _Part(None, [])
    for ours in whole.ours:
        found = [part for part in parts if part.service and ours.mounts(part.service.holder)]
        (found[0] if found else strangers).workloads.append(ours)
    return [part for part in (*parts, strangers) if part.workloads]


def _divide(parts: list[_Part], own: Own, whole: World, unchecked: list[str]) -> Iterator[World]:
    workloads = [[ours.manifest for ours in part.workloads] for part in parts]
    services: list[list[Manifest]] = [[] for _part in parts]
    for service in whole.services:
        owners = [
            number
            for number, part in enumerate(parts)
            if any(leads_to(service, ours) for ours in part.workloads)
        ]
        services[owners[0] if owners else 0].append(service)
    for number, part in enumerate(parts):
        settings = part.service.settings if part.service else None
        policies = [each for each in own.policies if _reads(part, settings, each)]
        others = [other for other in range(len(parts)) if other != number]
        elsewhere = [each for other in others for each in (*workloads[other], *services[other])]
        if settings is None:
            titles = ", ".join(each.title for each in workloads[number])
            unchecked.append(f"{titles}: mounts no service configuration that was given")
        yield World(
            whole.manifests,
            settings,
            needs_of_held(policies, settings),
            elsewhere,
            takes_rest=number == 0,
        )


def _reads(part: _Part, settings: Settings | None, held: HeldPolicy) -> bool:
    """Whether an installation has a policy: mounted, or as an object where it watches."""
    if held.holder.kind == "ConfigMap":
        return any(ours.mounts(held.holder) for ours in part.workloads)
    watched = settings.spec.kubernetes if settings else None
    return watched is not None and held.holder.namespace in {"", *watched.namespaces}


def _unread(services: Sequence[HeldSettings], why: str) -> list[str]:
    places = ", ".join(each.settings.at.where for each in services)
    return [f"further service configurations: {places}; {why}"] if places else []
