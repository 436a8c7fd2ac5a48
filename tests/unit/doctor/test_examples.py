"""What this project ships is sound: the chart however it is installed, and the examples.

The few that are not, by what they are for, are named with their finding. The examples of Istio are
examined in `tests/mesh/istio`, with all that they need.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deputize.doctor.findings import Code
from tests.chart.chart_cases import CASES
from tests.harness.helm import render
from tests.unit.doctor.test_manifests import examined, found

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "docs/examples"
GATEWAYS = sorted(path for path in (EXAMPLES / "gateways").iterdir() if path.name != "policies")

MEANT: dict[str, set[str]] = {
    "agentgateway": {Code.CACHE_UNAUDITED},
}


def codes(*paths: Path, sees: str = "") -> set[str]:
    """The codes found; with `sees` it must have looked at something so called."""
    words = [word for path in paths for word in ("--manifests", path)]
    report = examined(*words)
    assert any(sees in text for text in report["checked"])
    return {each["code"] for each in report["findings"]}


def write(objects: list[dict[str, object]], folder: Path) -> Path:
    file = folder / "chart.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    return file


@pytest.mark.parametrize("name", CASES)
def test_the_chart_however_it_is_installed(name: str, tmp_path: Path) -> None:
    assert codes(write(render(CASES[name]), tmp_path)) == MEANT.get(name, set())


@pytest.mark.parametrize("folder", GATEWAYS, ids=lambda folder: folder.name)
def test_the_examples_of_gateways_with_the_chart(folder: Path, tmp_path: Path) -> None:
    chart = write(render({}), tmp_path)
    assert codes(folder, chart, sees=" asks: ") == MEANT.get(folder.name, set())


def test_the_example_of_envoy() -> None:
    arguments = ("--config", EXAMPLES / "config.yaml", "--manifests", EXAMPLES / "envoy.yaml")
    assert found(*arguments) == []
