"""`deputize policy suggest`: rules of least privilege from what was seen."""

from __future__ import annotations

from typing import Annotated

import typer

from deputize.cli.audit_files import AuditArguments, SinceOption, StrictOption, read_audit
from deputize.cli.inputs import refuse_input
from deputize.cli.observe_report import visible_text
from deputize.cli.recorded import Recorded
from deputize.cli.replay import Replay, recorded_claims
from deputize.cli.suggestion import suggest
from deputize.cli.suggestion_text import to_yaml
from deputize.config.policy_loader import compile_sources
from deputize.config.policy_schema import DelegationPolicy
from deputize.config.problems import ConfigError
from deputize.config.strict_yaml import parse_documents
from deputize.config.validation import validate


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
    """Propose a policy that allows what was seen, and no more, on standard output.

    From allowed calls, one rule for each agent, issuer, host and protocol. In paths, numbers,
    UUIDs, hashes and whatever takes many values become `{id}`; tools are named one by one; up to
    three principals too, of more anyone of the issuer may. Exits 0 where every call it was made
    from is allowed by it, 1 where one is not or none was seen, 2 where nothing can be read.

    Example: `deputize policy suggest audit.jsonl --name orders > orders.yaml`
    """
    reading = read_audit(audit, since=since, is_strict=strict)
    seen = [
        event
        for event in reading.events
        if event.is_for_policies
        and event.effect == "allow"
        and (include_observed or event.observed is None)
    ]
    typer.echo(visible_text(reading.summary()), err=True)
    suggestion = suggest(seen, min_count)
    if not suggestion.rules:
        typer.echo("no call to make rules from: none was allowed, or all were left out", err=True)
        raise typer.Exit(1)
    text = to_yaml(suggestion, name)
    refused = find_refused(text, suggestion.events)
    typer.echo(text, nl=False)
    if suggestion.left_out:
        typer.echo(f"left out: {len(suggestion.left_out)}, see the comments", err=True)
    for event, why in refused:
        typer.echo(visible_text(f"not allowed by it: {event.decision_id}: {why}"), err=True)
    raise typer.Exit(1 if refused else 0)


def find_refused(text: str, events: list[Recorded]) -> list[tuple[Recorded, str]]:
    """The events that this policy file would not allow, each with why."""
    try:
        documents = parse_documents(text.encode("utf-8", "replace"), "suggestion")
        sources = [(validate(DelegationPolicy, document), document) for document in documents]
        policies = compile_sources(sources)
    except ConfigError as error:
        refuse_input(f"the suggestion is no policy: {error}")
    replay = Replay(policies, recorded_claims(events))
    refused: list[tuple[Recorded, str]] = []
    for event in events:
        answer = replay.decide(event)
        if answer.outcome is None:
            refused.append((event, ", ".join(each.text for each in answer.unknown)))
        elif answer.outcome.state != "allow":
            refused.append((event, answer.outcome.reason))
    return refused
