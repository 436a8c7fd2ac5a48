from __future__ import annotations

from collections.abc import Mapping

import pytest

from deputize.core.model import Json, Kind
from deputize.core.profiles import (
    ACTOR_KINDS,
    FOREIGN_TYPES,
    PRINCIPAL_KINDS,
    KindRule,
    find_kind,
    foreign_kind,
    normalize_type,
)
from tests.harness.world import AGENT, AUDIENCE, ISSUER_URL

MARKS = (
    ("user", Kind.USER),
    ("ai_agent", Kind.AGENT),
    ("service", Kind.SERVICE),
    ("service-account-*", Kind.SERVICE),
    ("*@clients", Kind.SERVICE),
    ("11", Kind.AGENT),
    ("True", Kind.AGENT),
)
RULE = KindRule(("kind",), MARKS, Kind.UNKNOWN)
ACCESS_TOKEN: dict[str, Json] = {
    "iss": ISSUER_URL,
    "aud": AUDIENCE,
    "sub": "alice",
    "client_id": AGENT,
    "act": {"sub": AGENT},
}


def kind_of(value: Json, *more: KindRule, order: tuple[Kind, ...] = PRINCIPAL_KINDS) -> Kind:
    return find_kind((RULE, *more), {"kind": value, "other": "user"}, order)


# Types


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("at+jwt", "at+jwt"),
        ("AT+JWT", "at+jwt"),
        ("application/at+jwt", "at+jwt"),
        ("Application/At+Jwt", "at+jwt"),
        ("application/application/at+jwt", "application/at+jwt"),
        ("text/at+jwt", "text/at+jwt"),
        ("at+jwt ", "at+jwt "),
        ("", "absent"),
        ("absent", "application/absent"),
        ("Application/Absent", "application/absent"),
        ("application/", "application/"),
    ],
)
def test_types_are_compared_without_prefix_and_case(name: str, normal: str) -> None:
    assert normalize_type(name) == normal


def test_foreign_types_are_written_as_they_are_compared() -> None:
    assert {normalize_type(name) for name in FOREIGN_TYPES} == FOREIGN_TYPES
    assert FOREIGN_TYPES.isdisjoint({"at+jwt", "jwt", "absent"})


# Kinds


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("user", Kind.USER),
        ("ai_agent", Kind.AGENT),
        ("service", Kind.SERVICE),
        (["user"], Kind.USER),
        (["x", "user"], Kind.USER),
        ("x user", Kind.USER),
        ("3 9 11", Kind.AGENT),
        (11, Kind.AGENT),
        ([3, 11], Kind.AGENT),
        (True, Kind.AGENT),
        ("service-account-research", Kind.SERVICE),
        ("service-account-", Kind.SERVICE),
        ("abc@clients", Kind.SERVICE),
        ("@clients", Kind.SERVICE),
    ],
)
def test_a_word_says_what_somebody_is(value: Json, kind: Kind) -> None:
    assert kind_of(value) is kind


@pytest.mark.parametrize(
    "value",
    ["", "User", "users", "111", "1 1", "my-service-account-x", "x@clients.org", 11.0, {"user": 1},
     [["user"]], [], [None], {}],
)  # fmt: skip
def test_any_other_word_says_nothing(value: Json) -> None:
    assert kind_of(value) is Kind.UNKNOWN


def test_without_the_claim_nothing_is_said() -> None:
    assert find_kind((KindRule(("kind",), MARKS, Kind.USER),), {}, ACTOR_KINDS) is Kind.UNKNOWN
    assert find_kind((KindRule(("kind",), MARKS, Kind.USER),), {"kind": None}, ACTOR_KINDS) is (
        Kind.UNKNOWN
    )
    assert find_kind((), {"kind": "user"}, ACTOR_KINDS) is Kind.UNKNOWN


@pytest.mark.parametrize("other", Kind)
def test_a_claim_without_a_known_word_may_mean_something(other: Kind) -> None:
    rules = (KindRule(("kind",), MARKS, other),)
    values: list[Json] = ["x", "", 1.5, {}, ["x"]]
    for value in values:
        assert find_kind(rules, {"kind": value}, PRINCIPAL_KINDS) is other
    assert find_kind(rules, {"kind": "user"}, PRINCIPAL_KINDS) is Kind.USER


