from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from deputize.core.case import Case, EvaluationError, Fact, Source
from deputize.core.comparisons import MAX_ELEMENTS, Compares, EqualsClaim, Exists, Operator, Scalar
from deputize.core.conditions import Expression, Within
from deputize.core.model import Json
from deputize.core.paths import MAX_PATH_BYTES
from tests.harness.rulings import make_case, mcp_call

CLAIM = Fact(Source.CLAIM, ("x",))


def holds(operator: Operator, found: Json, *values: Scalar) -> bool:
    return Compares(CLAIM, operator, values).holds(make_case(claims={"x": found}))


@pytest.mark.parametrize(
    ("operator", "found", "values", "expected"),
    [
        (Operator.EQUALS, "a", ("a",), True),
        (Operator.EQUALS, "a", ("A",), False),
        (Operator.EQUALS, 1, (1.0,), True),
        (Operator.EQUALS, True, (True,), True),
        (Operator.EQUALS, False, (True,), False),
        (Operator.ONE_OF, "b", ("a", "b"), True),
        (Operator.ONE_OF, "c", ("a", "b"), False),
        (Operator.ONE_OF, 1, ("1", 2), False),
        (Operator.ONE_OF, 1, (True, 1), True),
        (Operator.NONE_OF, "c", ("a", "b"), True),
        (Operator.NONE_OF, "a", ("a", "b"), False),
        (Operator.STARTS_WITH, "abc", ("x", "ab"), True),
        (Operator.STARTS_WITH, "abc", ("bc",), False),
        (Operator.STARTS_WITH, 1, (1,), False),
        (Operator.ENDS_WITH, "abc", ("bc",), True),
        (Operator.ENDS_WITH, "abc", ("ab",), False),
        (Operator.AT_LEAST, 5, (5,), True),
        (Operator.AT_LEAST, 4.9, (5,), False),
        (Operator.AT_LEAST, 10**400, (5.5,), True),
        (Operator.AT_MOST, 5, (5.0,), True),
        (Operator.AT_MOST, 5.1, (5,), False),
        (Operator.HAS_ANY, ["a", "b"], ("b", "c"), True),
        (Operator.HAS_ANY, ["a"], ("b",), False),
        (Operator.HAS_ANY, "b", ("b",), True),
        (Operator.HAS_ANY, [], ("b",), False),
        (Operator.HAS_ONLY, ["a", "b"], ("a", "b", "c"), True),
        (Operator.HAS_ONLY, ["a", "d"], ("a", "b"), False),
        (Operator.HAS_ONLY, "a", ("a",), True),
        (Operator.HAS_ONLY, [], ("a",), False),
    ],
)
def test_how_values_are_compared(
    operator: Operator, found: Json, values: tuple[Scalar, ...], *, expected: bool
) -> None:
    assert holds(operator, found, *values) is expected


@pytest.mark.parametrize("operator", Operator)
def test_what_is_absent_meets_no_comparison(operator: Operator) -> None:
    condition = Compares(CLAIM, operator, ("a",))
    assert not condition.holds(make_case())
    assert not condition.holds(make_case(claims={"x": None}))


@pytest.mark.parametrize(
    ("operator", "found", "value"),
    [
        (Operator.EQUALS, "1", 1),
        (Operator.EQUALS, 1, "1"),
        (Operator.EQUALS, 1, True),
        (Operator.EQUALS, True, 1),
        (Operator.EQUALS, ["a"], "a"),
        (Operator.EQUALS, {"a": "b"}, "a"),
        (Operator.NONE_OF, ["a"], "b"),
        (Operator.NONE_OF, 1, "b"),
        (Operator.STARTS_WITH, 1, "1"),
        (Operator.ENDS_WITH, ["a"], "a"),
        (Operator.AT_LEAST, "6", 5),
        (Operator.AT_LEAST, True, 0),
        (Operator.AT_MOST, ["4"], 5),
        (Operator.HAS_ANY, [1], "1"),
        (Operator.HAS_ANY, ["a", 1], "a"),
        (Operator.HAS_ANY, {"a": 1}, "a"),
        (Operator.HAS_ONLY, ["a", None], "a"),
        (Operator.HAS_ONLY, [["a"]], "a"),
    ],
)
def test_another_type_cannot_be_compared(operator: Operator, found: Json, value: Scalar) -> None:
    with pytest.raises(EvaluationError):
        holds(operator, found, value)


