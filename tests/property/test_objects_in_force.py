"""The law of what is in force: of each object its last good generation, and as much as fits.

Whatever comes in which order: what is good is taken, what is wrong changes nothing, and only what
others still need outlives its deletion.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deputize.config.file_set import FileSet
from deputize.config.objects import StoredObject
from deputize.config.settling import Objects
from tests.harness.course import Course
from tests.harness.stored_objects import (
    BROKEN,
    BROKEN_PATH,
    CALLS,
    SPEAKS,
    SPEAKS_OTHERWISE,
    SPEC,
    by_key,
    files_in,
    spec_of,
    stored,
)

NAMES = ("a", "b", "c")
METHODS = ("GET", "PUT", "POST", "PATCH")
STEPS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from((*METHODS, "broken", "unknown", "gone"))),
    max_size=12,
)
WRONG = {
    "broken": BROKEN,
    "unknown": spec_of(agents=["spiffe://unknown.example/a"]),
}


@pytest.fixture(scope="module")
def shared_files() -> Iterable[FileSet]:
    with tempfile.TemporaryDirectory() as folder:
        yield files_in(Path(folder))


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(1, 4))
def test_of_each_object_its_last_good_generation_is_in_force(
    shared_files: FileSet, steps: list[tuple[str, str]], batch: int
) -> None:
    course = Course(shared_files)
    there: dict[str, StoredObject] = {}
    last_good: dict[str, str] = {}
    for number, (name, step) in enumerate(steps, 1):
        if step == "gone":
            there.pop(name, None)
            last_good.pop(name, None)
        else:
            old = there.get(name)
            spec = WRONG.get(step) or spec_of(methods=[step])
            uid = "" if old is None else old.uid
            there[name] = stored(name, spec, uid=uid, generation=number)
            if step in METHODS:
                last_good[name] = step
        if number % batch == 0 or step not in METHODS:
            # What is not seen in between was never in force: only deletions are not forgotten.
            settled = course.settle(*there.values())
            in_force = {
                rule.ref.policy.removeprefix("team."): rule.methods[0]
                for rule in settled.loaded.compiled.policies.rules
            }
            seen: Objects = by_key(*there.values())
            assert in_force.keys() <= last_good.keys()
            good_now = {each.name for each in seen if each not in settled.refused}
            assert all(in_force[name] == last_good[name] for name in good_now)
            if batch == 1:
                assert in_force == last_good


SPECS = {
    "speaks": SPEAKS,
    "speaks otherwise": SPEAKS_OTHERWISE,
    "calls": CALLS,
    "both": {**SPEAKS, **CALLS},
    "plain": SPEC,
    "broken": BROKEN,
}
ROUNDS = st.lists(
    st.dictionaries(st.sampled_from((*NAMES, "d")), st.sampled_from(sorted(SPECS))), max_size=4
)


@settings(max_examples=80, deadline=None)
@given(ROUNDS, st.randoms(use_true_random=False))
def test_as_much_is_in_force_as_fits_together_whatever_the_order(
    shared_files: FileSet, rounds: list[dict[str, str]], source: Random
) -> None:
    course, shuffled = Course(shared_files), Course(shared_files)
    uids = {name: f"uid-{name}" for name in (*NAMES, "d")}
    for generation, specs in enumerate(rounds, 1):
        there = [
            stored(name, SPECS[spec], uid=uids[name], generation=generation)
            for name, spec in specs.items()
        ]
        before = course.in_force
        settled = course.settle(*there)
        source.shuffle(there)
        assert shuffled.settle(*there).loaded.digest == settled.loaded.digest
        for each in there:
            kept = settled.in_force.get(each.key)
            is_new = kept is not None and kept.stored.is_same(each)
            assert is_new != (each.key in settled.refused)
            assert is_new or kept is before.get(each.key)
        joint = {each for key in settled.refused for each in settled.refused[key]}
        joint_pointers = {each.pointer for each in joint if BROKEN_PATH not in each.message}
        assert joint_pointers <= {"spec.resources[0]", "spec.rules[0].mcp"}
        assert {key.name for key in settled.lingering}.isdisjoint(specs)
        for key in settled.lingering:
            policy = settled.in_force[key].policy
            assert policy is not None
            assert policy.spec.rules == []
