"""`validate`, `version`, `token inspect`: what they print and how they end."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deputize.cli.main import app
from tests.harness.config_files import POLICY, SERVICE, changed, line_of, write_world
from tests.harness.deny_lists import deny_list
from tests.harness.issuer import Issuer
from tests.harness.world import AGENT, ISSUER_URL, NOW, OTHER_AGENT


def run(*arguments: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def test_a_good_configuration_is_valid(tmp_path: Path) -> None:
    config_file = write_world(tmp_path)
    (tmp_path / "jwks.json").write_bytes(Issuer(ISSUER_URL).jwks())
    result = run("validate", "--config", config_file)
    assert (result.exit_code, result.stderr) == (0, "")


def test_what_will_hardly_work_is_a_warning(tmp_path: Path) -> None:
    service = changed(SERVICE, '["127.0.0.1:0"]', '["0.0.0.0:0"]')
    config_file = write_world(tmp_path, service=service)
    result = run("validate", "--config", config_file)
    assert result.exit_code == 0
    assert result.stderr.count("warning: ") == 2
    (tmp_path / "jwks.json").write_text('{"keys": [{"kty": "oct", "kid": "k", "k": "AAAA"}]}')
    assert run("validate", "--config", config_file).stderr.count("warning: ") == 3


@pytest.mark.parametrize("by_policy", [True, False])
def test_what_is_only_observed_is_a_warning(tmp_path: Path, *, by_policy: bool) -> None:
    mode = "  mode: observe\n  rules:" if by_policy else "  rules:"
    policy = changed(POLICY, "  rules:", mode)
    line = "  policies: [policies]\n"
    service = SERVICE if by_policy else changed(SERVICE, line, f"{line}  policyMode: observe\n")
    issuer = Issuer(ISSUER_URL)
    config_file = write_world(tmp_path, service=service, policy=policy, issuer=issuer)
    result = run("validate", "--config", config_file)
    assert (result.exit_code, result.stderr.count("warning: ")) == (0, 1)


def test_policies_below_a_listed_folder_are_warned_of(tmp_path: Path) -> None:
    config_file = write_world(tmp_path, issuer=Issuer(ISSUER_URL))
    below = tmp_path / "policies" / "team"
    for folder in (below, below / "deep", below / ".drafts", tmp_path / "policies" / "..data"):
        folder.mkdir(parents=True)
        (folder / "crm.yaml").write_text(POLICY)
    (below / "crm.test.yaml").write_text("kind: PolicyTest # of a DelegationPolicy\n")
    (below / "envoy.yaml").write_text("static_resources: {}\n")
    result = run("validate", "--config", config_file)
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "warning: policies/team/crm.yaml is not read: list its folder too",
        "warning: policies/team/deep/crm.yaml is not read: list its folder too",
    ]


def test_policies_in_a_listed_folder_below_another_are_read(tmp_path: Path) -> None:
    service = changed(SERVICE, "[policies]", "[policies, policies/team]")
    config_file = write_world(tmp_path, service=service, issuer=Issuer(ISSUER_URL))
    below = tmp_path / "policies" / "team"
    below.mkdir()
    (below / "crm.yaml").write_text(changed(POLICY, "name: orders", "name: crm"))
    result = run("validate", "--config", config_file)
    assert (result.exit_code, result.stderr) == (0, "")


def test_of_many_unread_policies_some_are_named(tmp_path: Path) -> None:
    config_file = write_world(tmp_path, issuer=Issuer(ISSUER_URL))
    below = tmp_path / "policies" / "team"
    below.mkdir()
    for number in range(23):
        (below / f"{number}.yaml").write_text(POLICY)
    lines = run("validate", "--config", config_file).stderr.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "warning: 3 more policy files are not read"


def test_a_bad_configuration_ends_with_2_and_names_every_place(tmp_path: Path) -> None:
    service = changed(SERVICE, "[ES256]", "[HS256]")
    policy = changed(POLICY, "[GET]", "[get]")
    config_file = write_world(tmp_path, service=service, policy=policy)
    result = run("validate", "--config", config_file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{config_file}:{line_of(service, 'HS256')}: spec.issuers[0]" in result.stderr
    policy_file = tmp_path / "policies" / "orders.yaml"
    assert f"{policy_file}:{line_of(policy, '[get]')}: spec.rules[0]" in result.stderr


def with_deny_lists(folder: Path, **texts: str) -> Path:
    """A configuration with these deny lists, and one that is not there."""
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    files = "".join(f"    - file: {name}.yaml\n" for name in (*texts, "nowhere"))
    service = changed(SERVICE, "  audit:\n", f"  denyLists:\n{files}  audit:\n")
    return write_world(folder, service=service, issuer=Issuer(ISSUER_URL))


def test_deny_lists_are_checked_all_at_once(tmp_path: Path) -> None:
    config_file = with_deny_lists(
        tmp_path, a=deny_list(agents=["research"], tokns=[]), b="", c=deny_list()
    )
    result = run("validate", "--config", config_file)
    assert (result.exit_code, result.stdout) == (2, "")
    for place in ("a.yaml:1: spec.agents[0]: ", "a.yaml:1: spec.tokns: ", "b.yaml: "):
        assert f"{tmp_path / place}" in result.stderr
    assert "c.yaml" not in result.stderr


def test_a_deny_list_that_is_not_there_is_a_warning(tmp_path: Path) -> None:
    result = run("validate", "--config", with_deny_lists(tmp_path, a=deny_list(agents=[AGENT])))
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [f"warning: {tmp_path / 'nowhere.yaml'}: no such file"]


def test_strangers_in_a_deny_list_are_warnings(tmp_path: Path) -> None:
    moment = "2026-01-01T00:00:00Z"
    text = deny_list(
        agents=["spiffe://a.example/x", AGENT],
        tokens=[{"issuer": "https://b.example", "id": "1"}, {"issuer": ISSUER_URL, "id": "1"}],
        principals=[{"issuer": "https://c.example", "subject": "alice"}],
        issuers=["https://d.example"],
        issuedBefore=[
            {"issuer": "https://e.example", "time": moment},
            {"issuer": "https://f.example", "subject": "alice", "time": moment},
            {"agent": "spiffe://g.example/x", "time": moment},
        ],
    )
    result = run("validate", "--config", with_deny_lists(tmp_path, a=text))
    assert result.exit_code == 0
    assert result.stderr.count("a deny list names") == 7
    for letter in "abcdefg":
        assert f"{letter}.example`" in result.stderr


def test_further_files_that_are_not_there_are_warnings(tmp_path: Path) -> None:
    more = (
        "      statusLists: {files: {'https://a.example/1': list.jwt}, caFile: list-ca.pem}\n"
        "      introspection:\n"
        "        {url: 'https://a.example', clientId: a, clientSecretFile: secret, caFile: i.pem}\n"
        "  replay: {store: redis, urlFile: redis-url, caFile: redis.pem}\n"
    )
    bundles = "    bundles: [{trustDomain: prod.example.org, file: bundle.json}]\n"
    service = changed(SERVICE, "  policies:", f"{more}  policies:")
    service = changed(service, "  issuers:", f"{bundles}  issuers:")
    config_file = write_world(tmp_path, service=service, issuer=Issuer(ISSUER_URL))
    result = run("validate", "--config", config_file)
    assert result.exit_code == 0
    for name in (
        "list.jwt", "list-ca.pem", "secret", "i.pem", "redis-url", "redis.pem", "bundle.json",
    ):  # fmt: skip
        assert f"warning: {tmp_path / name}: no such file\n" in result.stderr


def test_a_missing_configuration_ends_with_2(tmp_path: Path) -> None:
    assert run("validate", "--config", tmp_path / "nowhere.yaml").exit_code == 2


def test_the_configuration_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPUTIZE_CONFIG", str(write_world(tmp_path)))
    assert run("validate").exit_code == 0


def test_the_version_is_that_of_the_package() -> None:
    for words in ("version", "--version"):
        result = run(words)
        assert result.exit_code == 0
        assert metadata.version("deputize") in result.stdout


def test_without_a_command_there_is_help() -> None:
    assert "validate" in run().output


def test_an_unknown_command_ends_with_2() -> None:
    assert run("validat").exit_code == 2


@pytest.fixture
def token() -> str:
    return Issuer(ISSUER_URL).issue(now=NOW, agent=AGENT, chain=[OTHER_AGENT], subject="alice")


def test_a_token_is_shown_without_being_believed(token: str, tmp_path: Path) -> None:
    file = tmp_path / "token.txt"
    file.write_text(f"{token}\n")
    result = run("token", "inspect", file, "--json")
    assert result.exit_code == 0
    shown = json.loads(result.stdout)
    assert shown["verified"] is False
    assert shown["header"] == {"alg": "ES256", "kid": "k1", "typ": "at+jwt"}
    assert shown["claims"]["sub"] == "alice"
    assert shown["claims"]["act"] == {"sub": AGENT, "act": {"sub": OTHER_AGENT}}


def test_a_token_may_come_from_standard_input(token: str) -> None:
    assert run("token", "inspect", "-", "--json", stdin=token).exit_code == 0


def test_a_token_shown_to_people_names_the_chain(token: str) -> None:
    result = run("token", "inspect", "-", stdin=token)
    assert result.exit_code == 0
    assert "alice" in result.stdout


@pytest.mark.parametrize("text", ["", "garbage", "a.b.c", "e30.e30.", "{}", "\x00"])
def test_what_is_no_token_ends_with_2(text: str) -> None:
    result = run("token", "inspect", "-", stdin=text)
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_token_that_is_not_shown_is_not_in_the_error(token: str) -> None:
    assert token[:40] not in run("token", "inspect", "-", stdin=f"{token}.more").output


def test_a_missing_token_file_ends_with_2(tmp_path: Path) -> None:
    assert run("token", "inspect", tmp_path / "nowhere").exit_code == 2


def test_a_file_that_is_not_text_ends_with_2(tmp_path: Path) -> None:
    file = tmp_path / "token.bin"
    file.write_bytes(b"\xff\xfe")
    assert run("token", "inspect", file).exit_code == 2


@pytest.mark.parametrize("claims", [{"act": "x"}, {"act": {"act": [1]}}, {"exp": 1e300}])
def test_a_strange_token_is_shown_all_the_same(claims: dict[str, object]) -> None:
    token = Issuer(ISSUER_URL).issue(now=NOW, claims=claims)
    assert run("token", "inspect", "-", stdin=token).exit_code == 0


@pytest.mark.parametrize("hostile", ["\x1b]0;owned\x07", "[/x]", "[green]quiet", "\u202egnp"])
def test_a_hostile_token_is_shown_as_text(tmp_path: Path, hostile: str) -> None:
    issuer = Issuer(ISSUER_URL)
    file = tmp_path / "token"
    file.write_text(issuer.issue(now=NOW, subject=hostile, claims={hostile: hostile}))
    result = run("token", "inspect", file)
    assert result.exit_code == 0
    assert "\x1b]" not in result.stdout
    assert "\u202e" not in result.stdout
    if hostile.isprintable():
        assert hostile in result.stdout
