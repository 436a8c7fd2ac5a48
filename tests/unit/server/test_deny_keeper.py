from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deputize.adapters import refresher
from deputize.adapters.documents import Location
from deputize.adapters.telemetry import Telemetry
from deputize.config.schema import DenyListSource
from deputize.core.revocation import Revocations
from deputize.server import deny_keeper
from deputize.server.deny_keeper import DenyKeeper
from deputize.server.state import State
from tests.harness.deny_lists import deny_list
from tests.harness.jwks_endpoint import running_jwks_endpoint
from tests.harness.polling import wait_until
from tests.harness.scripted_server import hang, running_server
from tests.harness.world import AGENT, ISSUER_URL, OTHER_AGENT

SECONDS = 10
TOKEN = (ISSUER_URL, "t-1")


@dataclass(slots=True)
class World:
    """A keeper, and lists in files of `folder`."""

    folder: Path
    state: State
    keeper: DenyKeeper

    def write(self, name: str, text: str) -> DenyListSource:
        (self.folder / name).write_text(text)
        return self.source(name)

    def source(self, name: str) -> DenyListSource:
        return DenyListSource.model_validate({"file": str(self.folder / name)})

    @property
    def revocations(self) -> Revocations:
        return self.state.fetched.revocations

    def use(self, *sources: DenyListSource) -> Revocations:
        prepared = self.keeper.prepare(list(sources))
        self.keeper.use_lists(list(sources))
        return prepared


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    state = State(None)
    keeper = DenyKeeper(state, Telemetry("grpcio"))
    yield World(tmp_path, state, keeper)
    keeper.stop()


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refresher, "RETRY_SECONDS", 0.05)


def wait(check: Callable[[], bool]) -> None:
    wait_until(check, SECONDS)


def agents(*names: str) -> str:
    return deny_list(agents=list(names))


@contextmanager
def at_url(body: Callable[[], bytes], **members: object) -> Iterator[DenyListSource]:
    with running_jwks_endpoint(body) as url:
        yield DenyListSource.model_validate({"url": url, "refreshSeconds": 1, **members})


def test_without_lists_nothing_is_revoked_and_everything_known(world: World) -> None:
    assert world.use().usable_until == math.inf
    assert world.revocations.is_empty


def test_lists_are_read_before_they_come_into_use(world: World) -> None:
    first = world.write("a.yaml", agents(AGENT))
    tokens = [{"issuer": ISSUER_URL, "id": "t-1"}]
    second = world.write("b.yaml", deny_list(tokens=tokens))
    prepared = world.keeper.prepare([first, second])
    assert prepared.agents == {AGENT}
    assert prepared.tokens == {TOKEN}
    # Not yet: the configuration that names them is not in use.
    assert world.revocations.agents == frozenset()
    world.keeper.use_lists([first, second])
    assert world.revocations.agents == {AGENT}
    assert world.revocations.usable_until == math.inf


def test_preparing_leaves_what_is_in_use(world: World) -> None:
    first = world.write("a.yaml", agents(AGENT))
    world.use(first)
    world.keeper.prepare([world.source("missing.yaml")])
    assert world.revocations.agents == {AGENT}
    assert world.revocations.usable_until == math.inf


def test_a_list_that_is_no_longer_named_revokes_nothing(world: World) -> None:
    first, second = world.write("a.yaml", agents(AGENT)), world.write("b.yaml", agents(OTHER_AGENT))
    world.use(first, second)
    world.use(second)
    assert world.revocations.agents == {OTHER_AGENT}


def test_a_changed_file_is_read_when_poked(world: World) -> None:
    world.use(world.write("a.yaml", agents(AGENT)))
    world.write("a.yaml", agents(OTHER_AGENT))
    world.keeper.poke_files()
    wait(lambda: world.revocations.agents == {OTHER_AGENT})


@pytest.mark.parametrize("text", ["", "{", agents("no SPIFFE ID"), "kind: DelegationPolicy"])
def test_a_broken_file_leaves_the_last_good_list(world: World, text: str) -> None:
    source = world.write("a.yaml", agents(AGENT))
    world.use(source)
    world.write("a.yaml", text)
    world.keeper.poke_files()
    (location,) = world.keeper.statuses()
    wait(lambda: world.keeper.statuses()[location].error != "")
    assert world.revocations.agents == {AGENT}
    assert world.revocations.usable_until == math.inf


def test_a_file_that_was_never_read_leaves_everything_unknown(world: World) -> None:
    source = world.source("a.yaml")
    assert world.use(source).usable_until == -math.inf
    assert world.keeper.usable_until(Location(file=source.file)) == -math.inf
    world.write("a.yaml", agents())
    world.keeper.poke_files()
    wait(lambda: world.revocations.usable_until == math.inf)


def test_one_unread_list_leaves_everything_unknown(world: World) -> None:
    good = world.write("a.yaml", agents(AGENT))
    world.use(good, world.source("missing.yaml"))
    assert world.revocations.usable_until == -math.inf
    assert world.revocations.agents == {AGENT}


def test_a_list_at_a_url_is_good_for_its_stale_time(world: World) -> None:
    with at_url(agents(AGENT).encode, staleAfterSeconds=100) as source:
        before = time.time()
        revocations = world.use(source)
        assert before <= revocations.usable_until - 100 <= time.time()
        # The same list again only prolongs it.
        wait(lambda: world.revocations.usable_until > revocations.usable_until)
        assert world.revocations.agents == {AGENT}


def test_a_list_at_a_url_that_fails_is_used_until_it_is_too_old(world: World) -> None:
    bodies = [agents(AGENT).encode()]
    with at_url(lambda: bodies[0], staleAfterSeconds=10) as source:
        usable_until = world.use(source).usable_until
        bodies[0] = b"<html>"
        (location,) = world.keeper.statuses()
        wait(lambda: world.keeper.statuses()[location].error != "")
        assert world.revocations.agents == {AGENT}
        assert world.revocations.usable_until <= usable_until + 2


def test_a_list_that_hangs_holds_up_a_configuration_for_a_bounded_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deny_keeper, "FIRST_SECONDS", 0.1)
    with running_server(hang) as url:
        started = time.monotonic()
        source = DenyListSource.model_validate({"url": f"{url}/deny.json"})
        assert world.use(source).usable_until == -math.inf
        assert time.monotonic() - started < SECONDS / 2
