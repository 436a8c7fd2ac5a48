"""`validate --strict`: what it prints and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deputize.cli.main import app
from tests.harness.config_files import POLICY, SERVICE, changed, line_of, write_world
from tests.harness.issuer import Issuer
from tests.harness.world import ISSUER_URL

TYPO = changed(POLICY, "[orders:read]", "[order:read]")
ISSUED = changed(SERVICE, "      keys:\n", "      issuedScopes: [orders:read]\n      keys:\n")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["validate", *(str(argument) for argument in arguments)])


def test_a_clean_policy_is_silent(tmp_path: Path) -> None:
    config_file = write_world(tmp_path, service=ISSUED, issuer=Issuer(ISSUER_URL))
    result = run("--config", config_file, "--strict")
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_lint_ends_with_1_and_names_the_place(tmp_path: Path) -> None:
    config_file = write_world(tmp_path, service=ISSUED, policy=TYPO, issuer=Issuer(ISSUER_URL))
    result = run("--config", config_file, "--strict")
    assert result.exit_code == 1
    place = f"{tmp_path / 'policies' / 'orders.yaml'}:{line_of(TYPO, 'order:read')}"
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"{place}: spec.rules[0].scopes[0]: [scope-never-issued] ")
    assert result.stdout.startswith("loads: ")
    assert result.stdout.endswith(", findings 1\n")


def test_places_are_named_as_the_configuration_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_world(tmp_path, service=ISSUED, policy=TYPO, issuer=Issuer(ISSUER_URL))
    monkeypatch.chdir(tmp_path)
    assert run("--config", "deputize.yaml", "--strict").stderr.startswith("policies/orders.yaml:")


@pytest.mark.parametrize("options", [[], ["--strict", "--ignore", "scope-never-issued"]])
def test_a_lint_that_is_not_asked_is_silent(tmp_path: Path, options: list[str]) -> None:
    config_file = write_world(tmp_path, service=ISSUED, policy=TYPO, issuer=Issuer(ISSUER_URL))
    result = run("--config", config_file, *options)
    assert (result.exit_code, result.stderr) == (0, "")


def test_an_invalid_configuration_still_ends_with_2(tmp_path: Path) -> None:
    config_file = write_world(tmp_path, policy=changed(POLICY, "[GET]", "[get]"))
    assert run("--config", config_file, "--strict").exit_code == 2


def test_an_unknown_lint_ends_with_2(tmp_path: Path) -> None:
    config_file = write_world(tmp_path)
    assert run("--config", config_file, "--strict", "--ignore", "shadow").exit_code == 2
