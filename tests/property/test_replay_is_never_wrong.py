"""What `policy replay` is certain of is what the service would have decided."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deputize.cli.recorded import Recorded
from deputize.cli.replay import Replay, recorded_claims, recorded_outcome
from deputize.config.policy_loader import load_policies
from tests.harness.recorded_strategies import calls, policies
from tests.harness.recordings import Recorder

CERTAIN = {"certain": 0, "asked": 0}


@settings(max_examples=150, deadline=None)
@given(
    old=policies(),
    new=policies(),
    asked=st.lists(calls(), min_size=1, max_size=8),
    claims=st.lists(st.sampled_from(["groups", "region", "acr", "auth_time"]), unique=True),
    is_observed=st.booleans(),
)
def test_what_is_certain_is_what_would_be_decided(
    old: str, new: str, asked: list[dict[str, Any]], claims: list[str], *, is_observed: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        old_file, new_file = Path(name) / "old.yaml", Path(name) / "new.yaml"
        old_file.write_text(old)
        new_file.write_text(new)
        before = Recorder(old_file, is_observed=is_observed, claims=claims)
        after = Recorder(new_file)
        for call in asked:
            before.ask(**call)
            after.ask(**call)
        compiled = load_policies(new_file)
    events = [Recorded.model_validate(event) for event in before.events]
    replay = Replay(compiled, recorded_claims(events))
    for event, real in zip(events, after.events, strict=True):
        assert event.is_for_policies
        answer, truth = replay.decide(event), recorded_outcome(Recorded.model_validate(real))
        CERTAIN["asked"] += 1
        if answer.outcome is None:
            assert answer.unknown
            continue
        CERTAIN["certain"] += 1
        assert answer.outcome.state == truth.state, (event, answer, truth)


def test_most_answers_are_certain() -> None:
    # Else the law above would say little. Alone, this test has nothing to count.
    assert CERTAIN["certain"] >= CERTAIN["asked"] / 2
