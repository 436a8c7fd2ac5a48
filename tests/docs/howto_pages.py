"""The pages of the cookbook: their policies, their cases, and what a refused agent sees."""

from __future__ import annotations

import re
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import NoReturn

import orjson

from deputize.adapters.budget_store import Spent
from deputize.adapters.refusal import Refusal, write_refusal
from deputize.adapters.replay_store import Use
from deputize.cli.court import Judgement
from deputize.cli.policy_cases import Case, Suite, load_suites
from deputize.core.verdict import Denial, Wanted
from deputize.server.obligations import meet
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
    """What the agent gets in this case; where a budget decides, what it gets when that is empty.

    A gRPC client gets what Envoy makes of it: the status, and the body as its message.
    """
    (case,) = [case for case in suite.cases if case.name == name]
    judgement = suite.bench.court.decide(case.call)
    refusal = write_refusal(judgement.asked, judgement.decision, _denial(case, judgement))
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


def _denial(case: Case, judgement: Judgement) -> Denial:
    verdict = judgement.decision.verdict
    if isinstance(verdict, Denial):
        return verdict
    met = meet(verdict, "", _UsedUp(), _NoSources(), case.call.at, 0)
    assert met.denial is not None, f"{case.name} is allowed"
    return met.denial


class _UsedUp:
    """A store in which every budget is used up."""

    def consume(self, _key: str, _until: float, _now: float, _timeout: float) -> Use:
        return Use.FRESH

    def spend(self, _key: str, _limit: int, _window: int, _now: float, _timeout: float) -> Spent:
        return Spent.EXHAUSTED


class _NoSources:
    """Nothing to fetch, and nobody to ask."""

    def refetch(self, wanted: Wanted, timeout: float) -> NoReturn:
        raise NotImplementedError

    def introspection(self, _issuer: str) -> None:
        return None
