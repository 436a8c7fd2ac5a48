"""What a request may have beside its dimensions: claims, scopes, and what is not looked into.

Rules of this file:
- A claim value and a scope are there or not, each for itself.
- A condition is opaque: it holds, does not hold, or cannot be evaluated. Two conditions are the
  same only if they say the same of the same fact; others have nothing to do with each other.
- So whatever hangs on an opaque variable is possible, not certain.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from enum import StrEnum
from typing import NamedTuple

from deputize.analysis.boxes import Mask

NO, YES, ERROR = 1, 2, 4
"""Values of most variables; only a condition has the last."""
GIVEN_ONCE, GIVEN_AGAIN = 2, 4
"""Further values of an approval: it is good, but may have been used before."""


class Kind(StrEnum):
    """What a variable is about."""

    CLAIM = "claim"
    SCOPE = "scope"
    CONTEXT = "acr"
    LOGIN_AGE = "login age"
    CONDITION = "condition"
    APPROVAL = "approval"
    BUDGET = "budget"
    UNUSED = "token unused"


OPAQUE = frozenset({Kind.CONDITION, Kind.APPROVAL, Kind.BUDGET, Kind.UNUSED})
TIED_CLAIMS = frozenset(
    {"acr", "act", "aud", "auth_time", "azp", "client_id", "cnf", "exp", "iat", "iss", "jti", "nbf",
     "scope", "scp", "status", "sub"}
)  # fmt: skip
"""Claims that say again what a dimension or a variable says: not every mixture of them exists."""


class Variable(NamedTuple):
    """One variable. `name` is that of a claim, `text` its value or what is told to people."""

    kind: Kind
    text: str
    name: str
    values: int


class Variables:
    """All variables, by number."""

    def __init__(self, contexts: tuple[str, ...], login_ages: tuple[int, ...]) -> None:
        """`contexts` are all `acr` values asked for, `login_ages` all ages in seconds."""
        self.contexts = contexts
        self.login_ages = login_ages
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

    def approval(self, key: Hashable, text: str) -> int:
        """Whether the call carries an approval, and that was used before."""
        return self._find((Kind.APPROVAL, key), Variable(Kind.APPROVAL, text, "", 3))

    def budget(self, key: Hashable, text: str) -> int:
        """Whether the budget has something left."""
        return self._find((Kind.BUDGET, key), Variable(Kind.BUDGET, text, "", 2))

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
        return variable.kind in OPAQUE or variable.name in TIED_CLAIMS

    def _find(self, key: Hashable, variable: Variable) -> int:
        number = self._ids.setdefault(key, len(self.listed))
        if number == len(self.listed):
            self.listed.append(variable)
            self.full.append((1 << variable.values) - 1)
        return number
