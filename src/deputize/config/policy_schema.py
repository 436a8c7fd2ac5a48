"""Policy files as models: the only source of their JSON Schema and reference.

Rules of this file:
- Unknown keys are refused; types are strict (no text for a number).
- What belongs to allow rules only is refused on a forbid, not ignored.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.alias_generators import to_camel

from deputize.config.model import Model
from deputize.config.texts import (
    AgentText,
    CallText,
    ClaimText,
    ClockText,
    ExpressionText,
    HeaderName,
    HostText,
    MethodText,
    MomentText,
    Name,
    Number,
    PathText,
    Scalar,
    ScopeText,
    Text,
    TextOrTexts,
    UniqueTexts,
    UpgradeText,
    Url,
    ZoneText,
)
from deputize.core.delegation import DEEPEST_CHAIN


class OnBehalfOf(Model):
    """Principals of one issuer. Say `anyone: true`, or name subjects or claims."""

    issuer: Text
    """An issuer of the service configuration, spelled exactly so."""
    subjects: Annotated[list[Text], UniqueTexts, Field(min_length=1)] | None = None
    """Principals by `sub`."""
    claims: (
        Annotated[
            dict[Text, Annotated[list[Text], UniqueTexts, Field(min_length=1)]], Field(min_length=1)
        ]
        | None
    ) = None
    """Claims the token must carry, for example `groups`: of each, one of the listed values."""
    anyone: Literal[True] | None = None
    """Every principal of the issuer."""

    @model_validator(mode="after")
    def _says_who(self) -> Self:
        narrowed = self.subjects is not None or self.claims is not None
        if narrowed == (self.anyone is not None):
            raise ValueError("name `subjects` or `claims`, or say `anyone: true`")
        return self


class McpCalls(Model):
    """Calls of the Model Context Protocol."""

    methods: Annotated[list[CallText], UniqueTexts, Field(min_length=1)]
    """JSON-RPC methods, for example `tools/call`; `tools/*` for all that begin so, `*` for all.
    `response` is a client's reply to a question of the server."""
    names: Annotated[list[CallText], UniqueTexts, Field(min_length=1)] | None = None
    """Tools, prompts or resource URIs; with `*` at the end all that begin so. Left out, the name
    does not matter."""


class A2aCalls(Model):
    """Operations of the Agent2Agent protocol, whichever way they are sent."""

    operations: Annotated[list[CallText], UniqueTexts, Field(min_length=1)]
    """Operations as A2A 1.0 names them, for example `SendMessage`; `*` for all."""


class GrpcCalls(Model):
    """Methods of gRPC services."""

    methods: Annotated[list[CallText], UniqueTexts, Field(min_length=1)]
    """`package.Service/Method`, `package.Service/*` for all of a service, or `*`."""


class TimeWindow(Model):
    """When the condition holds. Give days and times, moments, or both."""

    days: (
        Annotated[
            list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]],
            UniqueTexts,
            Field(min_length=1),
        ]
        | None
    ) = None
    """Days of the week; every day if not given."""
    begins: ClockText | None = None
    """Time of day, `HH:MM`; needs `ends`."""
    ends: ClockText | None = None
    """Time of day at which it is over; before `begins` it is on the next day."""
    zone: ZoneText = "UTC"
    """Time zone, for example `Europe/Berlin`."""
    not_before: MomentText | None = None
    """RFC 3339 time with a zone; before it the condition does not hold."""
    not_after: MomentText | None = None
    """RFC 3339 time with a zone; from then on the condition does not hold."""

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if (self.begins is None) != (self.ends is None):
            raise ValueError("`begins` goes with `ends`")
        if self.begins is not None and self.begins == self.ends:
            raise ValueError("`begins` and `ends` are the same; leave both out for the whole day")
        if not any((self.days, self.begins, self.not_before, self.not_after)):
            raise ValueError("give `days`, `begins` and `ends`, `notBefore` or `notAfter`")
        return self


