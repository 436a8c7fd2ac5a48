"""Which part of a question no rule names: most likely it is misspelled.

Rules of this file:
- A part is named by a pattern that covers some of what is asked, be it by a wildcard.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from deputize.analysis.policy_set import Asked, PolicySet
from deputize.analysis.space import Space
from deputize.core.call_patterns import CallPattern, text_matches
from deputize.core.matching import ANY

_ALIKE = 0.75


class Unnamed(NamedTuple):
    """A part of the question, what was asked, and the likeliest that a rule names instead."""

    part: str
    asked: str
    similar: str

    @property
    def text(self) -> str:
        """For people."""
        hint = f": did you mean {self.similar}?" if self.similar else ""
        return f"no rule names {self.part} {self.asked}{hint}"

    def to_json(self) -> dict[str, object]:
        """For programs."""
        return {"part": self.part, "asked": self.asked, "similar": self.similar or None}


def find_unnamed(space: Space, policies: PolicySet, asked: Asked) -> list[Unnamed]:
    """The parts of the question that no rule names; `space` is that of the answer."""
    rules = policies.rules
    found: list[Unnamed] = []
    hosts = {host for rule in rules for host in rule.hosts}
    if asked.hosts and not space.hosts.mask(asked.hosts) & space.hosts.mask(hosts):
        found += _miss("host", asked.hosts, hosts)
    paths = [path for rule in rules for path in rule.paths]
    if asked.paths and not space.path_mask(asked.paths) & space.path_mask(paths):
        found += _miss("path", (each.text for each in asked.paths), (each.text for each in paths))
    methods = {method for rule in rules for method in rule.methods}
    if asked.methods and methods.isdisjoint({*asked.methods, ANY}):
        found += _miss("method", asked.methods, methods)
    agents = [agent for rule in rules for agent in rule.agents]
    if asked.agents and not space.agent_mask(asked.agents) & space.agent_mask(agents):
        found += _miss(
            "agent", (each.text for each in asked.agents), (each.text for each in agents)
        )
    return [*found, *_principals(policies, asked), *_calls(policies, asked)]


def _principals(policies: PolicySet, asked: Asked) -> Iterable[Unnamed]:
    patterns = [one for rule in policies.rules for one in rule.principals]
    for wanted in asked.principals:
        of_issuer = [one for one in patterns if one.issuer == wanted.issuer]
        if not of_issuer:
            yield from _miss("issuer", [wanted.issuer], (one.issuer for one in patterns))
        elif wanted.subjects and all(
            one.subjects and one.subjects.isdisjoint(wanted.subjects) for one in of_issuer
        ):
            known = (subject for one in of_issuer for subject in one.subjects)
            yield from _miss("subject", wanted.subjects, known)


def _calls(policies: PolicySet, asked: Asked) -> list[Unnamed]:
    """The question has the same call in each protocol; one that is named is enough."""
    patterns = [rule.call for rule in policies.rules if rule.call is not None]
    missed: list[Unnamed] = []
    for wanted in asked.calls:
        known = [one for one in patterns if one.protocol is wanted.protocol]
        known = [one for one in known if _meet(one.methods, wanted.methods)]
        if known and any(not one.names or _meet(one.names, wanted.names) for one in known):
            return []
        if known and not wanted.names:
            return []
        if known:
            missed += _miss("tool", wanted.names, (name for one in known for name in one.names))
    return missed or _no_method(patterns, asked)


def _no_method(patterns: Sequence[CallPattern], asked: Asked) -> list[Unnamed]:
    methods = {text for wanted in asked.calls for text in wanted.methods}
    return _miss("call", methods, (text for one in patterns for text in one.methods))


def _meet(texts: Iterable[str], others: Sequence[str]) -> bool:
    return any(text_matches(a, b) or text_matches(b, a) for a in texts for b in others)


def _miss(part: str, asked: Iterable[str], known: Iterable[str]) -> list[Unnamed]:
    listed = sorted(set(known) - {ANY})
    return [
        Unnamed(
            part, text, next(iter(difflib.get_close_matches(text, listed, n=1, cutoff=_ALIKE)), "")
        )
        for text in sorted(asked)
    ]
