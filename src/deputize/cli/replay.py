"""Recorded decisions, made again under other policies.

Rules of this file:
- Identity and token are taken as they were found; only the question for policies is asked again.
- What an event does not record is never guessed: the question is asked in favour of the call and
  against it (`replay_variants.py`), and only where both answers agree there is one.
- A budget counts as not used up, unless the event says that one was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from deputize.cli.court import Court
from deputize.cli.recorded import Recorded, RecordedCall
from deputize.cli.replay_call import Asked, read_again, suppose
from deputize.cli.replay_conditions import Unknown
from deputize.cli.replay_variants import Known, Variants, vary
from deputize.cli.supposed_call import AgentCall, SupposedCall, SupposedCallError
from deputize.config.policy_compiler import CompiledPolicies
from deputize.core.audit_event import MAX_TEXT
from deputize.core.model import RuleRef
from deputize.core.reasons import Reason
from deputize.core.verdict import Denial

Calls = tuple[RecordedCall, ...]


class Outcome(NamedTuple):
    """How a decision ended. `state` is `allow`, `observe` (let pass by observe mode) or `deny`.

    `reason` and `rule` are those of the refusal, also of one that was only observed.
    """

    state: str
    reason: str
    rule: str | None


class Answer(NamedTuple):
    """What the policies say of an event: `outcome`, or None with what that hangs on.

    `has_budget` is true for an allow by a rule with a budget.
    """

    outcome: Outcome | None
    unknown: tuple[Unknown, ...]
    has_budget: bool


def recorded_outcome(event: Recorded) -> Outcome:
    """How the recorded decision ended."""
    if event.observed is not None:
        return Outcome("observe", event.observed.reason, event.observed.rule)
    return Outcome(event.effect, event.reason, event.rule)


def recorded_claims(events: Iterable[Recorded]) -> dict[str, frozenset[str]]:
    """The claims that are known to be recorded, by the digest of the configuration.

    Which claims are recorded is a setting: where one event has a claim, its absence in another
    under the same configuration means that the token had none.
    """
    names: dict[str, frozenset[str]] = {}
    for event in events:
        so_far = names.get(event.policy_digest, frozenset())
        names[event.policy_digest] = so_far.union(event.claims or ())
    return names


class Replay:
    """Decides events again under these policies. `claims` are as `recorded_claims` gives them."""

    def __init__(
        self,
        policies: CompiledPolicies,
        claims: Mapping[str, frozenset[str]],
        *,
        is_observed: bool = False,
    ) -> None:
        """Raises ConfigError: an approval service of a rule is an issuer of tokens too."""
        self._policies = policies
        self._claims = claims
        self._is_observed = is_observed
        self._asked = Asked(policies)
        self._rules = {str(rule.ref): rule for rule in policies.rules}
        self._courts: dict[Known, tuple[Variants, Court, Court]] = {}
        self._answers: dict[tuple[object, ...], Answer] = {}
        self._court(Known(frozenset(), frozenset(), calls=True))

    def decide(self, event: Recorded) -> Answer:
        """The answer to an event that policies were asked about."""
        texts = [event.http.path]
        texts += (text for call in event.calls for text in (call.method, call.name))
        if any(len(text) >= MAX_TEXT for text in texts):
            return _undetermined(Unknown("the end of a text that was cut"))
        calls = read_again(event, self._policies.resources)
        known = self._known(event, knows_calls=calls is not None)
        call = suppose(event, self._asked)
        said = json.dumps([dict(call.claims), sorted(call.scopes)], sort_keys=True)
        who = (call.agent, call.issuer, call.subject, len(call.chain), call.kind, said, call.at)
        key = (known, who, event.http, calls, recorded_outcome(event))
        answer = self._answers.get(key)
        if answer is None:
            answer = self._answers[key] = self._decide(event, call, known, calls or ())
        return answer

    def _decide(self, event: Recorded, call: SupposedCall, known: Known, calls: Calls) -> Answer:
        variants, favourable, adverse = self._court(known)
        try:
            best = _ask(favourable, call, calls)
            # A request whose calls are not known may also be one that cannot be read.
            unread = Outcome("deny", Reason.REQUEST_BODY_UNREADABLE, None)
            worst = _ask(adverse, call, calls) if known.calls else unread
        except SupposedCallError as error:
            return _undetermined(Unknown(f"the whole request: {error}"))
        rule = self._rules.get(best.rule or "")
        has_budget = best.state == "allow" and rule is not None and rule.budget is not None
        if has_budget and event.is_out_of_budget:
            return _undetermined(Unknown(f"the uses of the budget of {best.rule}"))
        before = recorded_outcome(event)
        if best.state == worst.state:
            if best == worst or best.state != before.state:
                return Answer(best, (), has_budget)
            if before in (best, worst):
                return Answer(before, (), has_budget)
        unknown = [
            each
            for ref, found in variants.unknown.items()
            if str(ref) in (best.rule, worst.rule)
            for each in found
        ]
        if not known.calls:
            unknown.append(Unknown("the calls in the request"))
        # Else it hangs on what may be delegated, or on rules that neither answer names.
        rest = [each for found in variants.unknown.values() for each in found]
        return _undetermined(*(unknown or rest))

    def _known(self, event: Recorded, *, knows_calls: bool) -> Known:
        claims = self._claims.get(event.policy_digest, frozenset()).union(event.claims or ())
        subject = event.principal.subject if event.principal is not None else ""
        approvals = frozenset(
            (each.service, each.approver.casefold() == subject.casefold())
            for each in event.approvals
        )
        asked = self._asked
        return Known(
            claims & asked.claims, approvals if asked.approvals else frozenset(), knows_calls
        )

    def _court(self, known: Known) -> tuple[Variants, Court, Court]:
        found = self._courts.get(known)
        if found is None:
            variants = vary(self._policies, known)
            favourable = Court(variants.favourable, is_observed=self._is_observed)
            adverse = Court(variants.adverse, is_observed=self._is_observed)
            found = self._courts[known] = (variants, favourable, adverse)
        return found


def _undetermined(*unknown: Unknown) -> Answer:
    return Answer(None, tuple(dict.fromkeys(unknown)), has_budget=False)


def _ask(court: Court, call: SupposedCall, calls: Calls) -> Outcome:
    """One outcome for all calls of a request: each must be allowed.

    Raises:
        SupposedCallError: it was not the question for policies that was answered.
    """
    outcomes = [_ask_one(court, call, each) for each in calls or (None,)]
    for state in ("deny", "observe"):
        found = next((outcome for outcome in outcomes if outcome.state == state), None)
        if found is not None:
            return found
    return outcomes[0]


def _ask_one(court: Court, call: SupposedCall, said: RecordedCall | None) -> Outcome:
    if said is not None:
        call = replace(call, call=AgentCall(said.protocol, said.method, said.name))
    decision = court.decide(call).decision
    action, verdict = decision.proven.action, decision.verdict
    read = () if action is None else action.calls
    again = [(each.protocol, each.method, each.name) for each in read]
    wanted = [] if said is None else [(said.protocol, said.method, said.name)]
    is_policy = not isinstance(verdict, Denial) or decision.reason.family == "policy"
    if not is_policy or again != wanted:
        raise SupposedCallError(f"asked again, it is {decision.reason.value}")
    refusal = verdict if isinstance(verdict, Denial) else decision.observed
    if refusal is None:
        return Outcome("allow", decision.reason, _text(decision.rule))
    state = "deny" if isinstance(verdict, Denial) else "observe"
    return Outcome(state, refusal.reason, _text(refusal.rule))


def _text(rule: RuleRef | None) -> str | None:
    return None if rule is None else str(rule)