class When(Model):
    """One condition: a fact and how it is compared, a time, or an expression.

    Name exactly one fact and exactly one comparison. What is absent meets no comparison but
    `exists: false`. A fact of another type than the comparison names cannot be compared: an allow
    then does not grant, a forbid refuses.
    """

    claim: ClaimText | None = None
    """Fact: a claim of the token, or an attribute of the issuer's profile; `a.b` for one inside
    another."""
    header: HeaderName | None = None
    """Fact: a request header. The agent chooses its own, so use only those that the proxy sets."""
    argument: ClaimText | None = None
    """Fact: an argument of the call, `a.b` for one inside another; in rules with `mcp` or `a2a`."""
    path: Text | None = None
    """Fact: the segment at a parameter that every one of the rule's `paths` has."""
    peer: Literal["trustDomain", "namespace", "serviceAccount", "assurance"] | None = None
    """Fact: the peer's trust domain, Kubernetes namespace or service account, or
    `certificate-checked` or `asserted-by-proxy`."""
    chain: Literal["actors", "depth", "origin", "style"] | None = None
    """Fact: names of all actors, number of hops, name of the first agent in the chain, or
    `delegated`, `impersonated`, `autonomous`."""
    principal: Literal["issuer", "kind", "subject"] | None = None
    """Fact: who issued the token, `user`, `agent`, `service` or `unknown`, or the `sub`."""
    token: Literal["ageSeconds", "binding", "remainingSeconds"] | None = None
    """Fact: seconds since it was issued, `certificate`, `key` or `none`, or seconds left."""
    time: TimeWindow | None = None
    """The time of the decision."""
    cel: ExpressionText | None = None
    """An expression of the Common Expression Language (extra `deputize[cel]`)."""

    equals: Scalar | None = None
    """Comparison: this value."""
    one_of: Annotated[list[Scalar], Field(min_length=1)] | None = None
    """Comparison: one of these values."""
    none_of: Annotated[list[Scalar], Field(min_length=1)] | None = None
    """Comparison: there, but none of these values."""
    starts_with: TextOrTexts | None = None
    """Comparison: begins with this text, or one of these."""
    ends_with: TextOrTexts | None = None
    """Comparison: ends with this text, or one of these."""
    at_least: Number | None = None
    """Comparison: this number or more."""
    at_most: Number | None = None
    """Comparison: this number or less."""
    has_any: Annotated[list[Scalar], Field(min_length=1)] | None = None
    """Comparison of a list, or of one value: an element is one of these."""
    has_only: Annotated[list[Scalar], Field(min_length=1)] | None = None
    """Comparison of a list, or of one value: all elements are of these, and there is one."""
    exists: bool | None = None
    """Comparison: it is there, or it is not."""
    equals_claim: ClaimText | None = None
    """Comparison: the same as this claim of the token."""

    @model_validator(mode="after")
    def _is_one_condition(self) -> Self:
        facts, comparisons = self.given(FACTS), self.given(COMPARISONS)
        alone = self.given(("time", "cel"))
        if len(facts) + len(alone) > 1:
            found = _keys((*facts, *alone))
            raise ValueError(f"a condition has one fact, here are {found}; make two conditions")
        if not facts and not alone:
            raise ValueError(f"name one of {_keys(FACTS)}, `time`, `cel`")
        if len(comparisons) > 1:
            found = _keys(tuple(comparisons))
            raise ValueError(
                f"a condition has one comparison, here are {found}; make two conditions"
            )
        if facts and not comparisons:
            raise ValueError(f"give one comparison: {_keys(COMPARISONS)}")
        if alone and comparisons:
            raise ValueError(f"`{alone[0]}` has no comparison")
        for values in (self.one_of, self.none_of, self.has_any, self.has_only):
            if len({_type_name(value) for value in values or ()}) > 1:
                raise ValueError("the values are of different types; write texts in quotes")
        return self

    def given(self, names: tuple[str, ...]) -> list[str]:
        """Those of these fields that are given."""
        return [name for name in names if getattr(self, name) is not None]


FACTS = ("claim", "header", "argument", "path", "peer", "chain", "principal", "token")
COMPARISONS = (
    "equals",
    "one_of",
    "none_of",
    "starts_with",
    "ends_with",
    "at_least",
    "at_most",
    "has_any",
    "has_only",
    "exists",
    "equals_claim",
)


def _type_name(value: Scalar) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"


