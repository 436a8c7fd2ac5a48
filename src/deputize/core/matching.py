"""The patterns a policy is written in: agents, principals, hosts, methods and paths.

Rules of this file:
- A wildcard stands for whole segments or one whole label, never for a part of one.
- Matching is exact and case-sensitive; hosts arrive in lower case.
- Each pattern has a plain `matches`, the definition; `policy_index.py` finds the same rules
  without a scan, and tests compare the two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from deputize.core.model import Json, Principal
from deputize.core.paths import PathError, parse_path
from deputize.core.spiffe import (
    SpiffeId,
    SpiffeIdError,
    TrustDomain,
    check_segment,
    parse_spiffe_id,
)

ANY = "*"
_TAIL = "**"
_METHOD = re.compile(r"[A-Z][A-Z-]{0,31}")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\]")
_PARAMETER = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")


class PatternError(ValueError):
    """The text is not a pattern of its kind; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class AgentPattern:
    """`spiffe://td/ns/agents/sa/research`, with `*` for a whole segment, `/**` at the end.

    `segments` hold the trust domain first. `has_tail` covers any number of further segments,
    at least one.
    """

    text: str
    segments: tuple[str, ...]
    has_tail: bool
    is_exact: bool

    def matches(self, agent: SpiffeId) -> bool:
        """True when the pattern covers the agent."""
        got = (agent.trust_domain.name, *agent.path[1:].split("/"))
        if self.has_tail:
            if len(got) <= len(self.segments):
                return False
        elif len(got) != len(self.segments):
            return False
        return all(want in {ANY, have} for want, have in zip(self.segments, got, strict=False))


@dataclass(frozen=True, slots=True)
class PathPattern:
    """`/v1/orders/{id}`: a parameter is one non-empty segment; `/**` at the end is the rest.

    The rest may be empty: `/v1/orders/**` also covers `/v1/orders` and `/v1/orders/`.
    A parameter is kept as `*`, which no literal can be.
    """

    text: str
    segments: tuple[str, ...]
    has_tail: bool

    def matches(self, segments: tuple[str, ...]) -> bool:
        """True when the pattern covers the decoded path."""
        if self.has_tail:
            if len(segments) < len(self.segments):
                return False
        elif len(segments) != len(self.segments):
            return False
        return all(
            have != "" if want == ANY else have == want
            for want, have in zip(self.segments, segments, strict=False)
        )


@dataclass(frozen=True, slots=True)
class PrincipalPattern:
    """Principals of one issuer: anyone, or named subjects and claim values.

    Empty `subjects` and empty `claims` mean anyone of that issuer. Where both are given both
    must hold; of the values of one claim one must be there. A claim may be a text, a number, a
    boolean, or a list of those; values are compared as text (`true`, `42`).
    """

    issuer: str
    subjects: frozenset[str]
    claims: Mapping[str, frozenset[str]]

    def matches(self, principal: Principal) -> bool:
        """True when the pattern covers the principal."""
        if principal.issuer != self.issuer:
            return False
        if self.subjects and principal.subject not in self.subjects:
            return False
        return not self.claims or all(
            not wanted.isdisjoint(claim_values(principal.claims.get(name)))
            for name, wanted in self.claims.items()
        )


def claim_values(value: Json) -> tuple[str, ...]:
    """The values of a claim as texts; objects and null have none."""
    if isinstance(value, list):
        return tuple(text for entry in value if (text := _claim_text(entry)) is not None)
    text = _claim_text(value)
    return () if text is None else (text,)


def host_matches(pattern: str, host: str) -> bool:
    """True for `*`, the same host, or `*.example.com` and a host one label below."""
    if pattern == ANY:
        return True
    if pattern.startswith("*."):
        return host.partition(".")[2] == pattern[2:]
    return host == pattern


def parse_agent_pattern(text: str) -> AgentPattern:
    """Reads an agent pattern.

    Raises:
        PatternError: not a SPIFFE ID with whole-segment wildcards; the trust domain is literal.
    """
    if "*" not in text:
        try:
            exact = parse_spiffe_id(text)
        except SpiffeIdError as error:
            raise PatternError(str(error)) from None
        segments = (exact.trust_domain.name, *exact.path[1:].split("/"))
        return AgentPattern(text, segments, has_tail=False, is_exact=True)
    if not text.startswith("spiffe://"):
        raise PatternError("an agent pattern starts with spiffe://")
    name, *rest = text.removeprefix("spiffe://").split("/")
    has_tail = bool(rest) and rest[-1] == _TAIL
    literal = rest[:-1] if has_tail else rest
    try:
        TrustDomain(name)
        for segment in literal:
            if segment != ANY:
                check_segment(segment)
    except SpiffeIdError as error:
        raise PatternError(
            f"{error}; `*` stands for a whole segment, `**` only for the last ones"
        ) from None
    return AgentPattern(text, (name, *literal), has_tail=has_tail, is_exact=False)


def parse_host_pattern(text: str) -> str:
    """Reads a host pattern: `*`, a host in lower case without port, or `*.` before a host.

    Raises:
        PatternError: anything else.
    """
    if text != ANY and not _HOST.fullmatch(text):
        raise PatternError("a host is in lower case without port; `*.` may stand for one label")
    return text


def parse_method(text: str) -> str:
    """Reads a method: upper case, or `*` for every method.

    Raises:
        PatternError: anything else.
    """
    if text != ANY and not _METHOD.fullmatch(text):
        raise PatternError("a method is in upper case, or `*` for every method")
    return text


def parse_path_pattern(text: str) -> PathPattern:
    """Reads a path template; its literal segments are written decoded-safe, as a request is.

    Raises:
        PatternError: not a path, or a wildcard that is not a whole segment.
    """
    if not text.startswith("/"):
        raise PatternError("a path starts with /")
    raw = text[1:].split("/")
    has_tail = raw[-1] == _TAIL
    segments = raw[:-1] if has_tail else raw
    literal = [part for part in segments if not _PARAMETER.fullmatch(part)]
    for part in literal:
        if "{" in part or "}" in part or "*" in part:
            raise PatternError("`{name}` is a whole segment, `**` only the last one")
    try:
        if "?" in text:
            raise PathError("a query")
        plain = parse_path("/" + "/".join(part if part in literal else "x" for part in raw))
    except PathError as error:
        raise PatternError(f"no request can have this path: {error}") from None
    if ANY in plain:
        raise PatternError("a segment cannot be a `*`, however it is written")
    names = [part for part in segments if part not in literal]
    if len(set(names)) != len(names):
        raise PatternError("a parameter name stands twice")
    merged = tuple(
        part if raw_part in literal else ANY
        for part, raw_part in zip(plain, segments, strict=False)
    )
    return PathPattern(text, merged, has_tail)


def find_parameter(pattern: PathPattern, name: str) -> int | None:
    """The position of the segment that `{name}` stands for; None where the path has none."""
    segments = pattern.text[1:].split("/")
    wanted = "{" + name + "}"
    return segments.index(wanted) if wanted in segments else None


def _claim_text(value: Json) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    return None
