"""`explain` decides as the service does, and tells why."""

from __future__ import annotations

import json
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from google.protobuf import json_format
from typer.testing import CliRunner, Result

from deputize.cli.main import app
from deputize.core.reasons import Reason
from tests.harness.certificates import make_authority, make_bundle
from tests.harness.check_message import make_check
from tests.harness.config_files import SERVICE, changed, write_world
from tests.harness.deny_lists import deny_list
from tests.harness.dpop_client import ProofKey
from tests.harness.issuer import Issuer, encode_base64url
from tests.harness.world import (
    AGENT,
    HOST,
    ISSUER_URL,
    NOW,
    OTHER_AGENT,
    TRUST_DOMAIN,
    make_svid,
)

URL = f"https://{HOST}/v1/orders/7"


class World:
    """Configuration, issuer and token as files."""

    def __init__(self, folder: Path, service: str = SERVICE) -> None:
        self.issuer = Issuer(ISSUER_URL)
        self.folder = folder
        self.config_file = write_world(folder, service=service, issuer=self.issuer)
        self.token_file = folder / "token.txt"
        self.use(self.issuer.issue(now=NOW))

    def use(self, token: str) -> None:
        """Sends this token from now on."""
        self.token = token
        self.token_file.write_text(token)

    def explain(self, *arguments: str | Path, stdin: str | None = None) -> Result:
        command = ["explain", "--config", self.config_file, *arguments]
        return CliRunner().invoke(app, [str(each) for each in command], input=stdin)

    def ask(self, *arguments: str | Path, peer: str = AGENT, url: str = URL) -> Result:
        """By flags, at the time of the token, for programs."""
        given = ["--peer", peer, "--url", url, "--at", str(NOW), "--json"]
        return self.explain(*given, "--token", self.token_file, *arguments)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def told(result: Result) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_an_allowed_call_ends_with_0(world: World) -> None:
    result = world.ask()
    assert result.exit_code == 0
    answer = told(result)
    assert (answer["effect"], answer["reason"]) == ("allow", Reason.POLICY_ALLOWED)
    assert answer["rule"] == "orders/read"
    assert answer["granted_scopes"] == ["orders:read"]
    assert [entry["state"] for entry in answer["questions"]] == ["proved"] * 5


def test_a_refused_call_ends_with_1_and_shows_how_far_it_came(world: World) -> None:
    result = world.ask(peer=OTHER_AGENT)
    assert result.exit_code == 1
    answer = told(result)
    assert (answer["effect"], answer["reason"]) == ("deny", Reason.DELEGATION_ACTOR_MISMATCH)
    states = [entry["state"] for entry in answer["questions"]]
    assert states == ["proved", "proved", "proved", "refused", "not reached"]


def test_the_members_are_the_same_for_allow_and_deny(world: World) -> None:
    members = {
        "effect", "reason", "detail", "rule", "questions", "calls", "granted_scopes",
        "needed_scopes", "withheld_scopes", "nearest", "approval", "observed", "obligations",
        "policy_digest", "supposed",
    }  # fmt: skip
    assert set(told(world.ask())) == members
    assert set(told(world.ask(peer=""))) == members


@pytest.mark.parametrize(
    ("peer", "path", "reason"),
    [
        (AGENT, "/v1/orders/7", Reason.POLICY_ALLOWED),
        (AGENT, "/v1/orders/7?x=1", Reason.POLICY_ALLOWED),
        (AGENT, "/v1/orders/../7", Reason.REQUEST_AMBIGUOUS_PATH),
        (AGENT, "/other", Reason.POLICY_NO_MATCH),
        ("", "/v1/orders/7", Reason.PEER_MISSING),
        ("CN=x", "/v1/orders/7", Reason.PEER_MALFORMED),
    ],
)
def test_flags_and_a_request_file_give_the_same_answer(
    world: World, peer: str, path: str, reason: Reason
) -> None:
    check = make_check(world.token, peer=peer, path=path)
    file = world.folder / "check.json"
    file.write_text(json_format.MessageToJson(check))
    by_file = world.explain("--request", file, "--at", str(NOW), "--json")
    by_flags = world.ask(peer=peer, url=f"https://{HOST}{path}")
    assert told(by_file) == told(by_flags)
    assert by_file.exit_code == by_flags.exit_code
    assert told(by_file)["reason"] == reason


