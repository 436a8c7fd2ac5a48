from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from deputize.core.claims import ClaimPath
from deputize.core.identities import IdentityMap
from deputize.core.mandate import MAX_ACTOR_TEXT, read_mandate
from deputize.core.model import (
    Actor,
    DelegationStyle,
    Flaw,
    FlawedMandate,
    Json,
    Kind,
    Mandate,
)
from deputize.core.profiles import IssuerProfile, KindRule
from tests.harness.world import (
    AGENT,
    ISSUER_URL,
    OTHER_AGENT,
    PROFILE,
    TRUST_DOMAIN,
    make_identities,
    make_mandate_rules,
)

THIRD_AGENT = "spiffe://partner.example/agents/writer"
FOREIGN = "https://other.example"
CLUSTER = "https://kubernetes.default.svc.cluster.local"
NAMED = make_identities({"research-agent": AGENT, "planner-agent": OTHER_AGENT})

PLAIN_ACTOR: ClaimPath = ("act", "sub")
CLIENT: ClaimPath = ("azp",)
ACTOR_PROFILE = KindRule(
    ("act", "sub_profile"),
    (("user", Kind.USER), ("ai_agent", Kind.AGENT), ("service", Kind.SERVICE)),
    Kind.UNKNOWN,
)
CLIENT_MARK = KindRule(("facets",), (("11", Kind.AGENT), ("user", Kind.USER)), Kind.UNKNOWN)
EVERY_STYLE = frozenset(DelegationStyle)
BY_CLIENT = replace(PROFILE, actor=(CLIENT,), styles=EVERY_STYLE)
BY_BOTH = replace(PROFILE, actor=(PLAIN_ACTOR, CLIENT), styles=EVERY_STYLE)


def read(
    claims: Mapping[str, Json],
    *,
    kind: Kind = Kind.UNKNOWN,
    profile: IssuerProfile = PROFILE,
    identities: IdentityMap | None = None,
    agent_domains: Iterable[str] | None = None,
) -> Mandate | FlawedMandate:
    told: dict[str, Json] = {"iss": ISSUER_URL, "sub": "alice", **claims}
    rules = make_mandate_rules(profile=profile, identities=identities, agent_domains=agent_domains)
    return read_mandate(told, str(told["sub"]), kind, rules)


def good(
    claims: Mapping[str, Json],
    *,
    kind: Kind = Kind.UNKNOWN,
    profile: IssuerProfile = PROFILE,
    identities: IdentityMap | None = None,
    agent_domains: Iterable[str] | None = None,
) -> Mandate:
    found = read(
        claims, kind=kind, profile=profile, identities=identities, agent_domains=agent_domains
    )
    assert isinstance(found, Mandate), found
    return found


def flawed(
    claims: Mapping[str, Json],
    *,
    kind: Kind = Kind.UNKNOWN,
    profile: IssuerProfile = PROFILE,
    identities: IdentityMap | None = None,
    agent_domains: Iterable[str] | None = None,
) -> tuple[Flaw, int]:
    """The flaw and the depth at which it was seen."""
    found = read(
        claims, kind=kind, profile=profile, identities=identities, agent_domains=agent_domains
    )
    assert isinstance(found, FlawedMandate), found
    assert found.detail
    return found.flaw, found.depth


def act(*hops: Json) -> dict[str, Json]:
    """An `act` claim of these hops, the current actor first; a text is a `sub`."""
    claims: dict[str, Json] = {}
    for hop in reversed(hops):
        claims = {"act": {**(hop if isinstance(hop, dict) else {"sub": hop}), **claims}}
    return claims


# The chain


def test_the_current_actor_is_the_outermost() -> None:
    mandate = good(act(AGENT, OTHER_AGENT, "legacy-bot"))
    assert mandate.agent.text == AGENT
    assert mandate.chain == (
        Actor(AGENT, "", Kind.UNKNOWN),
        Actor(OTHER_AGENT, "", Kind.UNKNOWN),
        Actor("legacy-bot", "", Kind.UNKNOWN),
    )
    assert mandate.style is DelegationStyle.DELEGATED


