"""What is only observed lets policies' refusals pass, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from deputize.core.audit_form import AuditEvent
from deputize.core.reasons import Reason
from deputize.core.rules import Budget, BudgetPart, Rule
from deputize.core.snapshot import Snapshot
from tests.harness.check_message import make_check
from tests.harness.ports import Ports, make_ports
from tests.harness.world import (
    NOW,
    OTHER_AGENT,
    make_forbid,
    make_rule,
    make_snapshot,
    shared_issuer,
)

HOUR = 3600
BUDGET = Budget(1, HOUR, frozenset(BudgetPart))


def observing(rules: Iterable[Rule] = (), *, is_global: bool = True) -> Ports:
    """A service under these rules, by default with `policyMode: observe`."""
    snapshot: Snapshot = make_snapshot(shared_issuer(), rules=rules)
    policies = replace(snapshot.policies, is_observed=is_global)
    return make_ports(replace(snapshot, policies=policies))


def ask(
    ports: Ports,
    token: str | None = None,
    *,
    peer: str = "",
    headers: Mapping[str, str] = MappingProxyType({}),
    path: str = "/v1/orders/7",
) -> AuditEvent:
    """The event of one check; its answer and the event must say the same."""
    token = shared_issuer().issue(now=NOW) if token is None else token
    given = {"peer": peer} if peer else {}
    check = make_check(token, headers=headers, path=path, **given)
    verdict = ports.ask(check.SerializeToString())
    event = ports.events[-1]
    assert verdict.allowed is (event["effect"] == "allow")
    assert verdict.reason == event["reason"]
    return event


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"peer": "spiffe://elsewhere.example/x"}, Reason.PEER_UNTRUSTED_DOMAIN),
        ({"peer": OTHER_AGENT}, Reason.DELEGATION_ACTOR_MISMATCH),
        ({"token": "no token"}, Reason.TOKEN_MALFORMED),
        ({"token": shared_issuer().issue(now=NOW - HOUR)}, Reason.TOKEN_EXPIRED),
        ({"token": shared_issuer().issue(now=NOW, omit=["act"])}, Reason.DELEGATION_ABSENT),
        ({"path": "/v1/orders/../7"}, Reason.REQUEST_AMBIGUOUS_PATH),
        ({"headers": {"x-http-method-override": "PUT"}}, Reason.REQUEST_OVERRIDE_HEADER),
    ],
)
def test_identity_and_token_refusals_stay_enforced(given: dict[str, str], reason: Reason) -> None:
    event = ask(observing(), **given)  # type: ignore[arg-type] # each by its name
    assert (event["effect"], event["reason"], event["observed"]) == ("deny", reason, None)


def test_what_no_rule_matches_passes_and_is_marked() -> None:
    event = ask(observing())
    assert (event["effect"], event["rule"]) == ("allow", None)
    assert event["observed"] is not None
    assert event["observed"]["reason"] == Reason.POLICY_NO_MATCH
    assert event["observed"]["rule"] is None
    assert event["scopes"] == {"token": ["orders:read"], "granted": []}


def test_one_policy_may_be_observed_beside_enforced_ones() -> None:
    trial = replace(make_forbid("trial/no-seven", "/v1/orders/7"), is_observed=True)
    ports = observing([make_rule(), trial], is_global=False)
    event = ask(ports)
    assert (event["effect"], event["rule"]) == ("allow", "orders/read")
    assert event["observed"] is not None
    assert event["observed"]["rule"] == "trial/no-seven"
    assert ask(ports, path="/v1/orders/8")["observed"] is None
    assert ask(ports, path="/v2")["reason"] == Reason.POLICY_NO_MATCH


@pytest.mark.parametrize("is_global", [True, False])
def test_a_budget_that_is_observed_and_used_up_is_marked(is_global: bool) -> None:  # noqa: FBT001
    rule = make_rule(budget=BUDGET, is_observed=not is_global)
    ports = observing([rule], is_global=is_global)
    first, second = ask(ports), ask(ports)
    assert (first["effect"], first["observed"]) == ("allow", None)
    assert (second["effect"], second["rule"]) == ("allow", "orders/read")
    assert second["observed"] is not None
    assert second["observed"]["reason"] == Reason.POLICY_BUDGET_EXHAUSTED
    assert second["observed"]["rule"] == "orders/read"


def test_an_enforced_budget_refuses_with_429_and_says_when_to_come_again() -> None:
    ports = observing([make_rule(budget=BUDGET)], is_global=False)
    octets = make_check(shared_issuer().issue(now=NOW)).SerializeToString()
    assert ports.ask(octets).allowed
    denied = ports.ask(octets).response.denied_response
    headers = {option.header.key.lower(): option.header.value for option in denied.headers}
    assert denied.status.code == 429
    assert 0 < int(headers["retry-after"]) <= HOUR
