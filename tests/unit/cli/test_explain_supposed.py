"""`explain` with a token that nobody issued, and with calls that flags describe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deputize.cli.main import app
from deputize.core.reasons import Reason
from tests.harness.approvals import APPROVALS_URL
from tests.harness.config_files import SERVICE, changed, write_world
from tests.harness.court_policies import RULES
from tests.harness.deny_lists import deny_list
from tests.harness.issuer import Issuer
from tests.harness.world import AGENT, ISSUER_URL, NOW, OTHER_AGENT

ORDER = "https://orders.example/v1/orders/7"
REFUND = f"{ORDER}/refund"
TOOLS = "https://tools.example/mcp"
ALICE = ("--on-behalf-of", f"{ISSUER_URL} alice", "--claim", 'groups=["staff"]')
DENIED = "  denyLists: [{file: deny.yaml}]\n"
APPROVALS = (
    f"  approvals: {{services: [{{issuer: '{APPROVALS_URL}', keys: {{file: desk.json}}}}]}}\n"
)
# Its keys are nowhere: a supposed token needs none.
DEPTH = "  delegation: {maxChainDepth: 3}\n"
WORLD = changed(SERVICE, "  audit:\n", f"{APPROVALS}{DENIED}{DEPTH}  audit:\n")


class Desk:
    """A configuration, and who asks what it would decide."""

    def __init__(self, folder: Path, service: str = WORLD, policy: str = RULES) -> None:
        self.folder = folder
        self.config_file = write_world(folder, service=service, policy=policy)
        self.stop()

    def stop(self, **listed: object) -> None:
        """Writes the deny list."""
        (self.folder / "deny.yaml").write_text(deny_list(**listed))

    def issue(self, scope: str) -> str:
        """The file of a real token, from now on with keys."""
        issuer = Issuer(ISSUER_URL)
        for name in ("jwks.json", "desk.json"):
            (self.folder / name).write_bytes(issuer.jwks())
        file = self.folder / "token.txt"
        file.write_text(issuer.issue(now=NOW, scope=scope))
        return str(file)

    def explain(self, *flags: str, peer: str = AGENT, url: str = ORDER) -> Result:
        words = ["explain", "-c", str(self.config_file), "--at", str(NOW), *flags]
        words += [word for name, value in (("--peer", peer), ("--url", url)) if value
                  for word in (name, value)]  # fmt: skip
        return CliRunner().invoke(app, words)

    def ask(self, *flags: str, **further: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.explain(*flags, "--json", **further).stdout)
        return answer


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_supposed_token_is_decided_like_a_real_one(desk: Desk) -> None:
    result = desk.explain(*ALICE, "--scope", "orders:read")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"supposed: alice of {ISSUER_URL}, scopes orders:read, ")
    answer = desk.ask(*ALICE, "--scope", "tools orders:read")
    assert (answer["rule"], answer["supposed"]) == ("shop/read", True)
    assert answer["granted_scopes"] == ["orders:read"]
    assert desk.ask(*ALICE)["reason"] == Reason.POLICY_INSUFFICIENT_SCOPE


def test_the_digest_is_that_of_the_configuration(desk: Desk) -> None:
    real = desk.ask("--token", desk.issue("orders:read"))
    assert real["supposed"] is False
    assert desk.ask(*ALICE)["policy_digest"] == real["policy_digest"]


def test_claims_are_json_or_text(desk: Desk) -> None:
    flags = (*ALICE[:2], "--scope", "orders:read", "--claim")
    assert desk.ask(*flags, "groups=staff")["effect"] == "allow"
    assert desk.ask(*flags, 'groups="staff"')["effect"] == "allow"
    assert desk.ask(*flags, "groups=[1]")["effect"] == "deny"


@pytest.mark.parametrize(
    ("flags", "peer", "reason"),
    [
        ((), "spiffe://elsewhere.example/x", Reason.PEER_UNTRUSTED_DOMAIN),
        ((), "research", Reason.PEER_MALFORMED),
        (("--chain", "a", "--chain", "b", "--chain", "c"), AGENT, Reason.DELEGATION_TOO_DEEP),
    ],
)
def test_what_the_configuration_bounds_counts(
    desk: Desk, flags: tuple[str, ...], peer: str, reason: Reason
) -> None:
    assert desk.ask(*ALICE, *flags, peer=peer)["reason"] == reason


def test_deny_lists_and_observe_mode_count(tmp_path: Path) -> None:
    observed = Desk(tmp_path, changed(WORLD, "  policies:", "  policyMode: observe\n  policies:"))
    answer = observed.ask(*ALICE)
    assert (answer["effect"], answer["observed"]["rule"]) == ("allow", "shop/read")
    observed.stop(agents=[AGENT])
    assert observed.ask(*ALICE)["reason"] == Reason.PEER_SUSPENDED


def test_an_approval_may_be_supposed(desk: Desk) -> None:
    flags = (*ALICE[:2], "--claim", "acr=gold", "--scope", "orders:write", "--method", "POST")
    assert desk.ask(*flags, url=REFUND)["reason"] == Reason.POLICY_APPROVAL_REQUIRED
    result = desk.explain(*flags, "--approved-by", "carol", url=REFUND)
    assert result.exit_code == 0
    assert "approved by carol" in result.stdout
    assert "budget of shop/refund" in result.stdout


def test_a_tool_is_called_by_its_name(desk: Desk) -> None:
    flags = (*ALICE, "--scope", "tools", "--tool")
    answer = desk.ask(*flags, "search", "--argument", "q=x", url=TOOLS)
    assert answer["calls"] == [{"protocol": "mcp", "method": "tools/call", "name": "search"}]
    assert answer["effect"] == "allow"
    for amount, effect in (("5", "allow"), ("500", "deny"), ("'5'", "deny")):
        asked = desk.ask(*flags, "pay", "--argument", f"amount={amount}", url=TOOLS)
        assert asked["effect"] == effect, amount
    listing = desk.ask(*ALICE, "--call", "tools/list", url=TOOLS)
    assert listing["calls"][0]["method"] == "tools/list"
    given = desk.ask(*flags, "search", "--header", "mcp-method: tools/list", url=TOOLS)
    assert given["reason"].startswith("request.")


def test_a_call_where_none_is_read_is_told(desk: Desk) -> None:
    asked = desk.explain(*ALICE, "--tool", "search")
    assert asked.exit_code == 1
    assert "the call was not read" in asked.stderr
    assert desk.explain(*ALICE, "--tool", "search", url=TOOLS).stderr == ""


def test_a_tool_may_be_called_with_a_real_token(desk: Desk) -> None:
    answer = desk.ask("--token", desk.issue("tools"), "--tool", "search", url=TOOLS)
    assert (answer["effect"], answer["supposed"]) == ("allow", False)


def test_a_body_is_posted(desk: Desk) -> None:
    file = desk.folder / "body.json"
    file.write_text("{}")
    answer = desk.ask(*ALICE, "--body", str(file), url=REFUND)
    assert answer["questions"][0]["answer"].startswith("POST ")
    assert desk.ask(*ALICE, url=REFUND)["questions"][0]["answer"].startswith("GET ")


@pytest.mark.parametrize(
    "flags",
    [
        ("--scope", "a"),
        ("--claim", "a=1"),
        ("--chain", "a"),
        ("--approved-by", "carol"),
        ("--argument", "a=1"),
        ("--on-behalf-of", "alice"),
        ("--on-behalf-of", f"{ISSUER_URL} "),
        ("--on-behalf-of", "https://elsewhere.example alice"),
        (*ALICE, "--token", "token.txt"),
        (*ALICE, "--certificate", "svid.pem"),
        (*ALICE, "--jwks", "a=b"),
        (*ALICE, "--header", "authorization: Bearer x"),
        (*ALICE, "--header", "dpop: x"),
        (*ALICE, "--claim", "sub=bob"),
        (*ALICE, "--claim", "=1"),
        (*ALICE, "--claim", "a"),
        (*ALICE, "--claim", "groups=x"),
        (*ALICE, "--tool", "search", "--body", "body.json"),
        (*ALICE, "--tool", "search", "--argument", "q"),
    ],
)
def test_what_makes_no_sense_ends_with_2(desk: Desk, flags: tuple[str, ...]) -> None:
    result = desk.explain(*flags)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1


def test_a_supposed_token_needs_an_agent_and_no_request_file(desk: Desk) -> None:
    assert desk.explain(*ALICE, peer="").exit_code == 2
    file = desk.folder / "request.json"
    file.write_text("{}")
    for flags in (ALICE, ("--tool", "search")):
        asked = desk.explain("--request", str(file), *flags, peer="", url="")
        assert asked.exit_code == 2


def test_another_agent_is_another_answer(desk: Desk) -> None:
    flags = (*ALICE, "--scope", "orders:read")
    assert desk.ask(*flags, peer=OTHER_AGENT)["reason"] == Reason.POLICY_NO_MATCH
