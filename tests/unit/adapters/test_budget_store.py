from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deputize.adapters.budget_store import (
    LATE_SECONDS,
    MOST_TOOLS,
    MemoryBudgets,
    Spent,
    WindowError,
    window_end,
)
from deputize.adapters.ending import LONGEST_SECONDS
from deputize.adapters.replay_store import MemoryReplayStore, Use

NOW = 1_800_000_000.0
"""The beginning of a window of a minute, an hour and a day."""
WINDOW = 60


def spend(
    budgets: MemoryBudgets, key: str = "a", now: float = NOW, limit: int = 2, window: int = WINDOW
) -> Spent:
    return budgets.spend(key, limit, window, now)


@pytest.mark.parametrize(
    ("now", "window", "end"),
    [
        (0.0, 60, 60),
        (59.999, 60, 60),
        (60.0, 60, 120),
        (-0.5, 60, 0),
        (NOW, 3600, NOW + 3600),
        (math.nextafter(NOW, 0), 3600, NOW),
        (NOW + 0.1, 1, NOW + 1),
    ],
)
def test_windows_begin_at_multiples_of_their_length(now: float, window: int, end: int) -> None:
    assert window_end(now, window) == end


NO_WINDOWS: list[tuple[Any, Any]] = [
    (math.nan, 60),
    (math.inf, 60),
    (-math.inf, 60),
    (NOW, 0),
    (NOW, -60),
    (NOW, math.nan),
    (NOW, int(LONGEST_SECONDS) + 1),
]


@pytest.mark.parametrize(("now", "window"), NO_WINDOWS)
def test_without_a_time_or_a_window_nothing_is_counted(now: float, window: int) -> None:
    budgets = MemoryBudgets(10)
    assert spend(budgets, now=now, window=window) is Spent.UNKNOWN
    assert len(budgets) == 0
    with pytest.raises(WindowError):
        window_end(now, window)


def test_a_budget_is_used_up_and_there_again_in_the_next_window() -> None:
    budgets = MemoryBudgets(10)
    said = [spend(budgets, now=NOW + second) for second in (0, 59, 59.9, 59.9, 60, 61, 62)]
    within, exhausted = Spent.WITHIN, Spent.EXHAUSTED
    assert said == [within, within, exhausted, exhausted, within, within, exhausted]


def test_each_key_and_each_window_has_its_own_count() -> None:
    budgets = MemoryBudgets(10)
    for key, window in (("a", 60), ("b", 60), ("a", 3600)):
        said = [spend(budgets, key, window=window) for _ in range(3)]
        assert said == [Spent.WITHIN, Spent.WITHIN, Spent.EXHAUSTED]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_budget_of_nothing_is_used_up(limit: int) -> None:
    assert spend(MemoryBudgets(10), limit=limit) is Spent.EXHAUSTED


def test_a_refused_use_is_not_counted() -> None:
    budgets = MemoryBudgets(10)
    for _ in range(9):
        spend(budgets)
    # The limit was raised.
    said = [spend(budgets, limit=4) for _ in range(3)]
    assert said == [Spent.WITHIN, Spent.WITHIN, Spent.EXHAUSTED]


def test_a_lower_limit_counts_what_was_used_before() -> None:
    budgets = MemoryBudgets(10)
    assert [spend(budgets, limit=5) for _ in range(4)] == [Spent.WITHIN] * 4
    assert spend(budgets, limit=3) is Spent.EXHAUSTED


def test_a_full_store_forgets_no_budget_and_takes_none() -> None:
    budgets = MemoryBudgets(1)
    assert spend(budgets, "a") is Spent.WITHIN
    assert spend(budgets, "b") is Spent.UNKNOWN
    assert spend(budgets, "a") is Spent.WITHIN
    assert spend(budgets, "a") is Spent.EXHAUSTED
    assert spend(budgets, "b", NOW + WINDOW + LATE_SECONDS) is Spent.WITHIN


def test_windows_that_are_over_are_forgotten_a_little_with_each_call() -> None:
    budgets = MemoryBudgets(1000)
    for number in range(1000):
        spend(budgets, f"old {number}")
    lengths = []
    for number in range(200):
        assert spend(budgets, f"new {number}", NOW + WINDOW + LATE_SECONDS) is Spent.WITHIN
        lengths.append(len(budgets))
    assert lengths[0] > 900
    assert lengths[-1] == 200


def test_a_clock_that_goes_back_into_a_window_gives_no_second_budget() -> None:
    budgets = MemoryBudgets(10)
    assert [spend(budgets), spend(budgets)] == [Spent.WITHIN] * 2
    later = NOW + WINDOW + LATE_SECONDS
    assert spend(budgets, now=later) is Spent.WITHIN
    assert spend(budgets) is Spent.UNKNOWN
    assert [spend(budgets, now=later) for _ in range(2)] == [Spent.WITHIN, Spent.EXHAUSTED]