def test_a_request_may_come_from_standard_input(world: World) -> None:
    text = json_format.MessageToJson(make_check(world.token))
    result = world.explain("--request", "-", "--at", str(NOW), "--json", stdin=text)
    assert told(result)["effect"] == "allow"


def test_repeated_headers_are_joined_as_a_proxy_does_it(world: World) -> None:
    both = world.ask("--header", "X-Mandate: a", "--header", "Authorization: Bearer x")
    assert told(both)["reason"] == Reason.REQUEST_DUPLICATE_CREDENTIAL
    headers = ["--header", f"authorization: Bearer {world.token}"]
    plain = ["--peer", AGENT, "--url", URL, "--at", str(NOW), "--json"]
    assert told(world.explain(*plain, *headers))["effect"] == "allow"
    twice = world.explain(*plain, *headers, *headers)
    assert told(twice)["reason"] == Reason.REQUEST_DUPLICATE_CREDENTIAL


def test_a_token_header_of_its_own_gets_the_bare_token(tmp_path: Path) -> None:
    service = changed(SERVICE, "  audit:", "  token: {header: x-mandate}\n  audit:")
    assert told(World(tmp_path, service).ask())["effect"] == "allow"


@pytest.mark.parametrize("at", [str(NOW), datetime.fromtimestamp(NOW, UTC).isoformat()])
def test_a_time_may_be_a_number_or_a_date(world: World, at: str) -> None:
    assert told(world.ask("--at", at))["effect"] == "allow"


def test_the_default_time_is_now(world: World) -> None:
    arguments = ["--peer", AGENT, "--url", URL, "--json"]
    result = world.explain(*arguments, "--token", world.token_file)
    assert told(result)["reason"] == Reason.TOKEN_NOT_YET_VALID


def test_keys_of_an_issuer_without_a_file_can_be_given(tmp_path: Path) -> None:
    service = changed(SERVICE, "file: jwks.json", "url: https://issuer.example/jwks.json")
    world = World(tmp_path, service)
    assert told(world.ask())["reason"] == Reason.SYSTEM_KEYS_UNAVAILABLE
    keys = f"{ISSUER_URL}={tmp_path / 'jwks.json'}"
    assert told(world.ask("--jwks", keys))["effect"] == "allow"


REVOKED = {"tokens": [{"issuer": ISSUER_URL, "id": "token-1"}]}


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        ({}, Reason.POLICY_ALLOWED),
        (REVOKED, Reason.TOKEN_REVOKED),
        ({"agents": [AGENT]}, Reason.PEER_SUSPENDED),
        ({"agents": [OTHER_AGENT]}, Reason.DELEGATION_MEMBER_REFUSED),
        ({"principals": [{"issuer": ISSUER_URL, "subject": "alice"}]}, Reason.TOKEN_REVOKED),
        ({"issuedBefore": [{"agent": AGENT, "time": "2100-01-01T00:00:00Z"}]},
         Reason.TOKEN_REVOKED),
    ],
)  # fmt: skip
def test_what_a_deny_list_names_is_refused(
    tmp_path: Path, listed: dict[str, object], reason: Reason
) -> None:
    lists = "  denyLists: [{file: empty.yaml}, {file: deny.yaml}]\n  audit:"
    world = World(tmp_path, changed(SERVICE, "  audit:", lists))
    world.use(
        world.issuer.issue(now=NOW, subject="alice", chain=[OTHER_AGENT], claims={"jti": "token-1"})
    )
    (tmp_path / "empty.yaml").write_text(deny_list())
    (tmp_path / "deny.yaml").write_text(deny_list(**listed))
    result = world.ask()
    assert told(result)["reason"] == reason
    assert result.exit_code == (0 if reason is Reason.POLICY_ALLOWED else 1)


