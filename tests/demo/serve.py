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
    """Prints commands, then keeps the token they use fresh until Ctrl-C."""
    write_token(stage)
    for title, command in [*calls(stage), *looks(stage)]:
        console.print(f"\n[bold]{title}[/]")
        # Not wrapped, so that it can be pasted.
        console.print(command, markup=False, soft_wrap=True)
    console.print("\n[bold green]Everything is running.[/] Ctrl-C ends it.")
    never = threading.Event()
    try:
        while not never.wait(_RENEW_SECONDS):
            write_token(stage)
    except KeyboardInterrupt:
        console.print("\nStopping.")


def write_token(stage: Stage) -> None:
    """Issues the token that the commands send."""
    text = token("alice", lifetime=_TOKEN_SECONDS)(stage.issuer, time.time())
    (stage.folder / _TOKEN_FILE).write_text(text)


def calls(stage: Stage) -> list[tuple[str, str]]:
    """Calls through Envoy, each with its title."""
    return [
        (
            "Allowed: research reads an order with the token alice gave it",
            _curl(stage, "research", with_token=True),
        ),
        (
            "Refused: planner uses the token that was given to research",
            _curl(stage, "planner", with_token=True),
        ),
        ("Refused: research has no token", _curl(stage, "research", with_token=False)),
    ]


def looks(stage: Stage) -> list[tuple[str, str]]:
    """What else there is to see and to change."""
    url = stage.deputize.http_url
    return [
        (
            "Change the policy: edit this file, and the next call is decided by it",
            f"${{EDITOR:-vi}} {stage.policy_file}",
        ),
        ("Watch the audit events", f"tail -f {stage.deputize.audit_file}"),
        ("Is it ready, and what has it counted", f"curl {url}/readyz {url}/metrics"),
    ]


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
    return " \\\n  ".join([*parts, f"https://{HOST}:{port}/v1/orders/17"])