def test_the_names_are_those_of_every_hop_and_their_ids() -> None:
    mandate = good(act("research-agent", "planner-agent", "legacy-bot"), identities=NAMED)
    assert mandate.names == {
        *("research-agent", AGENT),
        *("planner-agent", OTHER_AGENT),
        "legacy-bot",
    }


def test_what_is_no_identity_is_not_read() -> None:
    wider: dict[str, Json] = {"scope": "admin", "aud": "x", "exp": 1, "may_act": {"sub": "x"}}
    mandate = good(act({"sub": AGENT, **wider}, {"sub": "b", **wider}))
    assert mandate == good(act(AGENT, "b"))


def test_without_act_and_client_there_is_no_mandate() -> None:
    assert flawed({}) == (Flaw.ABSENT, 0)
    assert flawed({"azp": AGENT}) == (Flaw.ABSENT, 0)
    assert flawed({"may_act": {"sub": AGENT}}) == (Flaw.ABSENT, 0)


@pytest.mark.parametrize("value", [None, "", AGENT, 1, True, [], [{"sub": AGENT}]])
def test_an_actor_is_an_object(value: Json) -> None:
    assert flawed({"act": value}) == (Flaw.MALFORMED, 1)
    assert flawed({"act": {"sub": AGENT, "act": value}}) == (Flaw.MALFORMED, 2)
    assert flawed({"act": value, "azp": AGENT}, profile=BY_BOTH) == (Flaw.MALFORMED, 1)


@pytest.mark.parametrize("value", [None, {}, {"sub": OTHER_AGENT}, {"sub": AGENT}])
def test_an_act_that_the_profile_does_not_read_is_a_flaw(value: Json) -> None:
    assert flawed({"act": value, "azp": AGENT}, profile=BY_CLIENT) == (Flaw.MALFORMED, 0)


