"""No expression that is allowed becomes long by what a caller sends, and none ends the process."""

from __future__ import annotations

from contextlib import suppress
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deputize.config.cel import MAX_LENGTH, compile_expression
from deputize.config.cel_bounds import MAX_JOINS, MAX_READS
from deputize.core.case import EvaluationError
from deputize.core.model import Json
from tests.harness.characters import ODD_CHARACTERS
from tests.harness.expressions import asked, gives, refused

SIZE = 64_000
MAX_SECONDS = 1.0
LIST = "call.arguments.value"

NESTED = {
    "parentheses": ("(", "true", ")"),
    "lists": ("[", "", "]"),
    "maps": ("{1:", "1", "}"),
    "negations": ("!", "true", ""),
    "signs": ("-", "1", " == 1"),
    "members": (LIST, "", ".a"),
    "indices": (LIST, "", "[0]"),
    "choices": ("true ? true : ", "true", ""),
    "conversions": ("dyn(", "true", ")"),
    "loops": ("[1].all(x, ", "true", ")"),
    "presence": ("has(", "call.arguments.a", ")"),
    "messages": ("a{b:", "1", "}"),
    "loops after each other": ("[1]", "", ".map(x, x)"),
    "sums": ("1", " == 1", "+ 1"),
    "never closed": ("(", "", ""),
    "strings": ("''' ", "", ""),
    "unknown characters": ("$ ", "", ""),
}


