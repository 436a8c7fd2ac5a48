"""The examples in `istio/`, each with what its calls need.

Listeners, filters and clusters come from Istio's own code (`tests/tools/istio/listeners`), for the
manifests as they are; a real Envoy runs them, a real deputize decides as the example's Helm values
say. Not the real thing are:

- iptables before a sidecar: the client tells the address that it believes to connect to;
- a ztunnel before a waypoint: the client opens the tunnel itself, over HTTP/1.1;
- mTLS from one proxy to the next, and to deputize. Who would get through there is asked apart;
- filters that only Istio's build of Envoy has (`istio_bootstrap.ISTIO_ONLY`).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.istio_stage import EXAMPLES, MeshStage, set_mesh_stage


@pytest.fixture(scope="session", params=EXAMPLES)
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MeshStage]:
    with set_mesh_stage(request.param, tmp_path_factory.mktemp(request.param)) as running:
        yield running
