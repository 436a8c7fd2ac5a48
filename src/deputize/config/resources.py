"""What policies say stands behind which routes, and whether they agree."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deputize.config.policy_schema import DelegationPolicy, PolicyRule, ResourceSettings
from deputize.config.problems import Problem
from deputize.config.strict_yaml import Document, Location
from deputize.core.matching import (
    ANY,
    PathPattern,
    host_matches,
    parse_path_pattern,
)
from deputize.core.model import Binding, Protocol, Resource
from deputize.core.pattern_trees import RouteTree

_BINDINGS = {Protocol.MCP: Binding.BODY, Protocol.A2A: Binding.JSON_RPC, Protocol.GRPC: None}


@dataclass(frozen=True, slots=True)
class Route:
    """A host and a path pattern with what stands behind them."""

    host: str
    path: PathPattern
    resource: Resource


class Resources:
    """All resources of all policies."""

    def __init__(self, policies: Iterable[tuple[DelegationPolicy, Document]]) -> None:
        self.tree: RouteTree[list[Resource]] = RouteTree(list)
        self.routes: list[Route] = []
        self.problems: list[Problem] = []
        self._spoken: dict[tuple[str, str, Protocol], bool] = {}
        for policy, document in policies:
            for position, settings in enumerate(policy.spec.resources):
                self._add(settings, document, ("spec", "resources", position))

    def _add(self, settings: ResourceSettings, document: Document, place: Location) -> None:
        added: list[Route] = []
        for route in _routes(settings):
            known = itertools.chain(self.routes, added)
            rival = next((other for other in known if _disagree(route, other)), None)
            if rival is not None:
                message = (
                    f"says something else of {route.host}{route.path.text} than the resource "
                    f"{rival.host}{rival.path.text}"
                )
                self.problems.append(document.problem(place, message))
                return
            added.append(route)
        for route in added:
            self.routes.append(route)
            self.tree.leaf(route.host, route.path).append(route.resource)

    def check_rule(self, rule: PolicyRule, document: Document, place: Location) -> list[Problem]:
        """A rule about calls on routes where none are read can never match."""
        protocol = protocol_of(rule)
        if protocol is None:
            return []
        missing = next(
            (
                (host, path)
                for host in rule.hosts
                for path in rule.paths
                if not self._speaks(host, path, protocol)
            ),
            None,
        )
        if missing is None:
            return []
        message = (
            f"no resource says that {missing[0]}{missing[1]} speaks `{protocol.value}`; add one to "
            f"`resources`: hosts, paths, `protocol: {protocol.value}`"
        )
        return [document.problem((*place, protocol.value), message)]

    def _speaks(self, host: str, path: str, protocol: Protocol) -> bool:
        key = (host, path, protocol)
        if key not in self._spoken:
            pattern = parse_path_pattern(path)
            self._spoken[key] = any(
                route.resource.protocol is protocol
                and hosts_overlap(route.host, host)
                and paths_overlap(route.path, pattern)
                for route in self.routes
            )
        return self._spoken[key]


def protocol_of(rule: PolicyRule) -> Protocol | None:
    """The protocol whose calls the rule is about."""
    if rule.mcp is not None:
        return Protocol.MCP
    if rule.a2a is not None:
        return Protocol.A2A
    return None if rule.grpc is None else Protocol.GRPC


def hosts_overlap(first: str, second: str) -> bool:
    """Whether one host can match both patterns."""
    if ANY in (first, second) or first == second:
        return True
    return host_matches(first, second) or host_matches(second, first)


def paths_overlap(first: PathPattern, second: PathPattern) -> bool:
    """Whether one path can match both patterns."""
    lengths = (len(first.segments), len(second.segments))
    if lengths[0] < lengths[1] and not first.has_tail:
        return False
    if lengths[1] < lengths[0] and not second.has_tail:
        return False
    return all(
        one == other or (ANY in (one, other) and "" not in (one, other))
        for one, other in zip(first.segments, second.segments, strict=False)
    )


def with_trailing_slash(paths: Iterable[PathPattern]) -> tuple[PathPattern, ...]:
    """The same paths, each also with and without a `/` at its end.

    Many back ends serve `/admin/` as `/admin`; what must not be evaded cannot depend on it.
    """
    listed = tuple(paths)
    twins = {path.segments: path for path in listed if not path.has_tail}
    for path in listed:
        if not path.has_tail:
            slashed = path.segments[:-1] if path.segments[-1] == "" else (*path.segments, "")
            if slashed:
                twins.setdefault(slashed, PathPattern(path.text, slashed, has_tail=False))
    return (*(path for path in listed if path.has_tail), *twins.values())


def _routes(settings: ResourceSettings) -> Iterator[Route]:
    protocol = None if settings.protocol is None else Protocol(settings.protocol)
    given = None if settings.read is None else Binding(settings.read)
    binding = given or (None if protocol is None else _BINDINGS[protocol])
    for path in with_trailing_slash(map(parse_path_pattern, settings.paths)):
        resource = Resource(
            protocol=protocol,
            binding=binding,
            base=len(path.segments) if binding is Binding.REST else 0,
            metadata_url=settings.metadata_url or "",
        )
        for host in settings.hosts:
            yield Route(host, path, resource)


def _disagree(first: Route, second: Route) -> bool:
    return (
        first.resource != second.resource
        and hosts_overlap(first.host, second.host)
        and paths_overlap(first.path, second.path)
    )
