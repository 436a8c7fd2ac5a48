from __future__ import annotations

import itertools

import pytest

from deputize.core.case import EvaluationError, Fact, Source
from deputize.core.comparisons import Compares, Exists, Operator, Scalar
from deputize.core.model import Json

FACT = Fact(Source.ARGUMENT, ("path",))


def compares(operator: Operator, *values: Scalar) -> Compares:
    return Compares(FACT, operator, values)


@pytest.mark.parametrize(
    ("values", "found"),
    [(("a/", "E"), "E/../x"), (("a/", "E", "b/"), "E/../x"), ((1, "E"), "E")],
)
def test_one_value_that_fits_is_enough_wherever_it_stands(
    values: tuple[Scalar, ...], found: Json
) -> None:
    for ordered in itertools.permutations(values):
        assert compares(Operator.STARTS_WITH, *ordered).says_of(found)


def test_where_none_fits_one_that_cannot_be_compared_is_an_error() -> None:
    for ordered in itertools.permutations(("a/", "F")):
        with pytest.raises(EvaluationError):
            compares(Operator.STARTS_WITH, *ordered).says_of("E/../x")


@pytest.mark.parametrize("operator", Operator)
def test_what_is_absent_meets_no_comparison(operator: Operator) -> None:
    assert not compares(operator, "a").says_of(None)
    assert not Exists(FACT, is_there=True).says_of(None)
    assert Exists(FACT, is_there=False).says_of(None)
