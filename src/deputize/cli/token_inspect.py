"""`deputize token inspect`: what a token says, without believing it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deputize.cli.inputs import read_text, refuse_input
from deputize.cli.visible import visible
from deputize.core.audit_event import format_time
from deputize.core.jws import JwsError, UnverifiedJws, read_unverified_jws
from deputize.core.model import Json

token_commands = typer.Typer(no_args_is_help=True, help="Look at delegation tokens.")


@token_commands.callback()
def _group() -> None:
    """Keeps `inspect` a command of its own while it is the only one."""


@token_commands.command()
def inspect(
    token: Annotated[
        Path,
        typer.Argument(help="A file with the token; `-` for stdin.", allow_dash=True),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show header, claims and delegation chain of a token. Nothing is verified.

    Example: `deputize token inspect token.txt`
    """
    try:
        jws = read_unverified_jws(read_text(token).strip())
    except JwsError as error:
        refuse_input(f"not a token deputize reads: {error}")
    header = {
        "alg": jws.header.algorithm,
        "kid": jws.header.key_id,
        "typ": jws.header.token_type,
    }
    if as_json:
        typer.echo(json.dumps({"verified": False, "header": header, "claims": jws.payload}))
        return
    table = Table(title="NOT VERIFIED: what the token says", title_justify="left")
    table.add_column("where")
    table.add_column("member")
    table.add_column("value", overflow="fold")
    for name, text in header.items():
        table.add_row("header", name, Text(text))
    for name, value in jws.payload.items():
        table.add_row("claims", visible(name), visible(_show(name, value)))
    for position, actor in enumerate(_chain(jws)):
        table.add_row("chain", f"{'act.' * (position + 1)}sub", visible(actor))
    Console().print(table)


def _show(name: str, value: Json) -> str:
    if name in {"exp", "iat", "nbf"} and isinstance(value, int | float):
        try:
            return f"{value} ({format_time(value)})"
        except (ValueError, OverflowError, OSError):
            return f"{value} (no date)"
    return value if isinstance(value, str) else json.dumps(value)


def _chain(jws: UnverifiedJws) -> list[str]:
    actors: list[str] = []
    hop = jws.payload.get("act")
    while isinstance(hop, dict):
        actors.append(str(hop.get("sub", "")))
        hop = hop.get("act")
    return actors
