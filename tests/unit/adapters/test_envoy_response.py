from __future__ import annotations

import json
import string
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from urllib.parse import unquote

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from deputize.adapters.envoy_response import (
    LAST_RESORT,
    MAX_FACTS_BYTES,
    Answers,
    ObligationError,
    UpstreamRules,
)
from deputize.adapters.presentation import PRESENTATIONS
from deputize.core.decide import mark, overrule
from deputize.core.model import AccessRequest, Actor, Kind, RuleRef, Scope, UpstreamFact
from deputize.core.reasons import Reason
from deputize.core.verdict import Decision, Denial, Permit
from tests.harness.check_message import read_answer
from tests.harness.issuer import nest_actors
from tests.harness.rulings import mcp_call
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

PREFIX = "x-deputize-"
DEFAULT = UpstreamRules(PREFIX, "authorization", False, "", ())  # noqa: FBT003
OVERWRITE = 2
TOKEN = shared_issuer().issue(now=NOW)
REASONS = sorted(set(Reason) - {Reason.POLICY_ALLOWED})


def permit(
    *,
    subject: str = "alice",
    token_id: str = "t-1",
    chain: Sequence[str] = (AGENT,),
    scopes: Collection[str] = ("orders:read",),
    facts: Collection[UpstreamFact] = tuple(UpstreamFact),
) -> Decision:
    """An allow about which everything that reaches the upstream can be chosen."""
    token = shared_issuer().issue(now=NOW, claims={"act": nest_actors(AGENT)})
    decision = decide_now(make_request(token), make_snapshot(shared_issuer()))
    verdict = decision.verdict
    assert isinstance(verdict, Permit)
    principal = verdict.delegation.principal._replace(subject=subject)
    actors = tuple(Actor(name, "", Kind.UNKNOWN) for name in chain)
    return decision._replace(
        verdict=replace(
            verdict,
            token=replace(verdict.token, token_id=token_id, principal=principal),
            delegation=verdict.delegation._replace(principal=principal, chain=actors),
            grant=verdict.grant._replace(
                scopes=frozenset(Scope(scope) for scope in scopes),
                upstream_facts=tuple(facts),
            ),
        ),
    )


def denial(reason: Reason, needed: Collection[str] = ()) -> Decision:
    scopes = frozenset(Scope(scope) for scope in needed)
    return overrule(permit(), Denial(reason=reason, detail="a secret detail", needed_scopes=scopes))


def answer(
    decision: Decision,
    request: AccessRequest | None = None,
    rules: UpstreamRules = DEFAULT,
) -> CheckResponse:
    octets = Answers(rules).to_response(request or make_request(TOKEN), decision)
    return read_answer(octets).response


def given_headers(response: CheckResponse) -> dict[str, str]:
    headers = [option.header for option in response.ok_response.headers]
    assert len({header.key for header in headers}) == len(headers)
    return {header.key: header.value for header in headers}


def removed(response: CheckResponse) -> list[str]:
    return list(response.ok_response.headers_to_remove)


def denied_headers(response: CheckResponse) -> dict[str, str]:
    return {option.header.key: option.header.value for option in response.denied_response.headers}


def inbound(headers: Mapping[str, str] = MappingProxyType({})) -> AccessRequest:
    return make_request(TOKEN, headers=headers)


# --- laws over random requests and decisions

texts = st.text(st.characters(codec="utf-8"), max_size=60)
separators = st.sampled_from([*"-_.~!#$&'*+^`|: ", "\u00fc"])
look_alikes = st.builds(
    lambda first, second, rest: f"x{first}deputize{second}{rest}",
    separators,
    separators,
    st.text(string.ascii_lowercase + string.digits + "-_.", max_size=12),
)
names = st.one_of(
    look_alikes,
    st.sampled_from([PREFIX + fact.value for fact in UpstreamFact]),
    st.text(string.ascii_lowercase + string.digits + "-_:.", min_size=1, max_size=20),
)
requests = st.builds(inbound, st.dictionaries(names, texts, max_size=6))
permits = st.builds(
    permit,
    subject=texts.filter(bool),
    token_id=texts.filter(bool),
    chain=st.lists(texts.filter(bool), min_size=1, max_size=4),
    scopes=st.lists(st.text("!#ab:,[]~", min_size=1, max_size=8), max_size=4),
    facts=st.sets(st.sampled_from(UpstreamFact)).map(sorted),
)
denials = st.builds(
    denial,
    st.sampled_from(REASONS),
    st.lists(st.text("!#ab:,[]~", min_size=1, max_size=8), max_size=4),
)
rules = st.builds(
    UpstreamRules,
    header_prefix=st.sampled_from([PREFIX, "x-a-", "x-very-long-name-of-an-organisation-"]),
    token_header=st.sampled_from(["authorization"]),
    keep_token=st.booleans(),
    forward_header=st.sampled_from(["", "x-token"]),
    remove_headers=st.lists(names, max_size=3).map(tuple),
)


