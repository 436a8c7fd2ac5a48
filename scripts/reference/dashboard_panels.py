"""The panels of the dashboard: each is a question in plain English, and its queries."""

from __future__ import annotations

from dataclasses import dataclass

from scripts.reference.dashboard_queries import increase, quantile, rate, refused, series


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: `queries` by the legend of what they give; `unit` as Grafana names it.

    `per_row` panels of its kind fit beside each other. From `limit` on its number is red.
    """

    title: str
    about: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    per_row: int = 3
    height: int = 8
    limit: float | None = None


def _stat(
    title: str, about: str, query: str, unit: str = "short", limit: float | None = None
) -> Panel:
    return Panel(title, about, {"": query}, unit, "stat", 6, 4, limit)


CHECKS = "deputize_decision_duration_seconds_count"
REFUSALS = "deputize_refusals_total"
DECISIONS = "deputize_decisions_total"
LOADED = "deputize_config_loaded_timestamp_seconds"

ROWS: dict[str, tuple[Panel, ...]] = {
    "At a glance": (
        _stat("Checks per second", "What the proxies ask.", rate(CHECKS), "reqps"),
        _stat(
            "Refused",
            "The share of checks that are refused, for whatever reason.",
            f"{rate(REFUSALS)} / {rate(CHECKS)}",
            "percentunit",
        ),
        _stat(
            "Faults of ours",
            "The share of checks refused with system.*: nothing the caller can mend.",
            f"""{rate(REFUSALS, where='reason=~"system[.].+"')} / {rate(CHECKS)}""",
            "percentunit",
            0.001,
        ),
        _stat("Slowest of a hundred", "99th percentile of decisions.", quantile(0.99), "s", 0.1),
        _stat(
            "Replicas",
            "How many answer Prometheus.",
            f"sum({series('deputize_build_info')})",
        ),
        _stat(
            "Oldest configuration",
            "Since the replica that is furthest behind has loaded what it uses.",
            f"max(time() - {series(LOADED)})",
            "s",
        ),
    ),
    "Decisions": (
        Panel(
            "Outcome",
            "Allowed and refused checks per second.",
            {"{{effect}}": rate(DECISIONS, "effect")},
            "reqps",
        ),
        Panel(
            "Refusals by question",
            "The part of the reason before the dot: what is asked, who are you, whom do you "
            "represent, show the mandate, is it good for this case; system is our side.",
            {"{{family}}": rate(DECISIONS, "family", where='effect="deny"')},
            "reqps",
        ),
        Panel(
            "Refusals by reason",
            "The ten most frequent. The reason codes of the documentation say what to do.",
            {"{{reason}}": f"topk(10, {rate(REFUSALS, 'reason')} > 0)"},
            "reqps",
        ),
        Panel(
            "Rules that decide",
            "The ten rules that decide most often; empty where no rule matched.",
            {"{{effect}} {{rule}}": f"topk(10, {rate(DECISIONS, 'effect', 'rule')})"},
            "reqps",
        ),
        Panel(
            "Let pass by observe mode",
            "Allowed checks that would be refused, were everything enforced.",
            {"{{policy}} {{reason}}": rate("deputize_observed_denials_total", "policy", "reason")},
            "reqps",
        ),
        Panel(
            "Worth a look",
            "How often in the shown time: signs of stolen, forged or repeated tokens, and of "
            "agents that were stopped.",
            {
                "token in the wrong hands": refused("delegation.actor_mismatch"),
                "bad signature": refused("token.bad_signature"),
                "used again": refused("token.replayed"),
                "revoked": refused("token.revoked"),
                "stopped agent": refused("peer.suspended|delegation.member_refused"),
                "approval that does not hold": refused("policy.approval_invalid"),
            },
            kind="bargauge",
        ),
    ),
    "Time": (
        Panel(
            "How long decisions take",
            "Brighter is more frequent.",
            {"{{le}}": increase("deputize_decision_duration_seconds_bucket", "le")},
            "s",
            "heatmap",
        ),
        Panel(
            "Percentiles",
            "Near the decision timeout, system.deadline follows.",
            {"half": quantile(0.5), "90 %": quantile(0.9), "99 %": quantile(0.99)},
            "s",
        ),
        Panel(
            "Checks under way",
            "On average at one moment, by replica. Near the number of threads, checks wait.",
            {"{{pod}}": rate("deputize_decision_duration_seconds_sum", "pod")},
        ),
    ),
    "Keys, lists and bundles": (
        Panel(
            "Age",
            "Since the last good fetch, of the replica that is furthest behind. Status lists have "
            "none.",
            {"{{kind}} {{name}}": f"max by (kind, name) ({series('deputize_source_age_seconds')})"},
            "s",
        ),
        Panel(
            "Fetches that failed",
            "Per second. The readiness page of a replica says why.",
            {
                "{{kind}} {{name}}": rate(
                    "deputize_source_fetches_total", "kind", "name", where='result="failed"'
                )
            },
            "ops",
        ),
        Panel(
            "Refused for want of them",
            "How often in the shown time.",
            {
                "keys": refused("system.keys_unavailable"),
                "lists, introspection, replay store": refused("system.status_unavailable"),
            },
            kind="bargauge",
        ),
    ),
    "Configuration": (
        Panel(
            "Reloads",
            "A failed one changes nothing: the old configuration stays in use.",
            {"{{result}}": increase("deputize_config_reloads_total", "result")},
        ),
        Panel(
            "Rules in use",
            "Replicas that differ have loaded different files.",
            {"{{pod}}": series("deputize_rules")},
        ),
        Panel(
            "Loaded",
            "How long ago, by replica. The digest of what is loaded is on the readiness page and "
            "in each audit event.",
            {"{{pod}}": f"time() - {series(LOADED)}"},
            "s",
        ),
    ),
    "Audit": (
        Panel(
            "Waiting events",
            "In the queue, by replica. A full queue refuses or loses, as onFailure says.",
            {"{{pod}}": series("deputize_audit_queue_length")},
        ),
        Panel(
            "Events",
            "Per second, written and lost.",
            {"{{result}}": rate("deputize_audit_events_total", "result")},
            "ops",
        ),
        Panel(
            "Failed writes",
            "Per second, by replica; the events are kept and written again.",
            {"{{pod}}": rate("deputize_audit_sink_failures_total", "pod")},
            "ops",
        ),
    ),
    "Single use, budgets, approvals": (
        Panel(
            "Remembered uses",
            "In memory, by replica; zero where the replay store is Redis.",
            {"{{pod}}": series("deputize_replay_entries")},
        ),
        Panel(
            "Used again",
            "Tokens and proofs per second that came a second time.",
            {"{{reason}}": rate(REFUSALS, "reason", where='reason="token.replayed"')},
            "reqps",
        ),
        Panel(
            "Asked for more",
            "Refusals per second that a budget, a login or an approval would lift.",
            {
                "{{reason}}": rate(
                    REFUSALS,
                    "reason",
                    where='reason=~"policy.(budget_exhausted|step_up_required|approval_required)"',
                )
            },
            "reqps",
        ),
    ),
    "Process": (
        Panel(
            "Processor",
            "Cores in use, by replica. Python decides on one core at a time.",
            {"{{pod}}": rate("process_cpu_seconds_total", "pod")},
        ),
        Panel(
            "Memory",
            "Resident, by replica.",
            {"{{pod}}": series("process_resident_memory_bytes")},
            "bytes",
        ),
        Panel(
            "Open files",
            "With connections, by replica.",
            {"{{pod}}": series("process_open_fds")},
        ),
    ),
}
