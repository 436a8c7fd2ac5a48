"""The chart installed by Helm into a real API server, and its container run with what is there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deputize.core.reasons import Reason
from tests.harness.api_server import ApiServer
from tests.harness.check_message import make_check
from tests.harness.grpc_client import ask, open_channel
from tests.harness.helm import CHART, run_helm
from tests.harness.issuer import Issuer
from tests.harness.pod import Pod
from tests.harness.polling import wait_until
from tests.harness.world import AGENT, HOST, ISSUER_URL

NAMESPACE = "deputize-install"
POLICIES = f"/apis/deputize.dev/v1alpha1/namespaces/{NAMESPACE}/delegationpolicies"
SECONDS = 20

ISSUER = Issuer(ISSUER_URL)
VALUES: dict[str, Any] = {
    "proxies": [{"namespace": "store", "serviceAccount": "orders"}],
    "config": {
        "server": {"decisionTimeoutMillis": 2000, "drain": {"delaySeconds": 0}},
        "peer": {"trustDomains": ["prod.example.org"]},
        "issuers": [
            {
                "issuer": ISSUER_URL,
                "audiences": ["orders"],
                "keys": {"file": "/etc/deputize/files/jwks.json"},
            }
        ],
    },
    "files": {"jwks.json": ISSUER.jwks().decode()},
    "kubernetes": {"enabled": True},
    "crds": {"install": True},
    "istio": {"timeoutMillis": 5000},
}


def policy(effect: str = "allow", **rule: object) -> dict[str, Any]:
    """A policy about reading orders."""
    granted = {"scopes": ["orders:read"]} if effect == "allow" else {}
    return {
        "apiVersion": "deputize.dev/v1alpha1",
        "kind": "DelegationPolicy",
        "metadata": {"name": "orders"},
        "spec": {
            "rules": [
                {
                    "name": "read",
                    "effect": effect,
                    "agents": [AGENT],
                    "onBehalfOf": [{"issuer": ISSUER_URL, "anyone": True}],
                    "hosts": [HOST],
                    "methods": ["GET"],
                    "paths": ["/v1/orders/{id}"],
                    **granted,
                    **rule,
                }
            ]
        },
    }


class Release:
    """What Helm made, by the commands an operator types."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server

    def helm(self, *arguments: str, **values: object) -> str:
        where = (f"--kubeconfig={self.server.kubeconfig}", f"--namespace={NAMESPACE}")
        return run_helm(*arguments, *where, values=json.dumps(VALUES | values))

    def install(self) -> str:
        # Other tests here may have brought the definitions.
        flags = ("--create-namespace", "--take-ownership", "--force-conflicts", "--values=-")
        return self.helm("install", "deputize", str(CHART), *flags)

    def upgrade(self, **values: object) -> str:
        return self.helm("upgrade", "deputize", str(CHART), "--values=-", **values)

    def change(self, method: str, path: str, body: object = None) -> None:
        answer = self.server.request(method, path, body)
        assert answer.is_success, answer.text


@pytest.fixture(scope="module")
def release(api_server: ApiServer) -> Iterator[Release]:
    release = Release(api_server)
    release.install()
    yield release
    release.helm("uninstall", "deputize")


@pytest.fixture(scope="module")
def pod(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    folder: Path = tmp_path_factory.mktemp("pod")
    with Pod(release.server, NAMESPACE, "deputize", folder) as pod:
        pod.wait_ready()
        yield pod


def reason(pod: Pod) -> str:
    check = make_check(ISSUER.issue(now=time.time()))
    with open_channel(pod.address) as channel:
        return ask(channel, check.SerializeToString()).reason


def follows(pod: Pod, wanted: Reason) -> None:
    wait_until(lambda: reason(pod) == wanted, SECONDS, f"{wanted}, not {reason(pod)}")


def conditions(server: ApiServer) -> Mapping[str, tuple[str, bool]]:
    """Of the policy: each with its status, and whether it is about what is there now."""
    found = server.request("GET", f"{POLICIES}/orders").json()
    generation = found["metadata"]["generation"]
    return {
        each["type"]: (each["status"], each["observedGeneration"] == generation)
        for each in found.get("status", {}).get("conditions", [])
    }


def says(server: ApiServer, **wanted: bool) -> Callable[[], bool]:
    expected = {name: (str(status), True) for name, status in wanted.items()}
    return lambda: conditions(server) == expected


def test_install_upgrade_and_decisions_by_objects(release: Release, pod: Pod) -> None:
    server = release.server
    assert reason(pod) == Reason.POLICY_NO_MATCH

    release.change("POST", POLICIES, policy())
    follows(pod, Reason.POLICY_ALLOWED)
    wait_until(says(server, Accepted=True, Programmed=True), SECONDS)

    release.change("PATCH", f"{POLICIES}/orders", policy("forbid"))
    follows(pod, Reason.POLICY_FORBIDDEN)

    # The definition cannot see this; the service can, and keeps to what it had.
    broken = policy("forbid", paths=["/v1/../orders"])
    release.change("PATCH", f"{POLICIES}/orders", broken)
    wait_until(says(server, Accepted=False, Programmed=False), SECONDS)
    assert reason(pod) == Reason.POLICY_FORBIDDEN

    release.change("PATCH", f"{POLICIES}/orders", policy())
    follows(pod, Reason.POLICY_ALLOWED)
    wait_until(says(server, Accepted=True, Programmed=True), SECONDS)

    # Values that change reach the running pod, as a kubelet brings them.
    release.upgrade(files={"jwks.json": Issuer(ISSUER_URL, key_id="k2").jwks().decode()})
    pod.mount()
    follows(pod, Reason.TOKEN_UNKNOWN_KEY)
    release.upgrade()
    pod.mount()
    follows(pod, Reason.POLICY_ALLOWED)

    release.change("DELETE", f"{POLICIES}/orders")
    follows(pod, Reason.POLICY_NO_MATCH)


def test_definitions_and_policies_outlive_the_release(api_server: ApiServer) -> None:
    release = Release(api_server)
    if not release.helm("list", "--short").strip():
        release.install()
    release.change("POST", POLICIES, policy())
    release.helm("uninstall", "deputize")
    assert api_server.request("GET", f"{POLICIES}/orders").status_code == 200
    deployments = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
    assert api_server.request("GET", deployments).json()["items"] == []
    release.install()