def _keys(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{to_camel(name)}`" for name in names)


class StepUpSettings(Model):
    """How the principal must have logged in (RFC 9470)."""

    acr_values: Annotated[list[ScopeText], UniqueTexts, Field(min_length=1)] | None = None
    """Authentication contexts, of which the token's `acr` must be one."""
    max_age_seconds: Annotated[int, Field(ge=0, le=31536000)] | None = None
    """Longest time since the login (`auth_time`), in seconds."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if self.acr_values is None and self.max_age_seconds is None:
            raise ValueError("give `acrValues`, `maxAgeSeconds`, or both")
        return self


class ApprovalSettings(Model):
    """An approval of this very call, signed by an approval service, good once."""

    services: Annotated[list[Text], UniqueTexts, Field(min_length=1)]
    """Issuers of approvals (`approvals.services` of the service configuration)."""
    approver_not_principal: bool = False
    """The principal may not approve it (four eyes); the agent never may."""


class BudgetSettings(Model):
    """So many calls in each window of time; windows begin at multiples of their length in UTC."""

    limit: Annotated[int, Field(ge=1, le=1000000000)]
    """Most calls in a window."""
    window_seconds: Annotated[int, Field(ge=1, le=31536000)]
    """Length of a window, in seconds: 60, 3600 and 86400 are a minute, an hour and a day of UTC."""
    per: Annotated[list[Literal["agent", "principal", "tool"]], UniqueTexts] = [
        "agent",
        "principal",
        "tool",
    ]
    """What is counted apart; `[]` for one count of the whole rule."""


class Chain(Model):
    """Bounds on the delegation chain for this rule; they only restrict."""

    max_depth: Annotated[int, Field(ge=1, le=DEEPEST_CHAIN)]
    """Most hops, the current actor included."""


class Obligations(Model):
    """What must be done when the rule grants a call."""

    upstream_headers: Annotated[
        list[
            Literal[
                "principal",
                "issuer",
                "agent",
                "chain",
                "scopes",
                "token-id",
                "rule",
                "decision-id",
            ]
        ],
        UniqueTexts,
    ] = ["principal", "agent", "decision-id"]
    """Facts the upstream gets, each as a header of that name behind the prefix."""
    use_token_once: bool = False
    """Let the token in once only; it must have an identifier."""


class PolicyRule(Model):
    """One rule. It covers a call when each of its lists has a matching entry."""

    name: Name
    """Unique in the policy; stands in audit events as `<policy>/<rule>`."""
    effect: Literal["allow", "forbid"]
    """`allow` grants, `forbid` refuses whatever other rules grant."""
    agents: Annotated[list[AgentText], UniqueTexts, Field(min_length=1)]
    """SPIFFE IDs; `*` for a whole path segment, `/**` at the end for all below."""
    on_behalf_of: Annotated[list[OnBehalfOf], Field(min_length=1)]
    """For whom the agents may act."""
    hosts: Annotated[list[HostText], UniqueTexts, Field(min_length=1)]
    """Hosts in lower case without port; `*.` for one label; `*` for every host."""
    methods: Annotated[list[MethodText], UniqueTexts, Field(min_length=1)]
    """Methods in upper case; `*` for every method."""
    paths: Annotated[list[PathText], UniqueTexts, Field(min_length=1)]
    """Path templates: `{name}` for one segment, `/**` at the end for the path itself and all
    below. A forbid covers the same path with a trailing `/` too."""
    mcp: McpCalls | None = None
    """Only these calls, on routes that a resource with `protocol: mcp` names."""
    a2a: A2aCalls | None = Field(default=None, alias="a2a")
    """Only these operations, on routes that a resource with `protocol: a2a` names."""
    grpc: GrpcCalls | None = None
    """Only these methods, on routes that a resource with `protocol: grpc` names."""
    when: Annotated[list[When], Field(min_length=1)] | None = None
    """Conditions, which must all hold."""
    scopes: Annotated[list[ScopeText], UniqueTexts] | None = None
    """Scopes the token must all have; required on allow, `[]` for none."""
    upgrades: Annotated[list[UpgradeText], UniqueTexts, Field(min_length=1)] | None = None
    """Protocols the connection may be changed to, for example `websocket`, on allow only. What is
    sent then is not seen here."""
    chain: Chain | None = None
    """Bounds on the delegation chain, on allow only."""
    step_up: StepUpSettings | None = None
    """How the principal must have logged in, on allow only."""
    approval: ApprovalSettings | None = None
    """An approval the call must carry, on allow only."""
    budget: BudgetSettings | None = None
    """How often it grants, on allow only."""
    obligations: Obligations | None = None
    """What must be done on a grant, on allow only."""

    @model_validator(mode="after")
    def _fits_effect(self) -> Self:
        if self.effect == "allow" and self.scopes is None:
            raise ValueError("an allow needs `scopes`; write `scopes: []` if none are needed")
        if self.effect == "forbid":
            extra = [name for name in ALLOW_ONLY if getattr(self, name) is not None]
            if extra:
                raise ValueError(f"a forbid has no `{to_camel(extra[0])}`")
        if sum(part is not None for part in (self.mcp, self.a2a, self.grpc)) > 1:
            raise ValueError("give one of `mcp`, `a2a`, `grpc`")
        if self.mcp is None and self.a2a is None:
            for condition in self.when or ():
                if condition.argument is not None:
                    raise ValueError("`argument` needs `mcp` or `a2a`")
        return self


ALLOW_ONLY = ("scopes", "upgrades", "chain", "step_up", "approval", "budget", "obligations")


class ResourceSettings(Model):
    """What stands behind some routes."""

    hosts: Annotated[list[HostText], UniqueTexts, Field(min_length=1)]
    """As in rules."""
    paths: Annotated[list[PathText], UniqueTexts, Field(min_length=1)]
    """As in rules; each also without or with a `/` at its end."""
    protocol: Literal["mcp", "a2a", "grpc"] | None = None
    """What requests on these routes are read as. A request that is no call of it is refused."""
    read: Literal["body", "headers", "json-rpc", "rest", "grpc"] | None = None
    """Where calls are read from. `mcp`: `body` (if not given), or `headers` where the proxy sends
    none; needs clients and servers of MCP 2026-07-28 or later. `a2a`: `json-rpc` (if not given),
    `rest` with paths that end with `/**`, or `grpc`."""
    metadata_url: Url | None = None
    """Where clients find what this resource needs (RFC 9728); challenges then name it."""

    @model_validator(mode="after")
    def _reads_its_protocol(self) -> Self:
        allowed = READINGS.get(self.protocol or "", ())
        if self.read is not None and self.read not in allowed:
            known = ", ".join(f"`{reading}`" for reading in allowed) or "nothing"
            raise ValueError(f"`read` of this protocol is {known}")
        if self.protocol is None and self.metadata_url is None:
            raise ValueError("give `protocol`, `metadataUrl`, or both")
        if self.read == "rest" and not all(path.endswith("/**") for path in self.paths):
            raise ValueError("with `read: rest` every path ends with `/**`")
        return self


READINGS = {"mcp": ("body", "headers"), "a2a": ("json-rpc", "rest", "grpc")}


class AgentCeilingSettings(Model):
    """The most that some agents may have, whatever their tokens say."""

    agents: Annotated[list[AgentText], UniqueTexts, Field(min_length=1)]
    """As in rules. All ceilings that cover an agent apply."""
    scopes: Annotated[list[ScopeText], UniqueTexts]
    """Scopes that rules may find in their tokens."""


class PrincipalScopesSettings(Model):
    """What some principals may delegate.

    Principals of the same issuer whom no entry names may delegate no scope at all.
    """

    on_behalf_of: Annotated[list[OnBehalfOf], Field(min_length=1)]
    """As in rules. What several entries say of a principal adds up."""
    scopes: Annotated[list[ScopeText], UniqueTexts]
    """Scopes they may delegate."""


class Metadata(Model):
    """The name of a policy."""

    name: Name
    """Unique among all policies."""


class PolicySpec(Model):
    """The rules of a policy. At least one of the lists has an entry."""

    mode: Literal["enforce", "observe"] = "enforce"
    """`observe`: what its forbids refuse, and what its allow rules demand, is recorded but lets
    calls pass. It cannot let pass what no rule covers: for that there is `policyMode` of the
    service configuration."""
    resources: list[ResourceSettings] = []
    """What stands behind which routes."""
    agent_ceilings: list[AgentCeilingSettings] = []
    """The most that agents may have."""
    principal_scopes: list[PrincipalScopesSettings] = []
    """What principals may delegate."""
    rules: list[PolicyRule] = []
    """Rules; their order does not matter."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.resources or self.agent_ceilings or self.principal_scopes or self.rules):
            raise ValueError("give `rules`, `resources`, `agentCeilings` or `principalScopes`")
        if self.mode == "observe" and (self.agent_ceilings or self.principal_scopes):
            raise ValueError(
                "limits cannot be observed only: put `agentCeilings` and `principalScopes` into a "
                "policy with `mode: enforce`"
            )
        return self


class DelegationPolicy(Model):
    """A policy: who may act for whom on what."""

    api_version: Literal["deputize.dev/v1alpha1"]
    """Always `deputize.dev/v1alpha1`."""
    kind: Literal["DelegationPolicy"]
    """Always `DelegationPolicy`."""
    metadata: Metadata
    """The name of the policy."""
    spec: PolicySpec
    """The rules of the policy."""
