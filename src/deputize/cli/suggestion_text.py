"""A suggestion as a policy file, with what was seen in comments.

Rules of this file:
- Whatever was recorded stands in quotes unless it is plain beyond doubt, and in comments only what
  can be seen: an audit file may hold anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from deputize.cli.observe_report import Tally, span
from deputize.cli.suggestion import Suggested, Suggestion
from deputize.cli.suggestion_seen import Route
from deputize.config.problems import visible_text
from deputize.core.delegation import DEEPEST_CHAIN
from deputize.core.model import Binding, Protocol

MAX_SHOWN = 40
FEW_SUBJECTS = 3
"""So many principals are named one by one; where there are more, anyone of the issuer may."""
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*(?::[A-Za-z0-9_./-]+)*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,256}")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_MAX_NAME = 55


def to_yaml(suggestion: Suggestion, name: str) -> str:
    """The file."""
    rules = sorted(suggestion.rules, key=_order)
    seen = f"{len(suggestion.events)} recorded calls: what was seen"
    lines = [
        f"# Suggested from {seen}{_widened(rules)}.",
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
    resources = dict.fromkeys(
        (rule.use.host, rule.use.route) for rule in rules if rule.use.route.protocol is not None
    )
    if resources:
        lines.append("  resources:")
        for host, route in resources:
            lines += _resource(host, route)
    lines.append("  rules:")
    taken: set[str] = set()
    for rule in [*rules, *sorted(suggestion.forbids, key=_order)]:
        lines += (
            ["", *_rule(rule, _name(rule, taken))] if taken else _rule(rule, _name(rule, taken))
        )
    return "\n".join(lines) + "\n"


def quote(text: str) -> str:
    """A YAML scalar that is read as exactly this text."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return '"' + "".join(map(_escape, text)) + '"'


def _widened(rules: list[Suggested]) -> str:
    """What the rules cover beside what was seen."""
    wide = []
    if any("{" in text for rule in rules for text in _templates(rule)):
        wide.append("`{id}` stands for any segment")
    if any(not _is_named(rule.subjects) for rule in rules):
        wide.append("`anyone` for all principals")
    return f", generalised: {', '.join(wide)}" if wide else ", and no more"


def _templates(rule: Suggested) -> Iterable[str]:
    return rule.entries if rule.use.route.protocol is None else [rule.use.route.path]


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
    calls = f"{total} {'calls' if total > 1 else 'call'}{' refused' if rule.is_forbid else ''}"
    lines = [f"    # {visible_text(f'{calls}, {span(first, last)}; for example {example}')}"]
    if rule.is_forbid:
        lines.append("    # Rules above would cover what was refused.")
    elif rule.observed:
        lines.append(f"    # {rule.observed} let pass by observe mode only.")
    if use.granted is None and not rule.is_forbid:
        lines.append("    # No rule granted them: the scopes are those that all tokens had.")
    lines += [
        f"    - name: {name}",
        f"      effect: {'forbid' if rule.is_forbid else 'allow'}",
        f"      agents: [{quote(use.agent)}]",
        "      onBehalfOf:",
        f"        - issuer: {quote(use.issuer)}",
        *_subjects(rule),
        f"      hosts: [{quote(use.host)}]",
        f"      methods: {_flow(sorted(rule.methods))}",
        *(_paths(use.route) if use.route.protocol is not None else _block("paths", entries, 6)),
        *_calls(rule),
    ]
    return lines if rule.is_forbid else [*lines, *_demands(rule)]


def _demands(rule: Suggested) -> list[str]:
    """What an allow has beside what it covers."""
    return [
        *([f"      upgrades: [{quote(rule.use.upgrade)}]"] if rule.use.upgrade else []),
        f"      scopes: {_flow(sorted(filter(_SCOPE.fullmatch, rule.scopes or ())))}",
        "      chain:",
        f"        maxDepth: {min(rule.depth, DEEPEST_CHAIN)}",
    ]


def _subjects(rule: Suggested) -> list[str]:
    if rule.is_forbid and not rule.subjects:
        return ["          anyone: true"]
    if rule.is_forbid or _is_named(rule.subjects):
        return [f"          subjects: {_flow(sorted(rule.subjects))}"]
    return [f"          anyone: true # {len(rule.subjects)} principals were seen"]


def _is_named(subjects: set[str]) -> bool:
    return len(subjects) <= FEW_SUBJECTS and all(map(can_be_named, subjects))


def can_be_named(subject: str) -> bool:
    """Whether a rule can list this principal."""
    return bool(subject) and "\0" not in subject


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
    effect = "no" if rule.is_forbid else ""
    parts = (effect, use.agent.rpartition("/")[2], use.host, what, use.call_method)
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
