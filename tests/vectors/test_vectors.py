"""Every vector through three entrances; each must give the decision the vector names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from deputize.adapters.presentation import PRESENTATIONS
from deputize.core.audit_event import AuditEvent
from deputize.core.reasons import Reason
from deputize.core.verdict import Effect
from scripts.generate_vectors import find_stale, generate
from tests.harness.vector_entrances import (
    VectorServer,
    decide_vector,
    explain_vector,
    running_server,
)
from tests.harness.vector_files import FAMILIES, SCHEMA_FILE, Vector, read_vector, vector_files

FILES = tuple(vector_files())
VECTORS = tuple(read_vector(file) for file in FILES)
NO_VECTOR = {
    Reason.PEER_UNTRUSTED_SOURCE: "rests on the TLS connection of the proxy, not on its check",
}

each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.id)


@pytest.fixture(scope="module", params=["grpcio", "native"])
def server(request: pytest.FixtureRequest) -> Iterator[VectorServer]:
    with running_server(request.param) as running:
        yield running


@each_vector
def test_core_decides_as_expected(vector: Vector) -> None:
    decision = decide_vector(vector)
    rule = None if decision.rule is None else str(decision.rule)
    assert (decision.effect, decision.reason, rule) == (vector.effect, vector.reason, vector.rule)


@each_vector
def test_server_answers_as_expected(server: VectorServer, vector: Vector) -> None:
    # The second time the token is remembered, which must make no difference.
    for _ in range(2):
        response, events = server.ask(vector)
        _check_response(response, vector)
        _check_events(events, response, vector)


@each_vector
def test_explain_answers_as_expected(vector: Vector) -> None:
    explained = explain_vector(vector)
    assert explained.exit_code == (0 if vector.effect is Effect.ALLOW else 1)
    answer = tuple(explained.output[name] for name in ("effect", "reason", "rule"))
    assert answer == (vector.effect, vector.reason, vector.rule)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_file_has_the_form_of_a_vector(file: Path) -> None:
    schema = json.loads(SCHEMA_FILE.read_text())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(file.read_text()))
    vector = read_vector(file)
    assert vector.file == file, "the place of a vector says its id and the family of its reason"


def test_ids_are_unique() -> None:
    assert len({vector.id for vector in VECTORS}) == len(VECTORS)


def test_every_reason_has_a_vector() -> None:
    reasons = {reason for reason in Reason if reason.family in FAMILIES}
    assert reasons - {vector.reason for vector in VECTORS} == NO_VECTOR.keys()


def test_files_are_those_of_the_tables() -> None:
    assert find_stale(generate()) == []


def _check_response(response: CheckResponse, vector: Vector) -> None:
    fields = response.dynamic_metadata.fields
    told = {name: fields[name].string_value for name in ("effect", "reason")}
    assert told == {"effect": vector.effect, "reason": vector.reason}
    assert (fields["rule"].string_value if "rule" in fields else None) == vector.rule
    if vector.effect is Effect.ALLOW:
        assert response.status.code == 0
        assert response.WhichOneof("http_response") == "ok_response"
        return
    shown = PRESENTATIONS[vector.reason]
    assert response.WhichOneof("http_response") == "denied_response"
    assert response.status.code == shown.grpc_code
    assert response.status.code in {7, 16}
    assert response.denied_response.status.code == shown.http_status
    assert json.loads(response.denied_response.body)["reason"] == vector.reason


def _check_events(events: list[AuditEvent], response: CheckResponse, vector: Vector) -> None:
    assert len(events) == 1
    (event,) = events
    assert (event["effect"], event["reason"], event["rule"]) == (
        vector.effect,
        vector.reason,
        vector.rule,
    )
    assert event["decision_id"] == response.dynamic_metadata.fields["decision_id"].string_value
