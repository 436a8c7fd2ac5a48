"""The lint `unreachable`, second part: entries for calls that no request can hold.

Rules of this file:
- Unknown operations of A2A are refused before any rule is asked, so a rule about one is a slip.
- The Model Context Protocol is open for further methods: only a likely slip is one.

Sources: MCP 2025-11-25 and 2026-07-28 `schema` (requests and notifications of clients); for A2A
`core/a2a.py`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from deputize.config.lints.subject import PlacedRule
from deputize.config.lints.table import Lint
from deputize.config.problems import Problem, nearest
from deputize.core.a2a import OPERATIONS, OPERATIONS_OF_0_3
from deputize.core.call_patterns import text_matches
from deputize.core.matching import ANY
from deputize.core.mcp import NAMED_METHODS, RESPONSE

MCP_METHODS = NAMED_METHODS | {
    "initialize",
    "logging/setLevel",
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/progress",
    "notifications/roots/list_changed",
    "notifications/tasks/status",
    "ping",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "server/discover",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tasks/update",
    "tools/list",
    RESPONSE,
}

_GRPC_METHOD = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*/[A-Za-z_][A-Za-z0-9_]*")
_GRPC_BEGINNING = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_.]*(?:/[A-Za-z0-9_]*)?)?\*")
_SIMILAR = 0.8


def dead_calls(placed: PlacedRule) -> Iterator[Problem]:
    """Each entry of `mcp`, `a2a` or `grpc` that no call matches."""
    written = placed.written
    if written.mcp is not None:
        names = tuple(written.mcp.names or (ANY,))
        for position, method in enumerate(written.mcp.methods):
            message = _mcp_slip(method) or _lost_method(method, names)
            if message:
                where = ("mcp", "methods", position)
                yield placed.finding(Lint.UNREACHABLE, message, *where)
    if written.a2a is not None:
        for position, operation in enumerate(written.a2a.operations):
            if not any(text_matches(operation, known) for known in OPERATIONS):
                # Requests may have the names of 0.3, rules may not.
                former = OPERATIONS_OF_0_3.get(operation)
                near = f"; it is `{former[0]}`" if former else nearest(operation, OPERATIONS)
                message = f"`{operation}` is no operation of A2A 1.0{near}"
                where = ("a2a", "operations", position)
                yield placed.finding(Lint.UNREACHABLE, message, *where)
    if written.grpc is not None:
        for position, method in enumerate(written.grpc.methods):
            shape = _GRPC_BEGINNING if method.endswith(ANY) else _GRPC_METHOD
            if not shape.fullmatch(method):
                message = f"no gRPC method is `{method}`; one is like `package.Service/Method`"
                where = ("grpc", "methods", position)
                yield placed.finding(Lint.UNREACHABLE, message, *where)


def _mcp_slip(method: str) -> str:
    """`tool/call`: not known, and nearly the same as one that is."""
    if method in MCP_METHODS or method.endswith(ANY):
        return ""
    close = difflib.get_close_matches(method, MCP_METHODS, n=1, cutoff=_SIMILAR)
    return f"`{method}` is no method of MCP; did you mean `{close[0]}`?" if close else ""


def _lost_method(method: str, names: tuple[str, ...]) -> str:
    """A method without names, in a rule that asks for one."""
    has_name = any(text_matches(method, known) for known in NAMED_METHODS)
    if has_name or any(text_matches(name, "") for name in names):
        return ""
    return f"calls of `{method}` have no name, so `names` never match; give it a rule of its own"
