from __future__ import annotations

from http import HTTPStatus

import pytest

from deputize.adapters.presentation import PRESENTATIONS, Presentation
from deputize.core.reasons import Reason


def test_every_reason_but_that_of_an_allow_is_presented() -> None:
    assert set(PRESENTATIONS) == set(Reason) - {Reason.POLICY_ALLOWED}


@pytest.mark.parametrize("shown", PRESENTATIONS.values())
def test_a_refusal_is_an_http_error_and_a_grpc_refusal(shown: Presentation) -> None:
    assert shown.http_status in {400, 401, 403, 413, 429, 503}
    assert shown.grpc_code in {7, 16}


@pytest.mark.parametrize("shown", PRESENTATIONS.values())
def test_a_call_for_authentication_names_its_challenge(shown: Presentation) -> None:
    if shown.http_status == HTTPStatus.UNAUTHORIZED:
        assert shown.challenge is not None


@pytest.mark.parametrize("reason", Reason)
def test_only_our_own_faults_look_like_server_errors(reason: Reason) -> None:
    if reason is not Reason.POLICY_ALLOWED:
        assert (PRESENTATIONS[reason].http_status >= 500) == (reason.family == "system")