def test_a_deny_list_with_a_mistake_or_none_at_all_ends_with_2(tmp_path: Path) -> None:
    lists = "  denyLists: [{file: a.yaml}, {file: b.yaml}, {file: c.yaml}]\n  audit:"
    world = World(tmp_path, changed(SERVICE, "  audit:", lists))
    (tmp_path / "a.yaml").write_text(deny_list(agents=["research"]))
    (tmp_path / "b.yaml").write_text(deny_list())
    result = world.ask()
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{tmp_path / 'a.yaml'}:1: spec.agents[0]: " in result.stderr
    assert f"{tmp_path / 'c.yaml'}: " in result.stderr
    assert str(tmp_path / "b.yaml") not in result.stderr


def test_a_deny_list_at_a_url_is_said_to_be_left_out(tmp_path: Path) -> None:
    url = "https://lists.example/deny.json"
    lists = f"  denyLists: [{{url: '{url}'}}]\n  audit:"
    result = World(tmp_path, changed(SERVICE, "  audit:", lists)).ask()
    assert told(result)["effect"] == "allow"
    assert url in result.stderr


STATUS_URI = f"{ISSUER_URL}/status/1"
STATUS_FILES = f"      statusLists: {{files: {{'{STATUS_URI}': status.jwt}}}}\n"
WITH_STATUS = changed(SERVICE, "  policies:", f"{STATUS_FILES}  policies:")


def status_list(issuer: Issuer, octets: bytes) -> str:
    claims = {
        "sub": STATUS_URI,
        "iat": NOW,
        "status_list": {"bits": 1, "lst": encode_base64url(zlib.compress(octets))},
    }
    return issuer.sign({**issuer.header(), "typ": "statuslist+jwt"}, json.dumps(claims).encode())


@pytest.mark.parametrize(
    ("uri", "index", "reason"),
    [
        (STATUS_URI, 0, Reason.POLICY_ALLOWED),
        (STATUS_URI, 1, Reason.TOKEN_REVOKED),
        (f"{STATUS_URI}0", 0, Reason.SYSTEM_STATUS_UNAVAILABLE),
    ],
)
def test_a_status_list_in_a_file_is_asked(
    tmp_path: Path, uri: str, index: int, reason: Reason
) -> None:
    world = World(tmp_path, WITH_STATUS)
    (tmp_path / "status.jwt").write_text(status_list(world.issuer, b"\x02") + "\n")
    reference = {"status_list": {"uri": uri, "idx": index}}
    world.use(world.issuer.issue(now=NOW, claims={"status": reference}))
    assert told(world.ask())["reason"] == reason


def test_a_status_list_signed_by_another_ends_with_2(tmp_path: Path) -> None:
    world = World(tmp_path, WITH_STATUS)
    (tmp_path / "status.jwt").write_text(status_list(Issuer(ISSUER_URL), b"\x00"))
    assert world.ask().exit_code == 2


@pytest.mark.parametrize(
    ("signer", "reason"),
    [("authority", Reason.POLICY_ALLOWED), ("other", Reason.PEER_SVID_INVALID)],
)
def test_a_certificate_is_checked_with_a_bundle_in_a_file(
    tmp_path: Path, signer: str, reason: Reason
) -> None:
    bundles = f"    bundles: [{{trustDomain: {TRUST_DOMAIN}, file: bundle.json}}]\n  issuers:"
    world = World(tmp_path, changed(SERVICE, "  issuers:", bundles))
    (tmp_path / "bundle.json").write_bytes(make_bundle(make_authority("authority")))
    certificate = tmp_path / "svid.pem"
    certificate.write_text(unquote(make_svid(issuer=make_authority(signer))))
    assert told(world.ask("--certificate", certificate))["reason"] == reason