BAD_NAMES: list[Json] = [
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
def test_a_name_is_short_and_printable(name: Json) -> None:
    assert flawed(act({"sub": name})) == (Flaw.MALFORMED, 1)
    assert flawed(act({"sub": AGENT, "iss": name})) == (Flaw.MALFORMED, 1)
    assert flawed(act(AGENT, {"sub": name})) == (Flaw.MALFORMED, 2)
    assert flawed(act(AGENT, {"sub": "b", "iss": name})) == (Flaw.MALFORMED, 2)


@pytest.mark.parametrize("name", BAD_NAMES[1:])
def test_the_name_of_a_client_is_short_and_printable(name: Json) -> None:
    assert flawed({"azp": name}, profile=BY_CLIENT) == (Flaw.MALFORMED, 1)


def test_the_longest_name() -> None:
    assert good(act(AGENT, "a" * MAX_ACTOR_TEXT)).chain[1].subject == "a" * MAX_ACTOR_TEXT


@pytest.mark.parametrize("value", [None, "", "ai_agent", {}])
def test_a_client_profile_inside_act_is_a_flaw(value: Json) -> None:
    assert flawed(act({"sub": AGENT, "client_profile": value})) == (Flaw.MALFORMED, 1)
    assert flawed(act(AGENT, {"sub": "b", "client_profile": value})) == (Flaw.MALFORMED, 2)
    assert good({**act(AGENT), "client_profile": value}).agent.text == AGENT


def test_the_depth_is_that_of_the_whole_chain() -> None:
    assert flawed(act("unknown", "b", "c")) == (Flaw.ACTOR_UNMAPPED, 3)
    assert len(good(act(AGENT, *(f"hop-{number}" for number in range(11)))).chain) == 12


# Where the profile finds the actor

BY_ACT_CLIENT = replace(PROFILE, actor=(("act", "client_id"),))


def test_the_profile_says_which_member_names_the_actor() -> None:
    hop: dict[str, Json] = {"sub": "b21e7c10", "client_id": AGENT}
    assert good(act(hop), profile=BY_ACT_CLIENT).agent.text == AGENT
    assert flawed(act(hop)) == (Flaw.ACTOR_UNMAPPED, 1)


def test_the_current_actor_has_the_member_of_the_profile() -> None:
    assert flawed(act({"sub": AGENT}), profile=BY_ACT_CLIENT) == (Flaw.MALFORMED, 1)
    nameless = replace(BY_ACT_CLIENT, nameless_hops=True)
    assert flawed(act({"sub": AGENT}), profile=nameless) == (Flaw.MALFORMED, 1)
    assert flawed(act({}), profile=nameless) == (Flaw.MALFORMED, 1)


def test_an_earlier_actor_may_be_named_by_sub_instead() -> None:
    hops: list[Json] = [{"client_id": AGENT}, {"sub": "b"}, {"sub": "x", "client_id": "c"}]
    names = [hop.subject for hop in good(act(*hops), profile=BY_ACT_CLIENT).chain]
    assert names == [AGENT, "b", "c"]


def test_an_earlier_actor_needs_a_name_unless_the_profile_says_otherwise() -> None:
    hops = act(AGENT, {"iss": FOREIGN}, {}, "b")
    assert flawed(hops) == (Flaw.MALFORMED, 2)
    mandate = good(hops, profile=replace(PROFILE, nameless_hops=True))
    assert [(hop.subject, hop.issuer) for hop in mandate.chain] == [
        (AGENT, ""),
        ("", FOREIGN),
        ("", ""),
        ("b", ""),
    ]
    assert mandate.names == {AGENT, "b"}


@pytest.mark.parametrize("name", ["", 1, {}, []])
def test_a_bad_name_is_not_taken_for_none(name: Json) -> None:
    profile = replace(PROFILE, nameless_hops=True)
    assert flawed(act(AGENT, {"sub": name}), profile=profile) == (Flaw.MALFORMED, 2)


def test_an_act_counts_whatever_else_could_name_an_actor() -> None:
    claims = {**act(OTHER_AGENT), "azp": AGENT}
    for actor in ((PLAIN_ACTOR, CLIENT), (CLIENT, PLAIN_ACTOR)):
        assert good(claims, profile=replace(BY_BOTH, actor=actor)).agent.text == OTHER_AGENT


def test_the_first_claim_that_is_there_names_the_client() -> None:
    profile = replace(BY_CLIENT, actor=(("azp",), ("cid",), ("app", "id")))
    assert good({"azp": AGENT, "cid": OTHER_AGENT}, profile=profile).agent.text == AGENT
    assert good({"azp": None, "cid": OTHER_AGENT}, profile=profile).agent.text == OTHER_AGENT
    assert good({"app": {"id": AGENT}}, profile=profile).agent.text == AGENT
    assert flawed({"app": AGENT}, profile=profile) == (Flaw.ABSENT, 0)


# Styles


def style(claims: Mapping[str, Json], profile: IssuerProfile, kind: Kind) -> DelegationStyle:
    return good(claims, profile=replace(profile, styles=EVERY_STYLE), kind=kind).style


@pytest.mark.parametrize(
    ("claims", "kind", "expected"),
    [
        (act(AGENT), Kind.UNKNOWN, DelegationStyle.DELEGATED),
        (act(AGENT), Kind.USER, DelegationStyle.DELEGATED),
        (act(AGENT), Kind.AGENT, DelegationStyle.AUTONOMOUS),
        (act(AGENT), Kind.SERVICE, DelegationStyle.AUTONOMOUS),
        ({"azp": AGENT}, Kind.UNKNOWN, DelegationStyle.IMPERSONATED),
        ({"azp": AGENT}, Kind.USER, DelegationStyle.IMPERSONATED),
        ({"azp": AGENT}, Kind.AGENT, DelegationStyle.AUTONOMOUS),
        ({"azp": AGENT}, Kind.SERVICE, DelegationStyle.AUTONOMOUS),
        ({"azp": AGENT, "sub": AGENT}, Kind.UNKNOWN, DelegationStyle.AUTONOMOUS),
        ({"azp": AGENT, "facets": "3 11"}, Kind.USER, DelegationStyle.DELEGATED),
        ({"azp": AGENT, "facets": "3 9"}, Kind.USER, DelegationStyle.IMPERSONATED),
        ({"azp": AGENT, "facets": "11"}, Kind.SERVICE, DelegationStyle.AUTONOMOUS),
        ({"azp": AGENT, "facets": "11", "sub": AGENT}, Kind.USER, DelegationStyle.AUTONOMOUS),
    ],
)
def test_the_style_says_how_the_token_speaks_of_its_agent(
    claims: Mapping[str, Json], kind: Kind, expected: DelegationStyle
) -> None:
    profile = replace(BY_BOTH, actor_kind=(CLIENT_MARK,))
    assert style(claims, profile, kind) is expected
    for one in DelegationStyle:
        only = replace(profile, styles=frozenset({one}))
        if one is expected:
            assert good(claims, profile=only, kind=kind).style is one
        else:
            assert flawed(claims, profile=only, kind=kind) == (Flaw.ABSENT, 1)


def read_joined(claims: Mapping[str, Json], styles: Iterable[DelegationStyle]) -> object:
    """What a token says whose principal is named by more than `sub`."""
    profile = replace(BY_BOTH, styles=frozenset(styles))
    rules = make_mandate_rules(profile=profile, identities=NAMED)
    return read_mandate({"sub": AGENT, **claims}, f"idp#{AGENT}", Kind.UNKNOWN, rules)


@pytest.mark.parametrize(
    "claims", [{"azp": AGENT}, {"azp": "research-agent"}, act(AGENT), act("research-agent")]
)
def test_an_agent_that_is_the_subject_has_no_principal_behind_it(
    claims: Mapping[str, Json],
) -> None:
    found = read_joined(claims, EVERY_STYLE - {DelegationStyle.AUTONOMOUS})
    assert isinstance(found, FlawedMandate)
    assert found.flaw is Flaw.ABSENT


def test_a_client_that_is_the_subject_is_autonomous() -> None:
    found = read_joined({"azp": AGENT}, EVERY_STYLE)
    assert isinstance(found, Mandate)
    assert found.style is DelegationStyle.AUTONOMOUS


@pytest.mark.parametrize("subject", [None, 1, [], [AGENT], {}, {"a": AGENT}])
def test_a_sub_that_the_profile_does_not_read_may_be_anything(subject: Json) -> None:
    rules = make_mandate_rules(profile=BY_BOTH)
    for claims in ({"sub": subject, "azp": AGENT}, {"sub": subject, **act(AGENT)}):
        assert isinstance(read_mandate(claims, "alice", Kind.USER, rules), Mandate)


# Kinds of actors

OF_KINDS = replace(PROFILE, actor_kind=(ACTOR_PROFILE,))


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("ai_agent", Kind.AGENT),
        ("service", Kind.SERVICE),
        ("x", Kind.UNKNOWN),
        (None, Kind.UNKNOWN),
    ],
)
def test_an_actor_may_have_the_kinds_of_the_profile(word: Json, kind: Kind) -> None:
    claims = act({"sub": AGENT, "sub_profile": word})
    assert good(claims, profile=OF_KINDS).chain[0].kind is kind
    for allowed in (Kind.AGENT, Kind.SERVICE, Kind.UNKNOWN):
        profile = replace(OF_KINDS, actor_kinds=frozenset({allowed}))
        if allowed is kind:
            assert good(claims, profile=profile).agent.text == AGENT
        else:
            assert flawed(claims, profile=profile) == (Flaw.ACTOR_NOT_AGENT, 1)


