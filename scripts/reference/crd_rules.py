"""What custom resource definitions say beyond the models' schemas: rules that span keys, bounds.

Rules of this file:
- Each validator of a model stands in `RULES`, or in `WATCHER_ONLY` with the reason why.
- What a rule here refuses, its validator refuses too.
- Lists that rules walk through have a bound: an API server refuses rules that could cost too much.

Source: Kubernetes, "Extend the Kubernetes API with CustomResourceDefinitions", validation rules.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic.alias_generators import to_camel

from deputize.config.issuer_schema import IssuerProfileFile, ProfileKeys
from deputize.config.model import Model
from deputize.config.policy_schema import (
    ALLOW_ONLY,
    COMPARISONS,
    FACTS,
    AgentCeilingSettings,
    DelegationPolicy,
    OnBehalfOf,
    PolicyRule,
    PolicySpec,
    PrincipalScopesSettings,
    ResourceSettings,
    StepUpSettings,
    TimeWindow,
    When,
)


class Rule(NamedTuple):
    """One rule in CEL, and what an author is told whose object breaks it."""

    cel: str
    message: str


def _any(*keys: str) -> str:
    return " || ".join(f"has(self.{key})" for key in keys)


def _count(*keys: str) -> str:
    given = ", ".join(f"has(self.{key})" for key in keys)
    return f"[{given}].filter(given, given).size()"


def _filled(*keys: str) -> str:
    return " || ".join(f"(has(self.{key}) && self.{key}.size() > 0)" for key in keys)


_IN_ACT = r"actor.matches('^act([.]|$)')"
_NAME = Rule(
    "self.metadata.name.matches('^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')",
    "a name has a-z, 0-9 and inner -, at most 63",
)

RULES: dict[type[Model], dict[str, tuple[Rule, ...]]] = {
    OnBehalfOf: {
        "_says_who": (
            Rule(
                f"({_any('subjects', 'claims')}) != has(self.anyone)",
                "name `subjects` or `claims`, or say `anyone: true`",
            ),
        )
    },
    TimeWindow: {
        "_says_when": (
            Rule("has(self.begins) == has(self.ends)", "`begins` goes with `ends`"),
            Rule(
                "!has(self.begins) || !has(self.ends) || self.begins != self.ends",
                "`begins` and `ends` are the same; leave both out for the whole day",
            ),
            Rule(
                _any("days", "begins", "notBefore", "notAfter"),
                "give `days`, `begins` and `ends`, `notBefore` or `notAfter`",
            ),
        )
    },
    When: {
        "_is_one_condition": (
            Rule(
                f"{_count(*map(to_camel, FACTS), 'time', 'cel')} == 1",
                "a condition has exactly one fact, or `time`, or `cel`",
            ),
        )
    },
    StepUpSettings: {
        "_asks_for_something": (
            Rule(_any("acrValues", "maxAgeSeconds"), "give `acrValues`, `maxAgeSeconds`, or both"),
        )
    },
    PolicyRule: {
        "_fits_effect": (
            Rule(
                "self.effect != 'allow' || has(self.scopes)",
                "an allow needs `scopes`; write `scopes: []` if none are needed",
            ),
            *(
                Rule(f"self.effect != 'forbid' || !has(self.{key})", f"a forbid has no `{key}`")
                for key in map(to_camel, ALLOW_ONLY)
            ),
            Rule(f"{_count('mcp', 'a2a', 'grpc')} <= 1", "give one of `mcp`, `a2a`, `grpc`"),
            Rule(
                f"{_any('mcp', 'a2a')} || !has(self.when)"
                " || self.when.all(entry, !has(entry.argument))",
                "`argument` needs `mcp` or `a2a`",
            ),
        )
    },
    ResourceSettings: {
        "_reads_its_protocol": (
            Rule(
                "!has(self.read) || (has(self.protocol) && ("
                "(self.protocol == 'mcp' && self.read in ['body', 'headers']) || "
                "(self.protocol == 'a2a' && self.read in ['json-rpc', 'rest', 'grpc'])))",
                "`read` of `mcp` is `body` or `headers`, of `a2a` `json-rpc`, `rest` or `grpc`",
            ),
            Rule(_any("protocol", "metadataUrl"), "give `protocol`, `metadataUrl`, or both"),
            Rule(
                "!has(self.read) || self.read != 'rest'"
                " || self.paths.all(path, path.endsWith('/**'))",
                "with `read: rest` every path ends with `/**`",
            ),
        )
    },
    PolicySpec: {
        "_says_something": (
            Rule(
                _filled("resources", "agentCeilings", "principalScopes", "rules"),
                "give `rules`, `resources`, `agentCeilings` or `principalScopes`",
            ),
            Rule(
                "!has(self.mode) || self.mode != 'observe'"
                f" || !({_filled('agentCeilings', 'principalScopes')})",
                "limits cannot be observed only: put `agentCeilings` and `principalScopes` into a "
                "policy with `mode: enforce`",
            ),
        )
    },
    ProfileKeys: {
        "_one_chain": (
            Rule(
                f"!has(self.actor) || self.actor.filter(actor, {_IN_ACT}).size() <= 1",
                "`actor` has at most one claim in `act`",
            ),
            Rule(
                f"!has(self.actor) || !self.actor.exists(actor, {_IN_ACT} && "
                r"(actor == 'act' || actor.matches('^act[.]([^\\\\]*[.])?act([.]|$)')))",
                "`actor` names a member of the outermost `act`, like `act.sub`",
            ),
        )
    },
    DelegationPolicy: {"": (_NAME,)},
    IssuerProfileFile: {"": (_NAME,)},
}
"""By model and validator; what no validator says has the name ''."""

WATCHER_ONLY = {
    (When, "_is_one_condition"): "that the values of a list are of one type: they have no type here"
}
"""Validators, or parts of them, that an API server cannot check; the service does."""

ONE_OF: dict[type[Model], list[dict[str, Any]]] = {
    When: [{"required": [to_camel(name)]} for name in ("time", "cel", *COMPARISONS)],
}
"""Exactly one of these is given. Rules in CEL cannot see keys whose values have several types."""

ENTRIES: dict[tuple[type[Model], str], int] = {
    (PolicySpec, "rules"): 256,
    (PolicySpec, "resources"): 128,
    (PolicySpec, "agent_ceilings"): 128,
    (PolicySpec, "principal_scopes"): 128,
    (PolicyRule, "when"): 32,
    (PolicyRule, "on_behalf_of"): 64,
    (AgentCeilingSettings, "agents"): 256,
    (PrincipalScopesSettings, "on_behalf_of"): 64,
    (ResourceSettings, "paths"): 64,
    (ProfileKeys, "actor"): 16,
    (ProfileKeys, "principal_kind"): 32,
    (ProfileKeys, "actor_kind"): 32,
}
"""Most entries of lists in an object; policies in files have no such bound."""

NAMED_ENTRIES: dict[tuple[type[Model], str], str] = {(PolicySpec, "rules"): "name"}
"""Lists whose entries have a name of their own, which stands once."""
