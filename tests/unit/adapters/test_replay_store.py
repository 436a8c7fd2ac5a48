from __future__ import annotations

import math
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deputize.adapters.ending import LONGEST_SECONDS
from deputize.adapters.replay_store import MemoryReplayStore, Use

NOW = 1_800_000_000.0
MICROSECONDS_AT_MOST = 200
"""Far above what a call takes, far below what looking at all entries takes."""


def consume(store: MemoryReplayStore, key: str, until: float = NOW + 60, now: float = NOW) -> Use:
    return store.consume(key, until, now, 1)


def test_a_first_use_is_fresh_and_every_other_is_not() -> None:
    store = MemoryReplayStore(10)
    assert [consume(store, "a") for _ in range(3)] == [Use.FRESH, Use.USED, Use.USED]


def test_an_identifier_is_its_exact_text() -> None:
    store = MemoryReplayStore(10)
    assert [consume(store, key) for key in ("a", "A", "a ", "")] == [Use.FRESH] * 4


def test_another_end_makes_no_other_identifier() -> None:
    store = MemoryReplayStore(10)
    consume(store, "a")
    assert consume(store, "a", until=NOW + 120) is Use.USED


def test_an_identifier_is_remembered_until_its_time_is_over() -> None:
    store = MemoryReplayStore(10)
    consume(store, "a", until=NOW + 60)
    assert consume(store, "a", until=NOW + 90, now=math.nextafter(NOW + 60, 0)) is Use.USED
    assert consume(store, "a", until=NOW + 90, now=NOW + 60) is Use.FRESH
    assert consume(store, "a", until=NOW + 90, now=NOW + 89) is Use.USED


@pytest.mark.parametrize("until", [NOW, NOW - 1, 0.0, -math.inf, math.inf, math.nan])
def test_an_identifier_without_a_time_to_come_is_never_fresh(until: float) -> None:
    store = MemoryReplayStore(10)
    assert consume(store, "a", until=until) is Use.UNKNOWN
    assert len(store) == 0


def test_no_identifier_is_kept_for_ages() -> None:
    store = MemoryReplayStore(10)
    assert consume(store, "a", until=NOW + LONGEST_SECONDS) is Use.FRESH
    assert consume(store, "b", until=NOW + LONGEST_SECONDS + 1) is Use.UNKNOWN


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf])
def test_a_call_without_a_time_gets_no_answer_and_changes_nothing(now: float) -> None:
    store = MemoryReplayStore(10)
    consume(store, "a")
    assert consume(store, "b", now=now) is Use.UNKNOWN
    assert [consume(store, key) for key in "ab"] == [Use.USED, Use.FRESH]


def test_a_full_store_forgets_nobody_and_takes_nobody() -> None:
    store = MemoryReplayStore(2)
    consume(store, "a", until=NOW + 60)
    consume(store, "b", until=NOW + 30)
    assert consume(store, "c") is Use.UNKNOWN
    assert [consume(store, key) for key in "ab"] == [Use.USED, Use.USED]
    assert consume(store, "c", now=NOW + 30) is Use.FRESH
    assert consume(store, "a", now=NOW + 30) is Use.USED
    assert len(store) == 2


def test_a_store_without_places_takes_nobody() -> None:
    assert consume(MemoryReplayStore(0), "a") is Use.UNKNOWN


def test_a_clock_that_goes_back_lets_nobody_in_again() -> None:
    store = MemoryReplayStore(10)
    consume(store, "a", until=NOW + 60)
    consume(store, "b", until=NOW + 300, now=NOW + 100)
    assert consume(store, "a", until=NOW + 60, now=NOW) is Use.UNKNOWN
    assert consume(store, "b", until=NOW + 300, now=NOW) is Use.USED
    assert consume(store, "c", until=NOW + 300, now=NOW) is Use.FRESH


def test_what_is_over_is_dropped_a_little_with_each_call() -> None:
    store = MemoryReplayStore(1000)
    for number in range(1000):
        consume(store, f"old {number}")
    lengths = []
    for number in range(200):
        assert consume(store, f"new {number}", NOW + 120, NOW + 60) is Use.FRESH
        lengths.append(len(store))
    assert lengths[0] > 900
    assert lengths[-1] == 200


def test_a_call_is_cheap_when_many_are_over_at_once() -> None:
    store = MemoryReplayStore(200_000)
    for number in range(200_000):
        consume(store, f"old {number}")
    started = time.thread_time()
    for number in range(1000):
        consume(store, f"new {number}", NOW + 120, NOW + 60)
    assert (time.thread_time() - started) / 1000 * 1e6 < MICROSECONDS_AT_MOST


def test_of_many_threads_one_gets_the_fresh_use() -> None:
    store = MemoryReplayStore(1000)
    keys = [f"key {number}" for number in range(200)]

    def use_all(_: int) -> list[Use]:
        return [consume(store, key) for key in keys]

    with ThreadPoolExecutor(8) as pool:
        by_thread = list(pool.map(use_all, range(8)))
    for uses in zip(*by_thread, strict=True):
        assert sorted(uses) == [Use.FRESH, *[Use.USED] * 7]


def test_a_clock_that_was_ahead_refuses_only_what_it_forgot() -> None:
    store, year = MemoryReplayStore(10), 365 * 86400
    for number in range(3):
        consume(store, f"before {number}", until=NOW + 60 + number)
    # Everybody's clock is ahead, and what is used then is over before it is right again.
    assert consume(store, "ahead", until=NOW + year + 60, now=NOW + year) is Use.FRESH
    assert consume(store, "later", until=NOW + year + 500, now=NOW + year + 100) is Use.FRESH
    for number in range(3):
        assert consume(store, f"before {number}", until=NOW + 60 + number) is Use.UNKNOWN
    assert consume(store, "after", until=NOW + 63, now=NOW + 1) is Use.FRESH
    assert consume(store, "after", until=NOW + 63, now=NOW + 1) is Use.USED
    assert consume(store, "ahead", until=NOW + year + 60, now=NOW + 2) is Use.UNKNOWN
    assert consume(store, "later", until=NOW + year + 500, now=NOW + 2) is Use.USED


def test_a_clock_that_is_ahead_before_all_is_forgotten_lets_nobody_in_again() -> None:
    store = MemoryReplayStore(100)
    for number in range(100):
        consume(store, f"key {number}", until=NOW + 60 + number)
    consume(store, "ahead", until=NOW + 5000, now=NOW + 1000)
    for number in range(100):
        use = consume(store, f"key {number}", until=NOW + 60 + number)
        assert use in {Use.USED, Use.UNKNOWN}


CALLS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 20), st.integers(-3, 6)), max_size=60
)
"""Key, seconds to its end, and how far the clock goes before the call."""


@settings(max_examples=300, deadline=None)
@given(CALLS, st.integers(0, 3))
def test_a_store_says_what_lists_of_all_uses_says(
    calls: Sequence[tuple[str, int, int]], entries: int
) -> None:
    store = MemoryReplayStore(entries)
    clock = NOW
    noted: dict[str, float] = {}
    forgotten: list[float] = []
    for key, seconds, step in calls:
        clock += step
        until = clock + seconds
        forgotten += [end for end in noted.values() if end <= clock]
        noted = {k: end for k, end in noted.items() if end > clock}
        use = consume(store, key, until, clock)
        if key in noted:
            assert use is Use.USED
        elif (
            until <= clock
            or len(noted) >= entries
            or (forgotten and min(forgotten) <= until <= max(forgotten))
        ):
            assert use is Use.UNKNOWN
        else:
            assert use is Use.FRESH
            noted[key] = until
        assert len(store) <= entries
