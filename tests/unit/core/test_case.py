from __future__ import annotations

import pytest

from deputize.core.case import (
    CHAIN_FACTS,
    MAX_MEMBERS,
    PEER_FACTS,
    PRINCIPAL_FACTS,
    TOKEN_FACTS,
    Case,
    EvaluationError,
    Fact,
    Source,
    read_fact,
)
from deputize.core.conditions import to_facts
from deputize.core.matching import PathPattern, parse_path_pattern
from deputize.core.model import Call, Confirmation, Json, Protocol
from tests.harness.rulings import make_case, mcp_call
from tests.harness.world import AGENT, HOST, ISSUER_URL, NOW, OTHER_AGENT


def read(case: Case, source: Source, *name: str) -> Json:
    return read_fact(Fact(source, name), case)


def position(pattern: str, at: int) -> tuple[PathPattern, int]:
    return parse_path_pattern(pattern), at


def test_a_claim_may_lie_in_another() -> None:
    case = make_case(claims={"amr": ["pwd"], "address": {"country": "NO"}})
    assert read(case, Source.CLAIM, "amr") == ["pwd"]
    assert read(case, Source.CLAIM, "address", "country") == "NO"
    assert read(case, Source.CLAIM, "address", "city") is None
    assert read(case, Source.CLAIM, "amr", "x") is None


def test_a_header_is_one_value_or_none() -> None:
    case = make_case(headers={"x-zone": "a", "x-empty": "", "x-twice": "a,b", "x-odd": "a!b"})
    assert read(case, Source.HEADER, "x-zone") == "a"
    assert read(case, Source.HEADER, "x-empty") == ""
    assert read(case, Source.HEADER, "x-absent") is None
    for name in ("x-twice", "x-odd"):
        with pytest.raises(EvaluationError):
            read(case, Source.HEADER, name)


def test_an_argument_may_lie_in_another() -> None:
    case = make_case(mcp_call(arguments={"id": 7, "to": {"bank": "x", "null": None}}))
    assert read(case, Source.ARGUMENT, "id") == 7
    assert read(case, Source.ARGUMENT, "to", "bank") == "x"
    assert read(case, Source.ARGUMENT, "to", "null") is None
    assert read(case, Source.ARGUMENT, "to", "iban") is None
    assert read(case, Source.ARGUMENT, "other") is None


@pytest.mark.parametrize(
    "name", [("id", "x"), ("ids", "0"), ("Path",), ("to", "bank"), ("\u017f",)]
)
def test_an_argument_with_another_reading_is_an_error(name: tuple[str, ...]) -> None:
    arguments: dict[str, Json] = {"id": 7, "ids": [1], "path": "/", "to": {"BANK": 1}, "s": 1}
    with pytest.raises(EvaluationError):
        read(make_case(mcp_call(arguments=arguments)), Source.ARGUMENT, *name)


@pytest.mark.parametrize(
    "message",
    [
        {"context_id": "x"},
        {"ContextId": "x"},
        {"contextId": "own", "context_id": "x"},
        {"contextId": "own", "context_Id_": "x"},
    ],
)
def test_protobuf_has_two_spellings_of_an_argument(message: dict[str, Json]) -> None:
    call = Call(Protocol.A2A, "SendMessage", "", {"message": message}, 1)
    with pytest.raises(EvaluationError):
        read(make_case(call), Source.ARGUMENT, "message", "contextId")
    message = {"contextId": "own", "taskId": "x"}
    assert read(make_case(call._replace(arguments=message)), Source.ARGUMENT, "contextId") == "own"
    assert read(make_case(call._replace(arguments=message)), Source.ARGUMENT, "other") is None


def test_among_very_many_members_no_other_spelling_is_looked_for() -> None:
    arguments: dict[str, Json] = {f"name-{number}": number for number in range(MAX_MEMBERS)}
    assert read(make_case(mcp_call(arguments=arguments)), Source.ARGUMENT, "id") is None
    arguments["more"] = 1
    case = make_case(mcp_call(arguments=arguments))
    assert read(case, Source.ARGUMENT, "more") == 1
    with pytest.raises(EvaluationError):
        read(case, Source.ARGUMENT, "id")


@pytest.mark.parametrize("case", [make_case(), make_case(mcp_call(arguments=None))])
def test_arguments_that_are_not_known_are_an_error(case: Case) -> None:
    with pytest.raises(EvaluationError):
        read(case, Source.ARGUMENT, "id")


