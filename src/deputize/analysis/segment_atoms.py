"""All that agent or path patterns can tell apart: one example for each set of patterns that match.

Rules of this file:
- A tree of patterns is walked with every segment that one of them names, and with one that none
  does. Two texts that the same patterns match are never told apart.
- What no pattern matches is left out: nothing can be allowed there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple

from deputize.analysis.boxes import UndecidedError
from deputize.core.matching import ANY

MAX_ATOMS = 50_000
_MAX_STATES = 200_000


class SegmentPattern(NamedTuple):
    """A pattern of either kind."""

    segments: tuple[str, ...]
    has_tail: bool


class SegmentRules(NamedTuple):
    """How the two kinds of pattern differ.

    `tail_is_short`: the rest may be empty. `may_end_empty`: the last segment may be empty, and no
    other. `head` is the number of first segments that are never any text.
    """

    tail_is_short: bool
    may_end_empty: bool
    head: int


AGENTS = SegmentRules(tail_is_short=False, may_end_empty=False, head=1)
PATHS = SegmentRules(tail_is_short=True, may_end_empty=True, head=0)

Atom = tuple[tuple[str, ...], frozenset[int]]
"""An example, and the numbers of the patterns that match it."""


class _Node:
    __slots__ = ("any", "exact", "literal", "tail")

    def __init__(self) -> None:
        self.literal: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.exact: list[int] = []
        self.tail: list[int] = []


class _State(NamedTuple):
    example: tuple[str, ...]
    nodes: tuple[_Node, ...]
    tails: frozenset[int]


def find_atoms(
    patterns: Iterable[SegmentPattern],
    rules: SegmentRules,
    sort: Callable[[tuple[str, ...]], Hashable] = lambda _example: None,
) -> list[Atom]:
    """Every set of patterns that match together, with an example of each sort there is.

    Raises:
        UndecidedError: there are too many.
    """
    root, fresh = _plant(patterns)
    found: dict[tuple[frozenset[int], Hashable], tuple[str, ...]] = {}
    seen: set[tuple[frozenset[int], frozenset[int]]] = set()
    waiting = [_State((), (root,), frozenset())]
    while waiting:
        following: list[_State] = []
        for state in waiting:
            for after in _steps(state, rules, fresh):
                matched = _matched(after, rules)
                if matched and len(after.example) > rules.head:
                    found.setdefault((matched, sort(after.example)), after.example)
                key = (frozenset(map(id, after.nodes)), after.tails)
                if after.nodes and after.example[-1] and key not in seen:
                    seen.add(key)
                    following.append(after)
        if len(found) > MAX_ATOMS or len(seen) > _MAX_STATES:
            raise UndecidedError("the patterns overlap in too many ways")
        waiting = following
    return [(example, matched) for (matched, _), example in found.items()]


def _plant(patterns: Iterable[SegmentPattern]) -> tuple[_Node, str]:
    root = _Node()
    named: set[str] = set()
    for number, pattern in enumerate(patterns):
        node = root
        for segment in pattern.segments:
            if segment == ANY:
                node.any = node.any or _Node()
                node = node.any
            else:
                named.add(segment)
                node = node.literal.setdefault(segment, _Node())
        (node.tail if pattern.has_tail else node.exact).append(number)
    return root, fresh_text("other", named)


def fresh_text(stem: str, taken: Iterable[str]) -> str:
    """A text that is none of those taken."""
    known = set(taken)
    text, number = stem, 1
    while text in known:
        number += 1
        text = f"{stem}{number}"
    return text


def _steps(state: _State, rules: SegmentRules, fresh: str) -> Iterable[_State]:
    tails = state.tails.union(*(node.tail for node in state.nodes))
    texts = {text for node in state.nodes for text in node.literal}
    if len(state.example) >= rules.head:
        texts.add(fresh)
        if rules.may_end_empty:
            texts.add("")
    # The fresh one first: of several ways to one state it is the one least odd.
    for text in sorted(texts, key=lambda text: (text != fresh, text)):
        reached = [
            child
            for node in state.nodes
            for child in (node.literal.get(text), node.any if text else None)
            if child is not None
        ]
        yield _State((*state.example, text), tuple(reached), tails)


def _matched(state: _State, rules: SegmentRules) -> frozenset[int]:
    ends = [node.exact for node in state.nodes]
    if rules.tail_is_short:
        ends += [node.tail for node in state.nodes]
    return state.tails.union(*ends)
