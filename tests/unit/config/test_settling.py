from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deputize.config import settling
from deputize.config.file_set import FileSet
from deputize.config.loader import Loaded, compose
from deputize.config.objects import PROFILE, StoredObject
from deputize.config.problems import ConfigError
from deputize.config.settling import InForce, Objects, Settled, settle, tell_refusal
from tests.harness.config_files import POLICY, SERVICE, changed
from tests.harness.stored_objects import (
    BROKEN_PATH,
    FORBID,
    RULE,
    SPEC,
    WITH_OBJECTS,
    by_key,
    files_in,
    policy_key,
    profile_key,
    spec_of,
    stored,
)

BROKEN = spec_of(paths=[BROKEN_PATH])
MCP = {"hosts": ["orders.example"], "paths": ["/mcp"], "protocol": "mcp"}
SPEAKS = {"resources": [MCP]}
CALLS = spec_of(paths=["/mcp"], mcp={"methods": ["*"]})
ACCEPTED = {"type": "Accepted", "status": "True", "observedGeneration": 1}


@pytest.fixture
def files(tmp_path: Path) -> FileSet:
    return files_in(tmp_path)


def names(settled: Settled) -> set[str]:
    """The rules in force."""
    return {str(rule.ref) for rule in settled.loaded.compiled.policies.rules}


def refused(settled: Settled) -> set[str]:
    return {key.name for key in settled.refused}


class Course:
    """What is settled one after another."""

    def __init__(self, files: FileSet) -> None:
        self.files = files
        self.in_force: InForce = {}

    def settle(self, *objects: StoredObject) -> Settled:
        settled = settle(self.files, by_key(*objects), self.in_force)
        self.in_force = settled.in_force
        return settled


def test_the_name_of_a_policy_is_that_of_its_namespace_and_its_own(files: FileSet) -> None:
    assert names(Course(files).settle(stored("orders", SPEC))) == {"team.orders/read"}


def test_objects_and_files_are_decided_by_together(tmp_path: Path) -> None:
    service = SERVICE + "  kubernetes: {namespaces: [team]}\n"
    settled = Course(files_in(tmp_path, service)).settle(stored("orders", SPEC))
    assert names(settled) == {"orders/read", "team.orders/read"}


def test_the_digest_is_that_of_what_is_in_force(files: FileSet) -> None:
    first, second = stored("a", SPEC), stored("b", spec_of(methods=["PUT"]))
    digest = Course(files).settle(first, second).loaded.digest
    again = stored("b", spec_of(methods=["PUT"]), generation=7), stored("a", SPEC)
    assert Course(files).settle(*again).loaded.digest == digest
    assert Course(files).settle(first).loaded.digest != digest
    assert Course(files).settle(first, stored("b", BROKEN)).loaded.digest != digest


def test_files_alone_have_the_digest_of_files(files: FileSet) -> None:
    assert Course(files).settle().loaded.digest == files.digest


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
    assert names(settled) == {"team.good/read"}
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
    assert names(settled) == {"team.a/read"}


def test_another_object_of_the_same_name_has_no_last_good_one(files: FileSet) -> None:
    course = Course(files)
    course.settle(stored("a", SPEC))
    assert names(course.settle(stored("a", BROKEN))) == set()


def test_what_disagrees_with_what_is_in_force_is_refused(files: FileSet) -> None:
    course = Course(files)
    first = stored("z", SPEAKS, created="2026-01-02T00:00:00Z")
    course.settle(first)
    # Earlier by name and by age, so that only being in force speaks for the other.
    rival = stored("a", {"resources": [MCP | {"protocol": "a2a"}]})
    settled = course.settle(first, rival)
    assert list(settled.refused) == [rival.key]
    assert {str(each.key) for each in settled.in_force.values()} == {str(first.key)}


@pytest.mark.parametrize(("conditions", "winner"), [((), "b"), ((ACCEPTED,), "a")])
def test_of_two_new_ones_that_disagree_the_accepted_then_the_older_is_taken(
    files: FileSet, conditions: tuple[dict[str, object], ...], winner: str
) -> None:
    younger = stored("a", SPEAKS, created="2026-01-02T00:00:00Z", conditions=conditions)
    older = stored("b", {"resources": [MCP | {"protocol": "a2a"}]})
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
    assert "team.a/read" in names(settled)
    told = tell_refusal(policy_key("b"), settled.refused[policy_key("b")])
    assert told.startswith("DelegationPolicy team/b is not taken: DelegationPolicy team/a: spec")


