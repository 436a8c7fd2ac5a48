"""How the story looks in a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from tests.demo.play import Outcome
from tests.demo.scene import Act, Scene

_WIDTH = 80
_WIDTHS = (3, 37, 32, 5)
"""Number, call, answer, verdict."""
_ID_LENGTH = 8
_STATUS_STYLES = {2: "bold green", 4: "yellow", 5: "bold red"}

INTRODUCTION = """\
Agents call an orders API on behalf of alice and bob. A call needs two
things: the agent's own certificate (mTLS), and a token by which the person
lets this very agent act. Envoy asks deputize about every call; only what it
permits reaches the API. Some calls somebody else must approve first.

  [bold]agent[/] ── mTLS, token ──▶ [bold]Envoy[/] ─────────────▶ [bold]orders API[/]
                               │  ▲
                        may it?│  │ yes or no, and why
                               ▼  │
                           [bold cyan]deputize[/] ◀── keys ── [bold]issuer[/]

All of it is real and local: certificates, tokens, Envoy, deputize, calls."""


def make_console() -> Console:
    """A console no wider than the story needs."""
    console = Console(highlight=False)
    return Console(
        width=min(_WIDTH, console.width) if console.is_terminal else _WIDTH, highlight=False
    )


def show_introduction(console: Console) -> None:
    """What is about to happen."""
    console.print(
        Panel(INTRODUCTION, title="[bold]deputize[/]", border_style="cyan", padding=(1, 1))
    )


def show_story(
    console: Console, story: Iterable[Act], play: Callable[[Scene], Outcome]
) -> list[Outcome]:
    """Plays scene by scene and shows each as soon as it is over."""
    outcomes: list[Outcome] = []
    for act in story:
        console.print()
        console.print(Rule(Text(act.title, "bold cyan"), align="left", style="dim"))
        for scene in act.scenes:
            outcome = play(scene)
            outcomes.append(outcome)
            console.print(_row(len(outcomes), outcome))
    return outcomes


def show_events(console: Console, outcomes: Iterable[Outcome]) -> None:
    """The audit events of these outcomes."""
    for outcome in outcomes:
        console.print()
        title = Text.assemble(("Audit event: ", "bold cyan"), outcome.scene.title)
        console.print(Rule(title, align="left", style="dim"))
        text = json.dumps(outcome.event, indent=2)
        # Unbroken lines, so that what is copied is JSON.
        console.print(
            Syntax("", "json", background_color="default").highlight(text), soft_wrap=True
        )


def show_verdict(console: Console, summary: str, faults: list[str]) -> None:
    """The last words."""
    console.print()
    for fault in faults:
        console.print(Text.assemble(("WRONG ", "bold red"), fault))
    console.print(Text(summary, "bold red" if faults else "bold green"))
    console.print(Text("Try it yourself: `make demo-serve` leaves all of this running.", "dim"))


def _row(number: int, outcome: Outcome) -> Table:
    """One row of the table; its columns have fixed widths, so that rows line up."""
    scene, answer = outcome.scene, outcome.answer
    row = Table.grid(padding=(0, 1))
    for width in _WIDTHS:
        row.add_column(width=width)
    told = f" for {scene.principal}" if scene.principal else ""
    style = _STATUS_STYLES.get(answer.status // 100, "bold red")
    row.add_row(
        Text(str(number), "dim", justify="right"),
        scene.title,
        Text(f"{answer.status} {outcome.reason or 'no audit event'}", style),
        Text("WRONG", "bold red") if outcome.faults else Text("ok", "bold green"),
    )
    row.add_row(
        "",
        Text(f"{scene.agent}: {scene.call.method} {scene.call.target}", "dim"),
        Text(f"decision {outcome.decision_id[:_ID_LENGTH]}{told}", "dim"),
    )
    return row
