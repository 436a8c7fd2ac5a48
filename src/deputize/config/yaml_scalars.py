"""One value of YAML as text: plain where that is safe, else in quotes.

Rules of this file:
- A text is plain only if readers of YAML 1.1 and 1.2 both take it for this text: `no`, `08:00` and
  `2026-01-01` are quoted.

Sources: YAML 1.2.2 sections 7.3 (flow scalars), 5.3 (indicators) and 5.7 (escapes).
"""

from __future__ import annotations

import re

import yaml

from deputize.config.yaml_tree import Scalar

_INDICATORS = frozenset("-?:,[]{}#&*!|>'\"%@`=")
_FLOW_INDICATORS = frozenset(",[]{}")
_HARD = re.compile(r":(?:\s|$)|\s#|^\s|\s$|^---|^\.\.\.")
_NUMBER = re.compile(r"[-+.]?[0-9][0-9eE_:,.+TZtz -]*|0[xo][0-9A-Fa-f_]+|[yYnN]")
_TEXT = "tag:yaml.org,2002:str"
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_BASIC_PLANE = 0xFFFF
_resolver = yaml.SafeLoader("")


def write_scalar(scalar: Scalar, *, in_flow: bool) -> str:
    """The value on one line."""
    if scalar.is_plain and not _is_text(scalar.value):
        # A number, a word like true, or nothing.
        return scalar.value or "null"
    return write_text(scalar.value, in_flow=in_flow)


def write_text(text: str, *, in_flow: bool) -> str:
    """The text on one line."""
    if _is_plain(text, in_flow=in_flow):
        return text
    if not text.isprintable():
        return f'"{"".join(map(_escape, text))}"'
    if '"' in text or "\\" in text:
        return "'" + text.replace("'", "''") + "'"
    return f'"{text}"'


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    code = ord(char)
    if char.isprintable():
        return char
    return f"\\u{code:04x}" if code <= _BASIC_PLANE else f"\\U{code:08x}"


def _is_plain(text: str, *, in_flow: bool) -> bool:
    return (
        text != ""
        and text[0] not in _INDICATORS
        and not _HARD.search(text)
        and not (in_flow and not _FLOW_INDICATORS.isdisjoint(text))
        and text.isprintable()
        and _is_text(text)
    )


def _is_text(text: str) -> bool:
    """Whether readers of YAML, plain as it stands, take it for a text."""
    # PyYAML has no types here.
    tag = _resolver.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return str(tag) == _TEXT and not _NUMBER.fullmatch(text)
