"""Atoms of facts: each value there can be has one, of which all conditions say the same."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from deputize.analysis import condition_keys, value_atoms
from deputize.analysis.fact_atoms import FactAtoms, say
from deputize.analysis.fact_values import Example, FactCondition, show, spelled
from deputize.analysis.facts import Facts
from deputize.analysis.policy_set import PolicySet
from deputize.analysis.value_atoms import TooManyError
from deputize.core.case import Fact, Source
from deputize.core.comparisons import Compares, Exists, Operator, Scalar
from deputize.core.conditions import Condition
from deputize.core.matching import parse_path_pattern
from deputize.core.model import Json, Protocol, Resource
from tests.harness.small_policies import Route
from tests.harness.world import make_principal, make_rule

CLAIM = Fact(Source.CLAIM, ("c",))
HEADER = Fact(Source.HEADER, ("h",))
ARGUMENT = Fact(Source.ARGUMENT, ("a", "b"))


def compares(operator: str, *values: Scalar, fact: Fact = CLAIM) -> Compares:
    return Compares(fact, Operator(operator), values)


def atoms(fact: Fact, *conditions: FactCondition, is_tied: bool = False) -> FactAtoms:
    asked = [replace(each, fact=fact) for each in conditions]
    return FactAtoms(fact, {say(each): each for each in asked}, is_tied=is_tied)


def policies(*conditions: Condition, protocol: Protocol | None = None) -> PolicySet:
    principals = [make_principal("https://one.example", claims={"groups": ["a"]})]
    rule = make_rule("p/r", principals=principals, conditions=conditions)
    routes = (Route("a.t", parse_path_pattern("/a"), Resource(protocol, None, 0, "")),)
    return PolicySet((rule,), routes if protocol else ())


MIXED = (
    compares("oneOf", 1, 2),
    compares("noneOf", 2, 3.5),
    compares("atLeast", 2),
    compares("atMost", 2.5),
    compares("equals", "abc"),
    compares("startsWith", "ab", "x"),
    compares("startsWith", "a/"),
    compares("endsWith", "bc", "c"),
    compares("hasAny", "abc", "q"),
    compares("hasOnly", "abc", "ab"),
    compares("hasAny", 1),
    compares("equals", True),  # noqa: FBT003 - a value
    Exists(CLAIM, is_there=True),
)


@pytest.mark.parametrize("fact", [CLAIM, HEADER, ARGUMENT])
@pytest.mark.parametrize("step", range(1, 7))
def test_every_value_has_an_atom(fact: Fact, step: int) -> None:
    found = atoms(fact, *MIXED[::step], *MIXED[1::step])
    known = {found.signature(example) for example in found.examples}
    assert len(known) == len(found.examples)
    texts: list[Json] = [
        "".join(chars) for size in range(5) for chars in itertools.product("abcx/.", repeat=size)
    ]
    values: list[Json] = [*texts, "a/../b", "a,b", "q"]
    if fact is not HEADER:
        elements: list[Json] = ["abc", "ab", "q", "z", 1, 2, True, {}, []]
        values += [None, -1, 0, 1, 1.5, 2, 2.25, 2.5, 3, 3.5, 4, True, False, {}]
        values += [
            list(chosen) for size in range(4) for chosen in itertools.product(elements, repeat=size)
        ]
    for value in values:
        assert found.signature(Example(value, "")) in known, value


def test_masks_are_what_conditions_say() -> None:
    found = atoms(CLAIM, *MIXED)
    for condition in MIXED:
        answers = found.answers(say(condition))
        assert answers is not None
        assert answers.holds | answers.fails | answers.unclear == found.full
        assert not answers.holds & answers.fails
        assert found.tell(answers.holds) == condition.text
    assert found.answers("unheard-of") is None


def test_a_header_is_a_text_that_can_be_read() -> None:
    found = atoms(HEADER, compares("equals", "a,b"))
    assert [each.value for each in found.examples if each.is_readable and each.value == "a,b"] == []
    assert not found.examples[-1].is_readable


def test_facts_with_few_values_have_those() -> None:
    binding = Fact(Source.TOKEN, ("binding",))
    found = atoms(binding, compares("noneOf", "none"), compares("equals", "stone"))
    assert {each.value for each in found.examples} == {"none", "certificate"}
    (domain,) = atoms(Fact(Source.PEER, ("trustDomain",)), Exists(CLAIM, is_there=True)).examples
    assert domain.value is not None


def test_numbers_next_to_each_other_have_none_between() -> None:
    low, high = 2.0**60, 2.0**60 + 256
    found = atoms(CLAIM, compares("atLeast", low), compares("atLeast", high))
    numbers = [each.value for each in found.examples if isinstance(each.value, int | float)]
    assert low in numbers
    assert high in numbers
    one = atoms(CLAIM, compares("equals", 2**53), compares("equals", 2**53 + 1))
    assert len(one.examples) == 4


def test_what_is_told_is_short() -> None:
    found = atoms(CLAIM, compares("atMost", 5), compares("atMost", 9))
    five, nine = (found.answers(say(compares("atMost", number))) for number in (5, 9))
    assert five is not None
    assert nine is not None
    assert found.tell(nine.holds & ~five.holds) == "claim c atMost 9, but not atMost 5"
    assert found.tell(five.fails) == "does not hold: claim c atMost 5"
    assert found.tell(five.holds | five.unclear).startswith("holds or cannot be evaluated: ")
    assert found.tell(found.has([])) == "does not hold: claim c atMost 9"
    exists = Exists(CLAIM, is_there=True)
    other = atoms(CLAIM, compares("equals", "a"), compares("equals", "b"), exists)
    few = other.has([]) | other.has(["c"])
    assert other.tell(few).startswith("claim c is absent or ")
    assert show([1, True, {}]) == "[1, true, an object]"


def test_given_values_are_read_as_text_and_as_what_they_spell() -> None:
    found = atoms(CLAIM, compares("equals", 1), compares("hasAny", "1"))
    assert found.has(["1"]).bit_count() == 3
    assert spelled("-5") == ["-5", -5]
    assert spelled("true") == ["true", True]
    assert found.has(["1"] * 12) == found.full


def test_too_many_values_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [compares("hasAny", str(number)) for number in range(12)]
    with pytest.raises(TooManyError):
        atoms(CLAIM, *many)
    monkeypatch.setattr(value_atoms, "MAX_STEPS", 3)
    with pytest.raises(TooManyError):
        atoms(CLAIM, *MIXED)


def test_of_too_many_conditions_those_that_changed_are_looked_into() -> None:
    many = [compares("hasAny", str(number)) for number in range(12)]
    old = policies(*many, compares("hasAny", "x", "y"))
    new = policies(*many, compares("hasAny", "x"))
    found = Facts([old, new]).find(CLAIM)
    assert found is not None
    assert found.is_tied
    assert found.answers(say(many[0])) is None
    assert found.answers(say(compares("hasAny", "x"))) is not None
    assert Facts([policies(*many)]).find(CLAIM) is None
    assert Facts([policies(*many), policies()]).find(CLAIM) is None


@pytest.mark.parametrize(
    ("name", "is_tied"),
    [
        ((Source.CLAIM, "region"), False),
        ((Source.CLAIM, "sub"), True),
        ((Source.CLAIM, "groups"), True),
        ((Source.HEADER, "x-region"), False),
        ((Source.HEADER, "host"), True),
        ((Source.HEADER, "mcp-method"), True),
        ((Source.ARGUMENT, "amount"), False),
        ((Source.PRINCIPAL, "kind"), True),
        ((Source.TOKEN, "ageSeconds"), False),
    ],
)
def test_what_goes_with_something_else_is_tied(name: tuple[Source, str], is_tied: bool) -> None:  # noqa: FBT001
    fact = Fact(name[0], (name[1],))
    found = Facts([policies(Exists(fact, is_there=True))]).find(fact)
    assert found is not None
    assert found.is_tied == is_tied


def test_arguments_that_may_not_be_read_or_lie_in_each_other_are_tied() -> None:
    whole = Exists(Fact(Source.ARGUMENT, ("A_b",)), is_there=True)
    part = Exists(Fact(Source.ARGUMENT, ("ab", "c")), is_there=True)
    both = Facts([policies(whole, part)]).find(whole.fact)
    unread = Facts([policies(whole, protocol=Protocol.GRPC)]).find(whole.fact)
    assert both is not None
    assert both.is_tied
    assert unread is not None
    assert unread.is_tied


@pytest.mark.parametrize(
    ("source", "normal"),
    [
        (" a  ==\n'b  c' ", "a == 'b  c'"),
        ('a == """x\n  y"""  &&  b', 'a == """x\n  y""" && b'),
        ("a  // b", "a  // b"),
        ("a == 'it\\'s'  ", "a == 'it\\'s'  "),
        ("a == 'https://x'  && b", "a == 'https://x' && b"),
        ("a  == 'b", "a  == 'b"),
    ],
)
def test_white_space_outside_of_texts_says_nothing(source: str, normal: str) -> None:
    assert condition_keys.normalize_source(source) == normal
