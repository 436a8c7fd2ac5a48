"""Peers that a real Envoy names in other ways than by its connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from deputize.core.reasons import Reason
from tests.demo.cast import AGENTS
from tests.demo.scene import ALICE, READ
from tests.demo.stage import Stage, set_stage
from tests.harness.calls import Answer
from tests.harness.envoy_bootstrap import Yaml
from tests.harness.envoy_proxy import EnvoyProxy
from tests.harness.service_config import with_own_ports

WAYPOINT = "spiffe://prod.example.org/ns/shop/sa/waypoint"
NAMESPACE = "agent.peer"
XFCC = "x-forwarded-client-cert"


@dataclass(frozen=True, slots=True)
class Named:
    """A stage with a further deputize that reads peers elsewhere."""

    stage: Stage
    addresses: list[str]

    def proxy(
        self, name: str, waypoint: str | None = None, metadata: Mapping[str, Yaml] = {}
    ) -> EnvoyProxy:
        """A proxy before that deputize. It does not send certificates, as at a waypoint."""
        options = replace(
            self.stage.proxy.options,
            deputize=self.addresses,
            include_peer_certificate=False,
            waypoint=waypoint,
            peer_metadata=metadata,
        )
        return self.stage.open_proxy(name, options)

    def send(self, proxy: EnvoyProxy, agent: str = "research", spoof: str = "") -> Answer:
        """A good call of `research`, with a token of alice's, by whom and with what is given."""
        call = replace(READ, headers=((XFCC, spoof),)) if spoof else READ
        return self.stage.client(agent, proxy).send(self.stage.with_tokens(call, ALICE))


def named(stage: Stage, name: str, peer: dict[str, Any]) -> Named:
    config = with_own_ports(stage.deputize.config)
    config["spec"]["peer"].update(peer)
    return Named(stage, stage.open_deputize(name, config).grpc_addresses)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with set_stage(tmp_path_factory.mktemp("stage")) as running:
        yield running


@pytest.fixture(scope="module")
def waypoint(stage: Stage) -> Named:
    return named(stage, "behind", {"source": "waypoint-xfcc", "waypoints": [WAYPOINT]})


@pytest.fixture(scope="module")
def gateway(stage: Stage) -> Named:
    return named(stage, "told", {"source": "metadata", "metadataNamespace": NAMESPACE})


def test_a_waypoint_names_its_clients(waypoint: Named) -> None:
    proxy = waypoint.proxy("waypoint", waypoint=WAYPOINT)
    assert waypoint.send(proxy).status == 200
    assert waypoint.send(proxy, "planner").problem["reason"] == Reason.DELEGATION_ACTOR_MISMATCH


def test_what_a_client_says_of_itself_is_replaced(waypoint: Named) -> None:
    proxy = waypoint.proxy("replacing", waypoint=WAYPOINT)
    spoof = f"By={WAYPOINT};URI={AGENTS['research']}"
    answer = waypoint.send(proxy, "planner", spoof)
    assert answer.problem["reason"] == Reason.DELEGATION_ACTOR_MISMATCH


def test_a_waypoint_that_is_not_listed_names_nobody(waypoint: Named) -> None:
    proxy = waypoint.proxy("unlisted", waypoint=f"{WAYPOINT}-other")
    assert waypoint.send(proxy).problem["reason"] == Reason.PEER_UNTRUSTED_SOURCE


def test_a_proxy_that_names_nobody_is_no_waypoint(waypoint: Named) -> None:
    proxy = waypoint.proxy("silent")
    spoof = f"By={WAYPOINT};URI={AGENTS['research']}"
    assert waypoint.send(proxy).problem["reason"] == Reason.PEER_MISSING
    assert waypoint.send(proxy, spoof=spoof).problem["reason"] == Reason.PEER_MISSING


def test_a_certificate_with_two_identities_has_no_name_at_a_waypoint(waypoint: Named) -> None:
    proxy = waypoint.proxy("two-named", waypoint=WAYPOINT)
    svid = waypoint.stage.authority.issue("two", uris=(AGENTS["research"], AGENTS["planner"]))
    stage = replace(waypoint.stage, agents={"two": svid})
    answer = replace(waypoint, stage=stage).send(proxy, "two")
    assert answer.problem["reason"] == Reason.PEER_MALFORMED


def test_metadata_names_the_peer(gateway: Named) -> None:
    sans = [AGENTS["research"], "research.agents.svc"]
    proxy = gateway.proxy("telling", metadata={NAMESPACE: {"sans": sans}})
    # It names the one of the connection too, and they must agree.
    assert gateway.send(proxy).status == 200
    assert gateway.send(proxy, "planner").problem["reason"] == Reason.PEER_UNTRUSTED_SOURCE


@pytest.mark.parametrize(
    ("name", "metadata", "reason"),
    [
        ("nothing", {}, Reason.PEER_MISSING),
        ("another", {"other": {"sans": [AGENTS["research"]]}}, Reason.PEER_MISSING),
        ("empty", {NAMESPACE: {"sans": []}}, Reason.PEER_MISSING),
        ("text", {NAMESPACE: {"sans": AGENTS["research"]}}, Reason.PEER_MALFORMED),
        (
            "two",
            {NAMESPACE: {"sans": [AGENTS["research"], AGENTS["planner"]]}},
            Reason.PEER_SVID_INVALID,
        ),
        (
            "certificate",
            {NAMESPACE: {"sans": [AGENTS["research"]], "cert": "none"}},
            Reason.PEER_SVID_INVALID,
        ),
    ],
)
def test_metadata_that_names_nobody(
    gateway: Named, name: str, metadata: dict[str, Any], reason: Reason
) -> None:
    proxy = gateway.proxy(f"metadata-{name}", metadata=metadata)
    assert gateway.send(proxy).problem["reason"] == reason
