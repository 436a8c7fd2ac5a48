from __future__ import annotations

import hashlib
from dataclasses import replace
from types import MappingProxyType

import pytest

from deputize.core.model import (
    Assurance,
    Confirmation,
    Credential,
    Grant,
    Introspect,
    Json,
    Peer,
    PeerSource,
    RuleRef,
    StatusReference,
    UseOnce,
    VerifiedToken,
)
from deputize.core.reasons import Reason
from deputize.core.revocation import NOTHING_REVOKED, Revocations
from deputize.core.spiffe import parse_spiffe_id
from deputize.core.status_list import StatusList
from deputize.core.token import verify
from deputize.core.token_use import (
    StatusLists,
    check_not_revoked,
    check_possession,
    find_obligations,
)
from deputize.core.trust import TrustedIssuer
from deputize.core.verdict import StatusWanted
from tests.harness.dpop_client import ProofKey
from tests.harness.expect import refused
from tests.harness.issuer import encode_base64url
from tests.harness.world import (
    AGENT,
    ISSUER_URL,
    NOW,
    OTHER_AGENT,
    SKEW,
    bearer,
    make_key_ring,
    make_request,
    make_trusted_issuer,
    no_recall,
    shared_issuer,
)

OTHER_URL = "https://other.example"
STATUS_URI = f"{ISSUER_URL}/status/1"
KEY = ProofKey()
CERTIFICATE, OTHER_CERTIFICATE = (encode_base64url(bytes([n]) * 32) for n in (1, 2))
TRUSTED = make_trusted_issuer()


def issue(**claims: object) -> str:
    return shared_issuer().issue(now=NOW, claims={"jti": "token-1", **claims})


def verified(compact: str, trusted: TrustedIssuer = TRUSTED) -> VerifiedToken:
    rings = {ISSUER_URL: make_key_ring(shared_issuer())}
    return verify(bearer(compact), {ISSUER_URL: trusted}, rings, NOW, no_recall)


TOKEN = verified(issue())


# What is revoked


def check_lists(
    revocations: Revocations = NOTHING_REVOKED,
    *,
    token: VerifiedToken = TOKEN,
    trusted: TrustedIssuer = TRUSTED,
    status_lists: StatusLists = MappingProxyType({}),
    now: float = NOW,
) -> None:
    check_not_revoked(token, trusted, revocations, status_lists, now)


def test_what_stands_in_no_list_is_not_revoked() -> None:
    check_lists()
    check_lists(replace(NOTHING_REVOKED, usable_until=NOW))


TOKENS = frozenset({(ISSUER_URL, "token-1")})
PRINCIPALS = frozenset({(ISSUER_URL, "alice")})


@pytest.mark.parametrize(
    "revocations",
    [
        replace(NOTHING_REVOKED, tokens=TOKENS),
        replace(NOTHING_REVOKED, principals=PRINCIPALS),
        replace(NOTHING_REVOKED, issuers=frozenset({ISSUER_URL})),
        replace(NOTHING_REVOKED, issuer_cutoffs={ISSUER_URL: NOW + 1}),
        replace(NOTHING_REVOKED, principal_cutoffs={(ISSUER_URL, "alice"): NOW + 1}),
        replace(NOTHING_REVOKED, agent_cutoffs={AGENT: NOW + 1}),
    ],
    ids=["token", "principal", "issuer", "cut-off of issuer", "of principal", "of agent"],
)
def test_what_stands_in_a_list_is_revoked(revocations: Revocations) -> None:
    with refused(Reason.TOKEN_REVOKED):
        check_lists(revocations)


@pytest.mark.parametrize(
    "revocations",
    [
        replace(NOTHING_REVOKED, tokens=frozenset({(OTHER_URL, "token-1"), (ISSUER_URL, "token")})),
        replace(NOTHING_REVOKED, principals=frozenset({(OTHER_URL, "alice"), (ISSUER_URL, "bob")})),
        replace(NOTHING_REVOKED, issuers=frozenset({OTHER_URL, f"{ISSUER_URL}/"})),
        replace(NOTHING_REVOKED, issuer_cutoffs={ISSUER_URL: NOW, OTHER_URL: NOW + 1}),
        replace(NOTHING_REVOKED, principal_cutoffs={(ISSUER_URL, "alice"): NOW}),
        replace(NOTHING_REVOKED, agent_cutoffs={AGENT: NOW, OTHER_AGENT: NOW + 1}),
    ],
)
def test_another_entry_revokes_something_else(revocations: Revocations) -> None:
    check_lists(revocations)


