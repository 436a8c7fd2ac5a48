"""Conditions that compare a fact: with fixed values, with its being there, with a claim.

Rules of this file:
- What is absent meets no condition but `exists: false`.
- Values are compared with their type: the text `1` is not the number 1. A value of another type
  than the condition names raises `EvaluationError`; so does a list where one value is meant.
- Where the beginning of a text has a slash the text is taken for a path or URL: one that goes up
  by `..`, escaped or not, begins with what it does not lie in, and raises `EvaluationError`.
- No pattern language: what these operators cannot say, an expression can (`conditions.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from deputize.core.case import Case, EvaluationError, Fact, Source, read_fact
from deputize.core.claims import ClaimPath
from deputize.core.model import Json
from deputize.core.paths import MAX_PATH_BYTES, has_dot_segment

MAX_ELEMENTS = 4000
"""Of a list that is compared: more than a token can hold, less than a body."""

Scalar = str | int | float | bool


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
        return self.says_of(read_fact(self.fact, case))

    def says_of(self, found: Json) -> bool:
        """What it says of this value of its fact. Raises EvaluationError."""
        if found is None:
            return False
        if self.operator in {Operator.HAS_ANY, Operator.HAS_ONLY}:
            hits = self._hits(found if isinstance(found, list) else [found])
            return any(hits) if self.operator is Operator.HAS_ANY else bool(hits) and all(hits)
        if self.operator in _TESTS:
            return self._any_test(found)
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

    def _any_test(self, found: Json) -> bool:
        # One value that fits is enough, wherever it stands among some that cannot be compared.
        unclear: EvaluationError | None = None
        for value in self.values:
            try:
                if self._tests(found, value):
                    return True
            except EvaluationError as error:
                unclear = unclear or error
        if unclear is not None:
            raise unclear
        return False

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
        return self.says_of(read_fact(self.fact, case))

    def says_of(self, found: Json) -> bool:
        """What it says of this value of its fact."""
        return (found is not None) is self.is_there


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
