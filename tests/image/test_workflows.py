"""Workflows can be trusted: pinned, with few rights, and deaf to what strangers write."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.image.project_files import ROOT, project_version
from tests.tools.install import tool

FILES = sorted((ROOT / ".github/workflows").glob("*.yaml"))
BASE = "python:3.13-slim-bookworm"
DIGEST = "sha256:" + "0123456789abcdef" * 4

each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def test_actionlint_has_nothing_to_say() -> None:
    done = subprocess.run(  # noqa: S603 - a tool of ours
        [tool("actionlint"), "-no-color", *FILES], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run(  # noqa: S603 - a tool of ours
        [Path(sys.executable).with_name("hadolint"), "--no-color", "Dockerfile"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


@each_file
def test_every_action_is_pinned_by_commit_and_says_its_version(file: Path) -> None:
    used = re.findall(r"uses: (.*)", file.read_text())
    pinned = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    loose = [each for each in used if not each.startswith("./") and not pinned.fullmatch(each)]
    assert used
    assert loose == []


def test_an_action_has_one_version_everywhere() -> None:
    texts = "".join(file.read_text() for file in FILES)
    used = {each for each in re.findall(r"uses: (.*)", texts) if "@" in each}
    assert len({each.split("@")[0] for each in used}) == len(used)


@each_file
def test_rights_are_given_by_job_and_jobs_end(file: Path) -> None:
    workflow = _load(file)
    assert workflow["permissions"] == {}
    assert "concurrency" in workflow
    for name, job in workflow["jobs"].items():
        assert job["permissions"], name
        assert "uses" in job or 0 < job["timeout-minutes"] <= 90, name
        writing = {scope for scope, right in job["permissions"].items() if right == "write"}
        assert not writing or file.stem == "release", name


@each_file
def test_no_script_is_put_together_from_values(file: Path) -> None:
    """A value gets into a script as an environment variable, which no shell reads as code."""
    scripts = [step["run"] for step in _steps(_load(file)) if "run" in step]
    assert scripts
    assert [script for script in scripts if "${{" in script] == []


@each_file
def test_a_checkout_leaves_no_credentials(file: Path) -> None:
    checkouts = [
        step for step in _steps(_load(file)) if step.get("uses", "").startswith("actions/checkout@")
    ]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_ci_is_the_test_command_of_the_readme() -> None:
    runs = [step.get("run") for step in _steps(_load(ROOT / ".github/workflows/ci.yaml"))]
    assert "make test" in runs
    assert "$ make test" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    ("digest", "base"), [(DIGEST, f"{BASE}@{DIGEST}"), ("", ""), ("<nil>", ""), ("sha256:ab", "")]
)
def test_without_a_digest_of_the_base_image_there_is_no_release(
    tmp_path: Path, digest: str, base: str
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\necho '{digest}'\n")
    docker.chmod(0o755)
    done, outputs = _run_step("base", tmp_path, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done, outputs) == ((0, f"base={base}\n") if base else (1, ""))


def test_only_what_was_merged_is_released(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603

    git("init", "--quiet")
    commits = []
    for _ in range(2):
        git("commit", "--quiet", "--allow-empty", "--message", "a change")
        commits.append(git("rev-parse", "HEAD").strip())
    merged, pushed = commits
    git("update-ref", "refs/remotes/origin/main", merged)
    for commit, code in ((merged, 0), (pushed, 1)):
        done, _outputs = _run_step("merged", tmp_path, cwd=tmp_path, GITHUB_SHA=commit)
        assert done == code


def test_a_tag_must_say_the_version(tmp_path: Path) -> None:
    other, outputs = _run_step("version", tmp_path, GITHUB_REF_NAME="v0.0.0")
    assert (other, outputs) == (1, "")
    same, outputs = _run_step("version", tmp_path, GITHUB_REF_NAME=f"v{project_version()}")
    assert same == 0
    assert re.fullmatch(rf"version={re.escape(project_version())}\nepoch=\d+\n", outputs)


def test_the_chart_has_the_version_of_the_project() -> None:
    chart = yaml.safe_load((ROOT / "charts/deputize/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (project_version(), project_version())


def _run_step(name: str, folder: Path, *, cwd: Path = ROOT, **variables: str) -> tuple[int, str]:
    """Exit code and outputs of a step's script, run as a runner would."""
    steps = _steps(_load(ROOT / ".github/workflows/release.yaml"))
    (script,) = (step["run"] for step in steps if step.get("id") == name)
    output = folder / "output"
    output.write_text("")
    done = subprocess.run(  # noqa: S603 - our own script
        ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=cwd,
        env=os.environ | {"GITHUB_OUTPUT": str(output)} | variables,
        capture_output=True,
        check=False,
    )
    return done.returncode, output.read_text()


def _steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


def _load(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(file.read_text())
    return loaded
