"""The story of the demo: each call's outcome, and the story as a whole.

It is told over both transports, and with TCP as well as a Unix socket between Envoy and deputize.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.demo.play import Outcome, play, total_faults
from tests.demo.scene import Scene
from tests.demo.stage import Stage, set_stage
from tests.demo.story import SCENES
from tests.harness.grpc_serving import TRANSPORTS


@dataclass(frozen=True, slots=True)
class Told:
    """The story after its end; deputize has stopped."""

    stage: Stage
    outcomes: dict[str, Outcome]
    exit_code: int


@pytest.fixture(
    scope="module",
    params=itertools.product(TRANSPORTS, ("tcp", "unix")),
    ids="-".join,
)
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Told]:
    with set_stage(tmp_path_factory.mktemp("stage"), *request.param) as stage:
        outcomes = {scene.title: play(scene, stage) for scene in SCENES}
        yield Told(stage, outcomes, stage.deputize.stop())


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.title)
def test_each_call_has_the_expected_outcome(told: Told, scene: Scene) -> None:
    assert told.outcomes[scene.title].faults == []


def test_each_call_has_exactly_one_audit_event(told: Told) -> None:
    assert total_faults(told.outcomes.values(), told.stage) == []


def test_no_token_is_written_anywhere(told: Told) -> None:
    encoded_json = "eyJ"
    assert encoded_json not in told.stage.deputize.audit_file.read_text()
    assert encoded_json not in told.stage.deputize.log_file.read_text()


def test_the_service_ends_cleanly(told: Told) -> None:
    assert told.exit_code == 0
    assert "Traceback" not in told.stage.deputize.log_file.read_text()
