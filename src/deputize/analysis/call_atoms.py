"""All calls of agent protocols that patterns can tell apart, and where they are read.

Rules of this file:
- The first atom is a request without a body; where bodies are read there is one of any other body.
- A method of MCP has a name or has none, as the protocol says; which one a pattern names does not
  change that.
- The calls of gRPC, and those of A2A over gRPC and over HTTP+JSON, follow from the path. So paths
  are told apart where those calls are.

Sources: as in `core/mcp.py`, `core/a2a.py` and `core/grpc_call.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import NamedTuple

from deputize.analysis.boxes import Mask
from deputize.analysis.policy_set import RouteLike
from deputize.analysis.text_atoms import find_texts, text_masks
from deputize.core.a2a import GRPC_SERVICE, OPERATIONS, read_a2a_grpc, read_a2a_rest
from deputize.core.call_patterns import CallPattern
from deputize.core.grpc_call import read_grpc_call
from deputize.core.json_rpc import CallError
from deputize.core.matching import ANY, PathPattern
from deputize.core.mcp import NAMED_METHODS, URI_METHODS
from deputize.core.model import Binding, Call, Protocol
from deputize.core.resource_uri import ResourceUriError, check_resource_uri

_NAMED = tuple(sorted(NAMED_METHODS))
_CONFIGS = "pushNotificationConfigs"
_ODD = "x:y"
"""No name of a tenant, of a verb or of a config; it stands for all others that are none."""
_COLLECTIONS = ("tasks", "extendedAgentCard")
_TASKS = (ANY, "task:cancel", "task:subscribe", _ODD, *_COLLECTIONS)
_REST_SHAPES: tuple[tuple[str, ...], ...] = (
    ("message:send",),
    ("message:stream",),
    *((name,) for name in _COLLECTIONS),
    *(("tasks", task) for task in _TASKS),
    *(("tasks", task, _CONFIGS) for task in _TASKS),
    *(("tasks", task, _CONFIGS, config) for task in _TASKS for config in (ANY, _ODD)),
)


class CallAtom(NamedTuple):
    """A call; `protocol` is None for none. That of gRPC has its method from the path."""

    protocol: Protocol | None
    method: str
    name: str


NO_CALL = CallAtom(None, "", "")
OTHER_BODY = CallAtom(None, "a body that is none", "")


class CallAtoms:
    """The atoms, and those that a pattern or a protocol covers."""

    def __init__(
        self,
        patterns: Sequence[CallPattern],
        protocols: Collection[Protocol | None],
        paths: Iterable[tuple[str, ...]],
    ) -> None:
        """`paths` are the examples of all paths."""
        self._patterns = patterns
        self.listed = [NO_CALL]
        if Protocol.MCP in protocols or Protocol.A2A in protocols:
            self.listed.append(OTHER_BODY)
        if Protocol.MCP in protocols:
            self.listed += self._mcp()
        if Protocol.A2A in protocols:
            self.listed += [CallAtom(Protocol.A2A, name, "") for name in OPERATIONS]
        self._grpc: dict[frozenset[str], int] = {}
        if Protocol.GRPC in protocols:
            for path in paths:
                self._add_grpc(path)
        self.of_protocol = {
            protocol: sum(
                1 << at for at, atom in enumerate(self.listed) if atom.protocol is protocol
            )
            for protocol in Protocol
        }
        methods = [atom.method for atom in self.listed]
        names = [atom.name for atom in self.listed]
        self._methods = text_masks((each for one in patterns for each in one.methods), methods)
        self._names = text_masks((each for one in patterns for each in one.names), names)

    def mask(self, pattern: CallPattern) -> Mask:
        """The atoms that the pattern covers; it is one of those given."""
        methods = names = 0
        for text in pattern.methods:
            methods |= self._methods[text]
        for text in pattern.names:
            names |= self._names[text]
        covered = methods & self.of_protocol[pattern.protocol]
        return covered & names if pattern.names else covered

    def read_grpc(self, path: tuple[str, ...]) -> Mask:
        """The one call that gRPC has at this path; nothing where it has none."""
        call = _try_grpc(path) if self._grpc else None
        return 0 if call is None else 1 << self._grpc[_signature(self._patterns, call.method)]

    def read_a2a(self, binding: Binding | None, method: str, path: tuple[str, ...]) -> Mask:
        """The operation that this path and method are; `path` begins below the base."""
        operation = _try_a2a(binding, method, path)
        return 1 << self.listed.index(CallAtom(Protocol.A2A, operation, "")) if operation else 0

    def _mcp(self) -> list[CallAtom]:
        patterns = [one for one in self._patterns if one.protocol is Protocol.MCP]
        texts = {text for one in patterns for text in one.methods}
        names = {text for one in patterns for text in one.names}
        methods = dict.fromkeys((*_NAMED, *find_texts(texts, _has_no_name)))
        masks = text_masks(texts, methods)
        seen: set[tuple[frozenset[str], int]] = set()
        atoms: list[CallAtom] = []
        plain, uris = find_texts(names), find_texts(names, _is_uri)
        for at, method in enumerate(methods):
            sort = 2 if method in URI_METHODS else int(method in NAMED_METHODS)
            matched = frozenset(text for text in texts if masks[text] >> at & 1)
            if (matched, sort) in seen:
                continue
            seen.add((matched, sort))
            atoms += [CallAtom(Protocol.MCP, method, name) for name in ([""], plain, uris)[sort]]
        return atoms

    def _add_grpc(self, path: tuple[str, ...]) -> None:
        call = _try_grpc(path)
        if call is not None:
            signature = _signature(self._patterns, call.method)
            if self._grpc.setdefault(signature, len(self.listed)) == len(self.listed):
                self.listed.append(CallAtom(Protocol.GRPC, call.method, ""))


def further_paths(
    patterns: Iterable[CallPattern], routes: Iterable[RouteLike]
) -> list[PathPattern]:
    """Patterns for the paths that calls follow from, so that they are told apart."""
    listed: list[tuple[str, ...]] = []
    beginnings: list[tuple[str, ...]] = []
    found = ((route.resource, route.path.segments[: route.resource.base]) for route in routes)
    resources = dict.fromkeys(found)
    for resource, base in resources:
        if resource.protocol is Protocol.A2A and resource.binding is Binding.REST:
            listed += [
                (*base, *tenant, *shape) for shape in _REST_SHAPES for tenant in ((), (ANY,))
            ]
            beginnings += [(*base, first) for first in (*_COLLECTIONS, _ODD)]
        elif resource.protocol is Protocol.A2A and resource.binding is Binding.GRPC:
            listed += [(GRPC_SERVICE, operation) for operation in OPERATIONS]
    if any(resource.protocol is Protocol.GRPC for resource, _ in resources):
        texts = {text for one in patterns if one.protocol is Protocol.GRPC for text in one.methods}
        listed.append((ANY, ANY))
        for text in sorted(texts):
            listed += _grpc_paths(text, texts)
    return [
        *(PathPattern("", each, has_tail=False) for each in dict.fromkeys(listed)),
        *(PathPattern("", each, has_tail=True) for each in dict.fromkeys(beginnings)),
    ]


def path_sort(
    patterns: Sequence[CallPattern], routes: Iterable[RouteLike]
) -> Callable[[tuple[str, ...]], Hashable]:
    """What the calls of a path are, in each way it may be read: paths that differ in it differ."""
    resources = {route.resource._replace(metadata_url="") for route in routes}
    is_grpc = any(
        each.protocol is Protocol.GRPC or each.binding is Binding.GRPC for each in resources
    )
    by_path = [each for each in resources if each.binding in {Binding.REST, Binding.GRPC}]

    def sort(path: tuple[str, ...]) -> Hashable:
        call = _try_grpc(path) if is_grpc else None
        signature = None if call is None else _signature(patterns, call.method)
        operations = [
            _try_a2a(each.binding, method, path[each.base :])
            for each in by_path
            for method in ("GET", "POST", "DELETE")
        ]
        return signature, tuple(operations)

    return sort


def _grpc_paths(text: str, texts: set[str]) -> list[tuple[str, str]]:
    """The paths of the calls that the pattern covers: its own, and one of each other sort."""
    service, slash, method = text.removesuffix(ANY).partition("/")
    if not text.endswith(ANY):
        return [(service, method)]
    examples = [each.partition("/") for each in find_texts(texts) if each.startswith(text[:-1])]
    if slash:
        return [(service, each) for _, _, each in examples if each] + [(service, ANY)]
    return [(each, ANY) for each in dict.fromkeys(each for each, _, _ in examples) if each]


def _signature(patterns: Iterable[CallPattern], method: str) -> frozenset[str]:
    """The patterns that cover the call of gRPC."""
    call = Call(Protocol.GRPC, method, "", None, None)
    return frozenset("\n".join(one.methods) for one in patterns if one.matches(call))


def _try_a2a(binding: Binding | None, method: str, path: tuple[str, ...]) -> str:
    """The operation; empty where there is none."""
    try:
        is_rest = binding is Binding.REST
        return (read_a2a_rest(method, path) if is_rest else read_a2a_grpc(path)).method
    except CallError:
        return ""


def _try_grpc(path: tuple[str, ...]) -> Call | None:
    try:
        return read_grpc_call("POST", path, "application/grpc")
    except CallError:
        return None


def _has_no_name(method: str) -> bool:
    return method not in NAMED_METHODS


def _is_uri(name: str) -> bool:
    try:
        check_resource_uri(name)
    except ResourceUriError:
        return False
    return True
