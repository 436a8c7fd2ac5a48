"""The examples for gateways say the same of service, times and identities, and deputize loads them.

That API servers take their objects is tested in `tests/cluster`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from deputize.cli.main import app
from deputize.config.loader import load
from tests.harness.gateway_checks import NAMESPACE
from tests.harness.gateway_service import EXAMPLES, SERVICE, example_config
from tests.harness.helm import render
from tests.tools.install import module_folder

GATEWAYS = ("agentgateway", "envoy-gateway", "gateway-api", "kgateway")
OBJECT_FILES = [
    *(f"{name}/kubernetes.yaml" for name in GATEWAYS),
    "agentgateway/cached.yaml",
    "envoy-gateway/patch.yaml",
]
CONFIGURATIONS = ["agentgateway/config.yaml", *(f"{name}/values.yaml" for name in GATEWAYS)]
"""Of deputize: a file, or values of the chart."""
STANDALONE = EXAMPLES / "agentgateway/standalone.yaml"
WAIT_MILLIS = 250
WAITS = {"0.25s", "250ms"}

by_gateway = pytest.mark.parametrize("name", GATEWAYS)
by_file = pytest.mark.parametrize("name", OBJECT_FILES)


def objects(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((EXAMPLES / name).read_text()))


def found(value: object, key: str) -> Iterator[Any]:
    """Every value of this key, wherever it stands."""
    if isinstance(value, Mapping):
        for name, inside in value.items():
            if name == key:
                yield inside
            yield from found(inside, key)
    elif isinstance(value, list):
        for inside in value:
            yield from found(inside, key)


def test_every_folder_is_tested() -> None:
    files = {str(file.relative_to(EXAMPLES)) for file in EXAMPLES.glob("*/*.yaml")}
    assert {name.partition("/")[0] for name in files} == {*GATEWAYS, "policies"}
    others = {name for name in files if not name.startswith("policies/")}
    assert others == {*OBJECT_FILES, *CONFIGURATIONS, "agentgateway/standalone.yaml"}


def test_the_standalone_file_fits_the_schema_of_agentgateway() -> None:
    schema = module_folder("github.com/agentgateway/agentgateway") / "schema/config.json"
    validator = jsonschema.Draft202012Validator(json.loads(schema.read_text()))
    config = yaml.safe_load(STANDALONE.read_text())
    assert [error.message for error in validator.iter_errors(config)] == []
    config["gateways"]["agents"]["extAuthz"]["failureMod"] = "deny"
    assert list(validator.iter_errors(config))


@pytest.fixture(scope="module")
def chart() -> dict[str, dict[str, Any]]:
    """What the chart makes of an example's values, by kind; of a kind that is there once."""
    values = yaml.safe_load((EXAMPLES / "agentgateway/values.yaml").read_text())
    return {thing["kind"]: thing for thing in render(values, needed={})}


@by_file
def test_objects_name_the_service_of_the_chart(name: str, chart: dict[str, dict[str, Any]]) -> None:
    things = objects(name)
    references = [
        reference
        for key in ("backendRef", "backendRefs")
        for value in found(things, key)
        for reference in (value if isinstance(value, list) else [value])
        if reference["name"] == "deputize"
    ]
    service = chart["Service"]
    (port,) = [each["port"] for each in service["spec"]["ports"] if each["name"] == "grpc"]
    asked = {key: service["metadata"][key] for key in ("name", "namespace")} | {"port": port}
    assert all(reference == asked for reference in references)
    assert references or name.endswith("/patch.yaml")


@by_gateway
def test_gateways_verify_the_name_in_the_certificate_of_the_chart(
    name: str, chart: dict[str, dict[str, Any]]
) -> None:
    things = objects(f"{name}/kubernetes.yaml")
    verified = [
        host
        for key in ("verifySubjectAltNames", "hostname")
        for value in found(things, key)
        for host in (value if isinstance(value, list) else [value])
    ]
    assert verified == [SERVICE]
    assert SERVICE in chart["Certificate"]["spec"]["dnsNames"]


@by_gateway
def test_gateways_do_not_wait_for_ever_and_no_answer_means_no(name: str) -> None:
    things = objects(f"{name}/kubernetes.yaml")
    if name == "agentgateway":
        things += [*objects("agentgateway/cached.yaml"), yaml.safe_load(STANDALONE.read_text())]
    waits = [*found(things, "requestTimeout"), *found(things, "timeout")]
    assert waits
    assert set(waits) <= WAITS
    modes = [*found(things, "failOpen"), *found(things, "failureMode")]
    assert set(modes) <= {False, "FailClosed", "deny"}
    assert modes or name == "gateway-api"


