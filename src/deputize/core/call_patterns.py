"""Patterns for the calls of agent protocols: which methods, and which tools or other names.

Rules of this file:
- A pattern is a whole text, or a beginning with `*` behind it; `*` alone is every text.
- Matching is exact and case-sensitive.
- `CallKeys` finds what `CallPattern.matches` covers without asking every pattern.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from deputize.core.matching import ANY, PatternError
from deputize.core.model import Call, Protocol

_TEXT = re.compile(r"[!-)+-~](?:[ -)+-~]*[!-)+-~])?")
_MAX_PATTERN = 1024


@dataclass(frozen=True, slots=True)
class CallPattern:
    """Calls of one protocol whose method and name each match one of the patterns.

    `names` is empty where the name does not matter.
    """

    protocol: Protocol
    methods: tuple[str, ...]
    names: tuple[str, ...]

    def matches(self, call: Call | None) -> bool:
        """True when the pattern covers the call; there must be one."""
        return (
            call is not None
            and call.protocol is self.protocol
            and any(text_matches(pattern, call.method) for pattern in self.methods)
            and (not self.names or any(text_matches(name, call.name) for name in self.names))
        )


def text_matches(pattern: str, text: str) -> bool:
    """True for the same text, or a text that begins with what stands before a final `*`."""
    return text.startswith(pattern[:-1]) if pattern.endswith(ANY) else text == pattern


def parse_call_text(text: str) -> str:
    """Reads a pattern for a method or a name.

    Raises:
        PatternError: empty, not printable ASCII, or a `*` elsewhere than at the end.
    """
    body = text.removesuffix(ANY)
    if len(text) > _MAX_PATTERN or not text or (body and not _TEXT.fullmatch(body)):
        raise PatternError("a text of printable ASCII, or its beginning with `*` at the end")
    return text


class CallKeys:
    """Keys of call patterns; what is found under a key must still be asked whether it matches."""

    __slots__ = ("_method_lengths", "_name_lengths")

    def __init__(self) -> None:
        self._method_lengths: set[int] = set()
        self._name_lengths: set[int] = set()

    def add(self, pattern: CallPattern | None) -> list[str]:
        """The keys to file the pattern under; None is found for every call and for none."""
        if pattern is None:
            return [""]
        names = pattern.names or (ANY,)
        for texts, lengths in (
            (pattern.methods, self._method_lengths),
            (names, self._name_lengths),
        ):
            lengths.update(len(text) for text in texts if text.endswith(ANY))
        return [
            _key(pattern.protocol, method, name) for method in pattern.methods for name in names
        ]

    def keys(self, call: Call | None) -> list[str]:
        """The keys under which every filed pattern that matches stands.

        Their number grows with the different lengths of beginnings, not with that of patterns.
        """
        if call is None:
            return [""]
        methods = _covering(call.method, self._method_lengths)
        names = _covering(call.name, self._name_lengths)
        return ["", *(_key(call.protocol, method, name) for method in methods for name in names)]


def _covering(text: str, lengths: set[int]) -> list[str]:
    """All patterns with these lengths, the `*` counted, that could match the text."""
    beginnings = [text[: length - 1] + ANY for length in lengths if length <= len(text) + 1]
    return [text, *beginnings]


def _key(protocol: Protocol, method: str, name: str) -> str:
    return f"{protocol.value}\n{method}\n{name}"
