"""`deputize policy`: questions about policies, without a request and without the service."""

from __future__ import annotations

import typer

from deputize.cli.observe_report import observe_report
from deputize.cli.policy_questions import policy_diff, what_can, who_can
from deputize.cli.replay_report import policy_replay
from deputize.cli.suggest import policy_suggest

policy_commands = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Questions about whole policies: who can, what can, and what a change allows.",
)
policy_commands.command("observe-report")(observe_report)
policy_commands.command("replay")(policy_replay)
policy_commands.command("suggest")(policy_suggest)
policy_commands.command("who-can")(who_can)
policy_commands.command("what-can")(what_can)
policy_commands.command("diff")(policy_diff)
