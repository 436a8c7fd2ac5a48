"""Ports that say what a test tells them to, and what must follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Never, cast

from deputize.adapters.budget_store import Spent
from deputize.adapters.replay_store import Use
from deputize.core.reasons import Reason
from tests.harness.ports import Ports
from tests.harness.world import NOW

GARBAGE: list[object] = [None, 7, "text", object(), [], b"", True, ""]
"""What no port should ever say."""


def fail(*_args: object) -> Never:
    """Stands for any port that does not work."""
    raise RuntimeError("a fault on purpose")


def refuses(ports: Ports, reason: Reason) -> None:
    """A check that would be allowed is refused for this reason, and audited so."""
    verdict = ports.ask()
    assert (verdict.allowed, verdict.reason) == (False, reason)
    assert [event["reason"] for event in ports.events] == [reason]


@dataclass(slots=True)
class ScriptedStore:
    """Says what it is told to."""

    say: Callable[[], object]

    def consume(self, key: str, until: float, now: float, timeout: float) -> Use:
        assert key.startswith("token:")
        assert until > now
        assert timeout > 0
        return cast("Use", self.say())

    def spend(self, key: str, limit: int, window: int, now: float, timeout: float) -> Spent:
        assert key.startswith("budget:")
        assert limit >= 0
        assert window > 0
        assert now == NOW
        assert timeout > 0
        return cast("Spent", self.say())
