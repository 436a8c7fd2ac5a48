"""`python -m tests.demo` plays the story; with `--serve` everything stays up to be tried."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from deputize.core.reasons import Reason
from tests.demo.play import play, total_faults
from tests.demo.serve import serve
from tests.demo.show import make_console, show_events, show_introduction, show_story, show_verdict
from tests.demo.stage import Stage, set_stage
from tests.demo.story import STORY
from tests.harness.processes import ProcessError


def main() -> int:
    """0 when everything was as expected."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--serve", action="store_true", help="leave everything running")
    parser.add_argument("--transport", choices=("grpcio", "native"), default="grpcio")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = make_console()
    show_introduction(console)
    with ExitStack() as running:
        folder = running.enter_context(tempfile.TemporaryDirectory(prefix="deputize-demo-"))
        with console.status("Starting Envoy, deputize, an issuer and the orders API ..."):
            try:
                stage = running.enter_context(set_stage(Path(folder), arguments.transport))
            except ProcessError as error:
                console.print(str(error), markup=False)
                return 1
        if arguments.serve:
            serve(console, stage)
            return 0
        return _tell(console, stage)


def _tell(console: Console, stage: Stage) -> int:
    outcomes = show_story(console, STORY, lambda scene: play(scene, stage))
    stolen = [each for each in outcomes if each.reason == Reason.DELEGATION_ACTOR_MISMATCH]
    show_events(console, (outcomes[0], *stolen[:1]))
    # Only when deputize has ended is every event written that will ever be.
    exit_code = stage.deputize.stop()
    wrong = [outcome for outcome in outcomes if outcome.faults]
    faults = [f"{outcome.scene.title}: {fault}" for outcome in wrong for fault in outcome.faults]
    faults += total_faults(outcomes, stage)
    if exit_code:
        faults.append(f"deputize ended with code {exit_code}")
    summary = (
        f"{len(outcomes) - len(wrong)} of {len(outcomes)} calls as expected; "
        f"{len(stage.deputize.audit_events())} audit events; "
        f"{len(stage.upstream.arrivals)} requests reached the upstream"
    )
    show_verdict(console, summary, faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
