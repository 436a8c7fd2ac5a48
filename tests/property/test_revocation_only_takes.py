from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from deputize.core.delegation import ChainRules
from deputize.core.revocation import NOTHING_REVOKED, Revocations, merge
from deputize.core.snapshot import Snapshot
from deputize.core.verdict import Effect
from tests.harness.strategies import LAW
from tests.harness.world import (
    AGENT,
    ISSUER_URL,
    NOW,
    OTHER_AGENT,
    decide_now,
    make_request,
    make_snapshot,
    shared_issuer,
)

issuers = st.sampled_from([ISSUER_URL, "https://other.example"])
subjects = st.sampled_from(["alice", "bob"])
token_ids = st.sampled_from(["token-1", "token-2", ""])
agents = st.sampled_from([AGENT, OTHER_AGENT, "legacy-bot"])
moments = st.sampled_from([NOW - 1, NOW, NOW + 1])
entries = st.one_of(
    st.builds(lambda *key: replace(NOTHING_REVOKED, tokens=frozenset({key})), issuers, token_ids),
    st.builds(
        lambda *key: replace(NOTHING_REVOKED, principals=frozenset({key})), issuers, subjects
    ),
    st.builds(lambda name: replace(NOTHING_REVOKED, agents=frozenset({name})), agents),
    st.builds(lambda name: replace(NOTHING_REVOKED, issuers=frozenset({name})), issuers),
    st.builds(
        lambda name, at: replace(NOTHING_REVOKED, issuer_cutoffs={name: at}), issuers, moments
    ),
    st.builds(
        lambda issuer, subject, at: replace(
            NOTHING_REVOKED, principal_cutoffs={(issuer, subject): at}
        ),
        issuers,
        subjects,
        moments,
    ),
    st.builds(lambda name, at: replace(NOTHING_REVOKED, agent_cutoffs={name: at}), agents, moments),
    st.builds(lambda at: replace(NOTHING_REVOKED, usable_until=at), moments),
)
lists = st.lists(entries, max_size=3)
chains = st.lists(st.sampled_from([OTHER_AGENT, "legacy-bot"]), max_size=2, unique=True)
tokens = st.builds(
    lambda subject, chain, token_id: shared_issuer().issue(
        now=NOW, subject=subject, chain=chain, claims={"jti": token_id}
    ),
    subjects,
    chains,
    st.sampled_from(["token-1", "token-2"]),
)
WORLD = make_snapshot(shared_issuer())


def effect(token: str, snapshot: Snapshot) -> Effect:
    return decide_now(make_request(token), snapshot).effect


def under(revocations: Revocations) -> Snapshot:
    return replace(WORLD, revocations=revocations)


@LAW
@given(tokens, lists, entries)
def test_one_more_entry_never_allows_more(
    token: str, listed: list[Revocations], entry: Revocations
) -> None:
    before, after = under(merge(listed)), under(merge([*listed, entry]))
    if effect(token, before) is Effect.DENY:
        assert effect(token, after) is Effect.DENY


@LAW
@given(tokens, lists)
def test_a_call_is_refused_when_any_list_refuses_it(token: str, listed: list[Revocations]) -> None:
    each = [effect(token, under(entry)) for entry in listed]
    together = effect(token, under(merge(listed)))
    assert (together is Effect.DENY) == (Effect.DENY in each)


@LAW
@given(tokens, st.sets(agents), st.sets(agents), agents)
def test_one_more_forbidden_or_required_actor_never_allows_more(
    token: str, forbidden: set[str], required: set[str], one_more: str
) -> None:
    def by(*, forbid: set[str], require: set[str]) -> Effect:
        rules = ChainRules(4, frozenset(forbid), frozenset(require))
        return effect(token, replace(WORLD, chain_rules=rules))

    if by(forbid=forbidden, require=required) is Effect.DENY:
        assert by(forbid=forbidden | {one_more}, require=required) is Effect.DENY
        assert by(forbid=forbidden, require=required | {one_more}) is Effect.DENY
