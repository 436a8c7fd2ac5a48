"""Plays a scene on a stage, and says what is not as it should be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.demo.cast import AGENTS
from tests.demo.scene import Scene
from tests.demo.stage import Stage
from tests.harness.calls import Answer
from tests.harness.upstream import Arrival

_PROBLEM_MEMBERS = {"type", "title", "status", "detail", "reason", "decision_id"}
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
    def _path(self) -> str:
        return self.scene.call.target.partition("?")[0]

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
        ]

    def _faults_of_refusal(self) -> list[str]:
        problem, challenge = self.answer.problem, self.answer.header("www-authenticate")
        return [
            *_compare("requests at the upstream", len(self.arrivals), 0),
            *_compare("problem members", set(problem), _PROBLEM_MEMBERS),
            *_compare("problem reason", problem.get("reason"), self.scene.reason.value),
            *_compare("problem status", problem.get("status"), self.scene.status),
            *_compare("problem decision id", problem.get("decision_id"), self.decision_id),
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
    seen = len(stage.upstream.arrivals)
    answer = stage.client(scene.agent).send(stage.with_tokens(scene.call, scene.tokens))
    arrivals = tuple(stage.upstream.arrivals[seen:])
    told = arrivals[0].header(_ID_HEADER) if arrivals else []
    decision_id = answer.header(_ID_HEADER) or "".join(told)
    return Outcome(scene, answer, arrivals, decision_id, _event(decision_id, stage))


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
