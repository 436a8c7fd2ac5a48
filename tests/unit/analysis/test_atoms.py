"""Atoms: each set of patterns that can match together has its example, and no other."""

from __future__ import annotations

import itertools

import pytest

from deputize.analysis import call_atoms, segment_atoms
from deputize.analysis.boxes import UndecidedError
from deputize.analysis.call_atoms import CallAtoms
from deputize.analysis.dimension import Dimension, Named, bits
from deputize.analysis.segment_atoms import AGENTS, PATHS, SegmentPattern, find_atoms
from deputize.analysis.text_atoms import find_hosts, find_texts, text_masks
from deputize.core import mcp
from deputize.core.call_patterns import CallPattern, text_matches
from deputize.core.matching import host_matches, parse_agent_pattern, parse_path_pattern
from deputize.core.model import Call, Protocol
from deputize.core.paths import parse_path
from deputize.core.spiffe import parse_spiffe_id

PATH_TEXTS = (
    "/", "/a", "/a/", "/a/{id}", "/a/{id}/", "/{x}", "/{x}/b", "/a/b", "/**", "/a/**",
    "/{x}/**", "/a/{id}/**", "/a/b/c", "/{x}/{y}/c",
)  # fmt: skip
AGENT_TEXTS = ("td/a", "td/*", "td/**", "td/a/*", "td/a/**", "td/*/b", "td2/a", "td2/*/**")


def test_paths_are_told_apart_as_their_patterns_do() -> None:
    patterns = [parse_path_pattern(text) for text in PATH_TEXTS]
    atoms = find_atoms([SegmentPattern(each.segments, each.has_tail) for each in patterns], PATHS)
    for example, matched in atoms:
        path = parse_path("/" + "/".join(example))
        assert matched == {at for at, each in enumerate(patterns) if each.matches(path)}
    found = {matched for _, matched in atoms}
    assert len(found) == len(atoms)
    for size in range(1, 5):
        for path in itertools.product(("a", "b", "c", "d", ""), repeat=size):
            if "" not in path[:-1]:
                matched = frozenset(at for at, each in enumerate(patterns) if each.matches(path))
                assert matched in found or not matched


def test_agents_are_told_apart_as_their_patterns_do() -> None:
    patterns = [parse_agent_pattern(f"spiffe://{text}") for text in AGENT_TEXTS]
    atoms = find_atoms([SegmentPattern(each.segments, each.has_tail) for each in patterns], AGENTS)
    found = {matched for _, matched in atoms}
    for example, matched in atoms:
        agent = parse_spiffe_id("spiffe://" + "/".join(example))
        assert matched == {at for at, each in enumerate(patterns) if each.matches(agent)}
    for domain, size in itertools.product(("td", "td2", "td3"), range(1, 5)):
        for segments in itertools.product(("a", "b", "c"), repeat=size):
            agent = parse_spiffe_id("/".join((f"spiffe://{domain}", *segments)))
            matched = frozenset(at for at, each in enumerate(patterns) if each.matches(agent))
            assert matched in found or not matched


def test_too_many_overlaps_are_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_atoms, "MAX_ATOMS", 3)
    patterns = [SegmentPattern((text,), has_tail=False) for text in "abcd"]
    with pytest.raises(UndecidedError):
        find_atoms(patterns, PATHS)


def test_hosts_are_told_apart_as_their_patterns_do() -> None:
    patterns = ("*", "*.t", "a.t", "b.t", "*.b.t", "elsewhere", "[::1]")
    found = find_hosts(patterns)
    for host, matched in found.items():
        assert set(matched) == {each for each in patterns if host_matches(each, host)}
    seen = {frozenset(matched) for matched in found.values()}
    for host in ("a.t", "b.t", "c.t", "a.b.t", "t", "x", "elsewhere", "[::1]", "a.a.b.t"):
        assert frozenset(each for each in patterns if host_matches(each, host)) in seen


def test_without_a_star_no_other_host_is_thought_of() -> None:
    assert set(find_hosts(["a.t"])) == {"a.t"}


def test_texts_are_told_apart_by_their_beginnings() -> None:
    patterns = ("get", "get*", "get_a", "get_*", "o*", "other", "*")
    examples = find_texts(patterns)
    masks = text_masks(patterns, examples)
    found = set()
    for at, example in enumerate(examples):
        matched = {each for each in patterns if text_matches(each, example)}
        assert matched == {each for each in patterns if masks[each] >> at & 1}
        found.add(frozenset(matched))
    for text in ("get", "geta", "get_a", "get_b", "oh", "other", "others", "put"):
        assert frozenset(each for each in patterns if text_matches(each, text)) in found


def test_where_no_good_text_is_found_a_bad_one_is_kept() -> None:
    assert find_texts(["x*"], lambda text: not text.startswith("x"))[-1].startswith("x")


def test_every_sort_of_mcp_call_is_there() -> None:
    patterns = (
        CallPattern(Protocol.MCP, ("tools/call",), ("get*",)),
        CallPattern(Protocol.MCP, ("tools/*",), ()),
        CallPattern(Protocol.MCP, ("resources/read",), ("file:///a/*",)),
        CallPattern(Protocol.MCP, ("*",), ("get_a",)),
    )
    atoms = CallAtoms(patterns, frozenset({Protocol.MCP}), ())
    assert atoms.listed[0] == call_atoms.NO_CALL
    seen = set()
    assert atoms.listed[1] == call_atoms.OTHER_BODY
    for at, atom in enumerate(atoms.listed[2:], 2):
        assert atom.protocol is Protocol.MCP
        assert (atom.method in mcp.NAMED_METHODS) == bool(atom.name)
        call = Call(atom.protocol, atom.method, atom.name, None, None)
        matched = {number for number, each in enumerate(patterns) if each.matches(call)}
        assert matched == {
            number for number, each in enumerate(patterns) if atoms.mask(each) >> at & 1
        }
        seen.add(frozenset(matched))
    for method, name in (
        ("tools/call", "get"), ("tools/call", "get_a"), ("tools/call", "put"), ("tools/list", ""),
        ("prompts/get", "get_a"), ("resources/read", "file:///a/b"), ("initialize", ""),
    ):  # fmt: skip
        call = Call(Protocol.MCP, method, name, None, None)
        assert frozenset(n for n, each in enumerate(patterns) if each.matches(call)) in seen


def test_a_mask_is_told_with_few_words() -> None:
    names = [Named("all", 0b1111), Named("a", 0b1), Named("b", 0b10), Named("ab", 0b11)]
    dimension = Dimension("abcd", {}, names, "abcd")
    assert dimension.tell(0b1111) == ("all",)
    assert dimension.tell(0b0011) == ("ab",)
    assert dimension.tell(0b1101) == ("all except b",)
    assert dimension.tell(0b1011) == ("all except what is like c",)
    assert Dimension("abcd", {}, names[1:], "abcd").tell(0b0101) == ("a", "like c")
    assert bits(0b1010) == [1, 3]
