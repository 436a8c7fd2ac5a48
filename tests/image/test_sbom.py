"""The bill of materials of the release, as `make sbom` writes it."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.image.project_files import ROOT, project_version, read_lock

NO_LICENCE = {"protobuf"}
"""Their metadata names none, so the tool finds none."""


def test_it_names_every_package_with_version_and_licence_and_is_reproducible(
    tmp_path: Path,
) -> None:
    with ThreadPoolExecutor() as pool:
        first, second = pool.map(_make, [tmp_path / "first", tmp_path / "second"])
    assert first == second
    document = json.loads(first)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    subject = document["metadata"]["component"]
    assert (subject["name"], subject["version"]) == ("deputize", project_version())
    components = {canonicalize_name(each["name"]): each for each in document["components"]}
    locked = {
        canonicalize_name(entry.name): str(entry.specifier).removeprefix("==")
        for entry in map(Requirement, read_lock(ROOT / "scripts/image/runtime.lock"))
        if entry.marker is None or entry.marker.evaluate()
    }
    assert {name: each["version"] for name, each in components.items()} == locked
    assert {name for name, each in components.items() if not each.get("licenses")} <= NO_LICENCE


def _make(out: Path) -> bytes:
    """Takes the tools as installed: making them anew is not what this is about."""
    subprocess.run(  # noqa: S603 - our own Makefile
        ["make", "--assume-old", ".venv/.installed", "sbom", f"OUT={out}"],  # noqa: S607
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return (out / "deputize.cdx.json").read_bytes()