def test_a_path_parameter_is_the_segment_of_the_pattern_that_matches() -> None:
    positions = (position("/v1/orders/{id}", 2), position("/{id}", 0))
    fact = Fact(Source.PATH, ("id",), positions)
    assert read_fact(fact, make_case()) == "7"
    assert read_fact(fact, make_case(path="/v1")) == "v1"
    assert read_fact(fact, make_case(path="/v1/stock")) is None


def test_a_path_parameter_has_one_reading() -> None:
    same = (position("/v1/orders/{id}", 2), position("/v1/{kind}/{id}", 2))
    assert read_fact(Fact(Source.PATH, ("id",), same), make_case()) == "7"
    differ = (position("/v1/orders/{id}", 2), position("/v1/{id}/{line}", 1))
    with pytest.raises(EvaluationError):
        read_fact(Fact(Source.PATH, ("id",), differ), make_case())


@pytest.mark.parametrize(
    ("agent", "namespace", "account"),
    [
        (AGENT, "agents", "research"),
        ("spiffe://prod.example.org/ns/a/sb/x", None, None),
        ("spiffe://prod.example.org/sn/a/sa/x", None, None),
        ("spiffe://prod.example.org/ns/a/sa/x/y", None, None),
        ("spiffe://prod.example.org/research", None, None),
    ],
)
def test_facts_of_the_peer(agent: str, namespace: str | None, account: str | None) -> None:
    case = make_case(agent=agent)
    facts = {name: read(case, Source.PEER, name) for name in PEER_FACTS}
    assert facts == {
        "trustDomain": "prod.example.org",
        "namespace": namespace,
        "serviceAccount": account,
        "assurance": "asserted-by-proxy",
    }


def test_facts_of_the_chain() -> None:
    case = make_case(chain=[AGENT, OTHER_AGENT])
    facts = {name: read(case, Source.CHAIN, name) for name in CHAIN_FACTS}
    assert facts == {
        "actors": [AGENT, OTHER_AGENT],
        "depth": 2,
        "origin": OTHER_AGENT,
        "style": "delegated",
    }
    assert read(make_case(chain=[]), Source.CHAIN, "origin") is None


def test_facts_of_the_principal() -> None:
    facts = {name: read(make_case(), Source.PRINCIPAL, name) for name in PRINCIPAL_FACTS}
    assert facts == {"issuer": ISSUER_URL, "kind": "user", "subject": "alice"}


@pytest.mark.parametrize(
    ("confirmation", "binding"),
    [
        (None, "none"),
        (Confirmation("", "k"), "key"),
        (Confirmation("c", ""), "certificate"),
        (Confirmation("c", "k"), "certificate"),
    ],
)
def test_facts_of_the_token(confirmation: Confirmation | None, binding: str) -> None:
    case = make_case(confirmation=confirmation)
    facts = {name: read(case, Source.TOKEN, name) for name in TOKEN_FACTS}
    assert facts == {"ageSeconds": 60, "binding": binding, "remainingSeconds": 240}


def test_all_facts_as_one_object() -> None:
    case = make_case(mcp_call(arguments={"id": 7}), claims={"groups": ["x"]}, headers={"a": "b"})
    assert to_facts(case) == {
        "agent": AGENT,
        "principal": {
            "issuer": ISSUER_URL,
            "subject": "alice",
            "kind": "user",
            "claims": {"groups": ["x"]},
        },
        "chain": [AGENT],
        "scopes": ["orders:read"],
        "peer": {
            "trustDomain": "prod.example.org",
            "namespace": "agents",
            "serviceAccount": "research",
            "assurance": "asserted-by-proxy",
        },
        "request": {
            "method": "GET",
            "host": HOST,
            "path": "/v1/orders/7",
            "headers": {"a": "b"},
        },
        "call": {
            "protocol": "mcp",
            "method": "tools/call",
            "name": "get_order",
            "arguments": {"id": 7},
        },
        "now": NOW,
    }


def test_what_is_not_known_is_null_in_the_object() -> None:
    assert to_facts(make_case())["call"] is None
    call = to_facts(make_case(mcp_call(arguments=None)))["call"]
    assert isinstance(call, dict)
    assert call["arguments"] is None


def test_a_fact_says_where_it_comes_from() -> None:
    assert str(Fact(Source.CLAIM, ("address", "country"))) == "claim address.country"
