"""The algebra of boxes, against the points they have."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deputize.analysis.boxes import (
    Box,
    UndecidedError,
    Work,
    are_disjoint,
    intersect,
    intersect_all,
    is_empty,
    merge,
    subtract,
    subtract_all,
)

FULL = (3, 7)
_DIMENSIONS = 2
_BITS = 3
masks = st.integers(1, 7)
sparse = st.fixed_dictionaries({}, optional={0: st.integers(1, 2), 1: st.integers(1, 6)})
boxes = st.builds(Box, st.tuples(masks, masks), sparse)
sets = st.lists(boxes, max_size=5)
Point = tuple[int, ...]


def points(box: Box) -> frozenset[Point]:
    ranges = [*box.dense, *(box.sparse.get(number, full) for number, full in enumerate(FULL))]
    bits = [[bit for bit in range(_BITS) if mask >> bit & 1] for mask in ranges]
    return frozenset(itertools.product(*bits))


def union(listed: Iterable[Box]) -> frozenset[Point]:
    return frozenset[Point]().union(*map(points, listed))


def pairs(listed: list[Box]) -> Iterator[tuple[Box, Box]]:
    return itertools.combinations(listed, 2)


@settings(max_examples=300, deadline=None)
@given(boxes, boxes)
def test_what_two_boxes_share_and_do_not(first: Box, second: Box) -> None:
    both = intersect(first, second)
    assert points(first) & points(second) == (frozenset() if both is None else points(both))
    assert are_disjoint(first, second) == (both is None)
    left = subtract(first, second, FULL)
    assert union(left) == points(first) - points(second)
    assert not any(is_empty(piece) for piece in left)
    assert all(are_disjoint(one, other) for one, other in pairs(left))


@settings(max_examples=300, deadline=None)
@given(sets, sets)
def test_what_two_sets_share_and_do_not(some: list[Box], others: list[Box]) -> None:
    work = Work(100_000)
    assert union(subtract_all(some, others, FULL, work)) == union(some) - union(others)
    assert union(intersect_all(some, others, work)) == union(some) & union(others)


@settings(max_examples=300, deadline=None)
@given(sets)
def test_merging_keeps_the_set_and_never_adds_a_box(some: list[Box]) -> None:
    merged = merge(some, FULL, Work(100_000))
    assert union(merged) == union(some)
    assert len(merged) <= len(some)


def test_two_halves_become_one_box_without_their_variable() -> None:
    halves = [Box((1, 1), {0: 1}), Box((1, 1), {0: 2})]
    assert merge(halves, FULL, Work(100)) == [Box((1, 1), {})]


def test_a_box_without_a_value_is_empty() -> None:
    assert is_empty(Box((1, 0), {}))
    assert is_empty(Box((1, 1), {0: 0}))
    assert not is_empty(Box((1, 1), {0: 1}))


def test_more_work_than_allowed_is_no_answer() -> None:
    many = [Box((1 << at, 1), {}) for at in range(20)]
    with pytest.raises(UndecidedError):
        intersect_all(many, many, Work(399))
    assert len(intersect_all(many, many, Work(400))) == len(many)
    with pytest.raises(UndecidedError):
        subtract_all(many, [Box((1 << 30, 1), {})], (), Work(19))
