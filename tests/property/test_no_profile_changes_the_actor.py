from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from deputize.core.model import Delegation, DelegationStyle, Json, Kind
from deputize.core.profiles import IssuerProfile, KindRule
from deputize.core.verdict import Effect
from tests.harness.issuer_shapes import SHAPES, IssuerShape
from tests.harness.shaped_world import issuer_of, sign, trust_in
from tests.harness.world import (
    AGENT,
    NOW,
    OTHER_AGENT,
    PROFILE,
    decide_now,
    make_identities,
    make_mandate_rules,
    make_request,
    make_snapshot,
    make_trusted_issuer,
    shared_issuer,
)

LAW = settings(max_examples=400, deadline=None)
NAMES = {"research-agent": AGENT, "planner-agent": OTHER_AGENT}

outside = st.sampled_from([("client_id",), ("azp",), ("sub",), ("may_act", "sub")])
inside = st.sampled_from([("act", "sub"), ("act", "client_id"), ("act", "ext", "id")])
marks = st.sampled_from([("*", Kind.AGENT), ("user", Kind.USER), ("ai_agent", Kind.AGENT)])
kind_rules = st.lists(
    st.builds(
        lambda claim, mark, other: KindRule(claim, (mark,), other),
        st.sampled_from([("act", "sub_profile"), ("act", "client_id"), ("kind",)]),
        marks,
        st.sampled_from(Kind),
    ),
    max_size=2,
).map(tuple)


@st.composite
def profiles(draw: st.DrawFn) -> IssuerProfile:
    """Any profile a configuration could give, as far as it is about the actor."""
    paths = draw(st.lists(outside, max_size=2, unique=True))
    if not paths or draw(st.booleans()):
        paths.insert(draw(st.integers(0, len(paths))), draw(inside))
    return replace(
        PROFILE,
        principal_kind=draw(kind_rules),
        actor=tuple(paths),
        actor_kind=draw(kind_rules),
        actor_kinds=frozenset(Kind) - {Kind.USER},
        actor_issuers=draw(st.sets(st.sampled_from(["https://x.example", AGENT])).map(frozenset)),
        nameless_hops=draw(st.booleans()),
        styles=draw(st.sets(st.sampled_from(DelegationStyle), min_size=1).map(frozenset)),
    )


NO_ACTS: list[Json] = [None, "", AGENT, [], [{"sub": AGENT}], True, 1]
OTHERS: list[Json] = [OTHER_AGENT, "planner-agent", "", None, 1, [AGENT], {"sub": AGENT}]
WORDS: list[Json] = ["user", "ai_agent", {"id": OTHER_AGENT}]
members: st.SearchStrategy[dict[str, Json]] = st.dictionaries(
    st.sampled_from(["sub", "client_id", "iss", "sub_profile", "ext"]),
    st.sampled_from(OTHERS) | st.sampled_from(WORDS),
)
histories: st.SearchStrategy[Json] = st.sampled_from(
    [None, {}, {"sub": AGENT}, {"sub": AGENT, "act": {"sub": AGENT}}, AGENT]
)


@st.composite
def acts_of_others(draw: st.DrawFn) -> Json:
    """What may stand as `act`, with any name but that of our agent for the current actor."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(NO_ACTS))
    history = {"act": draw(histories)} if draw(st.booleans()) else {}
    return {**draw(members), **history}


def bound(claims: Mapping[str, object], profile: IssuerProfile) -> Delegation | None:
    rules = make_mandate_rules(profile=profile, identities=make_identities(NAMES))
    trusted = make_trusted_issuer(rules=rules)
    token = shared_issuer().issue(now=NOW, claims=claims)
    snapshot = make_snapshot(shared_issuer(), trusted=[trusted])
    decision = decide_now(make_request(token), snapshot)
    assert decision.reason.family != "system"
    return decision.proven.delegation


def test_a_token_whose_act_names_our_agent_is_ours() -> None:
    act: Json = {"sub": AGENT, "client_id": AGENT}
    assert bound({"act": act}, PROFILE) is not None
    for path in (("act", "client_id"), ("act", "sub")):
        assert bound({"act": act}, replace(PROFILE, actor=(("azp",), path))) is not None


@LAW
@given(acts_of_others(), profiles(), st.sampled_from(["alice", AGENT]))
def test_a_token_whose_act_names_another_is_never_ours(
    act: Json, profile: IssuerProfile, subject: str
) -> None:
    """Whatever else in it names our agent: client, subject, an earlier actor."""
    claims = {
        "act": act,
        "sub": subject,
        "client_id": AGENT,
        "azp": AGENT,
        "may_act": {"sub": AGENT},
        "kind": "ai_agent",
    }
    assert bound(claims, profile) is None


@LAW
@given(acts_of_others(), st.sampled_from(SHAPES))
def test_nor_under_the_profile_of_any_issuer(act: Json, shape: IssuerShape) -> None:
    token = sign(shape, shape.header, {**shape.claims, "act": act, "client_id": AGENT})
    trusted = trust_in(shape)
    rules = trusted.mandate_rules._replace(
        identities=make_identities({**shape.exact, **NAMES}, shape.templates)
    )
    snapshot = make_snapshot(issuer_of(shape), trusted=[replace(trusted, mandate_rules=rules)])
    decision = decide_now(make_request(token), snapshot)
    assert decision.effect is Effect.DENY
    assert decision.proven.delegation is None