@given(st.one_of(permits, denials), requests, rules)
def test_a_call_passes_exactly_with_a_permit(
    decision: Decision, request: AccessRequest, upstream: UpstreamRules
) -> None:
    verdict = read_answer(Answers(upstream).to_response(request, decision))
    assert verdict.allowed == isinstance(decision.verdict, Permit)
    assert verdict.reason == decision.reason


@given(permits, requests, rules)
def test_a_name_is_never_both_set_and_removed(
    decision: Decision, request: AccessRequest, upstream: UpstreamRules
) -> None:
    response = answer(decision, request, upstream)
    assert set(given_headers(response)).isdisjoint(removed(response))
    assert len(set(removed(response))) == len(removed(response))


@given(st.one_of(permits, denials), requests, rules)
def test_every_value_is_printable_ascii_and_overwrites(
    decision: Decision, request: AccessRequest, upstream: UpstreamRules
) -> None:
    response = answer(decision, request, upstream)
    for option in (*response.ok_response.headers, *response.denied_response.headers):
        assert option.header.value.isascii()
        assert option.header.value.isprintable()
        assert option.header.value
        assert option.append_action == OVERWRITE


@given(permits, requests, rules)
def test_no_inbound_look_alike_survives(
    decision: Decision, request: AccessRequest, upstream: UpstreamRules
) -> None:
    def folded(name: str) -> str:
        return "".join(
            char if char in string.ascii_lowercase + string.digits else "-" for char in name
        )

    response = answer(decision, request, upstream)
    handled = {*given_headers(response), *removed(response)}
    for name in request.headers:
        if folded(name).startswith(upstream.header_prefix):
            assert name in handled


@given(permits, requests)
def test_our_own_names_are_all_set_or_removed_whatever_the_proxy_showed(
    decision: Decision, request: AccessRequest
) -> None:
    response = answer(decision, request)
    assert {PREFIX + fact for fact in UpstreamFact} <= {
        *given_headers(response),
        *removed(response),
    }


@given(texts.filter(bool))
def test_a_principal_is_encoded_without_loss(subject: str) -> None:
    facts = given_headers(answer(permit(subject=subject, facts=[UpstreamFact.PRINCIPAL])))
    assert unquote(facts[PREFIX + "principal"], errors="strict") == subject


# --- what the upstream is told


def test_the_upstream_is_told_every_fact_it_was_promised() -> None:
    decision = permit(chain=[AGENT, OTHER_AGENT], scopes=["b", "a"])
    assert given_headers(answer(decision)) == {
        "x-deputize-principal": "alice",
        "x-deputize-issuer": ISSUER_URL,
        "x-deputize-agent": AGENT,
        "x-deputize-chain": f"{AGENT},{OTHER_AGENT}",
        "x-deputize-scopes": "a b",
        "x-deputize-token-id": "t-1",
        "x-deputize-rule": "orders/read",
        "x-deputize-decision-id": "decision-1",
    }


def test_a_fact_that_was_not_promised_is_removed() -> None:
    response = answer(permit(facts=[UpstreamFact.AGENT]))
    assert set(given_headers(response)) == {"x-deputize-agent"}
    assert {"x-deputize-principal", "x-deputize-chain"} <= set(removed(response))


def test_an_empty_fact_is_removed_because_some_proxies_ignore_empty_values() -> None:
    response = answer(permit(scopes=[], facts=[UpstreamFact.SCOPES]))
    assert given_headers(response) == {}
    assert "x-deputize-scopes" in removed(response)


