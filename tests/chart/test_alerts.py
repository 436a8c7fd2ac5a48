"""Each alert is raised by what it is for and by nothing else, as `promtool` evaluates the rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.chart.alert_cases import CASES, HEALTHY, Case, named
from tests.chart.monitoring_objects import alerts, rule_groups
from tests.harness.prometheus import promtool

_SHOWN = ("severity", "alertname", "window")
_STEP_SECONDS = {"1m": 60, "1h": 3600}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_alert_is_raised_by_its_case_only(case: Case, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": rule_groups()}))
    (tmp_path / "test.yaml").write_text(json.dumps(_as_test(case)))
    promtool("test", "rules", "test.yaml", folder=tmp_path)


def test_every_alert_is_raised_by_a_case() -> None:
    labels = [rule["labels"] | {"alertname": rule["alert"]} for rule in alerts()]
    raised = {" ".join(each[name] for name in _SHOWN if name in each) for each in labels}
    assert raised == {firing for case in CASES for firing in case.firing}


def _as_test(case: Case) -> dict[str, Any]:
    """The case as `promtool` reads it."""
    return {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": case.step,
        "tests": [
            {
                "interval": case.step,
                "input_series": [
                    {"series": series, "values": values}
                    for series, values in (HEALTHY | case.changed).items()
                ],
                "promql_expr_test": [
                    {
                        "expr": f"group by ({', '.join(_SHOWN)}) (ALERTS{{alertstate='firing'}})",
                        "eval_time": f"{case.steps * _STEP_SECONDS[case.step]}s",
                        "exp_samples": [_sample(firing) for firing in case.firing],
                    }
                ],
            }
        ],
    }


def _sample(firing: str) -> dict[str, Any]:
    labels = dict(zip(_SHOWN, firing.split(), strict=False))
    return {"labels": named("", **labels), "value": 1}
