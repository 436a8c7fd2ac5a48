from __future__ import annotations

from pathlib import Path

import pytest

from deputize.config import files
from deputize.config.files import folders_of
from deputize.config.loader import load
from tests.harness.config_files import (
    POLICY,
    SERVICE,
    changed,
    line_of,
    problem_places,
    write_world,
)

OTHER = POLICY.replace("name: orders", "name: other")


def policy_names(config_file: Path) -> set[str]:
    return {rule.ref.policy for rule in load(config_file).compiled.policies.rules}


def test_a_folder_gives_all_its_policy_files(tmp_path: Path) -> None:
    config_file = write_world(tmp_path)
    (tmp_path / "policies" / "b.yml").write_text(OTHER)
    assert policy_names(config_file) == {"orders", "other"}


@pytest.mark.parametrize("name", ["README.md", "b.yaml.bak", ".b.yaml", "b.yaml~", "b.json"])
def test_other_files_in_a_folder_are_left_alone(tmp_path: Path, name: str) -> None:
    config_file = write_world(tmp_path)
    (tmp_path / "policies" / name).write_text("not: [a policy")
    assert policy_names(config_file) == {"orders"}


def test_a_folder_below_is_not_searched(tmp_path: Path) -> None:
    config_file = write_world(tmp_path)
    (tmp_path / "policies" / "below").mkdir()
    (tmp_path / "policies" / "below" / "b.yaml").write_text("not: [a policy")
    assert policy_names(config_file) == {"orders"}


def test_a_single_file_may_have_any_name(tmp_path: Path) -> None:
    config_file = write_world(tmp_path, service=changed(SERVICE, "[policies]", "[p.txt]"))
    (tmp_path / "p.txt").write_text(OTHER)
    assert policy_names(config_file) == {"other"}


def test_a_file_may_hold_several_policies(tmp_path: Path) -> None:
    assert policy_names(write_world(tmp_path, policy=f"{POLICY}---\n{OTHER}")) == {
        "orders",
        "other",
    }


def test_a_folder_without_policies_is_refused(tmp_path: Path) -> None:
    config_file = write_world(tmp_path)
    (tmp_path / "policies" / "orders.yaml").unlink()
    assert problem_places(config_file) == [
        ("deputize.yaml", line_of(SERVICE, "policies:"), "spec.policies[0]")
    ]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n"])
def test_a_file_without_a_policy_is_refused(tmp_path: Path, text: str) -> None:
    assert problem_places(write_world(tmp_path, policy=text)) == [("orders.yaml", 0, "")]


def test_the_files_behind_a_mounted_config_map_are_read_once(tmp_path: Path) -> None:
    config_file = write_world(tmp_path)
    policies = tmp_path / "policies"
    (policies / "orders.yaml").unlink()
    version = policies / "..2026_11_24"
    version.mkdir()
    (version / "orders.yaml").write_text(POLICY)
    (policies / "..data").symlink_to(version.name)
    (policies / "orders.yaml").symlink_to("..data/orders.yaml")
    assert policy_names(config_file) == {"orders"}


@pytest.mark.parametrize("missing", ["deputize.yaml", "policies/orders.yaml"])
def test_a_link_to_nowhere_is_refused(tmp_path: Path, missing: str) -> None:
    config_file = write_world(tmp_path)
    (tmp_path / missing).unlink()
    (tmp_path / missing).symlink_to("nowhere")
    assert problem_places(config_file) == [(Path(missing).name, 0, "")]


def test_a_missing_policy_file_is_refused(tmp_path: Path) -> None:
    text = changed(SERVICE, "[policies]", "[policies, nowhere.yaml]")
    assert problem_places(write_world(tmp_path, service=text)) == [
        ("deputize.yaml", line_of(text, "nowhere"), "spec.policies[1]")
    ]


def test_a_folder_with_the_name_of_a_file_is_refused(tmp_path: Path) -> None:
    config_file = write_world(tmp_path)
    (tmp_path / "policies" / "x.yaml").mkdir()
    assert problem_places(config_file) == [("x.yaml", 0, "")]


@pytest.mark.parametrize("text", ["", "---\n", f"{SERVICE}---\n{SERVICE}"])
def test_the_configuration_is_exactly_one_document(tmp_path: Path, text: str) -> None:
    assert problem_places(write_world(tmp_path, service=text)) == [("deputize.yaml", 0, "")]


def test_a_file_of_absurd_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", len(SERVICE))
    policy = POLICY + "#" * len(SERVICE)
    assert problem_places(write_world(tmp_path, policy=policy)) == [("orders.yaml", 0, "")]


def test_a_name_no_file_can_have_is_refused(tmp_path: Path) -> None:
    text = changed(SERVICE, "[policies]", '[policies, "a\\0b"]')
    assert problem_places(write_world(tmp_path, service=text)) == [
        ("deputize.yaml", line_of(text, "\\0"), "spec.policies[1]")
    ]


def test_a_name_too_long_for_a_file_is_refused(tmp_path: Path) -> None:
    name = "a" * 300
    text = changed(SERVICE, "[policies]", f"[policies, {name}]")
    assert problem_places(write_world(tmp_path, service=text)) == [
        ("deputize.yaml", line_of(text, name), "spec.policies[1]")
    ]