@pytest.mark.parametrize(
    ("subject", "written"),
    [
        ("alice@example.org", "alice@example.org"),
        ("Jürgen", "J%C3%BCrgen"),
        ("a b", "a%20b"),
        ("100%", "100%25"),
        ("a%20b", "a%2520b"),
        ("\u660e", "%E6%98%8E"),
        ('quo"te', 'quo"te'),
    ],
)
def test_a_principal_outside_printable_ascii_is_percent_encoded(subject: str, written: str) -> None:
    assert given_headers(answer(permit(subject=subject)))["x-deputize-principal"] == written


def test_a_comma_inside_an_actor_is_encoded_in_the_chain() -> None:
    chain = given_headers(answer(permit(chain=[AGENT, "a,b"])))["x-deputize-chain"]
    assert chain == f"{AGENT},a%2Cb"


@pytest.mark.parametrize("subject", ["a" * (MAX_FACTS_BYTES + 1), "ü" * MAX_FACTS_BYTES])
def test_facts_too_long_for_headers_are_an_obligation_that_cannot_be_met(subject: str) -> None:
    with pytest.raises(ObligationError):
        Answers(DEFAULT).to_response(make_request(TOKEN), permit(subject=subject))


def test_long_facts_that_were_not_promised_do_no_harm() -> None:
    decision = permit(subject="a" * 9000, facts=[UpstreamFact.AGENT])
    assert set(given_headers(answer(decision))) == {"x-deputize-agent"}


# --- what the upstream must not get


@pytest.mark.parametrize(
    "name",
    [
        "x-deputize-principal",
        "x_deputize_principal",
        "x.deputize.principal",
        "x-deputize_principal",
        "x~deputize!agent",
        "x-deputize-new-in-a-later-version",
        "x-deputize-",
        "x_deputize_",
    ],
)
def test_an_inbound_look_alike_is_removed(name: str) -> None:
    response = answer(permit(facts=[]), inbound({name: "mallory"}))
    assert name in removed(response)


def test_a_look_alike_of_a_fact_we_set_is_removed_beside_it() -> None:
    response = answer(permit(), inbound({"x_deputize_principal": "mallory"}))
    assert "x_deputize_principal" in removed(response)
    assert "x-deputize-principal" in given_headers(response)


@pytest.mark.parametrize("name", ["x-deputized", "xdeputize-a", "x-other", "deputize-agent"])
def test_other_headers_pass(name: str) -> None:
    assert name not in removed(answer(permit(), inbound({name: "1"})))


def test_further_headers_are_removed_on_request() -> None:
    upstream = replace(DEFAULT, remove_headers=("cookie",))
    assert "cookie" in removed(answer(permit(), rules=upstream))


# --- what becomes of the token


def test_the_token_is_removed_by_default() -> None:
    response = answer(permit())
    assert "authorization" in removed(response)
    assert TOKEN not in str(response)


def test_the_token_may_be_kept() -> None:
    response = answer(permit(), rules=replace(DEFAULT, keep_token=True))
    assert "authorization" not in removed(response)
    assert "authorization" not in given_headers(response)


def test_the_token_may_move_to_another_header() -> None:
    response = answer(permit(), rules=replace(DEFAULT, forward_header="x-token"))
    assert given_headers(response)["x-token"] == TOKEN
    assert "authorization" in removed(response)


def test_the_token_may_move_to_the_authorization_header() -> None:
    upstream = replace(DEFAULT, token_header="x-mandate", forward_header="authorization")
    response = answer(permit(), make_request(headers={"x-mandate": TOKEN}), upstream)
    assert given_headers(response)["authorization"] == f"Bearer {TOKEN}"
    assert "x-mandate" in removed(response)


# --- what a refused caller sees


@pytest.mark.parametrize("reason", REASONS)
def test_a_refusal_tells_code_and_decision_and_nothing_else(reason: Reason) -> None:
    response = answer(denial(reason))
    assert "a secret detail" not in str(response)
    body = json.loads(response.denied_response.body)
    assert set(body) == {"type", "title", "status", "detail", "reason", "decision_id"}
    assert (body["reason"], body["decision_id"]) == (reason.value, "decision-1")
    assert body["status"] == response.denied_response.status.code
    assert denied_headers(response)["x-deputize-decision-id"] == "decision-1"


