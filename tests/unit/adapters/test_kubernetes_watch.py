from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from deputize.adapters import kubernetes_watch
from deputize.adapters.kubernetes_answers import KubernetesError
from deputize.adapters.kubernetes_api import GONE, Event, Listing
from deputize.adapters.kubernetes_watch import ObjectWatch
from tests.harness.polling import wait_until

SECONDS = 10
Step = Listing | list[Event] | Exception


def thing(name: str, version: str, **metadata: object) -> dict[str, Any]:
    own = {"name": name, "namespace": "team", "uid": name, "resourceVersion": version}
    return {"metadata": {**own, "generation": 1, **metadata}}


def listing(*names: str, version: str = "1") -> Listing:
    return Listing([thing(name, version) for name in names], version)


@dataclass(slots=True)
class ScriptedApi:
    """Answers each question with the next step; after the last one it holds the line."""

    steps: list[Step]
    asked: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def list(self, _plural: str, _namespace: str) -> Listing:
        self.asked.append("list")
        step = self._next()
        assert isinstance(step, Listing)
        return step

    def watch(self, _plural: str, _namespace: str, version: str) -> Iterator[Event]:
        self.asked.append(version)
        step = self._next()
        assert isinstance(step, list)
        yield from step

    def _next(self) -> Step:
        if not self.steps:
            self.over.wait()
            return []
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Followed]]:
    for name in ("RETRY_SECONDS", "LONGEST_RETRY_SECONDS", "LEAST_PAUSE_SECONDS"):
        monkeypatch.setattr(kubernetes_watch, name, 0.001)
    started: list[Followed] = []

    def start(*steps: Step) -> Followed:
        followed = Followed(ScriptedApi(list(steps)))
        started.append(followed)
        followed.watch.start()
        wait_until(lambda: not followed.api.steps, SECONDS)
        return followed

    yield start
    for followed in started:
        followed.watch.stop()
        followed.api.over.set()


class Followed:
    """A watch that was led through a script, and what it reported."""

    def __init__(self, api: ScriptedApi) -> None:
        self.api = api
        self.fetches: list[bool] = []
        self.states: list[list[str] | None] = []
        self.watch = ObjectWatch(
            api,  # type: ignore[arg-type] # as much of it as is asked
            "things",
            "team",
            on_change=lambda: self.states.append(self.names),
            on_fetch=self.fetches.append,
        )

    @property
    def names(self) -> list[str] | None:
        return None if self.watch.objects is None else sorted(self.watch.objects)


def lost() -> Exception:
    return KubernetesError("gone away")


def test_what_happens_is_followed_from_where_the_list_ended(
    follow: Callable[..., Followed],
) -> None:
    events = [
        Event("ADDED", thing("b", "2")),
        Event("MODIFIED", thing("a", "3")),
        Event("DELETED", thing("b", "4")),
        Event("BOOKMARK", thing("", "9")),
    ]
    followed = follow(listing("a"), events)
    wait_until(lambda: len(followed.api.asked) == 3, SECONDS)
    assert followed.api.asked == ["list", "1", "9"]
    assert followed.states == [["a"], ["a", "b"], ["a", "b"], ["a"]]
    assert followed.watch.objects == {"a": thing("a", "3")}
    assert followed.watch.error == ""
    assert followed.watch.age() < SECONDS


@pytest.mark.parametrize("error", [lost(), RuntimeError("a fault"), KubernetesError("old", GONE)])
def test_after_a_failure_everything_is_listed_again(
    follow: Callable[..., Followed], error: Exception
) -> None:
    followed = follow(listing("a", "b"), error, lost(), listing("b", "c", version="8"))
    wait_until(lambda: len(followed.api.asked) == 5, SECONDS)
    assert followed.api.asked == ["list", "1", "list", "list", "8"]
    assert followed.states == [["a", "b"], ["b", "c"]], "what was seen last stayed meanwhile"
    assert followed.watch.error == ""
    assert followed.fetches[-1]
    assert False in followed.fetches


def test_before_everything_was_listed_there_is_nothing(follow: Callable[..., Followed]) -> None:
    followed = follow(lost())
    wait_until(lambda: followed.watch.error == "gone away", SECONDS)
    assert followed.watch.objects is None
    assert math.isnan(followed.watch.age())
    assert followed.states == []


