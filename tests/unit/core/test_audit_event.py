from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import orjson
import pytest

from deputize.core.audit_event import MAX_TEXT, SCHEMA_VERSION, build, format_time
from deputize.core.audit_form import AuditEvent
from deputize.core.model import (
    AccessRequest,
    Approved,
    Binding,
    Kind,
    Protocol,
    Resource,
    UseOnce,
)
from deputize.core.profiles import KindRule
from deputize.core.rules import Rule
from deputize.core.verdict import Effect, Permit
from tests.harness.dpop_client import ProofKey
from tests.harness.issuer import encode_base64url
from tests.harness.world import (
    AGENT,
    HOST,
    ISSUER_URL,
    NOW,
    OTHER_AGENT,
    PROFILE,
    decide_now,
    make_forbid,
    make_mandate_rules,
    make_policies,
    make_request,
    make_snapshot,
    make_svid,
    make_trusted_issuer,
    shared_issuer,
)

KEY = ProofKey()
CERTIFICATE = encode_base64url(bytes(32))
TRACE = "0af7651916cd43dd8448eb211c80319c"


def event_of(request: AccessRequest) -> AuditEvent:
    return build(request, decide_now(request, make_snapshot(shared_issuer())), 42)


def issue() -> str:
    return shared_issuer().issue(
        now=NOW, chain=[OTHER_AGENT], scope="orders:read x", claims={"jti": "token-1"}
    )


def test_an_allowed_call() -> None:
    token = issue()
    headers = {"x-request-id": "r-1", "traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    request = make_request(
        token, path="/v1/orders/7?q=secret", headers=headers, certificate=make_svid()
    )
    assert event_of(request) == {
        "schema_version": SCHEMA_VERSION,
        "decision_id": "decision-1",
        "time": "2027-01-15T08:00:00.000000+00:00",
        "effect": "allow",
        "reason": "policy.allowed",
        "detail": "",
        "rule": "orders/read",
        "policy_digest": "digest of the configuration",
        "peer": {
            "spiffe_id": AGENT,
            "assurance": "certificate-checked",
            "source": "principal",
        },
        "asserted_principal": AGENT,
        "principal": {"issuer": ISSUER_URL, "subject": "alice", "kind": "unknown"},
        "agent": AGENT,
        "chain": [
            {"subject": AGENT, "issuer": "", "kind": "unknown"},
            {"subject": OTHER_AGENT, "issuer": "", "kind": "unknown"},
        ],
        "style": "delegated",
        "token": {
            "id": "token-1",
            "sha256": hashlib.sha256(token.encode()).hexdigest(),
            "client_id": AGENT,
            "expires_at": NOW + 300,
            "binding": "",
        },
        "scopes": {"token": ["orders:read", "x"], "granted": ["orders:read"]},
        "claims": {},
        "http": {"method": "GET", "host": HOST, "path": "/v1/orders/7", "upgrade": ""},
        "calls": [],
        "approvals": [],
        "observed": None,
        "request_id": "r-1",
        "trace_id": TRACE,
        "duration_us": 42,
    }


@pytest.mark.parametrize(
    ("cnf", "binding"),
    [
        ({"x5t#S256": CERTIFICATE}, "certificate"),
        ({"jkt": KEY.thumbprint}, "key"),
        ({"jkt": KEY.thumbprint, "x5t#S256": CERTIFICATE}, "certificate+key"),
    ],
)
def test_what_a_token_is_bound_to_is_told_and_no_thumbprint(
    cnf: Mapping[str, str], binding: str
) -> None:
    event = event_of(make_request(shared_issuer().issue(now=NOW, claims={"cnf": cnf})))
    assert event["token"] is not None
    assert event["token"]["binding"] == binding
    assert not any(thumbprint in json.dumps(event) for thumbprint in cnf.values())


def test_kinds_namers_and_style_are_told() -> None:
    kinds = (("user", Kind.USER), ("ai_agent", Kind.AGENT))
    profile = replace(
        PROFILE,
        principal_kind=(KindRule(("sub_profile",), kinds, Kind.UNKNOWN),),
        actor_kind=(KindRule(("act", "sub_profile"), kinds, Kind.UNKNOWN),),
    )
    act = {"sub": AGENT, "sub_profile": "ai_agent", "iss": ISSUER_URL}
    token = shared_issuer().issue(now=NOW, claims={"sub_profile": "user", "act": act})
    request = make_request(token)
    trusted = make_trusted_issuer(rules=make_mandate_rules(profile=profile))
    snapshot = make_snapshot(shared_issuer(), trusted=[trusted])
    event = build(request, decide_now(request, snapshot), 1)
    assert event["principal"] == {"issuer": ISSUER_URL, "subject": "alice", "kind": "user"}
    assert event["chain"] == [{"subject": AGENT, "issuer": ISSUER_URL, "kind": "agent"}]
    assert event["style"] == "delegated"


def test_a_refused_call_shows_what_was_proven() -> None:
    event = event_of(make_request(issue(), path="/v1/orders/secret"))
    assert (event["effect"], event["reason"], event["rule"]) == (
        "deny",
        "policy.forbidden",
        "guard/secret",
    )
    assert event["detail"]
    assert event["agent"] == AGENT
    assert event["scopes"] == {"token": ["orders:read", "x"], "granted": []}


