"""mTLS between Envoy and deputize: only proxies on the list may ask."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from deputize.core.reasons import Reason
from tests.demo.scene import ALICE, READ
from tests.demo.stage import Stage, set_stage
from tests.harness.calls import Answer
from tests.harness.polling import wait_until
from tests.harness.service import DeputizeProcess
from tests.harness.service_config import with_own_ports
from tests.harness.spiffe_ca import SpiffeCa, Svid

GATEWAY = "spiffe://prod.example.org/ns/edge/sa/gateway"
INTRUDER = "spiffe://prod.example.org/ns/edge/sa/intruder"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A service whose port asks for certificates. Its own may be replaced."""

    stage: Stage
    deputize: DeputizeProcess
    own: Svid

    def call_through(self, name: str, proxy: Svid, authority: SpiffeCa | None = None) -> Answer:
        """A good call through a proxy with this certificate, which trusts this authority."""
        trusted = (authority or self.stage.authority).certificate_file
        options = replace(
            self.stage.proxy.options,
            deputize=self.deputize.grpc_addresses,
            deputize_tls=(proxy, trusted),
        )
        client = self.stage.client("research", self.stage.open_proxy(name, options))
        return client.send(self.stage.with_tokens(READ, ALICE))

    def served_certificate(self) -> str:
        """What the port shows now, as PEM."""
        host, _, port = self.deputize.grpc_addresses[0].rpartition(":")
        return ssl.get_server_certificate((host, int(port)))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with set_stage(tmp_path_factory.mktemp("stage")) as stage:
        own = stage.authority.issue("deputize", uris=["spiffe://prod.example.org/ns/deputize"])
        config = with_own_ports(stage.deputize.config)
        config["spec"]["server"]["grpc"]["tls"] = {
            "certificateFile": str(own.certificate_file),
            "privateKeyFile": str(own.private_key_file),
            "clientCaFile": str(stage.authority.certificate_file),
            "allowedCallers": [GATEWAY],
        }
        yield Guarded(stage, stage.open_deputize("guarded", config), own)


def test_a_listed_proxy_may_ask(guarded: Guarded) -> None:
    gateway = guarded.stage.authority.issue("gateway", uris=[GATEWAY])
    assert guarded.call_through("envoy-gateway", gateway).status == 200


@pytest.mark.parametrize(
    ("name", "uris"), [("intruder", (INTRUDER,)), ("two-faced", (GATEWAY, INTRUDER))]
)
def test_another_proxy_of_the_same_authority_may_not(
    guarded: Guarded, name: str, uris: tuple[str, ...]
) -> None:
    proxy = guarded.stage.authority.issue(name, uris=uris)
    answer = guarded.call_through(f"envoy-{name}", proxy)
    assert answer.problem["reason"] == Reason.PEER_UNTRUSTED_SOURCE


def test_a_proxy_of_another_authority_gets_no_connection(guarded: Guarded) -> None:
    folder = guarded.stage.folder / "other-authority"
    folder.mkdir()
    stranger = SpiffeCa("prod.example.org", folder).issue("gateway", uris=[GATEWAY])
    before = guarded.deputize.decisions
    answer = guarded.call_through("envoy-stranger", stranger)
    assert (answer.status, answer.problem) == (403, {})
    assert guarded.deputize.decisions == before


def test_a_renewed_certificate_is_shown_without_a_restart(guarded: Guarded) -> None:
    before = guarded.served_certificate()
    renewed = guarded.stage.authority.issue("deputize", uris=["spiffe://prod.example.org/ns/new"])
    assert renewed == guarded.own
    after = wait_until(
        lambda: shown if (shown := guarded.served_certificate()) != before else None, 10
    )
    assert after.strip().encode() == renewed.certificate_pem.strip()
    gateway = guarded.stage.authority.issue("gateway-again", uris=[GATEWAY])
    assert guarded.call_through("envoy-again", gateway).status == 200
