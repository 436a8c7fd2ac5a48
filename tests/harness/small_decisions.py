"""What the real evaluation says of a small request; the analysis has no part in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import cast
from unittest.mock import patch

from deputize.analysis.allowed import Reading
from deputize.analysis.policy_set import PolicySet
from deputize.core import policy, policy_demands
from deputize.core.approval import ApprovalNeed
from deputize.core.case import Case
from deputize.core.model import (
    Action,
    Actor,
    Approved,
    Binding,
    Call,
    Delegation,
    DelegationStyle,
    Json,
    Kind,
    Peer,
    Principal,
    Protocol,
    Resource,
    Scope,
    Spend,
    UseOnce,
    VerifiedToken,
)
from deputize.core.reasons import Reason
from deputize.core.request_calls import find_resource
from deputize.core.rules import Policies, Rule
from deputize.core.spiffe import parse_spiffe_id
from deputize.core.verdict import Denial, Denied
from tests.harness.small_requests import APPROVALS, HEADERS, Point
from tests.harness.world import NOW, make_policies, make_request

_USED = "used"


def in_use(policies: PolicySet, reading: Reading) -> Policies:
    """The policies as the service has them, or as if none were observed."""
    rules = policies.rules
    if reading is Reading.ENFORCED:
        rules = tuple(replace(rule, is_observed=False) for rule in rules)
    routes = [(each.host, each.path.text, each.resource) for each in policies.routes]
    return make_policies(rules, resources=routes, limits=policies.limits)


def is_allowed(policies: Policies, point: Point) -> bool:
    """What the real evaluation says, and what is used up."""
    action = Action(point.method, point.host, point.segments, point.upgrade)
    try:
        calls = _read(point, find_resource(action, policies.resources))
    except ValueError:
        return False
    headers = {name: str(value) for name in HEADERS if (value := point.facts.get(name)) is not None}
    if point.approval is not None:
        headers["x-approval"] = str(APPROVALS.index(point.approval))
    try:
        ruling = policy.evaluate(
            make_request(headers=headers),
            cast("Peer", None),
            cast("VerifiedToken", None),
            _delegation(point),
            action._replace(calls=calls),
            policies,
            {},
            NOW,
        )
    except Denied:
        return False
    if ruling.grant.use_once and not point.is_unused:
        return False
    return all(
        not owed.is_enforced or point.counts.get(str(owed.rule), 0) < owed.limit
        if isinstance(owed, Spend)
        else not (isinstance(owed, UseOnce) and owed.key == _USED)
        for owed in ruling.grant.owed
    )


def was_read(policies: Policies, point: Point) -> Call | None:
    """The call that the request is read as, if there is one."""
    action = Action(point.method, point.host, point.segments, point.upgrade)
    try:
        return next(iter(_read(point, find_resource(action, policies.resources))), None)
    except ValueError:
        return None


@contextmanager
def supposed_approvals() -> Iterator[None]:
    """Approvals as a header says, without a signature."""

    def check(_rule: Rule, need: ApprovalNeed, case: Case, *_rest: object) -> Approved | Denial:
        found = APPROVALS[int(case.request.headers.get("x-approval", 0))]
        if (
            found is None
            or case.action.upgrade
            or found.service not in need.services
            or (need.approver_not_principal and found.is_by_principal)
        ):
            return Denial(reason=Reason.POLICY_APPROVAL_REQUIRED, detail="")
        use = UseOnce(_USED if found.is_used else "fresh", NOW)
        return Approved(found.service, "carol", "id", use)

    with patch.object(policy_demands, "_check_approval", check):
        yield


def _read(point: Point, resource: Resource | None) -> tuple[Call, ...]:
    """As `core/request_calls.py` reads it; ValueError for what is no call of the protocol."""
    if resource is None or resource.protocol is None:
        return ()
    is_grpc, call = resource.protocol is Protocol.GRPC, point.call
    is_by_path = is_grpc or resource.binding in {Binding.REST, Binding.GRPC}
    if not is_by_path and point.method != "POST":
        if call is not None and call.protocol is not Protocol.GRPC:
            raise ValueError
        return ()
    if call is None or call.protocol is not resource.protocol:
        raise ValueError
    if is_grpc and (point.method != "POST" or call.method != "/".join(point.segments)):
        raise ValueError
    return (call,)


def _delegation(point: Point) -> Delegation:
    claims: dict[str, Json] = {}
    for name, value in sorted(point.claims):
        listed = claims.setdefault(name, [])
        cast("list[Json]", listed).append(value)
    if point.facts.get("mixed") is not None:
        claims["mixed"] = point.facts["mixed"]
    if point.acr:
        claims["acr"] = point.acr
    if point.login_age is not None:
        claims["auth_time"] = NOW - point.login_age
    agent = parse_spiffe_id(point.agent)
    chain = [Actor(agent.text, "", Kind.AGENT)]
    chain += [Actor(f"earlier-{hop}", "", Kind.UNKNOWN) for hop in range(1, point.depth)]
    return Delegation(
        Principal(point.issuer, point.subject, Kind.USER, claims),
        agent,
        tuple(chain),
        frozenset(map(Scope, point.scopes)),
        DelegationStyle.DELEGATED,
    )
