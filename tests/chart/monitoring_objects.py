"""What the chart makes for monitoring, and every query in it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from tests.docs.markdown_files import ROOT, Page
from tests.harness.helm import render

RUNBOOK_URL = "https://ops.example/docs/runbooks.md"
ALL_ON: dict[str, Any] = {
    "monitoring": {
        "serviceMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True, "runbookUrl": RUNBOOK_URL},
        "dashboard": {"enabled": True},
    },
}
NAMES = {"ServiceMonitor": "", "PodMonitor": "", "PrometheusRule": "", "ConfigMap": "-dashboard"}
"""Kinds of our objects, with what their names end with."""

TARGET = {"namespace": "deputize", "job": "deputize", "pod": "deputize-0"}
"""Labels that a monitor gives what it scrapes."""


def monitoring_objects(**values: object) -> dict[str, dict[str, Any]]:
    """The objects by their kind, with further values."""
    return {
        each["kind"]: each
        for each in render(ALL_ON | values)
        if each["metadata"]["name"] == f"deputize{NAMES.get(each['kind'], ' is none of them')}"
    }


@cache
def rule_groups() -> list[dict[str, Any]]:
    """The groups of rules, as Prometheus reads them."""
    groups: list[dict[str, Any]] = monitoring_objects()["PrometheusRule"]["spec"]["groups"]
    return groups


def rules() -> list[dict[str, Any]]:
    """Every rule."""
    return [rule for group in rule_groups() for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """Every rule that raises an alert."""
    return [rule for rule in rules() if "alert" in rule]


@cache
def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    parsed: dict[str, Any] = json.loads(monitoring_objects()["ConfigMap"]["data"]["deputize.json"])
    return parsed


def panel_queries() -> list[tuple[str, str]]:
    """Each query of the dashboard, with the title of its panel."""
    return [
        (panel["title"], target["expr"])
        for panel in dashboard()["panels"]
        for target in panel.get("targets", ())
    ]


@cache
def runbooks() -> Page:
    """The page of the runbooks."""
    file = ROOT / "docs/runbooks.md"
    return Page(file, file.read_text(encoding="utf-8"))


def runbook_queries() -> list[str]:
    """Every query that is shown there."""
    return [block.text for block in runbooks().blocks if block.language == "promql"]
