"""A suggestion under which nothing is allowed that was refused when it was recorded.

Rules of this file:
- Rules cover more than what was seen: `{id}` is any segment, `anyone` is all principals, and what
  one principal did stands beside what another did. So every recorded refusal is asked again; of
  what a template covers it does not matter which principal it was.
- What a rule lets in then gets a forbid, if that refuses nothing that was seen; else what the rule
  would let in is left out. Each round leaves more out or forbids more, so there is a last one.
- Budgets are not asked again: they say how often, not what.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from deputize.cli.recorded import Recorded
from deputize.cli.replay import Answer, Replay, recorded_claims
from deputize.cli.suggestion import NOT_MEANT, Suggested, Suggestion, suggest
from deputize.cli.suggestion_seen import Key, Seen, Templates, is_exact
from deputize.cli.suggestion_text import can_be_named, to_yaml
from deputize.config.policy_loader import compile_sources
from deputize.config.policy_schema import DelegationPolicy
from deputize.config.strict_yaml import parse_documents
from deputize.config.validation import validate
from deputize.core.matching import parse_path_pattern
from deputize.core.paths import PathError, parse_path
from deputize.core.reasons import Reason

MAX_FORBIDDEN = 40
"""Where more would be forbidden, what covers them is left out instead."""


def is_meant(event: Recorded) -> bool:
    """Whether the policies in use refused it, or would have, and shall go on to."""
    if event.is_out_of_budget:
        return False
    is_observed = event.observed is not None and event.observed.reason not in NOT_MEANT
    return event.effect == "deny" or is_observed


def suggest_guarded(seen: list[Recorded], refused: list[Recorded], min_count: int) -> Suggestion:
    """Rules for what was seen, under which none of the refused events is allowed.

    Raises:
        ConfigError: what was recorded cannot be written as a policy.
    """
    guard = _Guard(seen)
    readable = [event for event in refused if _has_path(event)]
    while True:
        suggestion = suggest(seen, min_count, guard.blocked)
        suggestion.forbids = guard.rules()
        if not suggestion.rules:
            suggestion.forbids = []
            return suggestion
        guard.look_at(suggestion)
        text = to_yaml(suggestion, "suggested")
        opened = [
            event
            for event, answer in ask_again(text, readable)
            if _is_allowed(answer) or guard.is_covered(event)
        ]
        lost = [event for event, answer in ask_again(text, suggestion.events) if _is_lost(answer)]
        if not opened and not lost:
            suggestion.left_out = _say_of_rare(text, suggestion)
            return suggestion
        guard.narrow(opened, lost)


def ask_again(text: str, events: list[Recorded]) -> list[tuple[Recorded, Answer]]:
    """Each event with what this policy file says of it.

    Raises:
        ConfigError: it is no policy file.
    """
    documents = parse_documents(text.encode("utf-8", "replace"), "suggestion")
    sources = [(validate(DelegationPolicy, document), document) for document in documents]
    replay = Replay(compile_sources(sources), recorded_claims(events))
    return [(event, replay.decide(event)) for event in events]


@dataclass(slots=True)
class _Forbidden:
    """One path or call that gets a forbid; without subjects for all principals."""

    seen: dict[str, Seen] = field(default_factory=dict)
    subjects: set[str] = field(default_factory=set)


class _Guard:
    """What is left out and forbidden so far."""

    def __init__(self, seen: Iterable[Recorded]) -> None:
        self.blocked: dict[Key, str] = {}
        self._forbidden: dict[Key, _Forbidden] = {}
        self._templates = Templates(event for event in seen if _has_path(event))
        self._kept: dict[Key, set[str]] = {}

    def rules(self) -> list[Suggested]:
        """The forbids, those for the same principals and the same use as one."""
        rules: dict[object, Suggested] = {}
        for (use, entry), found in self._forbidden.items():
            rule = rules.setdefault(
                (use, frozenset(found.subjects)), Suggested(use, is_forbid=True)
            )
            for one in found.seen.values():
                rule.add(one.event, entry)
            rule.subjects = found.subjects
        return list(rules.values())

    def look_at(self, suggestion: Suggestion) -> None:
        """Takes in who is allowed what by it."""
        self._kept = {}
        for event in suggestion.events:
            for one in self._templates.see(event):
                self._kept.setdefault(one.key, set()).add(_subject(event))

    def is_covered(self, event: Recorded) -> bool:
        """Whether a template covers it for another principal of the same agent."""
        one = self._templates.see(event)[0]
        if event.calls or one.key in self._kept or one.key in self._forbidden:
            return False
        return any(use.method == one.use.method for use, _ in self._covering(event))

    def narrow(self, opened: list[Recorded], lost: list[Recorded]) -> None:
        """Forbids, or leaves out, what is allowed and was refused; leaves out what is lost."""
        before = len(self.blocked)
        for event in lost:
            keys = [one.key for one in self._templates.see(event)]
            self._leave_out(keys, "what was refused cannot be told from it")
        is_narrower = False
        for event in opened:
            if self._forbid(event):
                is_narrower = True
            else:
                refusal = event.reason if event.observed is None else event.observed.reason
                self._leave_out(self._covering(event), f"refused at other times: {refusal}")
        if len(self.blocked) > before:
            # Some forbids may have nothing to forbid any more.
            self._forbidden = {}
        elif not is_narrower:
            self._leave_out(self._kept, "what was refused cannot be told from it")

    def _forbid(self, event: Recorded) -> bool:
        """Whether there is a new forbid that refuses it, and nothing of the same that was seen."""
        subject = _subject(event)
        calls = [one for one in self._templates.see(event) if is_exact(one)]
        strange = [one for one in calls if one.key not in self._kept]
        others = [one for one in calls if subject not in self._kept.get(one.key, {subject})]
        if not strange and not (others and can_be_named(subject)):
            return False
        one = (strange or others)[0]
        found = self._forbidden.setdefault(one.key, _Forbidden())
        is_new = event.decision_id not in found.seen
        found.seen[event.decision_id] = one
        if not strange:
            found.subjects.add(subject)
        return is_new and max(len(self._forbidden), len(found.subjects)) <= MAX_FORBIDDEN

    def _covering(self, event: Recorded) -> Iterator[Key]:
        """What is kept of the same agent that the event is, or that has a template for its path."""
        calls = self._templates.see(event)
        keys = {one.key for one in calls}
        if not keys.isdisjoint(self._kept):
            yield from keys & self._kept.keys()
            return
        path = parse_path(event.http.path)
        for use, entry in self._kept:
            template = entry if use.route.protocol is None else use.route.path
            mine = calls[0].use
            is_same = (use.agent, use.issuer, use.host) == (mine.agent, mine.issuer, mine.host)
            if is_same and parse_path_pattern(template).matches(path):
                yield use, entry

    def _leave_out(self, keys: Iterable[Key], why: str) -> None:
        for key in keys:
            self.blocked.setdefault(key, why)


def _say_of_rare(text: str, suggestion: Suggestion) -> list[str]:
    """What was left out; of what is rare whether a template covers it all the same."""
    covered = {
        said
        for said, events in suggestion.rare.items()
        if all(_is_allowed(answer) for _, answer in ask_again(text, events))
    }
    return [
        f"{said}, but a rule covers it all the same" if said in covered else said
        for said in suggestion.left_out
    ]


def _is_allowed(answer: Answer) -> bool:
    return answer.outcome is not None and answer.outcome.state == "allow"


def _is_lost(answer: Answer) -> bool:
    return answer.outcome is not None and answer.outcome.reason == Reason.POLICY_FORBIDDEN


def _subject(event: Recorded) -> str:
    return event.principal.subject if event.principal is not None else ""


def _has_path(event: Recorded) -> bool:
    try:
        parse_path(event.http.path)
    except PathError:
        return False
    return True
