"""`fmt`: what it writes, what it leaves, and how it ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deputize.cli.main import app
from tests.harness.config_files import SERVICE

MESSY = """\
# Who may act for whom.

apiVersion: deputize.dev/v1alpha1
metadata: {'name': "orders"} # the name
kind: DelegationPolicy
spec:
  rules:
  - effect: allow
    # by its name
    name: "read"


    scopes: ["orders:read"]   # one only
    agents:
        - "spiffe://prod.example.org/ns/agents/sa/research"
    onBehalfOf: [{anyone: true, issuer: 'https://issuer.example'}]
    hosts: [orders.example]
    methods: [
      GET, # reads
      HEAD
    ]
    paths: ["/v1/orders/{id}", "/v1/orders"]
    # budget: none
  - {name: none, effect: forbid, agents: [spiffe://prod.example.org/ns/agents/sa/research],
     onBehalfOf: [{issuer: https://issuer.example, subjects: ["42", bob]}],
     hosts: ["*"], methods: ["*"], paths: [/x]}
# The end.
"""

NEAT = """\
# Who may act for whom.

apiVersion: deputize.dev/v1alpha1
kind: DelegationPolicy
metadata: {name: orders} # the name
spec:
  rules:
    # by its name
    - name: read
      effect: allow
      agents: [spiffe://prod.example.org/ns/agents/sa/research]
      onBehalfOf: [{issuer: https://issuer.example, anyone: true}]
      hosts: [orders.example]
      methods:
        - GET # reads
        - HEAD
      paths: ["/v1/orders/{id}", /v1/orders]

      scopes: [orders:read] # one only
      # budget: none

    - name: none
      effect: forbid
      agents: [spiffe://prod.example.org/ns/agents/sa/research]
      onBehalfOf: [{issuer: https://issuer.example, subjects: ["42", bob]}]
      hosts: ["*"]
      methods: ["*"]
      paths: [/x]
# The end.
"""

CASES = """\
kind: PolicyTest
apiVersion: deputize.dev/v1alpha1
spec:
  cases:
  - expect: {reason: policy.no_match, effect: deny}
    name: "nothing is allowed"
"""


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["fmt", *(str(argument) for argument in arguments)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "orders.yaml"
    file.write_text(MESSY)
    return file


def test_a_policy_is_put_in_order(file: Path) -> None:
    result = run(file)
    assert (result.exit_code, result.stdout) == (0, f"formatted {file}\n")
    assert file.read_text() == NEAT


def test_what_is_in_order_is_left(file: Path) -> None:
    file.write_text(NEAT)
    before = file.stat()
    assert (run(file).exit_code, run(file).stdout) == (0, "")
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert run(file, "--check").exit_code == 0


def test_check_only_shows_the_difference(file: Path) -> None:
    result = run(file, "--check")
    assert result.exit_code == 1
    assert f"--- {file}\n" in result.stdout
    assert "\n+    - name: read\n" in result.stdout
    assert file.read_text() == MESSY


def test_a_folder_has_policies_cases_and_files_that_are_neither(file: Path) -> None:
    folder = file.parent
    cases = folder / "orders.test.yaml"
    cases.write_text(CASES)
    for name, text in (
        ("config.yaml", SERVICE),
        (".hidden.yaml", "x"),
        ("notes.txt", "x"),
        ("other.yaml", "kind: Deployment\n---\nreplicas: 2\n"),
        ("compose.yaml", "x: &x {a: 1}\ny: *x\n"),
    ):
        (folder / name).write_text(text)
    result = run(folder)
    assert (result.exit_code, result.stdout) == (0, f"formatted {cases}\nformatted {file}\n")
    assert cases.read_text().startswith("apiVersion: deputize.dev/v1alpha1\nkind: PolicyTest\n")
    assert "    - name: nothing is allowed\n      expect: {effect: deny," in cases.read_text()
    assert (folder / "config.yaml").read_text() == SERVICE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        "a: [",
        "kind: [DelegationPolicy]\n",
        SERVICE,
        MESSY.replace("effect: allow", "effect: permit"),
        MESSY.replace("'name'", "&anchor name"),
        f"{MESSY}---\nkind: DelegationPolicy\n",
    ],
)
def test_where_one_file_is_wrong_none_is_written(file: Path, text: str) -> None:
    wrong = file.parent / "wrong.yaml"
    wrong.write_text(text)
    result = run(file, wrong)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"{wrong}:")
    assert (file.read_text(), wrong.read_text()) == (MESSY, text)


@pytest.mark.parametrize("text", [f"{MESSY}---\nkind: Other\n", "kind: DelegationPolicy\na: [\n"])
def test_a_folder_with_a_broken_policy_ends_with_2(file: Path, text: str) -> None:
    (file.parent / "wrong.yaml").write_text(text)
    result = run(file.parent)
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_file_that_is_not_there_ends_with_2(tmp_path: Path) -> None:
    assert run(tmp_path / "nowhere.yaml").exit_code == 2


def test_several_documents_stay_apart(file: Path) -> None:
    other = MESSY.replace('"orders"', '"others"')
    file.write_text(f"---\n{MESSY}---\n# nothing\n---\n{other}...\n")
    assert run(file).exit_code == 0
    first, second = file.read_text().split("---\n")
    assert first == NEAT
    assert second == "# nothing\n\n" + NEAT.replace("orders} #", "others} #")


def test_line_ends_and_marks_of_other_systems_are_dropped(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + MESSY.replace("\n", "\r\n").encode())
    assert run(file).exit_code == 0
    assert file.read_bytes() == NEAT.encode()


def test_permissions_and_links_are_kept(file: Path) -> None:
    file.chmod(0o640)
    link = file.parent / "link.yaml"
    link.symlink_to(file.name)
    assert run(link).exit_code == 0
    assert link.is_symlink()
    assert file.read_text() == NEAT
    assert file.stat().st_mode & 0o777 == 0o640
    assert set(file.parent.iterdir()) == {file, link}


def test_a_file_that_cannot_be_replaced_stays_as_it_was(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "fsync", refuse)
    assert run(file).exit_code == 2
    assert file.read_text() == MESSY
    assert list(file.parent.iterdir()) == [file]
