from __future__ import annotations

from time import process_time

import pytest

from deputize.config.cel import compile_expression
from deputize.core.case import EvaluationError
from deputize.core.model import Json
from tests.harness.expressions import EXAMPLE, asked, gives

MAX_SECONDS = 1.0


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 2**200, "\ud800"])
def test_a_value_that_cel_has_no_type_for_raises(value: Json) -> None:
    for source in ("call.arguments.value == 1", "has(call.arguments.value)"):
        with pytest.raises(EvaluationError):
            gives(source, asked(value))


@pytest.mark.parametrize("value", [10, 1.0, True, None, ["EUR"], {"EUR": 1}])
@pytest.mark.parametrize(
    "comparison",
    [
        'call.arguments.value == "EUR"',
        'call.arguments.value != "EUR"',
        '"EUR" != call.arguments.value',
        '!(call.arguments["value"] == "EUR")',
        '!(call.arguments.value in ["EUR", "CHF"])',
        'call.arguments.value != "EUR" || true',
    ],
)
def test_a_value_of_another_type_than_its_literal_raises(comparison: str, value: Json) -> None:
    assert isinstance(gives(comparison, asked("USD")), bool)
    with pytest.raises(EvaluationError):
        gives(comparison, asked(value))


def test_null_may_be_asked_for() -> None:
    source = 'call.arguments.value == null || call.arguments.value == "EUR"'
    assert gives(source, asked(None)) is True
    assert gives(source, asked("EUR")) is True
    with pytest.raises(EvaluationError):
        gives(source, asked(1))


def test_an_argument_in_another_spelling_raises() -> None:
    for source in (
        "!has(call.arguments.Amount)",
        '!("x" in call.arguments) && !has(call.arguments.to.City)',
        'call.arguments["AMOUNT"] == 1 || true',
    ):
        with pytest.raises(EvaluationError):
            gives(source)
    assert gives("!has(principal.claims.Groups)") is True


def test_protobuf_has_two_spellings_of_an_argument() -> None:
    arguments: Json = {"context_id": "x"}
    call: Json = {"protocol": "a2a", "method": "", "name": "", "arguments": arguments}
    with pytest.raises(EvaluationError):
        gives("!has(call.arguments.contextId)", {**EXAMPLE, "call": call})
    assert gives("has(call.arguments.context_id)", {**EXAMPLE, "call": call}) is True


@pytest.mark.parametrize("value", ["gold,free", "fre!"])
def test_a_header_with_two_readings_raises(value: str) -> None:
    request: Json = {"method": "", "host": "", "path": "", "headers": {"x-tier": value}}
    for source in ('request.headers["x-tier"] != "free"', '"x-tier" in request.headers'):
        with pytest.raises(EvaluationError):
            gives(source, {**EXAMPLE, "request": request})


def test_a_list_is_no_object_and_no_text() -> None:
    assert gives('call.arguments.value == ["a"]', asked(["a"])) is True
    assert gives('call.arguments.value == {"a": 1}', asked({"a": 1})) is True
    others: list[Json] = [{"a": 1}, "a", None]
    for other in others:
        with pytest.raises(EvaluationError):
            gives('call.arguments.value != ["a"]', asked(other))


def test_members_that_are_not_asked_for_cost_nothing_and_matter_not() -> None:
    evaluate = compile_expression("call.arguments.amount <= 500 && !has(principal.claims.none)")
    arguments: dict[str, Json] = {f"name-{number}": number for number in range(100_000)}
    call: Json = {"protocol": "mcp", "arguments": {**arguments, "amount": 7, "odd": 2**200}}
    facts: dict[str, Json] = {**EXAMPLE, "call": call}
    started = process_time()
    assert all(evaluate(facts) is True for _ in range(50))
    assert process_time() - started < MAX_SECONDS
    whole = compile_expression("size(call.arguments) == 2 && call.arguments.amount <= 500")
    assert whole({**EXAMPLE, "call": {"protocol": "mcp", "arguments": {"amount": 7, "b": 1}}})
