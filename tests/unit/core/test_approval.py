from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deputize.core.approval import (
    ApprovalNeed,
    ApprovalService,
    verify_approval,
)
from deputize.core.approved_call import ApprovalError, ApprovalSubject
from deputize.core.jws import MAX_TOKEN_BYTES
from deputize.core.keys import Algorithm, KeyRing
from deputize.core.model import UseOnce
from deputize.core.verdict import KeyWanted
from tests.harness.approvals import APPROVALS_URL, APPROVER, ApprovalDesk
from tests.harness.issuer import Issuer, encode_base64url
from tests.harness.strategies import json_values
from tests.harness.world import AGENT, HOST, ISSUER_URL, NOW, SKEW, make_key_ring

LIFETIME = 60
MAX_LIFETIME = 300.0
DESK = ApprovalDesk()
PLAIN = ApprovalSubject(
    AGENT, ISSUER_URL, "alice", "POST", HOST, "/v1/orders?dry=1", "", "", "", "digest"
)
CALL = PLAIN._replace(protocol="mcp", call="tools/list")
NEED = ApprovalNeed(frozenset({APPROVALS_URL}), approver_not_principal=False)
FOUR_EYES = replace(NEED, approver_not_principal=True)
SERVICE = ApprovalService(APPROVALS_URL, (Algorithm.ES256,), MAX_LIFETIME, SKEW)
RINGS = {APPROVALS_URL: make_key_ring(DESK.issuer)}


def sign(
    claims: Mapping[str, object] = {},
    *,
    subject: ApprovalSubject = PLAIN,
    desk: ApprovalDesk = DESK,
    lifetime: float = LIFETIME,
    omit: Collection[str] = (),
    header: Mapping[str, object] = {},
) -> str:
    return desk.approve(
        subject.to_json(), now=NOW, lifetime=lifetime, claims=claims, omit=omit, header=header
    )


def check(
    approval: str,
    *,
    subject: ApprovalSubject = PLAIN,
    need: ApprovalNeed = NEED,
    service: ApprovalService = SERVICE,
    rings: Mapping[str, KeyRing] = RINGS,
    now: float = NOW,
) -> UseOnce:
    services = {service.issuer: service}
    return verify_approval(approval, subject, need, services, rings, now).use


def refusal(approval: str, **asked: object) -> ApprovalError | None:
    """The error itself, None where the approval holds."""
    try:
        check(approval, **asked)  # type: ignore[arg-type]  # each has its own type
    except ApprovalError as error:
        return error
    return None


def holds(approval: str, **asked: object) -> bool:
    return refusal(approval, **asked) is None


# What it is


@pytest.mark.parametrize("subject", [PLAIN, CALL])
def test_an_approval_of_the_call_holds(subject: ApprovalSubject) -> None:
    assert holds(sign(subject=subject), subject=subject)


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "RS256", "PS256", "Ed25519"])
def test_every_algorithm_that_is_allowed(algorithm: str) -> None:
    desk = ApprovalDesk(issuer=Issuer(APPROVALS_URL, algorithm=algorithm))
    rings = {APPROVALS_URL: make_key_ring(desk.issuer)}
    allowed = replace(SERVICE, algorithms=(Algorithm(algorithm),))
    others = replace(SERVICE, algorithms=tuple(set(Algorithm) - {algorithm}))
    assert holds(sign(desk=desk), service=allowed, rings=rings)
    assert not holds(sign(desk=desk), service=others, rings=rings)


def test_further_claims_are_not_read() -> None:
    assert holds(sign({"reason": "by phone", "name": {"given": "Carol"}, "nbf": NOW}))


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": "at+jwt"},
        {"typ": "deputize-approval"},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": "es256"},
        {"crit": ["exp"]},
        {"jku": "https://evil.example/jwks.json"},
        {"x5t": "abc"},
    ],
)
def test_another_header(header: Mapping[str, object]) -> None:
    assert not holds(sign(header=header))


def test_its_type_may_be_spelled_as_a_media_type() -> None:
    assert holds(sign(header={"typ": "application/Deputize-Approval+jwt"}))
    assert not holds(sign(omit=["typ"]))


@pytest.mark.parametrize("text", ["", "approved", "a.b.c", f"{sign()},{sign()}", f"{sign()} "])
def test_what_is_no_approval(text: str) -> None:
    assert not holds(text)


def test_a_duplicate_member_is_two_readings() -> None:
    payload = json.dumps({"approver": APPROVER, "iss": APPROVALS_URL}).encode()
    doubled = payload[:-1] + b', "approver": "dave"}'
    header = {**DESK.issuer.header(), "typ": "deputize-approval+jwt"}
    error = refusal(DESK.issuer.sign(header, doubled))
    assert error is not None
    assert error.wanted is None


