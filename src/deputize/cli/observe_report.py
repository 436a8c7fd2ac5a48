"""`deputize policy observe-report`: what would have been refused, were everything enforced.

Rules of this file:
- Only what audit files say is told; no policy is read and nothing is decided again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, NamedTuple

import orjson
import typer
from rich.text import Text

from deputize.cli.audit_files import (
    AuditArguments,
    AuditReading,
    SinceOption,
    StrictOption,
    read_audit,
)
from deputize.cli.recorded import Recorded
from deputize.cli.visible import make_console, visible
from deputize.config.problems import visible_text

NO_RULE = "no rule matched"


class Kind(NamedTuple):
    """What is counted together."""

    rule: str
    reason: str
    agent: str
    target: str


@dataclass(slots=True)
class Tally:
    """How often, when, and one decision of them."""

    example: str
    first: datetime
    last: datetime
    count: int = 0

    def add(self, event: Recorded) -> None:
        """Counts the event."""
        self.count += 1
        self.first = min(self.first, event.time)
        self.last = max(self.last, event.time)

    def to_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "count": self.count,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "example": self.example,
        }


def observe_report(
    audit: AuditArguments,
    since: SinceOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    strict: StrictOption = False,
) -> None:
    """Say what observe mode let pass: what would be refused if all policies were enforced.

    Grouped by rule, reason, agent and route or tool, most frequent first. Exits 0; 2 where
    nothing can be read.

    Example: `deputize policy observe-report audit.jsonl 'audit.jsonl.*.gz'`
    """
    reading = read_audit(audit, since=since, is_strict=strict)
    tallies = tally(event for event in reading.events if event.observed is not None)
    if as_json:
        typer.echo(orjson.dumps(_to_json(reading, tallies), option=orjson.OPT_INDENT_2).decode())
    else:
        _print(reading, tallies)


def tally(observed: Iterable[Recorded]) -> dict[Kind, Tally]:
    """The events counted by kind, most frequent first."""
    tallies: dict[Kind, Tally] = {}
    for event in observed:
        refusal = event.observed
        if refusal is not None:
            kind = Kind(refusal.rule or NO_RULE, refusal.reason, event.agent or "", event.target)
            found = tallies.get(kind)
            if found is None:
                found = tallies[kind] = Tally(event.decision_id, event.time, event.time)
            found.add(event)
    return dict(sorted(tallies.items(), key=lambda entry: (-entry[1].count, entry[0])))


def _totals(reading: AuditReading) -> dict[str, int]:
    observed = sum(event.observed is not None for event in reading.events)
    denied = sum(event.effect == "deny" for event in reading.events)
    return {
        "would_be_refused": observed,
        "refused": denied,
        "allowed": len(reading.events) - observed - denied,
    }


def _to_json(reading: AuditReading, tallies: dict[Kind, Tally]) -> dict[str, object]:
    groups = [{**kind._asdict(), **found.to_json()} for kind, found in tallies.items()]
    for group in groups:
        group["rule"] = None if group["rule"] == NO_RULE else group["rule"]
    return {"read": reading.to_json(), "totals": _totals(reading), "groups": groups}


def _print(reading: AuditReading, tallies: dict[Kind, Tally]) -> None:
    console = make_console()
    totals = _totals(reading)
    console.print(visible(reading.summary()))
    console.print(
        f"{totals['would_be_refused']} would be refused if everything were enforced, "
        f"{totals['refused']} refused anyway, {totals['allowed']} allowed either way"
    )
    for kind, found in tallies.items():
        console.print()
        console.print(Text.assemble((visible_text(f"{kind.rule}: {kind.reason}"), "bold")))
        console.print(visible(f"  {found.count} x {kind.agent}"))
        console.print(visible(f"      {kind.target}"))
        console.print(
            visible(f"      {span(found.first, found.last)}, for example {found.example}")
        )


def span(first: datetime, last: datetime) -> str:
    """From when to when, to the second."""
    texts = [moment.isoformat(timespec="seconds") for moment in (first, last)]
    return texts[0] if texts[0] == texts[1] else " to ".join(texts)
