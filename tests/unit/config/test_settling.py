from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deputize.config import settling
from deputize.config.file_set import FileSet
from deputize.config.loader import Loaded, compose
from deputize.config.settling import tell_refusal
from tests.harness.course import Course, refused, rules_of
from tests.harness.stored_objects import (
    BROKEN,
    BROKEN_PATH,
    CALLS,
    FORBID,
    RULE,
    SPEAKS,
    SPEAKS_OTHERWISE,
    SPEC,
    files_in,
    policy_key,
    spec_of,
    stored,
)

ACCEPTED = {"type": "Accepted", "status": "True", "observedGeneration": 1}


@pytest.fixture
def files(tmp_path: Path) -> FileSet:
    return files_in(tmp_path)


def test_the_name_of_a_policy_is_that_of_its_namespace_and_its_own(files: FileSet) -> None:
    assert rules_of(Course(files).settle(stored("orders", SPEC))) == {"team.orders/read"}


def test_the_digest_is_that_of_what_is_in_force(files: FileSet) -> None:
    first, second = stored("a", SPEC), stored("b", spec_of(methods=["PUT"]))
    digest = Course(files).settle(first, second).loaded.digest
    again = stored("b", spec_of(methods=["PUT"]), generation=7), stored("a", SPEC)
    assert Course(files).settle(*again).loaded.digest == digest
    assert Course(files).settle(first).loaded.digest != digest
    assert Course(files).settle(first, stored("b", BROKEN)).loaded.digest != digest


@pytest.mark.parametrize(
    ("spec", "pointer"),
    [
        (BROKEN, "spec.rules[0].paths[0]"),
        (spec_of(whenn=1), "spec.rules[0].whenn"),
        (spec_of(when=None), "spec.rules[0].when"),
        ({}, "spec"),
        (None, "spec"),
        (
            spec_of(onBehalfOf=[{"issuer": "https://other.example", "anyone": True}]),
            "spec.rules[0].onBehalfOf[0].issuer",
        ),
        (spec_of(agents=["spiffe://other.example/a"]), "spec.rules[0].agents[0]"),
        (spec_of(approval={"services": ["x"]}), "spec.rules[0].approval.services[0]"),
        (CALLS, "spec.rules[0].mcp"),
        (spec_of(when=[{"path": "nowhere", "exists": True}]), "spec.rules[0].when[0]"),
        ({"rules": [RULE, RULE]}, "spec.rules[1].name"),
    ],
)
def test_what_is_wrong_names_object_and_place(files: FileSet, spec: object, pointer: str) -> None:
    course = Course(files)
    good, broken = stored("good", SPEC), stored("broken", spec)
    settled = course.settle(good, broken)
    assert rules_of(settled) == {"team.good/read"}
    assert list(settled.refused) == [broken.key]
    (problem,) = settled.refused[broken.key]
    assert (problem.file, problem.line, problem.pointer) == (str(broken.key), 0, pointer)
    assert str(problem).startswith("DelegationPolicy team/broken: spec")


def test_a_good_object_is_read_once(files: FileSet) -> None:
    course, good = Course(files), stored("good", SPEC)
    before = course.settle(good).in_force[good.key]
    assert course.settle(good, stored("other", BROKEN)).in_force[good.key] is before


@pytest.mark.parametrize(
    ("spec", "is_missing"),
    [
        (BROKEN, False),
        ({"mode": "observe", **BROKEN}, False),
        ({"rules": [FORBID | {"paths": [BROKEN_PATH]}]}, True),
        ({"rules": [*BROKEN["rules"], FORBID]}, True),
        ({**BROKEN, "resources": []}, True),
        ({**BROKEN, "rule": []}, True),
        ({"rules": [{"effect": "allow"}, "?"]}, True),
        ({"rules": "?"}, True),
        ({}, True),
        (None, True),
    ],
)
def test_what_could_have_refused_calls_is_missing(
    files: FileSet, spec: object, *, is_missing: bool
) -> None:
    broken = stored("broken", spec)
    assert Course(files).settle(broken).missing == ((broken.key,) if is_missing else ())


def test_what_is_in_force_is_not_missing(files: FileSet) -> None:
    course = Course(files)
    course.settle(stored("a", {"rules": [FORBID]}, uid="a"))
    settled = course.settle(stored("a", {}, uid="a", generation=2))
    assert (refused(settled), settled.missing) == ({"a"}, ())
    assert rules_of(settled) == {"team.a/read"}