def test_a_cut_off_of_an_agent_needs_to_know_the_agent() -> None:
    """A token without a mandate is refused by its own name, one stage later."""
    nobody = verified(issue(act={"sub": "unknown"}))
    check_lists(replace(NOTHING_REVOKED, agent_cutoffs={"unknown": NOW + 1}), token=nobody)


def test_an_agent_that_is_stopped_is_no_matter_of_tokens() -> None:
    check_lists(replace(NOTHING_REVOKED, agents=frozenset({AGENT})))


def test_lists_that_are_too_old_say_nothing() -> None:
    for usable_until in (NOW - 0.001, float("-inf"), float("nan")):
        with refused(Reason.SYSTEM_STATUS_UNAVAILABLE) as denials:
            check_lists(replace(NOTHING_REVOKED, usable_until=usable_until))
        assert denials[0].wanted is None


# Status lists

WITH_STATUS = verified(issue(status={"status_list": {"idx": 1, "uri": STATUS_URI}}))
LISTING = replace(TRUSTED, has_status_lists=True)


def lists(octets: bytes = b"\x00", *, bits: int = 1, usable_until: float = NOW) -> StatusLists:
    return {(ISSUER_URL, STATUS_URI): StatusList(STATUS_URI, bits, octets, usable_until, NOW)}


def check_status(
    status_lists: StatusLists,
    *,
    token: VerifiedToken = WITH_STATUS,
    trusted: TrustedIssuer = LISTING,
) -> None:
    check_lists(token=token, trusted=trusted, status_lists=status_lists)


def test_a_valid_status() -> None:
    assert WITH_STATUS.status == StatusReference(STATUS_URI, 1)
    check_status(lists(b"\xfd"))
    check_status(lists(b"\xf3", bits=2))
    check_status(lists(b"\xff\x00", bits=8))


@pytest.mark.parametrize(
    ("octets", "bits"), [(b"\x02", 1), (b"\x04", 2), (b"\x10", 4), (b"\x00\x03", 8)]
)
def test_any_other_status_is_not_valid(octets: bytes, bits: int) -> None:
    with refused(Reason.TOKEN_REVOKED):
        check_status(lists(octets, bits=bits))


def test_a_status_that_the_list_does_not_have_is_not_valid() -> None:
    with refused(Reason.TOKEN_REVOKED):
        check_status(lists(b""))
    with refused(Reason.TOKEN_REVOKED):
        check_status(lists(b"\x00", bits=8))


@pytest.mark.parametrize(
    "status_lists",
    [
        {},
        lists(usable_until=NOW - 0.001),
        lists(usable_until=float("nan")),
        {(OTHER_URL, STATUS_URI): StatusList(STATUS_URI, 1, b"\x00", NOW, NOW)},
        {(ISSUER_URL, f"{STATUS_URI}2"): StatusList(f"{STATUS_URI}2", 1, b"\x00", NOW, NOW)},
    ],
    ids=["absent", "stale", "no time", "of another issuer", "another list"],
)
def test_without_a_fresh_list_the_status_is_not_known(status_lists: StatusLists) -> None:
    with refused(Reason.SYSTEM_STATUS_UNAVAILABLE) as denials:
        check_status(status_lists)
    assert denials[0].wanted == StatusWanted(ISSUER_URL, STATUS_URI)


def test_a_status_cannot_be_passed_over_because_no_list_is_configured() -> None:
    with refused(Reason.SYSTEM_STATUS_UNAVAILABLE) as denials:
        check_status(lists(), trusted=TRUSTED)
    assert denials[0].wanted is None


def test_a_token_without_status_has_none_unless_it_must() -> None:
    check_status({}, token=TOKEN)
    with refused(Reason.TOKEN_CLAIM_MISSING):
        check_status({}, token=TOKEN, trusted=replace(LISTING, status_required=True))
    check_status(lists(), trusted=replace(LISTING, status_required=True))


# Proof of possession


def peer(certificate: str = "") -> Peer:
    return Peer(
        parse_spiffe_id(AGENT), Assurance.CERTIFICATE_CHECKED, PeerSource.PRINCIPAL, certificate
    )