@by_gateway
def test_the_gateway_has_the_identity_that_deputize_lists(name: str) -> None:
    things = objects(f"{name}/kubernetes.yaml")
    (certificate,) = [thing for thing in things if thing["kind"] == "Certificate"]
    tls = example_config(f"{name}/values.yaml")["spec"]["server"]["grpc"]["tls"]
    assert certificate["spec"]["uris"] == tls["allowedCallers"]
    secret = certificate["spec"]["secretName"]
    used = [
        reference["name"]
        for key in ("mtlsCertificateRef", "clientCertificateRef", "secretRef")
        for value in found(things, key)
        for reference in (value if isinstance(value, list) else [value])
    ]
    assert used == [secret]


@by_gateway
def test_apis_take_calls_from_the_proxy_that_asks_and_nobody_else(name: str) -> None:
    (policy,) = [
        each["spec"]
        for each in objects(f"{name}/kubernetes.yaml")
        if each["kind"] == "NetworkPolicy" and each["metadata"]["namespace"] == "orders"
    ]
    ((source,),) = [rule["from"] for rule in policy["ingress"]]
    (proxy,) = yaml.safe_load((EXAMPLES / name / "values.yaml").read_text())["proxies"]
    assert source["podSelector"] == {"matchLabels": proxy["podLabels"]}
    namespaces = source.get("namespaceSelector", {}).get("matchLabels", {})
    assert namespaces.get("kubernetes.io/metadata.name", "orders") == proxy["namespace"]


@by_gateway
def test_clients_need_a_certificate(name: str) -> None:
    modes = set(found(objects(f"{name}/kubernetes.yaml"), "mode"))
    assert modes in ({"AllowValidOnly"}, {"RequireAndVerify"})


def test_the_cache_key_has_all_that_is_decided_on() -> None:
    things = objects("agentgateway/cached.yaml")
    (key,) = found(things, "key")
    assert set(key) == {
        "source.certificate",
        "request.method",
        "request.scheme",
        "request.host",
        "request.pathAndQuery",
        "toJson(request.headers)",
    }
    # What has a cache sends no bodies: none is in the key.
    cached = [each["policy"] for each in things[0]["spec"]["traffic"]["extAuth"]["conditional"]]
    assert [("cache" in policy, "forwardBody" in policy) for policy in cached] == [
        (True, False),
        (False, True),
    ]


def test_agentgateway_names_the_peer_where_deputize_looks() -> None:
    things = [*objects("agentgateway/kubernetes.yaml"), *objects("agentgateway/cached.yaml")]
    standalone = yaml.safe_load(STANDALONE.read_text())
    given = [*found(things, "requestMetadata"), *found(standalone, "metadata")]
    expression = '{"sans": source.subjectAltNames, "cert": source.certificate}'
    assert given == [{NAMESPACE: expression}] * 4
    for name in ("agentgateway/config.yaml", "agentgateway/values.yaml"):
        assert example_config(name)["spec"]["peer"]["metadataNamespace"] == NAMESPACE


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configurations_load_and_decide_before_the_gateway_gives_up(
    name: str, tmp_path: Path
) -> None:
    config = example_config(name)
    # In the cluster the ConfigMap is mounted.
    config["spec"]["policies"] = [str(EXAMPLES / "policies")]
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    loaded = load(file)
    assert loaded.service.server.decision_timeout_millis < WAIT_MILLIS
    assert [rule.ref.rule for rule in loaded.compiled.policies.rules] == [
        "read-orders",
        "session",
        "track-order",
    ]


def test_the_cases_of_the_policy_hold_and_exercise_every_rule() -> None:
    policies = str(EXAMPLES / "policies")
    done = CliRunner().invoke(app, ["test", policies, "--min-coverage", "100"])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["fmt", "--check", policies])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    "name",
    ["agentgateway/config.yaml", "policies/orders.yaml", "policies/orders.test.yaml"],
)
def test_files_fit_the_schema_they_name(name: str) -> None:
    file = EXAMPLES / name
    first = file.read_text().partition("\n")[0]
    schema = json.loads((file.parent / first.rpartition("$schema=")[2]).read_text())
    jsonschema.validate(yaml.safe_load(file.read_text()), schema, jsonschema.Draft202012Validator)
