"""What must not get through, behind what Istio itself configures.

Where an example is changed, it is by one thing, and the change is one that an operator could make.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path

import pytest
import yaml

from deputize.core.reasons import Reason
from tests.harness.calls import Answer, Call
from tests.harness.istio_config import Manifest
from tests.harness.istio_stage import (
    PORT,
    MeshStage,
    manifests_of,
    mesh_config_of,
    set_mesh_stage,
    spiffe_id,
)
from tests.harness.istio_walkthrough import Line, lines

ALLOWED, *_ = (line for line in lines() if line.reason == Reason.POLICY_ALLOWED)
UNASKED, *_ = (line for line in lines() if not line.reason)
WAYPOINT = spiffe_id("store", "waypoint")
XFCC = "x-forwarded-client-cert"
GRPC = (("content-type", "application/grpc"), ("te", "trailers"))
EMPTY_CHECK = Call("POST", "/envoy.service.auth.v3.Authorization/Check", GRPC, bytes(5))
REFUSED_BY_THE_MESH = "RBAC: access denied"

of_sidecar = pytest.mark.parametrize("stage", ["sidecar"], indirect=True)
of_waypoint = pytest.mark.parametrize("stage", ["waypoint"], indirect=True)


def send(stage: MeshStage, agent: str, *headers: tuple[str, str]) -> Answer:
    """The call that research may make, by the agent and with further headers."""
    call = ALLOWED.call(stage.folder)
    return stage.send(agent, "orders", replace(call, headers=(*call.headers, *headers)))


def not_http(stage: MeshStage) -> float:
    """How many connections were refused for not being HTTP."""
    return stage.deputize.metric("deputize_refusals_total", reason="request.not_http")


def custom_policy(manifests: list[Manifest]) -> Manifest:
    """The policy that makes proxies ask."""
    (found,) = (each for each in manifests if each.get("spec", {}).get("action") == "CUSTOM")
    return found


@pytest.mark.parametrize(
    "spoof",
    [
        f"By={WAYPOINT};URI={spiffe_id('agents', 'research')}",
        f"URI={spiffe_id('agents', 'research')}",
        f"By={WAYPOINT};URI={spiffe_id('agents', 'research')},By=x",
    ],
)
def test_an_agent_cannot_write_its_own_name(stage: MeshStage, spoof: str) -> None:
    assert send(stage, "research", (XFCC, spoof)).status == 200
    for headers in [(XFCC, spoof)], [(XFCC, spoof), (XFCC, spoof)]:
        answer = send(stage, "planner", *headers)
        assert answer.problem["reason"] == Reason.DELEGATION_ACTOR_MISMATCH


def test_what_agents_say_of_themselves_does_not_reach_the_api(stage: MeshStage) -> None:
    seen = len(stage.upstream.arrivals)
    assert send(stage, "research", ("x-deputize-principal", "root")).status == 200
    (arrival,) = stage.upstream.arrivals[seen:]
    assert arrival.header("x-deputize-principal") == ["alice"]
    assert arrival.header("x-deputize-agent") == [spiffe_id("agents", "research")]
    assert arrival.header("authorization") == []


@pytest.mark.parametrize("line", [ALLOWED, UNASKED], ids=lambda line: line.title)
def test_nobody_gets_through_in_plain_text(stage: MeshStage, line: Line) -> None:
    before = len(stage.upstream.arrivals)
    with pytest.raises((OSError, HTTPException)):
        stage.way("orders").send(None, line.call(stage.folder))
    assert len(stage.upstream.arrivals) == before


def test_a_foreign_trust_domain_gets_nowhere(stage: MeshStage) -> None:
    foreign = stage.authority.issue(
        "foreign", uris=["spiffe://other.example/ns/agents/sa/research"]
    )
    before = len(stage.upstream.arrivals)
    if stage.example == "gateway":
        # Here the authority is the same one, and nothing but the name tells them apart.
        answer = stage.way("orders").send(foreign, ALLOWED.call(stage.folder))
        assert answer.problem["reason"] == Reason.PEER_UNTRUSTED_DOMAIN
    else:
        with pytest.raises(OSError):  # noqa: PT011 - the proxy ends the connection as it likes
            stage.way("orders").send(foreign, ALLOWED.call(stage.folder))
    assert len(stage.upstream.arrivals) == before


@pytest.mark.parametrize("stage", ["sidecar", "local", "waypoint"], indirect=True)
def test_an_api_is_not_reached_by_the_rules_of_another(stage: MeshStage) -> None:
    way, before = stage.way("reviews"), len(stage.upstream.arrivals)
    answer = replace(way, host=stage.way("orders").host).send(
        stage.svid("agents", ALLOWED.agent), ALLOWED.call(stage.folder)
    )
    assert (answer.status, answer.body.decode()) == (403, REFUSED_BY_THE_MESH)
    assert len(stage.upstream.arrivals) == before


@pytest.mark.parametrize("stage", ["sidecar", "local"], indirect=True)
def test_a_port_that_nobody_thought_of_is_not_open(stage: MeshStage) -> None:
    before, asked = len(stage.upstream.arrivals), stage.deputize.decisions
    way, agent = stage.open_sidecar("orders", "store", 9999), stage.svid("agents", ALLOWED.agent)
    with pytest.raises((OSError, HTTPException)):
        way.send(agent, UNASKED.call(stage.folder))
    assert stage.deputize.decisions == asked + 1
    assert len(stage.upstream.arrivals) == before


@of_waypoint
def test_a_waypoint_asks_whatever_the_port_of_the_service(stage: MeshStage, tmp_path: Path) -> None:
    manifests = manifests_of("waypoint")
    for each in manifests:
        if each["kind"] == "Service":
            each["spec"]["ports"][0] |= {"port": 80, "targetPort": 8080}
    with stage.changed(tmp_path, manifests=manifests) as changed:
        way = changed.way("orders")
        to_service = f"{changed.cluster.service_address('orders', 'store')}:80"
        way = replace(way, caller=replace(way.caller, tunnel_to=to_service))
        call = Call("GET", ALLOWED.target)
        answer = way.send(stage.svid("agents", ALLOWED.agent), call)
        assert answer.problem["reason"] == Reason.TOKEN_MISSING


@of_waypoint
def test_a_waypoint_without_the_annotation_names_nobody(stage: MeshStage, tmp_path: Path) -> None:
    manifests = manifests_of("waypoint")
    (gateway,) = (each for each in manifests if each["kind"] == "Gateway")
    gateway["metadata"]["annotations"].clear()
    spoof = (XFCC, f"By={WAYPOINT};URI={spiffe_id('agents', 'research')}")
    with stage.changed(tmp_path, manifests=manifests) as changed:
        assert send(changed, "research").problem["reason"] == Reason.PEER_MISSING
        assert send(changed, "research", spoof).problem["reason"] == Reason.PEER_MISSING


@of_sidecar
def test_without_strict_mtls_the_unnamed_get_only_where_nobody_asks(
    stage: MeshStage, tmp_path: Path
) -> None:
    manifests = [each for each in manifests_of("sidecar") if each["kind"] != "PeerAuthentication"]
    with stage.changed(tmp_path, manifests=manifests) as changed:
        way = changed.way("orders")
        answer = way.send(None, ALLOWED.call(stage.folder))
        assert answer.problem["reason"] == Reason.PEER_MISSING
        assert way.send(None, UNASKED.call(stage.folder)).status == 200


@of_waypoint
def test_a_provider_that_the_mesh_does_not_know_refuses(stage: MeshStage, tmp_path: Path) -> None:
    mesh = yaml.safe_load(mesh_config_of("waypoint").read_text())
    (provider,) = mesh["extensionProviders"]
    provider["name"] = "another"
    asked = stage.deputize.decisions
    with stage.changed(tmp_path, mesh=mesh) as changed:
        answer = send(changed, "research")
        assert (answer.status, answer.body.decode()) == (403, REFUSED_BY_THE_MESH)
    assert stage.deputize.decisions == asked


@of_waypoint
def test_a_second_provider_refuses(stage: MeshStage, tmp_path: Path) -> None:
    mesh = yaml.safe_load(mesh_config_of("waypoint").read_text())
    (provider,) = mesh["extensionProviders"]
    mesh["extensionProviders"].append({**provider, "name": "another"})
    manifests = manifests_of("waypoint")
    second = copy.deepcopy(custom_policy(manifests))
    second["metadata"]["name"] = second["spec"]["provider"]["name"] = "another"
    manifests.append(second)
    asked = stage.deputize.decisions
    with stage.changed(tmp_path, manifests=manifests, mesh=mesh) as changed:
        answer = send(changed, "research")
        assert (answer.status, answer.body.decode()) == (403, REFUSED_BY_THE_MESH)
    assert stage.deputize.decisions == asked


@of_waypoint
def test_a_policy_for_the_whole_namespace_is_nothing_to_a_waypoint(
    stage: MeshStage, tmp_path: Path
) -> None:
    manifests = manifests_of("waypoint")
    del custom_policy(manifests)["spec"]["targetRefs"]
    asked = stage.deputize.decisions
    with stage.changed(tmp_path, manifests=manifests) as changed:
        assert send(changed, "planner").status == 200
    assert stage.deputize.decisions == asked


@of_sidecar
def test_connections_to_a_tcp_port_are_refused(stage: MeshStage, tmp_path: Path) -> None:
    # What the policy excepts, `notPaths`, is for HTTP only; Istio leaves it out and asks about all.
    manifests = manifests_of("sidecar")
    (service,) = (
        each
        for each in manifests
        if each["kind"] == "Service" and each["metadata"]["name"] == "orders"
    )
    service["spec"]["ports"][0] |= {"name": "tcp", "appProtocol": "tcp"}
    before = not_http(stage)
    broken = pytest.raises((OSError, HTTPException))
    with stage.changed(tmp_path, manifests=manifests) as changed, broken:
        send(changed, "research")
    assert not_http(stage) == before + 1


def test_no_answer_means_no(tmp_path: Path) -> None:
    with set_mesh_stage("waypoint", tmp_path) as stage:
        assert send(stage, "research").status == 200
        stage.deputize.stop()
        assert send(stage, "research").status == 403
        assert len(stage.upstream.arrivals) == 1


@pytest.mark.parametrize("stage", ["sidecar", "gateway"], indirect=True)
def test_only_listed_proxies_may_ask(stage: MeshStage) -> None:
    way = stage.open_sidecar("deputize", "deputize", 9191)
    proxy = {"sidecar": ("store", "orders"), "gateway": ("edge", "edge-istio")}[stage.example]
    asked = stage.deputize.decisions
    assert way.send(stage.svid(*proxy), EMPTY_CHECK).status == 200
    assert stage.deputize.decisions == asked + 1
    for other in (("agents", "research"), ("store", "default")):
        answer = way.send(stage.svid(*other), EMPTY_CHECK)
        assert answer.header("grpc-status") == "7"
        assert answer.header("grpc-message") == REFUSED_BY_THE_MESH
    with pytest.raises((OSError, HTTPException)):
        way.send(None, EMPTY_CHECK)
    assert stage.deputize.decisions == asked + 1


@pytest.mark.parametrize("stage", ["gateway"], indirect=True)
def test_behind_the_gateway_only_the_gateway_may_call(stage: MeshStage) -> None:
    way = stage.open_sidecar("orders", "store", PORT)
    gateway, agent = stage.svid("edge", "edge-istio"), stage.svid("agents", "research")
    assert way.send(gateway, UNASKED.call(stage.folder)).status == 200
    answer = way.send(agent, ALLOWED.call(stage.folder))
    assert (answer.status, answer.body.decode()) == (403, REFUSED_BY_THE_MESH)
