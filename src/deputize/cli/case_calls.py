"""Calls as a test file gives them, put together with its defaults."""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from deputize.cli.supposed_call import DEFAULT_AT, AgentCall, SupposedCall
from deputize.config.policy_test_schema import URL, CallPrincipal, CallSettings
from deputize.core.model import DelegationStyle, Kind, Protocol

ValueT = TypeVar("ValueT")

_SIMPLE = ("agent", "scopes", "chain", "style", "method", "approved", "used", "at", "upgrade")
_CONTENT = ("mcp", "a2a", "body")


def merge_calls(defaults: CallSettings, own: CallSettings) -> CallSettings:
    """The call with what the defaults say of the rest; one of several choices replaces another."""
    host, path = _place(own)
    default_host, default_path = _place(defaults)
    has_content = any(part is not None for part in (own.mcp, own.a2a, own.body))
    merged = {name: _first(getattr(own, name), getattr(defaults, name)) for name in _SIMPLE}
    content = {name: getattr(own if has_content else defaults, name) for name in _CONTENT}
    mine, theirs = own.on_behalf_of or CallPrincipal(), defaults.on_behalf_of or CallPrincipal()
    principal = CallPrincipal.model_construct(
        issuer=_first(mine.issuer, theirs.issuer),
        subject=_first(mine.subject, theirs.subject),
        claims={**(theirs.claims or {}), **(mine.claims or {})},
        kind=_first(mine.kind, theirs.kind),
    )
    # Each part was checked where it was given.
    return CallSettings.model_construct(
        **merged,
        **content,
        on_behalf_of=principal,
        url=None,
        host=_first(host, default_host),
        path=_first(path, default_path),
        headers={**(defaults.headers or {}), **(own.headers or {})},
    )


def absent_part(call: CallSettings) -> str:
    """The first part that a call must have and this one has not."""
    principal = call.on_behalf_of or CallPrincipal()
    needed = {
        "agent": call.agent,
        "onBehalfOf.issuer": principal.issuer,
        "onBehalfOf.subject": principal.subject,
        "url": call.host,
    }
    return next((name for name, value in needed.items() if value is None), "")


def suppose(call: CallSettings) -> SupposedCall:
    """The call for a court; nothing that it must have is absent."""
    principal = call.on_behalf_of or CallPrincipal()
    return SupposedCall(
        agent=call.agent or "",
        issuer=principal.issuer or "",
        subject=principal.subject or "",
        claims=principal.claims or {},
        scopes=frozenset(call.scopes or ()),
        chain=tuple(call.chain or ()),
        style=DelegationStyle(call.style or DelegationStyle.DELEGATED),
        kind=Kind(principal.kind or Kind.UNKNOWN),
        method=call.method or "",
        host=call.host or "",
        path=call.path or "/",
        headers=call.headers or {},
        call=_agent_call(call),
        body=(call.body or "").encode("utf-8", "surrogatepass"),
        approved=call.approved or False,
        at=DEFAULT_AT if call.at is None else datetime.fromisoformat(call.at).timestamp(),
        upgrade=call.upgrade or "",
        used=call.used or 0,
    )


def _agent_call(call: CallSettings) -> AgentCall | None:
    if call.mcp is not None:
        return AgentCall(Protocol.MCP, call.mcp.method, call.mcp.name, call.mcp.arguments)
    if call.a2a is not None:
        return AgentCall(Protocol.A2A, call.a2a.operation, call.a2a.task, call.a2a.arguments)
    return None


def _first(own: ValueT | None, default: ValueT | None) -> ValueT | None:
    return default if own is None else own


def _place(call: CallSettings) -> tuple[str | None, str | None]:
    """Host and path as given."""
    match = URL.fullmatch(call.url or "")
    if match is None:
        return call.host, call.path
    return match[1], match[2] or "/"
