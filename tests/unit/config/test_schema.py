from __future__ import annotations

from typing import get_args

import pytest

from deputize.config.issuer_schema import Kinds, ProfileKeys
from deputize.config.model import Model
from deputize.config.policy_schema import (
    BudgetSettings,
    Obligations,
    PolicyRule,
    ResourceSettings,
    When,
)
from deputize.config.schema import PeerSettings
from deputize.core import jws, token
from deputize.core.case import CHAIN_FACTS, PEER_FACTS, PRINCIPAL_FACTS, TOKEN_FACTS
from deputize.core.keys import Algorithm
from deputize.core.model import (
    Binding,
    DelegationStyle,
    Kind,
    PeerSource,
    Protocol,
    UpstreamFact,
)
from deputize.core.rules import BudgetPart, RuleEffect


def literals(annotation: object) -> set[object]:
    """The values of every Literal inside an annotation."""
    found: set[object] = set()
    for argument in get_args(annotation):
        found |= literals(argument) if get_args(argument) else {argument}
    return {value for value in found if isinstance(value, str)}


@pytest.mark.parametrize(
    ("model", "key", "values"),
    [
        (ProfileKeys, "algorithms", set(Algorithm)),
        (ProfileKeys, "ignored_headers", token.HEADER_MEMBERS - jws.HEADER_MEMBERS),
        (ProfileKeys, "actor_kinds", set(Kind) - {Kind.USER}),
        (ProfileKeys, "styles", set(DelegationStyle)),
        (Kinds, "other", set(Kind)),
        (PeerSettings, "source", set(PeerSource)),
        (Obligations, "upstream_headers", set(UpstreamFact)),
        (PolicyRule, "effect", set(RuleEffect)),
        (When, "peer", set(PEER_FACTS)),
        (When, "chain", set(CHAIN_FACTS)),
        (When, "principal", set(PRINCIPAL_FACTS)),
        (When, "token", set(TOKEN_FACTS)),
        (BudgetSettings, "per", set(BudgetPart)),
        (ResourceSettings, "protocol", set(Protocol)),
        (ResourceSettings, "read", set(Binding)),
    ],
)
def test_what_the_core_knows_can_be_configured(
    model: type[Model], key: str, values: set[str]
) -> None:
    assert literals(model.model_fields[key].annotation) == values
