"""What files of the project say about versions."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def project_version() -> str:
    """The version in `pyproject.toml`."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def read_lock(file: Path) -> dict[str, frozenset[str]]:
    """Requirements, each with its version and marker, and the hashes allowed for it."""
    text = re.sub(r"^ *#.*\n", "", file.read_text(), flags=re.MULTILINE).replace("\\\n", "")
    entries = (line.split(" --hash=") for line in re.sub(r" +", " ", text).splitlines())
    return {entry[0].strip(): frozenset(hash_.strip() for hash_ in entry[1:]) for entry in entries}