def test_what_is_not_known_is_null() -> None:
    event = event_of(make_request(peer=""))
    unknown = (
        *("rule", "peer", "principal", "agent", "chain", "style", "token", "scopes", "claims"),
        "observed",
    )
    assert [name for name, value in event.items() if value is None] == sorted(
        unknown, key=list(event).index
    )


def test_every_event_has_the_same_members() -> None:
    for request in (make_request(issue()), make_request(), make_request(defect="x", peer="")):
        assert event_of(request).keys() == AuditEvent.__annotations__.keys()


def test_long_texts_of_a_caller_are_cut() -> None:
    long = "x" * (MAX_TEXT * 2)
    event = event_of(
        make_request(
            method=long, host=long, path=f"/{long}", peer=long, headers={"x-request-id": long}
        )
    )
    http = event["http"]
    texts = (http["method"], http["host"], http["path"], event["asserted_principal"])
    assert [len(text) for text in (*texts, event["request_id"])] == [MAX_TEXT] * 5


@pytest.mark.parametrize(
    "traceparent",
    ["", TRACE, f"00-{TRACE}-b7ad6b7169203331", f"00-{TRACE.upper()}-b7ad6b7169203331-01",
     f"00-{TRACE}-b7ad6b7169203331-01\n", f"00-{TRACE}-b7ad6b7169203331-01,00", "00-x-y-01"],
)  # fmt: skip
def test_a_trace_context_that_cannot_be_read_is_left_empty(traceparent: str) -> None:
    assert event_of(make_request(headers={"traceparent": traceparent}))["trace_id"] == ""


def test_no_credential_and_no_header_value_is_written() -> None:
    token = issue()
    headers = {"cookie": "session=hidden", "x-api-key": "hidden"}
    for request in (make_request(token, headers=headers), make_request(f"{token}x")):
        text = json.dumps(event_of(request))
        assert not any(part in text for part in (*token.split("."), "hidden"))


def test_time_is_rfc_3339_in_utc() -> None:
    assert format_time(0.25) == "1970-01-01T00:00:00.250000+00:00"


def test_calls_are_told_without_their_arguments() -> None:
    body = (
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", '
        b'"params": {"name": "pay", "arguments": {"to": "hidden"}}}'
    )
    request = make_request(issue(), method="POST", path="/mcp")
    request = request._replace(body=body, body_size=len(body))
    resource = Resource(Protocol.MCP, Binding.BODY, 0, "")
    policies = make_policies([], resources=[(HOST, "/mcp", resource)])
    snapshot = replace(make_snapshot(shared_issuer()), policies=policies)
    event = build(request, decide_now(request, snapshot), 1)
    assert event["calls"] == [{"protocol": "mcp", "method": "tools/call", "name": "pay"}]
    assert "hidden" not in json.dumps(event)


@pytest.mark.parametrize("rules", [(), (make_forbid("guard/all", "/**"),)])
def test_what_was_only_observed_is_told(rules: tuple[Rule, ...]) -> None:
    policies = make_policies(rules, is_observed=True)
    snapshot = replace(make_snapshot(shared_issuer()), policies=policies)
    decision = decide_now(make_request(issue()), snapshot)
    event = build(make_request(issue()), decision, 1)
    assert decision.observed is not None
    assert (event["effect"], event["reason"]) == ("allow", "policy.allowed")
    assert event["observed"] == {
        "reason": decision.observed.reason.value,
        "detail": decision.observed.detail,
        "rule": "guard/all" if rules else None,
    }


def test_who_approved_a_call_is_told() -> None:
    approved = Approved("https://approvals.example", "carol", "a-1", UseOnce("k", NOW))
    decision = decide_now(make_request(issue()), make_snapshot(shared_issuer()))
    assert isinstance(decision.verdict, Permit)
    grant = decision.verdict.grant._replace(approvals=(approved,))
    decision = decision._replace(verdict=replace(decision.verdict, grant=grant))
    assert build(make_request(issue()), decision, 1)["approvals"] == [
        {"service": "https://approvals.example", "approver": "carol", "id": "a-1"}
    ]


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**300])
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [True, v], lambda v: {"a": {"b": v}}])
def test_a_claim_that_is_recorded_never_keeps_the_event_from_being_written(
    number: int, wrap: Callable[[object], object]
) -> None:
    request = make_request(shared_issuer().issue(now=NOW, claims={"level": wrap(number)}))
    decision = decide_now(request, make_snapshot(shared_issuer()))
    assert decision.effect is Effect.ALLOW
    event = build(request, decision, 1, ["level"])
    assert orjson.loads(orjson.dumps(event))["claims"] == {"level": wrap(str(number))}


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 1.5, True])
def test_a_number_that_can_be_written_is_recorded_as_it_is(number: float) -> None:
    request = make_request(shared_issuer().issue(now=NOW, claims={"level": number}))
    decision = decide_now(request, make_snapshot(shared_issuer()))
    assert build(request, decision, 1, ["level"])["claims"] == {"level": number}
