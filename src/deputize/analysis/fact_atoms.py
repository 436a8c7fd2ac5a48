"""One fact: its values, as far as conditions tell them apart, and what each condition says.

Rules of this file:
- What a condition says of a value is asked of the condition itself (`core/comparisons.py`).
- Work is bounded: of a fact with too many conditions nothing is known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice, product
from typing import Final

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
from deputize.core.case import EvaluationError, Fact, Source, check_header
from deputize.core.comparisons import Exists
from deputize.core.model import Json

MAX_LISTS = 600


class FactAtoms(ValueAtoms):
    """The atoms of one fact."""

    def __init__(
        self, fact: Fact, conditions: Mapping[Said, FactCondition], *, is_tied: bool
    ) -> None:
        """Raises TooManyError."""
        self.fact: Final = fact
        self._asked = list(conditions.values())
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
        value = example.value
        if self.fact.source is Source.HEADER:
            # A header is read as such: not every text is one.
            value = value if isinstance(value, str) else None
            try:
                check_header(self.fact.name[0], value or "")
            except EvaluationError:
                return (UNCLEAR,) * len(self._asked)
        return ask_all(self._asked, value)

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
    """What the condition says of its fact, for comparing: types matter, order does not."""
    if isinstance(condition, Exists):
        return condition.is_there
    return condition.operator, frozenset(map(typed, condition.values))
