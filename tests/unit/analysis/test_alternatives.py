"""Boxes that are told as one of several values: together no more and no less than that."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from deputize.analysis.alternatives import Group, join
from deputize.analysis.boxes import Box, Mask
from deputize.analysis.counts import Counts
from deputize.analysis.facts import Facts
from deputize.analysis.variables import NO, YES, Variables

NAMES = (("g", "a"), ("g", "b"), ("g", "c"), ("h", "x"), ("h", "y"))


def variables() -> Variables:
    made = Variables((), (), Counts([]), Facts([]))
    for name, value in NAMES:
        made.claim(name, value)
    made.scope("read")
    return made


def has(box: Box, point: tuple[Mask, ...]) -> bool:
    return all(point[number] & mask for number, mask in box.sparse.items())


def is_told(group: Group, point: tuple[Mask, ...]) -> bool:
    return has(group.rest, point) and all(
        any(point[NAMES.index((name, value))] == YES for value in values)
        for name, values in group.alternatives.items()
    )


@pytest.mark.parametrize("seed", range(300))
def test_what_is_told_is_what_the_boxes_have(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - a fixed pool of examples
    boxes = [
        Box((random.choice((1, 1, 3)),), {
            number: random.choice((YES, YES, NO))
            for number in random.sample(range(6), random.randint(0, 3))
        })
        for _ in range(random.randint(1, 5))
    ]  # fmt: skip
    groups = join(variables(), boxes)
    assert sorted(str(box) for group in groups for box in group.boxes) == sorted(map(str, boxes))
    for group in groups:
        for point in itertools.product((NO, YES), repeat=6):
            assert is_told(group, point) == any(has(box, point) for box in group.boxes)


def test_values_in_turn_are_one_of_them() -> None:
    turns = [Box((1,), {0: YES}), Box((1,), {0: NO, 1: YES}), Box((1,), {0: NO, 1: NO, 2: YES})]
    (group,) = join(variables(), turns)
    assert group.alternatives == {"g": ("a", "b", "c")}
    assert group.rest == Box((1,), {})
    one_only = [Box((1,), {0: YES, 1: NO}), Box((1,), {0: NO, 1: YES})]
    assert len(join(variables(), one_only)) == 2
    both = [Box((1,), {g: YES, h: YES}) for g in (0, 1) for h in (3, 4)]
    (group,) = join(variables(), both)
    assert group.alternatives == {"g": ("a", "b"), "h": ("x", "y")}
