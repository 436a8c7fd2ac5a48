"""The reference of the audit event, with the event of a real decision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson

from deputize.config.loader import load
from deputize.core import audit_event
from deputize.core.audit_form import AuditEvent
from deputize.core.decide import decide
from deputize.core.keys import freeze_keys, parse_jwk_set
from deputize.core.model import AccessRequest
from deputize.core.revocation import NOTHING_REVOKED
from deputize.server.state import Fetched, build_snapshot
from scripts.reference import example_token
from scripts.reference.audit_schema import audit_schema
from scripts.reference.json_types import Schema
from scripts.reference.markdown import code, page, table

_SOURCE = "`src/deputize/core/audit_event.py`"
_INTRODUCTION = """\
Every check leaves exactly one event, one line of JSON each. What is not known is null; no member
is ever left out. Members may be added; none is renamed or changes its meaning.

An event never holds the token, a header value but those two named here, the query, an argument of
a call, or a claim but those named here and those that `audit.claims` of the configuration names.

The JSON Schema is `src/deputize/schemas/audit-event.schema.json`."""
_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def generate(root: Path) -> dict[Path, bytes]:
    """The page."""
    rows = list(_rows(audit_schema(), ""))
    parts = [
        _INTRODUCTION,
        table(("Member", "Type", "Meaning"), rows),
        "## An example",
        code("json", orjson.dumps(_example(root), option=orjson.OPT_INDENT_2).decode()),
    ]
    return page("audit-event.md", "Audit event", _SOURCE, parts)


def _rows(schema: Schema, prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, node in schema["properties"].items():
        choices = [choice for choice in node.get("anyOf", ()) if choice.get("type") != "null"]
        kind: Schema = choices[0] if choices else node
        text = _type(kind) + (" or null" if choices else "")
        yield f"`{prefix}{name}`", text, node["description"]
        inner, suffix = (kind["items"], "[].") if kind["type"] == "array" else (kind, ".")
        if "properties" in inner:
            yield from _rows(inner, f"{prefix}{name}{suffix}")


def _type(node: Schema) -> str:
    if node["type"] == "array":
        return f"list of {_type(node['items'])}"
    return {"string": "text"}.get(node["type"], str(node["type"]))


def _example(root: Path) -> AuditEvent:
    """The event of an allowed call, decided under the configuration in `docs/examples`."""
    folder = root / example_token.FOLDER
    files = example_token.generate(root)
    loaded = load(folder / "config.yaml")
    now = example_token.ISSUED_AT.timestamp() + 60
    rings = {
        name: freeze_keys(
            parse_jwk_set(files[example_token.FOLDER / "jwks.json"], issuer.algorithms)[0], now
        )
        for name, issuer in loaded.compiled.issuers.items()
    }
    request = AccessRequest(
        decision_id="0f7a3c5e9b1d4826a4c0e2f681b3d597",
        defect="",
        is_http=True,
        method="GET",
        scheme="https",
        host="orders.example",
        path="/v1/orders/17?expand=lines",
        headers={
            "authorization": "Bearer "
            + files[example_token.FOLDER / "alice-to-research.jwt"].decode().strip(),
            "x-request-id": "b2f1c7de-7d0c-4a4f-9a53-0d9f3a0c7e11",
            "traceparent": f"00-{_TRACE}-00f067aa0ba902b7-01",
        },
        asserted_principal="spiffe://prod.example.org/ns/agents/sa/research",
        certificate="",
        metadata={},
        is_internal=False,
        proxies=None,
    )
    fetched = Fetched(rings, NOTHING_REVOKED, {}, {})
    snapshot = build_snapshot(loaded.compiled, loaded.digest, fetched, None)
    decision = decide(request, snapshot, now, lambda _compact: None)
    return audit_event.build(request, decision, duration_us=412)
