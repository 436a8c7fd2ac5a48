"""Plays a scene on a stage, and says what is not as it should be."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from deputize.core.reasons import Reason
from tests.demo.cast import AGENTS
from tests.demo.scene import TOOLS, Scene
from tests.demo.stage import APPROVAL_HEADER, Stage
from tests.harness.calls import Answer
from tests.harness.upstream import Arrival

_PROBLEM_MEMBERS = {"type", "title", "status", "detail"}
_FACTS = {"reason", "decision_id"}
_APPROVAL = "approval"
_ID_HEADER = "x-deputize-decision-id"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a scene: the answer, what reached the upstream, the audit event."""

    scene: Scene
    answer: Answer
    arrivals: tuple[Arrival, ...]
    decision_id: str
    event: dict[str, Any]

    @property
    def reason(self) -> str:
        """As audited; empty where there is no event."""
        return str(self.event.get("reason", ""))

    @property
    def faults(self) -> list[str]:
        """What differs from what the scene expects."""
        checks = self._faults_of_allow if self.scene.principal else self._faults_of_refusal
        return [
            *_compare("status", self.answer.status, self.scene.status),
            *_compare("audited reason", self.reason, self.scene.reason.value),
            *_compare("audited path", self.event.get("http", {}).get("path"), self._path),
            *checks(),
        ]

    @property
    def facts(self) -> dict[str, Any]:
        """What a refusal says of the decision; nothing where it is in the wrong form."""
        if self.scene.call.target != TOOLS:
            problem = self.answer.problem
            return {name: problem[name] for name in problem.keys() - _PROBLEM_MEMBERS}
        if self.answer.headers.get_content_type() != "application/json":
            return {}
        facts: dict[str, Any] = json.loads(self.answer.body).get("error", {}).get("data", {})
        return facts

    @property
    def _path(self) -> str:
        return self.scene.call.target.partition("?")[0]

    @property
    def _asks(self) -> bool:
        return self.scene.reason == Reason.POLICY_APPROVAL_REQUIRED

    def _faults_of_allow(self) -> list[str]:
        if len(self.arrivals) != 1:
            return [f"reached the upstream {len(self.arrivals)} times, not once"]
        arrival = self.arrivals[0]
        told = {
            "x-deputize-principal": self.scene.principal,
            "x-deputize-agent": AGENTS[self.scene.agent],
            _ID_HEADER: self.decision_id,
        }
        return [
            *_compare("upstream target", arrival.target, self.scene.call.target),
            *_compare("upstream method", arrival.method, self.scene.call.method),
            *_compare("identity at the upstream", identity(arrival), sorted(told.items())),
            *_compare("token at the upstream", arrival.header("authorization"), []),
            *_compare("approval at the upstream", arrival.header(APPROVAL_HEADER), []),
            *_compare("length of the body", arrival.body_bytes, len(self.scene.call.body)),
        ]

    def _faults_of_refusal(self) -> list[str]:
        challenge, facts = self.answer.header("www-authenticate"), self.facts
        return [
            *_compare("requests at the upstream", len(self.arrivals), 0),
            *_compare("facts told", set(facts), _FACTS | ({_APPROVAL} if self._asks else set())),
            *_compare(
                "status told",
                self.answer.problem.get("status", self.scene.status),
                self.scene.status,
            ),
            *_compare("reason told", facts.get("reason"), self.scene.reason.value),
            *_compare("decision id told", facts.get("decision_id"), self.decision_id),
            *(
                []
                if self.scene.challenge in challenge
                else [f"the challenge {challenge!r} lacks {self.scene.challenge!r}"]
            ),
        ]


def play(scene: Scene, stage: Stage) -> Outcome:
    """Sends the scene's one request and waits for its audit event."""
    if scene.added_rules is not None:
        stage.set_policy(scene.added_rules)
    call = scene.call
    if scene.is_approved:
        call = replace(call, headers=(*call.headers, (APPROVAL_HEADER, stage.approvals[-1])))
    seen = len(stage.upstream.arrivals)
    answer = stage.client(scene.agent).send(stage.with_tokens(call, scene.tokens))
    arrivals = tuple(stage.upstream.arrivals[seen:])
    told = arrivals[0].header(_ID_HEADER) if arrivals else []
    decision_id = answer.header(_ID_HEADER) or "".join(told)
    outcome = Outcome(scene, answer, arrivals, decision_id, _event(decision_id, stage))
    if _APPROVAL in outcome.facts:
        stage.approve(outcome.facts[_APPROVAL])
    return outcome


def identity(arrival: Arrival) -> list[tuple[str, str]]:
    """Every header that some server could take for one of ours, sorted."""
    return sorted(
        (name, value)
        for name, value in arrival.headers
        if re.sub(r"[^a-z0-9]", "-", name.lower()).startswith("x-deputize-")
    )


def _event(decision_id: str, stage: Stage) -> dict[str, Any]:
    try:
        return stage.deputize.audit_event(decision_id)
    except TimeoutError:
        return {}


def total_faults(outcomes: Iterable[Outcome], stage: Stage) -> list[str]:
    """What is wrong with the story as a whole; deputize has ended, so all events are written."""
    outcomes = list(outcomes)
    audited = Counter(event["decision_id"] for event in stage.deputize.audit_events())
    answered = Counter(outcome.decision_id for outcome in outcomes)
    permitted = sum(1 for outcome in outcomes if outcome.scene.principal)
    return [
        *(f"no audit event for decision {name!r}" for name in answered - audited),
        *(f"an audit event too many: decision {name!r}" for name in audited - answered),
        *_compare("requests at the upstream", len(stage.upstream.arrivals), permitted),
    ]


def _compare(what: str, got: object, expected: object) -> list[str]:
    return [] if got == expected else [f"{what}: {got!r}, expected {expected!r}"]
