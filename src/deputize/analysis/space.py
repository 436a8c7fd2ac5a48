"""The space of all requests, as far as some policies and a question can tell them apart.

Rules of this file:
- One space for all policies that are compared: a box means the same in each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import chain as concat
from itertools import count, product
from typing import Final

from deputize.analysis.boxes import Box, Mask, Work
from deputize.analysis.call_atoms import CallAtom, CallAtoms, further_paths, path_sort
from deputize.analysis.counts import Counts
from deputize.analysis.dimension import Dimension, Named
from deputize.analysis.facts import Facts
from deputize.analysis.policy_set import NOTHING, Asked, PolicySet, call_patterns
from deputize.analysis.segment_atoms import (
    AGENTS,
    PATHS,
    SegmentPattern,
    SegmentRules,
    find_atoms,
    fresh_text,
)
from deputize.analysis.text_atoms import find_hosts
from deputize.analysis.variables import Variables
from deputize.core.call_patterns import CallPattern
from deputize.core.matching import ANY, AgentPattern, PathPattern, PrincipalPattern
from deputize.core.model import Binding, Protocol

AGENT, PRINCIPAL, HOST, METHOD, PATH, CALL, UPGRADE, DEPTH = range(8)
MAX_WORK = 20_000_000
_METHODS_OF_CALLS = ("POST", "GET", "DELETE")
_OTHER_METHOD = "OTHER"

PrincipalAtom = tuple[str, str]
"""Issuer and subject."""


class Space:
    """The dimensions, and what is counted beside them."""

    def __init__(self, sets: Sequence[PolicySet], asked: Asked = NOTHING) -> None:
        """Raises UndecidedError: there are too many atoms."""
        rules = [rule for policies in sets for rule in policies.rules]
        routes = [route for policies in sets for route in policies.routes]
        calls = call_patterns(sets, asked)
        protocols = {each.resource.protocol for each in routes}
        if any(each.resource.binding is Binding.GRPC for each in routes):
            protocols.add(Protocol.GRPC)
        self.work: Final = Work(MAX_WORK)
        self.facts: Final = Facts(sets)
        self.variables: Final = _variables(sets, self.facts)
        self.agents: Final = _agents(sets, asked)
        self.principals: Final = _principals(sets, asked)
        hosts = (*concat.from_iterable(rule.hosts for rule in rules), *asked.hosts)
        self.hosts: Final = _hosts((*hosts, *(route.host for route in routes)))
        methods = (*concat.from_iterable(rule.methods for rule in rules), *asked.methods)
        self.methods: Final = _methods(methods, _METHODS_OF_CALLS if protocols - {None} else ())
        paths = [path for rule in rules for path in rule.paths] + list(asked.paths)
        paths += [route.path for route in routes]
        further = further_paths(calls, routes)
        self.paths: Final = _paths(paths, further, path_sort(calls, routes))
        self.call_atoms: Final = CallAtoms(calls, protocols, self.paths.examples)
        self.calls: Final = _calls(self.call_atoms, calls)
        self.upgrades: Final = _upgrades(sets)
        self.depths: Final = _depths(sets)
        self.full: Final = (
            self.agents.full,
            self.principals.full,
            self.hosts.full,
            self.methods.full,
            self.paths.full,
            self.calls.full,
            self.upgrades.full,
            self.depths.full,
        )

    def box(self, masks: Mapping[int, Mask], sparse: Mapping[int, Mask] | None = None) -> Box:
        """A box that is full in every dimension that is not named."""
        dense = tuple(masks.get(at, full) for at, full in enumerate(self.full))
        return Box(dense, sparse or {})

    def path_mask(self, patterns: Iterable[PathPattern]) -> Mask:
        """The paths that one of the patterns covers."""
        return self.paths.mask((each.segments, each.has_tail) for each in patterns)

    def agent_mask(self, patterns: Iterable[AgentPattern]) -> Mask:
        """The agents that one of the patterns covers."""
        return self.agents.mask((each.segments, each.has_tail) for each in patterns)

    def principal_mask(self, pattern: PrincipalPattern) -> Mask:
        """The issuers and subjects that the pattern covers, whatever their claims."""
        subjects: Iterable[str] = pattern.subjects or (ANY,)
        keys = [(pattern.issuer, bool(pattern.subjects), subject) for subject in subjects]
        return self.principals.mask(keys)


def path_text(segments: Sequence[str]) -> str:
    """A path as people read it."""
    return "/" + "/".join(segments)


def agent_text(segments: Sequence[str]) -> str:
    """A SPIFFE ID from trust domain and path."""
    return "spiffe://" + "/".join(segments)


def call_text(atom: CallAtom) -> str:
    """A call as people read it."""
    if atom.protocol is None:
        return atom.method or "no call"
    return f"{atom.protocol.value} {atom.method} {atom.name}".rstrip()


def _variables(sets: Sequence[PolicySet], facts: Facts) -> Variables:
    asked = [rule.step_up for each in sets for rule in each.rules if rule.step_up is not None]
    contexts = sorted({value for need in asked for value in need.acr_values})
    ages = sorted({need.max_age for need in asked if need.max_age is not None})
    return Variables(tuple(contexts), tuple(ages), Counts(sets), facts)


def _segments(
    patterns: Mapping[SegmentPattern, str],
    rules: SegmentRules,
    sort: Callable[[tuple[str, ...]], Hashable],
) -> tuple[list[tuple[str, ...]], dict[Hashable, Mask], list[Named]]:
    listed = list(patterns)
    atoms = find_atoms(listed, rules, sort)
    masks: dict[Hashable, Mask] = dict.fromkeys(listed, 0)
    for number, (_, matched) in enumerate(atoms):
        for at in matched:
            masks[listed[at]] |= 1 << number
    names = [Named(text, masks[pattern]) for pattern, text in patterns.items() if text]
    return [example for example, _ in atoms], masks, names


def _agents(sets: Sequence[PolicySet], asked: Asked) -> Dimension[tuple[str, ...]]:
    listed = [agent for each in sets for rule in each.rules for agent in rule.agents]
    for each in sets:
        listed += (agent for entry in each.limits.agent_ceilings for agent in entry.agents)
    listed += asked.agents
    texts = {SegmentPattern(each.segments, each.has_tail): each.text for each in listed}
    examples, masks, names = _segments(texts, AGENTS, lambda _agent: None)
    return Dimension(examples, masks, names, map(agent_text, examples))


def _paths(
    patterns: Iterable[PathPattern],
    further: Iterable[PathPattern],
    sort: Callable[[tuple[str, ...]], Hashable],
) -> Dimension[tuple[str, ...]]:
    texts = {SegmentPattern(each.segments, each.has_tail): "" for each in further}
    for each in patterns:
        texts[SegmentPattern(each.segments, each.has_tail)] = _pattern_text(each)
    examples, masks, names = _segments(texts, PATHS, sort)
    return Dimension(examples, masks, names, map(path_text, examples))


def _pattern_text(pattern: PathPattern) -> str:
    """Its text; a pattern that only adds or takes a `/` at the end has that of the other one."""
    if pattern.has_tail or pattern.text.endswith("/") == (pattern.segments[-1] == ""):
        return pattern.text
    return pattern.text.rstrip("/") if pattern.text.endswith("/") else f"{pattern.text}/"


def _principals(sets: Sequence[PolicySet], asked: Asked) -> Dimension[PrincipalAtom]:
    listed = [entry for each in sets for rule in each.rules for entry in rule.principals]
    for each in sets:
        listed += (one for entry in each.limits.principal_scopes for one in entry.principals)
    subjects: dict[str, set[str]] = {}
    for pattern in (*listed, *asked.principals):
        subjects.setdefault(pattern.issuer, set()).update(pattern.subjects)
    examples: list[PrincipalAtom] = []
    masks: dict[Hashable, Mask] = {}
    names: list[Named] = []
    for issuer, named in subjects.items():
        first = len(examples)
        for subject in sorted(named):
            masks[issuer, True, subject] = mask = 1 << len(examples)
            names.append(Named(f"{subject} of {issuer}", mask))
            examples.append((issuer, subject))
        examples.append((issuer, fresh_text("somebody", named)))
        masks[issuer, False, ANY] = everybody = (1 << len(examples)) - (1 << first)
        names.append(Named(f"anyone of {issuer}", everybody))
    texts = (f"{subject} of {issuer}" for issuer, subject in examples)
    return Dimension(examples, masks, names, texts)


def _hosts(patterns: Iterable[str]) -> Dimension[str]:
    found = find_hosts(patterns)
    masks: dict[Hashable, Mask] = {}
    for number, matched in enumerate(found.values()):
        for pattern in matched:
            masks[pattern] = masks.get(pattern, 0) | 1 << number
    return Dimension(found, masks, (Named(str(key), mask) for key, mask in masks.items()), found)


def _methods(patterns: Iterable[str], further: Iterable[str]) -> Dimension[str]:
    listed = sorted({*patterns, *further} - {ANY})
    number = next(at for at in count() if _OTHER_METHOD + "X" * at not in listed)
    examples = [*listed, _OTHER_METHOD + "X" * number]
    masks: dict[Hashable, Mask] = {method: 1 << at for at, method in enumerate(listed)}
    masks[ANY] = (1 << len(examples)) - 1
    names = [Named(str(key), mask) for key, mask in masks.items()]
    return Dimension(examples, masks, names, examples)


def call_pattern_text(pattern: CallPattern) -> str:
    """A pattern of calls as people read it."""
    parts = (pattern.protocol.value, " ".join(pattern.methods), " ".join(pattern.names))
    return " ".join(part for part in parts if part)


def _calls(atoms: CallAtoms, patterns: Iterable[CallPattern]) -> Dimension[CallAtom]:
    everything = (1 << len(atoms.listed)) - 1
    names = [Named("every call and none", everything)]
    for pattern in patterns:
        names.append(Named(call_pattern_text(pattern), atoms.mask(pattern)))
        for method, name in product(pattern.methods, pattern.names or ("",)):
            single = CallPattern(pattern.protocol, (method,), (name,) if name else ())
            names.append(Named(call_pattern_text(single), atoms.mask(single)))
    names += (Named(f"{key.value} *", mask) for key, mask in atoms.of_protocol.items())
    names += (Named(call_text(atom), 1 << at) for at, atom in enumerate(atoms.listed))
    return Dimension(atoms.listed, {}, names, map(call_text, atoms.listed))


def _upgrades(sets: Sequence[PolicySet]) -> Dimension[str]:
    listed = ["", *sorted({text for one in sets for rule in one.rules for text in rule.upgrades})]
    masks: dict[Hashable, Mask] = {text: 1 << at for at, text in enumerate(listed)}
    names = [Named(str(key) or "none", mask) for key, mask in masks.items()]
    return Dimension(listed, masks, names, listed)


def _depths(sets: Sequence[PolicySet]) -> Dimension[int]:
    bounds = {rule.max_depth for one in sets for rule in one.rules if rule.max_depth is not None}
    examples = [1, *(bound + 1 for bound in sorted(bounds))]
    masks: dict[Hashable, Mask] = {
        bound: (1 << sum(example <= bound for example in examples)) - 1 for bound in bounds
    }
    masks[None] = (1 << len(examples)) - 1
    names = [
        Named("any" if key is None else f"at most {key} hops", mask) for key, mask in masks.items()
    ]
    return Dimension(examples, masks, names, map(str, examples))
