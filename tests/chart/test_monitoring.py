"""Monitor, rules and runbooks: they fit each other, the operator, and the service's own metrics."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from deputize.adapters.telemetry import SourceKind, Telemetry
from deputize.core.reasons import Reason
from tests.chart.chart_objects import objects
from tests.chart.monitoring_objects import (
    ALL_ON,
    RUNBOOK_URL,
    TARGET,
    alerts,
    dashboard,
    monitoring_objects,
    panel_queries,
    rule_groups,
    rules,
    runbook_queries,
    runbooks,
)
from tests.docs.markdown_files import ROOT, Page
from tests.harness.helm import render
from tests.harness.kube_schemas import complaints
from tests.harness.prometheus import promtool

OF_OTHERS: dict[str, set[str]] = {
    "up": set(),
    "kube_pod_container_status_ready": {"container"},
    "process_cpu_seconds_total": set(),
    "process_resident_memory_bytes": set(),
    "process_open_fds": set(),
}
"""Metrics of Prometheus, kube-state-metrics and the Prometheus client, with their labels."""

VALUES: dict[str, set[str]] = {
    "reason": {reason.value for reason in Reason} - {Reason.POLICY_ALLOWED.value},
    "kind": {kind.value for kind in SourceKind},
    "result": {"loaded", "failed", "fetched", "written", "dropped"},
    "effect": {"allow", "deny"},
}
"""What labels can say, where that is fixed."""

_AUDIT_REFERENCE = ROOT / "docs/reference/audit-event.md"
_NAME = re.compile(r"\b(?:deputize_|process_|python_|kube_)\w+|\bup\b")
_MATCHER = re.compile(r'(\w+)(?:=~|=|!=|!~)"((?:[^"\\]|\\.)*)"')
_GROUPING = re.compile(r"\bby \(([^)]*)\)")
_CHOICE = re.compile(r"(.*)\((.*)\)")


@pytest.mark.parametrize("shape", ["deployment", "daemonset", "sidecar"])
def test_objects_are_valid(shape: str) -> None:
    made = monitoring_objects(shape=shape)
    monitor = "PodMonitor" if shape == "sidecar" else "ServiceMonitor"
    assert made.keys() == {monitor, "PrometheusRule", "ConfigMap"}
    assert [complaint for each in made.values() for complaint in complaints(each)] == []


def test_nothing_is_made_unless_it_is_asked_for() -> None:
    kinds = {each["kind"] for each in render({})}
    assert not kinds & {"ServiceMonitor", "PodMonitor", "PrometheusRule"}


def test_the_monitor_finds_the_service() -> None:
    monitor = monitoring_objects()["ServiceMonitor"]["spec"]
    (service,) = (each for each in render(ALL_ON) if each["kind"] == "Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    ports = {port["name"] for port in service["spec"]["ports"]}
    assert {endpoint["port"] for endpoint in monitor["endpoints"]} <= ports


def test_metrics_can_be_read_with_a_certificate_of_the_mesh() -> None:
    files = {"caFile": "/certs/ca.pem", "certFile": "/certs/c.pem", "keyFile": "/certs/key.pem"}
    section = {"enabled": True, "relabelings": [{"action": "labeldrop", "regex": "instance"}]}
    section |= {"tlsConfig": files | {"insecureSkipVerify": True}}
    made = render({"monitoring": {"serviceMonitor": section}})
    (monitor,) = (each for each in made if each["kind"] == "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["scheme"] == "https"
    assert files.items() <= endpoint["tlsConfig"].items()
    assert complaints(monitor) == []


def test_labels_limits_and_places_come_from_the_values() -> None:
    labels = {"release": "prometheus"}
    values = {"enabled": True, "labels": labels, "limits": {"replays": 77}}
    monitoring = {"monitoring": {"prometheusRule": values}}
    made = render(monitoring, name="orders", namespace="shop")
    (rule,) = (each for each in made if each["kind"] == "PrometheusRule")
    assert labels.items() <= rule["metadata"]["labels"].items()
    text = yaml.safe_dump(rule["spec"], width=1000)
    assert "> 77" in text
    assert "${" not in text
    assert 'namespace="shop",job="orders-deputize"' in text
    assert 'namespace="deputize"' not in text


def test_rules_pass_the_lint_of_prometheus(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": rule_groups()}))
    promtool("check", "rules", "--lint-fatal", "rules.yaml", folder=tmp_path)


def test_every_alert_leads_to_its_runbook() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert page == RUNBOOK_URL
        assert anchor == rule["alert"].lower()
        assert anchor in runbooks().anchors


def test_nobody_is_sent_to_a_page_that_is_not_named() -> None:
    nowhere = {"monitoring": {"prometheusRule": {"enabled": True}}}
    (made,) = objects(nowhere, "PrometheusRule")
    told = [rule for group in made["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    assert len(told) == len(alerts())
    for rule in told:
        assert rule["annotations"].keys() == {"summary", "description"}


def test_every_runbook_is_of_an_alert_and_has_all_its_parts() -> None:
    sections = runbooks().text.split("\n## Deputize")[1:]
    names = [f"Deputize{section.partition(chr(10))[0]}" for section in sections]
    assert names == list(dict.fromkeys(rule["alert"] for rule in alerts()))
    for section in sections:
        parts = re.findall(r"^\*\*([\w ]+)\.\*\*", section, re.MULTILINE)
        assert parts == ["Means", "How bad", "First look", "Causes", "Mend"], section[:40]


def test_queries_name_what_there_is() -> None:
    queries = [rule["expr"] for rule in rules()]
    queries += [query for _, query in panel_queries()]
    queries += [each["expr"] for each in dashboard()["annotations"]["list"]]
    queries += runbook_queries()
    known = _own_metrics() | OF_OTHERS
    for query in queries:
        names = set(_NAME.findall(query))
        assert names or "deputize:" in query, query
        assert names <= known.keys(), query
        labels = TARGET.keys() | {label for name in names for label in known[name]}
        groupings = [by.split(", ") for by in _GROUPING.findall(query)]
        assert {label for grouping in groupings for label in grouping} <= labels, query
        for label, value in _MATCHER.findall(query):
            assert label in labels, query
            assert not _unknown(label, value), query


def test_commands_of_runbooks_ask_for_what_events_have() -> None:
    members = set(re.findall(r"^\| `([\w.]+)`", _AUDIT_REFERENCE.read_text(), re.MULTILINE))
    shown = "".join(block.text for block in runbooks().blocks if block.language == "bash")
    asked = re.findall(r"events '(.*?)'|select\(\$1\) \| \[(.*?)\]", shown)
    assert len(asked) > 1
    names = {name for parts in asked for name in re.findall(r"(?<!\w)\.([a-z_.]+)", "".join(parts))}
    assert names <= members
    reasons = {name for parts in asked for name in re.findall(r'== "(.*?)"', "".join(parts))}
    assert reasons <= VALUES["reason"]


def test_shown_values_are_good() -> None:
    page = ROOT / "docs/monitoring.md"
    shown = [block for block in Page(page, page.read_text()).blocks if block.language == "yaml"]
    assert len(shown) > 1
    for block in shown:
        made = render(yaml.safe_load(block.text))
        assert "ServiceMonitor" in {each["kind"] for each in made}
        assert [complaint for each in made for complaint in complaints(each)] == []


@pytest.mark.parametrize("account", ["", "prometheus"])
def test_in_a_strict_mesh_only_who_is_outside_reads_plainly(account: str) -> None:
    reader = {"namespace": "monitoring"} | ({"serviceAccount": account} if account else {})
    made = render({"istio": {"enabled": True}, "monitoring": {"from": [reader]}})
    (peers,) = (each["spec"] for each in made if each["kind"] == "PeerAuthentication")
    assert peers["mtls"] == {"mode": "STRICT"}
    plain = {"8080": {"mode": "PERMISSIVE"}}
    assert peers.get("portLevelMtls", {}) == ({} if account else plain)


def _own_metrics() -> dict[str, set[str]]:
    """Every name of the service that a query can use, with its own labels."""
    known: dict[str, set[str]] = {}
    for collector in Telemetry("grpcio").registry._collector_to_names:
        if isinstance(collector, MetricWrapperBase):
            metric = next(iter(collector.describe()))
            labels = set(collector._labelnames)
            match metric.type:
                case "counter":
                    known[f"{metric.name}_total"] = labels
                case "histogram":
                    known[f"{metric.name}_bucket"] = labels | {"le"}
                    known[f"{metric.name}_sum"] = known[f"{metric.name}_count"] = labels
                case _:
                    known[metric.name] = labels
    return known


def _unknown(label: str, value: str) -> set[str]:
    """What a matcher names that the label never says, each alternative by itself."""
    if label not in VALUES:
        return set()
    chosen = _CHOICE.fullmatch(value)
    prefix, choice = (chosen[1], chosen[2]) if chosen else ("", value)
    named = {prefix + each for each in choice.split("|")}
    return {each for each in named if not any(re.fullmatch(each, one) for one in VALUES[label])}
