from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from deputize.adapters.kubernetes_answers import KubernetesError
from deputize.adapters.kubernetes_api import CONFLICT, FORBIDDEN
from deputize.config.objects import ObjectKey, StoredObject
from deputize.config.problems import Problem
from deputize.server import status_writer
from deputize.server.object_status import Condition, Outcome
from deputize.server.status_writer import MAX_TRIES, StatusWriter
from tests.harness.polling import wait_until
from tests.harness.stored_objects import SPEC, by_key, stored

SECONDS = 10
PROBLEM = Problem("x", 0, "spec", "is wrong")


@dataclass(slots=True)
class Store:
    """One object, whose conditions are written into it."""

    thing: StoredObject = field(default_factory=lambda: stored("a", SPEC, generation=2))
    writes: int = 0
    code: int | None = None

    def read(self) -> Mapping[ObjectKey, StoredObject]:
        return by_key(self.thing)

    def write(self, seen: StoredObject, conditions: list[Condition]) -> None:
        self.writes += 1
        if self.code is not None:
            raise KubernetesError("no", self.code)
        assert seen.version == self.thing.version
        self.thing = replace(self.thing, conditions=tuple(conditions), version=f"{seen.version}+")

    @property
    def accepted(self) -> Any:  # noqa: ANN401 - whatever stands there
        return next((each for each in self.thing.conditions if each["type"] == "Accepted"), {})


def writer_of(store: Store, *problems: Problem) -> StatusWriter:
    writer = StatusWriter(store.read, store.write)
    writer.tell({store.thing.key: Outcome(store.thing, problems)})
    return writer


def test_what_is_told_already_is_not_written() -> None:
    store = Store()
    writer = writer_of(store)
    assert not writer.look()
    assert store.accepted["status"] == "True"
    writer.look()
    writer_of(store).look()
    assert store.writes == 1


def test_replicas_that_disagree_do_not_take_turns() -> None:
    store = Store()
    one, other = writer_of(store), writer_of(store, PROBLEM)
    for _round in range(5):
        one.look()
        other.look()
    assert store.writes == 2


def test_what_another_replica_wrote_does_not_stay_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(status_writer, "REPEAT_SECONDS", 0.0)
    store = Store()
    writer = writer_of(store)
    writer.look()
    # For example one of an older version, which is gone by now.
    writer_of(store, PROBLEM).look()
    writer.look()
    assert store.accepted["status"] == "True"


def test_a_server_that_refuses_is_not_asked_for_every_object() -> None:
    store = Store(code=FORBIDDEN)
    things = [stored(f"a{number}", SPEC) for number in range(50)]
    writer = StatusWriter(lambda: by_key(*things), store.write)
    writer.tell({each.key: Outcome(each, ()) for each in things})
    writer.look()
    assert store.writes == status_writer.MAX_ERRORS


def test_what_changes_is_written_again() -> None:
    store = Store()
    writer = writer_of(store)
    for problems in ((), (PROBLEM,), (), (PROBLEM,)):
        writer.tell({store.thing.key: Outcome(store.thing, problems)})
        writer.look()
        assert store.accepted["status"] == ("False" if problems else "True")


def test_nothing_is_said_of_another_generation() -> None:
    store = Store()
    writer = writer_of(store)
    store.thing = replace(store.thing, generation=3)
    writer.look()
    assert store.writes == 0


def test_a_conflict_is_no_problem() -> None:
    store = Store(code=CONFLICT)
    writer = writer_of(store)
    assert not writer.look()
    assert writer.problem == ""
    store.code = None
    writer.look()
    assert store.accepted["status"] == "True"


def test_a_missing_right_is_a_warning_and_tried_a_few_times() -> None:
    store = Store(code=FORBIDDEN)
    writer = writer_of(store)
    assert [writer.look() for _try in range(MAX_TRIES)] == [True] * (MAX_TRIES - 1) + [False]
    assert "status of DelegationPolicy team/a" in writer.problem
    store.code = None
    writer.look()
    assert writer.problem == ""


def test_its_thread_writes_when_told() -> None:
    store = Store()
    writer = StatusWriter(store.read, store.write)
    writer.start()
    writer.tell({store.thing.key: Outcome(store.thing, ())})
    wait_until(lambda: store.accepted, SECONDS)
    writer.stop()
