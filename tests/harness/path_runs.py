"""All path cases sent through a real Envoy and deputize to real web servers, and what came of it.

One deputize decides for all proxies; each proxy has its own listener options and one back end.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from tests.harness.back_ends import BackEnd, Hit
from tests.harness.calls import Answer
from tests.harness.config_files import write_world
from tests.harness.envoy_bootstrap import ProxyOptions
from tests.harness.envoy_proxy import EnvoyProxy
from tests.harness.issuer import Issuer
from tests.harness.loopback import HOST as LOOPBACK
from tests.harness.loopback import free_port
from tests.harness.path_rules import path_policy
from tests.harness.raw_client import RawClient
from tests.harness.raw_http2 import RawHttp2Client
from tests.harness.service import DeputizeProcess
from tests.harness.service_config import service_config
from tests.harness.spiffe_ca import SpiffeCa
from tests.harness.world import AGENT, AUDIENCE, HOST, ISSUER_URL, TRUST_DOMAIN

PLAIN = "plain"
PATH_OPTIONS: Mapping[str, Mapping[str, bool | str]] = MappingProxyType(
    {
        PLAIN: {},
        # istio pilot/pkg/networking/core/listener_builder.go, normalization BASE
        "istio": {"normalize_path": True},
        # Envoy Gateway internal/xds/translator/listener.go and internal/gatewayapi/listener.go
        "envoy-gateway": {
            "normalize_path": True,
            "merge_slashes": True,
            "escaped_slashes": "UNESCAPE_AND_REDIRECT",
        },
    }
)
"""What proxies do to paths before they ask."""
_MAX_REDIRECTS = 3

Client = type[RawClient] | type[RawHttp2Client]


@dataclass(frozen=True, slots=True)
class Wire:
    """One request as it is sent."""

    method: str
    host: str
    target: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sent:
    """A request, the answer if there was one, and what of it reached the back end."""

    wire: Wire
    answer: Answer | None
    hits: list[Hit]

    @property
    def is_refused(self) -> bool:
        """True when deputize refused it."""
        return (
            self.answer is not None
            # The refusal of a HEAD has no body.
            and self.answer.headers.get_content_type() == "application/problem+json"
        )


@dataclass(frozen=True, slots=True)
class Guard:
    """deputize, and what a caller needs."""

    folder: Path
    options: ProxyOptions
    context: ssl.SSLContext
    token: str

    @contextmanager
    def before(self, name: str, back_end: BackEnd) -> Iterator[EnvoyProxy]:
        """A proxy with the path options of this name, in front of the back end."""
        paths = PATH_OPTIONS[name]
        options = replace(
            self.options,
            upstream_port=back_end.port,
            normalize_path=bool(paths.get("normalize_path")),
            merge_slashes=bool(paths.get("merge_slashes")),
            escaped_slashes=str(paths.get("escaped_slashes", "KEEP_UNCHANGED")),
        )
        with EnvoyProxy(options, self.folder / f"{name}-{back_end.name}") as proxy:
            yield proxy

    def send_all(
        self, proxy: EnvoyProxy, mark: str, wires: list[Wire], kind: Client
    ) -> dict[str, Sent]:
        """Sends them one after the other, by number of call; the hits are still to come."""
        sent = {}
        with kind(proxy.port, self.context, HOST) as client:
            for number, first in enumerate(wires):
                wire = first
                for turn in range(_MAX_REDIRECTS):
                    call = f"{mark}-{number}-{turn}"
                    answer = _send(client, wire, call, self.token)
                    sent[call] = Sent(wire, answer, [])
                    if answer is None or answer.status != 307:
                        break
                    wire = replace(wire, target=_path_of(answer.header("location")))
        return sent


@contextmanager
def running_guard(folder: Path, protocol: str) -> Iterator[Guard]:
    """Starts deputize under `path_rules.py`. `folder` exists and is empty.

    `protocol` is what the caller speaks, by its name in ALPN.
    """
    issuer = Issuer(ISSUER_URL)
    authority = SpiffeCa(TRUST_DOMAIN, folder)
    agent = authority.issue("agent", uris=[AGENT])
    config = service_config(
        issuer=ISSUER_URL,
        audience=AUDIENCE,
        keys={"file": "jwks.json"},
        trust_domains=[TRUST_DOMAIN],
        policies=["policies"],
        grpc_listen=[f"{LOOPBACK}:{free_port()}"],
    )
    write_world(folder, policy=path_policy(), issuer=issuer)
    context = ssl.create_default_context(cafile=authority.certificate_file)
    context.set_alpn_protocols([protocol])
    context.load_cert_chain(agent.certificate_file, agent.private_key_file)
    with DeputizeProcess(config, folder) as deputize:
        options = ProxyOptions(
            deputize=deputize.grpc_addresses,
            upstream_port=0,
            server=authority.issue("envoy-server", dns=[HOST], addresses=[LOOPBACK]),
            client_authority=authority.certificate_file,
            # On a busy machine a call must not be refused because the answer came late.
            timeout_seconds=10,
        )
        yield Guard(folder, options, context, issuer.issue(now=time.time()))


def run_all(
    guard: Guard, back_ends: list[BackEnd], wires: list[Wire], client: Client, callers: int = 1
) -> dict[tuple[str, str], list[Sent]]:
    """Sends everything to each back end behind each kind of proxy, and ends the back ends.

    The keys are the names of path options and back end. Before each proxy so many callers share
    the work.
    """
    pairs = [(name, back_end) for name in PATH_OPTIONS for back_end in back_ends]
    marks = [f"{name}-{back_end.name}" for name, back_end in pairs]
    with ExitStack() as stack, ThreadPoolExecutor(len(pairs) * callers) as threads:
        enter = [guard.before(name, back_end) for name, back_end in pairs]
        proxies = list(threads.map(stack.enter_context, enter))
        tasks = [
            threads.submit(guard.send_all, proxy, f"{mark}-{first}", wires[first::callers], client)
            for proxy, mark in zip(proxies, marks, strict=True)
            for first in range(callers)
        ]
        answered = [task.result() for task in tasks]
    for back_end in back_ends:
        back_end.stop()
    hits: dict[str, list[Hit]] = {}
    for back_end in back_ends:
        for hit in back_end.hits():
            hits.setdefault(hit.call, []).append(hit)
    runs: dict[tuple[str, str], list[Sent]] = {}
    for number, calls in enumerate(answered):
        name, back_end = pairs[number // callers]
        of_pair = runs.setdefault((name, back_end.name), [])
        of_pair += [replace(sent, hits=hits.get(call, [])) for call, sent in calls.items()]
    return runs


def _send(client: RawClient | RawHttp2Client, wire: Wire, call: str, token: str) -> Answer | None:
    headers = {"Host": wire.host, "x-call": call, "authorization": f"Bearer {token}"}
    return client.send(wire.method, wire.target, {**headers, **wire.headers})


def _path_of(location: str) -> str:
    """The path of a redirect as it stands, with its query."""
    parts = urlsplit(location)
    return location.removeprefix(f"{parts.scheme}://{parts.netloc}")
