"""Values of one fact, so many that conditions on it tell no others apart.

Rules of this file:
- Rather one value too many than one too few: values that nothing tells apart become one later.
- A text that is not listed differs from others only by the longest beginning and the longest end
  that it has of those asked for, and by whether it goes up as a path does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import pairwise, product
from typing import NamedTuple

from deputize.core.case import Fact, Source
from deputize.core.comparisons import Compares, Exists, Operator, Scalar
from deputize.core.model import Assurance, DelegationStyle, Json
from deputize.core.model import Kind as IdentityKind

FactCondition = Compares | Exists

_FILLERS = ("other", "elsewhere", "x", "q", "7")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789" + "".join(map(chr, range(0x4E00, 0x9FA5)))
_TEXT, _NUMBER, _BOOLEAN, _LIST, _OBJECT = "text", "number", "boolean", "list", "object"
_ABSENT, _UNREADABLE = "absent", "unreadable"
_ANY_JSON = frozenset({_TEXT, _NUMBER, _BOOLEAN, _LIST, _OBJECT, _ABSENT})
_KINDS = {
    Source.CLAIM: _ANY_JSON,
    Source.ARGUMENT: _ANY_JSON | {_UNREADABLE},
    Source.HEADER: frozenset({_TEXT, _ABSENT, _UNREADABLE}),
    Source.PATH: frozenset({_TEXT, _UNREADABLE}),
    Source.PEER: frozenset({_TEXT, _ABSENT}),
    Source.PRINCIPAL: frozenset({_TEXT}),
}
_CHAIN_KINDS = {
    "actors": frozenset({_LIST}),
    "depth": frozenset({_NUMBER}),
    "origin": frozenset({_TEXT, _ABSENT}),
}
_LISTED = {
    (Source.PEER, "assurance"): tuple(each.value for each in Assurance),
    (Source.PRINCIPAL, "kind"): tuple(each.value for each in IdentityKind),
    (Source.CHAIN, "style"): tuple(each.value for each in DelegationStyle),
    (Source.TOKEN, "binding"): ("none", "certificate", "key"),
}
"""Facts that have one of a few values."""


class Example(NamedTuple):
    """A value, and how it is told. One that is not readable stands for all that fail to be read."""

    value: Json
    text: str
    is_readable: bool = True


class Candidates(NamedTuple):
    """Values that stand alone, and those that may be elements of a list; None for no lists."""

    alone: list[Example]
    elements: list[Json] | None


def find_values(fact: Fact, conditions: Sequence[FactCondition]) -> Candidates:
    """Values of each sort that the conditions can tell apart.

    Lists are left to the caller, who can see which of them differ.
    """
    listed = _LISTED.get((fact.source, fact.name[0]))
    if listed is not None:
        return Candidates([Example(value, value) for value in listed], None)
    kinds = _kinds(fact)
    compared = [each for each in conditions if isinstance(each, Compares)]
    values = [value for each in compared for value in each.values]
    texts = sorted({value for value in values if isinstance(value, str)})
    numbers = sorted({v for v in values if isinstance(v, int | float) and not isinstance(v, bool)})
    scalars: list[Example] = []
    further: list[Example] = []
    if kinds & {_NUMBER, _LIST}:
        scalars += (Example(value, show(value)) for value in numbers)
        further += _between(numbers)
    if kinds & {_TEXT, _LIST}:
        scalars += (Example(value, value) for value in texts)
        further += _other_texts(texts, compared)
    if kinds & {_BOOLEAN, _LIST}:
        further += (Example(value, show(value)) for value in (True, False))
    elements = [each.value for each in (*scalars, *further)]
    alone = [Example(None, "absent")] if _ABSENT in kinds else []
    alone += (each for each in (*scalars, *further) if _kind(each.value) in kinds)
    if _OBJECT in kinds:
        alone.append(Example({}, "an object"))
        elements.append({})
    if _UNREADABLE in kinds:
        alone.append(Example(None, "what cannot be read", is_readable=False))
    return Candidates(alone, elements if _LIST in kinds else None)


def show(value: Json) -> str:
    """A value for people."""
    if isinstance(value, list):
        return f"[{', '.join(map(show, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "an object" if isinstance(value, dict) else str(value)


def spelled(text: str) -> list[Json]:
    """The text, and the number or boolean that is told as it (`core/matching.py`)."""
    if text in {"true", "false"}:
        return [text, text == "true"]
    if text.removeprefix("-").isdecimal() and text.isascii():
        return [text, int(text)]
    return [text]


def _kinds(fact: Fact) -> frozenset[str]:
    if fact.source is Source.TOKEN:
        return frozenset({_NUMBER})
    if fact.source is Source.CHAIN:
        return _CHAIN_KINDS[fact.name[0]]
    if (fact.source, fact.name[0]) == (Source.PEER, "trustDomain"):
        return frozenset({_TEXT})
    return _KINDS[fact.source]


def _kind(value: Json) -> str:
    if isinstance(value, bool):
        return _BOOLEAN
    return _NUMBER if isinstance(value, int | float) else _TEXT


def _between(numbers: Sequence[int | float]) -> list[Example]:
    """A number in each gap; of two that have none between them there is no gap."""
    if not numbers:
        return [Example(1, "a number")]
    found = [Example(math.ceil(numbers[0]) - 1, f"less than {numbers[0]}")]
    for low, high in pairwise(numbers):
        middle = (Fraction(low) + Fraction(high)) / 2
        for value in (math.floor(middle), math.ceil(middle), float(middle)):
            if low < value < high:
                found.append(Example(value, f"between {low} and {high}"))
                break
    found.append(Example(math.floor(numbers[-1]) + 1, f"more than {numbers[-1]}"))
    return found


def _other_texts(listed: Sequence[str], conditions: Iterable[Compares]) -> list[Example]:
    """A text that is not listed for each beginning and end, and one that goes up."""
    beginnings, ends = {""}, {""}
    for each in conditions:
        given = {value for value in each.values if isinstance(value, str)}
        if each.operator is Operator.STARTS_WITH:
            beginnings |= given
        elif each.operator is Operator.ENDS_WITH:
            ends |= given
    is_path = any("/" in text or "\\" in text for text in beginnings)
    fresh = next(char for char in _ALPHABET if not any(char in text for text in listed))
    found: list[Example] = []
    for begin, end in product(sorted(beginnings), sorted(ends)):
        for up in ("", "/../") if is_path else ("",):
            for filler in (*_FILLERS, fresh):
                text = f"{begin}{filler}{up}{filler if up else ''}{end}"
                others = (beginnings, begin, str.startswith), (ends, end, str.endswith)
                if text not in listed and all(_is_longest(text, *each) for each in others):
                    found.append(Example(text, f"like {text}"))
                    break
    return found


def _is_longest(
    text: str, known: Iterable[str], own: str, test: Callable[[str, str], bool]
) -> bool:
    matched = [each for each in known if test(text, each)]
    return max(map(len, matched)) == len(own)


def typed(value: Scalar) -> tuple[bool, Scalar]:
    """Python has 1, 1.0 and True for the same; the two numbers are, the other is not."""
    return isinstance(value, bool), value
