"""The calls of `istio/walkthrough`, with tokens from its own issuer."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from tests.harness.calls import Call

ISTIO = Path(__file__).resolve().parents[2] / "istio"
FOLDER = ISTIO / "walkthrough"


@dataclass(frozen=True, slots=True)
class Line:
    """One call and what must come of it; without a reason the proxy does not ask."""

    title: str
    agent: str
    method: str
    service: str
    target: str
    token: dict[str, Any]
    status: int
    reason: str

    def call(self, keys: Path) -> Call:
        """The request, with a token that the key in the folder `keys` signs just now."""
        if not self.token:
            return Call(self.method, self.target)
        text = issuer().issue(
            self.token["for"],
            self.token["to"],
            self.token["scope"],
            self.token.get("through", []),
            keys,
        )
        return Call(self.method, self.target, (("Authorization", f"Bearer {text}"),))


def lines() -> list[Line]:
    """All calls, in the order of the file."""
    return [_line(each) for each in yaml.safe_load((FOLDER / "calls.yaml").read_text())]


def issuer() -> ModuleType:
    """The program `issuer.py`."""
    spec = importlib.util.spec_from_file_location("walkthrough_issuer", FOLDER / "issuer.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _line(written: dict[str, Any]) -> Line:
    method, service, target = written["call"].split(" ")
    return Line(
        title=written["title"],
        agent=written["agent"],
        method=method,
        service=service,
        target=target,
        token=written.get("token", {}),
        status=written["status"],
        reason=written.get("reason", ""),
    )
