from __future__ import annotations

from typing import get_args

from deputize.config.schema import Issuer, Obligations
from deputize.core.keys import Algorithm
from deputize.core.model import UpstreamFact


def literals(annotation: object) -> set[object]:
    """The values of every Literal inside an annotation."""
    found: set[object] = set()
    for argument in get_args(annotation):
        found |= literals(argument) if get_args(argument) else {argument}
    return {value for value in found if isinstance(value, str)}


def test_every_algorithm_of_the_core_can_be_configured() -> None:
    assert literals(Issuer.model_fields["algorithms"].annotation) == set(Algorithm)


def test_every_fact_of_the_core_can_be_configured() -> None:
    assert literals(Obligations.model_fields["upstream_headers"].annotation) == set(UpstreamFact)
