"""What Prometheus sees of a healthy service, and the changes that each raise alerts.

Series are as `promtool test rules` writes them, one value for each step: `0+5x60` begins at 0 and
grows by 5 sixty times, `0x9 1x50` is 0 ten times and then 1, `_` is a value that is not there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from deputize.core.reasons import Reason
from tests.chart.monitoring_objects import TARGET

Series = dict[str, str]
"""Values of series, by their names with labels."""


@dataclass(frozen=True, slots=True)
class Case:
    """A service that is healthy but for `changed`, looked at after `steps` of a minute, or longer.

    `firing` are the alerts that are raised then, and no others, each as `severity name window`;
    only burning budgets have windows.
    """

    name: str
    changed: Series = field(default_factory=dict)
    firing: tuple[str, ...] = ()
    steps: int = 30
    step: str = "1m"


def named(metric: str, **labels: str) -> str:
    """A metric with its labels."""
    return f"{metric}{{{','.join(f'{name}={json.dumps(text)}' for name, text in labels.items())}}}"


def scraped(metric: str, **labels: str) -> str:
    """The name of a series of the service, as Prometheus has it."""
    return named(metric, **(TARGET | labels))


def refused(reason: Reason) -> str:
    """The series of refusals for a reason."""
    return scraped("deputize_refusals_total", reason=reason.value)


def age(kind: str) -> str:
    """The age of the source of this kind."""
    return scraped("deputize_source_age_seconds", kind=kind, name="source")


def within(seconds: str) -> str:
    """The series of decisions made within this time."""
    return scraped("deputize_decision_duration_seconds_bucket", le=seconds)


UP = scraped("up")
READY = named(
    "kube_pod_container_status_ready", namespace="deputize", pod=TARGET["pod"], container="deputize"
)
CONFIG_PROBLEMS = scraped("deputize_config_problems")
FAILED_FETCHES = scraped(
    "deputize_source_fetches_total", kind="keys", name="source", result="failed"
)
REPLAY_ENTRIES = scraped("deputize_replay_entries")
SINK_FAILURES = scraped("deputize_audit_sink_failures_total")
DROPPED = scraped("deputize_audit_events_total", result="dropped")
OBSERVED = scraped("deputize_observed_denials_total", reason="policy.forbidden", policy="orders")
CHECKS = scraped("deputize_decision_duration_seconds_count")
ALLOWED = scraped("deputize_decisions_total", effect="allow", family="policy", rule="orders/read")

HEALTHY: Series = {
    UP: "1x300",
    READY: "1x300",
    CONFIG_PROBLEMS: "0x300",
    FAILED_FETCHES: "0x300",
    REPLAY_ENTRIES: "100x300",
    SINK_FAILURES: "0x300",
    DROPPED: "0x300",
    CHECKS: "0+6000x300",
    ALLOWED: "0+5000x300",
    within("0.005"): "0+6000x300",
    within("0.1"): "0+6000x300",
    within("0.25"): "0+6000x300",
    within("+Inf"): "0+6000x300",
    age("keys"): "290x300",
    age("bundle"): "290x300",
    age("deny-list"): "29x300",
    age("kubernetes"): "49x300",
    **{refused(reason): "0x300" for reason in Reason if reason is not Reason.POLICY_ALLOWED},
    # What callers do wrong every day is for nobody to be told of.
    refused(Reason.TOKEN_EXPIRED): "0+60x300",
    refused(Reason.POLICY_NO_MATCH): "0+60x300",
    refused(Reason.DELEGATION_ACTOR_MISMATCH): "0x20 1x300",
    refused(Reason.TOKEN_BAD_SIGNATURE): "0x20 1x300",
    refused(Reason.TOKEN_REPLAYED): "0x20 1x300",
}


def _often(reason: Reason, firing: str) -> Case:
    return Case(f"{reason.value} again and again", {refused(reason): "0+3x300"}, (firing,))


CASES: tuple[Case, ...] = (
    Case("a healthy service"),
    Case("a healthy service after hours", steps=200),
    Case("no checks", {CHECKS: "0x300", within("0.005"): "0x300"}),
    # Of 6000 checks a minute 2 %, 0.9 %, 0.2 % with a budget of 0.1 %.
    Case(
        "many faults",
        {refused(Reason.SYSTEM_DEADLINE): "0+120x300"},
        ("critical DeputizeErrorBudgetBurn 1h",),
        steps=10,
    ),
    Case(
        "some faults",
        {refused(Reason.SYSTEM_KEYS_UNAVAILABLE): "0+54x300"},
        ("critical DeputizeErrorBudgetBurn 6h",),
    ),
    Case(
        "a few faults for long",
        {refused(Reason.SYSTEM_DEADLINE): "0+12x300"},
        ("warning DeputizeErrorBudgetBurn 3d",),
        steps=120,
    ),
    Case("many faults, over", {refused(Reason.SYSTEM_DEADLINE): "0+120x20 2400x300"}, steps=60),
    Case(
        "many faults of another release",
        {
            scraped(
                "deputize_refusals_total", namespace="other", reason="system.deadline"
            ): "0+9x99",
            scraped("deputize_decision_duration_seconds_count", namespace="other"): "0+9x99",
        },
    ),
    Case(
        "slow decisions",
        {within("0.005"): "0+3000x300", within("0.1"): "0+5900x300"},
        ("warning DeputizeSlow",),
    ),
    Case(
        "no replica answers",
        {UP: "1x9 0x300"},
        ("critical DeputizeDown", "warning DeputizeReplicaDown"),
    ),
    Case("no replica is known", {UP: "1x9 _x300"}, ("critical DeputizeDown",)),
    Case(
        "one of two answers",
        {scraped("up", pod="deputize-1"): "0x300"},
        ("warning DeputizeReplicaDown",),
    ),
    Case("not ready", {READY: "1x9 0x300"}, ("warning DeputizeNotReady",)),
    Case(
        "a wrong file",
        {CONFIG_PROBLEMS: "0x9 1x300"},
        ("warning DeputizeReloadFailed",),
    ),
    Case(
        "a wrong file, long ago",
        {CONFIG_PROBLEMS: "0x9 1x300"},
        ("warning DeputizeReloadFailed",),
        steps=90,
    ),
    Case("a wrong file, taken back", {CONFIG_PROBLEMS: "0x9 2x5 0x300"}),
    Case(
        "a bug",
        {refused(Reason.SYSTEM_INTERNAL): "0x9 1x300"},
        ("warning DeputizeInternalError",),
    ),
    Case("keys never came", {age("keys"): "NaN " * 40}, ("critical DeputizeSourceMissing",)),
    Case("old keys", {age("keys"): "0+60x300"}, ("warning DeputizeKeysStale",)),
    Case("an old bundle", {age("bundle"): "0+60x300"}, ("warning DeputizeBundleStale",)),
    Case("an old deny list", {age("deny-list"): "0+60x300"}, ("critical DeputizeDenyListStale",)),
    Case("old objects", {age("kubernetes"): "0+60x300"}, ("warning DeputizeObjectsStale",)),
    Case("fetches fail", {FAILED_FETCHES: "0+1x300"}, ("info DeputizeFetchFailing",)),
    Case("one fetch failed", {FAILED_FETCHES: "0x9 1x300"}),
    Case("many uses", {REPLAY_ENTRIES: "0+5000x300"}, ("warning DeputizeReplayStoreFilling",)),
    Case("the audit sink fails", {SINK_FAILURES: "0+6x300"}, ("critical DeputizeAuditFailing",)),
    Case("an event was lost", {DROPPED: "0x27 1x300"}, ("critical DeputizeAuditDropped",)),
    _often(Reason.SYSTEM_STATUS_UNAVAILABLE, "warning DeputizeStatusUnavailable"),
    _often(Reason.DELEGATION_ACTOR_MISMATCH, "warning DeputizeActorMismatch"),
    _often(Reason.TOKEN_BAD_SIGNATURE, "warning DeputizeBadSignatures"),
    _often(Reason.TOKEN_REPLAYED, "warning DeputizeReplays"),
    _often(Reason.PEER_SUSPENDED, "warning DeputizeStoppedAgentCalling"),
    _often(Reason.DELEGATION_MEMBER_REFUSED, "warning DeputizeStoppedAgentCalling"),
    _often(Reason.POLICY_APPROVAL_INVALID, "warning DeputizeApprovalsInvalid"),
    _often(Reason.POLICY_EVALUATION_ERROR, "warning DeputizeConditionsFail"),
    _often(Reason.REQUEST_BODY_TRUNCATED, "info DeputizeBodiesMissing"),
    _often(Reason.POLICY_BUDGET_EXHAUSTED, "info DeputizeBudgetExhausted"),
    Case(
        "observed for ten days",
        {OBSERVED: "0+10x300"},
        ("warning DeputizeObserving",),
        steps=240,
        step="1h",
    ),
    Case(
        "everything is refused, or nobody asks any more",
        {ALLOWED: "0+5000x230 1150000x70"},
        ("warning DeputizeNothingAllowed",),
        steps=240,
        step="1h",
    ),
    Case(
        "nobody has asked since the last start",
        {ALLOWED: "0+5000x230 _x70"},
        ("warning DeputizeNothingAllowed",),
        steps=240,
        step="1h",
    ),
    Case("as quiet as a week ago", {ALLOWED: "0+5000x60 300000x240"}, steps=240, step="1h"),
    Case("observed for a day", {OBSERVED: "0x215 0+10x300"}, steps=240, step="1h"),
)
