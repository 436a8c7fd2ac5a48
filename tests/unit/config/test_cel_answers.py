from __future__ import annotations

import threading
from typing import cast

import pytest

from deputize.config.cel import FACTS, compile_expression
from deputize.core.case import Case, EvaluationError
from deputize.core.conditions import to_facts
from deputize.core.model import (
    Action,
    Actor,
    Assurance,
    Call,
    Delegation,
    DelegationStyle,
    Json,
    Kind,
    Peer,
    PeerSource,
    Principal,
    Protocol,
    Scope,
    VerifiedToken,
)
from deputize.core.spiffe import parse_spiffe_id
from tests.harness.expressions import EXAMPLE, asked, gives
from tests.harness.world import make_request


@pytest.mark.parametrize(
    "source",
    [
        'agent == "spiffe://corp.example/ns/shop/sa/buyer"',
        'principal.issuer == "https://login.example"',
        'principal.subject == "alice"',
        'principal.kind == "user"',
        '"staff" in principal.claims.groups',
        'chain[1] == "planner"',
        "size(chain) == 2",
        '"orders:read" in scopes',
        'peer.trustDomain == "corp.example"',
        'peer.namespace == "shop"',
        'peer.serviceAccount == "buyer"',
        'peer.assurance == "certificate-checked"',
        'request.method == "POST"',
        'request.host.endsWith(".example")',
        'request.path == "/mcp"',
        'request.headers["content-type"] == "application/json"',
        'call.protocol == "mcp"',
        'call.method == "tools/call"',
        'call.name in ["place_order", "cancel_order"]',
        "call.arguments.amount <= 500",
        "int(now) == 1800000000",
    ],
)
def test_every_fact_can_be_asked_for(source: str) -> None:
    assert gives(source) is True


@pytest.mark.parametrize(
    "source",
    [
        "call.arguments.absent == 1",
        "call.arguments.absent != 1",
        "!(call.arguments.absent == 1)",
        'call.arguments["absent"] == 1',
        "call.arguments.to.street == 1",
        "has(call.arguments.absent.member)",
        "call.arguments.list[3] == 1",
        "call.arguments.list[-1] == 1",
        "call.arguments.currency.member == 1",
        'request.headers["x-absent"] == ""',
        "principal.claims.absent == null",
        "call.arguments.currency < 1",
        "call.arguments.amount < '11'",
        "call.arguments.amount + 0.5 < 11.0",
        "call.arguments.nothing < 1",
        "call.arguments.amount && true",
        "!call.arguments.currency",
        "call.arguments.currency ? true : true",
        'call.arguments.amount.startsWith("1")',
        'call.arguments.amount.matches("1")',
        "call.arguments.currency in call.arguments.currency",
        "call.arguments.amount.all(x, true)",
        "call.arguments.items.all(i, !i.gift)",
        "call.arguments.amount / 0 == 1",
        "call.arguments.amount % 0 == 1",
        "call.arguments.amount + 9223372036854775807 > 0",
        "int(call.arguments.currency) == 1",
        "timestamp(call.arguments.currency) < now",
        "call.arguments.amount",
        "call.arguments.currency",
        "call.arguments.nothing",
        "call.arguments.list",
        "call.arguments.to",
        "true ? call.arguments.amount : true",
    ],
)
def test_what_has_no_answer_raises(source: str) -> None:
    with pytest.raises(EvaluationError):
        gives(source)


def test_an_error_never_tells_what_was_found() -> None:
    for source in ("call.arguments.value < 1", "{call.arguments.value: 1}.other == 1"):
        with pytest.raises(EvaluationError) as caught:
            gives(source, asked("a secret"))
        assert "secret" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("fact", sorted(FACTS))
def test_a_fact_that_is_absent_raises(fact: str) -> None:
    root, _, member = fact.partition(".")
    whole = EXAMPLE[root]
    without: Json = {**whole, member: None} if isinstance(whole, dict) else None
    for facts in ({**EXAMPLE, root: without}, {**EXAMPLE, root: None}):
        for source in (f"{fact} == {fact}", f"!({fact} != {fact})", f"dyn({fact}) != null"):
            if fact != "request.headers":
                with pytest.raises(EvaluationError):
                    gives(source, facts)
    if fact == "request.headers":
        with pytest.raises(EvaluationError):
            gives('!("x" in request.headers)', {**EXAMPLE, root: without})


