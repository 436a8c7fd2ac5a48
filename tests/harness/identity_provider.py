"""An identity provider, all in memory: it issues tokens, rotates keys, and revokes.

It publishes its keys, where they are (OpenID Connect Discovery section 4) and its status list, says
of each token whether it is active, and keeps a deny list, everything on loopback.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.harness.deny_lists import deny_list
from tests.harness.introspection_endpoint import (
    CLIENT_ID,
    IntrospectionEndpoint,
    running_introspection_endpoint,
)
from tests.harness.issuer import Issuer
from tests.harness.loopback import HOST, http_server
from tests.harness.status_lists import PublishedStatuses

KEYS, STATUSES, DENIED = "/jwks.json", "/status/1", "/deny.json"
DISCOVERY = "/.well-known/openid-configuration"


@dataclass(slots=True)
class IdentityProvider:
    """Its documents are below `url`; `asked` counts how often each was fetched.

    `denied` is the `spec` of its deny list. While `is_down` it answers 503, but goes on saying
    whether tokens are active.
    """

    issuer: Issuer
    url: str
    statuses: PublishedStatuses
    introspection: IntrospectionEndpoint
    denied: dict[str, object] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    is_down: threading.Event = field(default_factory=threading.Event)

    @property
    def keys(self) -> dict[str, Any]:
        """Its entry `keys` in a configuration."""
        return {"url": f"{self.url}{KEYS}"}

    @property
    def status_lists(self) -> dict[str, Any]:
        """Its entry `statusLists`."""
        return {"uriPrefixes": [f"{self.url}/status/"], "maxAgeSeconds": 10}

    def introspected(self, secret_file: str) -> dict[str, Any]:
        """Its entry `introspection`."""
        return {
            "url": self.introspection.url,
            "clientId": CLIENT_ID,
            "clientSecretFile": secret_file,
            "cacheSeconds": 1,
            "timeoutMillis": 1500,
        }

    def document(self, path: str) -> bytes | None:
        """What it publishes there."""
        documents: dict[str, Callable[[], bytes]] = {
            DISCOVERY: self._metadata,
            KEYS: self.issuer.jwks,
            STATUSES: self.statuses.token,
            DENIED: lambda: deny_list(**self.denied).encode(),
        }
        return documents[path]() if path in documents else None

    def _metadata(self) -> bytes:
        members = {
            "issuer": self.issuer.url,
            "jwks_uri": f"{self.url}{KEYS}",
            "introspection_endpoint": self.introspection.url,
        }
        return json.dumps(members).encode()


@contextmanager
def running_identity_provider(issuer: Issuer) -> Iterator[IdentityProvider]:
    """Serves it on loopback."""
    providers: list[IdentityProvider] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            (provider,) = providers
            provider.asked[self.path] += 1
            body = None if provider.is_down.is_set() else provider.document(self.path)
            self.send_response(503 if body is None else 200)
            self.send_header("content-length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Says nothing."""

    with http_server(Handler) as port, running_introspection_endpoint() as introspection:
        url = f"http://{HOST}:{port}"
        statuses = PublishedStatuses(issuer, f"{url}{STATUSES}")
        providers.append(IdentityProvider(issuer, url, statuses, introspection))
        yield providers[0]
