"""The lint about allow rules that let in more than anybody listed: `broad`."""

from __future__ import annotations

from collections.abc import Iterator

from deputize.config.lints.subject import PlacedRule, Subject
from deputize.config.lints.table import Lint
from deputize.config.policy_compiler import CompiledPolicies
from deputize.config.policy_schema import When
from deputize.config.problems import Problem
from deputize.config.resources import hosts_overlap, paths_overlap, protocol_of
from deputize.core.call_patterns import text_matches
from deputize.core.matching import ANY, AgentPattern
from deputize.core.model import Protocol
from deputize.core.rules import Rule

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_TOOL_CALL = "tools/call"
_THINGS = {Protocol.MCP: "tool", Protocol.A2A: "operation", Protocol.GRPC: "method"}

_ALONE = {
    "agents": "every agent of the trust domain, one that is added later too",
    "hosts": "every host behind the proxy, one that is added later too",
}
"""What is too wide whatever the rule says beside it."""


def find_broad(subject: Subject) -> Iterator[Problem]:
    """Allow rules with wildcards over everything, or that ask of writers for nothing."""
    for placed in subject.rules:
        if not placed.is_allow:
            continue
        wide = _wide_keys(placed.rule)
        if ANY in placed.rule.methods and placed.rule.call is None and wide:
            keys = " and ".join(f"`{key}`" for key in wide)
            yield placed.finding(Lint.BROAD, f"every method, and everything in {keys}")
            continue
        for key, at in wide.items():
            if key in _ALONE:
                yield placed.finding(Lint.BROAD, _ALONE[key], key, at)
        if placed.rule.call is None:
            yield from _plain(placed, subject.policies)
        else:
            yield from _calls(placed)


def _plain(placed: PlacedRule, policies: CompiledPolicies) -> Iterator[Problem]:
    writes = [method for method in placed.rule.methods if method not in _READS]
    if writes and not _asks_for_something(placed):
        position = _anyone(placed)
        if position is not None:
            method = "every method" if writes[0] == ANY else writes[0]
            message = f"lets its agents do {method} for anyone, and asks for no scope"
            yield placed.finding(Lint.BROAD, message, "onBehalfOf", position)
    yield from _all_calls(placed, policies)


def _wide_keys(rule: Rule) -> dict[str, int]:
    """The keys, beside the methods, with an entry for everything, and the position of that."""
    every = {
        "agents": [_is_any_agent(agent) for agent in rule.agents],
        "hosts": [host == ANY for host in rule.hosts],
        "paths": [path.has_tail and not path.segments for path in rule.paths],
    }
    return {key: found.index(True) for key, found in every.items() if True in found}


def _is_any_agent(agent: AgentPattern) -> bool:
    """A trust domain, and nothing but wildcards below it."""
    return set(agent.segments[1:]) <= {ANY}


def _asks_for_something(placed: PlacedRule) -> bool:
    rule = placed.rule
    return bool(
        rule.scopes
        or rule.step_up
        or rule.approval
        or any(map(_is_safeguard, placed.written.when or ()))
    )


def _is_safeguard(when: When) -> bool:
    """The agent writes headers and arguments as it likes; a claim in them is not its own choice."""
    return when.header is None and (when.argument is None or when.equals_claim is not None)


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
    if ANY in call.methods and (protocol is Protocol.MCP or not _asks_for_something(placed)):
        message = f"every {key.removesuffix('s')} of the protocol, those of its later versions too"
        at = call.methods.index(ANY)
        yield placed.finding(Lint.BROAD, message, protocol.value, key, at)
        return
    calls_tools = any(text_matches(method, _TOOL_CALL) for method in call.methods)
    has_names = bool(call.names) and ANY not in call.names
    if (
        protocol is Protocol.MCP
        and calls_tools
        and not has_names
        and not _asks_for_something(placed)
    ):
        message = "every tool, and asks for no scope; name the tools in `names`"
        yield placed.finding(Lint.BROAD, message, protocol.value)
