"""Whatever is allowed is served by a route the policy allows: Envoy, deputize, nginx and Apache.

Every path case, and all combinations of ways to write `/` and `..`, as raw octets of HTTP/1.1 and,
before nginx, of HTTP/2.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from deputize.core.reasons import Reason
from tests.harness.back_ends import ADMIN, BACK_ENDS, ORDERS, BackEnd, Nginx
from tests.harness.path_cases import SPELLINGS
from tests.harness.path_laws import CLIMBS, WIRES, check_hits, reason, served_routes
from tests.harness.path_runs import PATH_OPTIONS, PLAIN, Sent, Wire, run_all, running_guard
from tests.harness.raw_client import RawClient
from tests.harness.raw_http2 import RawHttp2Client
from tests.harness.request_cases import CASES
from tests.harness.world import HOST

MANY = 20
"""Fewer served routes would mean that the laws below speak of nothing."""
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
    made = tmp_path_factory.mktemp("guard")
    nginx, apache = (kind(folder / kind.name) for kind in BACK_ENDS)
    with nginx, apache, running_guard(made, "http/1.1") as guard:
        return run_all(guard, [nginx, apache], WIRES, RawClient)


@pytest.fixture(scope="module")
def runs_over_http2(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    made = tmp_path_factory.mktemp("guard")
    nginx = Nginx(folder / "behind-http2")
    with nginx, running_guard(made, "h2") as guard:
        # Envoy waits for a second before it closes a connection that it finds faulty.
        return run_all(guard, [nginx], WIRES, RawHttp2Client, callers=12)


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
    assert check_hits(runs[pair]) > len(CASES)


@by_pair
def test_nothing_below_admin_is_served(runs: Runs, pair: tuple[str, str]) -> None:
    for sent in runs[pair]:
        if sent.answer is not None:
            assert sent.answer.header("x-block") != ADMIN, sent
            assert not sent.answer.body.startswith(b"route /admin/"), sent


@by_pair
def test_a_served_route_is_the_one_that_was_asked_for(runs: Runs, pair: tuple[str, str]) -> None:
    served = served_routes(runs[pair])
    assert len(served) > MANY
    assert not any(route.startswith("/admin/") for route in served)


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


@pytest.mark.parametrize("name", PATH_OPTIONS)
def test_over_http2_the_same_holds(runs_over_http2: Runs, name: str) -> None:
    runs = runs_over_http2[name, Nginx.name]
    assert check_hits(runs) > len(CASES)
    served = served_routes(runs)
    assert len(served) > MANY
    assert "/v1/orders/7" in served
    assert not any(route.startswith("/admin/") for route in served)
    if name == PLAIN:
        # A `host` beside `:authority` is dropped.
        refused = [sent for sent in runs if reason(sent.wire) is not Reason.POLICY_ALLOWED]
        assert [sent for sent in refused if sent.hits and "host" not in sent.wire.headers] == []
