"""Waiting for something to become true, with a bound and without guessing how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

ResultT = TypeVar("ResultT")

_PAUSE_SECONDS = 0.01


def wait_until(check: Callable[[], ResultT | None], seconds: float, what: str = "it") -> ResultT:
    """Calls `check` until its result is truthy, and returns that result.

    Raises:
        TimeoutError: `seconds` went by; the message names `what` was waited for.
    """
    deadline = time.monotonic() + seconds
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(_PAUSE_SECONDS)
