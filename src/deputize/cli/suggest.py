"""`deputize policy suggest`: rules of least privilege from what was seen."""

from __future__ import annotations

from typing import Annotated

import typer

from deputize.cli.audit_files import AuditArguments, SinceOption, StrictOption, read_audit
from deputize.cli.inputs import refuse_input
from deputize.cli.recorded import Recorded
from deputize.cli.suggestion_guard import ask_again, is_meant, suggest_guarded
from deputize.cli.suggestion_text import MAX_SHOWN, to_yaml
from deputize.config.problems import ConfigError, visible_text


def policy_suggest(
    audit: AuditArguments,
    name: Annotated[str, typer.Option(help="The name of the policy.")] = "suggested",
    min_count: Annotated[
        int, typer.Option(min=1, help="Leave out paths and tools seen less often than this.")
    ] = 1,
    include_observed: Annotated[
        bool, typer.Option(help="Also what only observe mode let pass.")
    ] = True,
    since: SinceOption = None,
    strict: StrictOption = False,
) -> None:
    """Propose a policy that allows what was seen, on standard output.

    From allowed calls, one rule for each agent, issuer, host and protocol. In paths, numbers,
    UUIDs, hashes and whatever takes many values become `{id}`; tools are named one by one; up to
    three principals too, of more anyone of the issuer may. What was refused stays refused: it gets
    a forbid, or what would let it in is left out. Exits 0 where every call it was made
    from is allowed by it, 1 where one is not or none was seen, 2 where nothing can be read.

    Example: `deputize policy suggest audit.jsonl --name orders > orders.yaml`
    """
    reading = read_audit(audit, since=since, is_strict=strict)
    asked = [event for event in reading.events if event.is_for_policies]
    seen = [
        event
        for event in asked
        if event.effect == "allow" and (include_observed or event.observed is None)
    ]
    chosen = {event.decision_id for event in seen}
    refused = [
        event
        for event in asked
        if is_meant(event) or not (event.decision_id in chosen or event.is_out_of_budget)
    ]
    typer.echo(visible_text(reading.summary()), err=True)
    try:
        suggestion = suggest_guarded(seen, refused, min_count)
    except ConfigError as error:
        refuse_input(f"the suggestion is no policy: {error}")
    if not suggestion.rules:
        typer.echo("no call to make rules from: none was allowed, or all were left out", err=True)
        for line in suggestion.left_out[:MAX_SHOWN]:
            typer.echo(visible_text(f"left out: {line}"), err=True)
        raise typer.Exit(1)
    text = to_yaml(suggestion, name)
    not_allowed = find_refused(text, suggestion.events)
    typer.echo(text, nl=False)
    if suggestion.left_out:
        typer.echo(f"left out: {len(suggestion.left_out)}, see the comments", err=True)
    for event, why in not_allowed:
        typer.echo(visible_text(f"not allowed by it: {event.decision_id}: {why}"), err=True)
    raise typer.Exit(1 if not_allowed else 0)


def find_refused(text: str, events: list[Recorded]) -> list[tuple[Recorded, str]]:
    """The events that this policy file would not allow, each with why."""
    try:
        answers = ask_again(text, events)
    except ConfigError as error:
        refuse_input(f"the suggestion is no policy: {error}")
    refused: list[tuple[Recorded, str]] = []
    for event, answer in answers:
        if answer.outcome is None:
            refused.append((event, ", ".join(each.text for each in answer.unknown)))
        elif answer.outcome.state != "allow":
            refused.append((event, answer.outcome.reason))
    return refused
