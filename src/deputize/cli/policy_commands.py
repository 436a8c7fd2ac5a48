"""`deputize policy`: questions about policies, without a request and without the service."""

from __future__ import annotations

import typer

policy_commands = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Questions about whole policies: who can, what can, and what a change allows.",
)
