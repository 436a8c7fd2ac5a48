"""Every lint: its code, what it means, an example, and how to mend it.

Rules of this file:
- Codes are stable: none is renamed or used for something else.
- An example is rules, in which keys that do not matter are left out. Tests ask the lint about each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Lint(StrEnum):
    """The code of a lint."""

    SHADOWED = "shadowed"
    UNREACHABLE = "unreachable"
    REDUNDANT = "redundant"
    OVERLAP = "overlap"
    BROAD = "broad"
    SCOPE_NEVER_ISSUED = "scope-never-issued"
    HEADER_CONDITION = "header-condition"
    BUDGET_MEMORY = "budget-memory"
    POINTLESS = "pointless"


@dataclass(frozen=True, slots=True)
class LintInfo:
    """What there is to know of a lint. `detail` says when it is silent."""

    meaning: str
    detail: str
    example: str
    mend: str


LINTS: Mapping[Lint, LintInfo] = {
    Lint.SHADOWED: LintInfo(
        "An allow never grants: one forbid refuses every call it covers.",
        "Forbids with conditions, and those of a policy that is only observed, do not count.",
        """\
- name: export
  effect: allow
  paths: [/v1/orders/export]
- name: no-export
  effect: forbid
  methods: ["*"]
  paths: [/v1/**]
""",
        "Remove the allow, or narrow the forbid that is named.",
    ),
    Lint.UNREACHABLE: LintInfo(
        "A rule, or an entry of it, does nothing whatever is asked.",
        "Found are: HTTP methods from which no call is read; methods and operations that are "
        "spelled wrong, and methods without names beside `names`; times that are over; "
        "conditions that rule each other out; scopes that `agentCeilings` keep from every agent "
        "named, or `principalScopes` from every principal; agents whom the issuers may not name, "
        "or whom `delegation.forbiddenActors` has; arguments on routes where none are read.",
        """\
- name: search
  effect: allow
  methods: [POST]
  paths: [/mcp]
  mcp: {methods: [tool/call], names: [search]}
""",
        "Do what the message says; remove the rule if its time is over.",
    ),
    Lint.REDUNDANT: LintInfo(
        "An allow adds nothing: another one covers all its calls and asks for no more.",
        "If the needless rule asks for more scopes, they protect nothing. Of two rules that say "
        "the same the first by name stays.",
        """\
- name: read
  effect: allow
  paths: [/v1/**]
  scopes: [orders:read]
- name: read-payroll
  effect: allow
  paths: [/v1/payroll]
  scopes: [orders:read, payroll:read]
""",
        "Remove the rule, or narrow the wide one that is named.",
    ),
    Lint.OVERLAP: LintInfo(
        "Two allow rules cover some of the same calls, and ask for different things.",
        "Who meets either is let in; if both hold, the one that uses up less answers, then the "
        "first by name. Silent about an exception: a narrower rule that asks for less than a "
        "wide one. Silent also where conditions or groups may keep the rules apart. That a "
        "forbid takes a part of an allow is what it is for, and never reported.",
        """\
- name: read
  effect: allow
  paths: [/v1/**]
  scopes: [orders:read]
- name: read-payroll
  effect: allow
  paths: [/v1/payroll]
  scopes: [payroll:read]
""",
        "Narrow one of them, or let the scopes of one stand in the other too.",
    ),
    Lint.BROAD: LintInfo(
        "An allow covers everything of a kind, or lets agents write for anyone and asks for no "
        "scope.",
        "Found are: every agent of a trust domain (`spiffe://td/**`); "
        '`hosts: ["*"]`; `methods: ["*"]` with every path; methods other than `GET`, `HEAD`, '
        "`OPTIONS` with `anyone` and `scopes: []`, where no condition, login or approval is asked "
        "for either; a rule without `mcp`, `a2a` or `grpc` on routes whose requests hold calls; "
        "every method of MCP; every tool, operation or method without a scope. A condition on a "
        "header or an argument asks for nothing: the agent writes those. With `equalsClaim` one "
        "on an argument does.",
        """\
- name: everything
  effect: allow
  methods: ["*"]
  paths: [/**]
""",
        "List what is meant.",
    ),
    Lint.SCOPE_NEVER_ISSUED: LintInfo(
        "A rule needs a scope that no token of an issuer has.",
        "Only of issuers that say what they issue, with `issuedScopes` of the service "
        "configuration: here `[orders:read, orders:write]`.",
        """\
- name: read
  effect: allow
  scopes: [order:read]
""",
        "Spell it as the issuer does, or add it to `issuedScopes`.",
    ),
    Lint.HEADER_CONDITION: LintInfo(
        "A condition rests on a request header, and the agent writes those.",
        "An agent can make such a condition of an allow hold, and leave out what a forbid looks "
        "for, unless the proxy sets or removes the header on every request.",
        """\
- name: read
  effect: allow
  when:
    - {header: x-tenant, equals: blue}
""",
        "See that the proxy does, then leave this lint out with `--ignore header-condition`; or "
        "ask for a claim of the token.",
    ),
    Lint.BUDGET_MEMORY: LintInfo(
        "A budget is counted by each replica for itself.",
        "With `replay.store: memory` three replicas let three budgets through, and a start "
        "begins anew.",
        """\
- name: read
  effect: allow
  budget: {limit: 100, windowSeconds: 3600}
""",
        "Use `replay.store: redis`, or leave this lint out where there is one replica only.",
    ),
    Lint.POINTLESS: LintInfo(
        "A bound bounds nothing.",
        "`chain.maxDepth` of a rule is above `delegation.maxChainDepth`, which bounds all chains.",
        """\
- name: read
  effect: allow
  chain: {maxDepth: 12}
""",
        "Remove it, or lower it.",
    ),
}
