"""Rules of least privilege for calls that were seen.

Rules of this file:
- One rule for each agent, issuer, host and protocol, apart for what lists in one rule would mix:
  HTTP methods of different paths, methods of MCP with names, and calls granted other scopes.
- What cannot be written exactly (a tool whose name ends with `*`) is left out and said. So is
  what a forbid or a demand (a condition, a login, an approval, a budget) would have refused:
  somebody meant that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from deputize.cli.observe_report import Tally
from deputize.cli.recorded import Recorded, RecordedCall
from deputize.cli.replay_call import bare_host
from deputize.cli.route_folding import path_templates
from deputize.config.resources import paths_overlap
from deputize.core.a2a import GRPC_SERVICE, read_a2a_rest
from deputize.core.call_patterns import parse_call_text
from deputize.core.json_rpc import CallError
from deputize.core.matching import ANY, PatternError, parse_path_pattern
from deputize.core.model import Binding, Protocol
from deputize.core.paths import PathError, parse_path
from deputize.core.reasons import Reason

FEW_SUBJECTS = 3
"""So many principals are named one by one; where there are more, anyone of the issuer may."""
_BODY_METHOD = "POST"
_NOT_MEANT = {Reason.POLICY_NO_MATCH, Reason.POLICY_INSUFFICIENT_SCOPE}
"""Would-be refusals that nobody need have meant."""


class Route(NamedTuple):
    """A path template, and how calls are read there; without protocol none are."""

    path: str
    protocol: Protocol | None
    binding: Binding | None


class Use(NamedTuple):
    """What one rule is about. `granted` are the scopes of the grant, None where none was made."""

    agent: str
    issuer: str
    host: str
    route: Route
    method: str
    upgrade: str
    call_method: str
    granted: frozenset[str] | None


@dataclass(slots=True)
class Suggested:
    """One rule in the making. `entries` are its paths or calls, with how often each was seen."""

    use: Use
    methods: set[str] = field(default_factory=set)
    entries: dict[str, Tally] = field(default_factory=dict)
    scopes: frozenset[str] | None = None
    subjects: set[str] = field(default_factory=set)
    depth: int = 1
    observed: int = 0

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
    """The rules, the events they are made from, and what was left out."""

    rules: list[Suggested]
    events: list[Recorded]
    left_out: list[str]


class _Seen(NamedTuple):
    event: Recorded
    use: Use
    entry: str


def suggest(events: Iterable[Recorded], min_count: int) -> Suggestion:
    """Rules for these events, which policies let pass; what was seen less often is left out."""
    left_out: dict[str, str] = {}
    listed: list[Recorded] = []
    for event in events:
        try:
            parse_path(event.http.path)
            listed.append(event)
        except PathError as error:
            left_out[event.decision_id] = f"{event.http.method} {event.http.path}: {error}"
    templates = _templates(listed)
    seen = [_see(event, call, templates) for event in listed for call in event.calls or (None,)]
    unread = _unread_routes(seen)
    counts = Counter((one.use, one.entry) for one in seen)
    for one in seen:
        count = counts[one.use, one.entry]
        reason = _why_not(one, unread) or (_times(count) if count < min_count else "")
        if reason:
            left_out[one.event.decision_id] = f"{one.use.method} {one.entry}: {reason}".strip()
    rules: dict[Use, Suggested] = {}
    for one in seen:
        if one.event.decision_id not in left_out:
            rules.setdefault(one.use, Suggested(one.use)).add(one.event, one.entry)
    kept = [event for event in listed if event.decision_id not in left_out]
    return Suggestion(_merge(rules.values()), kept, sorted(set(left_out.values())))


def _why_not(one: _Seen, unread: set[tuple[Use, str]]) -> str:
    """Why no rule is suggested for this; empty where one is."""
    refusal = one.event.observed
    if refusal is not None and refusal.reason not in _NOT_MEANT:
        return f"{refusal.reason}, rule {refusal.rule}"
    if not _is_exact(one):
        return "cannot be written exactly"
    if (one.use, one.entry) in unread:
        return "may be a call that was not recorded, of a protocol spoken there"
    return ""


def _times(count: int) -> str:
    return "seen once" if count == 1 else f"seen {count} times"


def _templates(events: Iterable[Recorded]) -> Mapping[tuple[str, str], str]:
    """A template for each host and path: what tells things apart is the same for all agents."""
    by_host: dict[str, set[str]] = {}
    for event in events:
        by_host.setdefault(bare_host(event.http.host), set()).add(event.http.path)
    return {
        (host, path): template
        for host, paths in by_host.items()
        for path, template in path_templates(paths).items()
    }


def _see(
    event: Recorded, call: RecordedCall | None, templates: Mapping[tuple[str, str], str]
) -> _Seen:
    host, path = bare_host(event.http.host), event.http.path
    template = templates[host, path]
    granted = frozenset(event.scopes.granted) if event.scopes is not None else frozenset()
    marker = granted if event.rule is not None and event.observed is None else granted or None
    route, method, call_method = Route("", None, None), event.http.method, ""
    entry = template
    if call is not None:
        method, entry = "", call.method
        match call.protocol:
            case Protocol.MCP:
                route = Route(template, Protocol.MCP, None)
                if call.name:
                    call_method, entry = call.method, call.name
            case Protocol.GRPC:
                service = path.rpartition("/")[0]
                route = Route(f"{service}/{{method}}", Protocol.GRPC, None)
            case Protocol.A2A:
                route = _a2a_route(event, call, template)
    issuer = event.principal.issuer if event.principal is not None else ""
    where = (event.agent or "", issuer, host, route, method, event.http.upgrade)
    return _Seen(event, Use(*where, call_method, marker), entry)


def _a2a_route(event: Recorded, call: RecordedCall, template: str) -> Route:
    segments = parse_path(event.http.path)
    if segments[0] == GRPC_SERVICE:
        return Route(f"/{GRPC_SERVICE}/{{method}}", Protocol.A2A, Binding.GRPC)
    for base in range(len(segments) - 1, -1, -1):
        try:
            read = read_a2a_rest(event.http.method, segments[base:])
        except CallError:
            continue
        if (read.method, read.name) == (call.method, call.name):
            raw = event.http.path.split("/")[: base + 1]
            return Route("/".join([*raw, "**"]), Protocol.A2A, Binding.REST)
    return Route(template, Protocol.A2A, Binding.JSON_RPC)


def _is_exact(one: _Seen) -> bool:
    """Whether a rule can name exactly this call."""
    if one.use.route.protocol is None:
        return True
    try:
        for text in (one.entry, one.use.call_method or one.entry):
            parse_call_text(text)
            if text.endswith(ANY):
                return False
    except PatternError:
        return False
    return True


def _unread_routes(seen: Iterable[_Seen]) -> set[tuple[Use, str]]:
    """Uses of a path without calls where a rule without calls would cover calls too."""
    listed = list(seen)
    routes = {(one.use.host, one.use.route) for one in listed if one.use.route.protocol is not None}
    plain = {(one.use, one.entry) for one in listed if one.use.route.protocol is None}
    found: set[tuple[Use, str]] = set()
    for use, entry in plain:
        path = parse_path_pattern(entry)
        for host, route in routes:
            reads_body = route.protocol is Protocol.MCP or route.binding is Binding.JSON_RPC
            if (
                host == use.host
                and paths_overlap(path, parse_path_pattern(route.path))
                and not (reads_body and use.method != _BODY_METHOD)
            ):
                found.add((use, entry))
    return found


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
