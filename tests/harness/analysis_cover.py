"""Whether an answer of the analysis has a concrete request, found without its masks.

A request lies in those atoms whose examples the same patterns match.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from deputize.analysis.boxes import Box, Mask
from deputize.analysis.call_atoms import NO_CALL, OTHER_BODY, CallAtom
from deputize.analysis.counts import Count
from deputize.analysis.fact_atoms import FactAtoms
from deputize.analysis.fact_values import Example
from deputize.analysis.policy_set import NOTHING, Asked, PolicySet
from deputize.analysis.questions import Row
from deputize.analysis.space import Space
from deputize.analysis.variables import Kind
from deputize.core.case import Source
from deputize.core.grpc_call import read_grpc_call
from deputize.core.json_rpc import CallError
from deputize.core.matching import host_matches
from deputize.core.mcp import NAMED_METHODS
from deputize.core.model import Call, Protocol
from deputize.core.spiffe import parse_spiffe_id
from tests.harness.small_requests import NO, YES, Point

ValueT = TypeVar("ValueT", bound=Hashable)


class Locator:
    """Finds requests in the boxes of a space of these policies."""

    def __init__(
        self,
        space: Space,
        *sets: PolicySet,
        asked: Asked = NOTHING,
        path_sort: Callable[[tuple[str, ...]], object] = lambda _path: None,
    ) -> None:
        """`path_sort` tells paths apart that no pattern does."""
        self._path_sort = path_sort
        self._space = space
        rules = [rule for each in sets for rule in each.rules]
        routes = [route for each in sets for route in each.routes]
        self._agents = {agent for rule in rules for agent in rule.agents}
        principals = [one for rule in rules for one in rule.principals]
        for each in sets:
            for ceiling in each.limits.agent_ceilings:
                self._agents |= set(ceiling.agents)
            for entry in each.limits.principal_scopes:
                principals += entry.principals
        self._subjects = {(one.issuer, name) for one in principals for name in one.subjects}
        self._hosts = {h for rule in rules for h in rule.hosts} | {r.host for r in routes}
        self._methods = {method for rule in rules for method in rule.methods}
        if any(route.resource.protocol is not None for route in routes):
            self._methods |= {"POST", "GET", "DELETE"}
        self._paths = {p for rule in rules for p in rule.paths} | {r.path for r in routes}
        self._calls = {rule.call for rule in rules if rule.call is not None}
        self._agents |= set(asked.agents)
        self._subjects |= {(one.issuer, name) for one in asked.principals for name in one.subjects}
        self._hosts |= set(asked.hosts)
        self._methods |= set(asked.methods)
        self._paths |= set(asked.paths)
        self._calls |= set(asked.calls)
        self._known: dict[tuple[str, Hashable], Mask] = {}
        self._facts: dict[tuple[int, str], Mask] = {}
        self._keys = {number: key for key, number in space.variables._ids.items()}

    def has(self, box: Box, point: Point) -> bool:
        """Whether the box has the request."""
        dense = self._dense(point)
        if not all(one & other for one, other in zip(dense, box.dense, strict=True)):
            return False
        return all(mask & self._state(number, point) for number, mask in box.sparse.items())

    def any_has(self, rows: Iterable[Row], point: Point) -> bool:
        """Whether one of the rows has the request."""
        return any(self.has(box, point) for row in rows for box in row.boxes)

    def _dense(self, point: Point) -> tuple[Mask, ...]:
        space = self._space
        who = (point.issuer, point.subject)
        depths = enumerate(space.depths.examples)
        return (
            self._find(
                "agent", tuple(point.agent[9:].split("/")), space.agents.examples, self._agent
            ),
            self._find("principal", who, space.principals.examples, self._principal),
            self._find("host", point.host, space.hosts.examples, self._host),
            self._find("method", point.method, space.methods.examples, self._method),
            self._find("path", point.segments, space.paths.examples, self._path)
            or self._find("no call", point.segments, space.paths.examples, self._path_alone),
            self._find("call", self._atom(point.call), space.calls.examples, self._call),
            self._find("upgrade", point.upgrade, space.upgrades.examples, lambda text: text),
            1 << max(at for at, depth in depths if depth <= point.depth),
        )

    def _find(
        self, name: str, value: ValueT, examples: Sequence[ValueT], key: Callable[[ValueT], object]
    ) -> Mask:
        if (name, value) not in self._known:
            wanted = key(value)
            found = [1 << at for at, example in enumerate(examples) if key(example) == wanted]
            self._known[name, value] = sum(found)
        return self._known[name, value]

    def _agent(self, segments: tuple[str, ...]) -> object:
        agent = parse_spiffe_id("spiffe://" + "/".join(segments))
        return {pattern for pattern in self._agents if pattern.matches(agent)}

    def _principal(self, who: tuple[str, str]) -> object:
        return who[0], who[1] if who in self._subjects else None

    def _host(self, host: str) -> object:
        return {pattern for pattern in self._hosts if host_matches(pattern, host)}

    def _method(self, method: str) -> object:
        return method if method in self._methods else None

    def _path(self, segments: tuple[str, ...]) -> object:
        return self._path_alone(segments), self._call(self._atom(_as_grpc(segments)))

    def _path_alone(self, segments: tuple[str, ...]) -> object:
        """Where the path names no call of gRPC, that of a request that is none is as good."""
        matched = {pattern for pattern in self._paths if pattern.matches(segments)}
        return matched, self._path_sort(segments)

    def _call(self, atom: CallAtom) -> object:
        if atom.protocol is None:
            return atom
        call = Call(atom.protocol, atom.method, atom.name, None, None)
        sort = atom.method if atom.protocol is Protocol.A2A else atom.method in NAMED_METHODS
        return atom.protocol, sort, {pattern for pattern in self._calls if pattern.matches(call)}

    def _atom(self, call: Call | None) -> CallAtom:
        """The call as an atom; none where no route has its protocol."""
        known = {atom.protocol for atom in self._space.calls.examples}
        if call is None or (call.protocol is Protocol.GRPC and call.protocol not in known):
            return NO_CALL
        if call.protocol not in known:
            return OTHER_BODY if OTHER_BODY in self._space.calls.examples else NO_CALL
        name = "" if call.protocol is Protocol.A2A else call.name
        return CallAtom(call.protocol, call.method, name)

    def _state(self, number: int, point: Point) -> Mask:
        variables = self._space.variables
        variable = variables.listed[number]
        match variable.kind:
            case Kind.CLAIM:
                return YES if (variable.name, variable.text) in point.claims else NO
            case Kind.SCOPE:
                return YES if variable.text in point.scopes else NO
            case Kind.CONTEXT:
                contexts = ("", *variables.contexts)
                return 1 << contexts.index(point.acr) if point.acr in contexts else 1
            case Kind.LOGIN_AGE:
                age = point.login_age
                bounds = [
                    at
                    for at, bound in enumerate(variables.login_ages)
                    if age is not None and age <= bound
                ]
                return 2 << bounds[0] if bounds else 1
            case Kind.BUDGET:
                assert isinstance(variable.of, Count)
                count = point.counts[str(variable.of.ref)]
                return 1 << sum(limit <= count for limit in variable.of.limits)
            case Kind.UNUSED:
                return YES if point.is_unused else NO
            case Kind.APPROVAL:
                approvals = variables.counts.approvals
                return 1 << (approvals.index(point.approval) if point.approval in approvals else 0)
            case _:
                assert isinstance(variable.of, FactAtoms)
                return self._fact(number, variable.of, point)

    def _fact(self, number: int, atoms: FactAtoms, point: Point) -> Mask:
        """The atom of whose example all conditions say the same."""
        key = self._keys[number]
        assert isinstance(key, tuple)
        source, name, positions = key[1]
        if source is Source.PATH:
            found = {point.segments[at] for at in positions if at < len(point.segments)}
            value = Example(next(iter(found), None), "", is_readable=len(found) == 1)
        else:
            value = Example(point.facts.get(name[0]), "")
        known = (number, repr(value))
        if known not in self._facts:
            wanted = atoms.signature(value)
            (self._facts[known],) = (
                1 << at
                for at, example in enumerate(atoms.examples)
                if atoms.signature(example) == wanted
            )
        return self._facts[known]


def _as_grpc(segments: tuple[str, ...]) -> Call | None:
    try:
        return read_grpc_call("POST", segments, "application/grpc")
    except CallError:
        return None
