"""A suggestion allows what it was made from, nothing near it, and nothing that was refused."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deputize.cli.court import Court
from deputize.cli.recorded import Recorded
from deputize.cli.route_folding import fold_path
from deputize.cli.suggest import find_refused
from deputize.cli.suggestion_guard import ask_again, is_meant, suggest_guarded
from deputize.cli.suggestion_text import to_yaml
from deputize.cli.supposed_call import AgentCall, SupposedCall
from deputize.config.policy_loader import load_policies
from deputize.core.model import Protocol
from deputize.core.verdict import Effect
from tests.harness.recorded_strategies import calls, policies
from tests.harness.recordings import Recorder, policy_text
from tests.harness.world import OTHER_AGENT


def as_call(seen: Recorded) -> SupposedCall:
    """The recorded call, to be varied."""
    assert seen.principal is not None
    assert seen.scopes is not None
    said = seen.calls[0] if seen.calls else None
    return SupposedCall(
        agent=seen.agent or "",
        issuer=seen.principal.issuer,
        subject=seen.principal.subject,
        scopes=frozenset(seen.scopes.token),
        chain=tuple(f"hop-{position}" for position in range(1, len(seen.chain or ()))),
        method=seen.http.method,
        host=seen.http.host,
        path=seen.http.path,
        call=None if said is None else AgentCall(said.protocol, said.method, said.name),
    )


def allowed_again(text: str, events: list[Recorded]) -> list[Recorded]:
    """Those of the events that this policy file surely allows."""
    answers = ask_again(text, events)
    return [event for event, each in answers if each.outcome and each.outcome.state == "allow"]


@settings(max_examples=100, deadline=None)
@given(old=policies(), asked=st.lists(calls(), min_size=1, max_size=10))
def test_what_was_seen_is_allowed_and_no_neighbour(old: str, asked: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "policy.yaml"
        file.write_text(old)
        recorder = Recorder(file, is_observed=True)
        for request in asked:
            recorder.ask(**request)
        recorded = list(map(Recorded.model_validate, recorder.events))
        refused = [event for event in recorded if is_meant(event)]
        suggestion = suggest_guarded(recorded, refused, 1)
        if not suggestion.rules:
            assert suggestion.events == []
            return
        text = to_yaml(suggestion, "suggested")
        assert find_refused(text, suggestion.events) == []
        assert allowed_again(text, refused) == []
        file.write_text(text)
        court = Court(load_policies(file))
    seen = [as_call(event) for event in suggestion.events]
    routes = {(call.method, fold_path(call.path)) for call in seen}
    assert all(court.decide(call).decision.effect is Effect.ALLOW for call in seen)
    for call in seen:
        neighbours = [
            replace(call, agent=OTHER_AGENT),
            replace(call, method="DELETE"),
            replace(call, path="/mcp/more"),
            replace(call, host="more.example"),
        ]
        if call.call is not None:
            other = AgentCall(Protocol.MCP, "tools/call", "never-seen")
            neighbours.append(replace(call, call=other))
        neighbours += [
            replace(call, method=method, call=None)
            for method in ("GET", "POST")
            if (method, fold_path(call.path)) not in routes
        ]
        for neighbour in neighbours:
            assert court.decide(neighbour).decision.effect is Effect.DENY, (text, neighbour)


PLACES = ("7", "8", "export", "import")


@settings(max_examples=100, deadline=None)
@given(
    old=policies(),
    forbidden=st.lists(st.sampled_from(PLACES), unique=True),
    asked=st.lists(calls(), min_size=1, max_size=12),
    data=st.data(),
)
def test_nothing_that_policies_refused_becomes_allowed(
    old: str, forbidden: list[str], asked: list[dict[str, Any]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "policy.yaml"
        file.write_text(old)
        if forbidden:
            paths = [f"/v1/orders/{place}" for place in forbidden]
            no = {"name": "no", "effect": "forbid", "methods": ["*"], "paths": paths}
            file.write_text(f"{old}---\n{policy_text(no, name='no')}")
        recorder = Recorder(file)
        people = st.sampled_from(["alice", "bob", "carol", "dan", "eve"])
        for request in asked:
            token = {**request["token"], "subject": data.draw(people)}
            path = request["path"]
            if path.startswith("/v1/orders/"):
                path = f"/v1/orders/{data.draw(st.sampled_from(PLACES))}"
            recorder.ask(**{**request, "path": path, "token": token})
    recorded = [Recorded.model_validate(event) for event in recorder.events]
    asked_again = [event for event in recorded if event.is_for_policies]
    seen = [event for event in asked_again if event.effect == "allow"]
    refused = [event for event in asked_again if event.effect == "deny"]
    suggestion = suggest_guarded(seen, refused, 1)
    if not suggestion.rules:
        return
    text = to_yaml(suggestion, "suggested")
    assert find_refused(text, suggestion.events) == []
    assert allowed_again(text, refused) == [], text
