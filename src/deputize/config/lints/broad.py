"""The lint about allow rules that let in more than anybody listed: `broad`."""

from __future__ import annotations

from collections.abc import Iterator

from deputize.config.lints.subject import PlacedRule, Subject
from deputize.config.lints.table import Lint
from deputize.config.policy_compiler import CompiledPolicies
from deputize.config.problems import Problem
from deputize.config.resources import hosts_overlap, paths_overlap, protocol_of
from deputize.core.call_patterns import text_matches
from deputize.core.matching import ANY
from deputize.core.model import Protocol
from deputize.core.rules import Rule

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_TOOL_CALL = "tools/call"
_THINGS = {Protocol.MCP: "tool", Protocol.A2A: "operation", Protocol.GRPC: "method"}


def find_broad(subject: Subject) -> Iterator[Problem]:
    """Allow rules with wildcards over everything, or that ask of writers for nothing."""
    for placed in subject.rules:
        if not placed.is_allow:
            continue
        if placed.rule.call is None:
            yield from _plain(placed, subject.policies)
        else:
            yield from _calls(placed)


def _plain(placed: PlacedRule, policies: CompiledPolicies) -> Iterator[Problem]:
    rule = placed.rule
    wide = _wide_keys(rule)
    if ANY in rule.methods and wide:
        message = f"every method, and everything in {' and '.join(f'`{key}`' for key in wide)}"
        yield placed.finding(Lint.BROAD, message)
        return
    writes = [method for method in rule.methods if method not in _READS]
    if writes and not _asks_for_something(rule):
        position = _anyone(placed)
        if position is not None:
            method = "every method" if writes[0] == ANY else writes[0]
            message = f"lets its agents do {method} for anyone, and asks for no scope"
            yield placed.finding(Lint.BROAD, message, "onBehalfOf", position)
    yield from _all_calls(placed, policies)


def _wide_keys(rule: Rule) -> list[str]:
    """The keys, beside the methods, with an entry for everything."""
    every = {
        "agents": any(agent.has_tail and len(agent.segments) == 1 for agent in rule.agents),
        "hosts": ANY in rule.hosts,
        "paths": any(path.has_tail and not path.segments for path in rule.paths),
    }
    return [key for key, is_wide in every.items() if is_wide]


def _asks_for_something(rule: Rule) -> bool:
    return bool(rule.scopes or rule.conditions or rule.step_up or rule.approval)


def _anyone(placed: PlacedRule) -> int | None:
    """The position of the first issuer for all of whose principals the rule is."""
    entries = placed.written.on_behalf_of
    return next((at for at, entry in enumerate(entries) if entry.anyone), None)


def _all_calls(placed: PlacedRule, policies: CompiledPolicies) -> Iterator[Problem]:
    """A rule without calls, on a route whose requests hold calls."""
    rule = placed.rule
    if {ANY, "POST"}.isdisjoint(rule.methods):
        return
    for route in policies.routes:
        protocol = route.resource.protocol
        if (
            protocol is not None
            and any(hosts_overlap(host, route.host) for host in rule.hosts)
            and any(paths_overlap(path, route.path) for path in rule.paths)
        ):
            message = (
                f"covers every {_THINGS[protocol]} of {route.host}{route.path.text}; say in "
                f"`{protocol.value}` which calls"
            )
            yield placed.finding(Lint.BROAD, message)
            return


def _calls(placed: PlacedRule) -> Iterator[Problem]:
    rule, protocol = placed.rule, protocol_of(placed.written)
    call = rule.call
    if call is None or protocol is None:
        return
    key = "operations" if protocol is Protocol.A2A else "methods"
    if ANY in call.methods and (protocol is Protocol.MCP or not _asks_for_something(rule)):
        message = f"every {key.removesuffix('s')} of the protocol, those of its later versions too"
        at = call.methods.index(ANY)
        yield placed.finding(Lint.BROAD, message, protocol.value, key, at)
        return
    calls_tools = any(text_matches(method, _TOOL_CALL) for method in call.methods)
    has_names = bool(call.names) and ANY not in call.names
    if protocol is Protocol.MCP and calls_tools and not has_names and not _asks_for_something(rule):
        message = "every tool, and asks for no scope; name the tools in `names`"
        yield placed.finding(Lint.BROAD, message, protocol.value)