@pytest.mark.parametrize("word", ["user", "user ai_agent", ["ai_agent", "user"]])
def test_a_person_is_no_agent(word: Json) -> None:
    claims = act({"sub": AGENT, "sub_profile": word})
    assert flawed(claims, profile=OF_KINDS) == (Flaw.ACTOR_NOT_AGENT, 1)


def test_the_kind_is_asked_for_before_the_name() -> None:
    """A person has another name than an agent, where the issuer names agents in their own claim."""
    mark = KindRule(("act", "client_id"), (("*", Kind.AGENT),), Kind.UNKNOWN)
    profile = replace(BY_ACT_CLIENT, actor_kind=(mark,), actor_kinds=frozenset({Kind.AGENT}))
    assert good(act({"sub": "x", "client_id": AGENT}), profile=profile).agent.text == AGENT
    assert flawed(act({"sub": "admin"}), profile=profile) == (Flaw.ACTOR_NOT_AGENT, 1)


def test_an_earlier_actor_may_be_a_person() -> None:
    hops = act({"sub": AGENT, "sub_profile": "ai_agent"}, {"sub": "bob", "sub_profile": "user"})
    profile = replace(OF_KINDS, actor_kinds=frozenset({Kind.AGENT}))
    assert [hop.kind for hop in good(hops, profile=profile).chain] == [Kind.AGENT, Kind.USER]


