"""The cookbook: its policies are valid, its cases hold, and its pages show what is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from deputize.cli.main import app
from deputize.cli.policy_cases import load_suites
from deputize.cli.supposed_trust import named_domains, named_issuers, named_services
from deputize.config.policy_loader import load_policies
from deputize.config.strict_yaml import parse_documents
from tests.docs.howto_pages import (
    FOLDER,
    RECIPES,
    load_recipe,
    policy_text,
    recipe_page,
    render_refusal,
    shown_policies,
    shown_refusals,
)
from tests.docs.markdown_files import ROOT, Page

FEWEST_RECIPES = 12
SECTIONS = {"The policy", "What the agent sees", "Pitfalls"}

KNOWN_LINTS = {
    # As its page says: one replica, and an audit that is over.
    "daily-budget": ("budget-memory",),
    "temporary-access": ("unreachable",),
}

by_recipe = pytest.mark.parametrize("folder", RECIPES, ids=lambda folder: folder.name)


def test_there_are_recipes() -> None:
    assert len(RECIPES) >= FEWEST_RECIPES
    assert sorted(path for path in FOLDER.iterdir() if path.is_dir()) == RECIPES


@by_recipe
def test_a_page_shows_its_policy(folder: Path) -> None:
    assert shown_policies(recipe_page(folder)) == [policy_text(folder)]


@by_recipe
def test_a_page_shows_what_a_refused_agent_gets(folder: Path) -> None:
    shown = shown_refusals(recipe_page(folder))
    assert shown
    for name, text in shown:
        assert text == render_refusal(load_recipe(folder), name), name


@by_recipe
def test_a_page_has_all_its_parts(folder: Path) -> None:
    headings = re.findall(r"^## (.+)$", recipe_page(folder).text, re.MULTILINE)
    assert set(headings) >= SECTIONS
    assert "policy.test.yaml" in recipe_page(folder).links


@by_recipe
def test_the_index_names_a_page_by_its_title(folder: Path) -> None:
    title = recipe_page(folder).text.partition("\n")[0].removeprefix("# ")
    index = (FOLDER / "README.md").read_text()
    assert f"| [{title}]({folder.name}/README.md) |" in index


@by_recipe
def test_cases_are_allowed_and_refused(folder: Path) -> None:
    cases = load_recipe(folder).cases
    assert {case.expect.effect for case in cases} == {"allow", "deny"}
    assert all(case.expect.reason for case in cases if case.expect.effect == "deny")
    assert all(case.expect.rule for case in cases if case.expect.effect == "allow")


@by_recipe
def test_the_cases_hold_and_exercise_every_rule(folder: Path) -> None:
    done = CliRunner().invoke(app, ["test", str(folder), "--min-coverage", "100"])
    assert done.exit_code == 0, done.output


@by_recipe
def test_a_service_takes_the_policy_and_finds_nothing_odd(folder: Path, tmp_path: Path) -> None:
    ignored = [word for lint in KNOWN_LINTS.get(folder.name, ()) for word in ("--ignore", lint)]
    policies = load_policies(folder / "policy.yaml")
    keys = {"keys": {"file": str(ROOT / "docs/examples/jwks.json")}}
    services = [{"issuer": name, **keys} for name in sorted(named_services(policies))]
    config = {
        "apiVersion": "deputize.dev/v1alpha1",
        "kind": "ServiceConfig",
        "spec": {
            "server": {"grpc": {"listen": ["unix:/run/deputize.sock"]}},
            "peer": {"trustDomains": sorted(named_domains(policies))},
            "issuers": [
                {"issuer": name, "audiences": ["api"], **keys}
                for name in sorted(named_issuers(policies))
            ],
            "policies": [str(folder / "policy.yaml")],
            **({"approvals": {"services": services}} if services else {}),
        },
    }
    (tmp_path / "config.yaml").write_text(json.dumps(config))
    done = CliRunner().invoke(
        app, ["validate", "--config", str(tmp_path / "config.yaml"), "--strict", *ignored]
    )
    assert done.exit_code == 0, done.output
    assert done.output.startswith("valid: ")


@by_recipe
@pytest.mark.parametrize("name", ["policy.yaml", "policy.test.yaml"])
def test_files_fit_the_schema_they_name(folder: Path, name: str) -> None:
    file = folder / name
    first = file.read_text().partition("\n")[0]
    schema_file = (folder / first.rpartition("$schema=")[2]).resolve()
    (schema,) = parse_documents(schema_file.read_bytes(), schema_file.name)
    assert isinstance(schema.value, dict)
    for document in parse_documents(file.read_bytes(), name):
        jsonschema.validate(document.value, schema.value, jsonschema.Draft202012Validator)


def test_files_are_written_as_fmt_writes_them() -> None:
    examples = [ROOT / "docs/examples" / name for name in ("first-tool", "observing", "policies")]
    done = CliRunner().invoke(app, ["fmt", "--check", *map(str, [*RECIPES, *examples])])
    assert done.exit_code == 0, done.output


def test_the_cases_of_all_examples_hold() -> None:
    done = CliRunner().invoke(app, ["test", str(ROOT / "docs/examples")])
    assert done.exit_code == 0, done.output


def test_the_first_tool_shows_its_files() -> None:
    page = (FOLDER / "first-tool.md").read_text()
    shown = re.findall(
        r"^<!-- file: (\S+) -->\n```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL
    )
    assert [name for name, _ in shown] == ["tools.yaml", "tools.test.yaml"]
    for name, text in shown:
        assert text == (ROOT / "docs/examples/first-tool" / name).read_text()


def test_all_cases_are_found_at_once() -> None:
    assert [suite.file.parent for suite in load_suites([FOLDER])] == RECIPES


def test_a_policy_that_is_not_shown_is_noticed() -> None:
    page = Page(FOLDER / "x.md", "<!-- policy.yaml -->\n```yaml\na: 1\n```\n```yaml\nb: 2\n```\n")
    assert shown_policies(page) == ["a: 1\n"]