# Who signed it


@pytest.mark.parametrize("issuer", [None, 1, ["https://approvals.example"], "", ISSUER_URL])
def test_another_issuer(issuer: object) -> None:
    assert not holds(sign({"iss": issuer}))


def test_the_issuer_is_spelled_exactly() -> None:
    for issuer in (f"{APPROVALS_URL}/", APPROVALS_URL.upper()):
        assert not holds(sign({"iss": issuer}))
    assert not holds(sign(omit=["iss"]))


def test_a_service_that_is_configured_but_not_trusted_by_the_rule() -> None:
    other = replace(NEED, services=frozenset({"https://other.example"}))
    assert not holds(sign(), need=other)
    assert not holds(sign(), need=replace(NEED, services=frozenset()))
    assert holds(sign(), need=replace(NEED, services=NEED.services | other.services))


def test_a_service_the_rule_trusts_but_nobody_configured() -> None:
    assert not holds(sign(), service=replace(SERVICE, issuer="https://other.example"))


def test_keys_of_one_service_sign_for_no_other() -> None:
    other = ApprovalDesk("https://other.example")
    rings = {**RINGS, other.issuer.url: make_key_ring(other.issuer)}
    assert not holds(sign({"iss": APPROVALS_URL}, desk=other), rings=rings)


def test_a_signature_of_another_key_asks_for_newer_keys() -> None:
    error = refusal(sign(desk=ApprovalDesk()))
    assert error is not None
    assert error.wanted == KeyWanted(APPROVALS_URL, "k1")
    assert not error.is_unavailable


def test_an_unknown_key_asks_for_newer_keys() -> None:
    error = refusal(sign(header={"kid": "k9"}))
    assert error is not None
    assert error.wanted == KeyWanted(APPROVALS_URL, "k9")
    assert not error.is_unavailable


def test_a_key_is_pinned_to_its_algorithm() -> None:
    both = replace(SERVICE, algorithms=(Algorithm.ES256, Algorithm.ES384))
    error = refusal(sign(header={"alg": "ES384"}), service=both)
    assert error is not None
    assert error.wanted is None


@pytest.mark.parametrize(
    "rings",
    [
        {},
        {ISSUER_URL: make_key_ring(DESK.issuer)},
        {APPROVALS_URL: make_key_ring(DESK.issuer, NOW - 1)},
        {APPROVALS_URL: make_key_ring(DESK.issuer, math.nan)},
    ],
)
def test_without_fresh_keys_it_cannot_be_known(rings: Mapping[str, KeyRing]) -> None:
    error = refusal(sign(), rings=rings)
    assert error is not None
    assert error.is_unavailable
    assert error.wanted == KeyWanted(APPROVALS_URL, "k1")


def test_every_changed_character_is_noticed() -> None:
    approval = sign()
    for place in range(0, len(approval), 7):
        other = "A" if approval[place] != "A" else "B"
        assert not holds(approval[:place] + other + approval[place + 1 :])


# When it holds


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NOW - SKEW, True),
        (NOW - SKEW - 1, False),
        (NOW + LIFETIME, True),
        (NOW + LIFETIME + SKEW - 1, True),
        (NOW + LIFETIME + SKEW, False),
        (math.nan, False),
    ],
)
def test_when_it_holds(*, now: float, expected: bool) -> None:
    assert holds(sign(), now=now) is expected


@pytest.mark.parametrize(
    ("lifetime", "expected"),
    [(1, True), (MAX_LIFETIME, True), (MAX_LIFETIME + 1, False), (0, False), (-1, False)],
)
def test_it_is_short_lived(*, lifetime: float, expected: bool) -> None:
    assert holds(sign(lifetime=lifetime)) is expected


@pytest.mark.parametrize("name", ["iat", "exp"])
@pytest.mark.parametrize("value", [None, True, "1800000000", -1, 2**60, [NOW]])
def test_what_is_no_time(name: str, value: object) -> None:
    assert not holds(sign({name: value}))
    assert not holds(sign(omit=[name]))


@pytest.mark.parametrize("nbf", [NOW + SKEW + 1, None, "now"])
def test_not_before_is_kept(nbf: object) -> None:
    assert not holds(sign({"nbf": nbf}))


# What it is for


def without(name: str) -> dict[str, object]:
    action = CALL.to_json()["action"]
    assert isinstance(action, dict)
    return {member: value for member, value in action.items() if member != name}


