"""What a condition asks of which variable, so that two policies may be compared on it.

Rules of this file:
- Conditions that compare a fact with fixed values, or ask whether it is there, say which values
  of it they mean (`fact_atoms.py`). All others are the same only if they say the same.
- The same text is not enough: the text `1` and the number 1 are told alike, and a path parameter
  is a segment of the path, whatever its name.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from typing import NamedTuple

from deputize.analysis.boxes import Mask
from deputize.analysis.fact_atoms import FactAtoms, say
from deputize.analysis.facts import fact_key
from deputize.analysis.space import Space
from deputize.analysis.value_atoms import Answers
from deputize.analysis.variables import ERROR, NO, YES
from deputize.core.case import Fact, Source
from deputize.core.comparisons import Compares, EqualsClaim, Exists
from deputize.core.conditions import Condition, Expression, Within

_LITERAL = re.compile(r"""\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"\n]*"|'[^'\n]*'""", re.DOTALL)
_LITERAL_OR_SPACE = re.compile(rf"({_LITERAL.pattern})|\s+", re.DOTALL)
_OPAQUE = Answers(YES, NO, ERROR)


class Place(NamedTuple):
    """Some paths on which a condition is about one variable, and what it says of its values."""

    paths: Mask
    variable: int
    answers: Answers


def find_places(space: Space, condition: Condition, paths: Mask) -> list[Place]:
    """The variables of a condition, by the paths on which it means each."""
    if not isinstance(condition, Compares | EqualsClaim | Exists):
        return [_whole(space, condition, paths)]
    fact = condition.fact
    known: tuple[FactAtoms, Answers] | None = None
    if isinstance(condition, Compares | Exists):
        atoms = space.facts.find(fact)
        answers = None if atoms is None else atoms.answers(say(condition))
        known = None if atoms is None or answers is None else (atoms, answers)
    split = [(paths, frozenset[int]())]
    if fact.source is Source.PATH:
        split = list(_split(space, fact, paths))
    places: list[Place] = []
    for mask, positions in split:
        key = (*fact_key(fact), positions)
        if known is not None:
            places.append(Place(mask, space.variables.fact(key, known[0]), known[1]))
        else:
            said = (type(condition).__name__, *key, _said(condition))
            variable = space.variables.condition(said, condition.text, may_fail=True)
            places.append(Place(mask, variable, _OPAQUE))
    return places


def _whole(space: Space, condition: Condition, paths: Mask) -> Place:
    text = condition.text
    if isinstance(condition, Within):
        atoms = space.facts.find_time(condition)
        answers = None if atoms is None else atoms.answers(text)
        if atoms is not None and answers is not None:
            return Place(paths, space.variables.fact(("time", str(condition.zone)), atoms), answers)
    if isinstance(condition, Expression):
        text = normalize_source(condition.source)
    may_fail = not isinstance(condition, Within)
    key = (type(condition).__name__, text)
    variable = space.variables.condition(key, condition.text, may_fail=may_fail)
    return Place(paths, variable, _OPAQUE)


def normalize_source(source: str) -> str:
    """The source of an expression with one space for any white space outside of texts.

    One with an escape or with a comment is left alone: where its texts end is less plain.
    """
    rest = _LITERAL.sub("", source)
    if "\\" in source or "//" in rest or "'" in rest or '"' in rest:
        return source
    return _LITERAL_OR_SPACE.sub(lambda found: found[1] or " ", source).strip()


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


def _said(condition: Compares | EqualsClaim | Exists) -> Hashable:
    return condition.claim if isinstance(condition, EqualsClaim) else say(condition)
