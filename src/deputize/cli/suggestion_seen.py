"""Recorded calls as rules would name them: the path template, or the call of a protocol.

Rules of this file:
- A template is for all agents of a host: what tells things apart is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from deputize.cli.recorded import Recorded, RecordedCall
from deputize.cli.replay_call import bare_host
from deputize.cli.route_folding import path_templates
from deputize.config.resources import paths_overlap
from deputize.core.a2a import GRPC_SERVICE, read_a2a_rest
from deputize.core.call_patterns import parse_call_text
from deputize.core.json_rpc import CallError
from deputize.core.matching import ANY, PatternError, parse_path_pattern
from deputize.core.model import Binding, Protocol
from deputize.core.paths import parse_path

_BODY_METHOD = "POST"


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


class Seen(NamedTuple):
    """One call of an event, or an event without calls. `entry` is its path or call in a rule."""

    event: Recorded
    use: Use
    entry: str

    @property
    def key(self) -> Key:
        """What it is about, whatever was granted."""
        return self.use._replace(granted=None), self.entry


Key = tuple[Use, str]


class Templates:
    """The path templates of what was seen."""

    def __init__(self, events: Iterable[Recorded]) -> None:
        by_host: dict[str, set[str]] = {}
        for event in events:
            by_host.setdefault(bare_host(event.http.host), set()).add(event.http.path)
        self._known = {
            (host, path): template
            for host, paths in by_host.items()
            for path, template in path_templates(paths).items()
        }

    def see(self, event: Recorded) -> list[Seen]:
        """Each call of the event; of one without calls the request."""
        host, path = bare_host(event.http.host), event.http.path
        # What was not seen may still be of a kind that was: another number, in the same place.
        template = self._known.get((host, path)) or path_templates([path])[path]
        return [_see(event, call, host, template) for call in event.calls or (None,)]


def is_exact(one: Seen) -> bool:
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


def unread_routes(seen: Iterable[Seen]) -> set[tuple[Use, str]]:
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


def _see(event: Recorded, call: RecordedCall | None, host: str, template: str) -> Seen:
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
                service = event.http.path.rpartition("/")[0]
                route = Route(f"{service}/{{method}}", Protocol.GRPC, None)
            case Protocol.A2A:
                route = _a2a_route(event, call, template)
    issuer = event.principal.issuer if event.principal is not None else ""
    where = (event.agent or "", issuer, host, route, method, event.http.upgrade)
    return Seen(event, Use(*where, call_method, marker), entry)


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
