"""Leaves the stage running, with commands to try."""

from __future__ import annotations

import threading
import time

from rich.console import Console

from tests.demo.cast import HOST
from tests.demo.stage import Stage
from tests.demo.tokens import token
from tests.harness.loopback import HOST as LOOPBACK

_TOKEN_FILE = "alice-to-research.token"
_TOKEN_SECONDS = 3600
_RENEW_SECONDS = 1800


def serve(console: Console, stage: Stage) -> None:
    """Prints the commands, then keeps the token fresh until Ctrl-C."""
    _write_token(stage)
    _print_commands(console, stage)
    never = threading.Event()
    try:
        while not never.wait(_RENEW_SECONDS):
            _write_token(stage)
    except KeyboardInterrupt:
        console.print("\nStopping.")


def _write_token(stage: Stage) -> None:
    text = token("alice", lifetime=_TOKEN_SECONDS)(stage.issuer, time.time())
    (stage.folder / _TOKEN_FILE).write_text(text)


def _print_commands(console: Console, stage: Stage) -> None:
    blocks = (
        (
            "Allowed: research reads an order with the token alice gave it",
            _curl(stage, "research", with_token=True),
        ),
        (
            "Refused: planner uses the token that was given to research",
            _curl(stage, "planner", with_token=True),
        ),
        ("Refused: research has no token", _curl(stage, "research", with_token=False)),
        (
            "Change the policy while it runs: edit this file and try again",
            f"${{EDITOR:-vi}} {stage.policy_file}",
        ),
        ("Watch the audit events", f"tail -f {stage.deputize.audit_file}"),
        ("Ready, and the metrics", f"curl {stage.deputize.http_url}/readyz"),
    )
    for title, command in blocks:
        console.print(f"\n[bold]{title}[/]")
        # Not wrapped, so that it can be pasted.
        console.print(command, markup=False, soft_wrap=True)
    console.print("\n[bold green]Everything is running.[/] Ctrl-C ends it.")


def _curl(stage: Stage, agent: str, *, with_token: bool) -> str:
    svid, port = stage.agents[agent], stage.proxy.port
    parts = [
        "curl -i",
        f"--resolve {HOST}:{port}:{LOOPBACK}",
        f"--cacert {stage.authority.certificate_file}",
        f"--cert {svid.certificate_file}",
        f"--key {svid.private_key_file}",
    ]
    if with_token:
        parts.append(f'-H "Authorization: Bearer $(cat {stage.folder / _TOKEN_FILE})"')
    return " \\\n  ".join([*parts, f"{stage.proxy.url}/v1/orders/17"])