@pytest.mark.parametrize("window", [1, 5, WINDOW])
def test_one_who_comes_late_still_finds_his_window(window: int) -> None:
    budgets = MemoryBudgets(10)
    before = math.nextafter(NOW + window, 0)
    assert spend(budgets, now=before, window=window) is Spent.WITHIN
    assert spend(budgets, now=NOW + window, window=window) is Spent.WITHIN
    said = [spend(budgets, now=before, window=window) for _ in range(2)]
    assert said == [Spent.WITHIN, Spent.EXHAUSTED]
    # One without a count yet as well.
    assert spend(budgets, "b", now=before, window=window) is Spent.WITHIN


def test_a_clock_that_was_ahead_for_a_while_refuses_for_one_window() -> None:
    budgets, year = MemoryBudgets(10), 365 * 86400
    assert spend(budgets) is Spent.WITHIN
    assert spend(budgets, now=NOW + year) is Spent.WITHIN
    assert spend(budgets, now=NOW + year + WINDOW + LATE_SECONDS) is Spent.WITHIN
    assert spend(budgets, "b") is Spent.UNKNOWN
    assert spend(budgets, now=NOW + WINDOW) is Spent.WITHIN
    assert spend(budgets, now=NOW + year) is Spent.UNKNOWN


def test_many_threads_get_no_more_than_the_limit() -> None:
    budgets = MemoryBudgets(10)

    def spend_many(_: int) -> list[Spent]:
        return [spend(budgets, limit=500) for _ in range(200)]

    with ThreadPoolExecutor(8) as pool:
        said = Counter(spent for spents in pool.map(spend_many, range(8)) for spent in spents)
    assert said == {Spent.WITHIN: 500, Spent.EXHAUSTED: 1100}


def test_a_replay_store_counts_budgets_in_places_of_their_own() -> None:
    store = MemoryReplayStore(1)
    assert store.consume("a", NOW + 60, NOW, 1) is Use.FRESH
    assert store.spend("a", 1, WINDOW, NOW, 1) is Spent.WITHIN
    assert store.spend("a", 1, WINDOW, NOW, 1) is Spent.EXHAUSTED
    assert store.spend("b", 1, WINDOW, NOW, 1) is Spent.UNKNOWN
    assert store.consume("a", NOW + 60, NOW, 1) is Use.USED


CALLS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(1, 3),
        st.sampled_from([1, 5, 7, 60]),
        st.one_of(st.integers(-9, 9), st.sampled_from([-100_000, 100_000])),
    ),
    max_size=80,
)
"""Key, limit, window, and how far the clock goes before the call."""


@settings(max_examples=300, deadline=None)
@given(CALLS, st.integers(0, 8))
def test_whatever_the_clock_does_no_window_lets_more_in_than_its_limit(
    calls: Sequence[tuple[str, int, int, int]], entries: int
) -> None:
    budgets, clock = MemoryBudgets(entries), NOW
    used: Counter[tuple[str, int, int]] = Counter()
    for key, limit, window, step in calls:
        clock += step
        name = (key, window, window_end(clock, window))
        said = budgets.spend(key, limit, window, clock)
        if said is Spent.WITHIN:
            assert used[name] < limit
            used[name] += 1
        elif said is Spent.EXHAUSTED:
            assert used[name] >= limit
        assert len(budgets) <= entries


@settings(max_examples=300, deadline=None)
@given(CALLS)
def test_with_room_and_a_clock_that_goes_on_every_budget_is_given_in_full(
    calls: Sequence[tuple[str, int, int, int]],
) -> None:
    budgets, clock = MemoryBudgets(1000), NOW
    used: Counter[tuple[str, int, int]] = Counter()
    for key, limit, window, step in calls:
        clock += abs(step)
        name = (key, window, window_end(clock, window))
        is_within = used[name] < limit
        assert budgets.spend(key, limit, window, clock) is (
            Spent.WITHIN if is_within else Spent.EXHAUSTED
        )
        used[name] += is_within


def test_one_budget_takes_no_more_than_its_share_of_the_room() -> None:
    budgets = MemoryBudgets(MOST_TOOLS * 2)
    for tool in range(MOST_TOOLS):
        assert spend(budgets, f"hostile.{tool}") is Spent.WITHIN
    assert spend(budgets, "hostile.more") is Spent.UNKNOWN
    assert spend(budgets, "hostile.7") is Spent.WITHIN
    assert spend(budgets, "other.more") is Spent.WITHIN
    assert spend(budgets, "whole") is Spent.WITHIN
    # Its places become free with the windows they were for.
    later = NOW + 2 * WINDOW
    for tool in range(MOST_TOOLS):
        spend(budgets, f"hostile.{tool}", later)
    assert spend(budgets, "hostile.more", later + 2 * WINDOW) is Spent.WITHIN