def test_another_object_of_the_same_name_has_no_last_good_one(files: FileSet) -> None:
    course = Course(files)
    course.settle(stored("a", SPEC))
    assert rules_of(course.settle(stored("a", BROKEN))) == set()


def test_what_disagrees_with_what_is_in_force_is_refused(files: FileSet) -> None:
    course = Course(files)
    first = stored("z", SPEAKS, created="2026-01-02T00:00:00Z")
    course.settle(first)
    # Earlier by name and by age, so that only being in force speaks for the other.
    rival = stored("a", SPEAKS_OTHERWISE)
    settled = course.settle(first, rival)
    assert list(settled.refused) == [rival.key]
    assert {str(each.key) for each in settled.in_force.values()} == {str(first.key)}


@pytest.mark.parametrize(("conditions", "winner"), [((), "b"), ((ACCEPTED,), "a")])
def test_of_two_new_ones_that_disagree_the_accepted_then_the_older_is_taken(
    files: FileSet, conditions: tuple[dict[str, object], ...], winner: str
) -> None:
    younger = stored("a", SPEAKS, created="2026-01-02T00:00:00Z", conditions=conditions)
    older = stored("b", SPEAKS_OTHERWISE)
    for objects in ((younger, older), (older, younger)):
        (key,) = Course(files).settle(*objects).in_force
        assert key.name == winner


def test_what_needs_another_waits_for_it(files: FileSet) -> None:
    course, calls, speaks = Course(files), stored("a", CALLS), stored("b", SPEAKS)
    broken = stored("c", BROKEN)
    assert refused(course.settle(calls, broken)) == {"a", "c"}
    assert refused(course.settle(calls, speaks, broken)) == {"c"}
    # Each of them alone and in either order; something else is wrong, so they are not one batch.
    assert refused(Course(files).settle(calls, speaks, broken, stored("d", CALLS))) == {"c"}


def test_what_others_need_cannot_be_taken_away_by_a_change(files: FileSet) -> None:
    course, calls = Course(files), stored("a", CALLS)
    course.settle(calls, stored("b", {**SPEAKS, **SPEC}, uid="b"))
    settled = course.settle(calls, stored("b", SPEC, uid="b", generation=2))
    assert refused(settled) == {"b"}
    assert "team.a/read" in rules_of(settled)
    told = tell_refusal(policy_key("b"), settled.refused[policy_key("b")])
    assert told.startswith("DelegationPolicy team/b is not taken: DelegationPolicy team/a: spec")


def test_of_what_is_gone_only_stays_what_others_need(files: FileSet) -> None:
    course, calls = Course(files), stored("a", CALLS)
    course.settle(calls, stored("b", {**SPEAKS, **SPEC}))
    settled = course.settle(calls)
    assert rules_of(settled) == {"team.a/read"}
    assert settled.lingering == (policy_key("b"),)
    assert settled.loaded.compiled.policies.routes
    settled = course.settle(stored("c", SPEC))
    assert (rules_of(settled), settled.lingering) == ({"team.c/read"}, ())
    assert not settled.loaded.compiled.policies.routes


def test_a_renamed_policy_takes_the_place_of_the_old_one(files: FileSet) -> None:
    course = Course(files)
    course.settle(stored("old", SPEAKS), stored("x", BROKEN))
    rival = stored("new", SPEAKS_OTHERWISE)
    settled = course.settle(rival, stored("x", BROKEN))
    assert [key.name for key in settled.in_force] == ["new"]


def test_many_that_do_not_fit_hold_up_nothing(
    files: FileSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def counting(*given: Any) -> Loaded:  # noqa: ANN401 - as it is called
        tries.append(1)
        return compose(*given)

    monkeypatch.setattr(settling, "compose", counting)
    course = Course(files)
    course.settle(stored("speaks", SPEAKS))
    rivals = [stored(f"a{n}", SPEAKS_OTHERWISE) for n in range(300)]
    tries.clear()
    settled = course.settle(stored("speaks", SPEAKS), *rivals, stored("orders", SPEC))
    assert rules_of(settled) == {"team.orders/read"}
    assert refused(settled) == {each.key.name for each in rivals}
    assert all(problems for problems in settled.refused.values())
    assert len(tries) < settling.MAX_TRIES + 20


def test_rules_of_what_is_gone_go_however_much_does_not_fit(
    files: FileSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "MAX_TRIES", 0)
    course, calls = Course(files), stored("a", CALLS)
    course.settle(calls, stored("b", {**SPEAKS, **SPEC}), stored("c", SPEC))
    settled = course.settle(calls)
    assert rules_of(settled) == {"team.a/read"}
    assert settled.lingering == (policy_key("b"),)
