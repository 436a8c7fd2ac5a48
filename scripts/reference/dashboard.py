"""The Grafana dashboard of the chart, from a table of panels.

Rules of this file:
- A panel is a question in plain English, and one or two queries; Grafana's defaults say the rest.
- Places follow from the order: rows from top to bottom, panels from left to right.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.reference.dashboard_panels import ROWS, Panel
from scripts.reference.dashboard_queries import series

_FILE = Path("charts/deputize/files/dashboard.json")
_SCHEMA_VERSION = 39
"""Of Grafana 11; later ones migrate it when they load it."""
_GRID_COLUMNS = 24
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

Json = dict[str, Any]

_NUMBER: Json = {"reduceOptions": {"calcs": ["lastNotNull"]}}
_OPTIONS: dict[str, Json] = {
    "stat": _NUMBER,
    "bargauge": _NUMBER | {"orientation": "horizontal", "displayMode": "basic"},
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "heatmap": {
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Oranges"},
        "yAxis": {"unit": "s"},
    },
}
_NUMBERS = frozenset({"stat", "bargauge"})
"""Kinds that show the whole time as one number, and not its course."""


def generate(_root: Path) -> dict[Path, bytes]:
    """The dashboard."""
    dashboard = {
        "uid": "deputize",
        "title": "deputize",
        "description": "What deputize decides, why it refuses, and how it is.",
        "tags": ["deputize"],
        "schemaVersion": _SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": _variables()},
        "annotations": {"list": [_config_changes()]},
        "panels": [
            panel | {"id": number} for number, panel in enumerate(_placed_panels(), start=1)
        ],
    }
    text = json.dumps(dashboard, indent=2, ensure_ascii=False)
    return {_FILE: f"{text}\n".encode()}


def _placed_panels() -> Iterator[Json]:
    top = 0
    for title, panels in ROWS.items():
        yield {
            "type": "row",
            "title": title,
            "collapsed": False,
            "gridPos": {"x": 0, "y": top, "w": _GRID_COLUMNS, "h": 1},
            "panels": [],
        }
        top += 1
        left = 0
        for panel in panels:
            width = _GRID_COLUMNS // panel.per_row
            if left + width > _GRID_COLUMNS:
                left, top = 0, top + panel.height
            yield _panel(panel) | {"gridPos": {"x": left, "y": top, "w": width, "h": panel.height}}
            left += width
        top += panels[-1].height


def _panel(panel: Panel) -> Json:
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _DATASOURCE,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, **_colours(panel)},
            "overrides": [],
        },
        "options": _OPTIONS[panel.kind],
        "targets": [
            _target(panel.kind, chr(ord("A") + position), legend, query)
            for position, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def _colours(panel: Panel) -> Json:
    """Of a number; without them Grafana makes everything above 80 red."""
    if panel.kind not in _NUMBERS:
        return {}
    steps: list[Json] = [{"value": None, "color": "blue"}]
    if panel.limit is not None:
        steps.append({"value": panel.limit, "color": "red"})
    return {"color": {"mode": "thresholds"}, "thresholds": {"mode": "absolute", "steps": steps}}


def _target(kind: str, ref: str, legend: str, query: str) -> Json:
    return {
        "refId": ref,
        "datasource": _DATASOURCE,
        "expr": query,
        "legendFormat": legend,
        "format": "heatmap" if kind == "heatmap" else "time_series",
        "instant": kind in _NUMBERS,
        "range": kind not in _NUMBERS,
    }


def _variables() -> list[Json]:
    """Data source, namespace and pods, each chosen among what there is."""
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
        _variable("namespace", "Namespace", "label_values(deputize_build_info, namespace)"),
        _variable("pod", "Pod", 'label_values(deputize_build_info{namespace="$namespace"}, pod)')
        | {"multi": True, "includeAll": True, "current": {"text": "All", "value": "$__all"}},
    ]


def _variable(name: str, label: str, query: str) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
    }


def _config_changes() -> Json:
    """A mark in every graph where a replica has loaded something."""
    loaded = series("deputize_config_loaded_timestamp_seconds")
    return {
        "name": "Configuration loaded",
        "datasource": _DATASOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": f"changes({loaded}[1m]) > 0",
        "step": "60s",
        "titleFormat": "Configuration loaded",
        "textFormat": "{{pod}}",
    }
