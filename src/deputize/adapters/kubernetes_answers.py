"""What a Kubernetes API server answers, read within bounds of time, size and depth.

Rules of this file:
- An answer that trickles, grows or nests without end is an error; none is half an answer.
- Whoever may write one object must not keep others from being read. So one that nests deeper than
  Python reads is cut, far deeper than anything that is good.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2

MAX_EVENT_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 128
"""Deeper than any object that is good, and what stands around it."""
_MAX_MESSAGE = 300
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]')
_CUT = b'"nested too deep"'


class KubernetesError(Exception):
    """The server did not give what was asked; `code` is its HTTP status, 0 for none."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(" ".join(message.split())[:_MAX_MESSAGE])
        self.code = code


def read_answer(answer: httpx2.Response, most: int, until: float) -> bytes:
    """All of it, at most so many bytes, before this monotonic time.

    Raises:
        KubernetesError: it is more, or takes longer.
    """
    octets = bytearray()
    for part in _parts(answer, until):
        octets += part
        if len(octets) > most:
            raise KubernetesError(f"an answer of more than {most} bytes")
    return bytes(octets)


def read_lines(answer: httpx2.Response, most: int, until: float) -> Iterator[bytes]:
    """Its lines, each of at most so many bytes; half a line at the end is none.

    Raises:
        KubernetesError: a line is longer, or they do not end before this monotonic time.
    """
    rest = b""
    for part in _parts(answer, until):
        *whole, rest = (rest + part).split(b"\n")
        yield from filter(None, whole)
        if len(rest) > most:
            raise KubernetesError(f"an event of more than {most} bytes")


def parse_answer(octets: bytes) -> dict[str, Any]:
    """The JSON object it is; what nests deeper than `MAX_DEPTH` may be cut.

    Raises:
        KubernetesError: it is none.
    """
    try:
        value = _load(octets)
    except (ValueError, RecursionError) as error:
        raise KubernetesError(f"no JSON: {error}") from None
    if not isinstance(value, dict):
        raise KubernetesError("an answer that is no object")
    return value


def find_message(octets: bytes) -> str:
    """What a refusal says; empty where it is none of Kubernetes."""
    try:
        return str(parse_answer(octets).get("message", ""))
    except KubernetesError:
        return ""


def _parts(answer: httpx2.Response, until: float) -> Iterator[bytes]:
    for part in answer.iter_bytes():
        yield part
        # The client's own bound is that of one silence.
        if time.monotonic() > until:
            raise KubernetesError("an answer that does not end")


def _load(octets: bytes) -> object:
    try:
        return json.loads(octets)
    except RecursionError:
        return json.loads(_cut(octets))


def _cut(octets: bytes) -> bytes:
    """The same text, with words in place of what is nested deeper than `MAX_DEPTH`."""
    kept = bytearray()
    depth, begin = 0, 0
    for token in _TOKEN.finditer(octets):
        sign = token[0]
        if sign in b"[{":
            depth += 1
            if depth == MAX_DEPTH + 1:
                kept += octets[begin : token.start()] + _CUT
        elif sign in b"]}":
            depth -= 1
            if depth == MAX_DEPTH:
                begin = token.end()
    return bytes(kept) + octets[begin:]
