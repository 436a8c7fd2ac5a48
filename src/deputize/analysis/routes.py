"""Where the calls of each protocol are read, and what cannot be read there.

Rules of this file:
- As `core/request_calls.py` has it: on a route that speaks a protocol, a request is a call of it
  or refused; what the protocol has no call for is none.
"""

from __future__ import annotations

from collections.abc import Iterable

from deputize.analysis.boxes import Box, Mask
from deputize.analysis.dimension import bits
from deputize.analysis.policy_set import RouteLike
from deputize.analysis.space import CALL, HOST, METHOD, PATH, Space
from deputize.core.model import Binding, Protocol, Resource

_BY_PATH = frozenset({Binding.REST, Binding.GRPC})


class ReadRoutes:
    """The routes of one set of policies."""

    def __init__(self, space: Space, routes: Iterable[RouteLike]) -> None:
        self._space = space
        self._post = space.methods.mask(["POST"])
        self._reading: dict[Protocol, list[Box]] = {}
        self.unreadable: list[Box] = []
        """What is refused because it is no call of the protocol."""
        for (resource, hosts), paths in _grouped(space, routes).items():
            if resource.protocol is not None:
                self._add(resource.protocol, resource, hosts, paths)

    def reading(self, protocol: Protocol) -> list[Box]:
        """Where requests are read as calls of the protocol."""
        return self._reading.get(protocol, [])

    def _add(self, protocol: Protocol, resource: Resource, hosts: Mask, paths: Mask) -> None:
        space = self._space
        is_by_path = protocol is Protocol.GRPC or resource.binding in _BY_PATH
        methods = space.methods.full if is_by_path else self._post
        masks = {HOST: hosts, METHOD: methods, PATH: paths}
        self._reading.setdefault(protocol, []).append(space.box(masks))
        if not is_by_path:
            others = space.calls.full & ~space.call_atoms.of_protocol[protocol]
            self._refuse({**masks, CALL: others})
            return
        for method in bits(space.methods.full):
            found: dict[Mask, Mask] = {}
            for path in bits(paths):
                call = self._call_at(protocol, resource, method, path)
                found[call] = found.get(call, 0) | 1 << path
            for call, covered in found.items():
                self._refuse(
                    {
                        HOST: hosts,
                        METHOD: 1 << method,
                        PATH: covered,
                        CALL: space.calls.full & ~call,
                    }
                )

    def _call_at(self, protocol: Protocol, resource: Resource, method: int, path: int) -> Mask:
        space = self._space
        segments, name = space.paths.examples[path], space.methods.examples[method]
        if protocol is Protocol.GRPC:
            return space.call_atoms.read_grpc(segments) if name == "POST" else 0
        below = segments[resource.base :] if resource.binding is Binding.REST else segments
        return space.call_atoms.read_a2a(resource.binding, name, below)

    def _refuse(self, masks: dict[int, Mask]) -> None:
        if all(masks.values()):
            self.unreadable.append(self._space.box(masks))


def _grouped(space: Space, routes: Iterable[RouteLike]) -> dict[tuple[Resource, Mask], Mask]:
    """The paths of each resource by its hosts; of one path with many hosts, the hosts together."""
    hosts: dict[tuple[Resource, Mask], Mask] = {}
    for route in routes:
        key = (route.resource._replace(metadata_url=""), space.path_mask([route.path]))
        hosts[key] = hosts.get(key, 0) | space.hosts.mask([route.host])
    paths: dict[tuple[Resource, Mask], Mask] = {}
    for (resource, path), host in hosts.items():
        paths[resource, host] = paths.get((resource, host), 0) | path
    return paths
