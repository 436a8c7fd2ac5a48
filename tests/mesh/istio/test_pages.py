"""What the pages about Istio show is what happens."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jwt
import pytest
import yaml

from deputize.core.reasons import Reason
from tests.docs.markdown_files import ROOT, Page
from tests.harness.istio_release import local_config
from tests.harness.istio_stage import MeshStage, mesh_config_of, release_of, spiffe_id
from tests.harness.istio_walkthrough import FOLDER, Line, issuer, lines

ROW = re.compile(
    r"^\| (\d+) \| (.+?) \| `call (.+?)` \| (\d+), (?:`(.+?)`|nobody is asked) \|$", re.MULTILINE
)
SECONDS = 60


def page(name: str) -> Page:
    path = ROOT / name
    return Page(path, path.read_text())


def words(line: Line) -> list[str]:
    """What `call` of the walkthrough is given."""
    token = line.token
    told = [token["for"], token["to"], token["scope"], *token.get("through", [])] if token else []
    return [line.agent, line.method, line.service, line.target, *told]


def test_the_walkthrough_shows_the_calls_that_are_played() -> None:
    shown = ROW.findall(page("istio/walkthrough/README.md").text)
    assert shown == [
        (str(number), line.title, " ".join(words(line)), str(line.status), line.reason)
        for number, line in enumerate(lines(), 1)
    ]


@pytest.mark.parametrize("line", lines(), ids=lambda line: line.title)
def test_the_command_of_the_walkthrough_makes_the_call(line: Line, tmp_path: Path) -> None:
    for name in ("call.sh", "issuer.py"):
        shutil.copy(FOLDER / name, tmp_path)
    issuer().write_keys(tmp_path)
    # In place of kubectl: what it was given, a line each.
    stand_in = tmp_path / "kubectl"
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stand_in.chmod(0o700)
    search = [str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]]
    done = subprocess.run(  # noqa: S603 - a file of ours
        ["/bin/sh", "-c", '. ./call.sh; call "$@"', "sh", *words(line)],
        cwd=tmp_path,
        env={"PATH": os.pathsep.join(search)},
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS,
    )
    given = done.stdout.splitlines()
    assert f"deployment/{line.agent}" in given
    assert given[given.index("--request") + 1] == line.method
    assert given[-1] == f"http://{line.service}.store:8080{line.target}"
    headers = [given[at + 1] for at, word in enumerate(given) if word == "--header"]
    assert len(headers) == bool(line.token)
    for header in headers:
        token = header.removeprefix("Authorization: Bearer ")
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims["sub"] == line.token["for"]
        assert claims["act"]["sub"] == spiffe_id("agents", line.token["to"])


def test_the_change_of_policy_lets_the_planner_act_for_bob_too(tmp_path: Path) -> None:
    (line,) = (each for each in lines() if each.title == "planner places an order for bob")
    issuer().write_keys(tmp_path)
    config = local_config(release_of("sidecar", tmp_path), tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    ((_, header),) = line.call(tmp_path).headers
    asked = [
        *(sys.executable, "-m", "deputize.cli.main", "explain"),
        *("--config", str(tmp_path / "config.yaml"), "--token", "-", "--method", line.method),
        *("--peer", spiffe_id("agents", line.agent)),
        *("--url", f"http://{line.service}.store:8080{line.target}"),
    ]
    policy = tmp_path / "mounted" / "policies" / "store-policies" / "policy.yaml"
    for subjects, code in (("[alice]", 1), ("[alice, bob]", 0)):
        policy.write_text(policy.read_text().replace("subjects: [alice]", f"subjects: {subjects}"))
        done = subprocess.run(  # noqa: S603 - our own command
            asked,
            input=header.removeprefix("Bearer "),
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == code, done.stdout + done.stderr
    assert "subjects: [alice, bob]" in page("istio/walkthrough/README.md").text


def test_ten_minutes_shows_the_provider_of_the_examples() -> None:
    blocks = [block.text for block in page("docs/istio.md").blocks if block.language == "yaml"]
    (shown,) = (text for text in blocks if text.startswith("extensionProviders:"))
    assert yaml.safe_load(shown) == yaml.safe_load(mesh_config_of("sidecar").read_text())


@pytest.mark.parametrize("stage", ["sidecar"], indirect=True)
def test_ten_minutes_shows_the_refusal_that_comes(stage: MeshStage) -> None:
    (block,) = (each for each in page("docs/istio.md").blocks if each.language == "json")
    (line,) = (each for each in lines() if each.reason == Reason.TOKEN_MISSING)
    answer = stage.send(line.agent, line.service, line.call(stage.folder))
    varying = {"decision_id": ""}
    assert json.loads(block.text) | varying == answer.problem | varying