def test_people_are_told_the_same(world: World) -> None:
    arguments = ["--peer", AGENT, "--url", URL, "--at", str(NOW)]
    result = world.explain(*arguments, "--token", world.token_file)
    assert result.exit_code == 0
    assert "policy.allowed" in result.stdout
    assert world.token not in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["--url", ""],
        ["--url", "/v1/orders"],
        ["--url", "https://[::1"],
        ["--header", "no colon"],
        ["--at", "yesterday"],
        ["--at", "2026-01-01T00:00:00"],
        ["--at", "nan"],
        ["--token", "nowhere.txt"],
        ["--body", "nowhere.txt"],
        ["--request", "nowhere.json"],
        ["--jwks", "nowhere.json"],
        ["--jwks", "https://other.example=jwks.json"],
        ["--jwks", f"{ISSUER_URL}=nowhere.json"],
        ["--unknown"],
    ],
)
def test_bad_input_ends_with_2(world: World, arguments: list[str]) -> None:
    result = world.ask(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize("text", ["", "{", "7", '{"attributes": 7}', "\x00"])
def test_a_request_that_is_no_check_ends_with_2(world: World, text: str) -> None:
    assert world.explain("--request", "-", "--json", stdin=text).exit_code == 2


def test_a_key_file_that_is_no_key_set_ends_with_2(world: World) -> None:
    (world.folder / "jwks.json").write_text("[]")
    assert world.ask().exit_code == 2


def test_a_request_comes_from_a_file_or_from_flags(world: World, tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text("{}")
    body = ("--body", str(file))
    for flag in (("--method", "DELETE"), ("--peer", AGENT), ("--url", URL), body):
        assert world.explain("--request", str(file), *flag).exit_code == 2


def test_the_certificate_may_be_given(world: World, tmp_path: Path) -> None:
    file = tmp_path / "svid.pem"
    file.write_text(unquote(make_svid([AGENT])))
    assert told(world.ask("--certificate", str(file)))["effect"] == "allow"
    file.write_text(unquote(make_svid([OTHER_AGENT])))
    assert told(world.ask("--certificate", str(file)))["reason"] == Reason.PEER_SVID_INVALID


def test_a_url_without_a_scheme_is_refused(world: World) -> None:
    assert world.explain("--peer", AGENT, "--url", f"//{HOST}/v1/orders/7").exit_code == 2


def test_a_bound_token_with_its_proof_is_allowed(world: World) -> None:
    key = ProofKey()
    world.use(world.issuer.issue(now=NOW, claims={"cnf": {"jkt": key.thumbprint}}))
    proof = key.prove(world.token, now=NOW, url=URL)
    answer = told(world.ask("--header", f"dpop: {proof}"))
    assert answer["reason"] == Reason.POLICY_ALLOWED
    assert len(answer["obligations"]) == 1
    plain = told(world.ask("--header", f"dpop: {proof}", url=URL.replace("https:", "http:")))
    assert plain["reason"] == Reason.TOKEN_PROOF_INVALID


def test_a_token_that_may_not_be_used_is_the_answer_to_the_second_question(world: World) -> None:
    world.use(world.issuer.issue(now=NOW, claims={"cnf": {"jkt": ProofKey().thumbprint}}))
    answer = told(world.ask())
    assert answer["reason"] == Reason.TOKEN_WRONG_BINDING
    states = [each["state"] for each in answer["questions"]]
    assert states == ["proved", "proved", "refused", "not reached", "not reached"]


def test_keys_that_are_not_fetched_are_named(tmp_path: Path) -> None:
    service = changed(SERVICE, "file: jwks.json", "discovery: true")
    result = World(tmp_path, service).ask()
    assert told(result)["reason"] == Reason.SYSTEM_KEYS_UNAVAILABLE
    assert f"--jwks {ISSUER_URL}=FILE" in result.stderr
