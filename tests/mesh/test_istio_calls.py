"""The walkthrough's calls behind what Istio itself configures, for each kind of proxy.

Listeners, filters and clusters come from Istio's own code (`tests/tools/istio/listeners`), for the
manifests in `istio/`; a real Envoy runs them, a real deputize decides as the example's Helm values
say. Not the real thing are: iptables before a sidecar (an internal listener is told the address), a
ztunnel before a waypoint (the client opens the tunnel itself), the TLS between proxy and deputize
(another file), and filters that only Istio's build of Envoy has (`istio_bootstrap.ISTIO_ONLY`).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.istio_stage import EXAMPLES, MeshStage, set_mesh_stage
from tests.harness.istio_walkthrough import Line, lines


@pytest.fixture(scope="module", params=EXAMPLES)
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MeshStage]:
    with set_mesh_stage(request.param, tmp_path_factory.mktemp(request.param)) as running:
        yield running


@pytest.mark.parametrize("line", lines(), ids=lambda line: line.title)
def test_calls_end_as_the_walkthrough_says(stage: MeshStage, line: Line) -> None:
    seen, asked = len(stage.upstream.arrivals), stage.deputize.decisions
    answer = stage.send(line.agent, line.service, line.call(stage.folder))
    arrivals = stage.upstream.arrivals[seen:]
    assert answer.status == line.status
    assert len(arrivals) == (line.status == 200)
    assert stage.deputize.decisions - asked == bool(line.reason)
    if line.status != 200:
        assert answer.problem["reason"] == line.reason
