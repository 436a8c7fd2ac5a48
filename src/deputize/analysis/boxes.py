"""Sets of requests as boxes: for each dimension a set of atoms, beside them a few variables.

Rules of this file:
- A set of atoms is a bit mask. A box holds what lies in all of its masks; a variable that it does
  not name may have any value.
- Sets are lists of boxes. What `subtract` gives is disjoint; other lists may overlap.
- Work is bounded: `Undecided` is an answer, a list that was cut short is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

Mask = int


class UndecidedError(Exception):
    """The question needs more work than it may take; the message says what ran over."""


class Box(NamedTuple):
    """All that lies in each mask: `dense` has one per dimension, `sparse` one per variable."""

    dense: tuple[Mask, ...]
    sparse: Mapping[int, Mask]

    @property
    def key(self) -> tuple[object, ...]:
        """The box as something to look up."""
        return (self.dense, tuple(sorted(self.sparse.items())))


class Work:
    """Counts steps, so that a question ends."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def spend(self, steps: int) -> None:
        """Takes that many steps.

        Raises:
            UndecidedError: there are none left.
        """
        self._left -= steps
        if self._left < 0:
            raise UndecidedError("the policies cut the requests into too many pieces")


def is_empty(box: Box) -> bool:
    """Whether nothing lies in it."""
    return not (all(box.dense) and all(box.sparse.values()))


def are_disjoint(first: Box, second: Box) -> bool:
    """Whether nothing lies in both."""
    for one, other in zip(first.dense, second.dense, strict=True):
        if not one & other:
            return True
    few, many = first.sparse, second.sparse
    if len(few) > len(many):
        few, many = many, few
    return any(not mask & many.get(variable, mask) for variable, mask in few.items())


def intersect(first: Box, second: Box) -> Box | None:
    """What lies in both; None for nothing."""
    if are_disjoint(first, second):
        return None
    dense = tuple(one & other for one, other in zip(first.dense, second.dense, strict=True))
    if not second.sparse:
        return Box(dense, first.sparse)
    sparse = dict(first.sparse)
    for variable, mask in second.sparse.items():
        sparse[variable] = sparse.get(variable, mask) & mask
    return Box(dense, sparse)


def intersect_all(boxes: Iterable[Box], others: Sequence[Box], work: Work) -> list[Box]:
    """What lies in one of the boxes and in one of the others."""
    found: list[Box] = []
    for box in boxes:
        work.spend(len(others))
        found += (both for other in others if (both := intersect(box, other)) is not None)
    return found


def subtract(box: Box, other: Box, full: Sequence[Mask]) -> list[Box]:
    """What lies in the box but not in the other; `full` has all values of each variable."""
    if are_disjoint(box, other):
        return [box]
    pieces: list[Box] = []
    dense, sparse = box.dense, box.sparse
    for at, (have, taken) in enumerate(zip(box.dense, other.dense, strict=True)):
        if rest := have & ~taken:
            pieces.append(Box((*dense[:at], rest, *dense[at + 1 :]), sparse))
            dense = (*dense[:at], have & taken, *dense[at + 1 :])
    for variable, taken in other.sparse.items():
        have = sparse.get(variable, full[variable])
        if rest := have & ~taken:
            pieces.append(Box(dense, {**sparse, variable: rest}))
            sparse = {**sparse, variable: have & taken}
    return pieces


def subtract_all(
    boxes: Iterable[Box], others: Iterable[Box], full: Sequence[Mask], work: Work
) -> list[Box]:
    """What lies in one of the boxes but in none of the others."""
    left = list(boxes)
    for other in others:
        if not left:
            break
        work.spend(len(left))
        if all(are_disjoint(box, other) for box in left):
            continue
        left = [piece for box in left for piece in subtract(box, other, full)]
    return left


def merge(boxes: Iterable[Box], full: Sequence[Mask], work: Work) -> list[Box]:
    """The same set in fewer boxes: two that differ in one place only become one."""
    merged = list({box.key: box for box in boxes}.values())
    is_done = False
    while not is_done:
        count = len(merged)
        for at in range(len(merged[0].dense) if merged else 0):
            merged = _merge_dense(merged, at)
        for variable in sorted({variable for box in merged for variable in box.sparse}):
            work.spend(len(merged))
            merged = _merge_sparse(merged, variable, full)
        is_done = len(merged) == count
    return merged


def _merge_dense(boxes: list[Box], at: int) -> list[Box]:
    groups: dict[tuple[object, ...], Box] = {}
    for box in boxes:
        key = Box((*box.dense[:at], 0, *box.dense[at + 1 :]), box.sparse).key
        known = groups.get(key)
        mask = box.dense[at] | (known.dense[at] if known else 0)
        groups[key] = Box((*box.dense[:at], mask, *box.dense[at + 1 :]), box.sparse)
    return list(groups.values())


def _merge_sparse(boxes: list[Box], variable: int, full: Sequence[Mask]) -> list[Box]:
    groups: dict[tuple[object, ...], tuple[Box, Mask]] = {}
    for box in boxes:
        rest = Box(box.dense, {key: mask for key, mask in box.sparse.items() if key != variable})
        known = groups.get(rest.key)
        mask = box.sparse.get(variable, full[variable]) | (known[1] if known else 0)
        groups[rest.key] = (rest, mask)
    return [
        rest if mask == full[variable] else Box(rest.dense, {**rest.sparse, variable: mask})
        for rest, mask in groups.values()
    ]
