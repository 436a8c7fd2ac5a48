"""Healthy sets of manifests are silent, and each seeded fault gives its code and no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from deputize.cli.main import app
from tests.harness.config_files import changed

HERE = Path(__file__).parent
SETS = {file.stem: file for file in sorted((HERE / "healthy").iterdir())}
SEEDS: list[dict[str, str]] = yaml.safe_load((HERE / "seeds.yaml").read_text())
NEAR: list[dict[str, str]] = yaml.safe_load((HERE / "near.yaml").read_text())


def examined(*arguments: str | Path) -> dict[str, Any]:
    """What it says, as a program reads it."""
    words = ["doctor", *map(str, arguments), "--format", "json"]
    result = CliRunner().invoke(app, words)
    report: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (1 if report["findings"] else 0)
    return report


def found(*arguments: str | Path) -> list[dict[str, str]]:
    findings: list[dict[str, str]] = examined(*arguments)["findings"]
    return findings


@pytest.mark.parametrize("name", SETS)
def test_a_healthy_set_is_silent(name: str) -> None:
    assert found("--manifests", SETS[name]) == []


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"{seed['set']}-{seed['code']}")
def test_a_fault_gives_its_code_and_no_other(seed: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "manifests.yaml"
    file.write_text(changed(SETS[seed["set"]].read_text(), seed["old"], seed["new"]))
    findings = found("--manifests", file)
    assert {each["code"] for each in findings} == {seed["code"]}
    assert all(each["where"].startswith(f"{file}:") for each in findings)


@pytest.mark.parametrize("change", NEAR, ids=lambda change: f"{change['set']}-{change['why']}")
def test_what_is_near_to_a_fault_is_silent(change: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "manifests.yaml"
    file.write_text(changed(SETS[change["set"]].read_text(), change["old"], change["new"]))
    assert found("--manifests", file) == []


def test_an_autoscaler_makes_replicas_too(tmp_path: Path) -> None:
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "deputize", "namespace": "deputize"},
        "spec": {"scaleTargetRef": {"name": "deputize"}, "maxReplicas": 3},
    }
    text = changed(SETS["istio"].read_text(), "  replicas: 2\n", "")
    redis = "      replay: {store: redis, urlFile: /etc/deputize/redis/url}\n"
    file = tmp_path / "manifests.yaml"
    file.write_text(f"{changed(text, redis, '')}\n---\n{json.dumps(scaler)}\n")
    assert [each["code"] for each in found("--manifests", file)] == ["memory-with-replicas"]
