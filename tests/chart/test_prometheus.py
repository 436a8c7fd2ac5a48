"""A real Prometheus scrapes a real service: every query of rules, dashboard and runbooks works."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from deputize.core.reasons import Reason
from tests.chart.monitoring_objects import (
    TARGET,
    dashboard,
    panel_queries,
    rule_groups,
    runbook_queries,
)
from tests.harness.check_message import make_check
from tests.harness.live import Live, running_live
from tests.harness.polling import wait_until
from tests.harness.prometheus import PrometheusServer

SECONDS = 15
WITHOUT_DATA = {"Let pass by observe mode"}
"""Panels that are empty as long as nothing of their kind happens."""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """It has scraped a service that allows and refuses."""
    folder = tmp_path_factory.mktemp("prometheus")
    with running_live(folder / "service") as live:
        target = live.process.http_url.removeprefix("http://")
        with PrometheusServer(folder, target, TARGET, {"groups": rule_groups()}) as server:
            # What was counted before the first sample is no increase.
            wait_until(lambda: server.query("up == 1"), SECONDS, "a sample")
            _cause_decisions(live)
            counted = 'count_over_time(deputize_decisions_total{effect="deny"}[1m]) > 1'
            wait_until(lambda: server.query(counted), SECONDS, "samples")
            yield server


def test_rules_are_evaluated(prometheus: PrometheusServer) -> None:
    wait_until(lambda: all(rule["health"] != "unknown" for rule in prometheus.rules()), SECONDS)
    assert [rule for rule in prometheus.rules() if rule["health"] != "ok"] == []
    wait_until(lambda: prometheus.query("deputize:decision_seconds:p99_5m > 0"), SECONDS)


def test_panels_show_something(prometheus: PrometheusServer) -> None:
    empty = {title for title, query in panel_queries() if not prometheus.query(_filled(query))}
    assert empty == WITHOUT_DATA


def test_queries_of_runbooks_are_answered(prometheus: PrometheusServer) -> None:
    assert runbook_queries()
    for query in runbook_queries():
        prometheus.query(query)


def test_the_dashboard_chooses_among_what_there_is(prometheus: PrometheusServer) -> None:
    variables = {each["name"]: each for each in dashboard()["templating"]["list"]}
    assert variables.keys() == {"datasource", "namespace", "pod"}
    for name in ("namespace", "pod"):
        asked = re.fullmatch(r"label_values\((.*), (\w+)\)", variables[name]["definition"])
        assert asked is not None
        assert asked[2] == name
        (found,) = prometheus.query(_filled(asked[1]))
        assert found["metric"][name] == TARGET[name]


def _cause_decisions(live: Live) -> None:
    """One check is allowed, one is refused by policy, one has no token."""
    assert live.ask().reason == Reason.POLICY_ALLOWED
    assert live.ask(live.check(path="/v1/secrets")).reason == Reason.POLICY_NO_MATCH
    assert live.ask(make_check(None).SerializeToString()).reason == Reason.TOKEN_MISSING


def _filled(query: str) -> str:
    """As Grafana sends it."""
    filled = query.replace("$namespace", TARGET["namespace"]).replace("$pod", TARGET["pod"])
    filled = filled.replace("$__rate_interval", "1m").replace("$__range", "5m")
    assert "$" not in filled
    return filled
