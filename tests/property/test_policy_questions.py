"""Who can do what: every allowed request of small worlds is in an answer, and no other one."""

from __future__ import annotations

import pytest

from deputize.analysis.allowed import Reading
from deputize.analysis.policy_set import Asked
from deputize.analysis.questions import ask
from deputize.core.call_patterns import CallPattern
from deputize.core.matching import parse_agent_pattern, parse_path_pattern
from deputize.core.model import Protocol
from deputize.core.spiffe import parse_spiffe_id
from tests.harness.analysis_cover import Locator
from tests.harness.small_decisions import in_use, is_allowed, supposed_approvals, was_read
from tests.harness.small_policies import WORLDS, World
from tests.harness.small_requests import Point, from_witness
from tests.harness.world import make_principal

SEEDS = range(30 * len(WORLDS))
_QUESTIONS = (
    Asked(),
    Asked(agents=(parse_agent_pattern("spiffe://td/x"),)),
    Asked(agents=(parse_agent_pattern("spiffe://td/**"),), hosts=("a.t",)),
    Asked(hosts=("a.t",), methods=("GET",), paths=(parse_path_pattern("/a/b"),)),
    Asked(hosts=("*.t",), methods=("POST",), paths=(parse_path_pattern("/a/{id}"),)),
    Asked(calls=(CallPattern(Protocol.MCP, ("tools/call",), ("get_a",)),)),
    Asked(calls=(CallPattern(Protocol.GRPC, ("a/b",), ()),)),
    Asked(principals=(make_principal("https://one.example", subjects=["alice"]),)),
)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_answer_has_every_request_that_is_allowed_and_no_other(seed: int) -> None:
    world = World(seed)
    policies = world.policies()
    asked = _QUESTIONS[seed // len(WORLDS) % len(_QUESTIONS)]
    answer = ask(policies, asked)
    locator = Locator(answer.space, policies, asked=asked)
    enforced = in_use(policies, Reading.ENFORCED)
    with supposed_approvals():
        for point in world.requests(policies):
            expected = _is_asked(asked, point) and is_allowed(enforced, point)
            if expected and asked.calls:
                call = was_read(enforced, point)
                expected = any(pattern.matches(call) for pattern in asked.calls)
            assert locator.any_has(answer.rows, point) == expected, point
        for row in answer.rows:
            point = from_witness(answer.space, row.witness)
            numbers = {number for box in row.boxes for number in box.sparse}
            listed = [answer.space.variables.listed[number] for number in numbers]
            is_about_paths = any(each.text.startswith("path ") for each in listed)
            assert row.is_certain != is_about_paths
            if not is_about_paths:
                assert _is_asked(asked, point)
                assert is_allowed(enforced, point)
                assert locator.any_has([row], point)


def _is_asked(asked: Asked, point: Point) -> bool:
    """Whether the patterns of the question cover the request; of calls nothing is said."""
    agent = parse_spiffe_id(point.agent)
    hosts = {point.host, "*." + point.host.partition(".")[2]}
    return (
        (not asked.agents or any(each.matches(agent) for each in asked.agents))
        and (not asked.hosts or not hosts.isdisjoint(asked.hosts))
        and (not asked.methods or point.method in asked.methods)
        and (not asked.paths or any(each.matches(point.segments) for each in asked.paths))
        and (
            not asked.principals
            or any(
                each.issuer == point.issuer and point.subject in each.subjects
                for each in asked.principals
            )
        )
    )


@pytest.mark.parametrize("claims", [(), (("groups", "sales"),), (("groups", "unheard-of"),)])
def test_given_claims_are_all_there_are(claims: tuple[tuple[str, str], ...]) -> None:
    for seed in range(2, 2 + 12 * len(WORLDS), len(WORLDS)):
        world = World(seed)
        policies = world.policies()
        answer = ask(policies, Asked(), claims)
        locator = Locator(answer.space, policies)
        enforced = in_use(policies, Reading.ENFORCED)
        for point in world.requests(policies):
            expected = point.claims == frozenset(claims) and is_allowed(enforced, point)
            if point.claims == frozenset(claims):
                assert locator.any_has(answer.rows, point) == expected
        for row in answer.rows:
            assert is_allowed(enforced, from_witness(answer.space, row.witness))
