"""Files with cases for policies as models: the only source of their JSON Schema and reference.

Rules of this file:
- Unknown keys are refused; types are strict (no text for a number).
- Every part of a call may be left out, because defaults of the file may give it.
"""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, StringConstraints, model_validator

from deputize.config.model import Model
from deputize.config.texts import (
    HeaderName,
    MomentText,
    ScopeText,
    Text,
    UniqueTexts,
)
from deputize.core.reasons import Reason

URL = re.compile(r"https?://([^/?#\s]+)([/?][^\s]*)?")
NOT_OBSERVED = "none"


def _url(text: str) -> str:
    if not URL.fullmatch(text):
        raise ValueError("a URL is `https://host/path`")
    return text


def _reason(text: str) -> str:
    if text not in set(Reason):
        close = difflib.get_close_matches(text, [*Reason], n=1)
        hint = f"did you mean `{close[0]}`?" if close else "all are in the list of reasons"
        raise ValueError(f"no known reason; {hint}")
    return text


def _observed(text: str) -> str:
    return text if text == NOT_OBSERVED else _reason(text)


UrlText = Annotated[Text, AfterValidator(_url)]
ReasonText = Annotated[Text, AfterValidator(_reason)]
ObservedText = Annotated[Text, AfterValidator(_observed)]
CaseName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
BodyText = Annotated[str, StringConstraints(max_length=65536)]


class CallPrincipal(Model):
    """For whom the agent acts. What is left out comes from `defaults`."""

    issuer: Text | None = None
    """The issuer of the token."""
    subject: Text | None = None
    """The `sub` of the token."""
    claims: dict[Text, JsonValue] | None = None
    """Further claims of the token, for example `groups` or `acr`. They replace those of
    `defaults` one by one."""
    kind: Literal["user", "agent", "service"] | None = None
    """What the issuer says the principal is; nothing if not given."""


class McpRequest(Model):
    """A call of the Model Context Protocol, sent in the newest version."""

    method: Text
    """The JSON-RPC method, for example `tools/call`; `response` for a client's reply."""
    name: Annotated[str, StringConstraints(max_length=2048)] = ""
    """The tool, prompt or resource URI."""
    arguments: dict[Text, JsonValue] = {}
    """Arguments of the tool or prompt; for other methods further members of the params."""


class A2aRequest(Model):
    """An operation of the Agent2Agent protocol, sent the way its resource reads it."""

    operation: Text
    """The operation as A2A 1.0 names it, for example `SendMessage`."""
    task: Annotated[str, StringConstraints(max_length=256)] = ""
    """The task's id, where the operation has one."""
    arguments: dict[Text, JsonValue] = {}
    """Further members of the params; sent with JSON-RPC only."""


class CallSettings(Model):
    """A call somebody might make. What is left out comes from `defaults`."""

    agent: Text | None = None
    """The SPIFFE ID of the agent that calls."""
    on_behalf_of: CallPrincipal | None = None
    """For whom it acts."""
    method: Text | None = None
    """The HTTP method; POST for `mcp` and `a2a` and where gRPC is read, else GET."""
    url: UrlText | None = None
    """Where to, `https://host/path`; or give `host` and `path`."""
    host: Text | None = None
    """The host, with a port where the request names one."""
    path: Text | None = None
    """The path with its query, as sent; `/` if not given."""
    scopes: Annotated[list[ScopeText], UniqueTexts] | None = None
    """Scopes of the token; none if not given."""
    chain: list[Text] | None = None
    """Earlier actors that handed the mandate on, the nearest to the agent first."""
    style: Literal["delegated", "impersonated", "autonomous"] | None = None
    """How the token speaks of the agent; `delegated` if not given."""
    headers: dict[HeaderName, Text] | None = None
    """Request headers. They replace those of `defaults` one by one."""
    mcp: McpRequest | None = None
    """The call in the body, on a route that speaks MCP."""
    a2a: Annotated[A2aRequest | None, Field(alias="a2a")] = None
    """The operation, on a route that speaks A2A; with HTTP+JSON the URL ends before its path."""
    body: BodyText | None = None
    """The body of a plain request, as text."""
    approved: bool | Text | None = None
    """Whether somebody approved this very call, or the name of the one who did."""
    used: Annotated[int, Field(ge=0, le=1000000000)] | None = None
    """How many uses of its budget were counted before, in the same window; none if not given."""
    at: MomentText | None = None
    """The time of the call; noon UTC of Monday, 5 January 2026 if not given."""
    upgrade: Text | None = None
    """The protocol the connection shall be changed to, for example `websocket`."""

    @model_validator(mode="after")
    def _has_one_reading(self) -> Self:
        if self.url is not None and (self.host is not None or self.path is not None):
            raise ValueError("give `url`, or `host` and `path`")
        if sum(part is not None for part in (self.mcp, self.a2a, self.body)) > 1:
            raise ValueError("give one of `mcp`, `a2a`, `body`")
        return self


class Expectation(Model):
    """What must be decided. What is not given is not compared."""

    effect: Literal["allow", "deny"]
    """The answer."""
    reason: ReasonText | None = None
    """The reason code, see [reasons](reasons.md). A deny without it is one by policies
    (`policy.*`): a call that is malformed, or has a chain that is too deep, passes no case by
    accident."""
    rule: Text | None = None
    """The rule that decides, as `<policy>/<rule>`."""
    scopes: Annotated[list[ScopeText], UniqueTexts] | None = None
    """Exactly the scopes that are granted, on allow only."""
    observed: ObservedText | None = None
    """The reason code of what would have refused the call, were its policy enforced; `none` where
    nothing would; on allow only."""

    @model_validator(mode="after")
    def _fits_effect(self) -> Self:
        if self.effect == "deny" and (self.scopes is not None or self.observed is not None):
            raise ValueError("a deny has no `scopes` and no `observed`")
        if self.reason is not None and (self.effect == "allow") != (
            self.reason == Reason.POLICY_ALLOWED
        ):
            raise ValueError("`policy.allowed` is the reason of every allow, and of no deny")
        return self


class PolicyTestCase(Model):
    """One call and what must be decided."""

    name: CaseName
    """What the case is about; unique in the file."""
    call: CallSettings = CallSettings()
    """The call."""
    expect: Expectation
    """What must be decided."""


class PolicyTestSpec(Model):
    """Cases for some policies."""

    policies: Annotated[list[Text], UniqueTexts, Field(min_length=1)] | None = None
    """Policy files, folders of them, or one service configuration, whose bounds on chains and
    `policyMode` count then too. Relative paths start at this file; if not given, all policies of
    its folder."""
    defaults: CallSettings = CallSettings()
    """Parts of a call that count where a case does not give them."""
    cases: Annotated[list[PolicyTestCase], Field(min_length=1)]
    """The cases; each is decided alone."""


class PolicyTest(Model):
    """A file with cases for policies. Its name ends with `.test.yaml` or `.test.yml`."""

    api_version: Literal["deputize.dev/v1alpha1"]
    """Always `deputize.dev/v1alpha1`."""
    kind: Literal["PolicyTest"]
    """Always `PolicyTest`."""
    spec: PolicyTestSpec
    """The cases."""
