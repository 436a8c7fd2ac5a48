"""Which files a configuration consists of, how they look from outside, and what is in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from deputize.config.problems import ConfigError, Problem

MAX_FILE_BYTES = 32 * 1024 * 1024


class FileLook(NamedTuple):
    """What tells one state of a file from another; all zero where there is none."""

    path: str
    number: int
    size: int
    changed_ns: int


Signature = tuple[FileLook, ...]


def look_of(path: Path, facts: os.stat_result) -> FileLook:
    """How a file looks, by its absolute path."""
    return FileLook(str(path.absolute()), facts.st_ino, facts.st_size, facts.st_mtime_ns)


def sign_files(sources: tuple[Path, ...]) -> Signature:
    """How the files behind these paths look now."""
    looks: list[FileLook] = []
    for source in sources:
        for file in _files_of(source):
            try:
                looks.append(look_of(file, file.stat()))
            except OSError:
                looks.append(FileLook(str(file), 0, 0, 0))
    return tuple(looks)


def read_file(file: Path) -> tuple[bytes, FileLook]:
    """All of a file, and how it looked when it was read.

    Raises:
        ConfigError: it cannot be read, or is larger than `MAX_FILE_BYTES`.
    """
    try:
        with file.open("rb") as stream:
            look = look_of(file, os.fstat(stream.fileno()))
            octets = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError([Problem(str(file), 0, "", f"{error.strerror}")]) from None
    if len(octets) > MAX_FILE_BYTES:
        raise ConfigError([Problem(str(file), 0, "", f"larger than {MAX_FILE_BYTES} bytes")])
    return octets, look


def policy_files(path: Path) -> list[Path]:
    """The files a listed path stands for: itself, or the YAML files in a folder but for tests.

    Raises:
        OSError: the folder cannot be read.
    """
    if not is_folder(path):
        return [path]
    # Names that start with a dot are the folders behind a mounted ConfigMap.
    return sorted(
        file
        for file in path.iterdir()
        if file.suffix in {".yaml", ".yml"}
        and not file.name.startswith(".")
        and not is_test_file(file)
    )


def is_test_file(path: Path) -> bool:
    """Cases for policies stand beside them, and are none."""
    return path.name.endswith((".test.yaml", ".test.yml"))


def is_folder(path: Path) -> bool:
    """False also where nobody can tell: no permission, a name too long."""
    try:
        return path.is_dir()
    except OSError:
        return False


def folders_of(sources: tuple[Path, ...]) -> frozenset[Path]:
    """The folders a change can come from."""
    return frozenset(path if is_folder(path) else path.parent for path in sources)


def is_there(path: Path) -> bool:
    """False also where nobody can tell."""
    try:
        return path.exists()
    except OSError:
        return False


def _files_of(source: Path) -> list[Path]:
    try:
        return policy_files(source)
    except OSError:
        return [source]
