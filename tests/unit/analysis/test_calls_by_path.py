"""Calls that follow from the path, against how the core reads them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import pytest

from deputize.analysis.policy_set import PolicySet
from deputize.analysis.questions import compare
from deputize.core.a2a import read_a2a_grpc, read_a2a_rest
from deputize.core.call_patterns import CallPattern
from deputize.core.grpc_call import read_grpc_call
from deputize.core.json_rpc import CallError
from deputize.core.matching import PathPattern, parse_path_pattern
from deputize.core.model import AccessRequest, Action, Binding, Call, Protocol, Resource
from deputize.core.pattern_trees import RouteTree
from deputize.core.request_calls import find_resource, read_calls
from deputize.core.rules import Rule
from deputize.core.verdict import Denied
from tests.harness.analysis_cover import Locator
from tests.harness.small_requests import Point
from tests.harness.world import AGENT, ISSUER_URL, make_request, make_rule

REST = Resource(Protocol.A2A, Binding.REST, 1, "")
A2A_GRPC = Resource(Protocol.A2A, Binding.GRPC, 0, "")
GRPC = Resource(Protocol.GRPC, None, 0, "")
PATHS = (
    "/a/message:send", "/a/t/message:send", "/a/message:stream", "/a/tasks", "/a/tasks/1",
    "/a/tasks/2", "/a/tasks/1:cancel", "/a/tasks/1:subscribe", "/a/t/tasks/1:cancel",
    "/a/tasks/1/pushNotificationConfigs", "/a/tasks/1/pushNotificationConfigs/2", "/a/tasks/",
    "/a/extendedAgentCard", "/a/t/extendedAgentCard", "/a", "/a/", "/a/x", "/a/x/y/z", "/b/tasks",
    "/lf.a2a.v1.A2AService/GetTask", "/lf.a2a.v1.A2AService/SendMessage",
    "/lf.a2a.v1.A2AService/Other", "/pkg.Svc/Get", "/pkg.Svc/GetAll", "/pkg.Svc/Put",
    "/pkg.Other/Get", "/pkg/Get", "/other/Get", "/pkg.Svc/9", "/pkg.Svc", "/pkg.Svc/Get/x",
)  # fmt: skip


@dataclass(frozen=True)
class Route:
    host: str
    path: PathPattern
    resource: Resource


def routes(resource: Resource, *paths: str) -> tuple[Route, ...]:
    return tuple(Route("a.t", parse_path_pattern(path), resource) for path in paths)


def call(protocol: Protocol, *methods: str) -> CallPattern:
    return CallPattern(protocol, methods, ())


def rule(name: str, pattern: CallPattern | None, *paths: str, effect: str = "allow") -> Rule:
    return make_rule(
        f"p/{name}",
        effect=effect,
        hosts=["*"],
        methods=["*"],
        paths=paths or ["/**"],
        scopes=(),
        call=pattern,
    )


def is_allowed(policies: PolicySet, method: str, path: tuple[str, ...], *, is_grpc: bool) -> bool:
    """By the patterns themselves, after the call was read."""
    tree: RouteTree[list[Resource]] = RouteTree(list)
    for route in policies.routes:
        tree.leaf(route.host, route.path).append(route.resource)
    action = Action(method, "a.t", path)
    request: AccessRequest = make_request(
        headers={"content-type": "application/grpc"} if is_grpc else {}
    )
    try:
        action = read_calls(action, request, find_resource(action, tree))
    except Denied:
        return False
    read: Call | None = next(iter(action.calls), None)
    covering = [
        each.effect.value
        for each in policies.rules
        if any(pattern.matches(path) for pattern in each.paths)
        and (each.call is None or each.call.matches(read))
    ]
    return "allow" in covering and "forbid" not in covering


def sets(resource: Resource, protocol: Protocol, *texts: str) -> Iterable[PolicySet]:
    patterns = [call(protocol, text) for text in texts]
    spoken = (routes(resource, "/**" if resource is not REST else "/a/**"), ())
    for used in spoken:
        yield PolicySet((rule("all", None),), used)
        yield PolicySet((rule("one", patterns[0]), rule("two", patterns[1], "/{x}/{y}")), used)
        yield PolicySet((rule("all", None), rule("no", patterns[-1], effect="forbid")), used)
        yield PolicySet((rule("last", patterns[-1], "/a/tasks/1", "/pkg.Svc/{m}", "/a/**"),), used)


_CASES = (
    *itertools.permutations(sets(REST, Protocol.A2A, "GetTask", "*", "CancelTask"), 2),
    *itertools.permutations(sets(A2A_GRPC, Protocol.A2A, "GetTask", "Send*", "Other"), 2),
    *itertools.permutations(sets(GRPC, Protocol.GRPC, "pkg.Svc/Get", "pkg.Svc/Get*", "pkg*"), 2),
)


@pytest.mark.parametrize(("old", "new"), _CASES)
def test_changes_of_calls_are_those_of_their_paths(old: PolicySet, new: PolicySet) -> None:
    found = compare(old, new)
    spoken = {route.resource for each in (old, new) for route in each.routes}
    locator = Locator(found.space, old, new, path_sort=lambda path: _sort(path, spoken))
    for text, method, is_grpc in itertools.product(PATHS, ("GET", "POST", "PUT"), (False, True)):
        path = tuple(text[1:].split("/"))
        then = is_allowed(old, method, path, is_grpc=is_grpc)
        now = is_allowed(new, method, path, is_grpc=is_grpc)
        name = "/".join(path)
        if is_grpc and (method != "POST" or not _is_grpc(path)):
            continue
        sent = Call(Protocol.GRPC, name, "", None, None) if is_grpc else None
        point = Point(
            AGENT, ISSUER_URL, "alice", frozenset(), frozenset(), "", None, 1, method, "a.t", path,
            "", sent, {}, {}, None, is_unused=True,
        )  # fmt: skip
        assert locator.any_has(found.widened, point) == (now and not then), point
        assert locator.any_has(found.narrowed, point) == (then and not now), point
    for row in found.widened + found.narrowed:
        witness = row.witness
        is_grpc = witness.call is not None and witness.call.protocol is Protocol.GRPC
        if witness.host == "a.t":
            answers = [
                is_allowed(each, witness.method, witness.segments, is_grpc=is_grpc)
                for each in (old, new)
            ]
            assert answers == [row in found.narrowed, row in found.widened]


def _sort(path: tuple[str, ...], resources: set[Resource]) -> object:
    """The operations of the path, by how it is read."""
    found: list[str] = []
    if A2A_GRPC in resources:
        with suppress(CallError):
            found.append(read_a2a_grpc(path).method)
    for method in ("GET", "POST", "DELETE") if REST in resources and path[0] == "a" else ():
        with suppress(CallError):
            found.append(f"{method} {read_a2a_rest(method, path[1:]).method}")
    return found


def _is_grpc(path: tuple[str, ...]) -> bool:
    try:
        return bool(read_grpc_call("POST", path, "application/grpc"))
    except CallError:
        return False
