"""A decision told as questions and answers."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from rich.text import Text

from deputize.cli.nearest import call_text, find_nearest, refusal_of
from deputize.cli.visible import make_console, visible
from deputize.core.limits import Limits
from deputize.core.model import (
    AccessRequest,
    DelegationStyle,
    Introspect,
    Obligation,
    Scope,
    Spend,
)
from deputize.core.reasons import REASONS
from deputize.core.snapshot import Snapshot
from deputize.core.verdict import Decision, Denial, Permit

QUESTIONS = (
    ("request", "What is asked?"),
    ("peer", "Who are you?"),
    ("token", "Whom do you represent?"),
    ("delegation", "Show the mandate."),
    ("policy", "Is it good for this case?"),
)


_QUESTION_WIDTH = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """One question with its answer: `proved`, `refused` or `not reached`."""

    family: str
    question: str
    state: str
    answer: str


def answer_questions(asked: AccessRequest, decision: Decision, limits: Limits) -> list[Answer]:
    """The four questions, and the reading of the request before them, with their answers."""
    found = _proven_texts(asked, decision, limits)
    refusal = _refused_family(decision, found)
    answers: list[Answer] = []
    for family, question in QUESTIONS:
        text = found.get(family)
        if family == refusal and isinstance(decision.verdict, Denial):
            # The body is read last: the request may be refused when all others are answered.
            answers.append(Answer(family, question, "refused", decision.verdict.detail))
        elif text is not None:
            answers.append(Answer(family, question, "proved", text))
        else:
            answers.append(Answer(family, question, "not reached", ""))
    return answers


def _refused_family(decision: Decision, found: dict[str, str]) -> str:
    """The question that was answered with no; for a fault of ours the first without an answer.

    A verified token may still be refused: it is revoked, or bound to somebody else.
    """
    families = [family for family, _question in QUESTIONS]
    if decision.reason.family in families:
        return decision.reason.family
    return next((family for family in families if family not in found), "")


def to_json(asked: AccessRequest, decision: Decision, snapshot: Snapshot) -> dict[str, object]:
    """The explanation for programs."""
    verdict, proven, observed = decision.verdict, decision.proven, decision.observed
    limits = snapshot.policies.limits
    nearest, refusal = find_nearest(asked, decision, snapshot), refusal_of(decision)
    return {
        "effect": decision.effect.value,
        "reason": decision.reason.value,
        "detail": verdict.detail if isinstance(verdict, Denial) else "",
        "rule": None if decision.rule is None else str(decision.rule),
        "questions": [
            {"question": entry.question, "state": entry.state, "answer": entry.answer}
            for entry in answer_questions(asked, decision, limits)
        ],
        "calls": [
            {"protocol": call.protocol.value, "method": call.method, "name": call.name}
            for call in (proven.action.calls if proven.action is not None else ())
        ],
        "granted_scopes": sorted(verdict.grant.scopes) if isinstance(verdict, Permit) else [],
        "needed_scopes": sorted(verdict.needed_scopes) if isinstance(verdict, Denial) else [],
        "withheld_scopes": sorted(_withheld(decision, limits)),
        "nearest": None if nearest is None else nearest.to_json(),
        "approval": None if refusal is None else refusal.approval,
        "observed": None if observed is None else _observed_json(observed),
        "obligations": obligation_texts(decision),
        "policy_digest": decision.policy_digest,
    }


def obligation_texts(decision: Decision) -> list[str]:
    """What the service must do before the allow leaves it; offline nothing of it is done."""
    verdict = decision.verdict
    obligations = verdict.obligations if isinstance(verdict, Permit) else ()
    return [_obligation_text(obligation) for obligation in obligations]


def print_explanation(asked: AccessRequest, decision: Decision, snapshot: Snapshot) -> None:
    """The explanation for people."""
    console = make_console()
    marks = {"proved": ("yes", "green"), "refused": ("NO", "bold red"), "not reached": ("-", "dim")}
    answers = answer_questions(asked, decision, snapshot.policies.limits)
    for number, entry in enumerate(answers):
        mark, style = marks[entry.state]
        question = f"{number}. {entry.question}".ljust(_QUESTION_WIDTH)
        console.print(Text.assemble(question, (mark.ljust(5), style), visible(entry.answer)))
    style = "bold green" if isinstance(decision.verdict, Permit) else "bold red"
    console.print(Text(f"\n{decision.effect.value}: {decision.reason.value}", style))
    for text in obligation_texts(decision):
        console.print(visible(f"provided that: {text}"))
    observed = decision.observed
    if observed is not None:
        said = f"observed only: {observed.reason.value}: {observed.detail}"
        console.print(visible(said if observed.rule is None else f"{said} (rule {observed.rule})"))
    if decision.rule is not None and isinstance(decision.verdict, Denial):
        console.print(visible(f"rule: {decision.rule}"))
    nearest = find_nearest(asked, decision, snapshot)
    if nearest is not None:
        console.print(visible(str(nearest)))
    refusal = refusal_of(decision)
    if refusal is not None and refusal.approval is not None:
        to_approve = orjson.dumps(refusal.approval).decode()
        console.print(visible(f"to be approved: {to_approve}"))
    if isinstance(decision.verdict, Denial):
        info = REASONS[decision.reason]
        console.print(Text(f"{info.meaning}\nWhat to do: {info.remedy}"))


def _proven_texts(asked: AccessRequest, decision: Decision, limits: Limits) -> dict[str, str]:
    proven = decision.proven
    texts: dict[str, str] = {}
    if proven.action is not None:
        calls = "".join(f", {call_text(call)}" for call in proven.action.calls)
        request = f"{proven.action.method} {proven.action.host}{asked.path}"
        upgrade = f", upgrade to {proven.action.upgrade}" if proven.action.upgrade else ""
        texts["request"] = f"{request}{upgrade}{calls}"
    if proven.peer is not None:
        texts["peer"] = f"{proven.peer.id} ({proven.peer.assurance.value})"
    if proven.token is not None:
        scopes = " ".join(sorted(proven.token.scopes)) or "none"
        texts["token"] = f"{proven.token.subject} of {proven.token.issuer}, scopes {scopes}"
    if proven.delegation is not None:
        chain = " <- ".join(actor.subject or "(no name)" for actor in proven.delegation.chain)
        style = proven.delegation.style
        said = "" if style is DelegationStyle.DELEGATED else f" ({style.value})"
        withheld = " ".join(sorted(_withheld(decision, limits)))
        limited = f"; limits withhold {withheld}" if withheld else ""
        texts["delegation"] = f"acts: {chain}{said}{limited}"
    if proven.grant is not None:
        scopes = " ".join(sorted(proven.grant.scopes)) or "none"
        rule = proven.grant.rule
        observed = decision.observed
        # A refusal that is only observed lets pass under its own rule, which granted nothing.
        if observed is not None and observed.rule == rule:
            by = "no rule grants it" if rule is None else f"{observed.reason.value} by rule {rule}"
            texts["policy"] = f"only because policies are observed; enforced, it is refused: {by}"
        else:
            texts["policy"] = f"rule {rule} grants scopes {scopes}"
    return texts


def _withheld(decision: Decision, limits: Limits) -> frozenset[Scope]:
    """Scopes of the token that its agent may not have, or its principal not delegate."""
    delegation = decision.proven.delegation
    if delegation is None:
        return frozenset()
    return delegation.scopes - limits.apply(delegation)


def _obligation_text(obligation: Obligation) -> str:
    match obligation:
        case Introspect(issuer):
            return f"ask {issuer} whether the token is active"
        case Spend(limit=limit, window=window, rule=rule, is_enforced=is_enforced):
            only = "" if is_enforced else ", which is only observed"
            return f"the budget of {rule} is not used up: {limit} calls in {window} s{only}"
        case _:
            return f"the {obligation.key.partition(':')[0]} must not have been used before"


def _observed_json(observed: Denial) -> dict[str, object]:
    return {
        "reason": observed.reason.value,
        "detail": observed.detail,
        "rule": None if observed.rule is None else str(observed.rule),
    }