def test_a_star_alone_is_any_word() -> None:
    rules = (KindRule(("act", "client_id"), (("*", Kind.AGENT),), Kind.UNKNOWN),)
    assert find_kind(rules, {"act": {"client_id": "x"}}, ACTOR_KINDS) is Kind.AGENT
    assert find_kind(rules, {"act": {"sub": "x"}}, ACTOR_KINDS) is Kind.UNKNOWN


@pytest.mark.parametrize(
    ("value", "principal", "actor"),
    [
        ("user ai_agent service", Kind.AGENT, Kind.USER),
        ("user service", Kind.SERVICE, Kind.USER),
        ("service ai_agent", Kind.AGENT, Kind.AGENT),
        (["ai_agent", "user"], Kind.AGENT, Kind.USER),
    ],
)
def test_of_several_kinds_the_one_that_lets_less_in_counts(
    value: Json, principal: Kind, actor: Kind
) -> None:
    assert kind_of(value) is principal
    assert kind_of(value, order=ACTOR_KINDS) is actor


def test_every_rule_is_asked() -> None:
    says_user = KindRule(("other",), (("user", Kind.USER),), Kind.UNKNOWN)
    assert kind_of("service", says_user) is Kind.SERVICE
    assert kind_of("x", says_user) is Kind.USER
    assert kind_of("ai_agent", says_user, order=ACTOR_KINDS) is Kind.USER


def test_every_kind_has_its_place_in_the_order() -> None:
    assert set(PRINCIPAL_KINDS) == set(ACTOR_KINDS) == set(Kind)
    assert PRINCIPAL_KINDS[-1] is ACTOR_KINDS[-1] is Kind.UNKNOWN


# Tokens of other kinds


def foreign(
    claims: Mapping[str, Json] = {}, *, client: str = AGENT, token_type: str = "jwt"
) -> bool:
    return foreign_kind({**ACCESS_TOKEN, **claims}, client, token_type) != ""


def test_an_access_token_is_not_foreign() -> None:
    assert not foreign()
    assert not foreign(token_type="at+jwt")
    assert not foreign(client="")


@pytest.mark.parametrize(
    "name",
    ["nonce", "at_hash", "c_hash", "s_hash", "events", "htm", "htu", "tctx", "rctx", "req_wl",
     "status_list", "token_introspection", "vc", "vp"],
)  # fmt: skip
@pytest.mark.parametrize("value", [None, "", {}, "x"])
def test_a_claim_of_another_kind_of_token_tells_it(name: str, value: Json) -> None:
    assert foreign({name: value})
    assert foreign({name: value}, token_type="at+jwt")


@pytest.mark.parametrize("audience", [AGENT, [AGENT]])
def test_a_token_for_its_own_client_is_an_id_token(audience: Json) -> None:
    assert foreign({"aud": audience})
    assert foreign({"aud": audience}, token_type="absent")


def test_its_type_tells_an_access_token_from_an_id_token() -> None:
    assert not foreign({"aud": AGENT}, token_type="at+jwt")


def test_a_token_for_its_client_and_others_is_not_an_id_token() -> None:
    assert not foreign({"aud": [AGENT, AUDIENCE]})
    assert not foreign({"aud": ""}, client="")


def test_a_token_of_an_issuer_about_itself_is_a_client_assertion() -> None:
    assert foreign({"sub": ISSUER_URL})
    assert foreign_kind({}, "", "jwt") == ""


def test_a_spiffe_id_alone_is_a_jwt_svid() -> None:
    svid: dict[str, Json] = {"iss": ISSUER_URL, "aud": [AUDIENCE], "sub": AGENT}
    assert foreign_kind(svid, "", "jwt")
    assert not foreign_kind(svid, "some-client", "jwt")
    assert not foreign_kind({**svid, "act": None}, "", "jwt")
    assert not foreign_kind({**svid, "sub": "alice"}, "", "jwt")
    assert not foreign_kind({**svid, "sub": 1}, "", "jwt")
