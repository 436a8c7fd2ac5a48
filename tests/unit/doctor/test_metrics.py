"""What counters tell: those of a real registry, as a service writes them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from deputize.adapters.telemetry import SourceKind, Telemetry
from deputize.core.decide import refuse
from deputize.core.reasons import Reason
from deputize.core.verdict import Denial
from deputize.doctor.findings import Code
from deputize.doctor.live_http import find_in_metrics
from tests.harness.world import ISSUER_URL, NOW


def decide(telemetry: Telemetry, seconds: float, times: int) -> None:
    decision = refuse("d", Denial(reason=Reason.TOKEN_MISSING, detail=""), NOW, "")
    for _ in range(times):
        telemetry.count_decision(decision, seconds)


def slow(telemetry: Telemetry) -> None:
    decide(telemetry, 0.2, 5)


FAULTS: dict[Callable[[Telemetry], object], Code] = {
    lambda telemetry: telemetry.count_reload(loaded_at=None, rules=0): Code.RELOADS_FAILED,
    lambda telemetry: telemetry.count_audit_dropped(): Code.AUDIT_LOST,
    lambda telemetry: telemetry.count_audit_failure(): Code.AUDIT_LOST,
    lambda telemetry: telemetry.watch_age(SourceKind.KEYS, ISSUER_URL, lambda: 901.0): (
        Code.SOURCE_STALE
    ),
    slow: Code.DECISIONS_SLOW,
}


def read(telemetry: Telemetry) -> list[Sample]:
    text = generate_latest(telemetry.registry).decode()
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def working() -> Telemetry:
    telemetry = Telemetry("grpcio")
    telemetry.count_reload(loaded_at=NOW, rules=1)
    telemetry.count_audit_written(200)
    telemetry.watch_age(SourceKind.BUNDLE, "prod.example.org", lambda: 300.0)
    telemetry.watch_age(SourceKind.KEYS, "https://new.example", lambda: float("nan"))
    decide(telemetry, 0.001, 200)
    return telemetry


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_gives_its_code_and_no_other(fault: Callable[[Telemetry], object]) -> None:
    telemetry = working()
    fault(telemetry)
    found = find_in_metrics(read(telemetry), "here", None)
    assert {each.code for each in found} == {FAULTS[fault]}


def test_a_service_that_works_is_silent() -> None:
    assert list(find_in_metrics(read(working()), "here", None)) == []


def test_a_few_slow_checks_say_nothing() -> None:
    telemetry = Telemetry("grpcio")
    decide(telemetry, 1.0, 99)
    assert list(find_in_metrics(read(telemetry), "here", None)) == []
