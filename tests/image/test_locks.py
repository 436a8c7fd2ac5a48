"""What the image installs is what the tests run with."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.image.project_files import ROOT, read_lock

LOCK = ROOT / "requirements.lock"
IMAGE_LOCKS = (ROOT / "scripts/image/build.lock", ROOT / "scripts/image/runtime.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = ("cel", "kubernetes", "native", "redis")


@pytest.mark.parametrize("lock", IMAGE_LOCKS, ids=lambda lock: lock.stem)
def test_versions_and_hashes_are_those_of_the_lock_of_all(lock: Path) -> None:
    whole = {_name(text): (_version(text), hashes) for text, hashes in read_lock(LOCK).items()}
    part = {_name(text): (_version(text), hashes) for text, hashes in read_lock(lock).items()}
    assert part
    assert {name: whole.get(name) for name in part} == part
    assert all(hashes for _, hashes in part.values())


def test_what_the_project_needs_is_locked() -> None:
    wanted = PROJECT["project"]["dependencies"] + [
        text for extra in EXTRAS for text in PROJECT["project"]["optional-dependencies"][extra]
    ]
    assert _unlocked(wanted, "runtime.lock") == []
    assert _unlocked(PROJECT["build-system"]["requires"], "build.lock") == []


def _unlocked(wanted: list[str], lock: str) -> list[str]:
    locked = {_name(text): _version(text) for text in read_lock(ROOT / "scripts/image" / lock)}
    requirements = (Requirement(text) for text in wanted)
    return [
        str(each)
        for each in requirements
        if locked.get(each.name.lower(), "") not in each.specifier
    ]


def _name(text: str) -> str:
    return Requirement(text).name


def _version(text: str) -> str:
    (pin,) = Requirement(text).specifier
    assert pin.operator == "=="
    return pin.version
