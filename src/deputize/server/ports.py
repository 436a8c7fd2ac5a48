"""What checks and reloads need from the world around them; adapters and holders fit by shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from deputize.adapters.budget_store import Spent
from deputize.adapters.introspection import Activity
from deputize.adapters.replay_store import Use
from deputize.config.settling import Objects, Settled
from deputize.core.audit_form import AuditEvent
from deputize.core.model import AccessRequest, VerifiedToken
from deputize.core.snapshot import Snapshot
from deputize.core.verdict import Decision, Wanted


class Answers(Protocol):
    """Writes an answer."""

    def to_response(self, request: AccessRequest, decision: Decision) -> bytes:
        """Serializes it; raises ObligationError when one of the grant cannot be met."""


@dataclass(frozen=True, slots=True)
class Active:
    """What checks are answered under: a snapshot and the answers that belong to it."""

    snapshot: Snapshot
    answers: Answers


class Snapshots(Protocol):
    """Holds what is in use now."""

    @property
    def current(self) -> Active | None:
        """None before the first configuration."""


class Introspection(Protocol):
    """Asks one issuer about its tokens."""

    def ask(self, compact: str, token: VerifiedToken, timeout: float) -> Activity:
        """Waits at most `timeout` seconds."""


class Sources(Protocol):
    """Fetches documents again, and knows whom to ask."""

    def refetch(self, wanted: Wanted, timeout: float) -> None:
        """Waits at most `timeout` seconds; fetches nothing while cooling down."""

    def introspection(self, issuer: str) -> Introspection | None:
        """None where the issuer is not to be asked."""


class ReplayStore(Protocol):
    """Remembers what was used, and how often."""

    def consume(self, key: str, until: float, now: float, timeout: float) -> Use:
        """Notes the use of `key`, good until `until`; epoch seconds, and seconds to wait."""

    def spend(self, key: str, limit: int, window: int, now: float, timeout: float) -> Spent:
        """Counts a use of a budget of `limit` in the window, of so many seconds, of `now`."""


class Tokens(Protocol):
    """Remembers verified tokens."""

    def recall(self, compact: str) -> VerifiedToken | None:
        """The token verified earlier for exactly this text."""

    def remember(self, compact: str, token: VerifiedToken) -> None:
        """Keeps it, within bounds."""


class Audit(Protocol):
    """Takes audit events."""

    @property
    def healthy(self) -> bool:
        """An event offered now would be written."""

    def offer(self, event: AuditEvent) -> bool:
        """Takes the event without waiting; false when it is lost."""


class Metrics(Protocol):
    """Counts."""

    def count_decision(self, decision: Decision, seconds: float) -> None:
        """Counts one decision."""


class ObjectSource(Protocol):
    """Where objects come from, and who is told what became of them; see `cluster.py`."""

    def objects(self) -> Objects | None:
        """Those of now; the same value as long as they are the same."""

    def tell(self, settled: Settled, stored: Objects, *, is_used: bool) -> None:
        """What became of these."""
