from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from deputize.core.delegation import ChainRules, bind
from deputize.core.identities import IdentityMap
from deputize.core.mandate import MAX_ACTOR_TEXT
from deputize.core.model import Assurance, Delegation, DelegationStyle, Kind, Peer, PeerSource
from deputize.core.profiles import IssuerProfile, KindRule
from deputize.core.reasons import Reason
from deputize.core.spiffe import parse_spiffe_id
from deputize.core.token import verify
from tests.harness.expect import refused
from tests.harness.issuer import nest_actors
from tests.harness.world import (
    AGENT,
    ISSUER_URL,
    NOW,
    OTHER_AGENT,
    PROFILE,
    bearer,
    make_identities,
    make_key_ring,
    make_mandate_rules,
    make_trusted_issuer,
    no_recall,
    shared_issuer,
)

THIRD_AGENT = "spiffe://partner.example/agents/writer"


def chain_rules(
    max_depth: int = 4, *, forbidden: Iterable[str] = (), required: Iterable[str] = ()
) -> ChainRules:
    return ChainRules(max_depth, frozenset(forbidden), frozenset(required))


RULES = chain_rules()


def bind_token(
    *,
    claims: Mapping[str, object] = {},
    omit: Sequence[str] = (),
    peer: str = AGENT,
    rules: ChainRules = RULES,
    stopped: Iterable[str] = (),
    profile: IssuerProfile = PROFILE,
    identities: IdentityMap | None = None,
) -> Delegation:
    issuer = shared_issuer()
    mandate_rules = make_mandate_rules(profile=profile, identities=identities)
    token = verify(
        bearer(issuer.issue(now=NOW, claims=claims, omit=omit)),
        {ISSUER_URL: make_trusted_issuer(rules=mandate_rules)},
        {ISSUER_URL: make_key_ring(issuer)},
        NOW,
        no_recall,
    )
    sender = Peer(parse_spiffe_id(peer), Assurance.CERTIFICATE_CHECKED, PeerSource.PRINCIPAL, "")
    return bind(token, sender, rules, frozenset(stopped))


def with_actor(
    act: object,
    *,
    peer: str = AGENT,
    rules: ChainRules = RULES,
    stopped: Iterable[str] = (),
    identities: IdentityMap | None = None,
) -> Delegation:
    return bind_token(
        claims={"act": act}, peer=peer, rules=rules, stopped=stopped, identities=identities
    )


def subjects(delegation: Delegation) -> list[str]:
    return [actor.subject for actor in delegation.chain]


def test_the_current_actor_is_the_peer() -> None:
    delegation = with_actor({"sub": AGENT})
    assert (delegation.principal.issuer, delegation.principal.subject) == (ISSUER_URL, "alice")
    assert delegation.agent.text == AGENT
    assert subjects(delegation) == [AGENT]
    assert delegation.scopes == {"orders:read"}
    assert delegation.style is DelegationStyle.DELEGATED


def test_the_chain_has_the_current_actor_first() -> None:
    delegation = with_actor(nest_actors(AGENT, OTHER_AGENT, "legacy-bot"))
    assert subjects(delegation) == [AGENT, OTHER_AGENT, "legacy-bot"]


def test_a_token_without_actor_is_no_mandate() -> None:
    with refused(Reason.DELEGATION_ABSENT):
        bind_token(omit=["act"])


def test_the_principal_is_not_its_own_agent() -> None:
    with refused(Reason.DELEGATION_ABSENT):
        bind_token(claims={"sub": AGENT, "act": {"sub": AGENT}})


@pytest.mark.parametrize("act", [None, "", AGENT, 1, True, [], [{"sub": AGENT}]])
def test_an_actor_is_an_object(act: object) -> None:
    with refused(Reason.DELEGATION_MALFORMED):
        with_actor(act)
    with refused(Reason.DELEGATION_MALFORMED):
        with_actor({"sub": AGENT, "act": act})


