"""The conditions of a rule: what must hold beside its patterns.

Rules of this file:
- What is absent meets no condition but `exists: false`.
- Values are compared with their type: the text `1` is not the number 1. A value of another type
  than the condition names raises `EvaluationError`; so does a list where one value is meant.
- Where the beginning of a text has a slash the text is taken for a path or URL: one that goes up
  by `..`, escaped or not, begins with what it does not lie in, and raises `EvaluationError`.
- No pattern language: what these operators cannot say, an expression can (`Expression`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Protocol

from deputize.core.case import Case, EvaluationError, Fact, Source, read_fact, to_facts
from deputize.core.claims import ClaimPath
from deputize.core.model import Json
from deputize.core.paths import MAX_PATH_BYTES, has_dot_segment

MAX_ELEMENTS = 4000
"""Of a list that is compared: more than a token can hold, less than a body."""

Scalar = str | int | float | bool


class Condition(Protocol):
    """Something that holds for a case or does not. `text` is how it is told and compared."""

    @property
    def text(self) -> str: ...  # noqa: D102
    def holds(self, case: Case) -> bool:
        """Raises EvaluationError where it cannot be said."""


def find_unmet(conditions: Iterable[Condition], case: Case) -> Condition | EvaluationError | None:
    """The first that does not hold, else why the first that cannot be said, None where all hold.

    So their order does not matter: one that surely does not hold settles it.
    """
    unclear: EvaluationError | None = None
    for condition in conditions:
        try:
            if not condition.holds(case):
                return condition
        except EvaluationError as error:
            unclear = unclear or error
    return unclear


class Operator(StrEnum):
    """How a fact is compared."""

    EQUALS = "equals"
    ONE_OF = "oneOf"
    NONE_OF = "noneOf"
    STARTS_WITH = "startsWith"
    ENDS_WITH = "endsWith"
    AT_LEAST = "atLeast"
    AT_MOST = "atMost"
    HAS_ANY = "hasAny"
    HAS_ONLY = "hasOnly"


@dataclass(frozen=True, slots=True)
class Compares:
    """A fact compared with fixed values; where there are several, one of them is enough.

    `HAS_ANY` and `HAS_ONLY` take a list, or one value as a list of it: one element is, or all
    elements are, among the values.
    """

    fact: Fact
    operator: Operator
    values: tuple[Scalar, ...]

    @property
    def text(self) -> str:
        """For people, for example `argument amount atMost 500`."""
        return f"{self.fact} {self.operator.value} {', '.join(map(_show, self.values))}"

    def holds(self, case: Case) -> bool:
        """Raises EvaluationError."""
        found = read_fact(self.fact, case)
        if found is None:
            return False
        if self.operator in {Operator.HAS_ANY, Operator.HAS_ONLY}:
            hits = self._hits(found if isinstance(found, list) else [found])
            return any(hits) if self.operator is Operator.HAS_ANY else bool(hits) and all(hits)
        if self.operator in _TESTS:
            return any(self._tests(found, value) for value in self.values)
        is_among = self._is_among(found)
        return not is_among if self.operator is Operator.NONE_OF else is_among

    def _hits(self, elements: list[Json]) -> list[bool]:
        if len(elements) > MAX_ELEMENTS:
            raise EvaluationError(f"{self.fact} has more than {MAX_ELEMENTS} elements")
        return [self._is_among(element) for element in elements]

    def _is_among(self, found: Json) -> bool:
        kind = _kind(found)
        if not any(_kind(value) == kind for value in self.values):
            raise EvaluationError(f"{self.fact} is of another type than {self.operator.value} says")
        return any(value == found and _kind(value) == kind for value in self.values)

    def _tests(self, found: Json, value: Scalar) -> bool:
        if _kind(found) != _kind(value):
            raise EvaluationError(f"{self.fact} is of another type than {self.operator.value} says")
        return _TESTS[self.operator](found, value)


@dataclass(frozen=True, slots=True)
class Exists:
    """A fact is there, or is not; null is as good as absent."""

    fact: Fact
    is_there: bool

    @property
    def text(self) -> str:
        """For people."""
        return f"{self.fact} {'exists' if self.is_there else 'is absent'}"

    def holds(self, case: Case) -> bool:
        """Raises EvaluationError."""
        return (read_fact(self.fact, case) is not None) is self.is_there


@dataclass(frozen=True, slots=True)
class EqualsClaim:
    """A fact is the very text of a claim of the token: a customer's own record, for example."""

    fact: Fact
    claim: ClaimPath

    @property
    def text(self) -> str:
        """For people."""
        return f"{self.fact} equalsClaim {'.'.join(self.claim)}"

    def holds(self, case: Case) -> bool:
        """Raises EvaluationError."""
        found = read_fact(self.fact, case)
        wanted = read_fact(Fact(Source.CLAIM, self.claim), case)
        if found is None or wanted is None:
            return False
        if _kind(found) != _kind(wanted) or _kind(found) is None:
            raise EvaluationError(f"{self.fact} is of another type than claim {self.claim[-1]}")
        return found == wanted