@pytest.mark.parametrize("name", ["sub", "sub_iss", "agent", "action", "jti", "approver"])
@pytest.mark.parametrize("value", [None, 1, True, "", "other", [], {}, ["alice"]])
def test_a_claim_that_is_absent_or_not_of_the_call(name: str, value: object) -> None:
    assert not holds(sign(omit=[name]))
    if value != "other" or name not in {"jti", "approver"}:
        assert not holds(sign({name: value}))


@pytest.mark.parametrize(
    "name", ["method", "host", "path", "arguments_sha256", "protocol", "call", "name"]
)
@pytest.mark.parametrize("value", [None, 1, True, "other", [], {}])
def test_a_member_of_the_action_that_is_absent_or_not_of_the_call(name: str, value: object) -> None:
    assert not holds(sign({"action": without(name)}), subject=CALL)
    assert not holds(sign({"action": without(name) | {name: value}}), subject=CALL)


def test_a_member_of_the_action_that_is_not_understood() -> None:
    assert not holds(sign({"action": without("") | {"max_amount": 10}}), subject=CALL)


def test_a_call_in_a_request_is_not_the_request() -> None:
    assert not holds(sign(subject=CALL), subject=PLAIN)
    assert not holds(sign(subject=PLAIN), subject=CALL)


@pytest.mark.parametrize("name", ["aud", "cnf", "status"])
@pytest.mark.parametrize("value", [None, {}, HOST, {"jkt": "abc"}])
def test_a_bound_that_is_not_checked(name: str, value: object) -> None:
    assert not holds(sign({name: value}))


# Who approved it


@pytest.mark.parametrize("approver", [AGENT, AGENT.upper()])
def test_no_agent_approves_its_own_call(approver: str) -> None:
    assert not holds(sign({"approver": approver}))
    assert not holds(sign({"approver": approver}), need=FOUR_EYES)


@pytest.mark.parametrize("approver", ["alice", "Alice", "ALICE"])
def test_a_principal_approves_only_where_two_are_not_needed(approver: str) -> None:
    assert holds(sign({"approver": approver}))
    assert not holds(sign({"approver": approver}), need=FOUR_EYES)


def test_somebody_else_approves() -> None:
    assert holds(sign(), need=FOUR_EYES)


@pytest.mark.parametrize("approver", ["a\nb", "x" * 1025, "\u202ealice"])
def test_an_approver_nobody_can_read(approver: str) -> None:
    assert not holds(sign({"approver": approver}))


# Used once


def test_its_identifier_is_remembered_as_long_as_it_could_be_accepted() -> None:
    owed = check(sign({"jti": "\u00e9" * 100}))
    assert re.fullmatch(r"approval:[0-9a-f]{64}", owed.key)
    assert owed.until > NOW + LIFETIME + 2 * SKEW


def test_an_approval_signed_anew_is_the_same_one() -> None:
    first, second = check(sign({"jti": "1"})), check(sign({"jti": "1", "approver": "dave"}))
    assert first.key == second.key
    assert check(sign({"jti": "2"})).key != first.key


def test_identifiers_of_two_services_are_different_ones() -> None:
    other = ApprovalDesk("https://other.example")
    owed = check(
        sign({"jti": "1"}, desk=other),
        need=replace(NEED, services=frozenset({other.issuer.url})),
        service=replace(SERVICE, issuer=other.issuer.url),
        rings={other.issuer.url: make_key_ring(other.issuer)},
    )
    assert owed.key != check(sign({"jti": "1"})).key


# Nothing else is ever raised, and nothing is told that was not asked


@given(st.text() | st.binary().map(lambda octets: f"{encode_base64url(octets)}." * 3))
def test_no_text_is_an_approval_by_accident(text: str) -> None:
    assert not holds(text)


@given(
    st.dictionaries(
        st.sampled_from(["iss", "iat", "exp", "jti", "sub", "sub_iss", "agent", "action"]),
        json_values,
        min_size=1,
        max_size=2,
    )
)
def test_odd_claims_are_read_or_refused(claims: dict[str, object]) -> None:
    error = refusal(sign(claims))
    assert error is None or len(str(error)) < 100


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ"]), json_values, max_size=2))
def test_odd_headers_are_read_or_refused(header: dict[str, object]) -> None:
    refusal(sign(header=header))


def test_a_refusal_quotes_nothing() -> None:
    secret = "s3cret"
    for name in ("iss", "jti", "sub", "sub_iss", "agent", "approver", "iat"):
        assert secret not in str(refusal(sign({name: f"{secret}\n"})))
    assert secret not in str(refusal(sign({"action": {secret: 1}})))


def test_one_that_is_too_long_is_not_read() -> None:
    assert not holds(sign({"reason": "x" * MAX_TOKEN_BYTES}))
