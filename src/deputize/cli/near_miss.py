"""What a pattern asks for and what it was given, in words, with a hint where they nearly fit.

Rules of this file:
- Hints say what would have matched; whether it matches is asked of the pattern.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from itertools import takewhile

from deputize.core.call_patterns import CallPattern, text_matches
from deputize.core.case import Case
from deputize.core.matching import ANY, PathPattern, PrincipalPattern, claim_values
from deputize.core.model import Call, Json, Principal, StepUp

MAX_SHOWN = 5

_ALIKE = 0.8

Texts = Sequence[str]


def show(texts: Texts) -> str:
    """The first of these in brackets, and how many more there are."""
    shown = ", ".join(texts[:MAX_SHOWN])
    more = len(texts) - MAX_SHOWN
    return f"[{shown}, and {more} more]" if more > 0 else f"[{shown}]"


def hint_spelling(text: str, known: Texts, lead: str = "did you mean") -> str:
    """The likely spelling, empty where nothing is alike."""
    folded = next((each for each in known if each.casefold() == text.casefold()), None)
    if folded is not None:
        return f"{lead} {folded}, in another case"
    best = max(known, key=lambda each: _likeness(text, each), default="")
    if not best or _likeness(text, best) < _ALIKE:
        return ""
    return f"{lead} {best}?" if lead.startswith("did") else f"{lead} {best}"


def hint_host(host: str, patterns: Texts) -> str:
    """For hosts: a wildcard stands for one label."""
    for pattern in patterns:
        base = pattern[1:]
        if pattern.startswith("*.") and (host.endswith(base) or host == base[1:]):
            return f"the * in {pattern} is exactly one label"
    return hint_spelling(host, patterns)


def hint_path(segments: tuple[str, ...], patterns: Sequence[PathPattern]) -> str:
    """For paths: a slash at the end, another case, a template that is alike."""
    ends = segments[-1:] == ("",)
    other = segments[:-1] if ends else (*segments, "")
    if any(pattern.matches(other) for pattern in patterns):
        return f"it would be covered with{'out the' if ends else ' a'} / at its end"
    folded = tuple(segment.casefold() for segment in segments)
    for pattern in patterns:
        lower = tuple(segment.casefold() for segment in pattern.segments)
        if PathPattern(pattern.text, lower, pattern.has_tail).matches(folded):
            return f"{pattern.text} is spelled in another case"
    return hint_spelling("/" + "/".join(segments), [pattern.text for pattern in patterns])


def explain_principal(
    principal: Principal, patterns: Sequence[PrincipalPattern]
) -> tuple[str, str]:
    """What is asked of a principal, and a hint."""
    of_issuer = [pattern for pattern in patterns if pattern.issuer == principal.issuer]
    if not of_issuer:
        issuers = [pattern.issuer for pattern in patterns]
        message = f"issuer {principal.issuer} is not in {show(issuers)}"
        return message, hint_spelling(principal.issuer, issuers)
    pattern = next(
        (each for each in of_issuer if not each.subjects or principal.subject in each.subjects),
        of_issuer[0],
    )
    if pattern.subjects and principal.subject not in pattern.subjects:
        subjects = sorted({subject for each in of_issuer for subject in each.subjects})
        message = f"principal {principal.subject} is not in {show(subjects)}"
        return message, hint_spelling(principal.subject, subjects)
    for name, wanted in pattern.claims.items():
        values = claim_values(principal.claims.get(name))
        if wanted.isdisjoint(values):
            found = show(values) if values else "absent"
            texts = sorted(wanted)
            hints = (hint_spelling(value, texts) for value in values)
            message = f"claim {name} is {found}, none of {show(texts)}"
            return message, next(filter(None, hints), "")
    return "another principal", ""


def explain_call(call: Call | None, pattern: CallPattern) -> tuple[str, str]:
    """What is asked of a call, and a hint."""
    protocol = pattern.protocol.value
    if call is None:
        return (
            f"the request has no call of {protocol}",
            f"calls are read on routes that a resource with protocol: {protocol} names",
        )
    if call.protocol is not pattern.protocol:
        return f"the call is one of {call.protocol.value}, not of {protocol}", ""
    if not any(text_matches(method, call.method) for method in pattern.methods):
        message = f"{protocol} method {call.method} is not in {show(pattern.methods)}"
        return message, hint_spelling(call.method, pattern.methods)
    message = f"{protocol} name {call.name or '(none)'} is not in {show(pattern.names)}"
    return message, hint_spelling(call.name, [name.rstrip(ANY) for name in pattern.names])


def explain_login(need: StepUp, case: Case) -> str:
    """What is asked of the principal's login, and what the token says of it."""
    claims = case.delegation.principal.claims
    parts: list[str] = []
    if need.acr_values:
        parts.append(f"acr in {show(need.acr_values)}, found {_found(claims.get('acr'))}")
    if need.max_age is not None:
        told = claims.get("auth_time")
        ago = f"{case.now - told:.0f} s ago" if isinstance(told, int | float) else _found(told)
        parts.append(f"a login at most {need.max_age} s ago, found {ago}")
    return f"needs {' and '.join(parts)}"


def _found(value: Json) -> str:
    return "none" if value is None else str(value)


def _likeness(text: str, other: str) -> float:
    """From 0 to 1; what both have in front, up to a `/`, says nothing."""
    alike = sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, other, strict=False))
    )
    start = text[:alike].rfind("/") + 1
    return difflib.SequenceMatcher(None, text[start:], other[start:]).ratio()
