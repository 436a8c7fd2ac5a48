from __future__ import annotations

import pytest

from deputize.core.reasons import REASONS, Reason

FAMILIES = {"request", "peer", "token", "delegation", "policy", "system"}


@pytest.mark.parametrize("reason", Reason)
def test_a_code_is_a_family_and_a_name(reason: Reason) -> None:
    family, _, name = reason.value.partition(".")
    assert reason.family == family
    assert family in FAMILIES
    assert reason.name == f"{family}_{name}".upper()


@pytest.mark.parametrize("reason", Reason)
def test_every_code_is_explained(reason: Reason) -> None:
    info = REASONS[reason]
    assert info.meaning
    assert info.remedy
    assert info.public


def test_nothing_else_is_explained() -> None:
    assert REASONS.keys() == set(Reason)


def test_the_public_text_tells_neither_policies_nor_identities() -> None:
    no_entry = {
        REASONS[reason].public
        for reason in Reason
        if reason.family in {"peer", "delegation"}
        or reason in {Reason.POLICY_NO_MATCH, Reason.POLICY_FORBIDDEN}
    }
    assert len(no_entry) == 1