def test_a_client_has_the_kind_its_token_says() -> None:
    profile = replace(BY_CLIENT, actor_kind=(CLIENT_MARK,), actor_kinds=frozenset({Kind.AGENT}))
    claims: dict[str, Json] = {"azp": AGENT, "facets": "9 11"}
    assert good(claims, profile=profile).chain[0].kind is Kind.AGENT
    assert flawed({**claims, "facets": "9"}, profile=profile) == (Flaw.ACTOR_NOT_AGENT, 1)
    assert flawed({**claims, "facets": "user 11"}, profile=profile) == (Flaw.ACTOR_NOT_AGENT, 1)


# Who the agent is


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
def test_an_agent_has_a_spiffe_id(name: str) -> None:
    assert flawed(act(name)) == (Flaw.ACTOR_UNMAPPED, 1)
    assert flawed({"azp": name}, profile=BY_CLIENT) == (Flaw.ACTOR_UNMAPPED, 1)


def test_an_agent_may_be_known_by_another_name() -> None:
    mandate = good(act("research-agent"), identities=NAMED)
    assert mandate.agent.text == AGENT
    assert mandate.chain[0].subject == "research-agent"


def test_an_issuer_may_name_agents_of_its_domains_only() -> None:
    for domains in (None, [TRUST_DOMAIN], ["partner.example", TRUST_DOMAIN]):
        assert good(act(AGENT), agent_domains=domains).agent.text == AGENT
    for domains in ([], ["partner.example"], [f"x.{TRUST_DOMAIN}"]):
        assert flawed(act(AGENT), agent_domains=domains) == (Flaw.ACTOR_UNMAPPED, 1)
    mapped = make_identities({"writer": THIRD_AGENT})
    assert flawed(act("writer"), identities=mapped, agent_domains=[TRUST_DOMAIN]) == (
        Flaw.ACTOR_UNMAPPED,
        1,
    )


def test_an_earlier_actor_may_be_of_any_domain() -> None:
    assert len(good(act(AGENT, THIRD_AGENT), agent_domains=[TRUST_DOMAIN]).chain) == 2


@pytest.mark.parametrize("subject", ["research-agent", AGENT])
def test_the_principal_is_not_its_own_agent(subject: str) -> None:
    claims = {"sub": subject, **act("research-agent")}
    assert flawed(claims, identities=NAMED) == (Flaw.ABSENT, 1)
    for kind in (Kind.USER, Kind.UNKNOWN):
        assert flawed({"sub": AGENT, **act(AGENT)}, kind=kind) == (Flaw.ABSENT, 1)


