"""What only a real Envoy shows: identities, failure modes, bodies, HTTP/2, gRPC, access logs."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace

import grpc
import pytest

from deputize.core.model import Assurance, PeerSource
from deputize.core.reasons import Reason
from tests.demo.cast import AGENTS, HOST
from tests.demo.play import identity, play
from tests.demo.scene import ALICE, PLACE, READ, Scene
from tests.demo.serve import calls, write_token
from tests.demo.stage import Stage, set_stage
from tests.demo.story import SCENES
from tests.demo.tokens import WRITE_SCOPE, TokenMaker, token
from tests.harness.calls import Answer, Call, Client
from tests.harness.envoy_proxy import EnvoyProxy
from tests.harness.grpc_client import SERVICE, open_channel
from tests.harness.grpc_serving import TRANSPORTS
from tests.harness.loopback import HOST as LOOPBACK

MEGABYTE = 1024 * 1024
REFUSED = [scene for scene in SCENES if not scene.principal and scene.added_rules is None]
PLANNER = (token("alice", "planner", scope=WRITE_SCOPE),)
ORDER = "/orders.v1.Orders/Get"
RPC_RULE = f"""
    - name: rpc
      effect: allow
      agents: [{AGENTS["research"]}]
      onBehalfOf: [{{issuer: https://idp.example.org, anyone: true}}]
      hosts: [{HOST}]
      methods: [POST]
      paths: ["{ORDER}"]
      scopes: []
"""


@pytest.fixture(scope="module", params=TRANSPORTS)
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    with set_stage(tmp_path_factory.mktemp("stage"), request.param) as running:
        running.set_policy(RPC_RULE)
        yield running


@pytest.fixture(scope="module")
def failing_open(stage: Stage) -> Stage:
    """A proxy that lets a request pass when the question could not be answered."""
    options = replace(stage.proxy.options, failure_mode_allow=True, body_bytes=6 * MEGABYTE)
    return replace(stage, proxy=stage.open_proxy("failing-open", options))


def send(
    stage: Stage, agent: str = "research", call: Call = READ, tokens: tuple[TokenMaker, ...] = ALICE
) -> Answer:
    return stage.client(agent).send(stage.with_tokens(call, tokens))


def send_as(stage: Stage, name: str, *, uris: tuple[str, ...] = (), dns: str = "") -> Answer:
    """A call with alice's token for research, and a certificate with just these names."""
    svid = stage.authority.issue(name, uris=uris, dns=[dns] if dns else [])
    client = Client(stage.proxy.port, svid, stage.authority.certificate_file, HOST)
    return client.send(stage.with_tokens(READ, ALICE))


def call_rpc(stage: Stage, agent: str, tokens: tuple[TokenMaker, ...]) -> grpc.StatusCode:
    """A gRPC call through the proxy, over HTTP/2."""
    svid = stage.agents[agent]
    credentials = grpc.ssl_channel_credentials(
        stage.authority.certificate_file.read_bytes(), svid.private_key_pem, svid.certificate_pem
    )
    options = [("grpc.ssl_target_name_override", HOST)]
    headers = stage.with_tokens(READ, tokens).headers
    metadata = tuple((name.lower(), value) for name, value in headers)
    address = f"{LOOPBACK}:{stage.proxy.port}"
    with open_channel(address, credentials, options) as channel:
        get_order: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(ORDER)
        try:
            get_order(b"", metadata=metadata, timeout=15)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    return grpc.StatusCode.OK


@pytest.mark.parametrize("scene", REFUSED, ids=lambda scene: scene.title)
def test_a_refusal_is_never_a_failure(failing_open: Stage, scene: Scene) -> None:
    assert play(scene, failing_open).faults == []


def test_a_large_body_does_not_get_a_request_through(failing_open: Stage) -> None:
    before = len(failing_open.upstream.arrivals)
    order = replace(PLACE, body=b"x" * (5 * MEGABYTE))
    assert send(failing_open, "planner", order, ()).problem["reason"] == Reason.TOKEN_MISSING
    assert len(failing_open.upstream.arrivals) == before


def test_a_large_body_of_an_allowed_call_arrives_whole(failing_open: Stage) -> None:
    order = replace(PLACE, body=b"x" * (5 * MEGABYTE))
    assert send(failing_open, "planner", order, PLANNER).status == 200
    assert failing_open.upstream.arrivals[-1].body_bytes == 5 * MEGABYTE


def test_a_body_above_the_proxys_limit_is_not_asked_about(stage: Stage) -> None:
    options = replace(stage.proxy.options, body_bytes=1000)
    small = replace(stage, proxy=stage.open_proxy("small-bodies", options))
    before = len(stage.upstream.arrivals), stage.deputize.decisions
    answer = send(small, "planner", replace(PLACE, body=b"x" * 2000), PLANNER)
    assert answer.status == 413
    assert (len(stage.upstream.arrivals), stage.deputize.decisions) == before


def test_a_check_above_our_limit_is_refused(stage: Stage) -> None:
    # grpcio answers it with an RPC error before any code of ours: only a proxy that fails closed
    # refuses then. The native transport refuses it itself, whatever the proxy does on errors.
    is_native = stage.deputize.config["spec"]["server"]["transport"] == "native"
    options = replace(stage.proxy.options, body_bytes=16 * MEGABYTE, failure_mode_allow=is_native)
    large = replace(stage, proxy=stage.open_proxy("large-bodies", options))
    before = len(stage.upstream.arrivals)
    answer = send(large, "planner", replace(PLACE, body=b"x" * (9 * MEGABYTE)), PLANNER)
    if is_native:
        assert (answer.status, answer.problem["reason"]) == (400, Reason.REQUEST_MALFORMED)
    else:
        assert (answer.status, answer.problem) == (403, {})
    assert len(stage.upstream.arrivals) == before


def test_large_headers_are_checked(failing_open: Stage) -> None:
    padded = replace(READ, headers=(("x-padding", "x" * 50_000),))
    assert send(failing_open, call=padded).status == 200
    assert send(failing_open, call=padded, tokens=()).problem["reason"] == Reason.TOKEN_MISSING


def test_too_large_headers_get_nowhere(failing_open: Stage) -> None:
    before = len(failing_open.upstream.arrivals)
    assert send(failing_open, call=replace(READ, headers=(("x", "x" * 70_000),))).status == 431
    assert len(failing_open.upstream.arrivals) == before


@pytest.mark.parametrize(
    ("agent", "tokens", "code"),
    [
        ("research", (), grpc.StatusCode.UNAUTHENTICATED),
        ("planner", ALICE, grpc.StatusCode.PERMISSION_DENIED),
    ],
)
def test_grpc_clients_get_grpc_codes(
    failing_open: Stage, agent: str, tokens: tuple[TokenMaker, ...], code: grpc.StatusCode
) -> None:
    before = len(failing_open.upstream.arrivals)
    assert call_rpc(failing_open, agent, tokens) is code
    assert len(failing_open.upstream.arrivals) == before


def test_an_allowed_call_over_http2(stage: Stage) -> None:
    call_rpc(stage, "research", ALICE)
    arrival = stage.upstream.arrivals[-1]
    told = dict(identity(arrival))
    assert arrival.target == ORDER
    assert told["x-deputize-principal"] == "alice"
    logged = stage.proxy.logged(told["x-deputize-decision-id"])
    assert (logged["protocol"], logged["status"]) == ("HTTP/2", 200)


@pytest.mark.parametrize("assurance", Assurance)
def test_the_event_says_how_the_peer_was_established(stage: Stage, assurance: Assurance) -> None:
    sends_certificate = assurance is Assurance.CERTIFICATE_CHECKED
    options = replace(stage.proxy.options, include_peer_certificate=sends_certificate)
    proxy = stage.open_proxy(assurance.value, options)
    assert send(replace(stage, proxy=proxy)).status == 200
    (decision_id,) = stage.upstream.arrivals[-1].header("x-deputize-decision-id")
    event = stage.deputize.audit_event(decision_id)
    assert event["peer"] == {
        "spiffe_id": AGENTS["research"],
        "assurance": assurance,
        "source": PeerSource.PRINCIPAL,
    }


def test_a_dns_name_that_reads_like_an_identity(stage: Stage) -> None:
    answer = send_as(stage, "spoof", dns=AGENTS["research"])
    assert answer.problem["reason"] == Reason.PEER_SVID_INVALID


def test_a_certificate_with_two_identities(stage: Stage) -> None:
    answer = send_as(stage, "two-faced", uris=(AGENTS["research"], AGENTS["planner"]))
    assert answer.problem["reason"] == Reason.PEER_SVID_INVALID


@pytest.mark.parametrize(
    "uris",
    [
        ("https://research.example", AGENTS["research"]),
        ("spiffe://prod.example.org",),
        ("spiffe://prod.example.org/ns/../sa/research",),
        ("SPIFFE://prod.example.org/ns/agents/sa/research",),
    ],
)
def test_a_certificate_without_a_workload_identity(stage: Stage, uris: tuple[str, ...]) -> None:
    answer = send_as(stage, "odd", uris=uris)
    assert answer.problem["reason"] == Reason.PEER_MALFORMED


def test_a_certificate_with_only_a_dns_name(stage: Stage) -> None:
    answer = send_as(stage, "dns", dns="research.example")
    assert answer.problem["reason"] == Reason.PEER_MALFORMED


def test_the_access_log_tells_of_a_refusal(stage: Stage) -> None:
    answer = send(stage, "planner")
    metadata = _metadata(stage.proxy, answer.header("x-deputize-decision-id"))
    assert metadata["effect"] == "deny"
    assert metadata["reason"] == Reason.DELEGATION_ACTOR_MISMATCH
    assert metadata["peer"] == AGENTS["planner"]


def test_the_access_log_tells_of_an_allow(stage: Stage) -> None:
    assert send(stage).status == 200
    (decision_id,) = stage.upstream.arrivals[-1].header("x-deputize-decision-id")
    metadata = _metadata(stage.proxy, decision_id)
    assert metadata["effect"] == "allow"
    assert metadata["reason"] == Reason.POLICY_ALLOWED
    assert metadata["principal"] == "alice"
    assert metadata["rule"] == "orders/read-orders"


@pytest.mark.parametrize(
    ("service", "status"),
    [("", 200), (SERVICE, 200), ("somebody.Else", 403)],
)
def test_health_checks_know_two_names(stage: Stage, service: str, status: int) -> None:
    options = replace(stage.proxy.options, health_service=service)
    proxy = stage.open_proxy(f"health-{service or 'any'}", options)
    assert send(replace(stage, proxy=proxy)).status == status


def test_answers_pass_the_proxys_own_validation(stage: Stage) -> None:
    options = replace(stage.proxy.options, validate_mutations=True)
    strict = replace(stage, proxy=stage.open_proxy("strict", options))
    assert send(strict).status == 200
    assert send(strict, tokens=()).problem["reason"] == Reason.TOKEN_MISSING


def test_the_commands_the_demo_prints(stage: Stage) -> None:
    write_token(stage)
    shell = ["/bin/sh", "-c"]
    answers = [
        subprocess.check_output([*shell, command], text=True)  # noqa: S603 - our own commands
        for _title, command in calls(stage)
    ]
    assert [answer.split()[1] for answer in answers] == ["200", "403", "401"]


def _metadata(proxy: EnvoyProxy, decision_id: str) -> dict[str, object]:
    metadata: dict[str, object] = proxy.logged(decision_id)["ext_authz"]
    return metadata
