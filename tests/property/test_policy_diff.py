"""What a change allows and refuses, against all requests of small worlds."""

from __future__ import annotations

import pytest

from deputize.analysis.allowed import Reading
from deputize.analysis.policy_set import PolicySet
from deputize.analysis.questions import Difference, Row, compare
from deputize.analysis.variables import Kind
from tests.harness.analysis_cover import Locator
from tests.harness.small_decisions import in_use, is_allowed, supposed_approvals
from tests.harness.small_policies import WORLDS, World
from tests.harness.small_requests import from_witness

PAIRS = 40
SEEDS = range(PAIRS * len(WORLDS))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_request_whose_answer_changes_is_told_and_no_other(seed: int) -> None:
    world = World(seed)
    old = world.policies()
    new = world.changed(old)
    difference = compare(old, new)
    with supposed_approvals():
        _check(world, old, new, difference)


def _check(world: World, old: PolicySet, new: PolicySet, difference: Difference) -> None:
    locator = Locator(difference.space, old, new)
    for reading in Reading:
        before, after = (in_use(each, reading) for each in (old, new))
        widened = [row for row in difference.widened if row.reading is reading]
        narrowed = [row for row in difference.narrowed if row.reading is reading]
        if not _has_observed(old, new) and reading is Reading.NOW:
            assert not widened + narrowed
            continue
        for point in world.requests(old, new):
            then, now = is_allowed(before, point), is_allowed(after, point)
            assert locator.any_has(widened, point) == (now and not then), point
            assert locator.any_has(narrowed, point) == (then and not now), point
        for row in widened + narrowed:
            point = from_witness(difference.space, row.witness)
            if not _is_about_paths(difference, row):
                expected = (False, True) if row in widened else (True, False)
                assert (is_allowed(before, point), is_allowed(after, point)) == expected
            assert locator.any_has([row], point) or _is_about_paths(difference, row)


def _has_observed(*sets: PolicySet) -> bool:
    return any(rule.is_observed for each in sets for rule in each.rules)


def _is_about_paths(difference: Difference, row: Row) -> bool:
    """Whether it hangs on a path parameter: that the example has it is not said."""
    listed = difference.space.variables.listed
    return any(
        listed[number].kind is Kind.FACT and listed[number].text.startswith("path ")
        for box in row.boxes
        for number in box.sparse
    )
