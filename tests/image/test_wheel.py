"""The wheel is the same whoever builds it, wherever and whenever."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.image.project_files import ROOT, project_version

SOURCES = ("LICENSE", "README.md", "pyproject.toml", "src")


def test_two_builds_give_the_same_octets(tmp_path: Path) -> None:
    first = _build(tmp_path / "first", age=0)
    second = _build(tmp_path / "a longer way" / "second", age=86_400)
    assert first.name == f"deputize-{project_version()}-py3-none-any.whl"
    assert _digest(first) == _digest(second)


@pytest.mark.parametrize("stray", ["tests", "docs", ".git"])
def test_a_context_has_only_what_the_dockerfile_copies(stray: str) -> None:
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in allowed
    assert not [line for line in allowed if line.startswith(f"!{stray}")]


def _build(folder: Path, age: int) -> Path:
    folder.mkdir(parents=True)
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    for path in folder.rglob("*"):
        seconds = path.stat().st_mtime - age
        os.utime(path, (seconds, seconds))
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel"],
        cwd=folder,
        check=True,
        capture_output=True,
        env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"},
    )
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
