"""Which rule was nearest to granting a refused call, and what of it was not met.

Rules of this file:
- It only explains a refusal that `decide` gave. What is met is asked of the patterns themselves,
  and what a rule demands of `policy_demands.settle`, one demand at a time: no second law.
- Where rules cover the call the decision already names the nearest one. Else it is the rule with
  the fewest patterns that do not match, of these the one whose patterns nearly match (a name
  that differs in a letter), then the fewest unmet demands, then those easier to meet, then the
  first by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from deputize.cli import near_miss
from deputize.core import policy_demands
from deputize.core.case import Case
from deputize.core.keys import KeyRing
from deputize.core.matching import host_matches
from deputize.core.model import AccessRequest, Call, RuleRef
from deputize.core.reasons import Reason
from deputize.core.rules import Policies, Rule, RuleEffect
from deputize.core.snapshot import Snapshot
from deputize.core.verdict import Decision, Denial

PARTS = (
    "agent",
    "principal",
    "host",
    "path",
    "call",
    "method",
    "upgrade",
    "depth",
    "condition",
    "limits",
    "scopes",
    "step-up",
    "approval",
)
"""The parts of a rule, those first that are farthest from being met."""


@dataclass(frozen=True, slots=True)
class Unmet:
    """One part of a rule that the call does not meet; `hint` is empty where there is none.

    `nearness` is for patterns: OTHER, RELATED or SIMILAR of `near_miss`.
    """

    part: str
    message: str
    hint: str = ""
    nearness: int = near_miss.OTHER

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


@dataclass(frozen=True, slots=True)
class Nearest:
    """The rule, and all that was not met. `call` names one of several calls of the request."""

    rule: RuleRef
    unmet: tuple[Unmet, ...]
    call: str = ""

    def __str__(self) -> str:
        return f"nearest {self.told}"

    @property
    def told(self) -> str:
        """The rule and all that was not met, on one line."""
        of_call = f" for {self.call}" if self.call else ""
        return f"rule {self.rule}{of_call}: {'; '.join(map(str, self.unmet))}"

    def to_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "rule": str(self.rule),
            "call": self.call or None,
            "unmet": [
                {"part": each.part, "message": each.message, "hint": each.hint}
                for each in self.unmet
            ],
        }


def find_nearest(
    asked: AccessRequest,
    decision: Decision,
    snapshot: Snapshot,
    expected: frozenset[str] | None = None,
) -> Nearest | None:
    """The rule that was nearest to granting what policies refused, or would have refused.

    Of the `expected` rules where those are given. None where something else refused, a forbid did
    (the decision names it), or there is no such allow rule.
    """
    refusal = refusal_of(decision)
    if refusal is None or refusal.reason.family != "policy":
        return None
    rules = snapshot.policies.index.rules
    if any(rule.effect is RuleEffect.FORBID and rule.ref == refusal.rule for rule in rules):
        return None
    named = frozenset[str]() if refusal.rule is None else frozenset({str(refusal.rule)})
    wanted = expected or named
    among = [
        rule
        for rule in rules
        if rule.effect is RuleEffect.ALLOW and (not wanted or str(rule.ref) in wanted)
    ]
    cases = list(_cases(asked, decision))
    found: list[Nearest] = []
    for case in cases:
        name = call_text(case.call) if case.call is not None and len(cases) > 1 else ""
        nearest = _nearest(case, among, snapshot, name)
        if nearest is not None and nearest.unmet:
            found.append(nearest)
    return found[0] if found else None


def refusal_of(decision: Decision) -> Denial | None:
    """Why the call was refused, or would be were its policy enforced; None for neither."""
    verdict = decision.verdict
    return verdict if isinstance(verdict, Denial) else verdict.observed


def call_text(call: Call) -> str:
    """A call in words."""
    return " ".join(part for part in (call.protocol.value, call.method, call.name) if part)


def _cases(asked: AccessRequest, decision: Decision) -> Iterator[Case]:
    """Each call of the request with all that was proven about it."""
    proven = decision.proven
    if (
        proven.peer is not None
        and proven.token is not None
        and proven.delegation is not None
        and proven.action is not None
    ):
        shown = (asked, proven.peer, proven.token, proven.delegation, proven.action)
        for call in proven.action.calls or (None,):
            yield Case(*shown, call, decision.decided_at)


def _nearest(case: Case, rules: list[Rule], snapshot: Snapshot, name: str) -> Nearest | None:
    best: tuple[tuple[int, int, int, int, str], Nearest] | None = None
    for rule in rules:
        unmet = list(_uncovered(rule, case))
        uncovered = len(unmet)
        # Demands are dear to ask for, and only add to what is unmet.
        if best is None or uncovered <= best[0][0]:
            unmet += _unsettled(rule, case, snapshot.policies, snapshot.key_rings)
            weight = sum(len(PARTS) - PARTS.index(each.part) for each in unmet)
            near = sum(each.nearness for each in unmet)
            key = (uncovered, -near, len(unmet), weight, str(rule.ref))
            if best is None or key < best[0]:
                best = key, Nearest(rule.ref, tuple(unmet), name)
    return None if best is None else best[1]


def _uncovered(rule: Rule, case: Case) -> Iterator[Unmet]:
    """The patterns of the rule that do not match."""
    delegation, action = case.delegation, case.action
    if not any(pattern.matches(delegation.agent) for pattern in rule.agents):
        texts = [pattern.text for pattern in rule.agents]
        yield _not_in("agent", delegation.agent.text, texts)
    if not any(pattern.matches(delegation.principal) for pattern in rule.principals):
        message, hint = near_miss.explain_principal(delegation.principal, rule.principals)
        yield _unmet("principal", message, hint)
    if not any(host_matches(pattern, action.host) for pattern in rule.hosts):
        yield _not_in("host", action.host, rule.hosts, near_miss.hint_host(action.host, rule.hosts))
    if not any(pattern.matches(action.segments) for pattern in rule.paths):
        path = "/" + "/".join(action.segments)
        hint = near_miss.hint_path(action.segments, rule.paths)
        yield _not_in("path", path, [pattern.text for pattern in rule.paths], hint)
    if rule.call is not None and not rule.call.matches(case.call):
        yield Unmet("call", *near_miss.explain_call(case.call, rule.call))
    if not {"*", action.method} & set(rule.methods):
        yield _not_in("method", action.method, rule.methods)
    if action.upgrade and action.upgrade not in rule.upgrades:
        yield _not_in("upgrade", action.upgrade, sorted(rule.upgrades))


def _not_in(part: str, asked: str, wanted: near_miss.Texts, hint: str | None = None) -> Unmet:
    said = near_miss.hint_spelling(asked, wanted) if hint is None else hint
    return _unmet(part, f"{part} {asked} is not in {near_miss.show(wanted)}", said)


def _unmet(part: str, message: str, hint: str) -> Unmet:
    return Unmet(part, message, hint, near_miss.SIMILAR if hint else near_miss.OTHER)


def _unsettled(
    rule: Rule, case: Case, policies: Policies, key_rings: Mapping[str, KeyRing]
) -> Iterator[Unmet]:
    """The demands of the rule that are not met."""
    for part, alone in _demands(rule):
        denial = policy_demands.settle(alone, case, policies, key_rings)
        if isinstance(denial, Denial):
            said = denial.detail.removeprefix(f"rule {rule.ref}").lstrip(": ")
            yield _tell(part, said, denial, alone, case)


def _demands(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """The rule with one demand at a time."""
    bare = replace(
        rule,
        conditions=(),
        scopes=frozenset(),
        max_depth=None,
        step_up=None,
        approval=None,
        budget=None,
    )
    yield "depth", replace(bare, max_depth=rule.max_depth)
    for condition in rule.conditions:
        yield "condition", replace(bare, conditions=(condition,))
    yield "scopes", replace(bare, scopes=rule.scopes)
    yield "step-up", replace(bare, step_up=rule.step_up)
    yield "approval", replace(bare, approval=rule.approval)


def _tell(part: str, said: str, denial: Denial, rule: Rule, case: Case) -> Unmet:
    if denial.reason is Reason.POLICY_SCOPE_NOT_DELEGABLE:
        return Unmet("limits", said)
    if part == "scopes":
        has = case.delegation.scopes
        missing = sorted(rule.scopes - has)
        hints = (near_miss.hint_spelling(scope, sorted(has), "the token") for scope in missing)
        word = "scope" if len(missing) == 1 else "scopes"
        return Unmet(part, f"needs {word} {' '.join(missing)}", "; ".join(filter(None, hints)))
    if part == "condition":
        return Unmet(part, said, near_miss.explain_condition(rule.conditions[0], case))
    if denial.step_up is not None:
        return Unmet(part, near_miss.explain_login(denial.step_up, case))
    if denial.reason is Reason.POLICY_APPROVAL_REQUIRED and rule.approval is not None:
        services = near_miss.show(sorted(rule.approval.services))
        return Unmet(part, f"needs an approval of this call by one of {services}")
    return Unmet(part, said)
