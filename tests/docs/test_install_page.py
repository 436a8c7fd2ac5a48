"""What the pages about installing show as values and as commands of Helm is run by Helm itself."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from deputize.cli.validation import check_config
from tests.docs.markdown_files import ROOT, Page
from tests.harness.helm import KUBE_VERSION, render, run_helm
from tests.harness.kube_schemas import complaints
from tests.harness.pod_files import mount_release

PAGES = [
    Page(file, file.read_text(encoding="utf-8"))
    for file in map(
        ROOT.joinpath, ("README.md", "docs/install.md", "docs/upgrade.md", "docs/scale.md")
    )
]
CHART = "charts/deputize"
FIRST = "first"
"""The one block that is all values of an installation; all others are added to it."""
OF_A_CLUSTER = {"--install", "--wait", "--create-namespace", "--rollback-on-failure", "--timeout"}
"""Flags that `helm template` does not have."""

_VALUES = re.compile(
    r"^<!-- values(?:: ([a-z]+))? -->\n```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
_BLOCKS = [(page.name, name, text) for page in PAGES for name, text in _VALUES.findall(page.text)]
_NEEDED = next(yaml.safe_load(text) for _page, name, text in _BLOCKS if name == FIRST)
_COMMANDS = [
    command
    for page in PAGES
    for block in page.blocks
    if block.language == "console"
    for command in block.commands
    if command.startswith("helm ") and CHART in command
]

by_block = pytest.mark.parametrize(
    "text",
    [text for *_, text in _BLOCKS],
    ids=[f"{page}-{number}" for number, (page, *_) in enumerate(_BLOCKS)],
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """What the commands of the pages find in the folder where they are given."""
    for name in (CHART, "istio", "docs/examples"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "docs/examples/jwks.json", tmp_path / "istio/walkthrough")
    for _page, name, text in _BLOCKS:
        if name:
            (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


@by_block
def test_shown_values_make_what_a_cluster_and_the_service_take(tmp_path: Path, text: str) -> None:
    things = render(yaml.safe_load(text), needed=_NEEDED)
    assert [line for each in things for line in complaints(each)] == []
    config = mount_release(things, tmp_path)
    assert config is not None
    assert check_config(config, (), is_strict=False).summary


@pytest.mark.parametrize("command", _COMMANDS)
def test_shown_commands_of_helm_are_taken(repository: Path, command: str) -> None:
    verb, *words = shlex.split(command, comments=True)[1:]
    if verb == "lint":
        run_helm(verb, *words, folder=repository)
        return
    assert verb in {"template", "install", "upgrade"}
    rest = [word for word in words if word not in OF_A_CLUSTER and not re.fullmatch(r"\d+m", word)]
    text = run_helm("template", *rest, f"--kube-version={KUBE_VERSION}", folder=repository)
    things: list[dict[str, Any]] = list(filter(None, yaml.safe_load_all(text)))
    assert things
    assert [line for each in things for line in complaints(each)] == []


def test_every_shape_is_shown() -> None:
    shown = {yaml.safe_load(text).get("shape", "deployment") for *_, text in _BLOCKS}
    assert shown == {"deployment", "daemonset", "sidecar"}


def test_the_pages_show_commands() -> None:
    assert len(_COMMANDS) > 5


def test_all_values_are_marked() -> None:
    keys = yaml.safe_load((ROOT / CHART / "values.yaml").read_text()).keys()
    marked = {text for *_, text in _BLOCKS}
    for page in PAGES:
        for block in page.blocks:
            if block.language == "yaml" and block.text not in marked:
                shown = yaml.safe_load(block.text)
                assert not isinstance(shown, dict) or not shown.keys() <= keys, block.text
