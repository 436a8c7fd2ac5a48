"""What conditions of small policies compare with, by operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from deputize.core.comparisons import Operator, Scalar
from tests.harness.small_requests import TWICE

_TEXTS: Sequence[tuple[Scalar, ...]] = (("EU",), ("US",), ("EU", "US"), ("EUR", "X"))
_NUMBERS: Sequence[tuple[Scalar, ...]] = ((1,), (2,), (1, 2), (3, 1.5))
HEADER_TEXTS: Sequence[tuple[Scalar, ...]] = (("1",), ("0", "1"), ("10",), (TWICE,))
VALUES: Mapping[Operator, Sequence[tuple[Scalar, ...]]] = {
    Operator.EQUALS: (("EU",), (1,), (True,)),
    Operator.ONE_OF: (*_TEXTS, *_NUMBERS),
    Operator.NONE_OF: (*_TEXTS, *_NUMBERS, (False,)),
    Operator.STARTS_WITH: (("E",), ("EU", "US"), ("a/",), ("X",)),
    Operator.ENDS_WITH: (("U",), ("S", "R"), ("b",)),
    Operator.AT_LEAST: ((1,), (2,), (1.5,)),
    Operator.AT_MOST: ((1,), (2,), (1.5,)),
    Operator.HAS_ANY: (*_TEXTS, *_NUMBERS),
    Operator.HAS_ONLY: (*_TEXTS, *_NUMBERS),
}
OF_HEADERS = (
    Operator.EQUALS, Operator.ONE_OF, Operator.NONE_OF, Operator.STARTS_WITH, Operator.HAS_ANY,
)  # fmt: skip