BAD_NAMES: list[object] = [
    None,
    "",
    1,
    True,
    [AGENT],
    {"sub": AGENT},
    "a\n",
    "a\x00",
    "a\u202e",
    "a" * (MAX_ACTOR_TEXT + 1),
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_an_actor_has_a_short_printable_name(name: object) -> None:
    with refused(Reason.DELEGATION_MALFORMED):
        with_actor({"sub": name})
    with refused(Reason.DELEGATION_MALFORMED):
        with_actor({"sub": AGENT, "iss": name})
    with refused(Reason.DELEGATION_MALFORMED):
        with_actor({"sub": AGENT, "act": {"sub": name}})


def test_an_actor_without_name() -> None:
    for act in ({}, {"iss": ISSUER_URL}, {"sub": AGENT, "act": {}}):
        with refused(Reason.DELEGATION_MALFORMED):
            with_actor(act)


@pytest.mark.parametrize(
    "name",
    [
        "research",
        "spiffe://td",
        "SPIFFE://td/a",
        f"{AGENT}/",
        f" {AGENT}",
        "https://td/a",
        "alice2",
    ],
)
def test_the_current_actor_has_a_spiffe_id(name: str) -> None:
    with refused(Reason.DELEGATION_ACTOR_UNMAPPED):
        with_actor({"sub": name})


@pytest.mark.parametrize(
    "name", [OTHER_AGENT, f"{AGENT}2", f"{AGENT}/x", AGENT[:-1], AGENT.replace("prod", "test")]
)
def test_a_token_for_another_agent_is_of_no_use(name: str) -> None:
    with refused(Reason.DELEGATION_ACTOR_MISMATCH):
        with_actor({"sub": name})


def test_an_earlier_actor_cannot_use_the_token() -> None:
    with refused(Reason.DELEGATION_ACTOR_MISMATCH):
        with_actor(nest_actors(OTHER_AGENT, AGENT))


def test_subject_and_client_are_no_actor() -> None:
    with refused(Reason.DELEGATION_ACTOR_MISMATCH):
        bind_token(claims={"sub": AGENT, "client_id": AGENT, "act": {"sub": OTHER_AGENT}})


@pytest.mark.parametrize("issuer", [ISSUER_URL, "spiffe://prod.example.org"])
def test_an_actor_is_named_by_its_trust_domain_or_the_issuer(issuer: str) -> None:
    assert with_actor({"sub": AGENT, "iss": issuer}).chain[0].issuer == issuer


@pytest.mark.parametrize(
    "issuer", ["https://other.example", f"{ISSUER_URL}/", "spiffe://test.example.org", AGENT]
)
def test_the_same_name_under_another_issuer_is_another_actor(issuer: str) -> None:
    with refused(Reason.DELEGATION_ACTOR_MISMATCH):
        with_actor({"sub": AGENT, "iss": issuer})


def test_an_earlier_actor_may_have_any_issuer() -> None:
    act = {"sub": AGENT, "act": {"sub": "legacy-bot", "iss": "https://other.example"}}
    assert with_actor(act).chain[1].issuer == "https://other.example"


@pytest.mark.parametrize("max_depth", [1, 2, 3, 4])
def test_a_chain_is_refused_when_too_deep(max_depth: int) -> None:
    actors = [AGENT, *(f"earlier-{number}" for number in range(max_depth))]
    rules = chain_rules(max_depth)
    assert len(with_actor(nest_actors(*actors[:-1]), rules=rules).chain) == max_depth
    with refused(Reason.DELEGATION_TOO_DEEP):
        with_actor(nest_actors(*actors), rules=rules)


@pytest.mark.parametrize(
    "actors",
    [
        [AGENT, AGENT],
        [AGENT, OTHER_AGENT, AGENT],
        [AGENT, OTHER_AGENT, OTHER_AGENT],
        [AGENT, OTHER_AGENT, THIRD_AGENT, OTHER_AGENT],
    ],
)
def test_no_actor_stands_twice(actors: list[str]) -> None:
    with refused(Reason.DELEGATION_CYCLE):
        with_actor(nest_actors(*actors))


def test_another_issuer_does_not_hide_a_cycle() -> None:
    act = {"sub": AGENT, "act": {"sub": AGENT, "iss": "https://other.example"}}
    with refused(Reason.DELEGATION_CYCLE):
        with_actor(act)


WIDER = {
    "scope": "orders:write admin",
    "aud": "everything",
    "exp": NOW * 2,
    "roles": ["admin"],
}


@pytest.mark.parametrize(
    "act", [{"sub": AGENT, **WIDER}, {"sub": AGENT, "act": {"sub": "b", **WIDER}}]
)
def test_what_else_stands_in_an_actor_is_not_read(act: dict[str, object]) -> None:
    plain = with_actor({"sub": AGENT})
    assert with_actor(act).scopes == plain.scopes
    assert with_actor(act).agent == plain.agent


def test_a_peer_of_another_trust_domain_needs_its_own_token() -> None:
    assert with_actor({"sub": THIRD_AGENT}, peer=THIRD_AGENT).agent.text == THIRD_AGENT
    with refused(Reason.DELEGATION_ACTOR_MISMATCH):
        with_actor({"sub": AGENT}, peer=THIRD_AGENT)


# Depth and members


def test_a_flawed_chain_that_is_too_deep_is_too_deep() -> None:
    for actors in ([AGENT, "b", "c", AGENT], ["unknown", "b", "c", "d"]):
        with refused(Reason.DELEGATION_TOO_DEEP):
            with_actor(nest_actors(*actors), rules=chain_rules(3))
    with refused(Reason.DELEGATION_CYCLE):
        with_actor(nest_actors(AGENT, "b", AGENT), rules=chain_rules(3))


NAMED = make_identities({"research-agent": AGENT, "planner-agent": OTHER_AGENT})
CHAIN = nest_actors("research-agent", "planner-agent", "legacy-bot")


@pytest.mark.parametrize(
    "name", ["research-agent", AGENT, "planner-agent", OTHER_AGENT, "legacy-bot"]
)
def test_a_forbidden_actor_spoils_the_chain_wherever_and_however_it_is_named(name: str) -> None:
    with_actor(CHAIN, identities=NAMED, rules=chain_rules(forbidden=["other", f"{name}x"]))
    with refused(Reason.DELEGATION_MEMBER_REFUSED):
        with_actor(CHAIN, identities=NAMED, rules=chain_rules(forbidden=["other", name]))


@pytest.mark.parametrize("name", [AGENT, OTHER_AGENT])
def test_so_does_an_agent_that_is_stopped(name: str) -> None:
    with_actor(CHAIN, identities=NAMED, stopped=[THIRD_AGENT])
    with refused(Reason.DELEGATION_MEMBER_REFUSED):
        with_actor(CHAIN, identities=NAMED, stopped=[name])


def test_required_actors_must_all_be_there() -> None:
    required = ["research-agent", OTHER_AGENT, "legacy-bot"]
    with_actor(CHAIN, identities=NAMED, rules=chain_rules(required=required))
    with refused(Reason.DELEGATION_MEMBER_REFUSED):
        with_actor(CHAIN, identities=NAMED, rules=chain_rules(required=[*required, THIRD_AGENT]))


def test_who_is_required_was_not_named_by_a_stranger() -> None:
    stranger = {"sub": "planner-agent", "iss": "https://stranger.example"}
    chain: dict[str, object] = {"sub": "research-agent", "act": stranger}
    for name in ("planner-agent", OTHER_AGENT):
        with refused(Reason.DELEGATION_MEMBER_REFUSED):
            with_actor(chain, identities=NAMED, rules=chain_rules(required=[name]))
        # To forbid, it is enough that somebody is called so.
        with refused(Reason.DELEGATION_MEMBER_REFUSED):
            with_actor(chain, identities=NAMED, rules=chain_rules(forbidden=[name]))


def test_a_stolen_token_is_told_before_the_members_of_its_chain() -> None:
    with refused(Reason.DELEGATION_ACTOR_MISMATCH):
        with_actor({"sub": OTHER_AGENT}, stopped=[OTHER_AGENT])


# What else may be wrong with a mandate


def test_a_person_is_no_agent() -> None:
    of_kinds = replace(
        PROFILE,
        actor_kind=(KindRule(("act", "sub_profile"), (("user", Kind.USER),), Kind.UNKNOWN),),
    )
    act = {"sub": AGENT, "sub_profile": "user"}
    bind_token(claims={"act": {**act, "sub_profile": "x"}}, profile=of_kinds)
    with refused(Reason.DELEGATION_ACTOR_NOT_AGENT):
        bind_token(claims={"act": act}, profile=of_kinds)


def test_the_style_goes_with_the_delegation() -> None:
    by_client = replace(
        PROFILE, actor=(("client_id",),), styles=frozenset({DelegationStyle.IMPERSONATED})
    )
    delegation = bind_token(omit=["act"], profile=by_client)
    assert delegation.style is DelegationStyle.IMPERSONATED
    assert delegation.agent.text == AGENT
    with refused(Reason.DELEGATION_MALFORMED):
        bind_token(profile=by_client)
    with refused(Reason.DELEGATION_ACTOR_MISMATCH):
        bind_token(claims={"client_id": OTHER_AGENT}, omit=["act"], profile=by_client)
