"""Which conditions are the same, so that two policies may be compared on them.

Rules of this file:
- The same text is not enough: the text `1` and the number 1 are told alike, and a path parameter
  is a segment of the path, whatever its name.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from deputize.analysis.boxes import Mask
from deputize.analysis.space import Space
from deputize.core.case import Fact, Source
from deputize.core.conditions import Compares, Condition, EqualsClaim, Exists, Within

_SAFE = frozenset({Source.CLAIM, Source.PEER, Source.CHAIN, Source.PRINCIPAL, Source.TOKEN})
"""Facts that always have one reading."""


class Place(NamedTuple):
    """Some paths on which a condition is one variable."""

    paths: Mask
    variable: int


def find_places(space: Space, condition: Condition, paths: Mask) -> list[Place]:
    """The variables of a condition, by the paths on which it means each."""
    fact = condition.fact if isinstance(condition, Compares | EqualsClaim | Exists) else None
    text = condition.text
    if fact is None or fact.source is not Source.PATH:
        may_fail = _may_fail(condition, fact)
        key = _key(condition, frozenset())
        return [Place(paths, space.variables.condition(key, text, may_fail=may_fail))]
    return [
        Place(
            mask,
            space.variables.condition(_key(condition, positions), text, may_fail=True),
        )
        for mask, positions in _split(space, fact, paths)
    ]


def _split(space: Space, fact: Fact, paths: Mask) -> Iterable[tuple[Mask, frozenset[int]]]:
    groups: dict[Mask, frozenset[int]] = {paths: frozenset()}
    for pattern, at in fact.positions:
        covered = space.path_mask([pattern])
        split: dict[Mask, frozenset[int]] = {}
        for mask, positions in groups.items():
            split[mask & covered] = positions | {at}
            split[mask & ~covered] = positions
        groups = {mask: positions for mask, positions in split.items() if mask}
    return groups.items()


def _may_fail(condition: Condition, fact: Fact | None) -> bool:
    if isinstance(condition, Within):
        return False
    return not (isinstance(condition, Exists) and fact is not None and fact.source in _SAFE)


def _key(condition: Condition, positions: frozenset[int]) -> Hashable:
    match condition:
        case Compares():
            # Python has 1, 1.0 and True for the same; the two numbers are, the other is not.
            typed = frozenset((isinstance(value, bool), value) for value in condition.values)
            said: Hashable = (condition.operator, typed)
        case EqualsClaim():
            said = condition.claim
        case Exists():
            said = condition.is_there
        case _:
            return type(condition).__name__, condition.text
    fact = condition.fact
    name = () if fact.source is Source.PATH else fact.name
    return type(condition).__name__, fact.source, name, positions, said
