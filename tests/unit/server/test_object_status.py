from __future__ import annotations

import pytest

from deputize.config.problems import Problem
from deputize.server.object_status import MAX_MESSAGE, Condition, Outcome, conditions
from tests.harness.stored_objects import SPEC, stored

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
AT = "2026-01-01T00:00:00Z"
PROBLEM = Problem("DelegationPolicy team/a", 0, "spec", "is wrong")


def told(*problems: Problem, before: tuple[Condition, ...] = ()) -> dict[object, Condition]:
    outcome = Outcome(stored("a", SPEC, generation=3), problems)
    return {each["type"]: each for each in conditions(outcome, before, NOW)}


def test_a_good_object_is_accepted_and_programmed() -> None:
    found = told()
    assert set(found) == {"Accepted", "Programmed"}
    for name, each in found.items():
        assert (each["status"], each["reason"], each["observedGeneration"]) == ("True", name, 3)
        assert each["lastTransitionTime"] == AT


def test_a_refused_one_has_its_problems_in_the_message() -> None:
    found = told(PROBLEM)
    assert found["Accepted"]["message"] == "DelegationPolicy team/a: spec: is wrong"
    assert {each["status"] for each in found.values()} == {"False"}


def test_a_message_has_a_bound() -> None:
    problems = [Problem("x", number, "spec", "y" * 2000) for number in range(100)]
    message = told(*problems)["Accepted"]["message"]
    assert isinstance(message, str)
    assert len(message) <= MAX_MESSAGE
    assert "80 more" in str(told(*(Problem("x", n, "", "y") for n in range(100)))["Accepted"])


@pytest.mark.parametrize(("status", "since"), [("True", "2025-01-01T00:00:00Z"), ("False", AT)])
def test_a_condition_holds_since_its_status_changed(status: str, since: str) -> None:
    before: Condition = {
        "type": "Accepted",
        "status": status,
        "reason": "Other",
        "lastTransitionTime": "2025-01-01T00:00:00Z",
        "observedGeneration": 2,
    }
    assert told(before=(before,))["Accepted"]["lastTransitionTime"] == since


def test_conditions_of_others_stay() -> None:
    other: Condition = {"type": "Reviewed", "status": "True"}
    assert told(before=(other,))["Reviewed"] == other
