"""Where requests are read as which calls, and what cannot be read there.

Rules of this file:
- As `core/request_calls.py` has it: on a route that speaks a protocol, a request is a call of it
  or refused; what the protocol has no call for is none.
- Where the path alone says what the call is, the body does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable

from deputize.analysis.boxes import Box, Mask
from deputize.analysis.dimension import bits
from deputize.analysis.policy_set import RouteLike
from deputize.analysis.space import CALL, HOST, METHOD, PATH, Space
from deputize.core.call_patterns import CallPattern
from deputize.core.model import Binding, Protocol, Resource

_BY_PATH = frozenset({Binding.REST, Binding.GRPC})


class ReadRoutes:
    """The routes of one set of policies."""

    def __init__(self, space: Space, routes: Iterable[RouteLike]) -> None:
        self._space = space
        self._post = space.methods.mask(["POST"])
        self._by_body: dict[Protocol, list[dict[int, Mask]]] = {}
        self._by_path: list[tuple[Mask, dict[int, Mask]]] = []
        self.unreadable: list[Box] = []
        """What is refused because it is no call of the protocol."""
        for (resource, hosts), paths in _grouped(space, routes).items():
            if resource.protocol is Protocol.A2A and resource.binding in _BY_PATH:
                self._add_by_path(resource, hosts, paths)
            elif resource.protocol is Protocol.GRPC:
                self._add_grpc(hosts, paths)
            elif resource.protocol is not None:
                self._add_by_body(resource.protocol, hosts, paths)

    def reading(self, pattern: CallPattern) -> list[Box]:
        """Where a request is read as a call that the pattern covers."""
        space = self._space
        calls = space.call_atoms.mask(pattern)
        boxes = [
            space.box({**masks, CALL: calls}) for masks in self._by_body.get(pattern.protocol, ())
        ]
        if pattern.protocol is Protocol.A2A:
            boxes += (space.box(masks) for call, masks in self._by_path if call & calls)
        return boxes

    def _add_by_body(self, protocol: Protocol, hosts: Mask, paths: Mask) -> None:
        masks = {HOST: hosts, METHOD: self._post, PATH: paths}
        self._by_body.setdefault(protocol, []).append(masks)
        self._refuse(masks, ~self._space.call_atoms.of_protocol[protocol])

    def _add_grpc(self, hosts: Mask, paths: Mask) -> None:
        space = self._space
        masks = {HOST: hosts, METHOD: self._post, PATH: paths}
        self._by_body.setdefault(Protocol.GRPC, []).append(masks)
        self._refuse({**masks, METHOD: space.methods.full & ~self._post}, space.calls.full)
        for call, covered in _by_call(
            (space.call_atoms.read_grpc(space.paths.examples[path]), path) for path in bits(paths)
        ):
            self._refuse({**masks, PATH: covered}, ~call)

    def _add_by_path(self, resource: Resource, hosts: Mask, paths: Mask) -> None:
        space = self._space
        base = resource.base if resource.binding is Binding.REST else 0
        for at, method in enumerate(space.methods.examples):
            for call, covered in _by_call(
                (self._read_a2a(resource, method, space.paths.examples[path][base:]), path)
                for path in bits(paths)
            ):
                masks = {HOST: hosts, METHOD: 1 << at, PATH: covered}
                if call:
                    self._by_path.append((call, masks))
                else:
                    self._refuse(masks, space.calls.full)

    def _read_a2a(self, resource: Resource, method: str, path: tuple[str, ...]) -> Mask:
        return self._space.call_atoms.read_a2a(resource.binding, method, path)

    def _refuse(self, masks: dict[int, Mask], calls: Mask) -> None:
        calls &= self._space.calls.full
        if calls and all(masks.values()):
            self.unreadable.append(self._space.box({**masks, CALL: calls}))


def impossible(space: Space) -> list[Box]:
    """What no request can be: a call of gRPC that is not the one its path names."""
    found = ((space.call_atoms.read_grpc(path), at) for at, path in enumerate(space.paths.examples))
    return [
        space.box({PATH: space.paths.full & ~covered, CALL: call})
        for call, covered in _by_call(found)
        if call and space.paths.full & ~covered
    ]


def _by_call(found: Iterable[tuple[Mask, int]]) -> Iterable[tuple[Mask, Mask]]:
    """The paths of each call."""
    paths: dict[Mask, Mask] = {}
    for call, path in found:
        paths[call] = paths.get(call, 0) | 1 << path
    return paths.items()


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