def test_the_principal_is_not_its_own_agent_under_its_other_name() -> None:
    claims = {"sub": "research-agent", **act(AGENT)}
    assert flawed(claims, identities=NAMED) == (Flaw.ABSENT, 1)


def test_a_client_is_not_the_agent_of_itself_under_its_other_name() -> None:
    claims: dict[str, Json] = {"sub": AGENT, "azp": "research-agent"}
    assert flawed(claims, profile=BY_CLIENT, identities=NAMED) == (Flaw.ABSENT, 1)


def test_an_agent_may_act_for_itself_where_that_is_allowed() -> None:
    claims = {"sub": AGENT, **act(AGENT)}
    profile = replace(PROFILE, styles=frozenset({DelegationStyle.AUTONOMOUS}))
    assert good(claims, profile=profile, kind=Kind.AGENT).style is DelegationStyle.AUTONOMOUS


# Who named it


@pytest.mark.parametrize("issuer", [ISSUER_URL, f"spiffe://{TRUST_DOMAIN}"])
def test_an_agent_is_named_by_the_issuer_or_its_trust_domain(issuer: str) -> None:
    assert good(act({"sub": AGENT, "iss": issuer})).chain[0].issuer == issuer
    named = good(act({"sub": "research-agent", "iss": issuer}), identities=NAMED)
    assert named.agent.text == AGENT


@pytest.mark.parametrize(
    "issuer", [FOREIGN, f"{ISSUER_URL}/", "spiffe://test.example.org", AGENT, CLUSTER, TRUST_DOMAIN]
)
def test_a_name_of_another_namespace_is_of_another_actor(issuer: str) -> None:
    hop: dict[str, Json] = {"sub": AGENT, "iss": issuer}
    assert flawed(act(hop)) == (Flaw.ACTOR_MISMATCH, 1)
    listed = replace(PROFILE, actor_issuers=frozenset({issuer}))
    assert good(act(hop), profile=listed).agent.text == AGENT


def test_an_earlier_actor_may_have_been_named_by_anybody() -> None:
    assert good(act(AGENT, {"sub": "b", "iss": FOREIGN})).chain[1].issuer == FOREIGN


# Cycles


@pytest.mark.parametrize(
    "hops",
    [
        [AGENT, AGENT],
        [AGENT, OTHER_AGENT, AGENT],
        [AGENT, OTHER_AGENT, OTHER_AGENT],
        [AGENT, OTHER_AGENT, THIRD_AGENT, OTHER_AGENT],
        [AGENT, "bot", "bot"],
        [AGENT, {"sub": "bot", "iss": FOREIGN}, {"sub": "bot", "iss": FOREIGN}],
    ],
)
def test_no_actor_stands_twice(hops: list[Json]) -> None:
    assert flawed(act(*hops)) == (Flaw.CYCLE, len(hops))


def test_two_names_of_one_agent_are_one_actor() -> None:
    for hops in (["research-agent", AGENT], ["planner-agent", "research-agent", OTHER_AGENT]):
        assert flawed(act(*hops), identities=NAMED) == (Flaw.CYCLE, len(hops))


def test_another_namer_does_not_hide_a_cycle() -> None:
    assert flawed(act(AGENT, {"sub": AGENT, "iss": FOREIGN})) == (Flaw.CYCLE, 2)
    assert flawed(act(AGENT, "bot", {"sub": "bot", "iss": ISSUER_URL})) == (Flaw.CYCLE, 3)


def test_the_same_name_of_two_namers_is_two_actors() -> None:
    hops = act(AGENT, "bot", {"sub": "bot", "iss": FOREIGN}, {"sub": "bot", "iss": CLUSTER})
    assert len(good(hops).chain) == 4


def test_hops_without_names_are_no_cycle() -> None:
    profile = replace(PROFILE, nameless_hops=True)
    assert len(good(act(AGENT, {}, {}), profile=profile).chain) == 3
