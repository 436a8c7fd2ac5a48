"""The stage of the story: agents, issuer, proxy, deputize and upstream, all real, all local.

agent --- mTLS, token ---> Envoy ------> orders API
                             | may it?
                             v
                          deputize <--- keys --- issuer
                                                 approval service
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from tests.demo.cast import AGENTS, AUDIENCE, HOST, ISSUER, MAX_CHAIN_DEPTH, TRUST_DOMAIN
from tests.demo.tokens import TokenMaker
from tests.harness.approvals import APPROVALS_URL, ApprovalDesk
from tests.harness.calls import Call, Client
from tests.harness.envoy_bootstrap import ProxyOptions
from tests.harness.envoy_proxy import EnvoyProxy
from tests.harness.issuer import Issuer
from tests.harness.jwks_endpoint import running_jwks_endpoint
from tests.harness.loopback import HOST as LOOPBACK
from tests.harness.loopback import free_port
from tests.harness.polling import wait_until
from tests.harness.service import DeputizeProcess
from tests.harness.service_config import service_config
from tests.harness.spiffe_ca import SpiffeCa, Svid
from tests.harness.upstream import Upstream, running_upstream

POLICIES = Path(__file__).parent / "policies"
APPROVAL_HEADER = "x-approval"
_BODY_BYTES = 65536
_RELOAD_SECONDS = 15

Link = Literal["tcp", "unix"]


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that is up. Its files are in `folder`."""

    folder: Path
    authority: SpiffeCa
    agents: dict[str, Svid]
    issuer: Issuer
    desk: ApprovalDesk
    upstream: Upstream
    deputize: DeputizeProcess
    proxy: EnvoyProxy
    cleanup: ExitStack
    approvals: list[str] = field(default_factory=list)

    @property
    def policy_file(self) -> Path:
        return self.folder / "policies" / "orders.yaml"

    def client(self, agent: str, proxy: EnvoyProxy | None = None) -> Client:
        """The agent, ready to call through the proxy of the story, or another one."""
        port = (proxy or self.proxy).port
        return Client(port, self.agents[agent], self.authority.certificate_file, HOST)

    def with_tokens(self, call: Call, tokens: tuple[TokenMaker, ...]) -> Call:
        """The call with each of the tokens, freshly issued, in a header of its own."""
        now = time.time()
        credentials = tuple(
            ("Authorization", f"Bearer {make(self.issuer, now)}") for make in tokens
        )
        return replace(call, headers=(*call.headers, *credentials))

    def approve(self, asked: Mapping[str, object]) -> None:
        """Carol looks at what is asked for, and signs it."""
        self.approvals.append(self.desk.approve(asked, now=time.time()))

    def open_proxy(self, name: str, options: ProxyOptions) -> EnvoyProxy:
        """Starts a further proxy; its files are in the folder `name`."""
        return self.cleanup.enter_context(EnvoyProxy(options, self.folder / name))

    def open_deputize(self, name: str, config: dict[str, Any]) -> DeputizeProcess:
        """Starts a further service; its files are in the folder `name`."""
        return self.cleanup.enter_context(DeputizeProcess(config, self.folder / name))

    def set_policy(self, added_rules: str) -> None:
        """Puts rules at the end of the policy file and waits until deputize decides by it."""
        text = (POLICIES / self.policy_file.name).read_text() + added_rules
        if text == self.policy_file.read_text():
            return
        before = self.deputize.policy_digest
        # Like a careful editor: the file is never there half written.
        draft = self.policy_file.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(self.policy_file)
        wait_until(lambda: self.deputize.policy_digest != before, _RELOAD_SECONDS, "the new policy")


@contextmanager
def set_stage(folder: Path, transport: str = "grpcio", link: Link = "tcp") -> Iterator[Stage]:
    """Starts everything, and ends it afterwards. `folder` exists and is empty.

    `link` is how Envoy reaches deputize.
    """
    with ExitStack() as cleanup:
        authority = SpiffeCa(TRUST_DOMAIN, folder)
        issuer, desk = Issuer(ISSUER), ApprovalDesk()
        upstream = cleanup.enter_context(running_upstream())
        jwks_url = cleanup.enter_context(running_jwks_endpoint(issuer.jwks))
        shutil.copytree(POLICIES, folder / "policies")
        config = service_config(
            issuer=ISSUER,
            audience=AUDIENCE,
            keys={"url": jwks_url},
            trust_domains=[TRUST_DOMAIN],
            policies=[str(folder / "policies")],
            grpc_listen=[
                f"{LOOPBACK}:{free_port()}" if link == "tcp" else f"unix:{folder / 'deputize.sock'}"
            ],
            transport=transport,
        )
        (folder / "approvals.json").write_bytes(desk.issuer.jwks())
        approval_keys = {"file": str(folder / "approvals.json")}
        config["spec"]["approvals"] = {
            "header": APPROVAL_HEADER,
            "services": [{"issuer": APPROVALS_URL, "keys": approval_keys}],
        }
        config["spec"]["delegation"] = {"maxChainDepth": MAX_CHAIN_DEPTH}
        deputize = cleanup.enter_context(DeputizeProcess(config, folder))
        options = ProxyOptions(
            deputize=deputize.grpc_addresses,
            upstream_port=upstream.port,
            server=authority.issue("envoy-server", dns=[HOST, "localhost"], addresses=[LOOPBACK]),
            client_authority=authority.certificate_file,
            body_bytes=_BODY_BYTES,
        )
        yield Stage(
            folder=folder,
            authority=authority,
            agents={name: authority.issue(name, uris=[uri]) for name, uri in AGENTS.items()},
            issuer=issuer,
            desk=desk,
            upstream=upstream,
            deputize=deputize,
            proxy=cleanup.enter_context(EnvoyProxy(options, folder / "envoy")),
            cleanup=cleanup,
        )
