"""Boxes in words: who, on whose behalf, what, and what must be the case beside that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from deputize.analysis.boxes import Box, Mask
from deputize.analysis.counts import Count, Counts
from deputize.analysis.dimension import bits
from deputize.analysis.space import Space
from deputize.analysis.value_atoms import ValueAtoms
from deputize.analysis.variables import ERROR, NO, YES, Kind, Variables

_CONDITION = {NO: "does not hold", YES: "holds", ERROR: "cannot be evaluated"}
_UNUSED = {NO: "the token was used before", YES: "the token was not used before"}


class Description(NamedTuple):
    """A box for people and programs.

    `unless` are claims and scopes that may not be there. `depends_on` is what is not looked into,
    or tied to what else is told.
    """

    agents: tuple[str, ...]
    principals: tuple[str, ...]
    methods: tuple[str, ...]
    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    calls: tuple[str, ...]
    upgrades: tuple[str, ...]
    depths: tuple[str, ...]
    scopes: tuple[str, ...]
    demands: tuple[str, ...]
    unless: tuple[str, ...]
    depends_on: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """The description for programs."""
        return {
            "agents": list(self.agents),
            "principals": list(self.principals),
            "methods": list(self.methods),
            "hosts": list(self.hosts),
            "paths": list(self.paths),
            "calls": list(self.calls),
            "upgrades": list(self.upgrades),
            "chain_depth": list(self.depths),
            "scopes": list(self.scopes),
            "demands": list(self.demands),
            "unless": list(self.unless),
            "depends_on": list(self.depends_on),
        }


def describe(space: Space, box: Box, alternatives: Mapping[str, Sequence[str]]) -> Description:
    """The box in the words of the policies. Of `alternatives` one value of each claim is there."""
    agent, principal, host, method, path, call, upgrade, depth = box.dense
    variables = space.variables
    scopes: list[str] = []
    unless: list[str] = []
    demands: list[str] = []
    depends_on: list[str] = []
    for name, values in alternatives.items():
        text = f"claim {name} has {' or '.join(values)}"
        (depends_on if variables.is_claim_opaque(name) else demands).append(text)
    for number, mask in sorted(box.sparse.items()):
        variable = variables.listed[number]
        if variable.kind is Kind.SCOPE and mask == YES:
            scopes.append(variable.text)
        elif variables.is_opaque(number):
            depends_on.append(state_text(variables, number, mask))
        elif variable.kind in {Kind.CLAIM, Kind.SCOPE} and mask == NO:
            unless.append(state_text(variables, number, YES))
        else:
            demands.append(state_text(variables, number, mask))
    return Description(
        agents=space.agents.tell(agent),
        principals=space.principals.tell(principal),
        methods=space.methods.tell(method),
        hosts=space.hosts.tell(host),
        paths=space.paths.tell(path),
        calls=() if call == space.calls.full else space.calls.tell(call),
        upgrades=() if upgrade == 1 else space.upgrades.tell(upgrade),
        depths=() if depth == space.depths.full else space.depths.tell(depth),
        scopes=tuple(sorted(scopes)),
        demands=tuple(demands),
        unless=tuple(unless),
        depends_on=tuple(depends_on),
    )


def state_text(variables: Variables, number: int, mask: Mask) -> str:
    """What a variable must be, in words."""
    variable = variables.listed[number]
    match variable.kind:
        case Kind.CLAIM:
            return f"claim {variable.name} {'has' if mask == YES else 'is without'} {variable.text}"
        case Kind.SCOPE:
            return f"{'' if mask == YES else 'no '}scope {variable.text}"
        case Kind.CONTEXT:
            names = ("none or another", *variables.contexts)
            return f"acr {' or '.join(names[bit] for bit in bits(mask))}"
        case Kind.LOGIN_AGE:
            return _login_text(variables, mask)
        case Kind.CONDITION:
            words = " or ".join(word for value, word in _CONDITION.items() if value & mask)
            return f"{words}: {variable.text}"
        case Kind.FACT:
            return variable.of.tell(mask) if isinstance(variable.of, ValueAtoms) else variable.text
        case Kind.APPROVAL:
            return _approval_text(variables.counts, mask)
        case Kind.BUDGET:
            return _budget_text(variable.of, mask) if isinstance(variable.of, Count) else ""
        case Kind.UNUSED:
            return " or ".join(word for value, word in _UNUSED.items() if value & mask)


def _approval_text(counts: Counts, mask: Mask) -> str:
    """Who gave it; services that are good in the same way together."""
    ways: dict[tuple[str, bool], set[bool]] = {}
    texts = ["no approval"] if mask & 1 else []
    for bit in bits(mask & ~1):
        approval = counts.approvals[bit]
        if approval is not None:
            way = (approval.service, approval.is_used)
            ways.setdefault(way, set()).add(approval.is_by_principal)
    services: dict[tuple[frozenset[bool], bool], list[str]] = {}
    for (service, is_used), by in ways.items():
        services.setdefault((frozenset(by), is_used), []).append(service)
    for (whom, is_used), listed in services.items():
        text = f"an approval of {' or '.join(listed)}"
        if whom == {True}:
            text += ", by the principal"
        elif whom == {False}:
            text += ", not by the principal"
        texts.append(f"{text}, used before" if is_used else text)
    return " or ".join(texts)


def _budget_text(count: Count, mask: Mask) -> str:
    limits = count.limits
    ranges: list[str] = []
    found = bits(mask)
    for bit in found:
        if bit - 1 not in found:
            last = next(at for at in range(bit, len(limits) + 1) if at + 1 not in found)
            begin = limits[bit - 1] if bit else 0
            if last == len(limits):
                ranges.append(f"{begin} or more")
            elif bit:
                ranges.append(f"{begin} to {limits[last] - 1}")
            else:
                ranges.append(f"fewer than {limits[last]}")
    per = ", ".join(sorted(count.per))
    counted = f"calls counted for {count.ref} in {count.window} seconds"
    return f"{' or '.join(ranges)} {counted}, {f'per {per}' if per else 'all together'}"


def _login_text(variables: Variables, mask: Mask) -> str:
    """The ages as ranges; the value 0 is longer than all of them, or not said."""
    ages = variables.login_ages
    ranges: list[str] = []
    for bit in bits(mask):
        if bit == 0:
            ranges.append(f"longer ago than {ages[-1]} seconds, or not said")
        else:
            begin = f"more than {ages[bit - 2]} and " if bit > 1 else ""
            ranges.append(f"{begin}at most {ages[bit - 1]} seconds ago")
    return f"login {' or '.join(ranges)}"
