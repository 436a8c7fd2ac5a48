from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deputize.server import reload
from tests.harness.config_files import SERVICE
from tests.harness.polling import wait_until
from tests.harness.stored_objects import (
    BROKEN_PATH,
    FORBID,
    WITH_OBJECTS,
    by_key,
    spec_of,
    stored,
)
from tests.harness.watching import Watching

SECONDS = 10


@pytest.fixture(autouse=True)
def _settle_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "SETTLE_MILLIS", 20)


@pytest.fixture
def watching(tmp_path: Path) -> Watching:
    return Watching(tmp_path, WITH_OBJECTS)


def test_nothing_is_used_before_all_objects_are_known(watching: Watching) -> None:
    watching.reloader.look()
    assert watching.loaded == []
    watching.see(stored("a", spec_of(methods=["PUT"])))
    assert watching.methods == {"PUT"}


def test_objects_that_are_the_same_are_settled_once(watching: Watching) -> None:
    watching.see(stored("a", spec_of()))
    watching.reloader.look()
    assert len(watching.cluster.told) == 1


def test_a_change_of_objects_is_used(watching: Watching) -> None:
    watching.see(stored("a", spec_of(methods=["PUT"]), uid="a"))
    watching.see(stored("a", spec_of(methods=["POST"]), uid="a", generation=2))
    assert watching.methods == {"POST"}
    watching.see()
    assert watching.methods == set()


def test_a_broken_change_is_told_and_changes_nothing(watching: Watching) -> None:
    watching.see(stored("a", spec_of(methods=["PUT"]), uid="a"))
    broken = stored("a", spec_of(paths=[BROKEN_PATH]), uid="a", generation=2)
    for _time in range(2):
        watching.see(broken)
    assert (len(watching.loaded), watching.failures) == (1, 1)
    assert list(watching.cluster.told[-1][0].refused) == [broken.key]
    assert watching.reloader.problem_count == 1


def test_what_may_forbid_holds_up_a_start_and_nothing_later(watching: Watching) -> None:
    good = stored("a", spec_of(methods=["PUT"]))
    broken = stored("b", {"rules": [FORBID | {"paths": [BROKEN_PATH]}]})
    watching.see(good, broken)
    assert (watching.loaded, watching.cluster.told[-1][1]) == ([], False)
    watching.see(good)
    assert watching.methods == {"PUT"}
    watching.see(good, broken, stored("c", spec_of(methods=["POST"])))
    assert watching.methods == {"PUT", "POST"}


def test_broken_files_hold_up_no_object(watching: Watching) -> None:
    watching.see()
    watching.write_config("trustDomains:", "trustDomain:")
    assert watching.reloader.problems
    watching.see(stored("a", spec_of(methods=["PUT"])))
    assert watching.methods == {"PUT"}
    assert watching.reloader.problems


def test_files_that_objects_do_not_fit_change_nothing_until_they_do(watching: Watching) -> None:
    watching.see(stored("a", spec_of(), uid="a"))
    watching.write_config("https://issuer.example", "https://new.example")
    assert [problem.file for problem in watching.reloader.problems] == ["DelegationPolicy team/a"]
    behalf: list[dict[str, Any]] = [{"issuer": "https://new.example", "anyone": True}]
    watching.see(stored("a", spec_of(onBehalfOf=behalf), uid="a", generation=2))
    assert watching.reloader.problems == ()
    assert list(watching.loaded[-1].compiled.issuers) == ["https://new.example"]


def test_files_that_fit_no_object_that_is_there_keep_everything_away(watching: Watching) -> None:
    watching.write_config("      algorithms: [ES256]\n", "      profile: team.ours\n")
    watching.see(stored("a", spec_of()))
    assert [problem.pointer for problem in watching.reloader.unfit] == ["spec.issuers[0].profile"]
    assert watching.loaded == []


@pytest.mark.parametrize("first", [WITH_OBJECTS, SERVICE])
def test_files_are_not_taken_without_the_objects_they_name(tmp_path: Path, first: str) -> None:
    # What the objects of that namespace forbid would be missing until the next start.
    watching = Watching(tmp_path, first)
    watching.see()
    loads = len(watching.loaded)
    other = SERVICE + "  kubernetes: {namespaces: [team, other]}\n"
    (tmp_path / "deputize.yaml").write_text(other)
    watching.reloader.look()
    assert {problem.pointer for problem in watching.reloader.problems} >= {
        "spec.kubernetes.namespaces[1]"
    }
    assert len(watching.loaded) == loads
    (tmp_path / "deputize.yaml").write_text(first)
    watching.reloader.look()
    assert watching.reloader.problems == ()


def test_it_wakes_for_objects(watching: Watching) -> None:
    watching.reloader.start()
    watching.cluster.there = by_key(stored("a", spec_of()))
    watching.reloader.wake()
    wait_until(lambda: watching.loaded, SECONDS)
    watching.reloader.stop()
