"""Agents, an issuer, an approval service, Envoy, deputize and what agents call, all real.

Policies are mappings, so that a test can say in a line what it is about.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.harness.agent_proxy import AgentProxy, BodyOptions
from tests.harness.agent_upstream import AgentUpstream, running_agent_upstream
from tests.harness.approvals import APPROVALS_URL, ApprovalDesk
from tests.harness.calls import Answer, Call
from tests.harness.config_files import replace_file
from tests.harness.curl import Curl, Version
from tests.harness.envoy_bootstrap import ProxyOptions
from tests.harness.issuer import Issuer
from tests.harness.loopback import HOST, free_port
from tests.harness.polling import wait_until
from tests.harness.service import DeputizeProcess
from tests.harness.service_config import service_config
from tests.harness.spiffe_ca import SpiffeCa, Svid
from tests.harness.world import AGENT, AUDIENCE, ISSUER_URL, TRUST_DOMAIN

WHOLE_BODIES = BodyOptions(max_bytes=4 * 1024 * 1024)
SCOPES = "tools:read tasks orders"
HOSTS = ("tools.example", "light.example", "agents.example", "grpc.example", "chat.example")
_RELOAD_SECONDS = 15

Rule = dict[str, Any]


def allow(name: str, host: str, *, path: str = "/mcp", method: str = "POST", **more: Any) -> Rule:  # noqa: ANN401 - members of YAML
    """A rule for the agent; `more` adds or replaces members."""
    return {
        "name": name,
        "effect": "allow",
        "agents": [AGENT],
        "onBehalfOf": [{"issuer": ISSUER_URL, "anyone": True}],
        "hosts": [host],
        "methods": [method],
        "paths": [path],
        "scopes": [],
        **more,
    }


def tool(name: str, **more: Any) -> Rule:  # noqa: ANN401 - members of YAML
    """A rule for the MCP tool of this name."""
    calls = {"methods": ["tools/call"], "names": [name]}
    return allow(name.replace("_", "-"), "tools.example", mcp=calls) | more


def tool_call(name: str, arguments: Mapping[str, object] = {}, *, number: int | str = 1) -> bytes:
    """The body of a call of an MCP tool."""
    params = {"name": name, "arguments": dict(arguments)}
    return rpc("tools/call", params, number=number)


def rpc(method: str, params: Mapping[str, object], *, number: int | str = 1) -> bytes:
    """The body of a JSON-RPC request."""
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return json.dumps(message).encode()


def facts_of(refusal: Answer) -> dict[str, Any]:
    """What a refusal says, in a problem document or in the data of a JSON-RPC error."""
    body: dict[str, Any] = json.loads(refusal.body)
    facts: dict[str, Any] = body["error"]["data"] if "error" in body else body
    return facts


def reason_of(answer: Answer) -> str:
    """Why it was refused; empty where it was not."""
    return str(facts_of(answer).get("reason", ""))


@dataclass(frozen=True, slots=True)
class AgentStage:
    """Everything that is up. Its files are in `folder`."""

    folder: Path
    authority: SpiffeCa
    svid: Svid
    issuer: Issuer
    desk: ApprovalDesk
    upstream: AgentUpstream
    deputize: DeputizeProcess
    proxy: AgentProxy
    cleanup: ExitStack

    def token(self, scope: str = SCOPES, claims: Mapping[str, object] = {}) -> str:
        """A fresh token for the agent."""
        return self.issuer.issue(
            agent=AGENT, audience=AUDIENCE, now=time.time(), scope=scope, claims=claims
        )

    def send(
        self,
        call: Call,
        host: str = "tools.example",
        version: Version = "http1.1",
        *,
        scope: str = SCOPES,
        claims: Mapping[str, object] = {},
        chunked: bool = False,
    ) -> Answer:
        """A call with a fresh token."""
        token = ("authorization", f"Bearer {self.token(scope, claims)}")
        call = replace(call, headers=(token, *call.headers))
        return self.curl(host).send(call, version, chunked=chunked)

    def call_tool(
        self,
        body: bytes,
        *headers: tuple[str, str],
        host: str = "tools.example",
        version: Version = "http1.1",
        claims: Mapping[str, object] = {},
        chunked: bool = False,
    ) -> Answer:
        """A POST of this body to the MCP server."""
        call = Call("POST", "/mcp", headers, body)
        return self.send(call, host, version, claims=claims, chunked=chunked)

    def curl(self, host: str = "tools.example") -> Curl:
        """The agent without a token."""
        return Curl(self.proxy.port, self.svid, self.authority.certificate_file, host)

    def with_proxy(
        self,
        name: str,
        body: BodyOptions | None,
        deputize: DeputizeProcess | None = None,
        upstream_port: int | None = None,
    ) -> AgentStage:
        """The same stage behind a further proxy, which may ask and lead to somebody else."""
        options = replace(
            self.proxy.options,
            deputize=(deputize or self.deputize).grpc_addresses,
            upstream_port=upstream_port or self.upstream.port,
        )
        proxy = AgentProxy(options, self.folder / name, rpc_port=self.upstream.rpc_port, body=body)
        return replace(
            self,
            proxy=self.cleanup.enter_context(proxy),
            deputize=deputize or self.deputize,
        )

    def open_deputize(self, name: str, config: dict[str, Any]) -> DeputizeProcess:
        """Starts a further service; its files are in the folder `name`."""
        return self.cleanup.enter_context(DeputizeProcess(config, self.folder / name))

    def set_policy(self, policy: Mapping[str, object]) -> None:
        """Replaces the policy and waits until deputize decides by it."""
        before = self.deputize.policy_digest
        replace_file(self.folder / "policies" / "agents.yaml", _policy(policy))
        wait_until(lambda: self.deputize.policy_digest != before, _RELOAD_SECONDS, "the policy")


@contextmanager
def set_agent_stage(
    folder: Path,
    rules: Sequence[Rule],
    *,
    transport: str = "grpcio",
    body: BodyOptions | None = WHOLE_BODIES,
    change: Callable[[dict[str, Any]], None] = lambda _spec: None,
    **policy: object,
) -> Iterator[AgentStage]:
    """Starts everything; `policy` are further members of the policy's `spec`."""
    with ExitStack() as cleanup:
        authority = SpiffeCa(TRUST_DOMAIN, folder)
        issuer, desk = Issuer(ISSUER_URL), ApprovalDesk()
        upstream = cleanup.enter_context(running_agent_upstream())
        (folder / "policies").mkdir()
        (folder / "policies" / "agents.yaml").write_text(_policy({**policy, "rules": rules}))
        (folder / "idp.json").write_bytes(issuer.jwks())
        (folder / "approvals.json").write_bytes(desk.issuer.jwks())
        config = service_config(
            issuer=ISSUER_URL,
            audience=AUDIENCE,
            keys={"file": str(folder / "idp.json")},
            trust_domains=[TRUST_DOMAIN],
            policies=[str(folder / "policies")],
            grpc_listen=[f"{HOST}:{free_port()}"],
            transport=transport,
        )
        service = {"issuer": APPROVALS_URL, "keys": {"file": str(folder / "approvals.json")}}
        config["spec"]["approvals"] = {"services": [service]}
        change(config["spec"])
        deputize = cleanup.enter_context(DeputizeProcess(config, folder))
        options = ProxyOptions(
            deputize=deputize.grpc_addresses,
            upstream_port=upstream.port,
            server=authority.issue("envoy-server", dns=HOSTS, addresses=[HOST]),
            client_authority=authority.certificate_file,
        )
        proxy = AgentProxy(options, folder / "envoy", rpc_port=upstream.rpc_port, body=body)
        yield AgentStage(
            folder=folder,
            authority=authority,
            svid=authority.issue("agent", uris=[AGENT]),
            issuer=issuer,
            desk=desk,
            upstream=upstream,
            deputize=deputize,
            proxy=cleanup.enter_context(proxy),
            cleanup=cleanup,
        )


def _policy(spec: Mapping[str, object]) -> str:
    document = {
        "apiVersion": "deputize.dev/v1alpha1",
        "kind": "DelegationPolicy",
        "metadata": {"name": "agents"},
        "spec": dict(spec),
    }
    # Values that rules share would become anchors, which policies may not have.
    return json.dumps(document, indent=2)
