"""One recorded decision, as far as it is asked about here; members as in `core/audit_form.py`.

Rules of this file:
- Members this version does not know are passed over: later versions may add some. Those that an
  earlier version did not write count as empty.
"""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue

from deputize.cli.route_folding import fold_path
from deputize.core.model import DelegationStyle, Kind, Protocol
from deputize.core.reasons import Reason


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class RecordedPeer(_Part):
    """The peer of an event."""

    assurance: str


class RecordedPrincipal(_Part):
    """The principal of an event."""

    issuer: str
    subject: str
    kind: Kind


class RecordedActor(_Part):
    """One hop of a chain."""

    subject: str


class RecordedToken(_Part):
    """What is known of the token."""

    expires_at: float
    binding: str


class RecordedScopes(_Part):
    """Scopes of the token and of the grant."""

    token: tuple[str, ...]
    granted: tuple[str, ...]


class RecordedHttp(_Part):
    """The request; without a recorded upgrade of the connection there was none."""

    method: str
    host: str
    path: str
    upgrade: str = ""


class RecordedCall(_Part):
    """One call of an agent protocol."""

    protocol: Protocol
    method: str
    name: str


class RecordedApproval(_Part):
    """An approval that let the call in."""

    service: str
    approver: str


class RecordedRefusal(_Part):
    """What would have refused an allowed call."""

    reason: str
    rule: str | None


class Recorded(_Part):
    """One event, as far as it is asked about here; members as in `core/audit_form.py`."""

    schema_version: Literal["1"]
    decision_id: str
    time: AwareDatetime
    effect: Literal["allow", "deny"]
    reason: str
    rule: str | None
    policy_digest: str
    peer: RecordedPeer | None
    principal: RecordedPrincipal | None
    agent: str | None
    chain: tuple[RecordedActor, ...] | None
    style: DelegationStyle | None
    token: RecordedToken | None
    scopes: RecordedScopes | None
    http: RecordedHttp
    claims: dict[str, JsonValue] | None = None
    calls: tuple[RecordedCall, ...] = ()
    approvals: tuple[RecordedApproval, ...] = ()
    observed: RecordedRefusal | None = None

    @property
    def is_for_policies(self) -> bool:
        """Whether policies were asked: the mandate was shown, and nothing else refused."""
        is_refused_elsewhere = self.effect == "deny" and not self.reason.startswith("policy.")
        shown = (self.peer, self.principal, self.agent, self.chain, self.token, self.scopes)
        return None not in shown and not is_refused_elsewhere

    @property
    def target(self) -> str:
        """What was called, for people: the calls of an agent protocol, else host and path."""
        if self.calls:
            names = (f"{call.protocol.value} {call.method} {call.name}" for call in self.calls)
            return ", ".join(dict.fromkeys(name.strip() for name in names))
        return f"{self.http.method} {self.http.host}{fold_path(self.http.path)}"

    @property
    def is_out_of_budget(self) -> bool:
        """Whether a budget was used up."""
        refusal = self.reason if self.observed is None else self.observed.reason
        return refusal == Reason.POLICY_BUDGET_EXHAUSTED
