"""Boxes in words: who, on whose behalf, what, and what must be the case beside that."""

from __future__ import annotations

from typing import NamedTuple

from deputize.analysis.boxes import Box, Mask
from deputize.analysis.dimension import bits
from deputize.analysis.space import Space
from deputize.analysis.variables import ERROR, GIVEN_AGAIN, GIVEN_ONCE, NO, YES, Kind, Variables

_CONDITION = {NO: "does not hold", YES: "holds", ERROR: "cannot be evaluated"}
_APPROVAL = {NO: "without", GIVEN_ONCE: "with", GIVEN_AGAIN: "used again:"}
_BUDGET = {NO: "used up:", YES: "not used up:"}
_UNUSED = {NO: "not true that", YES: "true that"}


class Description(NamedTuple):
    """A box for people and programs. `depends_on` is what is not looked into."""

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
            "chainDepth": list(self.depths),
            "scopes": list(self.scopes),
            "demands": list(self.demands),
            "dependsOn": list(self.depends_on),
        }


def describe(space: Space, box: Box) -> Description:
    """The box in the words of the policies."""
    agent, principal, host, method, path, call, upgrade, depth = box.dense
    variables = space.variables
    scopes: list[str] = []
    demands: list[str] = []
    depends_on: list[str] = []
    for number, mask in sorted(box.sparse.items()):
        if variables.listed[number].kind is Kind.SCOPE and mask == YES:
            scopes.append(variables.listed[number].text)
        elif variables.is_opaque(number):
            depends_on.append(state_text(variables, number, mask))
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
        depends_on=tuple(depends_on),
    )


def state_text(variables: Variables, number: int, mask: Mask) -> str:
    """What a variable must be, in words."""
    variable = variables.listed[number]
    match variable.kind:
        case Kind.CLAIM:
            return f"claim {variable.name} {'has' if mask == YES else 'is without'} {variable.text}"
        case Kind.SCOPE:
            return f"{'with' if mask == YES else 'without'} scope {variable.text}"
        case Kind.CONTEXT:
            names = ("none or another", *variables.contexts)
            return f"acr {' or '.join(names[bit] for bit in bits(mask))}"
        case Kind.LOGIN_AGE:
            return _login_text(variables, mask)
        case Kind.CONDITION:
            return f"{_join(_CONDITION, mask)}: {variable.text}"
        case Kind.APPROVAL:
            return f"{_join(_APPROVAL, mask)} {variable.text}"
        case Kind.BUDGET:
            return f"{_join(_BUDGET, mask)} {variable.text}"
        case Kind.UNUSED:
            return f"{_join(_UNUSED, mask)} {variable.text}"


def _join(words: dict[Mask, str], mask: Mask) -> str:
    return " or ".join(word for value, word in words.items() if value & mask)


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