def test_a_missing_scope_is_named_in_the_challenge() -> None:
    response = answer(denial(Reason.POLICY_INSUFFICIENT_SCOPE, ["b", "a"]))
    challenge = denied_headers(response)["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert 'scope="a b"' in challenge


def test_a_missing_token_gives_a_challenge_without_error() -> None:
    challenge = denied_headers(answer(denial(Reason.TOKEN_MISSING)))["www-authenticate"]
    assert "error" not in challenge


def test_a_bad_proof_is_challenged_with_its_own_scheme_and_algorithms() -> None:
    challenge = denied_headers(answer(denial(Reason.TOKEN_PROOF_INVALID)))["www-authenticate"]
    assert challenge.startswith("DPoP ")
    assert 'error="invalid_dpop_proof"' in challenge
    assert 'algs="ES256 ES384 RS256 PS256 Ed25519"' in challenge


@pytest.mark.parametrize("reason", REASONS)
def test_a_challenge_comes_exactly_where_authentication_may_help(reason: Reason) -> None:
    has_challenge = "www-authenticate" in denied_headers(answer(denial(reason)))
    assert has_challenge == (PRESENTATIONS[reason].challenge is not None)


# --- metadata for access logs


def test_metadata_says_what_was_decided_and_about_whom() -> None:
    metadata = json_format.MessageToDict(answer(permit()).dynamic_metadata)
    assert metadata == {
        "decision_id": "decision-1",
        "effect": "allow",
        "reason": "policy.allowed",
        "peer": AGENT,
        "principal": "alice",
        "agent": AGENT,
        "rule": str(RuleRef("orders", "read")),
    }


def test_metadata_of_an_early_refusal_names_nobody() -> None:
    decision = decide_now(make_request(peer=""), make_snapshot(shared_issuer()))
    metadata = json_format.MessageToDict(answer(decision).dynamic_metadata)
    assert set(metadata) == {"decision_id", "effect", "reason"}


def test_metadata_names_the_first_call_and_what_was_observed() -> None:
    decision = permit()
    assert isinstance(decision.verdict, Permit)
    assert decision.proven.action is not None
    observed = Denial(reason=Reason.POLICY_FORBIDDEN, detail="", rule=RuleRef("guard", "all"))
    calls = (mcp_call("pay"), mcp_call("list"))
    proven = replace(decision.proven, action=decision.proven.action._replace(calls=calls))
    marked = mark(decision._replace(proven=proven), decision.verdict, observed)
    metadata = json_format.MessageToDict(answer(marked).dynamic_metadata)
    assert (
        metadata
        | {
            "effect": "allow",
            "reason": "policy.allowed",
            "call": "tools/call",
            "call_name": "pay",
            "observed_reason": "policy.forbidden",
            "observed_rule": "guard/all",
        }
        == metadata
    )


def test_metadata_of_what_no_rule_covers_names_no_rule() -> None:
    decision = permit()
    assert isinstance(decision.verdict, Permit)
    observed = Denial(reason=Reason.POLICY_NO_MATCH, detail="")
    marked = mark(decision, decision.verdict, observed)
    metadata = json_format.MessageToDict(answer(marked).dynamic_metadata)
    assert (metadata["observed_reason"], metadata["observed_rule"]) == ("policy.no_match", "")


def test_the_last_resort_is_a_lawful_refusal() -> None:
    verdict = read_answer(LAST_RESORT)
    assert (verdict.allowed, verdict.reason) == (False, Reason.SYSTEM_INTERNAL)


@pytest.mark.parametrize("name", ["x_obo_token", "x-internal_user", "x.internal.user"])
def test_a_look_alike_of_any_header_we_govern_is_removed(name: str) -> None:
    rules = replace(DEFAULT, forward_header="x-obo-token", remove_headers=("x-internal-user",))
    request = make_request(TOKEN, headers={name: "spoof"})
    assert name in removed(answer(permit(), request, rules))
