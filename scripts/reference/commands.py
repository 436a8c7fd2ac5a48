"""The help text of every command, as a terminal of fixed width without colours shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import typer
from typer import rich_utils
from typer.testing import CliRunner

from deputize.cli.main import app
from scripts.reference.markdown import code, page

_SOURCE = "the commands in `src/deputize/cli/`"
_WIDTH = 96
_INTRODUCTION = """\
Commands end with 0 when all is well, 1 when the answer is no (`explain` shows a refusal, a case of
`test` fails), and 2 when what they were given is wrong."""


def generate(_root: Path) -> dict[Path, bytes]:
    """The page."""
    parts = [_INTRODUCTION]
    for words in _commands():
        name = " ".join(("deputize", *words))
        parts += [f"## {name}", code("text", _help(words))]
    return page("commands.md", "Commands", _SOURCE, parts)


def _commands() -> Iterator[tuple[str, ...]]:
    """The program itself and each command, in the order of the help."""
    yield ()
    for name in _names(app):
        yield (name,)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            for name in _names(group.typer_instance):
                yield (str(group.name), name)


def _names(commands: typer.Typer) -> list[str]:
    named = [(entry.name, entry.callback) for entry in commands.registered_commands]
    return [name or str(getattr(callback, "__name__", "")) for name, callback in named]


def _help(words: tuple[str, ...]) -> str:
    with (
        mock.patch.object(rich_utils, "MAX_WIDTH", _WIDTH),
        mock.patch.object(rich_utils, "FORCE_TERMINAL", new=False),
        mock.patch.object(rich_utils, "COLOR_SYSTEM", new=None),
    ):
        result = CliRunner().invoke(app, [*words, "--help"], prog_name="deputize", color=False)
    if result.exit_code != 0:
        raise RuntimeError(result.output)
    lines = [line.rstrip() for line in result.output.splitlines()]
    return "\n".join(
        line for before, line in zip(["", *lines], lines, strict=False) if line or before
    ).strip("\n")
