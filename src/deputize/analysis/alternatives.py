"""Boxes that differ only in which of several values a claim has, told as one.

Rules of this file:
- Boxes are joined only where together they are no more and no less than "one of these values".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from deputize.analysis.boxes import Box, Mask
from deputize.analysis.variables import NO, YES, Kind, Variables


class Group(NamedTuple):
    """Boxes that are `rest`, each with one of the values of each claim of `alternatives`."""

    boxes: tuple[Box, ...]
    rest: Box
    alternatives: Mapping[str, tuple[str, ...]]


def join(variables: Variables, boxes: Iterable[Box]) -> list[Group]:
    """The boxes in as few groups as there are."""
    groups = [Group((box,), box, {}) for box in boxes]
    names = {
        variables.listed[number].name
        for group in groups
        for number in group.rest.sparse
        if variables.listed[number].kind is Kind.CLAIM
    }
    for name in sorted(names):
        groups = _join_on(variables, groups, name)
    return groups


def _join_on(variables: Variables, groups: list[Group], name: str) -> list[Group]:
    alike: dict[object, list[tuple[Group, dict[int, Mask]]]] = {}
    for group in groups:
        dense, sparse = group.rest
        said = {n: mask for n, mask in sparse.items() if variables.listed[n].name == name}
        others = Box(dense, {n: mask for n, mask in sparse.items() if n not in said})
        key = (others.key, tuple(sorted(group.alternatives.items())))
        alike.setdefault(key, []).append((group, said))
    joined: list[Group] = []
    for members in alike.values():
        values = _are_one_of([said for _, said in members])
        if len(members) == 1 or not values:
            joined += (group for group, _ in members)
            continue
        first = members[0][0]
        sparse = {n: mask for n, mask in first.rest.sparse.items() if n not in members[0][1]}
        texts = tuple(sorted(variables.listed[number].text for number in values))
        joined.append(
            Group(
                tuple(box for group, _ in members for box in group.boxes),
                Box(first.rest.dense, sparse),
                {**first.alternatives, name: texts},
            )
        )
    return joined


def _are_one_of(said: list[dict[int, Mask]]) -> list[int]:
    """The values of which one is there; none where the boxes together say something else.

    Each has one value, and lacks no other than those of boxes before it.
    """
    values: list[int] = []
    for each in sorted(said, key=len):
        there = [number for number, mask in each.items() if mask == YES]
        lacking = {number for number, mask in each.items() if mask == NO}
        if len(there) != 1 or not lacking <= set(values):
            return []
        values += there
    return values
