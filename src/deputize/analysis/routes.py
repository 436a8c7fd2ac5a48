"""Where requests are read as which calls, and what cannot be read there.

Rules of this file:
- As `core/request_calls.py` has it: on a route that speaks a protocol, a request is a call of it
  or refused; what the protocol has no call for is none.
- Where the path alone says what the call is, the body does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable

from deputize.analysis.boxes import Box, Mask
from deputize.analysis.call_atoms import NO_CALL
from deputize.analysis.dimension import bits
from deputize.analysis.policy_set import RouteLike
from deputize.analysis.space import CALL, HOST, METHOD, PATH, Space
from deputize.core.call_patterns import CallPattern
from deputize.core.model import Binding, Protocol, Resource


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
            if resource.binding is Binding.REST:
                self._add_rest(resource, hosts, paths)
            elif resource.protocol is Protocol.GRPC or resource.binding is Binding.GRPC:
                self._add_grpc(resource, hosts, paths)
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
        atoms, methods = self._space.call_atoms, self._space.methods
        no_call = 1 << atoms.listed.index(NO_CALL)
        masks = {HOST: hosts, METHOD: self._post, PATH: paths}
        self._by_body.setdefault(protocol, []).append(masks)
        self._refuse(masks, ~atoms.of_protocol[protocol])
        # What is no POST may have no body.
        self._refuse({**masks, METHOD: methods.full & ~self._post}, ~no_call)

    def _add_grpc(self, resource: Resource, hosts: Mask, paths: Mask) -> None:
        space = self._space
        masks = {HOST: hosts, METHOD: self._post, PATH: paths}
        self._refuse({**masks, METHOD: space.methods.full & ~self._post}, space.calls.full)
        for call, covered in _by_call(
            (space.call_atoms.read_grpc(space.paths.examples[path]), path) for path in bits(paths)
        ):
            self._refuse({**masks, PATH: covered}, ~call)
        if resource.protocol is Protocol.GRPC:
            self._by_body.setdefault(Protocol.GRPC, []).append(masks)
        else:
            self._add_by_path(resource, masks, "POST", 0)

    def _add_rest(self, resource: Resource, hosts: Mask, paths: Mask) -> None:
        for at, method in enumerate(self._space.methods.examples):
            masks = {HOST: hosts, METHOD: 1 << at, PATH: paths}
            self._add_by_path(resource, masks, method, resource.base)

    def _add_by_path(
        self, resource: Resource, masks: dict[int, Mask], method: str, base: int
    ) -> None:
        atoms, examples = self._space.call_atoms, self._space.paths.examples
        for call, covered in _by_call(
            (atoms.read_a2a(resource.binding, method, examples[path][base:]), path)
            for path in bits(masks[PATH])
        ):
            if call:
                self._by_path.append((call, {**masks, PATH: covered}))
            else:
                self._refuse({**masks, PATH: covered}, self._space.calls.full)

    def _refuse(self, masks: dict[int, Mask], calls: Mask) -> None:
        calls &= self._space.calls.full
        if calls and all(masks.values()):
            self.unreadable.append(self._space.box({**masks, CALL: calls}))


def impossible(space: Space) -> list[Box]:
    """What no request can be: a call of gRPC that is no POST, or not the one its path names."""
    calls = space.call_atoms.of_protocol[Protocol.GRPC]
    if not calls:
        return []
    methods = space.methods.full & ~space.methods.mask(["POST"])
    found = ((space.call_atoms.read_grpc(path), at) for at, path in enumerate(space.paths.examples))
    boxes = [
        space.box({PATH: space.paths.full & ~covered, CALL: call})
        for call, covered in _by_call(found)
        if call
    ]
    return [box for box in (*boxes, space.box({METHOD: methods, CALL: calls})) if all(box.dense)]


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
