from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deputize.adapters import refresher
from deputize.adapters.documents import Location
from deputize.adapters.telemetry import Telemetry
from deputize.config.schema import DenyListSource
from deputize.core.revocation import Revocations, merge
from deputize.server import deny_keeper
from deputize.server.deny_keeper import DenyKeeper
from deputize.server.state import State
from tests.harness.deny_lists import deny_list
from tests.harness.jwks_endpoint import running_jwks_endpoint
from tests.harness.loopback import free_port
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
    telemetry: Telemetry

    def write(self, name: str, text: str) -> DenyListSource:
        (self.folder / name).write_text(text)
        return self.source(name)

    def source(self, name: str) -> DenyListSource:
        return DenyListSource.model_validate({"file": str(self.folder / name)})

    @property
    def revocations(self) -> Revocations:
        return self.state.fetched.revocations

    def use(self, *sources: DenyListSource) -> Revocations:
        self.keeper.use_lists(list(sources), self.state.publish_revocations)
        return self.revocations


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    state, telemetry = State(None), Telemetry("grpcio")
    keeper = DenyKeeper(state, telemetry)
    yield World(tmp_path, state, keeper, telemetry)
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
    adopted: list[Revocations] = []
    world.keeper.use_lists([first, second], adopted.append)
    assert [revocations.agents for revocations in adopted] == [{AGENT}]
    assert [revocations.tokens for revocations in adopted] == [{TOKEN}]
    assert adopted[0].usable_until == math.inf
    # The state is for `adopt` alone: it swaps in the configuration at the same moment.
    assert world.revocations.agents == frozenset()


def test_until_a_new_list_is_read_the_old_ones_are_in_use(world: World) -> None:
    world.use(world.write("a.yaml", agents(AGENT)))
    in_use = world.keeper.statuses()
    at_adoption: list[tuple[object, object]] = []

    def adopt(_revocations: Revocations) -> None:
        at_adoption.append((world.revocations.agents, set(world.keeper.statuses())))

    world.keeper.use_lists([world.source("missing.yaml")], adopt)
    assert at_adoption == [({AGENT}, set(in_use))]
    assert set(world.keeper.statuses()).isdisjoint(in_use)


def test_an_old_list_that_is_read_meanwhile_does_not_replace_the_new_ones(world: World) -> None:
    old = world.write("a.yaml", agents(AGENT))
    world.use(old)
    (location,) = world.keeper.statuses()
    refresher = world.keeper.find(location)
    assert refresher is not None
    new = world.write("b.yaml", agents(OTHER_AGENT))
    seen: list[object] = []

    def adopt(revocations: Revocations) -> None:
        world.state.publish_revocations(revocations)
        world.write("a.yaml", agents(AGENT, f"{AGENT}/2"))
        world.keeper.poke_files()
        wait(lambda: refresher._begun == 2)
        # Time enough for it to be published, if it could be.
        threading.Event().wait(0.05)
        seen.append(world.revocations.agents)

    world.keeper.use_lists([new], adopt)
    wait(lambda: refresher._ended == 2)
    assert seen == [{OTHER_AGENT}]
    assert world.revocations.agents == {OTHER_AGENT}


def test_other_authorities_for_the_same_url_keep_its_age_reported(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deny_keeper, "FIRST_SECONDS", 0.0)
    url = f"https://127.0.0.1:{free_port()}/deny.json"
    for ca_file in ("a.pem", "b.pem"):
        source = DenyListSource.model_validate({"url": url, "caFile": ca_file})
        world.use(source)
    labels = {"kind": "deny-list", "name": url}
    registry = world.telemetry.registry
    assert registry.get_sample_value("deputize_source_age_seconds", labels) is not None
    world.use()
    assert registry.get_sample_value("deputize_source_age_seconds", labels) is None


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


def test_what_is_revoked_is_not_put_together_anew_while_nothing_changes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged: list[None] = []

    def counted(parts: Iterable[Revocations]) -> Revocations:
        merged.append(None)
        return merge(parts)

    monkeypatch.setattr(deny_keeper, "merge", counted)
    bodies = [agents(AGENT).encode()]
    with at_url(lambda: bodies[0], staleAfterSeconds=100) as source:
        first = world.use(source, world.write("a.yaml", agents(OTHER_AGENT)))
        wait(lambda: world.revocations.usable_until > first.usable_until)
        assert world.revocations.agents is first.agents
        assert len(merged) == 1
        bodies[0] = agents().encode()
        wait(lambda: world.revocations.agents == {OTHER_AGENT})
        assert len(merged) == 2


def test_the_same_file_again_changes_nothing(world: World) -> None:
    source = world.write("a.yaml", agents(AGENT))
    first = world.use(source)
    refresher = world.keeper.find(Location(file=source.file))
    assert refresher is not None
    begun = refresher._begun
    world.keeper.poke_files()
    wait(lambda: refresher._ended > begun)
    assert world.revocations is first


def test_a_list_at_a_url_that_fails_is_used_until_it_is_too_old(world: World) -> None:
    bodies = [agents(AGENT).encode()]
    with at_url(lambda: bodies[0], staleAfterSeconds=10) as source:
        usable_until = world.use(source).usable_until
        bodies[0] = b"<html>"
        (location,) = world.keeper.statuses()
        wait(lambda: world.keeper.statuses()[location].error != "")
        assert world.revocations.agents == {AGENT}
        assert world.revocations.usable_until <= usable_until + 2


def test_a_shorter_stale_time_counts_at_once(world: World) -> None:
    bodies = [agents(AGENT).encode()]
    other = world.write("a.yaml", agents(OTHER_AGENT))
    with at_url(lambda: bodies[0], staleAfterSeconds=1000) as source:
        usable_until = world.use(source, other).usable_until
        bodies[0] = b"<html>"
        shorter = source.model_copy(update={"stale_after_seconds": 100})
        world.use(shorter, other)
        # It may have been fetched once more before it broke.
        assert usable_until - 901 < world.revocations.usable_until < usable_until - 890
        assert world.revocations.agents == {AGENT, OTHER_AGENT}


def test_the_stale_time_of_a_file_ends_nothing(world: World) -> None:
    source = world.write("a.yaml", agents(AGENT))
    world.use(source)
    world.use(source.model_copy(update={"stale_after_seconds": 10}))
    assert world.revocations.usable_until == math.inf


def test_a_list_that_hangs_holds_up_a_configuration_for_a_bounded_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deny_keeper, "FIRST_SECONDS", 0.1)
    with running_server(hang) as url:
        started = time.monotonic()
        source = DenyListSource.model_validate({"url": f"{url}/deny.json"})
        assert world.use(source).usable_until == -math.inf
        assert time.monotonic() - started < SECONDS / 2


def test_each_new_content_is_logged_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    source = world.write("a.yaml", agents(AGENT, OTHER_AGENT))
    world.use(source)
    world.keeper.poke_files()
    world.use(source)
    said = [record.getMessage() for record in caplog.records if "in force" in record.getMessage()]
    assert len(said) == 1
    assert "agents 2, tokens 0" in said[0]