def test_only_what_decides_must_be_there() -> None:
    without_call: dict[str, Json] = {**EXAMPLE, "call": None}
    assert gives('request.method == "GET" && call.name == "x"', without_call) is False
    assert gives('request.method == "POST" || call.name == "x"', without_call) is True


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("call.arguments.urgent", True),
        ("call.arguments.amount == 10.0", True),
        ("call.arguments.rate == 2", True),
        ("call.arguments.amount < 10.5", True),
        ('dyn(call.arguments.amount) == "10"', False),
        ('call.arguments.amount == 10 || call.arguments.amount == "10"', True),
        ('call.arguments.currency in ["EUR", "CHF"]', True),
        ("call.arguments.amount in [1, 2.0]", False),
        ('call.arguments.amount in [call.arguments.currency, "x"]', False),
        ("call.arguments.list == [1, 2, 3]", True),
        ('call.arguments.absent == null || call.arguments.currency == "EUR"', True),
        ("call.arguments.nothing == null", True),
        ("has(call.arguments.nothing)", True),
        ("has(call.arguments.absent)", False),
        ("!has(call.arguments.to.street)", True),
        ('"amount" in call.arguments', True),
        ('call.arguments["café"] == "é"', True),
        ("size('é') == 1", True),
        ("call.arguments.list.exists(x, x == 2)", True),
        ("call.arguments.list.exists_one(x, x > 2)", True),
        ("call.arguments.items.all(i, i.price < 8)", True),
        ("call.arguments.items.exists(i, i.price > 8)", False),
        ("call.arguments.items.all(i, !has(i.gift) || !i.gift)", True),
        ("type(call.arguments.amount) == int", True),
        ("type(call.arguments.list) == list", True),
        ("principal.claims.groups.exists(g, g in scopes)", False),
        ('now - timestamp(principal.claims.auth_time) < duration("5m")', True),
        ('timestamp(now) >= timestamp("2027-01-15T00:00:00Z")', True),
        ('now.getHours("Europe/Berlin") == 9 && now.getHours() == 8', True),
        ('request.path.matches("^/(mcp|sse)$")', True),
        ('"content-type" in request.headers', True),
        ('"accept" in request.headers', False),
        ("call.arguments.large > 9223372036854775807", True),
        ("call.arguments.large > 5.0", True),
        ("call.arguments.large <= 5", False),
    ],
)
def test_what_an_expression_gives(source: str, answer: bool) -> None:  # noqa: FBT001
    assert gives(source) is answer


def test_threads_share_an_expression() -> None:
    evaluate = compile_expression(
        'call.arguments.value.all(x, x > 0) && request.path.matches("^/m")'
    )
    wrong: list[int] = []

    def ask(number: int) -> None:
        for _ in range(200):
            good, bad = asked([1] * number), asked([*[1] * number, 0])
            if evaluate(good) is not True or evaluate(bad) is not False:
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_facts_of_a_case_are_understood() -> None:
    agent, proxy = parse_spiffe_id(str(EXAMPLE["agent"])), PeerSource.PRINCIPAL
    case = Case(
        request=make_request(headers={"x-tier": "gold"}),
        peer=Peer(agent, Assurance.CERTIFICATE_CHECKED, proxy, ""),
        token=cast("VerifiedToken", None),
        delegation=Delegation(
            principal=Principal("https://login.example", "alice", Kind.UNKNOWN, {"level": 2}),
            agent=agent,
            chain=(Actor("planner", "", Kind.UNKNOWN),),
            scopes=frozenset({Scope("orders:read")}),
            style=DelegationStyle.DELEGATED,
        ),
        action=Action("GET", "orders.example", ("v1", "orders")),
        call=Call(Protocol.MCP, "tools/call", "place_order", {"amount": 5}, 1),
        now=1_800_000_000.0,
    )
    evaluate = compile_expression(
        'agent.startsWith("spiffe://") && principal.claims.level == 2 && chain == ["planner"]'
        ' && scopes == ["orders:read"] && peer.serviceAccount == "buyer"'
        ' && request.path == "/v1/orders" && request.headers["x-tier"] == "gold"'
        " && call.arguments.amount < 6 && now.getFullYear() == 2027"
    )
    assert evaluate(to_facts(case)) is True
    with pytest.raises(EvaluationError):
        evaluate(to_facts(case._replace(call=None)))
