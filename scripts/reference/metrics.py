"""The reference of the metrics, from the registry the service itself uses."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from deputize.adapters.telemetry import SourceKind, Telemetry
from scripts.reference.markdown import page, table

_SOURCE = "`src/deputize/adapters/telemetry.py`"
_INTRODUCTION = """\
`/metrics` on the HTTP port gives these in the Prometheus text format, and besides them the
`process_*` and `python_gc_*` metrics of the Prometheus client.

No label takes a value from a request: labels are bounded by the reason codes, the loaded rules and
the configured sources. The page on [operations](../operations.md#metrics-to-alert-on) says which
to alert on."""
_LABELS = {
    "effect": "`allow`, `deny`",
    "family": "the part of the reason code before the dot",
    "rule": "`<policy>/<rule>` of the determining rule, empty where none did",
    "reason": "the reason code of a refusal",
    "policy": "the policy of the rule that would have refused, empty where no rule matched",
    "kind": ", ".join(f"`{kind.value}`" for kind in SourceKind),
    "name": "the issuer of a key set or status list, the trust domain of a bundle, the file or URL "
    "of a deny list, `<namespace>/<kinds>` of objects",
    "version": "the version of the package",
    "transport": "`grpcio`, `native`",
}
_RESULTS = {
    "deputize_config_reloads_total": "`loaded`, `failed`",
    "deputize_source_fetches_total": "`fetched`, `failed`",
    "deputize_audit_events_total": "`written`, `dropped`",
}


def generate(_root: Path) -> dict[Path, bytes]:
    """The page."""
    rows = sorted(
        _row(collector)
        for collector in Telemetry("grpcio").registry._collector_to_names  # noqa: SLF001 - no other
        if isinstance(collector, MetricWrapperBase)
    )
    parts = [_INTRODUCTION, table(("Name", "Type", "Labels", "Meaning"), rows)]
    return page("metrics.md", "Metrics", _SOURCE, parts)


def _row(collector: MetricWrapperBase) -> tuple[str, str, str, str]:
    metric = next(iter(collector.describe()))
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    labels = [
        f"`{label}`: {_RESULTS[name] if label == 'result' else _LABELS[label]}"
        for label in collector._labelnames  # noqa: SLF001 - there is no public way to them
    ]
    return f"`{name}`", metric.type, "; ".join(labels), metric.documentation
