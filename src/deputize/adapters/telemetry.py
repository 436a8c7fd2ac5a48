"""Every metric of the service, in one place.

Rules of this file:
- Names begin with `deputize_`, carry their unit, and never change.
- Labels are bounded: by the reason codes, the loaded rules and the configured sources, never by
  what a request says.
- Children are looked up once and kept: a label lookup costs more than the count itself.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from importlib import metadata

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from deputize.core.model import RuleRef
from deputize.core.reasons import Reason
from deputize.core.verdict import Decision, Denial

_BUCKETS = (
    0.00005,
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    1.0,
)


# A second series per counter that only says when it began; start times are known otherwise.
disable_created_metrics()  # type: ignore[no-untyped-call] # the library leaves it untyped


class SourceKind(StrEnum):
    """What is fetched in the background."""

    KEYS = "keys"
    BUNDLE = "bundle"
    DENY_LIST = "deny-list"
    STATUS_LIST = "status-list"
    KUBERNETES = "kubernetes"


class Telemetry:
    """The metrics of one service."""

    def __init__(self, transport: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._decisions = Counter(
            "deputize_decisions_total",
            "Decisions by effect, reason family and determining rule.",
            ("effect", "family", "rule"),
            registry=self.registry,
        )
        self._refusals = Counter(
            "deputize_refusals_total",
            "Refusals by reason code.",
            ("reason",),
            registry=self.registry,
        )
        self._observed = Counter(
            "deputize_observed_denials_total",
            "Allowed calls that would have been refused, were their policy enforced.",
            ("reason", "policy"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "deputize_decision_duration_seconds",
            "Time from the check's arrival to its answer.",
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._reloads = Counter(
            "deputize_config_reloads_total",
            "Reloads of configuration and policies by result.",
            ("result",),
            registry=self.registry,
        )
        self._loaded = Gauge(
            "deputize_config_loaded_timestamp_seconds",
            "When the configuration in use was loaded.",
            registry=self.registry,
        )
        self._problems = Gauge(
            "deputize_config_problems",
            "Problems of files and objects that are there but not in use; 0 when all are in use.",
            registry=self.registry,
        )
        self._rules = Gauge("deputize_rules", "Rules in use.", registry=self.registry)
        self._source_age = Gauge(
            "deputize_source_age_seconds",
            "Age of what was fetched: keys, bundles, deny lists, objects; NaN before the first.",
            ("kind", "name"),
            registry=self.registry,
        )
        self._fetches = Counter(
            "deputize_source_fetches_total",
            "Fetches of key sets, bundles, deny lists, status lists and objects by result.",
            ("kind", "name", "result"),
            registry=self.registry,
        )
        self._replay_entries = Gauge(
            "deputize_replay_entries",
            "Identifiers of tokens and proofs remembered as used, in memory.",
            registry=self.registry,
        )
        self._audit = Counter(
            "deputize_audit_events_total",
            "Audit events by result: written, or dropped for want of a place in the queue.",
            ("result",),
            registry=self.registry,
        )
        self._audit_failures = Counter(
            "deputize_audit_sink_failures_total",
            "Failed writes to the audit sink; the events are kept and written again.",
            registry=self.registry,
        )
        self._audit_length = Gauge(
            "deputize_audit_queue_length",
            "Audit events waiting to be written.",
            registry=self.registry,
        )
        Gauge(
            "deputize_build_info",
            "Always 1; the version and transport are labels.",
            ("version", "transport"),
            registry=self.registry,
        ).labels(metadata.version("deputize"), transport).set(1)
        self._by_outcome: dict[tuple[Reason, RuleRef | None], Counter] = {}
        self._by_observed: dict[tuple[Reason, str], Counter] = {}
        self._by_reason: dict[Reason, Counter] = {
            reason: self._refusals.labels(reason.value)
            for reason in Reason
            if reason is not Reason.POLICY_ALLOWED
        }
        self._dropped = self._audit.labels("dropped")
        self._written = self._audit.labels("written")
        self._failed_reloads = self._reloads.labels("failed")
        self._good_reloads = self._reloads.labels("loaded")

    def count_decision(self, decision: Decision, seconds: float) -> None:
        """Counts one decision and its duration."""
        reason, rule = decision.reason, decision.rule
        outcome = self._by_outcome.get((reason, rule))
        if outcome is None:
            outcome = self._decisions.labels(
                decision.effect.value, reason.family, "" if rule is None else str(rule)
            )
            self._by_outcome[reason, rule] = outcome
        outcome.inc()
        refusal = self._by_reason.get(reason)
        if refusal is not None:
            refusal.inc()
        if decision.observed is not None:
            self._count_observed(decision.observed)
        self._seconds.observe(seconds)

    def count_reload(self, *, loaded_at: float | None, rules: int) -> None:
        """Counts a reload: a good one at `loaded_at` (epoch seconds), or a failed one (None)."""
        if loaded_at is None:
            self._failed_reloads.inc()
            return
        self._good_reloads.inc()
        self._loaded.set(loaded_at)
        self._rules.set(rules)

    def watch_config_problems(self, count: Callable[[], float]) -> None:
        """Reports how much is wrong with what is not in use, whenever metrics are read."""
        self._problems.set_function(count)

    def fetch_counter(self, kind: SourceKind, name: str) -> Callable[[bool], None]:
        """Counts the fetches of a source, by whether they succeeded."""
        succeeded = self._fetches.labels(kind.value, name, "fetched")
        failed = self._fetches.labels(kind.value, name, "failed")
        return lambda is_good: (succeeded if is_good else failed).inc()

    def watch_age(self, kind: SourceKind, name: str, age: Callable[[], float]) -> None:
        """Reports the age of a source whenever metrics are read."""
        self._source_age.labels(kind.value, name).set_function(age)

    def forget_source(self, kind: SourceKind, name: str) -> None:
        """Reports no age of a source that is no longer configured."""
        self._source_age.remove(kind.value, name)

    def watch_replay_entries(self, length: Callable[[], float]) -> None:
        """Reports how much is remembered whenever metrics are read."""
        self._replay_entries.set_function(length)

    def count_audit_written(self, count: int) -> None:
        """Counts events the sink has taken."""
        self._written.inc(count)

    def count_audit_dropped(self) -> None:
        """Counts an event that had no place in the queue."""
        self._dropped.inc()

    def count_audit_failure(self) -> None:
        """Counts a failed write."""
        self._audit_failures.inc()

    def watch_audit_queue(self, length: Callable[[], float]) -> None:
        """Reports the queue's length whenever metrics are read."""
        self._audit_length.set_function(length)

    def _count_observed(self, denial: Denial) -> None:
        key = (denial.reason, "" if denial.rule is None else denial.rule.policy)
        observed = self._by_observed.get(key)
        if observed is None:
            observed = self._observed.labels(denial.reason.value, key[1])
            self._by_observed[key] = observed
        observed.inc()
