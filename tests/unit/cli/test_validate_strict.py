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


def test_policies_are_checked_without_a_service(tmp_path: Path) -> None:
    write_world(tmp_path, policy=changed(POLICY, "[orders.example]", '["*"]'))
    (tmp_path / "policies" / "team").mkdir()
    (tmp_path / "policies" / "team" / "crm.yaml").write_text(POLICY)
    result = run("--policies", tmp_path / "policies")
    assert (result.exit_code, result.stdout) == (0, "valid: rules 1, without a service\n")
    assert result.stderr.count("crm.yaml is not read") == 1
    result = run("--policies", tmp_path / "policies" / "orders.yaml", "--strict")
    assert (result.exit_code, result.stderr.count("[broad]")) == (1, 1)
    assert result.stdout == "loads: rules 1, without a service, findings 1\n"
    ignored = run("--policies", tmp_path / "policies", "--strict", "--ignore", "broad")
    assert ignored.exit_code == 0


def test_lints_about_the_service_are_silent_without_one(tmp_path: Path) -> None:
    extra = "scopes: [x]\n      chain: {maxDepth: 9}\n      budget: {limit: 1, windowSeconds: 9}"
    write_world(tmp_path, policy=changed(POLICY, "scopes: [orders:read]", extra))
    assert run("--policies", tmp_path / "policies", "--strict").exit_code == 0


def test_policies_that_are_wrong_or_a_service_end_with_2(tmp_path: Path) -> None:
    config_file = write_world(tmp_path, policy=changed(POLICY, "[GET]", "[get]"))
    for path in (config_file, tmp_path / "policies", tmp_path / "nowhere"):
        assert run("--policies", path).exit_code == 2
    assert run("--policies", tmp_path / "policies", "--config", config_file).exit_code == 2
    assert run().exit_code == 2


def test_a_configuration_of_the_environment_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config_file = write_world(tmp_path, service=ISSUED, issuer=Issuer(ISSUER_URL))
    monkeypatch.setenv("DEPUTIZE_CONFIG", str(config_file))
    assert "issuers 1" in run().stdout
    assert "without a service" in run("--policies", tmp_path / "policies").stdout
