"""Values that conditions tell apart, each with an example, and what each condition says of them.

Rules of this file:
- Values of which all conditions say the same are one atom.
- Atoms are told in the words of the conditions where one or two of them have any.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from itertools import product
from typing import Final, NamedTuple, Protocol, TypeVar

from deputize.analysis.boxes import Mask
from deputize.analysis.dimension import bits
from deputize.analysis.fact_values import Example
from deputize.core.case import EvaluationError

HOLDS, FAILS, UNCLEAR = range(3)
MAX_STEPS = 60_000
"""How often conditions on one thing are asked."""
INEXACT = "like "
"""How an example is told that stands for many values."""
_MAX_TOLD = 60

ValueT_contra = TypeVar("ValueT_contra", contravariant=True)
Said = Hashable
Signature = tuple[int, ...]


class TooManyError(Exception):
    """The conditions on one thing tell too many values apart."""


class Answers(NamedTuple):
    """The atoms for which a condition holds, does not, and cannot be evaluated."""

    holds: Mask
    fails: Mask
    unclear: Mask


class ValueAtoms:
    """The atoms, by number: `examples` has a value of each.

    `is_tied` where not every value goes with every request: then what hangs on it is possible
    only.
    """

    def __init__(
        self,
        subject: str,
        texts: Mapping[Said, str],
        found: Mapping[Signature, Example],
        *,
        is_tied: bool,
    ) -> None:
        """`texts` are those of the conditions, in the order of the signatures."""
        self.subject: Final = subject
        self.is_tied: Final = is_tied
        self.examples: Final = tuple(found.values())
        self.full: Final = (1 << len(found)) - 1
        self.signatures: Final = tuple(found)
        self._texts = texts
        self._answers = {
            said: Answers(*(_mask(found, at, each) for each in (HOLDS, FAILS, UNCLEAR)))
            for at, said in enumerate(texts)
        }
        self._told: dict[Mask, str] = {}

    def answers(self, said: Said) -> Answers | None:
        """What the condition says; None where it is none of those known here."""
        return self._answers.get(said)

    def tell(self, mask: Mask) -> str:
        """The atoms in words, where possible those of the conditions."""
        if mask not in self._told:
            self._told[mask] = self._as_conditions(mask) or self._as_values(mask)
        return self._told[mask]

    def _as_conditions(self, mask: Mask) -> str:
        """One condition, or two."""
        answers = list(self._answers.items())[:_MAX_TOLD]
        known = [(self._texts[said], each) for said, each in answers]
        for text, each in known:
            for words, told in _words(each):
                if told == mask:
                    return f"{words}{text}"
        is_inexact = any(self.examples[at].text.startswith(INEXACT) for at in bits(mask))
        for (text, each), (other, others) in product(known, known):
            short = other.removeprefix(f"{self.subject} ")
            if each.holds & ~others.holds == mask:
                return f"{text}, but not {short}"
            if is_inexact and each.holds & others.holds == mask:
                return f"{text}, and {short}"
        return ""

    def _as_values(self, mask: Mask) -> str:
        texts = [self.examples[at].text for at in bits(mask)]
        more = f" or {len(texts) - _MAX_TOLD} more" if len(texts) > _MAX_TOLD else ""
        return f"{self.subject} is {' or '.join(texts[:_MAX_TOLD])}{more}"


class Says(Protocol[ValueT_contra]):
    """A condition that can be asked about a value alone."""

    def says_of(self, value: ValueT_contra, /) -> bool:
        """Raises EvaluationError."""


def ask_all(conditions: Iterable[Says[ValueT_contra]], value: ValueT_contra) -> Signature:
    """What each of the conditions says of the value."""
    return tuple(_ask(condition, value) for condition in conditions)


def _ask(condition: Says[ValueT_contra], value: ValueT_contra) -> int:
    try:
        return HOLDS if condition.says_of(value) else FAILS
    except EvaluationError:
        return UNCLEAR


def _mask(found: Mapping[Signature, Example], condition: int, answer: int) -> Mask:
    return sum(1 << at for at, each in enumerate(found) if each[condition] == answer)


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