@pytest.mark.parametrize(
    ("claims", "is_there"), [({"x": 0}, True), ({"x": ""}, True), ({"x": None}, False), ({}, False)]
)
def test_a_fact_exists_or_not(claims: Mapping[str, Json], *, is_there: bool) -> None:
    assert Exists(CLAIM, is_there=True).holds(make_case(claims=claims)) is is_there
    assert Exists(CLAIM, is_there=False).holds(make_case(claims=claims)) is not is_there


OWN = EqualsClaim(Fact(Source.ARGUMENT, ("customer",)), ("customer", "id"))


@pytest.mark.parametrize(
    ("argument", "claim", "expected"),
    [("7", "7", True), ("7", "8", False), (7, 7.0, True), (None, "7", False), ("7", None, False)],
)
def test_a_fact_may_equal_a_claim(argument: Json, claim: Json, *, expected: bool) -> None:
    call = mcp_call(arguments={"customer": argument})
    assert OWN.holds(make_case(call, claims={"customer": {"id": claim}})) is expected


@pytest.mark.parametrize(("argument", "claim"), [("7", 7), (1, True), (["7"], ["7"]), ({}, {})])
def test_a_fact_and_a_claim_are_of_one_type(argument: Json, claim: Json) -> None:
    call = mcp_call(arguments={"customer": argument})
    with pytest.raises(EvaluationError):
        OWN.holds(make_case(call, claims={"customer": {"id": claim}}))


OSLO = ZoneInfo("Europe/Oslo")
WORKDAYS, ALL_DAYS = frozenset(range(5)), frozenset(range(7))
DAY = 24 * 60


def within(
    moment: str,
    *,
    days: frozenset[int] = ALL_DAYS,
    begins: int = 0,
    ends: int = DAY,
    not_before: float = float("-inf"),
    not_after: float = float("inf"),
) -> bool:
    window = Within(days, begins, ends, OSLO, not_before, not_after, "time")
    now = datetime.fromisoformat(moment).replace(tzinfo=OSLO).timestamp()
    return window.holds(make_case(now=now))


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-27T08:00", True),
        ("2026-11-27T16:59:59", True),
        ("2026-11-27T17:00", False),
        ("2026-11-27T07:59:59", False),
        ("2026-11-28T12:00", False),
        ("2026-07-03T08:00", True),
    ],
)
def test_office_hours(moment: str, *, expected: bool) -> None:
    assert within(moment, days=WORKDAYS, begins=8 * 60, ends=17 * 60) is expected


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-27T22:00", True),
        ("2026-11-28T05:59", True),
        ("2026-11-28T06:00", False),
        ("2026-11-28T22:00", False),
        ("2026-11-27T21:59", False),
        ("2026-11-23T05:00", False),
    ],
)
def test_a_night_belongs_to_the_day_it_begins_on(moment: str, *, expected: bool) -> None:
    assert within(moment, days=WORKDAYS, begins=22 * 60, ends=6 * 60) is expected


def test_a_window_between_two_moments() -> None:
    moment = datetime(2026, 11, 27, 12, tzinfo=OSLO).timestamp()
    assert within("2026-11-27T12:00", not_before=moment)
    assert not within("2026-11-27T11:59", not_before=moment)
    assert within("2026-11-27T11:59", not_after=moment)
    assert not within("2026-11-27T12:00", not_after=moment)


def fail(_facts: Mapping[str, Json]) -> Json:
    raise ZeroDivisionError


