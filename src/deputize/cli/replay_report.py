"""`deputize policy replay`: which recorded decisions other policies would change.

Rules of this file:
- An answer that hangs on something that was not recorded is no change; it is told apart.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar

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
from deputize.cli.inputs import refuse_input
from deputize.cli.observe_report import Tally
from deputize.cli.recorded import Recorded
from deputize.cli.replay import Outcome, Replay, recorded_claims, recorded_outcome
from deputize.cli.replay_conditions import Unknown
from deputize.cli.visible import make_console, visible
from deputize.config.policy_loader import load_with_mode
from deputize.config.problems import ConfigError, visible_text

_KeyT = TypeVar("_KeyT")
_RECORDABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_STATES = {"allow": "allow", "observe": "allow (observed)", "deny": "deny"}


class Change(NamedTuple):
    """Changed decisions that are told together."""

    before: Outcome
    after: Outcome
    agent: str
    target: str

    @property
    def kind(self) -> str:
        """What has changed: the answer, its reason, or only the rule that decides."""
        if self.before.state != self.after.state:
            return f"{_STATES[self.before.state]} -> {_STATES[self.after.state]}"
        return "other reason" if self.before.reason != self.after.reason else "other rule"


class Open(NamedTuple):
    """Answers that hang on the same unrecorded things."""

    unknown: tuple[Unknown, ...]
    agent: str
    target: str


@dataclass(slots=True)
class Comparison:
    """All events against the policies, counted."""

    unchanged: int = 0
    budgeted: int = 0
    elsewhere: Counter[str] = field(default_factory=Counter)
    changes: dict[Change, Tally] = field(default_factory=dict)
    undetermined: dict[Open, Tally] = field(default_factory=dict)

    @property
    def changed(self) -> int:
        """The number of changed decisions."""
        return sum(found.count for found in self.changes.values())

    @property
    def open(self) -> int:
        """The number of answers that hang on something unrecorded."""
        return sum(found.count for found in self.undetermined.values())

    @property
    def claims(self) -> list[str]:
        """Claims that would settle answers, were they recorded; as far as `audit.claims` can."""
        names = {each.claim for key in self.undetermined for each in key.unknown}
        return sorted(filter(_RECORDABLE.fullmatch, names))


def policy_replay(
    audit: AuditArguments,
    policy: Annotated[
        Path,
        typer.Option(
            "--policy", "-p", help="A policy file, a folder of them, or a service configuration."
        ),
    ],
    since: SinceOption = None,
    answers_only: Annotated[
        bool, typer.Option("--answers-only", help="Another reason or rule is no change.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    strict: StrictOption = False,
) -> None:
    """Decide recorded events again under other policies, and list the decisions that change.

    What events do not record (headers, arguments, claims not in `audit.claims`, unused approvals)
    leaves an answer undetermined where it matters. Budgets count as not used up. Exits 0 where no
    decision changes, 1 where one does, 2 where nothing can be read.

    Example: `deputize policy replay audit.jsonl --policy policies-new/`
    """
    try:
        policies, is_observed = load_with_mode(policy)
    except ConfigError as error:
        refuse_input(str(error))
    reading = read_audit(audit, since=since, is_strict=strict)
    try:
        replay = Replay(policies, recorded_claims(reading.events), is_observed=is_observed)
    except ConfigError as error:
        refuse_input(str(error))
    compared = compare(reading.events, replay, answers_only=answers_only)
    if as_json:
        told = _to_json(reading, compared)
        typer.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(reading, compared)
    raise typer.Exit(1 if compared.changes else 0)


def compare(events: list[Recorded], replay: Replay, *, answers_only: bool) -> Comparison:
    """Every event against what the policies say now."""
    compared = Comparison()
    for event in events:
        if not event.is_for_policies:
            compared.elsewhere[event.reason] += 1
            continue
        answer, before = replay.decide(event), recorded_outcome(event)
        compared.budgeted += answer.has_budget
        after = answer.outcome
        is_same = after is not None and answers_only and after.state == before.state
        if after == before or is_same:
            compared.unchanged += 1
        elif after is not None:
            change = Change(before, after, event.agent or "", event.target)
            _count(compared.changes, change, event)
        else:
            key = Open(answer.unknown, event.agent or "", event.target)
            _count(compared.undetermined, key, event)
    return compared


def _count(tallies: dict[_KeyT, Tally], key: _KeyT, event: Recorded) -> None:
    found = tallies.get(key)
    if found is None:
        found = tallies[key] = Tally(event.decision_id, event.time, event.time)
    found.add(event)


def _to_json(reading: AuditReading, compared: Comparison) -> dict[str, object]:
    return {
        "read": reading.to_json(),
        "totals": {
            "unchanged": compared.unchanged,
            "changed": compared.changed,
            "undetermined": compared.open,
            "not_for_policies": dict(sorted(compared.elsewhere.items())),
            "allowed_within_budgets": compared.budgeted,
        },
        "changes": [
            {
                "change": change.kind,
                "before": change.before._asdict(),
                "after": change.after._asdict(),
                "agent": change.agent,
                "target": change.target,
                **found.to_json(),
            }
            for change, found in _sorted(compared.changes).items()
        ],
        "undetermined": [
            {
                "unknown": [each.text for each in key.unknown],
                "agent": key.agent,
                "target": key.target,
                **found.to_json(),
            }
            for key, found in _sorted(compared.undetermined).items()
        ],
        "record_claims": compared.claims,
    }


def _print(reading: AuditReading, compared: Comparison) -> None:
    console = make_console()
    console.print(visible(reading.summary()))
    elsewhere = compared.elsewhere.total()
    console.print(
        f"{compared.changed} changed, {compared.unchanged} unchanged, "
        f"{compared.open} undetermined, "
        f"{elsewhere} not for policies to say (request, identity, token, our side)"
    )
    if compared.budgeted:
        console.print(f"{compared.budgeted} allowed as long as a budget is not used up")
    for change, found in _sorted(compared.changes).items():
        before, after = (_tell(each) for each in (change.before, change.after))
        console.print()
        console.print(Text(change.kind, "bold"))
        console.print(visible(f"  {found.count} x {change.agent}"))
        console.print(visible(f"      {change.target}"))
        console.print(visible(f"      before: {before}"))
        console.print(visible(f"      after:  {after}"))
        console.print(visible(f"      for example {found.example}"))
    for key, found in _sorted(compared.undetermined).items():
        unknown = ", ".join(each.text for each in key.unknown) or "what is not recorded"
        console.print()
        console.print(Text(visible_text(f"undetermined: it hangs on {unknown}"), "bold"))
        console.print(visible(f"  {found.count} x {key.agent}"))
        console.print(visible(f"      {key.target}"))
        console.print(visible(f"      for example {found.example}"))
    if compared.claims:
        names = ", ".join(compared.claims)
        console.print()
        console.print(visible(f"To settle more, let events record claims: audit.claims: [{names}]"))


def _tell(outcome: Outcome) -> str:
    return f"{outcome.reason}, {f'rule {outcome.rule}' if outcome.rule else 'no rule matched'}"


def _sorted(tallies: Mapping[_KeyT, Tally]) -> dict[_KeyT, Tally]:
    """Most frequent first."""
    return dict(sorted(tallies.items(), key=lambda entry: (-entry[1].count, str(entry[0]))))
