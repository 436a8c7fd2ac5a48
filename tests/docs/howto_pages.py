"""The pages of the cookbook: their policies, their cases, and what a refused agent sees."""

from __future__ import annotations

import re
from functools import cache
from http import HTTPStatus
from pathlib import Path

import orjson

from deputize.adapters.refusal import Refusal, write_refusal
from deputize.cli.policy_cases import Suite, load_suites
from deputize.core.verdict import Denial
from tests.docs.markdown_files import ROOT, Page

FOLDER = ROOT / "docs/howto"
RECIPES = sorted(path.parent for path in FOLDER.glob("*/policy.yaml"))
"""One folder for each."""

POLICY_MARK = "<!-- policy.yaml -->"
"""Stands before a `yaml` block that is the file of that name."""

_SHOWN = re.compile(r"^<!-- refused: ([^\n]+) -->\n```http\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHOWN_ID = "b7b2bd9b2f5b4a06a60ddfa60ac68d1e"
_GRPC_STATUS = {401: 16, 403: 7}


@cache
def load_recipe(folder: Path) -> Suite:
    """The cases of a recipe, with what decides them."""
    (suite,) = load_suites([folder / "policy.test.yaml"])
    return suite


def recipe_page(folder: Path) -> Page:
    """The page of a recipe."""
    path = folder / "README.md"
    return Page(path, path.read_text(encoding="utf-8"))


def policy_text(folder: Path) -> str:
    """The policy of a recipe, without the line for editors."""
    first, _, rest = (folder / "policy.yaml").read_text(encoding="utf-8").partition("\n")
    assert first.startswith("# yaml-language-server: ")
    return rest.removeprefix("#\n")


def shown_policies(page: Page) -> list[str]:
    """The blocks that say they are the policy file."""
    return re.findall(rf"^{POLICY_MARK}\n```yaml\n(.*?)^```$", page.text, re.MULTILINE | re.DOTALL)


def shown_refusals(page: Page) -> list[tuple[str, str]]:
    """Each case whose refusal the page shows, and what it shows."""
    return _SHOWN.findall(page.text)


def render_refusal(suite: Suite, name: str) -> str:
    """What the agent gets in this case.

    A gRPC client gets what Envoy makes of it: the status, and the body as its message.
    """
    (case,) = [case for case in suite.cases if case.name == name]
    judgement = suite.bench.court.decide(case.call)
    denial = judgement.decision.verdict
    assert isinstance(denial, Denial), f"{name} is allowed"
    refusal = write_refusal(judgement.asked, judgement.decision, denial)
    headers = dict(refusal.headers)
    if headers["content-type"] == "text/plain":
        status = _GRPC_STATUS[refusal.http_status]
        return f"HTTP/2 200\ngrpc-status: {status}\ngrpc-message: {refusal.body}\n"
    return _render(refusal, judgement.decision.decision_id)


def _render(refusal: Refusal, decision_id: str) -> str:
    status = HTTPStatus(refusal.http_status)
    shown = [f"{name}: {value}" for name, value in refusal.headers if name != "cache-control"]
    body = orjson.loads(refusal.body.replace(f'"{decision_id}"', f'"{_SHOWN_ID}"'))
    text = orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
    return "\n".join([f"HTTP/1.1 {status.value} {status.phrase}", *shown, "", text, ""])
