from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deputize.adapters.telemetry import Telemetry
from deputize.config.schema import TrustBundle
from deputize.core.bundles import Bundle
from deputize.core.spiffe import TrustDomain
from deputize.server.bundle_keeper import BundleKeeper, wanted_bundles
from deputize.server.state import State
from tests.harness.certificates import Authority, make_authority, make_bundle
from tests.harness.polling import wait_until

SECONDS = 10
DOMAIN = TrustDomain("prod.example.org")
FIRST, SECOND = make_authority(), make_authority()


@dataclass(slots=True)
class World:
    """A keeper of one bundle, in a file of `folder`."""

    folder: Path
    state: State
    keeper: BundleKeeper

    def write(self, *authorities: Authority, sequence: int = 1) -> None:
        (self.folder / "bundle.json").write_bytes(make_bundle(*authorities, sequence=sequence))
        self.keeper.poke_files()

    def use(self, **members: object) -> None:
        file = str(self.folder / "bundle.json")
        document = {"trustDomain": str(DOMAIN), "file": file, **members}
        self.keeper.use(wanted_bundles([TrustBundle.model_validate(document)]))

    @property
    def bundle(self) -> Bundle | None:
        return self.state.fetched.bundles.get(DOMAIN)

    def authorities(self) -> int:
        return len(self.bundle.authorities) if self.bundle else 0

    def error(self) -> str:
        return self.keeper.statuses()[DOMAIN].error


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    state = State(None)
    keeper = BundleKeeper(state, Telemetry("grpcio"))
    yield World(tmp_path, state, keeper)
    keeper.stop()


def wait(check: Callable[[], bool]) -> None:
    wait_until(check, SECONDS)


def test_a_bundle_is_read_and_read_again(world: World) -> None:
    world.write(FIRST)
    world.use()
    wait(lambda: world.authorities() == 1)
    world.write(FIRST, SECOND)
    wait(lambda: world.authorities() == 2)


def test_a_bundle_is_good_for_its_stale_time(world: World) -> None:
    world.write(FIRST)
    before = time.time()
    world.use(staleAfterSeconds=100)
    wait(lambda: world.authorities() == 1)
    assert world.bundle is not None
    assert before <= world.bundle.usable_until - 100 <= time.time()


def test_a_shorter_stale_time_counts_at_once(world: World) -> None:
    world.write(FIRST)
    world.use(staleAfterSeconds=1000)
    wait(lambda: world.authorities() == 1)
    before = world.bundle
    (world.folder / "bundle.json").unlink()
    world.use(staleAfterSeconds=100)
    assert world.bundle is not None
    assert before is not None
    assert world.bundle.usable_until == before.usable_until - 900
    assert world.authorities() == 1


def test_an_older_bundle_is_refused(world: World) -> None:
    world.write(FIRST, sequence=2)
    world.use()
    wait(lambda: world.authorities() == 1)
    world.write(FIRST, SECOND, sequence=1)
    wait(lambda: world.error() != "")
    assert world.authorities() == 1
    world.write(FIRST, SECOND, sequence=3)
    wait(lambda: world.authorities() == 2)


def test_an_empty_bundle_is_used_and_reported(world: World) -> None:
    world.write(FIRST)
    world.use()
    wait(lambda: world.authorities() == 1)
    world.write()
    wait(lambda: world.authorities() == 0)
    wait(lambda: world.error() != "")


def test_a_broken_bundle_leaves_the_last_good_one(world: World) -> None:
    world.write(FIRST)
    world.use()
    wait(lambda: world.authorities() == 1)
    (world.folder / "bundle.json").write_text('{"keys": 7}')
    world.keeper.poke_files()
    wait(lambda: world.error() != "")
    assert world.authorities() == 1


def test_a_bundle_that_is_no_longer_named_is_dropped(world: World) -> None:
    world.write(FIRST)
    world.use()
    wait(lambda: world.authorities() == 1)
    world.keeper.use({})
    assert world.bundle is None
