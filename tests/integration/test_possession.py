"""Tokens that are bound to a key or a certificate, through a real Envoy."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from deputize.core.reasons import Reason
from tests.demo.cast import AGENTS, AUDIENCE, HOST
from tests.demo.scene import READ
from tests.demo.stage import Stage, set_stage
from tests.harness.calls import Answer, Call
from tests.harness.dpop_client import ProofKey
from tests.harness.grpc_serving import TRANSPORTS
from tests.harness.issuer import encode_base64url

KEY = ProofKey()
URL = f"https://{HOST}{READ.target}"


@pytest.fixture(scope="module", params=TRANSPORTS)
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    with set_stage(tmp_path_factory.mktemp("stage"), request.param) as running:
        yield running


def bound_token(stage: Stage, cnf: Mapping[str, str]) -> str:
    return stage.issuer.issue(
        agent=AGENTS["research"], audience=AUDIENCE, now=time.time(), claims={"cnf": cnf}
    )


def prove(token: str, *, jti: str, url: str = URL) -> str:
    return KEY.prove(token, now=time.time(), url=url, claims={"jti": jti})


def send(stage: Stage, *headers: tuple[str, str], call: Call = READ) -> Answer:
    return stage.client("research").send(replace(call, headers=headers))


def thumbprint(stage: Stage, agent: str) -> str:
    certificate = x509.load_pem_x509_certificate(stage.agents[agent].certificate_pem)
    return encode_base64url(certificate.fingerprint(hashes.SHA256()))


def test_a_proof_lets_in_once(stage: Stage) -> None:
    token = bound_token(stage, {"jkt": KEY.thumbprint})
    headers = (("authorization", f"DPoP {token}"), ("dpop", prove(token, jti="one")))
    assert send(stage, *headers).status == 200
    assert send(stage, *headers).problem["reason"] == Reason.TOKEN_REPLAYED
    again = (headers[0], ("dpop", prove(token, jti="two")))
    assert send(stage, *again).status == 200


def test_a_bound_token_is_no_bearer_token(stage: Stage) -> None:
    token = bound_token(stage, {"jkt": KEY.thumbprint})
    proof = ("dpop", prove(token, jti="bearer"))
    for headers in (
        [("authorization", f"Bearer {token}")],
        [("authorization", f"Bearer {token}"), proof],
        [("authorization", f"DPoP {token}")],
    ):
        assert send(stage, *headers).problem["reason"] == Reason.TOKEN_WRONG_BINDING


def test_a_proof_is_for_one_url_and_one_token(stage: Stage) -> None:
    token, other = (bound_token(stage, {"jkt": KEY.thumbprint}) for _ in range(2))
    for proof in (
        prove(token, jti="elsewhere", url=f"https://{HOST}/v1/orders/18"),
        prove(token, jti="plain", url=URL.replace("https:", "http:")),
        prove(other, jti="other"),
    ):
        answer = send(stage, ("authorization", f"DPoP {token}"), ("dpop", proof))
        assert answer.problem["reason"] == Reason.TOKEN_PROOF_INVALID


def test_two_proofs_are_none(stage: Stage) -> None:
    token = bound_token(stage, {"jkt": KEY.thumbprint})
    proofs = [("dpop", prove(token, jti=jti)) for jti in ("first", "second")]
    answer = send(stage, ("authorization", f"DPoP {token}"), *proofs)
    assert answer.problem["reason"] == Reason.REQUEST_DUPLICATE_CREDENTIAL


def test_a_token_bound_to_a_certificate_needs_it(stage: Stage) -> None:
    own, foreign = (thumbprint(stage, agent) for agent in ("research", "planner"))
    good = bound_token(stage, {"x5t#S256": own})
    assert send(stage, ("authorization", f"Bearer {good}")).status == 200
    bad = bound_token(stage, {"x5t#S256": foreign})
    answer = send(stage, ("authorization", f"Bearer {bad}"))
    assert answer.problem["reason"] == Reason.TOKEN_WRONG_BINDING


def test_without_a_certificate_such_a_token_is_refused(stage: Stage) -> None:
    options = replace(stage.proxy.options, include_peer_certificate=False)
    blind = stage.open_proxy("blind", options)
    token = bound_token(stage, {"x5t#S256": thumbprint(stage, "research")})
    call = replace(READ, headers=(("authorization", f"Bearer {token}"),))
    answer = stage.client("research", blind).send(call)
    assert answer.problem["reason"] == Reason.TOKEN_WRONG_BINDING
