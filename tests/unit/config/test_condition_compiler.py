from __future__ import annotations

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from deputize.config.condition_compiler import compile_condition
from deputize.config.policy_schema import When
from deputize.core.case import Fact, Source
from deputize.core.comparisons import Compares, EqualsClaim, Exists, Operator, Scalar
from deputize.core.conditions import Condition, Expression, Within
from deputize.core.matching import parse_path_pattern
from deputize.core.model import Json
from tests.harness.rulings import make_case

ORDER, LINE = (parse_path_pattern(text) for text in ("/v1/orders/{id}", "/{id}/lines"))
AMOUNT = Fact(Source.CLAIM, ("amount",))
ALL_DAYS = frozenset(range(7))


def compiled(when: dict[str, object]) -> Condition:
    return compile_condition(When.model_validate(when), (ORDER, LINE))


@pytest.mark.parametrize(
    ("key", "value", "operator", "values"),
    [
        ("equals", "a", Operator.EQUALS, ("a",)),
        ("equals", False, Operator.EQUALS, (False,)),
        ("oneOf", [1, 1.5], Operator.ONE_OF, (1, 1.5)),
        ("noneOf", ["a"], Operator.NONE_OF, ("a",)),
        ("startsWith", "a", Operator.STARTS_WITH, ("a",)),
        ("startsWith", ["a", "b"], Operator.STARTS_WITH, ("a", "b")),
        ("endsWith", ["a"], Operator.ENDS_WITH, ("a",)),
        ("atLeast", 0, Operator.AT_LEAST, (0,)),
        ("atMost", 2**63, Operator.AT_MOST, (2**63,)),
        ("hasAny", [1, 2], Operator.HAS_ANY, (1, 2)),
        ("hasOnly", ["a"], Operator.HAS_ONLY, ("a",)),
    ],
)
def test_every_comparison(
    key: str, value: object, operator: Operator, values: tuple[Scalar, ...]
) -> None:
    condition = compiled({"claim": "amount", key: value})
    assert condition == Compares(AMOUNT, operator, values)
    assert isinstance(condition, Compares)
    assert list(map(type, condition.values)) == list(map(type, values))


def test_what_is_no_comparison_with_values() -> None:
    assert compiled({"claim": "amount", "exists": True}) == Exists(AMOUNT, is_there=True)
    assert compiled({"claim": "amount", "exists": False}) == Exists(AMOUNT, is_there=False)
    claim = compiled({"claim": "amount", "equalsClaim": r"a\.b.c"})
    assert claim == EqualsClaim(AMOUNT, ("a.b", "c"))


@pytest.mark.parametrize(
    ("key", "text", "fact"),
    [
        ("claim", "a.b", Fact(Source.CLAIM, ("a", "b"))),
        ("argument", "a.b", Fact(Source.ARGUMENT, ("a", "b"))),
        ("header", "x-zone", Fact(Source.HEADER, ("x-zone",))),
        ("peer", "namespace", Fact(Source.PEER, ("namespace",))),
        ("chain", "depth", Fact(Source.CHAIN, ("depth",))),
        ("principal", "kind", Fact(Source.PRINCIPAL, ("kind",))),
        ("token", "binding", Fact(Source.TOKEN, ("binding",))),
        ("path", "id", Fact(Source.PATH, ("id",), ((ORDER, 2), (LINE, 0)))),
    ],
)
def test_every_fact(key: str, text: str, fact: Fact) -> None:
    assert compiled({key: text, "exists": True}) == Exists(fact, is_there=True)


def test_every_path_has_the_parameter() -> None:
    when = When.model_validate({"path": "id", "exists": True})
    with pytest.raises(ValueError, match="/v1/stock"):
        compile_condition(when, (ORDER, parse_path_pattern("/v1/stock")))


UTC_ZONE, OSLO = ZoneInfo("UTC"), ZoneInfo("Europe/Oslo")
MOMENT = "2026-12-31T18:00:00+01:00"
SECONDS = datetime(2026, 12, 31, 17, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        (
            {"days": ["mon", "sun"]},
            Within(
                *(frozenset({0, 6}), 0, 1440, UTC_ZONE, -math.inf, math.inf),
                text="time mon,sun UTC",
            ),
        ),
        (
            {"begins": "22:30", "ends": "06:00", "zone": "Europe/Oslo"},
            Within(
                *(ALL_DAYS, 1350, 360, OSLO, -math.inf, math.inf),
                text="time 22:30 to 06:00 Europe/Oslo",
            ),
        ),
        (
            {"notBefore": MOMENT, "notAfter": "2027-01-01T00:00:00Z"},
            Within(
                *(ALL_DAYS, 0, 1440, UTC_ZONE, SECONDS, SECONDS + 7 * 3600),
                text=f"time from {MOMENT} until 2027-01-01T00:00:00Z",
            ),
        ),
        (
            {"begins": "00:00", "ends": "23:59"},
            Within(
                *(ALL_DAYS, 0, 1439, UTC_ZONE, -math.inf, math.inf),
                text="time 00:00 to 23:59 UTC",
            ),
        ),
    ],
)
def test_times(time: dict[str, object], expected: Within) -> None:
    assert compiled({"time": time}) == expected


def test_an_expression_is_compiled() -> None:
    condition = compiled({"cel": 'principal.subject == "alice"'})
    assert isinstance(condition, Expression)
    assert condition.text == 'cel principal.subject == "alice"'
    assert condition.holds(make_case())
    assert not condition.holds(make_case(subject="bob"))


@pytest.mark.parametrize("source", ["1 +", "no.such.fact", "1"])
def test_a_wrong_expression_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        compiled({"cel": source})


@pytest.mark.parametrize(("value", "expected"), [(5, True), (6, False), (4.5, True)])
def test_a_compiled_condition_is_asked(value: Json, *, expected: bool) -> None:
    condition = compiled({"claim": "amount", "atMost": 5})
    assert condition.holds(make_case(claims={"amount": value})) is expected
