"""Every vector through three entrances; each must give the decision the vector names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from deputize._proto.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from deputize.adapters.presentation import PRESENTATIONS
from deputize.core.audit_form import AuditEvent
from deputize.core.reasons import REASONS, Reason
from deputize.core.verdict import Effect
from scripts.generate_vectors import find_stale, generate
from tests.harness.vector_entrances import (
    VectorServer,
    decide_vector,
    explain_vector,
    running_servers,
)
from tests.harness.vector_files import SCHEMA_FILE, Vector, read_vector, vector_files, world_names

FILES = tuple(vector_files())
VECTORS = tuple(read_vector(file) for file in FILES)
NO_VECTOR = {
    Reason.SYSTEM_NOT_READY: "there is no configuration yet",
    Reason.SYSTEM_AUDIT_UNAVAILABLE: "rests on the sink, not on the check",
    Reason.SYSTEM_OBLIGATION_FAILED: "only a response can fail to be written",
    Reason.SYSTEM_DEADLINE: "rests on how long the decision took",
    Reason.SYSTEM_INTERNAL: "no input may bring it about",
}

each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.id)


@pytest.fixture(scope="module", params=["grpcio", "native"])
def servers(request: pytest.FixtureRequest) -> Iterator[Mapping[str, VectorServer]]:
    with running_servers(request.param) as running:
        yield running


@each_vector
def test_core_decides_as_expected(vector: Vector) -> None:
    decision = decide_vector(vector)
    rule = None if decision.rule is None else str(decision.rule)
    assert (decision.effect, decision.reason, rule) == (vector.effect, vector.reason, vector.rule)


@each_vector
def test_server_answers_as_expected(servers: Mapping[str, VectorServer], vector: Vector) -> None:
    # The second time the token is remembered, which makes no difference unless the vector says so.
    for expected in (vector, _second(vector)):
        response, events = servers[vector.world].ask(expected)
        _check_response(response, expected)
        _check_events(events, response, expected)


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
    assert vector.file == file, "the place says the id, and the family of the reason"


def test_ids_are_unique() -> None:
    assert len({vector.id for vector in VECTORS}) == len(VECTORS)


def test_every_reason_has_a_vector() -> None:
    shown = {reason for vector in VECTORS for reason in (vector.reason, vector.again)}
    assert set(Reason) - shown == NO_VECTOR.keys()


def test_every_world_is_used() -> None:
    assert {vector.world for vector in VECTORS} == set(world_names())


def test_files_are_those_of_the_tables() -> None:
    assert find_stale(generate()) == []


def _second(vector: Vector) -> Vector:
    """What is expected of the very same request when it comes again."""
    if vector.again is None:
        return vector
    rule = vector.rule if vector.again is Reason.POLICY_BUDGET_EXHAUSTED else None
    return replace(vector, effect=Effect.DENY, reason=vector.again, rule=rule)


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
    answer = response.denied_response
    headers = {sent.header.key: sent.header.value for sent in answer.headers}
    if headers["content-type"] == "text/plain":
        # A gRPC caller: Envoy makes INTERNAL of 400, so it gets 403 instead.
        assert answer.status.code == (403 if shown.http_status == 400 else shown.http_status)
        assert answer.body == REASONS[vector.reason].public
        return
    assert answer.status.code == shown.http_status
    body = json.loads(answer.body)
    assert body.get("error", {}).get("data", body)["reason"] == vector.reason


def _check_events(events: list[AuditEvent], response: CheckResponse, vector: Vector) -> None:
    assert len(events) == 1
    (event,) = events
    assert (event["effect"], event["reason"], event["rule"]) == (
        vector.effect,
        vector.reason,
        vector.rule,
    )
    assert event["decision_id"] == response.dynamic_metadata.fields["decision_id"].string_value