def test_what_others_note_in_metadata_is_not_kept(follow: Callable[..., Followed]) -> None:
    noted: dict[str, object] = {"managedFields": [{}], "annotations": {"last-applied": "x" * 100}}
    first = Listing([thing("a", "1", **noted)], "1")
    followed = follow(first, [Event("ADDED", thing("b", "2", **noted))])
    wait_until(lambda: len(followed.states) == 2, SECONDS)
    kept = followed.watch.objects or {}
    assert [noted.keys() & each["metadata"].keys() for each in kept.values()] == [set(), set()]


def test_an_error_in_the_middle_keeps_what_came_before(follow: Callable[..., Followed]) -> None:
    class Breaking(list[Event]):
        def __iter__(self) -> Iterator[Event]:
            yield Event("ADDED", thing("b", "2"))
            raise lost()

    followed = follow(listing("a"), Breaking())
    wait_until(lambda: followed.watch.error == "gone away", SECONDS)
    assert followed.names == ["a", "b"]


@pytest.mark.parametrize(
    "strange",
    [
        Event("MODIFIED", thing("a", "0", generation=1)),
        Event("DELETED", thing("a", "0", uid="of before")),
        Event("MODIFIED", thing("a", "0", uid="of before")),
        Event("ADDED", thing("b", "9", namespace="other")),
        Event("ADDED", thing("", "9")),
        Event("ADDED", {"metadata": None}),
        Event("MODIFIED", thing("a", "9", generation="3")),
        Event("MODIFIED", thing("a", "9", generation=None)),
    ],
)
def test_an_event_that_cannot_follow_changes_nothing_and_all_is_listed_again(
    follow: Callable[..., Followed], strange: Event
) -> None:
    stored = Listing([thing("a", "1", generation=2)], "1")
    followed = follow(stored, [strange], lost())
    assert followed.watch.objects == {"a": stored.objects[0]}
    wait_until(lambda: len(followed.api.asked) == 4, SECONDS)
    assert followed.api.asked == ["list", "1", "list", "list"]


def test_an_object_that_was_replaced_is_the_new_one(follow: Callable[..., Followed]) -> None:
    later = thing("a", "5", uid="later")
    followed = follow(listing("a"), [Event("ADDED", later)])
    wait_until(lambda: followed.watch.objects == {"a": later}, SECONDS)


@pytest.mark.parametrize(
    "wrong",
    [
        listing("a", "a"),
        Listing([{}], "1"),
        Listing([thing("a", "1", namespace="other")], "1"),
    ],
)
def test_a_list_that_cannot_be_changes_nothing(
    follow: Callable[..., Followed], wrong: Listing
) -> None:
    followed = follow(listing("a"), lost(), wrong)
    wait_until(lambda: len(followed.api.asked) == 4, SECONDS)
    assert followed.states == [["a"]]
    assert followed.watch.error


def test_more_objects_than_a_list_may_have_come_by_no_watch_either(
    follow: Callable[..., Followed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_watch, "MAX_OBJECTS", 2)
    followed = follow(listing("a", "b"), [Event("ADDED", thing("c", "2"))])
    wait_until(lambda: followed.watch.error, SECONDS)
    assert followed.names == ["a", "b"]


def test_what_comes_by_watches_has_the_bound_of_a_list(
    follow: Callable[..., Followed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_watch, "MAX_LIST_BYTES", 10)
    events = [[Event("MODIFIED", thing("a", f"{number}"), 6)] for number in range(2, 4)]
    followed = follow(listing("a"), *events, listing("a", version="8"))
    wait_until(lambda: len(followed.api.asked) == 5, SECONDS)
    assert followed.api.asked == ["list", "1", "2", "list", "8"]
    assert followed.watch.error == ""


def test_a_version_that_is_always_too_old_is_told(follow: Callable[..., Followed]) -> None:
    too_old = KubernetesError("too old", GONE)
    followed = follow(listing("a"), too_old, too_old)
    wait_until(lambda: followed.watch.error == "too old", SECONDS)
