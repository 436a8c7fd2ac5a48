"""The command: what it is given, how it ends, and what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deputize.cli.main import app
from tests.harness.config_files import SERVICE, changed, write_world
from tests.harness.issuer import Issuer
from tests.harness.world import ISSUER_URL

HEALTHY = Path(__file__).parent / "healthy"

HOSTILE = """\
extensionProviders:
  - name: "deputize\\e[2J\\u202e"
    envoyExtAuthzGrpc:
      service: "deputize\\e]0;x\\a\\nerror: forged"
      port: 9191
      timeout: 0.25s
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: "a\\e[2J"}
spec: {action: CUSTOM, provider: {name: "b\\e[31m\\nerror: forged"}}
---
apiVersion: v1
kind: Service
metadata: {name: deputize, namespace: "\\e[2J"}
"""


def run(*arguments: str | Path, given: str = "") -> Result:
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)], input=given)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--audit", "audit.jsonl"],
        ["--url", "host:8080"],
        ["--url", "http://user:word@host:8080"],
        ["--url", "http://host:8080/readyz?x"],
        ["--grpc", "host"],
        ["--grpc", "http://host:9191"],
        ["--manifests", "nowhere.yaml"],
        ["--config", "nowhere.yaml"],
        ["--manifests", "-", "--ignore", "no-such-code"],
    ],
    ids=" ".join,
)
def test_bad_input_ends_with_2(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_a_manifest_that_cannot_be_read_ends_with_2_and_says_where() -> None:
    result = run("--manifests", "-", given="a: 1\nb: !tag x\n")
    assert result.exit_code == 2
    assert result.stderr.startswith("-:2: ")


@pytest.mark.parametrize("given", ["", "# none\n", "kind: List\nitems: []\n", "error: no server\n"])
def test_nothing_to_look_at_is_not_nothing_found(given: str) -> None:
    assert run("--manifests", "-", given=given).exit_code == 2


def test_nothing_found_ends_with_0_and_says_what_was_not_there() -> None:
    result = run("--manifests", "-", given="kind: Pod\n")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "nothing found"
    assert "not checked: " in result.stdout


def test_hostile_manifests_steer_no_terminal_and_forge_no_line() -> None:
    result = run("--manifests", "-", given=HOSTILE)
    assert result.exit_code == 1
    assert all(line.isprintable() for line in result.stdout.splitlines())
    starts = {line.partition(":")[0] for line in result.stdout.splitlines()}
    assert starts == {"error", "  fix", "checked", "not checked"}
    assert "error: forged" not in {line.strip() for line in result.stdout.splitlines()}


def test_an_ignored_code_is_left_out() -> None:
    found = json.loads(run("--manifests", "-", "--format", "json", given=HOSTILE).stdout)
    codes = {each["code"] for each in found["findings"]}
    ignoring = [word for code in codes for word in ("--ignore", code)]
    result = run("--manifests", "-", *ignoring, given=HOSTILE)
    assert codes
    assert result.exit_code == 0


def test_findings_are_the_same_in_the_same_order_each_time() -> None:
    written = {run("--manifests", "-", given=HOSTILE).stdout for _ in range(3)}
    assert len(written) == 1


def test_each_finding_has_all_that_there_is_to_know() -> None:
    found = json.loads(run("--manifests", "-", "--format", "json", given=HOSTILE).stdout)
    for each in found["findings"]:
        assert each.keys() == {"code", "severity", "where", "cause", "fix"}
        assert all(each.values())


def test_the_given_configuration_comes_before_one_among_the_manifests(tmp_path: Path) -> None:
    config = write_world(tmp_path, issuer=Issuer(ISSUER_URL))
    text = config.read_text().replace("127.0.0.1:0", "0.0.0.0:9191", 1)
    assert run("--manifests", "-", given=text).exit_code == 1
    assert run("--config", config, "--manifests", "-", given=text).exit_code == 0


def test_configurations_that_nothing_is_compared_with_are_named(tmp_path: Path) -> None:
    text = write_world(tmp_path, issuer=Issuer(ISSUER_URL)).read_text()
    two = f"{text}\n---\n{text}"
    for given, count in ((text, 0), (two, 1)):
        report = json.loads(run("--manifests", "-", "--format", "json", given=given).stdout)
        assert sum("one installation" in line for line in report["unchecked"]) == count


def test_mesh_settings_that_cannot_be_read_end_with_2() -> None:
    broken = 'kind: ConfigMap\napiVersion: v1\nmetadata: {name: istio}\ndata: {mesh: "a: [1"}\n'
    assert run("--manifests", "-", given=broken).exit_code == 2


def test_policies_among_the_manifests_count_beside_a_given_configuration(tmp_path: Path) -> None:
    service = changed(SERVICE, "    decisionTimeoutMillis: 2000\n", "")
    config = write_world(tmp_path, service=service, issuer=Issuer(ISSUER_URL))
    proxy, _service, policy = (HEALTHY / "envoy.yaml").read_text().split("\n---\n")
    proxy = proxy.replace("with_request_body", "stat_prefix")
    assert run("--config", config, "--manifests", "-", given=proxy).exit_code == 0
    given = f"{proxy}\n---\n{policy}"
    result = run("--config", config, "--manifests", "-", "--format", "json", given=given)
    assert [each["code"] for each in json.loads(result.stdout)["findings"]] == ["body-missing"]


def test_a_config_map_that_is_mounted_and_not_given_is_named() -> None:
    text = (HEALTHY / "cells.yaml").read_text()
    lost = changed(text, "{name: deputize-policies, namespace: cell-b}", "{name: x, namespace: y}")
    assert [line for line in unchecked(text) if "ConfigMap" in line] == []
    (line,) = (line for line in unchecked(lost) if "ConfigMap" in line)
    assert "deputize-policies" in line
    assert "cell-b/deputize" in line


def test_who_asks_no_installation_for_certain_is_named() -> None:
    text = (HEALTHY / "cells.yaml").read_text()
    apart = changed(text, "deputize.cell-a.svc.cluster.local", "authorizer.example")
    assert sum("which installation" in line for line in unchecked(text)) == 0
    assert sum("which installation" in line for line in unchecked(apart)) == 1


def test_workloads_without_a_configuration_that_was_given_are_named() -> None:
    text = (HEALTHY / "cells.yaml").read_text()
    apart = changed(
        text, "{name: deputize, namespace: cell-b}\ndata", "{name: x, namespace: y}\ndata"
    )
    lines = unchecked(apart)
    assert sum("no service configuration" in line for line in lines) == 1
    assert sum("further service configurations" in line for line in lines) == 1


def test_a_given_configuration_is_that_of_all_installations_and_says_so(tmp_path: Path) -> None:
    config = write_world(tmp_path, issuer=Issuer(ISSUER_URL))
    for name, count in (("istio", 0), ("cells", 1)):
        words = ("--config", config, "--manifests", HEALTHY / f"{name}.yaml", "--format", "json")
        lines = json.loads(run(*words).stdout)["unchecked"]
        assert sum("several installations" in line for line in lines) == count


def unchecked(given: str) -> list[str]:
    report = json.loads(run("--manifests", "-", "--format", "json", given=given).stdout)
    lines: list[str] = report["unchecked"]
    return lines
