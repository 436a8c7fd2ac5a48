"""Rules of least privilege for calls that were seen.

Rules of this file:
- One rule for each agent, issuer, host and protocol, apart for what lists in one rule would mix:
  HTTP methods of different paths, methods of MCP with names, and calls granted other scopes.
- What cannot be written exactly (a tool whose name ends with `*`) is left out and said. So is
  what a forbid or a demand (a condition, a login, an approval, a budget) would have refused:
  somebody meant that. `suggestion_guard.py` sees that no rule lets it in after all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from deputize.cli.observe_report import Tally
from deputize.cli.recorded import Recorded
from deputize.cli.suggestion_seen import Key, Seen, Templates, Use, is_exact, unread_routes
from deputize.core.paths import PathError, parse_path
from deputize.core.reasons import Reason

NOT_MEANT = {Reason.POLICY_NO_MATCH, Reason.POLICY_INSUFFICIENT_SCOPE}
"""Would-be refusals that nobody need have meant."""


@dataclass(slots=True)
class Suggested:
    """One rule in the making. `entries` are its paths or calls, with how often each was seen.

    A forbid without `subjects` is for all principals.
    """

    use: Use
    methods: set[str] = field(default_factory=set)
    entries: dict[str, Tally] = field(default_factory=dict)
    scopes: frozenset[str] | None = None
    subjects: set[str] = field(default_factory=set)
    depth: int = 1
    observed: int = 0
    is_forbid: bool = False

    def add(self, event: Recorded, entry: str) -> None:
        """Widens the rule, so that it covers one more call."""
        principal, chain, scopes = event.principal, event.chain, event.scopes
        found = self.entries.setdefault(entry, Tally(event.decision_id, event.time, event.time))
        found.add(event)
        self.methods.add(event.http.method)
        self.observed += event.observed is not None
        self.subjects.add(principal.subject if principal is not None else "")
        self.depth = max(self.depth, len(chain or ()))
        had = self.use.granted
        if had is None:
            had = frozenset(scopes.token if scopes is not None else ())
        self.scopes = had if self.scopes is None else self.scopes & had


@dataclass(slots=True)
class Suggestion:
    """The rules, the events they are made from, and what was left out.

    `rare` are the events left out only because they were seen less often than was asked for;
    `forbids` are rules for what was refused and a rule would cover.
    """

    rules: list[Suggested]
    events: list[Recorded]
    left_out: list[str]
    rare: dict[str, list[Recorded]] = field(default_factory=dict)
    forbids: list[Suggested] = field(default_factory=list)


def suggest(
    events: Iterable[Recorded], min_count: int, blocked: Mapping[Key, str] = MappingProxyType({})
) -> Suggestion:
    """Rules for these events, which policies let pass.

    Left out is what was seen less often than `min_count`, and what `blocked` gives a reason for.
    """
    left_out: dict[str, str] = {}
    rare: dict[str, list[Recorded]] = {}
    listed: list[Recorded] = []
    for event in events:
        try:
            parse_path(event.http.path)
            listed.append(event)
        except PathError as error:
            left_out[event.decision_id] = f"{event.http.method} {event.http.path}: {error}"
    templates = Templates(listed)
    seen = [one for event in listed for one in templates.see(event)]
    unread = unread_routes(seen)
    counts = Counter((one.use, one.entry) for one in seen)
    for one in seen:
        count = counts[one.use, one.entry]
        why = _why_not(one, unread, blocked)
        if why or count < min_count:
            text = f"{one.use.method} {one.entry}: {why or _times(count)}".strip()
            left_out[one.event.decision_id] = text
            if not why:
                rare.setdefault(text, []).append(one.event)
    rules: dict[Use, Suggested] = {}
    for one in seen:
        if one.event.decision_id not in left_out:
            rules.setdefault(one.use, Suggested(one.use)).add(one.event, one.entry)
    kept = [event for event in listed if event.decision_id not in left_out]
    return Suggestion(_merge(rules.values()), kept, sorted(set(left_out.values())), rare)


def _why_not(one: Seen, unread: set[tuple[Use, str]], blocked: Mapping[Key, str]) -> str:
    """Why no rule is suggested for this; empty where one is."""
    refusal = one.event.observed
    if refusal is not None and refusal.reason not in NOT_MEANT:
        return f"{refusal.reason}, rule {refusal.rule}"
    if not is_exact(one):
        return "cannot be written exactly"
    if (one.use, one.entry) in unread:
        return "may be a call that was not recorded, of a protocol spoken there"
    return blocked.get(one.key, "")


def _times(count: int) -> str:
    return "seen once" if count == 1 else f"seen {count} times"


def _merge(rules: Iterable[Suggested]) -> list[Suggested]:
    """One rule for methods of the very same paths, for the same principals and scopes."""
    merged: dict[tuple[object, ...], Suggested] = {}
    for rule in rules:
        if rule.use.route.protocol is not None:
            merged[rule.use] = rule
            continue
        agent, issuer, host, route, _method, upgrade, _call_method, granted = rule.use
        where = (agent, issuer, host, route, upgrade, granted, frozenset(rule.entries))
        key = (*where, rule.scopes, frozenset(rule.subjects), rule.depth)
        twin = merged.setdefault(key, rule)
        if twin is rule:
            continue
        twin.methods |= rule.methods
        twin.observed += rule.observed
        for entry, found in rule.entries.items():
            twin.entries[entry].count += found.count
            twin.entries[entry].first = min(twin.entries[entry].first, found.first)
            twin.entries[entry].last = max(twin.entries[entry].last, found.last)
    return list(merged.values())
