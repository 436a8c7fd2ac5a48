"""A suggestion as a policy file, with what was seen in comments.

Rules of this file:
- Whatever was recorded stands in quotes unless it is plain beyond doubt, and in comments only what
  can be seen: an audit file may hold anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from deputize.cli.observe_report import Tally, span, visible_text
from deputize.cli.suggestion import FEW_SUBJECTS, Route, Suggested, Suggestion
from deputize.core.model import Binding, Protocol

MAX_SHOWN = 40
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*(?::[A-Za-z0-9_./-]+)*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,256}")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_MAX_NAME = 55
_MAX_DEPTH = 12


def to_yaml(suggestion: Suggestion, name: str) -> str:
    """The file."""
    lines = [
        f"# Suggested from {len(suggestion.events)} recorded calls: what was seen, and no more.",
        "# Read it before you use it: what agents did is not yet what they should do.",
    ]
    if suggestion.left_out:
        lines.append("# Left out:")
        lines += (f"# - {visible_text(text)}" for text in suggestion.left_out[:MAX_SHOWN])
        if len(suggestion.left_out) > MAX_SHOWN:
            lines.append(f"# - and {len(suggestion.left_out) - MAX_SHOWN} more")
    lines += [
        "apiVersion: deputize.dev/v1alpha1",
        "kind: DelegationPolicy",
        "metadata:",
        f"  name: {quote(name)}",
        "spec:",
    ]
    rules = sorted(suggestion.rules, key=_order)
    resources = dict.fromkeys(
        (rule.use.host, rule.use.route) for rule in rules if rule.use.route.protocol is not None
    )
    if resources:
        lines.append("  resources:")
        for host, route in resources:
            lines += _resource(host, route)
    lines.append("  rules:")
    taken: set[str] = set()
    for rule in rules:
        lines += (
            ["", *_rule(rule, _name(rule, taken))] if taken else _rule(rule, _name(rule, taken))
        )
    return "\n".join(lines) + "\n"


def quote(text: str) -> str:
    """A YAML scalar that is read as exactly this text."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return '"' + "".join(map(_escape, text)) + '"'


def _escape(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def _resource(host: str, route: Route) -> list[str]:
    protocol, binding = route.protocol, route.binding
    lines = [
        f"    - hosts: [{quote(host)}]",
        f"      paths: [{quote(route.path)}]",
        f"      protocol: {protocol.value if protocol is not None else ''}",
    ]
    if binding is not None and binding is not Binding.JSON_RPC:
        lines.append(f"      read: {binding.value}")
    return lines


def _rule(rule: Suggested, name: str) -> list[str]:
    use, entries = rule.use, rule.entries
    total = sum(found.count for found in entries.values())
    first = min(found.first for found in entries.values())
    last = max(found.last for found in entries.values())
    example = next(iter(entries.values())).example
    seen = f"{total} {'calls' if total > 1 else 'call'}, {span(first, last)}; for example {example}"
    lines = [f"    # {visible_text(seen)}"]
    if rule.observed:
        lines.append(f"    # {rule.observed} let pass by observe mode only.")
    if use.granted is None:
        lines.append("    # No rule granted them: the scopes are those that all tokens had.")
    lines += [
        f"    - name: {name}",
        "      effect: allow",
        f"      agents: [{quote(use.agent)}]",
        "      onBehalfOf:",
        f"        - issuer: {quote(use.issuer)}",
        *_subjects(rule.subjects),
        f"      hosts: [{quote(use.host)}]",
        f"      methods: {_flow(sorted(rule.methods))}",
        *(_paths(use.route) if use.route.protocol is not None else _block("paths", entries, 6)),
        *_calls(rule),
        *([f"      upgrades: [{quote(use.upgrade)}]"] if use.upgrade else []),
        f"      scopes: {_flow(sorted(filter(_SCOPE.fullmatch, rule.scopes or ())))}",
        "      chain:",
        f"        maxDepth: {min(rule.depth, _MAX_DEPTH)}",
    ]
    return lines


def _subjects(subjects: set[str]) -> list[str]:
    is_few = len(subjects) <= FEW_SUBJECTS
    if is_few and all(subject and "\0" not in subject for subject in subjects):
        return [f"          subjects: {_flow(sorted(subjects))}"]
    return [f"          anyone: true # {len(subjects)} principals were seen"]


def _paths(route: Route) -> list[str]:
    return [f"      paths: [{quote(route.path)}]"]


def _calls(rule: Suggested) -> list[str]:
    use, entries = rule.use, rule.entries
    match use.route.protocol:
        case None:
            return []
        case Protocol.MCP if use.call_method:
            head = ["      mcp:", f"        methods: [{quote(use.call_method)}]"]
            return [*head, *_block("names", entries, 8)]
        case Protocol.A2A:
            return ["      a2a:", *_block("operations", entries, 8)]
        case protocol:
            return [f"      {protocol.value}:", *_block("methods", entries, 8)]


def _block(key: str, entries: Mapping[str, Tally], indent: int) -> list[str]:
    """A list with how often each was seen."""
    inner = [
        f"{' ' * indent}  - {quote(text)} # {found.count}"
        for text, found in sorted(entries.items())
    ]
    return [f"{' ' * indent}{key}:", *inner]


def _flow(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(quote, texts))}]"


def _name(rule: Suggested, taken: set[str]) -> str:
    """A name that tells agent, host and use, and that no other rule has."""
    use = rule.use
    protocol = use.route.protocol
    what = "-".join(sorted(rule.methods)) if protocol is None else protocol.value
    parts = (use.agent.rpartition("/")[2], use.host, what, use.call_method)
    text = _NOT_IN_NAMES.sub("-", "-".join(part.lower() for part in parts if part))
    base = text[:_MAX_NAME].strip("-") or "rule"
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    taken.add(name)
    return name


def _order(rule: Suggested) -> tuple[str, ...]:
    use = rule.use
    protocol = "" if use.route.protocol is None else use.route.protocol.value
    scopes = " ".join(sorted(rule.scopes or ()))
    return (
        *(use.agent, use.issuer, use.host, protocol, use.route.path, use.call_method),
        *("-".join(sorted(rule.methods)), scopes, *sorted(rule.entries)),
    )