def test_a_key_file_that_cannot_be_there_does_not_hide_where_changes_come_from(
    tmp_path: Path,
) -> None:
    text = changed(SERVICE, "jwks.json", "a" * 300)
    loaded = load(write_world(tmp_path, service=text))
    assert tmp_path / "policies" in folders_of(loaded.sources)


def test_relative_paths_start_at_the_configuration_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    tls = "      tls: {certificateFile: c.pem, privateKeyFile: k.pem, clientCaFile: a.pem}\n"
    service = load(
        write_world(tmp_path, service=changed(SERVICE, "    http:", f"{tls}    http:"))
    ).service
    assert service.server.grpc.tls is not None
    assert service.server.grpc.tls.certificate_file == str(tmp_path / "c.pem")
    assert service.server.grpc.tls.private_key_file == str(tmp_path / "k.pem")
    assert service.server.grpc.tls.client_ca_file == str(tmp_path / "a.pem")
    assert service.issuers[0].keys.file == str(tmp_path / "jwks.json")
    assert service.audit.file == str(tmp_path / "audit.jsonl")
    assert service.policies == [str(tmp_path / "policies")]


EVERY_FILE = """\
    bundles:
      - {trustDomain: prod.example.org, url: "https://td.example/bundle", caFile: bundle-ca.pem}
  denyLists:
    - {file: denied.yaml}
    - {url: "https://lists.example/denied", caFile: list-ca.pem}
  replay: {store: redis, urlFile: redis.url, caFile: redis-ca.pem}
  issuers:
    - issuer: https://second.example
      audiences: [orders]
      keys: {discovery: true, caFile: keys-ca.pem}
      statusLists: {files: {"https://second.example/1": list.jwt}, caFile: status-ca.pem}
      introspection:
        url: https://second.example/introspect
        clientId: deputize
        clientSecretFile: client.secret
        caFile: introspection-ca.pem
"""


def test_every_file_is_found_from_the_configuration_file(tmp_path: Path) -> None:
    text = changed(SERVICE, "  issuers:\n", EVERY_FILE)
    loaded = load(write_world(tmp_path, service=text))
    service, issuer = loaded.service, loaded.service.issuers[0]
    assert issuer.status_lists is not None
    assert issuer.status_lists.files is not None
    assert issuer.introspection is not None
    found = {
        service.peer.bundles[0].ca_file,
        service.deny_lists[0].file,
        service.deny_lists[1].ca_file,
        service.replay.url_file,
        service.replay.ca_file,
        issuer.keys.ca_file,
        *issuer.status_lists.files.values(),
        issuer.status_lists.ca_file,
        issuer.introspection.client_secret_file,
        issuer.introspection.ca_file,
    }
    assert found == {
        str(tmp_path / name)
        for name in ("bundle-ca.pem", "denied.yaml", "list-ca.pem", "redis.url", "redis-ca.pem",
                     "keys-ca.pem", "list.jwt", "status-ca.pem", "client.secret",
                     "introspection-ca.pem")
    }  # fmt: skip
    assert issuer.keys.url is None
    assert service.deny_lists[1].url == "https://lists.example/denied"


def test_a_change_of_any_file_that_is_read_in_the_background_is_noticed(tmp_path: Path) -> None:
    text = changed(SERVICE, "  issuers:\n", EVERY_FILE)
    text = changed(text, 'url: "https://td.example/bundle", caFile: bundle-ca.pem', "file: b.json")
    loaded = load(write_world(tmp_path, service=text))
    names = ("deputize.yaml", "policies", "jwks.json", "b.json", "denied.yaml", "list.jwt")
    assert loaded.sources == tuple(tmp_path / name for name in names)


def test_paths_are_absolute_though_the_configuration_is_named_relatively(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config_file = write_world(tmp_path)
    monkeypatch.chdir(tmp_path)
    loaded = load(Path(config_file.name))
    assert all(source.is_absolute() for source in loaded.sources)
    assert loaded.service.policies == [str(tmp_path / "policies")]


def test_an_absolute_path_stays(tmp_path: Path) -> None:
    text = changed(SERVICE, "jwks.json", "/keys/jwks.json")
    assert (
        load(write_world(tmp_path, service=text)).service.issuers[0].keys.file == "/keys/jwks.json"
    )


def test_sources_are_all_files_and_folders_in_use(tmp_path: Path) -> None:
    loaded = load(write_world(tmp_path))
    names = ("deputize.yaml", "policies", "jwks.json")
    assert loaded.sources == tuple(tmp_path / name for name in names)
    assert folders_of(loaded.sources) == {tmp_path, tmp_path / "policies"}


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    digests = [load(write_world(tmp_path / folder)).digest for folder in ("a", "b")]
    assert digests[0] == digests[1]


@pytest.mark.parametrize("file", ["deputize.yaml", "policies/orders.yaml"])
def test_the_digest_changes_with_every_file_read(tmp_path: Path, file: str) -> None:
    config_file = write_world(tmp_path)
    before = load(config_file).digest
    with (tmp_path / file).open("a") as stream:
        stream.write("# one more line\n")
    assert load(config_file).digest != before


def test_the_digest_tells_where_one_file_ends(tmp_path: Path) -> None:
    config_file = write_world(tmp_path)
    first, second = (tmp_path / "policies" / name for name in ("a.yaml", "orders.yaml"))
    first.write_text(f"{OTHER}#\n")
    before = load(config_file).digest
    first.write_text(OTHER)
    second.write_text(f"#\n{POLICY}")
    assert load(config_file).digest != before
