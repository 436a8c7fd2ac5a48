"""From the conditions of a rule to those of the core."""

from __future__ import annotations

import math
from datetime import datetime
from zoneinfo import ZoneInfo

from deputize.config.cel import compile_expression
from deputize.config.policy_schema import COMPARISONS, FACTS, TimeWindow, When
from deputize.core.case import Fact, Source
from deputize.core.claims import ClaimPath, parse_claim_path
from deputize.core.comparisons import Compares, EqualsClaim, Exists, Operator, Scalar
from deputize.core.conditions import Condition, Expression, Within
from deputize.core.matching import PathPattern, find_parameter

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DOTTED = {Source.CLAIM, Source.ARGUMENT}


def compile_condition(when: When, paths: tuple[PathPattern, ...]) -> Condition:
    """The condition; `paths` are those of its rule.

    Raises:
        ValueError: a path parameter that one of the paths lacks, or a wrong expression.
        ImportError: an expression without the extra `deputize[cel]`.
    """
    if when.time is not None:
        return _within(when.time)
    if when.cel is not None:
        return Expression(when.cel, compile_expression(when.cel))
    fact = _fact(when, paths)
    (comparison,) = when.given(COMPARISONS)
    if when.exists is not None:
        return Exists(fact, when.exists)
    if when.equals_claim is not None:
        return EqualsClaim(fact, parse_claim_path(when.equals_claim))
    values: Scalar | list[Scalar] = getattr(when, comparison)
    listed = values if isinstance(values, list) else [values]
    operator = Operator(type(when).model_fields[comparison].alias or comparison)
    return Compares(fact, operator, tuple(listed))


def _fact(when: When, paths: tuple[PathPattern, ...]) -> Fact:
    (given,) = when.given(FACTS)
    source, text = Source(given), str(getattr(when, given))
    name: ClaimPath = parse_claim_path(text) if source in _DOTTED else (text,)
    if source is not Source.PATH:
        return Fact(source, name)
    positions = [(path, find_parameter(path, text)) for path in paths]
    missing = next((path.text for path, position in positions if position is None), None)
    if missing is not None:
        raise ValueError(f"path {missing} has no parameter {{{text}}}")
    return Fact(source, name, tuple((path, at) for path, at in positions if at is not None))


def _within(window: TimeWindow) -> Within:
    begins, ends = window.begins, window.ends
    days = frozenset(_DAYS.index(day) for day in window.days or _DAYS)
    parts = [
        ",".join(window.days or ()),
        f"{begins} to {ends}" if begins is not None else "",
        f"from {window.not_before}" if window.not_before else "",
        f"until {window.not_after}" if window.not_after else "",
        window.zone if window.days or begins is not None else "",
    ]
    return Within(
        days=days,
        begins=0 if begins is None else _minutes(begins),
        ends=24 * 60 if ends is None else _minutes(ends),
        zone=ZoneInfo(window.zone),
        not_before=-math.inf if window.not_before is None else _moment(window.not_before),
        not_after=math.inf if window.not_after is None else _moment(window.not_after),
        text="time " + " ".join(part for part in parts if part),
    )


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
