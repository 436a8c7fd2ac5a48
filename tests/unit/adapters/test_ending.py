from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from deputize.adapters.ending import EndingEntries

DAY = 86400.0
ENDS = st.lists(
    st.one_of(st.integers(1, 100), st.integers(1, 40).map(lambda day: day * DAY)),
    max_size=60,
    unique=True,
)


def entries_with(*ends: float, room: int = 1000) -> EndingEntries[int]:
    entries: EndingEntries[int] = EndingEntries(room)
    for end in ends:
        assert entries.put(f"key {end}", end, 1, 0)
    return entries


def forget_all(entries: EndingEntries[int], now: float) -> None:
    for _ in range(len(entries)):
        entries.forget(now)


def test_a_value_is_there_until_its_end() -> None:
    entries = entries_with(60)
    assert entries.get("key 60", 59) == 1
    assert entries.get("key 60", 60) is None
    assert entries.get("other", 0) is None


def test_no_entry_is_made_with_an_end_that_was_forgotten() -> None:
    entries = entries_with(60)
    entries.forget(60)
    assert len(entries) == 0
    assert not entries.put("any", 60, 2, 0)
    assert entries.put("any", 61, 2, 0)


def test_what_takes_the_place_of_another_leaves_its_end_forgotten() -> None:
    entries = entries_with(60)
    assert entries.put("key 60", 120, 2, 60)
    assert not entries.put("other", 60, 3, 0)
    entries.forget(119)
    assert entries.get("key 60", 119) == 2
    entries.forget(120)
    assert len(entries) == 0


def test_ends_far_apart_leave_room_between_them() -> None:
    entries = entries_with(*(day * DAY for day in range(1, 5)))
    forget_all(entries, 10 * DAY)
    for day in range(1, 5):
        assert not entries.put("any", day * DAY, 2, 0)
        assert entries.put(f"new {day}", (day + 0.5) * DAY, 2, 0)


def test_of_too_many_ends_the_nearest_are_told_as_one() -> None:
    years = 365 * DAY
    entries = entries_with(*(day * DAY for day in range(1, 100)), 20 * years)
    forget_all(entries, 30 * years)
    assert not entries.put("any", 50 * DAY, 2, 0)
    assert entries.put("new", 10 * years, 2, 0)
    assert not entries.put("any", 20 * years, 2, 0)


@settings(max_examples=200, deadline=None)
@given(ENDS, st.lists(st.integers(0, 41).map(lambda day: day * DAY), max_size=20))
def test_no_end_that_was_forgotten_is_ever_taken_again(
    ends: Sequence[float], clock: Sequence[float]
) -> None:
    entries: EndingEntries[int] = EndingEntries(1000)
    gone: set[float] = set()
    there: dict[str, float] = {}
    for number, now in enumerate(clock):
        for end in ends:
            key = f"{number} {end}"
            if entries.put(key, end, 1, 0):
                assert end not in gone
                there[key] = end
        forget_all(entries, now)
        gone |= {end for end in there.values() if end <= now}
        there = {key: end for key, end in there.items() if end > now}
        assert len(entries) == len(there)
