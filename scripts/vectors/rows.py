"""How vectors are written down: rows of id, title and request, grouped by what they share."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

from deputize.core.reasons import Reason
from deputize.core.verdict import Effect
from scripts.vectors.cast import HOST, IDP, NOW, RESEARCH, issue
from tests.harness.vector_files import DEFAULT_WORLD, Vector

Request = dict[str, Any]
"""A CheckRequest in the JSON form of protobuf."""
Row = tuple[str, str, Request]
Importance = Literal["critical", "high", "normal"]


def group(
    reason: Reason,
    source: str,
    *rows: Row,
    importance: Importance = "high",
    rule: str | None = None,
    now: int = NOW,
    world: str = DEFAULT_WORLD,
    again: Reason | None = None,
) -> Iterable[Vector]:
    """One vector for each row."""
    effect = Effect.ALLOW if reason is Reason.POLICY_ALLOWED else Effect.DENY
    for identifier, title, request in rows:
        yield Vector(
            id=identifier,
            title=title,
            source=source,
            importance=importance,
            world=world,
            request=request,
            now=now,
            effect=effect,
            reason=reason,
            rule=rule,
            again=again,
        )


def check(
    token: str | None = None,
    *,
    peer: str = RESEARCH,
    certificate: str = "",
    method: str = "GET",
    host: str = HOST,
    path: str = "/v1/orders/7",
    headers: Mapping[str, str] = {},
    omit: Collection[str] = (),
    metadata: Mapping[str, object] | None = None,
) -> Request:
    """What Envoy asks when the peer sends this; without a token, one of the peer's own.

    `headers` add or replace headers, `omit` removes them. `metadata` is that of the filters, by
    namespace.
    """
    sent = {
        ":authority": host,
        ":method": method,
        ":path": path,
        ":scheme": "https",
        "authorization": f"Bearer {issue(IDP, peer) if token is None else token}",
        **headers,
    }
    source = {"principal": peer}
    if certificate:
        source["certificate"] = certificate
    http = {
        "method": method,
        "headers": {name: value for name, value in sent.items() if name not in omit},
        "path": path,
        "host": host,
        "scheme": "https",
    }
    attributes: Request = {"source": source, "request": {"http": http}}
    if metadata is not None:
        attributes["metadataContext"] = {"filterMetadata": metadata}
    return {"attributes": attributes}


def with_raw_headers(request: Request, *further: tuple[str, bytes]) -> Request:
    """The same request in Envoy's other form, with raw values, and `further` headers behind."""
    http = dict(request["attributes"]["request"]["http"])
    sent = [(name, value.encode()) for name, value in http.pop("headers").items()]
    entries = [
        {"key": name, "rawValue": b64encode(value).decode()} for name, value in [*sent, *further]
    ]
    http["headerMap"] = {"headers": entries}
    return {"attributes": {**request["attributes"], "request": {"http": http}}}
