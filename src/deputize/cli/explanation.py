"""A decision told as questions and answers."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from deputize.core.model import AccessRequest, DelegationStyle, Introspect
from deputize.core.reasons import REASONS
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


def answer_questions(asked: AccessRequest, decision: Decision) -> list[Answer]:
    """The four questions, and the reading of the request before them, with their answers."""
    found = _proven_texts(asked, decision)
    refusal = _refused_family(decision, found)
    answers: list[Answer] = []
    for family, question in QUESTIONS:
        text = found.get(family)
        if family == refusal and isinstance(decision.verdict, Denial):
            answers.append(Answer(family, question, "refused", decision.verdict.detail))
            found = {}
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


def to_json(asked: AccessRequest, decision: Decision) -> dict[str, object]:
    """The explanation for programs."""
    verdict = decision.verdict
    return {
        "effect": decision.effect.value,
        "reason": decision.reason.value,
        "detail": verdict.detail if isinstance(verdict, Denial) else "",
        "rule": None if decision.rule is None else str(decision.rule),
        "questions": [
            {"question": entry.question, "state": entry.state, "answer": entry.answer}
            for entry in answer_questions(asked, decision)
        ],
        "granted_scopes": sorted(verdict.grant.scopes) if isinstance(verdict, Permit) else [],
        "needed_scopes": sorted(verdict.needed_scopes) if isinstance(verdict, Denial) else [],
        "obligations": obligation_texts(decision),
        "policy_digest": decision.policy_digest,
    }


def obligation_texts(decision: Decision) -> list[str]:
    """What the service must do before the allow leaves it; offline nothing of it is done."""
    verdict = decision.verdict
    return [
        f"ask {obligation.issuer} whether the token is active"
        if isinstance(obligation, Introspect)
        else f"the {obligation.key.partition(':')[0]} must not have been used before"
        for obligation in (verdict.obligations if isinstance(verdict, Permit) else ())
    ]


def print_explanation(asked: AccessRequest, decision: Decision) -> None:
    """The explanation for people."""
    # No line is broken here: identifiers must stay whole for reading, searching and copying.
    console = Console(soft_wrap=True, highlight=False)
    marks = {"proved": ("yes", "green"), "refused": ("NO", "bold red"), "not reached": ("-", "dim")}
    for number, entry in enumerate(answer_questions(asked, decision)):
        mark, style = marks[entry.state]
        question = f"{number}. {entry.question}".ljust(_QUESTION_WIDTH)
        console.print(Text.assemble(question, (mark.ljust(5), style), entry.answer), end="\n")
    style = "bold green" if isinstance(decision.verdict, Permit) else "bold red"
    console.print(Text(f"\n{decision.effect.value}: {decision.reason.value}", style))
    for text in obligation_texts(decision):
        console.print(Text(f"provided that: {text}"))
    if isinstance(decision.verdict, Denial):
        info = REASONS[decision.reason]
        if decision.rule is not None:
            console.print(Text(f"rule: {decision.rule}"))
        console.print(Text(f"{info.meaning}\nWhat to do: {info.remedy}"))


def _proven_texts(asked: AccessRequest, decision: Decision) -> dict[str, str]:
    proven = decision.proven
    texts: dict[str, str] = {}
    if proven.action is not None:
        texts["request"] = f"{proven.action.method} {proven.action.host}{asked.path}"
    if proven.peer is not None:
        texts["peer"] = f"{proven.peer.id} ({proven.peer.assurance.value})"
    if proven.token is not None:
        scopes = " ".join(sorted(proven.token.scopes)) or "none"
        texts["token"] = f"{proven.token.subject} of {proven.token.issuer}, scopes {scopes}"
    if proven.delegation is not None:
        chain = " <- ".join(actor.subject or "(no name)" for actor in proven.delegation.chain)
        style = proven.delegation.style
        said = "" if style is DelegationStyle.DELEGATED else f" ({style.value})"
        texts["delegation"] = f"acts: {chain}{said}"
    if proven.grant is not None:
        scopes = " ".join(sorted(proven.grant.scopes)) or "none"
        texts["policy"] = f"rule {proven.grant.rule} grants scopes {scopes}"
    return texts
