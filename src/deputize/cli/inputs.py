"""Reading what a command was given, and the one way to refuse it: exit code 2."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import typer

from deputize.config.loader import Loaded, load
from deputize.config.problems import ConfigError


def refuse_input(message: str) -> NoReturn:
    """Says what is wrong with the input and exits with code 2."""
    typer.echo(message, err=True)
    raise typer.Exit(2)


def read_text(source: Path) -> str:
    """The text of a file, or of standard input for `-`."""
    try:
        return sys.stdin.read() if str(source) == "-" else source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        refuse_input(f"{source}: {error}")


def read_octets(source: Path) -> bytes:
    """The bytes of a file, or of standard input for `-`."""
    try:
        return sys.stdin.buffer.read() if str(source) == "-" else source.read_bytes()
    except OSError as error:
        refuse_input(f"{source}: {error}")


def load_config(config_file: Path) -> Loaded:
    """The configuration with its policies."""
    try:
        return load(config_file)
    except ConfigError as error:
        refuse_input(str(error))
