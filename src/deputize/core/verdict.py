"""How a decision ends: a permit with all its proofs, or a denial with its reason.

Rules of this file:
- A `Permit` cannot be built with a proof missing, a `Denial` not with the reason of an allow.
- `Denied` is the only exception that means a refusal; outside the core there are only values.
- `Proven` is the one value that changes: it records how far a decision came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Self

from deputize.core.model import (
    Action,
    Delegation,
    Grant,
    Json,
    Obligation,
    Peer,
    Resource,
    RuleRef,
    Scope,
    StepUp,
    VerifiedToken,
)
from deputize.core.reasons import Reason


class Effect(StrEnum):
    """The answer to the proxy."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class KeyWanted:
    """The key that was missing. Unproven: it may only choose which key set to fetch again."""

    issuer: str
    key_id: str


@dataclass(frozen=True, slots=True)
class StatusWanted:
    """The status list that was missing, named by a verified token of this issuer."""

    issuer: str
    uri: str


Wanted = KeyWanted | StatusWanted
"""What the shell may fetch, and then ask again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A refusal. `detail` is for audit and log, never for the caller.

    `rule` is the rule that decided, where one did; `needed_scopes` are all scopes the nearest
    rule needs (RFC 6750 section 3); `wanted` is set when something fetched anew might help.
    What would help the caller: `step_up` is the login it needs, `approval` what must be approved,
    and after `retry_after` seconds the same call may be let in.
    """

    reason: Reason
    detail: str
    rule: RuleRef | None = None
    needed_scopes: frozenset[Scope] = frozenset()
    wanted: Wanted | None = None
    step_up: StepUp | None = None
    approval: Mapping[str, Json] | None = None
    retry_after: float | None = None

    def __post_init__(self) -> None:
        if self.reason is Reason.POLICY_ALLOWED:
            raise TypeError("a denial cannot carry the reason of an allow")


@dataclass(frozen=True, slots=True)
class Permit:
    """An allow. It cannot be built with a proof missing, whatever a caller passes.

    `obligations` must be met before it leaves; one that cannot be turns it into a refusal.
    `observed` is the refusal of a policy that is only observed; it lets the call pass.
    """

    peer: Peer
    token: VerifiedToken
    delegation: Delegation
    action: Action
    grant: Grant
    obligations: tuple[Obligation, ...]
    observed: Denial | None

    def __post_init__(self) -> None:
        given = (
            type(self.peer),
            type(self.token),
            type(self.delegation),
            type(self.action),
            type(self.grant),
        )
        if given != (Peer, VerifiedToken, Delegation, Action, Grant):
            raise TypeError("a permit needs all four proofs and the action")


class Denied(Exception):  # noqa: N818 - the word of the field; it is an answer, not a fault
    """Ends a decision with a refusal. The only exception that means one."""

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        wanted: Wanted | None = None,
    ) -> None:
        super().__init__(reason.value, detail)
        self.denial = Denial(reason=reason, detail=detail, wanted=wanted)

    @classmethod
    def carrying(cls, denial: Denial) -> Self:
        """One with more to say than reason and detail."""
        denied = cls(denial.reason, denial.detail)
        denied.denial = denial
        return denied


@dataclass(slots=True)
class Proven:
    """What had been proved when the decision ended, so that a refusal is audited by name."""

    action: Action | None = None
    resource: Resource | None = None
    peer: Peer | None = None
    token: VerifiedToken | None = None
    delegation: Delegation | None = None
    grant: Grant | None = None


class Decision(NamedTuple):
    """The answer with its reason, what was proven on the way, and under which configuration."""

    decision_id: str
    verdict: Permit | Denial
    proven: Proven
    policy_digest: str
    decided_at: float

    @property
    def effect(self) -> Effect:
        """Allow exactly when the verdict is a permit."""
        return Effect.ALLOW if isinstance(self.verdict, Permit) else Effect.DENY

    @property
    def reason(self) -> Reason:
        """The stable code of this decision."""
        if isinstance(self.verdict, Permit):
            return Reason.POLICY_ALLOWED
        return self.verdict.reason

    @property
    def rule(self) -> RuleRef | None:
        """The rule that determined the answer, if one did."""
        return self.verdict.grant.rule if isinstance(self.verdict, Permit) else self.verdict.rule

    @property
    def observed(self) -> Denial | None:
        """What would have refused the call, were its policy enforced."""
        return self.verdict.observed if isinstance(self.verdict, Permit) else None
