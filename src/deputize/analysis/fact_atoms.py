"""One fact: its values, as far as conditions tell them apart, and what each condition says.

Rules of this file:
- What a condition says of a value is asked of the condition itself (`core/conditions.py`).
- Work is bounded: of a fact with too many conditions nothing is known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice, product
from typing import Final, cast

from deputize.analysis import value_atoms
from deputize.analysis.boxes import Mask
from deputize.analysis.fact_values import Example, FactCondition, find_values, show, spelled, typed
from deputize.analysis.value_atoms import (
    UNCLEAR,
    Said,
    Signature,
    TooManyError,
    ValueAtoms,
    ask_all,
)
from deputize.core.case import Case, Fact, Source
from deputize.core.conditions import Exists, Operator
from deputize.core.model import (
    AccessRequest,
    Action,
    Delegation,
    DelegationStyle,
    Json,
    Kind,
    Peer,
    Principal,
    VerifiedToken,
)
from deputize.core.spiffe import parse_spiffe_id

MAX_LISTS = 600
_STAND_IN = Fact(Source.CLAIM, ("value",))
"""Read without a law of its own, so that a condition can be asked about any value."""


class FactAtoms(ValueAtoms):
    """The atoms of one fact."""

    def __init__(
        self, fact: Fact, conditions: Mapping[Said, FactCondition], *, is_tied: bool
    ) -> None:
        """Raises TooManyError."""
        self.fact: Final = fact
        self._asked = list(conditions.values())
        if fact.source is not Source.HEADER:
            self._asked = [replace(each, fact=_STAND_IN) for each in self._asked]
        self._steps = value_atoms.MAX_STEPS
        texts = {said: each.text for said, each in conditions.items()}
        super().__init__(str(fact), texts, self._find(), is_tied=is_tied)

    def has(self, texts: Sequence[str]) -> Mask:
        """The atoms of a claim with these values and no other, each as text or what it spells."""
        readings = list(islice(product(*map(spelled, texts)), MAX_LISTS))
        if len(readings) == MAX_LISTS:
            return self.full
        values: list[Json] = [list(each) for each in readings] if texts else [None]
        if len(texts) == 1:
            values += [value for (value,) in readings]
        wanted = {self.signature(Example(value, "")) for value in values}
        return sum(1 << at for at, each in enumerate(self.signatures) if each in wanted)

    def signature(self, example: Example) -> Signature:
        """What each of the conditions says of it."""
        if not example.is_readable:
            return (UNCLEAR,) * len(self._asked)
        return ask_all(self._asked, _case(self.fact, example.value))

    def _find(self) -> dict[Signature, Example]:
        values = find_values(self.fact, self._asked)
        found: dict[Signature, Example] = {}
        for example in values.alone:
            signature = self._count(example)
            if self.fact.source is Source.HEADER and not example.is_readable:
                # A text that no header can be is none to try.
                found.pop(signature, None)
            found.setdefault(signature, example)
        if values.elements is not None:
            for signature, listed in self._lists(values.elements).items():
                found.setdefault(signature, Example(listed, f"like {show(listed)}"))
        return dict(sorted(found.items(), key=lambda item: not item[1].is_readable))

    def _lists(self, elements: Sequence[Json]) -> dict[Signature, list[Json]]:
        """A list for each set of answers that lists can get.

        What is said of a list follows from what is said of it without its last element, and of
        that element alone; the list without any is a case of its own.
        """
        found: dict[Signature, list[Json]] = {}
        empty: list[Json] = []
        single: dict[Signature, Json] = {}
        for element in elements:
            single.setdefault(self._of_list([element]), element)
        waiting: list[list[Json]] = [[element] for element in single.values()]
        found |= {signature: [element] for signature, element in single.items()}
        while waiting:
            following: list[list[Json]] = []
            for listed in waiting:
                for element in single.values():
                    longer = [*listed, element]
                    signature = self._of_list(longer)
                    if signature not in found:
                        found[signature] = longer
                        following.append(longer)
            if len(found) > MAX_LISTS:
                raise TooManyError
            waiting = following
        found.setdefault(self._of_list(empty), empty)
        return found

    def _of_list(self, listed: list[Json]) -> Signature:
        return self._count(Example(listed, ""))

    def _count(self, example: Example) -> Signature:
        self._steps -= len(self._asked)
        if self._steps < 0:
            raise TooManyError
        return self.signature(example)


def say(condition: FactCondition) -> Said:
    """What the condition says of its fact, for comparing: types matter, and order hardly ever.

    Of several beginnings the first settles it, and some raise where others do not hold.
    """
    if isinstance(condition, Exists):
        return condition.is_there
    if condition.operator is Operator.STARTS_WITH:
        return condition.operator, tuple(map(typed, condition.values))
    return condition.operator, frozenset(map(typed, condition.values))


def case_at(now: float) -> Case:
    """A case of which nothing but its time is known."""
    return _case(_STAND_IN, None)._replace(now=now)


def _case(fact: Fact, value: Json) -> Case:
    """A case in which the fact has this value. A header is read as such: not every text is one."""
    claims: dict[str, Json] = {"value": value}
    headers = {fact.name[0]: value} if isinstance(value, str) else {}
    request = _NO_REQUEST._replace(headers=headers)
    principal = Principal("", "", Kind.UNKNOWN, claims)
    delegation = Delegation(principal, _NOBODY, (), frozenset(), DelegationStyle.DELEGATED)
    nothing = cast("Peer", None), cast("VerifiedToken", None)
    return Case(request, *nothing, delegation, Action("", "", (), ""), None, 0.0)


_NOBODY = parse_spiffe_id("spiffe://nobody/x")
_NO_REQUEST = AccessRequest(
    decision_id="",
    defect="",
    is_http=True,
    method="",
    scheme="",
    host="",
    path="",
    headers={},
    asserted_principal="",
    certificate="",
    metadata={},
    is_internal=False,
    proxies=None,
)
