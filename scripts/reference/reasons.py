"""The reference of the reason codes: what they mean, what a caller sees, where they are raised.

What a caller sees is taken from real answers, built for each code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import (
    CheckResponse,
    DeniedHttpResponse,
)
from deputize.adapters.envoy_request import unreadable
from deputize.adapters.envoy_response import Answers, UpstreamRules
from deputize.core.decide import refuse
from deputize.core.model import Scope
from deputize.core.reasons import REASONS, Reason
from deputize.core.verdict import Denial
from scripts.reference.markdown import page, table

_SOURCE = "`src/deputize/core/reasons.py` and `src/deputize/adapters/presentation.py`"
_SEARCHED = ("core/*.py", "server/*.py")
_TABLES = frozenset({"reasons.py", "verdict.py"})
"""Files that list codes or hold the answer, but refuse nothing."""
_FAMILIES = {
    "request": "Stage 0: what is asked?",
    "peer": "Stage 1: who are you?",
    "token": "Stage 2: whom do you represent?",
    "delegation": "Stage 3: show the mandate.",
    "policy": "Stage 4: is it good for this case?",
    "system": "Faults on our side. They refuse too.",
}
_INTRODUCTION = """\
Every decision has exactly one code. It is the same in the answer (`reason`), the audit event, the
metric `deputize_refusals_total` and the dynamic metadata of the proxy. Codes are append-only: none
is ever renamed or used for something else.

A caller sees the status, the challenge, the public text, the code and the decision id, as a
problem document (RFC 9457). The detail of a refusal is in the audit event only.

The gRPC code is what a proxy reads in the check's answer: 16 where authentication may help, else
7. A gRPC client of the proxied API gets the same code."""


def generate(root: Path) -> dict[Path, bytes]:
    """The page."""
    places = _find_places(root)
    parts = [_INTRODUCTION, _overview()]
    for family, title in _FAMILIES.items():
        parts.append(f"## {family}")
        parts.append(title)
        for reason in Reason:
            if reason.family == family:
                parts += _section(reason, places[reason])
    return page("reasons.md", "Reason codes", _SOURCE, parts)


def _overview() -> str:
    rows = []
    for reason in Reason:
        answer = None if reason is Reason.POLICY_ALLOWED else _answer(reason)
        status = "the upstream's" if answer is None else str(answer.denied_response.status.code)
        grpc = "0" if answer is None else str(answer.status.code)
        rows.append((f"[`{reason}`](#{reason})", status, grpc, REASONS[reason].meaning))
    return table(("Code", "HTTP", "gRPC", "Meaning"), rows)


def _section(reason: Reason, places: list[str]) -> Iterator[str]:
    info = REASONS[reason]
    yield f'<a id="{reason}"></a>\n\n### `{reason}`'
    yield info.meaning
    rows = [("What to do", info.remedy)]
    if reason is not Reason.POLICY_ALLOWED:
        answer = _answer(reason)
        denied = answer.denied_response
        rows.append(("The caller sees", f"HTTP {denied.status.code}: {info.public}"))
        challenge = _header(denied, "www-authenticate")
        if challenge:
            rows.append(("`WWW-Authenticate`", f"`{challenge}`"))
        rows.append(("gRPC code of the check", str(answer.status.code)))
    rows.append(("Raised in", ", ".join(f"[{place}](../../{place})" for place in places)))
    yield table(("", ""), rows)


def _answer(reason: Reason) -> CheckResponse:
    rules = UpstreamRules(
        header_prefix="x-deputize-",
        token_header="authorization",  # noqa: S106 - the name of a header
        keep_token=False,
        forward_header="",
        remove_headers=(),
    )
    scopes = {Scope("orders:read")} if reason is Reason.POLICY_INSUFFICIENT_SCOPE else set[Scope]()
    denial = Denial(reason=reason, detail="", needed_scopes=frozenset(scopes))
    octets = Answers(rules).to_response(unreadable("", "", None), refuse("", denial, 0.0, ""))
    return CheckResponse.FromString(octets)


def _header(denied: DeniedHttpResponse, name: str) -> str:
    return next((entry.header.value for entry in denied.headers if entry.header.key == name), "")


def _find_places(root: Path) -> dict[Reason, list[str]]:
    """The files that refuse with each code, or in the case of the one allow, permit with it.

    Raises:
        ValueError: no file uses a code.
    """
    package = root / "src/deputize"
    files = sorted(file for glob in _SEARCHED for file in package.glob(glob))
    texts = {file: file.read_text(encoding="utf-8") for file in files if file.name not in _TABLES}
    places: dict[Reason, list[str]] = {Reason.POLICY_ALLOWED: ["src/deputize/core/policy.py"]}
    for reason in Reason:
        word = re.compile(rf"\bReason\.{reason.name}\b")
        found = [file for file, text in texts.items() if word.search(text)]
        places.setdefault(reason, [file.relative_to(root).as_posix() for file in found])
        if not places[reason]:
            raise ValueError(f"nothing raises {reason}")
    return places
