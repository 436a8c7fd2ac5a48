"""The issuer profiles that come with deputize, and what counts for one configured issuer.

The profiles are YAML files in `deputize/profiles`, one for each kind of issuer, with the sources
they are taken from. `rfc9068` has every key; it is what counts where nobody says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import get_args

from deputize.config.issuer_schema import (
    Issuer,
    IssuerProfileFile,
    Kinds,
    ProfileKeys,
    ProfileName,
    ProfileSpec,
)
from deputize.config.strict_yaml import parse_documents
from deputize.config.validation import validate
from deputize.core.claims import parse_claim_path, parse_scope_claim
from deputize.core.keys import Algorithm
from deputize.core.model import DelegationStyle, Kind
from deputize.core.profiles import IssuerProfile, KindRule

DEFAULT_PROFILE = "rfc9068"


@cache
def known_profiles() -> Mapping[str, ProfileSpec]:
    """The profiles that come with deputize, by name."""
    return {name: _read(name) for name in get_args(ProfileName)}


def unread_profile() -> ProfileSpec:
    """Stands for one that is an object and not at hand: the default, with any algorithm."""
    algorithms = [algorithm.value for algorithm in Algorithm]
    return known_profiles()[DEFAULT_PROFILE].model_copy(update={"algorithms": algorithms})


def profile_text(name: str) -> str:
    """The file of a profile, for showing."""
    return (resources.files("deputize") / "profiles" / f"{name}.yaml").read_text(encoding="utf-8")


def effective_keys(
    issuer: Issuer, profiles: Mapping[str, ProfileSpec] | None = None
) -> ProfileKeys:
    """Every key of the profile, the issuer's own first.

    A name that is not among `profiles` (those that come with deputize, if not given) is as the
    default.
    """
    known = known_profiles()
    named = (known if profiles is None else profiles).get(issuer.profile)
    layers = (known[DEFAULT_PROFILE], named or known[DEFAULT_PROFILE], issuer)
    merged = {
        name: value
        for layer in layers
        for name in ProfileKeys.model_fields
        if (value := getattr(layer, name)) is not None
    }
    return ProfileKeys.model_construct(**merged)


def compile_profile(keys: ProfileKeys) -> IssuerProfile:
    """The value of the core; `keys` must be complete."""
    return IssuerProfile(
        token_types=frozenset(keys.token_types or ()),
        header_members=frozenset(keys.ignored_headers or ()),
        required_claims=tuple(map(parse_claim_path, keys.required_claims or ())),
        type_claims=tuple(
            (parse_claim_path(text), frozenset(values))
            for text, values in (keys.type_claims or {}).items()
        ),
        principal=tuple(map(parse_claim_path, keys.principal or ())),
        principal_kind=_kind_rules(keys.principal_kind),
        client=tuple(map(parse_claim_path, keys.client or ())),
        token_id=tuple(map(parse_claim_path, keys.token_id or ())),
        scopes=tuple(map(parse_scope_claim, keys.scopes or ())),
        attributes=tuple(
            (name, parse_claim_path(text)) for name, text in (keys.attributes or {}).items()
        ),
        actor=tuple(map(parse_claim_path, keys.actor or ())),
        actor_kind=_kind_rules(keys.actor_kind),
        actor_kinds=frozenset(map(Kind, keys.actor_kinds or ())),
        actor_issuers=frozenset(keys.actor_issuers or ()),
        nameless_hops=keys.nameless_hops is True,
        styles=frozenset(map(DelegationStyle, keys.styles or ())),
    )


def _kind_rules(entries: list[Kinds] | None) -> tuple[KindRule, ...]:
    return tuple(map(_kind_rule, entries or ()))


def _kind_rule(entry: Kinds) -> KindRule:
    words = ((Kind.USER, entry.user), (Kind.AGENT, entry.agent), (Kind.SERVICE, entry.service))
    marks = tuple((mark, kind) for kind, marks in words for mark in marks or ())
    return KindRule(parse_claim_path(entry.claim), marks, Kind(entry.other))


def _read(name: str) -> ProfileSpec:
    (document,) = parse_documents(profile_text(name).encode(), f"{name}.yaml")
    return validate(IssuerProfileFile, document).spec
