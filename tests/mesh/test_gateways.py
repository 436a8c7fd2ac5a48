"""The examples for gateways say the same of service, times and identities, and deputize loads them.

That API servers take their objects is tested in `tests/cluster`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from deputize.cli.main import app
from deputize.config.loader import load
from tests.harness.gateway_service import EXAMPLES, example_config
from tests.tools.install import module_folder

GATEWAYS = ("agentgateway", "envoy-gateway", "gateway-api", "kgateway")
OBJECT_FILES = [
    *(f"{name}/kubernetes.yaml" for name in GATEWAYS),
    "agentgateway/cached.yaml",
    "envoy-gateway/patch.yaml",
]
STANDALONE = EXAMPLES / "agentgateway/standalone.yaml"
PROVIDER_SECONDS = {"0.25s", "250ms"}
PORT = 9191

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
    kubernetes = {name for name in files if not name.startswith("policies/")}
    assert kubernetes - {f"{name}/config.yaml" for name in GATEWAYS} == {
        *OBJECT_FILES,
        "agentgateway/standalone.yaml",
    }


def test_the_standalone_file_fits_the_schema_of_agentgateway() -> None:
    schema = module_folder("github.com/agentgateway/agentgateway") / "schema/config.json"
    validator = jsonschema.Draft202012Validator(json.loads(schema.read_text()))
    config = yaml.safe_load(STANDALONE.read_text())
    assert [error.message for error in validator.iter_errors(config)] == []
    config["gateways"]["agents"]["extAuthz"]["failureMod"] = "deny"
    assert list(validator.iter_errors(config))


@by_file
def test_objects_name_the_service_of_the_chart(name: str) -> None:
    things = objects(name)
    references = [
        reference
        for key in ("backendRef", "backendRefs")
        for value in found(things, key)
        for reference in (value if isinstance(value, list) else [value])
        if reference["name"] == "deputize"
    ]
    asked = {"name": "deputize", "namespace": "deputize", "port": PORT}
    assert all(reference == asked for reference in references)
    assert references or name.endswith("/patch.yaml")


@by_gateway
def test_gateways_wait_longer_than_deputize_and_no_answer_means_no(name: str) -> None:
    things = objects(f"{name}/kubernetes.yaml")
    if name == "agentgateway":
        things += [*objects("agentgateway/cached.yaml"), yaml.safe_load(STANDALONE.read_text())]
    waits = [*found(things, "requestTimeout"), *found(things, "timeout")]
    assert waits
    assert set(waits) <= PROVIDER_SECONDS
    assert example_config(name)["spec"]["server"]["decisionTimeoutMillis"] < 250
    modes = [*found(things, "failOpen"), *found(things, "failureMode")]
    assert set(modes) <= {False, "FailClosed", "deny"}
    assert modes or name == "gateway-api"


@by_gateway
def test_the_gateway_has_the_identity_that_deputize_lists(name: str) -> None:
    things = objects(f"{name}/kubernetes.yaml")
    (certificate,) = [thing for thing in things if thing["kind"] == "Certificate"]
    tls = example_config(name)["spec"]["server"]["grpc"]["tls"]
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
    peer = example_config("agentgateway")["spec"]["peer"]
    things = [*objects("agentgateway/kubernetes.yaml"), *objects("agentgateway/cached.yaml")]
    standalone = yaml.safe_load(STANDALONE.read_text())
    given = [*found(things, "requestMetadata"), *found(standalone, "metadata")]
    expression = '{"sans": source.subjectAltNames, "cert": source.certificate}'
    assert given == [{peer["metadataNamespace"]: expression}] * 4


@by_gateway
def test_configurations_load(name: str) -> None:
    loaded = load(EXAMPLES / name / "config.yaml")
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
    [*(f"{name}/config" for name in GATEWAYS), "policies/orders", "policies/orders.test"],
)
def test_files_fit_the_schema_they_name(name: str) -> None:
    file = EXAMPLES / f"{name}.yaml"
    first = file.read_text().partition("\n")[0]
    schema = json.loads((file.parent / first.rpartition("$schema=")[2]).read_text())
    jsonschema.validate(yaml.safe_load(file.read_text()), schema, jsonschema.Draft202012Validator)