def refuse(_facts: Mapping[str, Json]) -> Json:
    raise EvaluationError("why")


def test_an_expression_sees_the_facts() -> None:
    seen: list[Mapping[str, Json]] = []

    def look(facts: Mapping[str, Json]) -> Json:
        seen.append(facts)
        return facts["scopes"] == ["orders:read"]

    assert Expression("s", look).holds(make_case())
    assert not Expression("s", look).holds(make_case(scopes=[]))
    assert len(seen) == 2


@pytest.mark.parametrize("evaluate", [fail, refuse, lambda _facts: 1, lambda _facts: None])
def test_an_expression_gives_true_or_false(evaluate: object) -> None:
    assert callable(evaluate)
    with pytest.raises(EvaluationError):
        Expression("s", evaluate).holds(make_case())


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (
            Compares(Fact(Source.ARGUMENT, ("amount",)), Operator.AT_MOST, (500,)),
            "argument amount atMost 500",
        ),
        (Compares(CLAIM, Operator.ONE_OF, ("a", True, 1.5)), "claim x oneOf a, true, 1.5"),
        (Exists(CLAIM, is_there=True), "claim x exists"),
        (Exists(CLAIM, is_there=False), "claim x is absent"),
        (OWN, "argument customer equalsClaim customer.id"),
        (Expression("a == b", fail), "cel a == b"),
    ],
)
def test_a_condition_is_told_to_people(
    condition: Compares | Exists | EqualsClaim | Expression, text: str
) -> None:
    assert condition.text == text


def test_what_cannot_be_read_cannot_be_compared() -> None:
    case: Case = make_case(headers={"x-a": "1,2"})
    fact = Fact(Source.HEADER, ("x-a",))
    for condition in (
        Compares(fact, Operator.EQUALS, ("1",)),
        Exists(fact, is_there=True),
        Exists(fact, is_there=False),
        EqualsClaim(fact, ("x",)),
    ):
        with pytest.raises(EvaluationError):
            condition.holds(case)


@pytest.mark.parametrize(
    "path",
    [
        *("/data/../etc/passwd", "/data/./x", "/data/..", "/var/../data/x", "..", "/data/a\\..\\b"),
        *("/data/%2e%2e/x", "/data/%2E./x", "/data/..%2fx", "/data/..%5Cx", "/data/%252e%252e/x"),
        *("/data/%25252e%25252e/x", "/data/x?file=../y", "/data/..;/x"),
    ],
)
def test_a_path_that_goes_up_begins_with_nothing(path: str) -> None:
    for values in (("/data/",), ("x", "/etc"), ("data\\",)):
        with pytest.raises(EvaluationError):
            holds(Operator.STARTS_WITH, path, *values)


@pytest.mark.parametrize(
    "path", ["/data/a..b", "/data/...", "/data/.hidden", "/data/100%", "/data/"]
)
def test_a_path_that_goes_down_begins_with_what_it_lies_in(path: str) -> None:
    assert holds(Operator.STARTS_WITH, path, "/data/")
    assert not holds(Operator.STARTS_WITH, path, "/etc")


def test_a_text_that_is_no_path_may_have_any_dots() -> None:
    assert holds(Operator.STARTS_WITH, "see ../x", "see")


@pytest.mark.parametrize("operator", [Operator.HAS_ANY, Operator.HAS_ONLY])
def test_a_list_that_is_compared_has_an_end(operator: Operator) -> None:
    elements: list[Json] = ["a"] * MAX_ELEMENTS
    assert holds(operator, elements, "a")
    with pytest.raises(EvaluationError):
        holds(operator, [*elements, "a"], "a")


def test_a_path_has_an_end() -> None:
    path = "/data/".ljust(MAX_PATH_BYTES, "x")
    assert holds(Operator.STARTS_WITH, path, "/data/")
    with pytest.raises(EvaluationError):
        holds(Operator.STARTS_WITH, path + "x", "/data/")
    assert holds(Operator.STARTS_WITH, "data" + path, "data")
