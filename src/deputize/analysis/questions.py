"""The questions: who can do this, what can this agent do, and what does a change allow.

Rules of this file:
- Answers are exhaustive: nothing that is allowed is missing, and each row has a request that is.
- What hangs on something that is not looked into is possible, the rest is certain.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from deputize.analysis.allowed import Allowed, Reading, find_allowed, is_observed
from deputize.analysis.alternatives import join
from deputize.analysis.boxes import Box, Mask, intersect_all, merge, subtract_all
from deputize.analysis.fact_atoms import FactAtoms
from deputize.analysis.facts import TIED_CLAIMS
from deputize.analysis.policy_set import Asked, PolicySet
from deputize.analysis.routes import ReadRoutes, impossible
from deputize.analysis.rule_boxes import principal_boxes
from deputize.analysis.space import AGENT, HOST, METHOD, PATH, Space
from deputize.analysis.telling import Description, describe
from deputize.analysis.variables import NO, YES, Kind
from deputize.analysis.witness import Witness, pick
from deputize.core.case import Fact, Source
from deputize.core.rules import Rule

Claims = tuple[tuple[str, str], ...]


class Row(NamedTuple):
    """Some requests that are all allowed, or all of whose answers changed in the same way.

    `rule` is the one that grants them, in the policies that do. `reading` says what of policies
    that are only observed. `boxes` differ in nothing but which of several values a claim has.
    """

    rule: Rule
    reading: Reading
    boxes: tuple[Box, ...]
    description: Description
    witness: Witness
    is_certain: bool


class Answer(NamedTuple):
    """The rows of an answer, in the space they were found in."""

    space: Space
    rows: list[Row]


class Difference(NamedTuple):
    """What newly is allowed, and what newly is refused."""

    space: Space
    widened: list[Row]
    narrowed: list[Row]


def ask(policies: PolicySet, asked: Asked, claims: Claims | None = None) -> Answer:
    """Everything that is allowed of what is asked.

    With `claims` the principal has just these values of claims; None leaves them open.

    Raises:
        UndecidedError: it needs too much work.
    """
    space = Space([policies], asked)
    for name, value in claims or ():
        space.variables.claim(name, value)
    allowed = find_allowed(space, policies, Reading.ENFORCED)
    query = _query(space, policies, asked, claims)
    forbidden = _boxes(allowed.forbids)
    rows: list[Row] = []
    never = impossible(space)
    for rule, boxes in allowed.allows:
        wanted = intersect_all(boxes, query, space.work)
        rows += _rows(space, never, rule, _without(space, wanted, forbidden), Reading.ENFORCED)
    return Answer(space, rows)


def compare(old: PolicySet, new: PolicySet) -> Difference:
    """What a change of policies allows and refuses.

    Raises:
        UndecidedError: it needs too much work.
    """
    space = Space([old, new])
    never = impossible(space)
    widened: list[Row] = []
    narrowed: list[Row] = []
    readings = list(Reading) if is_observed(old) or is_observed(new) else [Reading.ENFORCED]
    for reading in readings:
        before = find_allowed(space, old, reading)
        after = find_allowed(space, new, reading)
        widened += _gains(space, never, before, after, reading)
        narrowed += _gains(space, never, after, before, reading)
    return Difference(space, widened, narrowed)


def _gains(
    space: Space, never: list[Box], before: Allowed, after: Allowed, reading: Reading
) -> list[Row]:
    """What is allowed after but not before.

    Either no allow had it before; or a forbid had it, that has it no longer. What is the same in
    both needs to be looked at only where a forbid went.
    """
    had, forbidden = _boxes(before.allows), _boxes(after.forbids)
    known = {box.key for box in had}
    still = {box.key for box in forbidden}
    gone = [box for box in _boxes(before.forbids) if box.key not in still]
    gone = _without(space, gone, forbidden)
    rows: list[Row] = []
    for rule, boxes in after.allows:
        fresh = [box for box in boxes if box.key not in known]
        gained = _without(space, _without(space, fresh, forbidden), had)
        freed = _without(space, intersect_all(boxes, gone, space.work), gained)
        rows += _rows(space, never, rule, gained + freed, reading)
    return rows


def _rows(
    space: Space, never: list[Box], rule: Rule, boxes: list[Box], reading: Reading
) -> list[Row]:
    """The boxes as rows, but for those that only have what no request can be."""
    rows: list[Row] = []
    possible: dict[object, Box] = {}
    merged = merge(boxes, space.variables.full, space.work)
    for box in merged:
        left = _without(space, [box], never)
        if left:
            possible[box.key] = left[0]
    found = [box for box in merged if box.key in possible]
    for group in join(space.variables, found):
        first = group.boxes[0]
        is_certain = not any(space.variables.are_opaque(box.sparse) for box in group.boxes)
        told = describe(space, group.rest, group.alternatives)
        rows.append(
            Row(rule, reading, group.boxes, told, pick(space, possible[first.key]), is_certain)
        )
    return rows


def _without(space: Space, boxes: list[Box], others: list[Box]) -> list[Box]:
    return subtract_all(boxes, others, space.variables.full, space.work)


def _given(space: Space, claims: Claims) -> dict[int, Mask]:
    """Claims that are all there are, but for those that say again who it is."""
    values: dict[str, list[str]] = {}
    for name, value in claims:
        values.setdefault(name, []).append(value)
    given: dict[int, Mask] = {}
    for number, variable in enumerate(space.variables.listed):
        if variable.kind is Kind.CLAIM:
            given[number] = YES if (variable.name, variable.text) in claims else NO
        elif isinstance(variable.of, FactAtoms) and _is_given(variable.of.fact):
            given[number] = variable.of.has(values.get(variable.of.fact.name[0], []))
    return given


def _is_given(fact: Fact) -> bool:
    """Whether it is a claim of those that are given, none of what says again who it is."""
    return fact.source is Source.CLAIM and len(fact.name) == 1 and fact.name[0] not in TIED_CLAIMS


def _boxes(parts: Iterable[tuple[Rule, list[Box]]]) -> list[Box]:
    return [box for _, boxes in parts for box in boxes]


def _query(space: Space, policies: PolicySet, asked: Asked, claims: Claims | None) -> list[Box]:
    masks: dict[int, Mask] = {}
    if asked.agents:
        masks[AGENT] = space.agent_mask(asked.agents)
    if asked.hosts:
        masks[HOST] = space.hosts.mask(asked.hosts)
    if asked.methods:
        masks[METHOD] = space.methods.mask(asked.methods)
    if asked.paths:
        masks[PATH] = space.path_mask(asked.paths)
    given = None if claims is None else _given(space, claims)
    query = [space.box(masks, given)]
    if asked.calls:
        routes = ReadRoutes(space, policies.routes)
        read = [box for pattern in asked.calls for box in routes.reading(pattern)]
        query = intersect_all(query, read, space.work)
    if asked.principals:
        query = intersect_all(query, principal_boxes(space, asked.principals), space.work)
    return query