def test_of_what_is_gone_only_stays_what_others_need(files: FileSet) -> None:
    course, calls = Course(files), stored("a", CALLS)
    course.settle(calls, stored("b", {**SPEAKS, **SPEC}))
    settled = course.settle(calls)
    assert names(settled) == {"team.a/read"}
    assert settled.lingering == (policy_key("b"),)
    assert settled.loaded.compiled.policies.routes
    settled = course.settle(stored("c", SPEC))
    assert (names(settled), settled.lingering) == ({"team.c/read"}, ())
    assert not settled.loaded.compiled.policies.routes


def test_a_renamed_policy_takes_the_place_of_the_old_one(files: FileSet) -> None:
    course = Course(files)
    course.settle(stored("old", SPEAKS), stored("x", BROKEN))
    rival = stored("new", {"resources": [MCP | {"protocol": "a2a"}]})
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
    rivals = [stored(f"a{n}", {"resources": [MCP | {"protocol": "a2a"}]}) for n in range(300)]
    tries.clear()
    settled = course.settle(stored("speaks", SPEAKS), *rivals, stored("orders", SPEC))
    assert names(settled) == {"team.orders/read"}
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
    assert names(settled) == {"team.a/read"}
    assert settled.lingering == (policy_key("b"),)


def test_files_that_do_not_fit_what_is_in_force_change_nothing(tmp_path: Path) -> None:
    course = Course(files_in(tmp_path / "a"))
    orders = stored("orders", SPEC, uid="a")
    course.settle(orders)
    course.files = files_in(
        tmp_path / "b", changed(WITH_OBJECTS, "https://issuer.example", "https://new.example")
    )
    with pytest.raises(ConfigError) as caught:
        course.settle(orders)
    assert {problem.file for problem in caught.value.problems} == {str(orders.key)}
    behalf = [{"issuer": "https://new.example", "anyone": True}]
    settled = course.settle(stored("orders", spec_of(onBehalfOf=behalf), uid="a", generation=2))
    assert names(settled) == {"team.orders/read"}


def test_all_that_is_wrong_in_files_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    service = changed(SERVICE, "[policies]", "[policies, nowhere]")
    files = files_in(tmp_path, service + "  kubernetes: {namespaces: [team]}\n")
    (tmp_path / "policies" / "b.yaml").write_text(POLICY)
    files = files_in(tmp_path, service + "  kubernetes: {namespaces: [team]}\n")
    with pytest.raises(ConfigError) as caught:
        Course(files).settle()
    assert {problem.pointer for problem in caught.value.problems} == {
        "spec.policies[1]",
        "metadata.name",
    }


NAMED = changed(
    WITH_OBJECTS, "      algorithms: [ES256]\n", "      profile: team.ours\n      useOnce: true\n"
)
PROFILE_SPEC = {"title": "Ours", "sources": ["handbook"], "algorithms": ["RS256"]}


def test_an_issuer_may_name_a_profile_that_is_an_object(tmp_path: Path) -> None:
    course = Course(files_in(tmp_path, NAMED))
    with pytest.raises(ConfigError) as caught:
        course.settle()
    assert [problem.pointer for problem in caught.value.problems] == ["spec.issuers[0].profile"]
    ours = stored("ours", PROFILE_SPEC, kind=PROFILE, uid="p")
    settled = course.settle(ours)
    (issuer,) = settled.loaded.compiled.issuers.values()
    assert issuer.algorithms == ("RS256",)
    other = PROFILE_SPEC | {"tokenId": []}
    settled = course.settle(stored("ours", other, kind=PROFILE, uid="p", generation=2))
    assert list(settled.refused) == [profile_key("ours")], "`useOnce` needs a token identifier"
    assert settled.loaded.compiled.issuers == {issuer.issuer: issuer}
    settled = course.settle()
    assert settled.lingering == (profile_key("ours"),), "the issuer still needs it"


def test_a_profile_of_another_name_changes_no_issuer(files: FileSet) -> None:
    before = Course(files).settle().loaded.compiled.issuers
    taken = stored("rfc9068", PROFILE_SPEC | {"styles": ["autonomous"]}, kind=PROFILE)
    settled = Course(files).settle(taken)
    assert settled.loaded.compiled.issuers == before
    assert not settled.refused


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
    "speaks otherwise": {"resources": [MCP | {"protocol": "a2a"}]},
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
