"""The examples, judged by those who will read them: istioctl, the published schemas, doctor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.istio_config import read_manifests
from tests.harness.istio_release import CHECK_SOCKET
from tests.harness.istio_stage import EXAMPLES, manifest_files, mesh_config_of, release_of
from tests.harness.istio_walkthrough import FOLDER, ISTIO, issuer
from tests.harness.kube_schemas import complaints
from tests.tools.install import tool

OPERATOR = ISTIO / "mesh" / "istio-operator.yaml"
WALKTHROUGH = [FOLDER / "store.yaml", FOLDER / "agents.yaml"]
MANIFESTS = [*WALKTHROUGH, *(file for name in EXAMPLES for file in manifest_files(name))]

by_example = pytest.mark.parametrize("example", EXAMPLES)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    issuer().write_keys(folder)
    return folder


def istioctl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [tool("istioctl"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


def released(example: str, keys: Path, folder: Path) -> Path:
    """A file with what the chart makes of the example's values."""
    file = folder / f"{example}.yaml"
    file.write_text(yaml.safe_dump_all(release_of(example, keys)))
    return file


def test_every_example_is_played() -> None:
    assert {file.parent.name for file in ISTIO.glob("*/values.yaml")} == set(EXAMPLES)


def provider_of(mesh_config: dict[str, Any]) -> dict[str, Any]:
    (provider,) = mesh_config["extensionProviders"]
    return dict(provider)


@pytest.mark.parametrize(
    "file", [*MANIFESTS, OPERATOR], ids=lambda file: file.relative_to(ISTIO).as_posix()
)
def test_istioctl_finds_each_file_valid(file: Path) -> None:
    done = istioctl("validate", "-f", file)
    # It warns on the same line as it approves.
    assert (done.returncode, done.stderr + done.stdout) == (0, f'"{file}" is valid\n')


def test_istioctl_would_say_what_is_wrong(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    text = (ISTIO / "sidecar" / "authorization.yaml").read_text()
    bad.write_text(text.replace("action: CUSTOM", "action: ASK"))
    assert istioctl("validate", "-f", bad).returncode != 0


@by_example
def test_istioctl_finds_nothing_in_an_example_as_a_whole(
    example: str, keys: Path, tmp_path: Path
) -> None:
    done = istioctl(
        *("analyze", "--use-kube=false", "--output", "json"),
        *("--meshConfigFile", mesh_config_of(example)),
        *(*manifest_files(example), *WALKTHROUGH, released(example, keys, tmp_path)),
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.parametrize("file", MANIFESTS, ids=lambda file: file.relative_to(ISTIO).as_posix())
def test_an_api_server_takes_each_object(file: Path) -> None:
    found = [text for thing in read_manifests([file]) for text in complaints(thing)]
    assert found == []


@by_example
def test_doctor_finds_nothing_in_an_example(example: str, keys: Path, tmp_path: Path) -> None:
    given = [
        mesh_config_of(example),
        released(example, keys, tmp_path),
        *manifest_files(example),
        *WALKTHROUGH,
        FOLDER / "policy.yaml",
    ]
    options = [part for file in given for part in ("--manifests", str(file))]
    command = [sys.executable, "-m", "deputize.cli.main", "doctor", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"how Istio asks: {mesh_config_of(example)}" in done.stdout


def test_every_way_to_configure_the_mesh_says_the_same() -> None:
    bare = provider_of(yaml.safe_load((ISTIO / "mesh" / "mesh-config.yaml").read_text()))
    values = yaml.safe_load((ISTIO / "mesh" / "istiod-values.yaml").read_text())
    operator = yaml.safe_load(OPERATOR.read_text())
    assert provider_of(values["meshConfig"]) == bare
    assert provider_of(operator["spec"]["meshConfig"]) == bare
    local = provider_of(yaml.safe_load(mesh_config_of("local").read_text()))
    bare["envoyExtAuthzGrpc"]["service"] = "store/deputize.sidecar.internal"
    assert local == bare


def test_the_sidecar_listens_where_the_mesh_looks(keys: Path) -> None:
    release = release_of("local", keys)
    (entry,) = (each for each in release if each["kind"] == "ServiceEntry")
    (endpoint,) = entry["spec"]["endpoints"]
    assert endpoint["address"] == CHECK_SOCKET.replace("unix:", "unix://")
    configs = [each["data"] for each in release if "config.yaml" in each.get("data", {})]
    (listen,) = yaml.safe_load(configs[0]["config.yaml"])["spec"]["server"]["grpc"]["listen"]
    assert listen == CHECK_SOCKET
