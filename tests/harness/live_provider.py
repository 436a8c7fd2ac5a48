"""A running service whose issuer is an identity provider that can revoke."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deputize.core.reasons import Reason
from tests.harness.check_message import make_check
from tests.harness.identity_provider import IdentityProvider, running_identity_provider
from tests.harness.introspection_endpoint import CLIENT_SECRET
from tests.harness.issuer import Issuer
from tests.harness.live import Live, running_live
from tests.harness.polling import wait_until
from tests.harness.service import DeputizeProcess
from tests.harness.world import ISSUER_URL

SECRET_FILE = "secret"
SLACK_SECONDS = 2.0
"""Beyond a stated bound: for the fetch itself, and for a machine that does other things too."""

Change = Callable[[dict[str, Any], IdentityProvider], None]


@dataclass(frozen=True, slots=True)
class Shown:
    """One token that is shown to the service again and again, in the same check."""

    live: Live
    octets: bytes

    def reason(self) -> str:
        """What comes of it now."""
        return self.live.ask(self.octets).reason

    def becomes(self, reason: Reason, within: float, *, also: Reason | None = None) -> None:
        """Waits until it has this outcome, at most as many seconds as are stated.

        Until then nothing may come of it but what came first, and `also`.
        """
        lawful = {self.reason(), reason, also}

        def has_turned() -> bool:
            found = self.reason()
            assert found in lawful, found
            return found == reason

        wait_until(has_turned, within + SLACK_SECONDS, reason)


def shown(live: Live, token: str) -> Shown:
    """The token, in a check that is allowed unless something is revoked."""
    return Shown(live, make_check(token).SerializeToString())


@contextmanager
def running_with_provider(
    folder: Path, change: Change, process: type[DeputizeProcess] = DeputizeProcess
) -> Iterator[tuple[Live, IdentityProvider]]:
    """Starts both; `change` may edit the `spec` of the configuration before."""
    issuer = Issuer(ISSUER_URL)
    with running_identity_provider(issuer) as provider:
        (folder / SECRET_FILE).write_text(CLIENT_SECRET, encoding="utf-8")
        with running_live(
            folder,
            keys=provider.keys,
            issuer=issuer,
            change=lambda spec: change(spec, provider),
            process=process,
        ) as live:
            yield live, provider
