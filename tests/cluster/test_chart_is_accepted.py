"""Every way to install the chart, put before a real API server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chart.chart_cases import CASES
from tests.harness.api_server import ApiServer
from tests.harness.helm import render
from tests.harness.published_crds import OURS, definitions_of


@pytest.fixture(scope="module")
def server(api_server: ApiServer) -> ApiServer:
    """With the definitions of every project whose objects the chart makes, but ours."""
    with ThreadPoolExecutor(4) as pool:
        things = [each for case in pool.map(render, CASES.values()) for each in case]
    api_server.install_definitions(definitions_of(things))
    return api_server


@pytest.mark.parametrize("case", CASES)
def test_api_server_takes_every_object(server: ApiServer, case: str) -> None:
    assert [why for each in render(CASES[case]) if (why := server.would_refuse(each))] == []


def test_our_definitions_are_those_of_the_chart() -> None:
    rendered = render({**CASES["objects alone"]})
    names = {
        each["metadata"]["name"] for each in rendered if each["kind"] == "CustomResourceDefinition"
    }
    assert names == {f"{file.stem}.deputize.dev" for file in OURS.glob("*.yaml")}