@pytest.mark.parametrize("shape", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("depth", [10, 33, 100, 1000, MAX_LENGTH, 1_000_000])
def test_no_depth_ends_the_process(shape: tuple[str, str, str], depth: int) -> None:
    begin, middle, end = shape
    started = process_time()
    with suppress(ValueError):
        gives(begin * depth + middle + end * depth)
    assert process_time() - started < MAX_SECONDS


@pytest.mark.parametrize(
    "source",
    [
        f"{LIST}.all(x, {LIST}.all(y, x == y))",
        f"{LIST}.all(x, x.all(y, y > 0))",
        f"{LIST}.exists(x, [1].exists_one(y, y == x))",
        f"{LIST}.map(x, x) == []",
        f"{LIST}.filter(x, x > 1) == []",
        f"{LIST}.map(x, x > 1, x) == []",
        f"{LIST}.map(x, {LIST}) == {LIST}.map(x, {LIST})",
        f"{LIST}.all(x, x in {LIST})",
        f"{LIST}.all(x, call.arguments[x] == 1)",
        f"{LIST}.all(x, has(call.arguments.other))",
        f"{LIST}.all(x, x == call.name)",
        f"{LIST}.all(x, x == request.path)",
        f'{LIST}.all(x, x + x == "")',
        f'{LIST}.all(x, x + "a" == "a")',
        f"{LIST}.all(x, [x] + [x] == [])",
        f"{LIST}.all(x, {' || '.join(['x in scopes'] * (MAX_READS + 1))})",
        f"{' + '.join([LIST] * (MAX_JOINS + 2))} == ''",
        f"({' + '.join([LIST] * 6)}) + ({' + '.join([LIST] * 6)}) == ''",
        f"request.path.matches({LIST})",
        f'request.path.matches("a" + {LIST})',
        f"matches(request.path, {LIST})",
        f"request.path.contains({LIST})",
        f"now.getHours({LIST}) == 1",
        f"{LIST}.all(call, call.name == 1)",
        f"{LIST}.all(scopes, true)",
        f"{LIST}.all(i, x, true)",
        "google.protobuf.Struct{} == {}",
        "google.protobuf.Int64Value{value: 1} == 1",
        'bytes("a") == b"a"',
        "cel.bind(x, 1, x == 1)",
        '["a"].join() == "a"',
        "x" * (MAX_LENGTH + 1),
    ],
)
def test_what_grows_faster_than_a_call_is_refused_at_load(source: str) -> None:
    assert refused(source)


def test_loops_after_each_other_are_allowed() -> None:
    source = f"{LIST}.all(x, x > 0) && {LIST}.exists(x, x in scopes || x == 1)"
    assert gives(source, asked([1, 2])) is True


ALLOWED = {
    "a loop": f"{LIST}.all(x, x == x)",
    "a search in each round": f"{LIST}.exists(x, x in principal.claims.groups && x in scopes)",
    "a pattern in each round": f'{LIST}.all(x, x.matches("(a|aa)*b$"))',
    "a member of each": f"{LIST}.all(x, x.a > 0)",
    "patterns": " || ".join([f'{LIST}.matches("(a|aa)*(x+x+)+b$")'] * 60),
    "a wide pattern": f'{LIST}.matches("[ab]{{500}}c")',
    "searches": " || ".join([f'{LIST}.contains("aaaaaaaab")'] * 60),
    "comparisons": " || ".join([f"{LIST} != {LIST}"] * 70),
    "lists of it": f"[{LIST}, {LIST}, {LIST}] == [{LIST}, {LIST}, {LIST}]",
    "members": " || ".join([f"'z' in {LIST}"] * 70),
    "joins": f"{' + '.join([LIST] * (MAX_JOINS + 1))} == ''",
    "size": f"size({LIST}) == 1",
    "conversions": f"string({LIST}) == '' || int({LIST}) == 1 || timestamp({LIST}) == now",
}
VALUES: dict[str, Json] = {
    "a long text": "a" * SIZE,
    "another alphabet": "é" * (SIZE // 2),
    "many numbers": [1] * (SIZE // 2),
    "as many as are looked at": [1] * 9_990,
    "many texts": ["a" * 6] * 8_000,
    "many objects": [{"a": 1}] * (SIZE // 8),
    "many members": {f"m{number}": number for number in range(SIZE // 10)},
    "members of long names": {"a" * (SIZE // 2): 1, "b" * (SIZE // 2): 1},
    "digits": "9" * SIZE,
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("source", ALLOWED.values(), ids=ALLOWED)
def test_no_call_makes_an_allowed_expression_long(source: str, value: Json) -> None:
    evaluate = compile_expression(source)
    started = process_time()
    with suppress(EvaluationError):
        assert evaluate(asked(value)) in {True, False}
    assert process_time() - started < MAX_SECONDS


def test_more_rounds_than_ten_thousand_raise() -> None:
    for loop in (f"{LIST}.all(x, x > 0)", f"!{LIST}.exists(x, x < 0)"):
        assert gives(loop, asked([1] * 9_990)) is True
        with pytest.raises(EvaluationError):
            gives(loop, asked([1] * 10_001))
        with pytest.raises(EvaluationError):
            gives(f"{loop} && {loop}", asked([1] * 5_001))


OPERATORS = ("+", "-", "*", "/", "%", "==", "<", "in", "&&", "||")
atoms = st.sampled_from([
    *("true", "1", "1.5", "2u", "null", "'a'", "b'a'", "x", "agent", "scopes", "now", "call.name"),
    *("call.arguments", LIST, "principal.claims", "request.headers.a", "{}", "[]", "[1]"),
])  # fmt: skip
sources = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(OPERATORS), inner),
        st.builds("{}.{}(x, {})".format, inner, st.sampled_from(["all", "exists", "map"]), inner),
        st.builds("{}.{}({})".format, inner, st.sampled_from(["matches", "contains"]), inner),
        st.builds("{}({})".format, st.sampled_from(["size", "int", "dyn", "has", "!", "-"]), inner),
        st.builds("({} ? {} : {})".format, inner, inner, inner),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("{}.a".format, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{{}: {}}}".format, inner, inner),
    ),
    max_leaves=8,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(sources, json_values)
def test_every_text_is_an_expression_or_refused_and_answers_or_raises(
    source: str, value: Json
) -> None:
    try:
        evaluate = compile_expression(source)
    except ValueError:
        return
    with suppress(EvaluationError):
        assert evaluate(asked(value)) in {True, False}


@settings(max_examples=300, deadline=None)
@given(
    st.text() | st.sampled_from(list(ODD_CHARACTERS.values())).map(lambda odd: f"{LIST} == '{odd}'")
)
def test_any_text_is_refused_or_compiled(source: str) -> None:
    with suppress(ValueError):
        compile_expression(source)
