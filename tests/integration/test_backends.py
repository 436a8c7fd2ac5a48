"""Whatever is allowed is served by a route the policy allows: Envoy, deputize, nginx and Apache.

Every path case, and all combinations of ways to write `/` and `..`, as raw octets.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from deputize.core.paths import parse_path
from deputize.core.reasons import Reason
from deputize.core.snapshot import Snapshot
from tests.harness.back_ends import ADMIN, BACK_ENDS, ORDERS, OTHER, BackEnd
from tests.harness.path_cases import SPELLINGS
from tests.harness.path_rules import FILES, path_rules
from tests.harness.path_runs import PATH_OPTIONS, PLAIN, Sent, Wire, run_all, running_guard
from tests.harness.raw_client import RawClient
from tests.harness.request_cases import CASES
from tests.harness.world import (
    HOST,
    NOW,
    decide_now,
    make_request,
    make_snapshot,
    shared_issuer,
)

UP = (
    "..", "%2e%2e", ".%2e", "%252e%252e", "%c0%ae%c0%ae", "%ef%bc%8e%ef%bc%8e", "..;", "..;a=b",
    "..%00", "..%20", "..%0a", "...", "%u002e%u002e", "..%23", "..,",
)  # fmt: skip
DOWN = (
    "/", "//", "\\", "%2f", "%5c", "%252f", "%c0%af", "%ef%bc%8f", "%e2%88%95", "/;/", "/./",
)  # fmt: skip
CLIMBS = [f"/v1/orders/{up}{down}{up}{down}admin/x" for up, down in product(UP, DOWN)]
CLIMBS += [f"/v1/orders/7{down}{up}{down}{up}{down}{up}{down}admin{down}x"
           for up, down in product(UP, DOWN)]  # fmt: skip
WIRES = [
    Wire(case.method, host, target, case.headers)
    for case in CASES
    for host in case.hosts
    for target in case.targets
] + [Wire("GET", host, climb, {}) for climb in CLIMBS for host in (HOST, FILES)]
PAIRS = list(product(PATH_OPTIONS, [each.name for each in BACK_ENDS]))
REACHES_ADMIN = ("/v1/orders/../../admin/x", "/v1/orders/%2e%2e/%2e%2e/admin/x", "//admin/x",
                 "/%61dmin/x", "http://evil/admin/x")  # fmt: skip
"""Some of the spellings with which the back ends serve what nobody may have."""

Runs = dict[tuple[str, str], list[Sent]]
by_pair = pytest.mark.parametrize("pair", PAIRS, ids="-".join)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not below pytest's own, which only its user may enter: the servers run as nobody."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture(scope="module")
def runs(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    nginx, apache = (kind(folder / kind.name) for kind in BACK_ENDS)
    with nginx, apache, running_guard(tmp_path_factory.mktemp("guard")) as guard:
        return run_all(guard, [nginx, apache], WIRES)


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


def is_tidied(wire: Wire) -> bool:
    """True when even a plain Envoy changes the request line before it asks.

    It makes a path of the absolute form, and takes any white space between words for one space.
    """
    words = (wire.method, wire.target)
    return "://" in wire.target or any(word != word.strip(" \t") for word in words)


@by_pair
def test_the_allowed_call_is_served(runs: Runs, pair: tuple[str, str]) -> None:
    order = Wire("GET", HOST, "/v1/orders/7", {})
    answers = [sent.answer for sent in runs[pair] if sent.wire == order]
    assert answers
    for answer in answers:
        assert answer is not None
        assert (answer.status, answer.body) == (200, b"route /v1/orders/7")
        assert (answer.header("x-back-end"), answer.header("x-block")) == (pair[1], ORDERS)


@by_pair
def test_what_reaches_a_back_end_is_read_there_as_it_was_decided(
    runs: Runs, pair: tuple[str, str]
) -> None:
    hits = [(hit, sent) for sent in runs[pair] for hit in sent.hits]
    assert len(hits) > len(CASES)
    for hit, sent in hits:
        arrived = replace(sent.wire, method=hit.method, host=hit.host, target=hit.target)
        assert reason(arrived) is Reason.POLICY_ALLOWED, (hit, sent.wire)
        assert is_of(hit.path, hit.target), (hit, sent.wire)


@by_pair
def test_nothing_below_admin_is_served(runs: Runs, pair: tuple[str, str]) -> None:
    for sent in runs[pair]:
        if sent.answer is not None:
            assert sent.answer.header("x-block") != ADMIN, sent
            assert not sent.answer.body.startswith(b"route /admin/"), sent


@by_pair
def test_a_served_route_is_one_the_policy_allows(runs: Runs, pair: tuple[str, str]) -> None:
    served = set()
    for sent in runs[pair]:
        if sent.answer is None or not sent.answer.body.startswith(b"route "):
            continue
        (hit,) = sent.hits
        route = sent.answer.body.decode().removeprefix("route ")
        assert is_of(route, hit.target), sent
        assert sent.answer.header("x-block") == (
            ORDERS if route.startswith("/v1/orders/") else OTHER
        )
        served.add(route)
    assert len(served) > 20


@by_pair
def test_what_deputize_refuses_does_not_arrive(runs: Runs, pair: tuple[str, str]) -> None:
    refused = [sent for sent in runs[pair] if sent.is_refused]
    assert len(refused) > len(CLIMBS)
    assert [sent for sent in refused if sent.hits] == []


@pytest.mark.parametrize("back_end", [each.name for each in BACK_ENDS])
def test_a_plain_proxy_changes_no_answer(runs: Runs, back_end: str) -> None:
    for sent in runs[PLAIN, back_end]:
        if reason(sent.wire) is Reason.POLICY_ALLOWED:
            assert len(sent.hits) == 1, sent
        elif not is_tidied(sent.wire):
            assert sent.hits == [], sent


@pytest.mark.parametrize("kind", BACK_ENDS)
def test_unguarded_the_back_ends_serve_what_is_forbidden(kind: type[BackEnd], folder: Path) -> None:
    with kind(folder / f"open-{kind.name}") as back_end, RawClient(back_end.port) as client:
        for target in REACHES_ADMIN:
            answer = client.send("GET", target, {"Host": HOST})
            assert answer is not None
            assert (answer.status, answer.body) == (200, b"route /admin/x")
            assert target in {each for case in SPELLINGS for each in case.targets}
