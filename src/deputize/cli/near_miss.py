"""What a pattern asks for and what it was given, in words, with a hint where they nearly fit.

Rules of this file:
- Hints say what would have matched; whether it matches is asked of the pattern.
- A hint does not say which of two spellings is the wrong one: nobody here can know.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from datetime import datetime, tzinfo
from itertools import takewhile

from deputize.core.call_patterns import CallPattern, text_matches
from deputize.core.case import Case, EvaluationError, Fact, Source, read_fact
from deputize.core.comparisons import Compares, EqualsClaim, Exists
from deputize.core.conditions import Condition, Within
from deputize.core.matching import ANY, PathPattern, PrincipalPattern, claim_values
from deputize.core.model import Call, Json, Principal, StepUp

MAX_SHOWN = 5
MAX_QUOTED = 40
"""Characters of a fact; a longer one may be a secret, and helps nobody on one line."""

SIMILAR, RELATED, OTHER = 2, 1, 0
"""How near a call is to a pattern: spelled alike, another name for the same method, or neither."""

_ALIKE = 0.8

Texts = Sequence[str]


def show(texts: Texts) -> str:
    """The first of these in brackets, and how many more there are."""
    shown = ", ".join(texts[:MAX_SHOWN])
    more = len(texts) - MAX_SHOWN
    return f"[{shown}, and {more} more]" if more > 0 else f"[{shown}]"


def hint_spelling(text: str, known: Texts, holder: str = "the rule") -> str:
    """What is spelled alike, and who has it; empty where nothing is alike."""
    folded = next((each for each in known if each.casefold() == text.casefold()), None)
    if folded is not None:
        return f"{holder} has {folded}, in another case"
    best = max(known, key=lambda each: _likeness(text, each), default="")
    if not best or _likeness(text, best) < _ALIKE:
        return ""
    return f"{holder} has the similar {best}"


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


def explain_call(call: Call | None, pattern: CallPattern) -> tuple[str, str, int]:
    """What is asked of a call, a hint, and how near it is."""
    protocol = pattern.protocol.value
    if call is None:
        return (
            f"the request has no call of {protocol}",
            f"calls are read on routes that a resource with protocol: {protocol} names",
            OTHER,
        )
    if call.protocol is not pattern.protocol:
        return f"the call is one of {call.protocol.value}, not of {protocol}", "", OTHER
    if not any(text_matches(method, call.method) for method in pattern.methods):
        message = f"{protocol} method {call.method} is not in {show(pattern.methods)}"
        hint = hint_spelling(call.method, pattern.methods)
        return message, hint, SIMILAR if hint else OTHER
    message = f"{protocol} name {call.name or '(none)'} is not in {show(pattern.names)}"
    hint = hint_spelling(call.name, [name.rstrip(ANY) for name in pattern.names])
    return message, hint, SIMILAR if hint else RELATED


def explain_condition(condition: Condition, case: Case) -> str:
    """What was found where this does not hold; empty where there is no single fact to name."""
    match condition:
        case Compares(fact=fact) | Exists(fact=fact):
            return _told(fact, case)
        case EqualsClaim(fact=fact, claim=claim):
            both = (_told(fact, case), _told(Fact(Source.CLAIM, claim), case))
            return ", ".join(filter(None, both))
        case Within(zone=zone):
            return _clock(case.now, zone)
        case _:
            return ""


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


def _told(fact: Fact, case: Case) -> str:
    try:
        found = read_fact(fact, case)
    except EvaluationError:
        # The refusal says why it cannot be read.
        return ""
    return f"{fact} is {'absent' if found is None else _quote(found)}"


def _quote(found: Json) -> str:
    """The value with its type; only the type where it is long."""
    text = json.dumps(found, ensure_ascii=False)
    is_long = len(text) > MAX_QUOTED
    match found:
        case bool():
            return text
        case str():
            return f"a text of {len(found)} characters" if is_long else f"the text {text}"
        case list():
            return f"a list of {len(found)} elements" if is_long else f"the list {text}"
        case dict():
            return "an object"
        case _:
            return f"the number {text}"


def _clock(now: float, zone: tzinfo) -> str:
    try:
        return f"it is {datetime.fromtimestamp(now, zone):%A %Y-%m-%d %H:%M} in {zone}"
    except (OverflowError, OSError, ValueError):
        return ""


def _likeness(text: str, other: str) -> float:
    """From 0 to 1; what both have in front, up to a `/`, says nothing."""
    alike = sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, other, strict=False))
    )
    start = text[:alike].rfind("/") + 1
    return difflib.SequenceMatcher(None, text[start:], other[start:]).ratio()
