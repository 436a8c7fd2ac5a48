"""What a running service says of itself on its HTTP port."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from deputize.adapters.shown_url import show_url
from deputize.config.loader import Loaded
from deputize.doctor.findings import Code, Finding, Report, found_at
from deputize.doctor.http_look import LookError, look
from deputize.doctor.world import ASSUMED_SERVER, ASSUMED_TOKEN

_NO_METRICS = (ValueError, KeyError, IndexError, TypeError, OverflowError)
"""What its parser raises of texts that are none."""
_MOST_SHOWN = 300
"""Characters of one text of the service."""
_OBSERVING = "policyMode: observe"
_READY, _WAITING = 200, 503
_FEWEST = 100
"""Decisions before anything is said of their time."""
_SLOW_SHARE = 0.8
_QUANTILE = 0.99
_REFRESH_SECONDS = 300.0


class Readiness(NamedTuple):
    """What `/readyz` says."""

    waiting_for: list[str]
    warnings: list[str]
    digest: str


def ask_service(url: str, loaded: Loaded | None, report: Report) -> list[Sample] | None:
    """Adds what the service at `url` says; gives its metrics, None where it has none to give."""
    base = url.rstrip("/")
    try:
        answer = look(f"{base}/readyz")
    except LookError as error:
        report.add([found_at(base, Code.NO_ANSWER, f"/readyz: {error}")])
        return None
    readiness = _read(answer.body) if answer.status in {_READY, _WAITING} else None
    if readiness is None:
        cause = f"/readyz answered {answer.status}, and not as deputize does"
        report.add([found_at(base, Code.NO_ANSWER, cause)])
        return None
    report.checked.append(f"readiness of {base}")
    if loaded is not None and loaded.service.kubernetes is not None:
        report.unchecked.append(f"whether {base} uses these files: it uses objects beside them")
    report.add(_judge(readiness, base, loaded))
    report.add(find_skew(answer.skew, base, loaded))
    try:
        answer = look(f"{base}/metrics")
        samples = [
            sample
            for family in text_string_to_metric_families(answer.body.decode("utf-8"))
            for sample in family.samples
        ]
        report.add(find_in_metrics(samples, base, loaded))
    except LookError as error:
        report.add([found_at(base, Code.NO_ANSWER, f"/metrics: {error}")])
        return None
    except _NO_METRICS as error:
        cause = f"/metrics is not what Prometheus reads: {type(error).__name__}"
        report.add([found_at(base, Code.NO_ANSWER, cause)])
        return None
    report.checked.append(f"metrics of {base}")
    return samples


def find_skew(skew: float | None, where: str, loaded: Loaded | None) -> Iterator[Finding]:
    """A clock that differs from ours by more than tokens may."""
    allowed = (loaded.service.token if loaded else ASSUMED_TOKEN).clock_skew_seconds
    # The header has whole seconds, and came some time ago.
    if skew is not None and abs(skew) > allowed + 1:
        way = "ahead of" if skew > 0 else "behind"
        cause = f"its clock is {abs(skew):.0f} s {way} ours; {allowed} s are tolerated"
        yield found_at(where, Code.CLOCK_SKEW, cause)


def find_in_metrics(samples: list[Sample], where: str, loaded: Loaded | None) -> Iterator[Finding]:
    """What counters tell since the start."""
    failed = _sum(samples, "deputize_config_reloads_total", result="failed")
    if failed:
        yield found_at(where, Code.RELOADS_FAILED, f"{failed:.0f} since the start")
    dropped = _sum(samples, "deputize_audit_events_total", result="dropped")
    failures = _sum(samples, "deputize_audit_sink_failures_total")
    if dropped or failures:
        cause = f"{dropped:.0f} events lost, {failures:.0f} writes failed since the start"
        yield found_at(where, Code.AUDIT_LOST, cause)
    usual = _refresh_seconds(loaded)
    for sample in samples:
        if sample.name == "deputize_source_age_seconds":
            name = sample.labels.get("name", "")
            limit = 3 * usual.get(name, _REFRESH_SECONDS)
            # NaN is one that never came, of which `/readyz` tells.
            if sample.value > limit:
                cause = f"{sample.labels.get('kind', '')} of {name}: {sample.value:.0f} s old"
                yield found_at(where, Code.SOURCE_STALE, cause)
    yield from _slow(samples, where, loaded)


def _slow(samples: list[Sample], where: str, loaded: Loaded | None) -> Iterator[Finding]:
    name = "deputize_decision_duration_seconds"
    count = _sum(samples, f"{name}_count")
    server = loaded.service.server if loaded else ASSUMED_SERVER
    limit = server.decision_timeout_millis / 1000
    buckets = sorted(
        (float(sample.labels["le"]), sample.value)
        for sample in samples
        if sample.name == f"{name}_bucket" and "le" in sample.labels
    )
    if count < _FEWEST:
        return
    seconds = _quantile(buckets, count)
    if seconds >= _SLOW_SHARE * limit:
        cause = f"one of a hundred takes {seconds:.3g} s or longer; the limit is {limit:g} s"
        yield found_at(where, Code.DECISIONS_SLOW, cause)


def _quantile(buckets: list[tuple[float, float]], count: float) -> float:
    """As `histogram_quantile` has it: within a bucket times are taken to be even."""
    rank, lower, before = _QUANTILE * count, 0.0, 0.0
    for upper, within in buckets:
        if within >= rank:
            share = (rank - before) / (within - before) if within > before else 0.0
            return lower if math.isinf(upper) else lower + (upper - lower) * share
        lower, before = upper, within
    return lower


def _judge(readiness: Readiness, where: str, loaded: Loaded | None) -> Iterator[Finding]:
    for text in readiness.waiting_for:
        yield found_at(where, Code.NOT_READY, text)
    for text in readiness.warnings:
        is_observing = text.startswith(_OBSERVING)
        code = Code.OBSERVE_MODE if is_observing else Code.SERVICE_WARNS
        yield found_at(where, code, text)
    # Objects are a part of what it uses, and not of what was given.
    is_whole = loaded is not None and loaded.service.kubernetes is None
    if loaded is not None and is_whole and readiness.digest not in {"", loaded.digest}:
        cause = f"it uses {readiness.digest[:12]}, the files given here are {loaded.digest[:12]}"
        yield found_at(where, Code.OTHER_CONFIG, cause)


def _read(body: bytes) -> Readiness | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    waiting, warnings = value.get("waiting_for"), value.get("warnings")
    if not isinstance(waiting, list) or not isinstance(warnings, list):
        return None
    digest = str(value.get("policy_digest", ""))
    return Readiness(_shown(waiting), _shown(warnings), digest)


def _shown(texts: list[object]) -> list[str]:
    return [str(text)[:_MOST_SHOWN] for text in texts]


def _refresh_seconds(loaded: Loaded | None) -> dict[str, float]:
    """How often each source is fetched, by the name its metric has."""
    if loaded is None:
        return {}
    service = loaded.service
    usual = {entry.issuer: float(entry.keys.refresh_seconds) for entry in service.issuers}
    usual |= {each.trust_domain: float(each.refresh_seconds) for each in service.peer.bundles}
    for each in service.deny_lists:
        usual[each.file or show_url(each.url or "")] = float(each.refresh_seconds)
    return usual


def _sum(samples: list[Sample], name: str, **labels: str) -> float:
    return sum(
        sample.value
        for sample in samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
