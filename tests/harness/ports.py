"""A `Checker` whose ports all work; each test replaces the one it is about."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from deputize.adapters.envoy_response import Answers, UpstreamRules
from deputize.adapters.replay_store import MemoryReplayStore
from deputize.core.audit_form import AuditEvent
from deputize.core.snapshot import Snapshot
from deputize.core.verdict import Decision, Wanted
from deputize.server import ports
from deputize.server.check import AskingProxy, Checker, Limits
from deputize.server.ports import Active
from deputize.server.state import TokenMemory
from tests.harness.check_message import Verdict, make_check, read_answer
from tests.harness.world import NOW, make_snapshot, shared_issuer

UPSTREAM = UpstreamRules(
    header_prefix="x-deputize-",
    token_header="authorization",
    keep_token=False,
    forward_header="",
    remove_headers=(),
)
NO_DEADLINE = AskingProxy(remaining=None, spiffe_ids=None)


@dataclass(slots=True)
class HeldSnapshots:
    """What is in use now."""

    current: Active | None


@dataclass(slots=True)
class CountedSources:
    """Finds nothing, and remembers what it was asked for; asks whom it is given."""

    asked: list[tuple[Wanted, float]] = field(default_factory=list)
    introspections: dict[str, ports.Introspection] = field(default_factory=dict)

    def refetch(self, wanted: Wanted, timeout: float) -> None:
        self.asked.append((wanted, timeout))

    def introspection(self, issuer: str) -> ports.Introspection | None:
        return self.introspections.get(issuer)


@dataclass(slots=True)
class KeptAudit:
    """Takes every event."""

    healthy: bool = True
    events: list[AuditEvent] = field(default_factory=list)

    def offer(self, event: AuditEvent) -> bool:
        self.events.append(event)
        return True


@dataclass(slots=True)
class KeptMetrics:
    """Counts by keeping."""

    decisions: list[Decision] = field(default_factory=list)

    def count_decision(self, decision: Decision, seconds: float) -> None:
        assert seconds >= 0
        self.decisions.append(decision)


@dataclass(slots=True)
class Ports:
    """Everything a `Checker` needs."""

    snapshots: ports.Snapshots
    fallback: ports.Answers = field(default_factory=lambda: Answers(UPSTREAM))
    sources: ports.Sources = field(default_factory=CountedSources)
    tokens: ports.Tokens = field(default_factory=lambda: TokenMemory(10))
    replay_store: ports.ReplayStore = field(default_factory=lambda: MemoryReplayStore(10))
    audit: ports.Audit = field(default_factory=KeptAudit)
    metrics: ports.Metrics = field(default_factory=KeptMetrics)
    limits: Limits = field(default_factory=lambda: Limits(10.0, audit_required=True))
    clock: Callable[[], float] = lambda: NOW

    def checker(self) -> Checker:
        return Checker(
            snapshots=self.snapshots,
            fallback=self.fallback,
            sources=self.sources,
            replay_store=self.replay_store,
            tokens=self.tokens,
            audit=self.audit,
            metrics=self.metrics,
            limits=self.limits,
            clock=self.clock,
        )

    def ask(self, octets: bytes | None = None, proxy: AskingProxy = NO_DEADLINE) -> Verdict:
        """The answer to a check, by default to one that is allowed when every port works."""
        octets = allowed_check() if octets is None else octets
        return read_answer(self.checker().check(octets, proxy))

    @property
    def events(self) -> list[AuditEvent]:
        assert isinstance(self.audit, KeptAudit)
        return self.audit.events


def make_ports(snapshot: Snapshot | None = None) -> Ports:
    """Ports that all work."""
    snapshot = snapshot or make_snapshot(shared_issuer())
    return Ports(HeldSnapshots(Active(snapshot, Answers(UPSTREAM))))


def allowed_check() -> bytes:
    """A check that is allowed at `NOW`."""
    return make_check(shared_issuer().issue(now=NOW)).SerializeToString()


def current_check() -> bytes:
    """The same for a service that looks at the clock of the machine."""
    return make_check(shared_issuer().issue(now=time.time())).SerializeToString()
