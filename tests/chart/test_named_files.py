"""Files that `config` names in folders of the chart are given, or it says how to give them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from deputize.config.model import inner_model
from deputize.config.schema import ServiceSpec
from tests.chart.test_refusals import problems
from tests.harness.helm import render

ISSUER: dict[str, Any] = {"issuer": "https://idp.example.org", "audiences": ["orders"]}
DISCOVERY: dict[str, Any] = {**ISSUER, "keys": {"discovery": True}}
STATUS_LISTS = {"uriPrefixes": ["https://idp.example.org/status/"]}
INTROSPECTION = {"url": "https://idp.example.org/introspect", "clientId": "orders"}
SECRET = {"clientSecretFile": "FILE"}
BUNDLE = {"trustDomain": "a.example"}
URL = {"url": "https://a.example/"}

PLACES: dict[str, dict[str, Any]] = {
    "config.issuers[0].keys.file": {"issuers": [{**ISSUER, "keys": {"file": "FILE"}}]},
    "config.issuers[1].keys.caFile": {
        "issuers": [DISCOVERY, {**DISCOVERY, "keys": {"discovery": True, "caFile": "FILE"}}]
    },
    "config.issuers[0].statusLists.caFile": {
        "issuers": [{**DISCOVERY, "statusLists": {**STATUS_LISTS, "caFile": "FILE"}}]
    },
    "config.issuers[0].introspection.clientSecretFile": {
        "issuers": [{**DISCOVERY, "introspection": {**INTROSPECTION, **SECRET}}]
    },
    "config.issuers[0].introspection.caFile": {
        "issuers": [
            {
                **DISCOVERY,
                "introspection": {**INTROSPECTION, "clientSecretFile": "/a", "caFile": "FILE"},
            }
        ]
    },
    "config.peer.bundles[0].file": {"peer": {"bundles": [{**BUNDLE, "file": "FILE"}]}},
    "config.peer.bundles[0].caFile": {"peer": {"bundles": [{**BUNDLE, **URL, "caFile": "FILE"}]}},
    "config.denyLists[0].file": {"denyLists": [{"file": "FILE"}]},
    "config.denyLists[0].caFile": {"denyLists": [{**URL, "caFile": "FILE"}]},
    "config.approvals.services[0].keys.file": {
        "approvals": {"services": [{"issuer": "https://ok.example", "keys": {"file": "FILE"}}]}
    },
    "config.approvals.services[0].keys.caFile": {
        "approvals": {
            "services": [{"issuer": "https://ok.example", "keys": {**URL, "caFile": "FILE"}}]
        }
    },
    "config.replay.caFile": {"replay": {"caFile": "FILE"}},
    "config.profiles[0]": {"profiles": ["FILE"]},
}
"""Every key that names a file, with FILE for its name."""
OF_THE_CHART = {
    "config.audit.file",
    "config.replay.urlFile",
    "config.server.grpc.tls.certificateFile",
    "config.server.grpc.tls.clientCaFile",
    "config.server.grpc.tls.privateKeyFile",
}
"""Those that `config` must not have."""


def naming(place: str, file: str) -> dict[str, Any]:
    """Values of which this key names the file."""
    config = _filled(PLACES[place], file)
    assert isinstance(config, dict)
    return {"config": config}


def test_every_key_of_a_file_is_here() -> None:
    named = {re.sub(r"\[\d\]", "", place) for place in PLACES}
    assert named == {f"config.{key}" for key in _keys_of_files(ServiceSpec)} - OF_THE_CHART


@pytest.mark.parametrize("place", PLACES)
def test_a_file_that_is_not_given_is_refused(place: str) -> None:
    (problem,) = problems(naming(place, "/etc/deputize/files/a.b.json"))
    assert problem.partition(":")[0] == place
    assert r"--set-file 'files.a\.b\.json=" in problem


@pytest.mark.parametrize("place", PLACES)
def test_a_mount_that_is_not_given_is_refused(place: str) -> None:
    values = {
        **naming(place, "/etc/deputize/mounts/idp/a.json"),
        "mounts": [{"name": "idp-2", "secret": "idp"}],
    }
    (problem,) = problems(values)
    assert problem.partition(":")[0] == place
    assert "`idp`" in problem


@pytest.mark.parametrize("place", PLACES)
def test_what_is_given_may_be_named(place: str) -> None:
    given = {
        "files": {"a.json": ""},
        "mounts": [{"name": "idp", "secret": "idp"}],
    }
    for file in ("files/a.json", "mounts/idp/a.json"):
        assert render({**naming(place, f"/etc/deputize/{file}"), **given})


@pytest.mark.parametrize(
    "file",
    [
        "../files/a.json",
        "/etc/deputize//files/./a.json",
        "/etc/deputize/files/a/b.json",
        "/etc/deputize/mounts/b/../../files/a.json",
        "../mounts/idp/a.json",
    ],
)
def test_however_it_is_written(file: str) -> None:
    values = {**naming("config.denyLists[0].file", file), "files": {"b.json": ""}}
    assert [each.partition(":")[0] for each in problems(values)] == ["config.denyLists[0].file"]


def test_files_that_the_chart_has_no_part_in_are_left_alone() -> None:
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    assert render(naming("config.denyLists[0].caFile", bundle))
    actors = ["/etc/deputize/files/a.json"]
    assert render({"config": {"delegation": {"forbiddenActors": actors}}})


def _filled(node: object, file: str) -> object:
    if isinstance(node, dict):
        return {key: _filled(inner, file) for key, inner in node.items()}
    if isinstance(node, list):
        return [_filled(inner, file) for inner in node]
    return file if node == "FILE" else node


def _keys_of_files(model: type[BaseModel], before: str = "") -> Iterator[str]:
    for field in model.model_fields.values():
        key = f"{before}{field.alias}"
        inner = inner_model(field.annotation)
        if inner is not None:
            yield from _keys_of_files(inner, f"{key}.")
        elif re.fullmatch("file|profiles|.+File", str(field.alias)):
            yield key
