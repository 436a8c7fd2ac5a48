"""deputize as the example of a gateway configures it, asked as that gateway asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import yaml

from tests.harness.check_message import Verdict
from tests.harness.gateway_checks import Sent
from tests.harness.grpc_client import ask, open_channel
from tests.harness.helm import render
from tests.harness.issuer import Issuer
from tests.harness.service import DeputizeProcess
from tests.harness.service_config import on_this_machine
from tests.harness.spiffe_ca import SpiffeCa, Svid

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs/examples/gateways"
SERVICE = "deputize.deputize.svc.cluster.local"
TRUST_DOMAIN = "cluster.local"
AGENT = f"spiffe://{TRUST_DOMAIN}/ns/agents/sa/research"
OTHER_AGENT = f"spiffe://{TRUST_DOMAIN}/ns/agents/sa/planner"

Spec = dict[str, Any]


def example_config(name: str) -> dict[str, Any]:
    """The configuration in this file, or what the chart makes of it if it is `values.yaml`."""
    file = EXAMPLES / name
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    if file.name == "values.yaml":
        (text,) = [
            thing["data"]["config.yaml"]
            for thing in render(found, needed={})
            if thing["kind"] == "ConfigMap"
        ]
        found = yaml.safe_load(text)
    return found


@dataclass(frozen=True, slots=True)
class GatewayService:
    """The running service, its issuer, and the gateway that may ask."""

    process: DeputizeProcess
    issuer: Issuer
    authority: SpiffeCa
    proxy: Svid

    def token(self) -> str:
        """A fresh token for `AGENT`."""
        return self.issuer.issue(agent=AGENT, now=time.time())

    def sent(
        self,
        body: bytes = b"",
        *,
        headers: tuple[tuple[str, str], ...] = (),
        sans: tuple[str, ...] = (AGENT,),
    ) -> Sent:
        """A read of an order, or a call of the tools with this body.

        It has a good token unless `headers` has one. `sans` are the URIs and DNS names in the
        certificate.
        """
        uris = [name for name in sans if "://" in name]
        dns = [name for name in sans if "://" not in name]
        svid = self.authority.issue("agent", uris=uris, dns=dns)
        if "authorization" not in dict(headers):
            headers = (("authorization", f"Bearer {self.token()}"), *headers)
        if body:
            headers += (("content-type", "application/json"), ("content-length", str(len(body))))
        return Sent(
            "POST" if body else "GET",
            "tools.example" if body else "orders.example",
            "/mcp" if body else "/v1/orders/17?full=1",
            headers,
            sans,
            svid.certificate_pem.decode(),
            body,
        )

    def ask(self, check: bytes, proxy: Svid | None = None) -> Verdict:
        """One check, by the gateway that the example lists or by another."""
        svid = proxy or self.proxy
        credentials = grpc.ssl_channel_credentials(
            self.authority.certificate_file.read_bytes(), svid.private_key_pem, svid.certificate_pem
        )
        options = [("grpc.ssl_target_name_override", SERVICE)]
        with open_channel(self.process.grpc_addresses[0], credentials, options) as channel:
            return ask(channel, check)

    def event(self, verdict: Verdict) -> dict[str, Any]:
        """Its audit event."""
        return self.process.audit_event(verdict.decision_id)


@contextmanager
def running_example(
    name: str, folder: Path, change: Callable[[Spec], None] = lambda _spec: None
) -> Iterator[GatewayService]:
    """Starts deputize with the example's configuration and policy.

    Only ports, keys, files and times are those of a test; `change` may edit more of the `spec`.
    """
    authority = SpiffeCa(TRUST_DOMAIN, folder)
    own = authority.issue("own", dns=[SERVICE])
    config = on_this_machine(example_config(name))
    spec: Spec = config["spec"]
    issuer = Issuer(spec["issuers"][0]["issuer"])
    (folder / "jwks.json").write_bytes(issuer.jwks())
    (allowed,) = spec["server"]["grpc"]["tls"]["allowedCallers"]
    proxy = authority.issue("proxy", uris=[allowed])

    spec["issuers"][0]["keys"] = {"file": "jwks.json"}
    spec["policies"] = [str(EXAMPLES / "policies")]
    spec["server"]["grpc"]["tls"] |= {
        "certificateFile": str(own.certificate_file),
        "privateKeyFile": str(own.private_key_file),
        "clientCaFile": str(authority.certificate_file),
    }
    change(spec)
    with DeputizeProcess(config, folder) as process:
        yield GatewayService(process, issuer, authority, proxy)
