"""What a question about policies names, from the texts of a command line.

Rules of this file:
- Text that is not understood is refused: an answer to another question would mislead.
"""

from __future__ import annotations

from deputize.analysis.policy_set import Asked, PolicySet
from deputize.analysis.questions import Claims
from deputize.cli.inputs import refuse_input
from deputize.core.call_patterns import CallPattern, parse_call_text
from deputize.core.matching import (
    AgentPattern,
    PatternError,
    PrincipalPattern,
    parse_agent_pattern,
    parse_host_pattern,
    parse_method,
    parse_path_pattern,
)
from deputize.core.model import Protocol


def read_route(text: str) -> Asked:
    """Host, method and path of `METHOD host/path`."""
    method, _, target = text.partition(" ")
    host, slash, path = target.strip().partition("/")
    if not slash:
        refuse_input(f"`{text}` is not `METHOD host/path`")
    try:
        return Asked(
            hosts=(parse_host_pattern(host),),
            methods=(parse_method(method),),
            paths=(parse_path_pattern(f"/{path}"),),
        )
    except PatternError as error:
        refuse_input(f"`{text}`: {error}")


def read_call(text: str) -> tuple[CallPattern, ...]:
    """The call in each protocol: which one is read depends on the route."""
    if not text:
        return ()
    method, _, name = text.partition(" ")
    try:
        methods = (parse_call_text(method),)
        names = (parse_call_text(name.strip()),) if name.strip() else ()
    except PatternError as error:
        refuse_input(f"`{text}`: {error}")
    others = () if names else (Protocol.A2A, Protocol.GRPC)
    patterns = [CallPattern(Protocol.MCP, methods, names)]
    return (*patterns, *(CallPattern(protocol, methods, ()) for protocol in others))


def read_agents(text: str) -> tuple[AgentPattern, ...]:
    """A pattern of agents; none for no text."""
    try:
        return (parse_agent_pattern(text),) if text else ()
    except PatternError as error:
        refuse_input(f"`{text}`: {error}")


def read_principal(text: str, policies: PolicySet) -> tuple[PrincipalPattern, ...]:
    """An issuer, with or without a subject; none for no text.

    What is neither a URL nor an issuer that a rule names is most likely a subject alone.
    """
    if not text:
        return ()
    issuer, _, subject = text.strip().partition(" ")
    known = {one.issuer for rule in policies.rules for one in rule.principals}
    if "://" not in issuer and issuer not in known:
        refuse_input(f"`{text}` is not `ISSUER` or `ISSUER SUBJECT`: no rule names that issuer")
    return (PrincipalPattern(issuer, frozenset({subject.strip()}) - {""}, {}),)


def read_claims(texts: list[str] | None) -> Claims | None:
    """Claims and their values; None where none are given."""
    if texts is None:
        return None
    pairs = [text.partition("=") for text in texts]
    if not all(name and equals for name, equals, _ in pairs):
        refuse_input("a claim is `NAME=VALUE`")
    return tuple((name, value) for name, _, value in pairs)
