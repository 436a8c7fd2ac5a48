"""Configuration, policies and files: from values, from ConfigMaps, from the cluster."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from deputize.config.loader import load
from scripts.reference.chart_values import SHORTEST
from tests.chart.chart_cases import EVERYTHING, REDIS
from tests.chart.chart_objects import container, objects, only, pod_spec, service_config
from tests.harness.helm import NEEDED, POLICY, Values, render
from tests.harness.pod_files import mount_release

ACCOUNT = "deputize"


def mounted(values: Values) -> dict[str, str]:
    """Names of volumes by where they are mounted."""
    return {mount["mountPath"]: mount["name"] for mount in container(values)["volumeMounts"]}


def source(values: Values, path: str) -> dict[str, object]:
    """The volume that is mounted there."""
    volumes = {each["name"]: each for each in pod_spec(values)["volumes"]}
    found: dict[str, object] = volumes[mounted(values)[path]]
    return found


def test_the_command_takes_what_is_rendered(tmp_path: Path) -> None:
    config = mount_release(render(EVERYTHING), tmp_path)
    assert config is not None
    command = [sys.executable, "-m", "deputize.cli.main", "validate", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("valid: rules 3, issuers 1")


def test_what_operators_say_is_kept() -> None:
    settings = {"token": {"upstream": "keep"}, "server": {"grpc": {"maxMessageBytes": 16777216}}}
    spec = service_config({"config": settings})
    assert spec["token"] == {"upstream": "keep"}
    assert spec["server"]["grpc"] == {"listen": ["0.0.0.0:9191"], "maxMessageBytes": 16777216}


def test_false_and_zero_are_kept() -> None:
    settings = {"server": {"drain": {"delaySeconds": 0}}, "peer": {"requireCertificate": False}}
    spec = service_config({"config": settings})
    assert spec["server"]["drain"] == {"delaySeconds": 0}
    assert spec["peer"]["requireCertificate"] is False


def test_texts_come_through_as_they_are(tmp_path: Path) -> None:
    texts = [
        "yes",
        "0x10",
        "1e3",
        "010",
        "null",
        "~",
        "a: b",
        "# a",
        "{{ a }}",
        "a\n  b\n",
        "Zoë",
        "'\"",
    ]
    values = {"config": {"delegation": {"forbiddenActors": texts}}, "files": {"a": texts[-1]}}
    assert service_config(values)["delegation"]["forbiddenActors"] == texts
    assert only(values, "ConfigMap", "deputize-files")["data"] == values["files"]
    config = mount_release(render(values), tmp_path)
    assert config is not None
    assert load(config).service.delegation.forbidden_actors == texts


def test_policies_become_files() -> None:
    data = only({}, "ConfigMap", "deputize-policies")["data"]
    assert {name: yaml.safe_load(text) for name, text in data.items()} == {"orders.yaml": POLICY}
    assert service_config({})["policies"] == ["/etc/deputize/policies/deputize-policies"]


def test_each_config_map_is_a_folder_so_that_no_file_hides_another() -> None:
    values = {"policyConfigMaps": ["team-a", "team-b"]}
    folders = [
        f"/etc/deputize/policies/{name}" for name in ("deputize-policies", "team-a", "team-b")
    ]
    assert service_config(values)["policies"] == folders
    for folder in folders:
        assert source(values, folder)["configMap"] == {"name": Path(folder).name}


def test_the_whole_configuration_may_be_of_others() -> None:
    values = {"config": None, "existingConfigMap": "mine"}
    assert source(values, "/etc/deputize/config")["configMap"] == {"name": "mine"}
    names = [each["metadata"]["name"] for each in objects(values, "ConfigMap")]
    assert names == ["deputize-policies"]


def test_files_and_secrets_have_their_places() -> None:
    data = only(EVERYTHING, "ConfigMap", "deputize-files")["data"]
    assert data == EVERYTHING["files"]
    assert source(EVERYTHING, "/etc/deputize/files")["configMap"] == {"name": "deputize-files"}
    assert source(EVERYTHING, "/etc/deputize/mounts/idp")["secret"] == {"secretName": "idp-client"}
    assert source(EVERYTHING, "/etc/deputize/mounts/ca")["configMap"] == {"name": "idp-ca"}


def test_everything_is_mounted_to_be_read() -> None:
    for mount in container(EVERYTHING)["volumeMounts"]:
        assert mount["readOnly"] is True


def test_each_pod_keeps_its_own_store_unless_one_is_given() -> None:
    assert "replay" not in service_config({})


def test_a_shared_store_has_its_url_in_a_secret() -> None:
    values = {"replay": REDIS, "config": {"replay": {"timeoutMillis": 20}}}
    spec = service_config(values)
    assert spec["replay"] == {
        "store": "redis",
        "urlFile": "/etc/deputize/redis/url",
        "timeoutMillis": 20,
    }
    assert source(values, "/etc/deputize/redis")["secret"] == {
        "secretName": "valkey",
        "items": [{"key": "url", "path": "url"}],
    }


def test_only_the_native_transport_needs_a_place_to_write() -> None:
    assert "/tmp" not in mounted({})  # noqa: S108 - a path in a pod
    values = {"config": {"server": {"transport": "native"}}}
    assert source(values, "/tmp")["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Mi"}  # noqa: S108


def test_objects_are_read_from_listed_namespaces_and_no_others() -> None:
    values = {"kubernetes": {"enabled": True, "namespaces": ["store", "agents"]}}
    assert service_config(values)["kubernetes"] == {"namespaces": ["store", "agents"]}
    for kind in ("Role", "RoleBinding"):
        places = [each["metadata"]["namespace"] for each in objects(values, kind)]
        assert places == ["store", "agents"]
    assert not objects(values, "ClusterRole")


def test_objects_are_read_from_the_own_namespace_unless_told() -> None:
    values = {"kubernetes": {"enabled": True}}
    assert service_config(values)["kubernetes"] == {"namespaces": ["deputize"]}
    assert [each["metadata"]["namespace"] for each in objects(values, "Role")] == ["deputize"]


def test_objects_are_read_and_only_their_status_is_written() -> None:
    (role,) = objects({"kubernetes": {"enabled": True}}, "Role")
    read, write = role["rules"]
    assert read["resources"] == ["delegationpolicies", "issuerprofiles"]
    assert set(read["verbs"]) == {"get", "list", "watch"}
    assert write["resources"] == [f"{name}/status" for name in read["resources"]]
    assert write["verbs"] == ["patch"]
    for rule in (read, write):
        assert rule["apiGroups"] == ["deputize.dev"]


def test_rights_are_those_of_the_pods_account() -> None:
    values = {"kubernetes": {"enabled": True, "namespaces": ["store"]}}
    (binding,) = objects(values, "RoleBinding")
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "deputize"}
    ]
    assert pod_spec(values)["serviceAccountName"] == ACCOUNT


def test_without_objects_there_are_no_rights() -> None:
    assert not objects({}, "Role")


def test_nothing_outside_of_the_namespace_unless_asked_for() -> None:
    assert not objects({}, "CustomResourceDefinition")
    assert {each["metadata"]["namespace"] for each in render({})} == {"deputize"}


def test_definitions_stay_when_the_release_goes() -> None:
    definitions = objects({"crds": {"install": True}}, "CustomResourceDefinition")
    assert {each["spec"]["names"]["kind"] for each in definitions} == {
        "DelegationPolicy",
        "IssuerProfile",
    }
    for each in definitions:
        assert each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_shortest_values_on_the_page_are_enough() -> None:
    assert render(yaml.safe_load(SHORTEST), needed={})


def test_what_tests_need_is_no_more_than_that() -> None:
    assert NEEDED["config"].keys() == yaml.safe_load(SHORTEST)["config"].keys()