@dataclass(frozen=True, slots=True)
class Within:
    """The time of the decision lies in a window of the week, and between two moments.

    `days` count from Monday as 0; `begins` and `ends` are minutes since midnight in `zone`. A
    window that ends before it begins ends on the next day. Moments are epoch seconds.
    """

    days: frozenset[int]
    begins: int
    ends: int
    zone: tzinfo
    not_before: float
    not_after: float
    text: str

    def holds(self, case: Case) -> bool:
        """Never raises."""
        if not self.not_before <= case.now < self.not_after:
            return False
        here = datetime.fromtimestamp(case.now, self.zone)
        minute, today = here.hour * 60 + here.minute, here.weekday()
        if self.begins < self.ends:
            return today in self.days and self.begins <= minute < self.ends
        yesterday = (here - timedelta(days=1)).weekday()
        return (today in self.days and minute >= self.begins) or (
            yesterday in self.days and minute < self.ends
        )


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression of another language, compiled; it must give true or false."""

    source: str
    evaluate: Callable[[Mapping[str, Json]], Json]

    @property
    def text(self) -> str:
        """For people."""
        return f"cel {self.source}"

    def holds(self, case: Case) -> bool:
        """Raises EvaluationError: whatever went wrong in it."""
        try:
            answer = self.evaluate(to_facts(case))
        except EvaluationError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever its library raises
            raise EvaluationError(f"the expression fails: {type(error).__name__}") from None
        if not isinstance(answer, bool):
            raise EvaluationError("the expression gives neither true nor false")
        return answer


def _starts_with(found: Json, value: Scalar) -> bool:
    if not isinstance(found, str) or not isinstance(value, str):
        return False
    is_path = "/" in value or "\\" in value
    if is_path and (len(found) > MAX_PATH_BYTES or has_dot_segment(found)):
        raise EvaluationError("a text with a dot segment, or a long one, where a path is asked for")
    return found.startswith(value)


def _ends_with(found: Json, value: Scalar) -> bool:
    return isinstance(found, str) and isinstance(value, str) and found.endswith(value)


def _at_least(found: Json, value: Scalar) -> bool:
    return isinstance(found, int | float) and isinstance(value, int | float) and found >= value


def _at_most(found: Json, value: Scalar) -> bool:
    return isinstance(found, int | float) and isinstance(value, int | float) and found <= value


_TESTS: Mapping[Operator, Callable[[Json, Scalar], bool]] = {
    Operator.STARTS_WITH: _starts_with,
    Operator.ENDS_WITH: _ends_with,
    Operator.AT_LEAST: _at_least,
    Operator.AT_MOST: _at_most,
}


def _kind(value: Json) -> str | None:
    """The JSON type of one value; None for what is none: lists, objects, null."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else None


def _show(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
