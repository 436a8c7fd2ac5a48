from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import get_args

import pytest

from deputize.config.issuer_profiles import (
    DEFAULT_PROFILE,
    compile_profile,
    effective_keys,
    known_profiles,
    profile_text,
)
from deputize.config.issuer_schema import Issuer, ProfileKeys, ProfileName
from deputize.config.strict_yaml import parse_documents
from deputize.core.claims import ScopeClaim
from deputize.core.model import DelegationStyle, Kind
from deputize.core.profiles import ABSENT_TYPE, IssuerProfile, KindRule
from tests.harness.world import PROFILE

NAMES = get_args(ProfileName)
MINIMUM = {"issuer": "https://issuer.example", "audiences": ["orders"], "keys": {"file": "k.json"}}


def keys_of(**keys: object) -> ProfileKeys:
    return effective_keys(Issuer.model_validate({**MINIMUM, **keys}))


def compiled(**keys: object) -> IssuerProfile:
    return compile_profile(keys_of(**keys))


def test_every_profile_has_a_file_and_every_file_a_profile() -> None:
    files = resources.files("deputize") / "profiles"
    assert {file.name for file in files.iterdir()} == {f"{name}.yaml" for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_has_the_name_of_its_profile(name: str) -> None:
    (document,) = parse_documents(profile_text(name).encode(), name)
    assert isinstance(document.value, dict)
    assert document.value["metadata"] == {"name": name}


@pytest.mark.parametrize("name", NAMES)
def test_a_profile_says_where_it_is_known_from(name: str) -> None:
    profile = known_profiles()[name]
    assert profile.title
    assert profile.sources


def test_the_default_profile_has_every_key() -> None:
    default = known_profiles()[DEFAULT_PROFILE]
    assert [key for key in ProfileKeys.model_fields if getattr(default, key) is None] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_profile_is_complete_once_merged(name: str) -> None:
    keys = keys_of(profile=name)
    assert [key for key in ProfileKeys.model_fields if getattr(keys, key) is None] == []
    profile = compile_profile(keys)
    assert profile.token_types
    assert profile.principal
    assert profile.actor
    assert profile.actor_kinds
    assert profile.styles
    assert keys.algorithms
    assert keys.max_lifetime_seconds


@pytest.mark.parametrize("name", NAMES)
def test_no_profile_lets_a_person_act_or_an_agent_act_for_itself(name: str) -> None:
    profile = compiled(profile=name)
    assert Kind.USER not in profile.actor_kinds
    assert DelegationStyle.AUTONOMOUS not in profile.styles


@pytest.mark.parametrize("name", NAMES)
def test_only_profiles_named_for_it_accept_impersonation(name: str) -> None:
    by_client = name in {"keycloak-exchange", "authbridge"}
    style = DelegationStyle.IMPERSONATED if by_client else DelegationStyle.DELEGATED
    assert compiled(profile=name).styles == {style}


def test_the_default_profile_is_what_the_standards_say() -> None:
    assert compiled() == compiled(profile=DEFAULT_PROFILE) == PROFILE


def test_what_an_issuer_says_counts_before_its_profile_and_that_before_the_default() -> None:
    keys = keys_of(profile="auth0")
    assert keys.required_claims == []
    assert keys.max_lifetime_seconds == 86400
    assert keys.scopes == ["scope"]
    own = keys_of(profile="auth0", requiredClaims=["jti"], scopes=["scp[]"])
    assert own.required_claims == ["jti"]
    assert own.max_lifetime_seconds == 86400
    assert own.scopes == ["scp[]"]
    assert own.actor == ["act.sub"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("requiredClaims", []),
        ("typeClaims", {}),
        ("principalKind", []),
        ("client", []),
        ("attributes", {}),
        ("actorKind", []),
        ("actorIssuers", []),
        ("namelessHops", False),
    ],
)
def test_an_issuer_may_empty_what_its_profile_says(key: str, value: object) -> None:
    names = {field.alias: name for name, field in ProfileKeys.model_fields.items()}
    for profile in NAMES:
        assert getattr(keys_of(profile=profile, **{key: value}), names[key]) == value


FULL: Mapping[str, object] = {
    "tokenTypes": ["obo+jwt", ABSENT_TYPE],
    "ignoredHeaders": ["x5t", "x5t#S256"],
    "requiredClaims": ["azp", r"https://example\.org/roles"],
    "typeClaims": {"typ": ["Bearer", "DPoP"], "a.b": ["c"]},
    "principal": ["idp", "sub"],
    "principalKind": [
        {"claim": "sub_profile", "user": ["user"], "agent": ["a", "b"], "service": ["*@clients"]},
        {"claim": "other", "other": "service"},
    ],
    "client": ["azp", "client.id"],
    "tokenId": ["uti"],
    "scopes": ["scp[]", "scope"],
    "attributes": {"roles": "realm_access.roles"},
    "actor": ["act.client_id", "azp"],
    "actorKind": [{"claim": "act.client_id", "agent": ["*"], "other": "user"}],
    "actorKinds": ["agent", "service"],
    "actorIssuers": ["https://cluster.example"],
    "namelessHops": True,
    "styles": ["impersonated", "autonomous"],
}


def test_every_key_reaches_the_core() -> None:
    assert compiled(**FULL) == IssuerProfile(
        token_types=frozenset({"obo+jwt", "absent"}),
        header_members=frozenset({"x5t", "x5t#S256"}),
        required_claims=(("azp",), ("https://example.org/roles",)),
        type_claims=(
            (("typ",), frozenset({"Bearer", "DPoP"})),
            (("a", "b"), frozenset({"c"})),
        ),
        principal=(("idp",), ("sub",)),
        principal_kind=(
            KindRule(
                ("sub_profile",),
                (
                    ("user", Kind.USER),
                    ("a", Kind.AGENT),
                    ("b", Kind.AGENT),
                    ("*@clients", Kind.SERVICE),
                ),
                Kind.UNKNOWN,
            ),
            KindRule(("other",), (), Kind.SERVICE),
        ),
        client=(("azp",), ("client", "id")),
        token_id=(("uti",),),
        scopes=(ScopeClaim(("scp",), is_list=True), ScopeClaim(("scope",), is_list=False)),
        attributes=(("roles", ("realm_access", "roles")),),
        actor=(("act", "client_id"), ("azp",)),
        actor_kind=(KindRule(("act", "client_id"), (("*", Kind.AGENT),), Kind.USER),),
        actor_kinds=frozenset({Kind.AGENT, Kind.SERVICE}),
        actor_issuers=frozenset({"https://cluster.example"}),
        nameless_hops=True,
        styles=frozenset({DelegationStyle.IMPERSONATED, DelegationStyle.AUTONOMOUS}),
    )
    further = {"algorithms", "maxLifetimeSeconds"}
    assert FULL.keys() == {field.alias for field in ProfileKeys.model_fields.values()} - further
