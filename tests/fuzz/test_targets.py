"""A short run of what `make fuzz` does at length: the same targets and inputs, without a fuzzer."""

from __future__ import annotations

from random import Random
from time import process_time

import pytest

from tests.fuzz.mutations import MAX_INPUT, mutate
from tests.fuzz.targets import TARGETS

MUTATIONS = 800
MAX_SECONDS = 5.0
"""For one input, as `make fuzz` has it."""


@pytest.mark.parametrize("name", TARGETS)
def test_the_law_of_the_target_holds(name: str) -> None:
    random = Random(name)  # noqa: S311 - the same inputs every time
    seeds = [seed[:MAX_INPUT] for seed in TARGETS[name].seeds()]
    assert seeds
    mutated = (mutate(random.choice(seeds), random) for _ in range(MUTATIONS))
    for octets in (b"", *seeds, *mutated):
        started = process_time()
        TARGETS[name].run(octets)
        assert process_time() - started < MAX_SECONDS
