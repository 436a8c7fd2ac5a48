"""What is sent to back ends behind deputize, and what must hold of what reaches them."""

from __future__ import annotations

from functools import cache
from itertools import product

from deputize.core.paths import parse_path
from deputize.core.reasons import Reason
from deputize.core.snapshot import Snapshot
from tests.harness.path_rules import FILES, path_rules
from tests.harness.path_runs import Sent, Wire
from tests.harness.request_cases import CASES
from tests.harness.world import (
    HOST,
    NOW,
    decide_now,
    make_request,
    make_snapshot,
    shared_issuer,
)

_UP = (
    "..", "%2e%2e", ".%2e", "%252e%252e", "%c0%ae%c0%ae", "%ef%bc%8e%ef%bc%8e", "..;", "..;a=b",
    "..%00", "..%20", "..%0a", "...", "%u002e%u002e", "..%23", "..,",
)  # fmt: skip
_DOWN = (
    "/", "//", "\\", "%2f", "%5c", "%252f", "%c0%af", "%ef%bc%8f", "%e2%88%95", "/;/", "/./",
)  # fmt: skip
CLIMBS = [f"/v1/orders/{up}{down}{up}{down}admin/x" for up, down in product(_UP, _DOWN)]
CLIMBS += [f"/v1/orders/7{down}{up}{down}{up}{down}{up}{down}admin{down}x"
           for up, down in product(_UP, _DOWN)]  # fmt: skip
WIRES = [
    Wire(case.method, host, target, case.headers)
    for case in CASES
    for host in case.hosts
    for target in case.targets
] + [Wire("GET", host, climb, {}) for climb in CLIMBS for host in (HOST, FILES)]


@cache
def _snapshot() -> Snapshot:
    return make_snapshot(shared_issuer(), rules=path_rules())


@cache
def _token() -> str:
    return shared_issuer().issue(now=NOW)


def reason(wire: Wire) -> Reason:
    """The answer of the core to what is sent, unless a proxy changes it before."""
    request = make_request(
        _token(), method=wire.method, host=wire.host, path=wire.target, headers=wire.headers
    )
    return decide_now(request, _snapshot()).reason


def is_of(route: str, target: str) -> bool:
    """True when the route is the path as deputize reads it, or the index of that folder."""
    path = "/" + "/".join(parse_path(target))
    return route == path or (path.endswith("/") and route == f"{path}index.html")


def check_hits(runs: list[Sent]) -> int:
    """Whatever reached the back end was allowed, and is read there as it was decided.

    Gives the number of hits. A server that has an index for a folder serves it.
    """
    hits = [(hit, sent) for sent in runs for hit in sent.hits]
    for hit, sent in hits:
        headers = {name: value for name, value in sent.wire.headers.items() if name != "host"}
        arrived = Wire(hit.method, hit.host, hit.target, headers)
        assert reason(arrived) is Reason.POLICY_ALLOWED, (hit, sent.wire)
        assert is_of(hit.path, hit.target), (hit, sent.wire)
    return len(hits)


def served_routes(runs: list[Sent]) -> set[str]:
    """The routes that were served; each is the one that was asked for."""
    served = set()
    for sent in runs:
        if sent.answer is not None and sent.answer.body.startswith(b"route "):
            route = sent.answer.body.decode().removeprefix("route ")
            (hit,) = sent.hits
            assert is_of(route, hit.target), sent
            served.add(route)
    return served
