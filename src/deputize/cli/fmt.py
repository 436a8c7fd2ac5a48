"""`deputize fmt`: policies, and cases for them, in one form."""

from __future__ import annotations

import difflib
import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from deputize.cli.inputs import refuse_input
from deputize.config.files import is_folder, read_file
from deputize.config.formatting import KINDS, format_file, kind_of
from deputize.config.problems import ConfigError, Problem
from deputize.config.strict_yaml import parse_documents

_SUFFIXES = frozenset({".yaml", ".yml"})


def fmt(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files, or folders whose `*.yaml` and `*.yml` files are meant."),
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; show what would change, end with 1.")
    ] = False,
) -> None:
    """Write policies, and cases for them, in one form: same meaning, same comments.

    Keys come in the order of the reference, short lists stand on one line, and only what needs
    quotes has them. If one file is wrong none is written. In a folder, files of other kinds are
    passed over.

    Example: `deputize fmt policies`
    """
    changes: list[tuple[Path, bytes, bytes]] = []
    problems: list[Problem] = []
    files = [file for path in paths for file in _files(path)]
    for file in dict.fromkeys(files):
        try:
            before, _ = read_file(file)
            if file not in paths and _is_other(before, file):
                continue
            after = format_file(before, str(file))
        except ConfigError as error:
            problems += error.problems
            continue
        if after != before:
            changes.append((file, before, after))
    if problems:
        refuse_input(str(ConfigError(problems)))
    for file, before, after in changes:
        if check:
            typer.echo(_diff(file, before, after), nl=False)
            continue
        try:
            _replace(file, after)
        except OSError as error:
            refuse_input(f"{file}: {error.strerror}")
        typer.echo(f"formatted {file}")
    if check and changes:
        raise typer.Exit(1)


def _files(path: Path) -> list[Path]:
    """The file, or the YAML files of a folder, those with cases too."""
    try:
        if not is_folder(path):
            return [path]
        found = [file for file in path.iterdir() if file.suffix in _SUFFIXES and file.is_file()]
    except OSError as error:
        refuse_input(f"{path}: {error.strerror}")
    return sorted(file for file in found if not file.name.startswith("."))


def _is_other(octets: bytes, file: Path) -> bool:
    """A file that lies beside policies, and is none."""
    try:
        documents = parse_documents(octets, str(file))
    except ConfigError:
        # Other tools allow what we do not: anchors, tags, templates.
        return not any(kind.encode() in octets for kind in KINDS)
    return bool(documents) and all(kind_of(each) not in KINDS for each in documents)


def _diff(file: Path, before: bytes, after: bytes) -> str:
    old, new = (octets.decode("utf-8").splitlines(keepends=True) for octets in (before, after))
    found = difflib.unified_diff(old, new, str(file), f"{file} (formatted)")
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in found)


def _replace(file: Path, octets: bytes) -> None:
    """Puts the new content there in one step, with the permissions of the old one.

    Raises:
        OSError: the old file is then still as it was.
    """
    target = file.resolve(strict=True)
    # Names that start with a dot are not read as policies.
    number, draft = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(number, "wb") as stream:
            stream.write(octets)
            stream.flush()
            os.fchmod(stream.fileno(), target.stat().st_mode & 0o7777)
            os.fsync(stream.fileno())
        Path(draft).replace(target)
    except OSError:
        Path(draft).unlink(missing_ok=True)
        raise
