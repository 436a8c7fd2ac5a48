"""The walkthrough's calls behind what Istio itself configures, for each kind of proxy."""

from __future__ import annotations

import pytest

from tests.harness.istio_stage import MeshStage, spiffe_id
from tests.harness.istio_walkthrough import Line, lines


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
    elif line.reason:
        assert arrivals[0].target == line.target
        assert arrivals[0].header("x-deputize-principal") == [line.token["for"]]
        assert arrivals[0].header("x-deputize-agent") == [spiffe_id("agents", line.agent)]
        assert arrivals[0].header("authorization") == []
