from __future__ import annotations

import math
import time
from dataclasses import replace

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from deputize.adapters.telemetry import SourceKind, Telemetry
from deputize.core.decide import refuse
from deputize.core.reasons import Reason
from deputize.core.verdict import Denial
from tests.harness.world import (
    NOW,
    decide_now,
    make_forbid,
    make_request,
    make_rule,
    make_snapshot,
    shared_issuer,
)


def samples(registry: CollectorRegistry, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """The samples of one name by their labels, as a scraper reads them."""
    text = generate_latest(registry).decode()
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def test_decisions_are_counted_by_effect_family_and_rule() -> None:
    telemetry = Telemetry("grpcio")
    snapshot = make_snapshot(shared_issuer())
    token = shared_issuer().issue(now=NOW)
    for request in (make_request(token), make_request(token), make_request()):
        telemetry.count_decision(decide_now(request, snapshot), 0.001)
    assert samples(telemetry.registry, "deputize_decisions_total") == {
        (("effect", "allow"), ("family", "policy"), ("rule", "orders/read")): 2,
        (("effect", "deny"), ("family", "token"), ("rule", "")): 1,
    }
    assert samples(telemetry.registry, "deputize_decision_duration_seconds_count") == {(): 3}


def test_refusals_are_counted_by_reason_and_every_reason_has_its_series() -> None:
    telemetry = Telemetry("grpcio")
    telemetry.count_decision(
        refuse("d", Denial(reason=Reason.SYSTEM_DEADLINE, detail=""), NOW, ""), 0.001
    )
    refusals = samples(telemetry.registry, "deputize_refusals_total")
    assert {value for ((_, value),) in refusals} == set(Reason) - {Reason.POLICY_ALLOWED}
    assert refusals[("reason", "system.deadline"),] == 1


def test_observed_denials_are_counted_by_reason_and_policy() -> None:
    telemetry = Telemetry("grpcio")
    forbid = replace(make_forbid("trial/no-seven", "/v1/orders/7"), is_observed=True)
    snapshot = make_snapshot(shared_issuer(), rules=[make_rule(), forbid])
    open_world = replace(snapshot, policies=replace(snapshot.policies, is_observed=True))
    token = shared_issuer().issue(now=NOW)
    for path in ("/v1/orders/7", "/v1/orders/8", "/v1/orders/7"):
        telemetry.count_decision(decide_now(make_request(token, path=path), snapshot), 0.001)
    telemetry.count_decision(decide_now(make_request(token, path="/v2"), snapshot), 0.001)
    telemetry.count_decision(decide_now(make_request(token, path="/v2"), open_world), 0.001)
    assert samples(telemetry.registry, "deputize_observed_denials_total") == {
        (("policy", "trial"), ("reason", "policy.forbidden")): 2,
        (("policy", ""), ("reason", "policy.no_match")): 1,
    }


def test_what_requests_say_makes_no_series() -> None:
    telemetry = Telemetry("grpcio")
    snapshot = make_snapshot(shared_issuer())
    for number in range(50):
        token = shared_issuer().issue(
            now=NOW, subject=f"user-{number}", claims={"iss": f"https://i{number}.example"}
        )
        request = make_request(token, method=f"M{'X' * (number % 20)}", host=f"h{number}.example")
        telemetry.count_decision(decide_now(request, snapshot), 0.001)
    assert len(samples(telemetry.registry, "deputize_decisions_total")) == 1


def test_reloads_are_counted_by_result() -> None:
    telemetry = Telemetry("grpcio")
    telemetry.count_reload(loaded_at=5.0, rules=7)
    telemetry.count_reload(loaded_at=None, rules=0)
    assert samples(telemetry.registry, "deputize_config_reloads_total") == {
        (("result", "loaded"),): 1,
        (("result", "failed"),): 1,
    }
    assert samples(telemetry.registry, "deputize_rules") == {(): 7}
    assert samples(telemetry.registry, "deputize_config_loaded_timestamp_seconds") == {(): 5}


def test_a_source_that_is_forgotten_has_no_age() -> None:
    telemetry = Telemetry("grpcio")
    telemetry.watch_age(SourceKind.KEYS, "https://a.example", lambda: math.nan)
    telemetry.watch_age(SourceKind.KEYS, "https://b.example", lambda: 5.0)
    telemetry.forget_source(SourceKind.KEYS, "https://a.example")
    assert samples(telemetry.registry, "deputize_source_age_seconds") == {
        (("kind", "keys"), ("name", "https://b.example")): 5
    }


def test_fetches_are_counted_by_source_and_result() -> None:
    telemetry = Telemetry("grpcio")
    count = telemetry.fetch_counter(SourceKind.BUNDLE, "a.example")
    count(False)
    names = (("kind", "bundle"), ("name", "a.example"))
    assert samples(telemetry.registry, "deputize_source_fetches_total") == {
        (*names, ("result", "failed")): 1,
        (*names, ("result", "fetched")): 0,
    }


def test_audit_events_are_counted_by_result() -> None:
    telemetry = Telemetry("grpcio")
    telemetry.count_audit_written(3)
    telemetry.count_audit_dropped()
    telemetry.watch_audit_queue(lambda: 4)
    assert samples(telemetry.registry, "deputize_audit_events_total") == {
        (("result", "written"),): 3,
        (("result", "dropped"),): 1,
    }
    assert samples(telemetry.registry, "deputize_audit_queue_length") == {(): 4}


def test_all_names_are_ours_or_those_of_the_runtime() -> None:
    names = [family.name for family in Telemetry("grpcio").registry.collect()]
    assert all(name.startswith(("deputize_", "process_", "python_gc_")) for name in names)


def test_the_start_of_the_process_is_known() -> None:
    (started,) = samples(Telemetry("grpcio").registry, "process_start_time_seconds").values()
    assert started < time.time()
