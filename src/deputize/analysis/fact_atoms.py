"""One fact: its values, as far as conditions tell them apart, and what each condition says.

Rules of this file:
- What a condition says of a value is asked of the condition itself (`core/conditions.py`).
- Work is bounded: of a fact with too many conditions nothing is known here.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import islice, product
from typing import Final, NamedTuple, cast

from deputize.analysis.boxes import Mask
from deputize.analysis.dimension import bits
from deputize.analysis.fact_values import Example, FactCondition, find_values, show, spelled, typed
from deputize.core.case import Case, EvaluationError, Fact, Source
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

HOLDS, FAILS, UNCLEAR = range(3)
MAX_STEPS = 60_000
MAX_LISTS = 600
_STAND_IN = Fact(Source.CLAIM, ("value",))
"""Read without a law of its own, so that a condition can be asked about any value."""
_MAX_TOLD = 60

Said = Hashable
Signature = tuple[int, ...]


class TooManyError(Exception):
    """The conditions on one fact tell too many values apart."""


class Answers(NamedTuple):
    """The atoms for which a condition holds, does not, and cannot be evaluated."""

    holds: Mask
    fails: Mask
    unclear: Mask


class FactAtoms:
    """The atoms of one fact, by number: `examples` has a value of each.

    `is_tied` where not every value goes with every request: then what hangs on it is possible
    only.
    """

    def __init__(
        self, fact: Fact, conditions: Mapping[Said, FactCondition], *, is_tied: bool
    ) -> None:
        """Raises TooManyError."""
        self.fact: Final = fact
        self.is_tied: Final = is_tied
        self._conditions: Final = conditions
        self._asked = list(conditions.values())
        if fact.source is not Source.HEADER:
            self._asked = [replace(each, fact=_STAND_IN) for each in self._asked]
        self._steps = MAX_STEPS
        found = self._find()
        self._signatures = tuple(found)
        self.examples: Final = tuple(found.values())
        self.full: Final = (1 << len(found)) - 1
        self._answers = {
            said: Answers(*(self._mask(found, at, each) for each in (HOLDS, FAILS, UNCLEAR)))
            for at, said in enumerate(conditions)
        }
        self._told: dict[Mask, str] = {}

    def answers(self, said: Said) -> Answers | None:
        """What the condition says; None where it is none of those known here."""
        return self._answers.get(said)

    def has(self, texts: Sequence[str]) -> Mask:
        """The atoms of a claim with these values and no other, each as text or what it spells."""
        readings = list(islice(product(*map(spelled, texts)), MAX_LISTS))
        if len(readings) == MAX_LISTS:
            return self.full
        values: list[Json] = [list(each) for each in readings] if texts else [None]
        if len(texts) == 1:
            values += [value for (value,) in readings]
        wanted = {self.signature(Example(value, "")) for value in values}
        return sum(1 << at for at, each in enumerate(self._signatures) if each in wanted)

    def signature(self, example: Example) -> Signature:
        """What each of the conditions says of it."""
        if not example.is_readable:
            return (UNCLEAR,) * len(self._asked)
        case = _case(self.fact, example.value)
        return tuple(_ask(condition, case) for condition in self._asked)

    def tell(self, mask: Mask) -> str:
        """The atoms in words, where possible those of the conditions."""
        if mask not in self._told:
            self._told[mask] = self._as_conditions(mask) or self._as_values(mask)
        return self._told[mask]

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
                found.setdefault(signature, Example(listed, f"a list like {show(listed)}"))
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

    @staticmethod
    def _mask(found: Mapping[Signature, Example], condition: int, answer: int) -> Mask:
        return sum(1 << at for at, each in enumerate(found) if each[condition] == answer)

    def _as_conditions(self, mask: Mask) -> str:
        """One condition, or two."""
        known = [
            (self._conditions[said].text, answers)
            for said, answers in list(self._answers.items())[:_MAX_TOLD]
        ]
        for text, answers in known:
            for words, told in _words(answers):
                if told == mask:
                    return f"{words}{text}"
        for text, answers in known:
            for other, others in known:
                if answers.holds & ~others.holds == mask:
                    return f"{text}, but not {_short(other, self.fact)}"
        return ""

    def _as_values(self, mask: Mask) -> str:
        texts = [self.examples[at].text for at in bits(mask)]
        more = f" or {len(texts) - _MAX_TOLD} more" if len(texts) > _MAX_TOLD else ""
        return f"{self.fact} is {' or '.join(texts[:_MAX_TOLD])}{more}"


def say(condition: FactCondition) -> Said:
    """What the condition says of its fact, for comparing: types matter, and order hardly ever.

    Of several beginnings the first settles it, and some raise where others do not hold.
    """
    if isinstance(condition, Exists):
        return condition.is_there
    if condition.operator is Operator.STARTS_WITH:
        return condition.operator, tuple(map(typed, condition.values))
    return condition.operator, frozenset(map(typed, condition.values))


def _words(answers: Answers) -> list[tuple[str, Mask]]:
    holds, fails, unclear = answers
    return [
        ("", holds),
        ("does not hold: ", fails),
        ("cannot be evaluated: ", unclear),
        ("does not hold or cannot be evaluated: ", fails | unclear),
        ("holds or cannot be evaluated: ", holds | unclear),
        ("holds or does not hold: ", holds | fails),
    ]


def _short(text: str, fact: Fact) -> str:
    return text.removeprefix(f"{fact} ")


def _ask(condition: FactCondition, case: Case) -> int:
    try:
        return HOLDS if condition.holds(case) else FAILS
    except EvaluationError:
        return UNCLEAR


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