BOUND_TO_KEY: Json = {"jkt": KEY.thumbprint}
BOUND_TO_CERTIFICATE: Json = {"x5t#S256": CERTIFICATE}
BOUND_TO_BOTH: Json = {"jkt": KEY.thumbprint, "x5t#S256": CERTIFICATE}


def possess(
    cnf: Json = None,
    *,
    certificate: str = "",
    is_dpop: bool = False,
    proof: str | None = "",
    trusted: TrustedIssuer = TRUSTED,
    now: float = NOW,
) -> UseOnce | None:
    """Without a proof given as text it is a good one."""
    compact = issue() if cnf is None else issue(cnf=cnf)
    made = KEY.prove(compact, now=NOW) if proof is None else proof
    credential = Credential(compact, is_dpop=is_dpop, proof=made)
    token = verified(compact)
    return check_possession(token, trusted, credential, peer(certificate), make_request(), now)


def test_a_token_that_is_bound_to_nothing_is_a_bearer_token() -> None:
    assert possess() is None
    assert possess(certificate=CERTIFICATE) is None


def test_binding_may_be_required() -> None:
    required = replace(TRUSTED, binding_required=True)
    with refused(Reason.TOKEN_WRONG_BINDING):
        possess(trusted=required)
    with refused(Reason.TOKEN_WRONG_BINDING):
        possess(trusted=required, is_dpop=True, proof=None)
    assert possess(BOUND_TO_CERTIFICATE, certificate=CERTIFICATE, trusted=required) is None
    assert possess(BOUND_TO_KEY, is_dpop=True, proof=None, trusted=required) is not None


@pytest.mark.parametrize("cnf", [BOUND_TO_CERTIFICATE, BOUND_TO_BOTH])
@pytest.mark.parametrize(
    "certificate", ["", OTHER_CERTIFICATE, CERTIFICATE[:-1], f"{CERTIFICATE}A"]
)
def test_a_token_bound_to_a_certificate_needs_it(cnf: Json, certificate: str) -> None:
    with refused(Reason.TOKEN_WRONG_BINDING):
        possess(cnf, certificate=certificate, is_dpop=cnf is BOUND_TO_BOTH, proof=None)


def test_a_token_bound_to_the_peers_certificate() -> None:
    assert possess(BOUND_TO_CERTIFICATE, certificate=CERTIFICATE) is None


@pytest.mark.parametrize("cnf", [None, BOUND_TO_CERTIFICATE])
@pytest.mark.parametrize("proof", [None, "", "x"])
def test_the_scheme_dpop_is_for_tokens_bound_to_a_key(cnf: Json, proof: str | None) -> None:
    with refused(Reason.TOKEN_WRONG_BINDING):
        possess(cnf, certificate=CERTIFICATE, is_dpop=True, proof=proof)


def test_a_token_bound_to_a_key_comes_with_its_proof() -> None:
    used = possess(BOUND_TO_KEY, is_dpop=True, proof=None)
    assert used is not None
    assert used.key.startswith(f"proof:{KEY.thumbprint}:")
    assert used.until > NOW + TRUSTED.proof_max_age
    both = possess(BOUND_TO_BOTH, certificate=CERTIFICATE, is_dpop=True, proof=None)
    assert both == used


@pytest.mark.parametrize("cnf", [BOUND_TO_KEY, BOUND_TO_BOTH])
@pytest.mark.parametrize(("is_dpop", "proof"), [(False, ""), (False, None), (True, "")])
def test_a_token_bound_to_a_key_is_no_bearer_token(
    cnf: Json, proof: str | None, *, is_dpop: bool
) -> None:
    with refused(Reason.TOKEN_WRONG_BINDING):
        possess(cnf, certificate=CERTIFICATE, is_dpop=is_dpop, proof=proof)


def test_a_proof_that_does_not_hold() -> None:
    bound = issue(cnf=BOUND_TO_KEY)
    for proof in ("x", ProofKey().prove(bound, now=NOW), KEY.prove(issue(), now=NOW)):
        credential = Credential(bound, is_dpop=True, proof=proof)
        with refused(Reason.TOKEN_PROOF_INVALID):
            check_possession(verified(bound), TRUSTED, credential, peer(), make_request(), NOW)


