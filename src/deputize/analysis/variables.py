"""What a request may have beside its dimensions: claims, scopes, and what is not looked into.

Rules of this file:
- A claim value and a scope are there or not, each for itself.
- A fact has one of its atoms (`fact_atoms.py`), so has the time (`time_atoms.py`); a budget has a
  count, a call one approval or none.
- Any other condition is opaque: it holds, does not hold, or cannot be evaluated. Two of those are
  the same only if they say the same; others have nothing to do with each other.
- Whatever hangs on an opaque variable, or on one that is tied to what else there is, is possible,
  not certain.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from enum import StrEnum
from typing import NamedTuple

from deputize.analysis.boxes import Mask
from deputize.analysis.counts import Count, Counts
from deputize.analysis.facts import TIED_CLAIMS, Facts
from deputize.analysis.value_atoms import ValueAtoms

NO, YES, ERROR = 1, 2, 4
"""Values of claims, scopes and conditions; only a condition has the last."""


class Kind(StrEnum):
    """What a variable is about."""

    CLAIM = "claim"
    SCOPE = "scope"
    CONTEXT = "acr"
    LOGIN_AGE = "login age"
    CONDITION = "condition"
    FACT = "fact"
    APPROVAL = "approval"
    BUDGET = "budget"
    UNUSED = "token unused"


class Variable(NamedTuple):
    """One variable. `name` is that of a claim, `text` its value or what is told to people.

    `of` is what is known of a fact or a budget.
    """

    kind: Kind
    text: str
    name: str
    values: int
    of: ValueAtoms | Count | None = None


class Variables:
    """All variables, by number."""

    def __init__(
        self, contexts: tuple[str, ...], login_ages: tuple[int, ...], counts: Counts, facts: Facts
    ) -> None:
        """`contexts` are all `acr` values asked for, `login_ages` all ages in seconds."""
        self.contexts = contexts
        self.login_ages = login_ages
        self.counts = counts
        self._facts = facts
        self.listed: list[Variable] = []
        self.full: list[Mask] = []
        self._ids: dict[Hashable, int] = {}

    def claim(self, name: str, value: str) -> int:
        """Whether the claim has this value."""
        return self._find((Kind.CLAIM, name, value), Variable(Kind.CLAIM, value, name, 2))

    def scope(self, scope: str) -> int:
        """Whether the token has the scope."""
        return self._find((Kind.SCOPE, scope), Variable(Kind.SCOPE, scope, "", 2))

    def context(self) -> int:
        """Which `acr` the token has: none or another one, or one of `contexts`."""
        values = len(self.contexts) + 1
        return self._find(Kind.CONTEXT, Variable(Kind.CONTEXT, "acr", "", values))

    def login_age(self) -> int:
        """How long ago the login was: within each of `login_ages`, or longer, or not said."""
        values = len(self.login_ages) + 1
        return self._find(Kind.LOGIN_AGE, Variable(Kind.LOGIN_AGE, "login age", "", values))

    def condition(self, key: Hashable, text: str, *, may_fail: bool) -> int:
        """Whether a condition holds."""
        values = 3 if may_fail else 2
        return self._find((Kind.CONDITION, key), Variable(Kind.CONDITION, text, "", values))

    def fact(self, key: Hashable, atoms: ValueAtoms) -> int:
        """Which of its atoms a fact is."""
        text, values = atoms.subject, len(atoms.examples)
        return self._find((Kind.FACT, key), Variable(Kind.FACT, text, "", values, atoms))

    def approval(self) -> int:
        """Which approval the call carries, if any: one of `counts.approvals`."""
        values = len(self.counts.approvals)
        return self._find(Kind.APPROVAL, Variable(Kind.APPROVAL, "approval", "", values))

    def budget(self, count: Count) -> int:
        """How often the budget was used."""
        text, values = f"the budget of {count.ref}", len(count.limits) + 1
        variable = Variable(Kind.BUDGET, text, "", values, count)
        return self._find((Kind.BUDGET, count), variable)

    def unused(self) -> int:
        """Whether the token was never used before."""
        text = "the token was not used before"
        return self._find(Kind.UNUSED, Variable(Kind.UNUSED, text, "", 2))

    def are_opaque(self, sparse: Mapping[int, Mask]) -> bool:
        """Whether one of these is not looked into."""
        return any(self.is_opaque(number) for number in sparse)

    def is_opaque(self, number: int) -> bool:
        """Whether the variable is not looked into, or tied to what else is there."""
        variable = self.listed[number]
        match variable.kind:
            case Kind.CONDITION:
                return True
            case Kind.FACT | Kind.BUDGET:
                return variable.of is None or variable.of.is_tied
            case Kind.APPROVAL:
                return not self._facts.is_argument_known
            case Kind.CLAIM:
                return self.is_claim_opaque(variable.name)
            case _:
                return False

    def is_claim_opaque(self, name: str) -> bool:
        """Whether the claim says what is told in another way too."""
        return name in TIED_CLAIMS or name in self._facts.claims

    def _find(self, key: Hashable, variable: Variable) -> int:
        number = self._ids.setdefault(key, len(self.listed))
        if number == len(self.listed):
            self.listed.append(variable)
            self.full.append((1 << variable.values) - 1)
        return number