def test_a_proof_is_as_old_as_the_issuer_allows() -> None:
    age = TRUSTED.proof_max_age + SKEW
    assert possess(BOUND_TO_KEY, is_dpop=True, proof=None, now=NOW + age) is not None
    stricter = replace(TRUSTED, proof_max_age=age - SKEW - 1)
    for trusted, late in ((stricter, age), (TRUSTED, age + 1)):
        with refused(Reason.TOKEN_PROOF_INVALID):
            possess(BOUND_TO_KEY, is_dpop=True, proof=None, now=NOW + late, trusted=trusted)


def test_what_a_token_is_bound_to_is_part_of_it() -> None:
    assert TOKEN.confirmation is None
    assert verified(issue(cnf=BOUND_TO_BOTH)).confirmation == Confirmation(
        CERTIFICATE, KEY.thumbprint
    )
    bad: list[Json] = [None, {}, "x", {"jwk": {}}, {"jkt": "x"}, {"x5t#S256": 1}]
    for cnf in bad:
        with refused(Reason.TOKEN_MALFORMED):
            verified(issue(cnf=cnf))


# Obligations

PLAIN_GRANT = Grant(RuleRef("orders", "read"), frozenset(), (), use_once=False, owed=())
GRANT_ONCE = PLAIN_GRANT._replace(use_once=True)
PROOF = UseOnce("proof:x:y", NOW + 60)
TOKEN_NAME = hashlib.sha256(f"{ISSUER_URL}\0token-1".encode()).hexdigest()
ONCE = UseOnce(f"token:{TOKEN_NAME}", NOW + 300 + SKEW)
ASKED = Introspect(ISSUER_URL)
USED_ONCE = replace(TRUSTED, use_once=True)
INTROSPECTED = replace(TRUSTED, introspected=True)


@pytest.mark.parametrize(
    ("trusted", "proof", "grant", "owed"),
    [
        (TRUSTED, None, PLAIN_GRANT, ()),
        (TRUSTED, PROOF, PLAIN_GRANT, (PROOF,)),
        (INTROSPECTED, None, PLAIN_GRANT, (ASKED,)),
        (USED_ONCE, None, PLAIN_GRANT, (ONCE,)),
        (TRUSTED, None, GRANT_ONCE, (ONCE,)),
        (USED_ONCE, PROOF, GRANT_ONCE, (PROOF, ONCE)),
        (INTROSPECTED, PROOF, GRANT_ONCE, (ASKED, PROOF, ONCE)),
    ],
)
def test_what_is_owed_comes_in_order_the_token_itself_last(
    trusted: TrustedIssuer,
    proof: UseOnce | None,
    grant: Grant,
    owed: tuple[UseOnce | Introspect, ...],
) -> None:
    assert find_obligations(TOKEN, trusted, proof, grant) == owed


def test_identifiers_of_two_issuers_are_not_confused() -> None:
    other, trusted = shared_issuer(url=OTHER_URL), make_trusted_issuer(OTHER_URL)
    compact = other.issue(now=NOW, claims={"jti": "token-1"})
    rings = {OTHER_URL: make_key_ring(other)}
    token = verify(bearer(compact), {OTHER_URL: trusted}, rings, NOW, no_recall)
    (mine,) = find_obligations(TOKEN, TRUSTED, None, GRANT_ONCE)
    (theirs,) = find_obligations(token, trusted, None, GRANT_ONCE)
    assert isinstance(mine, UseOnce)
    assert isinstance(theirs, UseOnce)
    assert mine.key != theirs.key


def test_a_token_signed_anew_is_the_same_token() -> None:
    again = verified(issue(note="another text"))
    assert again.digest != TOKEN.digest
    assert find_obligations(again, TRUSTED, None, GRANT_ONCE) == (ONCE,)


def test_a_token_without_identifier_cannot_be_used_once() -> None:
    profile = replace(TRUSTED.mandate_rules.profile, required_claims=(("client_id",),))
    lenient = replace(TRUSTED, mandate_rules=TRUSTED.mandate_rules._replace(profile=profile))
    nameless = verified(shared_issuer().issue(now=NOW, omit=["jti"]), lenient)
    assert find_obligations(nameless, lenient, PROOF, PLAIN_GRANT) == (PROOF,)
    for trusted, grant in ((replace(lenient, use_once=True), PLAIN_GRANT), (lenient, GRANT_ONCE)):
        with refused(Reason.TOKEN_CLAIM_MISSING):
            find_obligations(nameless, trusted, None, grant)
