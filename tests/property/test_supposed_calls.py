"""Whatever is supposed, the court answers or says that nobody can make the call."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deputize.cli.court import Court
from deputize.cli.nearest import find_nearest
from deputize.cli.supposed_call import AgentCall, SupposedCall, SupposedCallError
from deputize.core.model import DelegationStyle, Kind, Protocol
from deputize.core.reasons import Reason
from deputize.core.verdict import Effect
from tests.harness.court_policies import compile_text
from tests.harness.strategies import LAW
from tests.harness.world import AGENT, ISSUER_URL, OTHER_AGENT

names = st.text(max_size=12) | st.text("ab:/*%.\x00\ud800", max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | names,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)
hosts = st.sampled_from(
    ["orders.example", "office.example", "tools.example", "headers.example", "agents.example",
     "agents-grpc.example", "grpc.example", "elsewhere.example:443"]
)  # fmt: skip
paths = st.sampled_from(
    ["/", "/v1/orders/7", "/v1/orders/secret", "/v1/orders/7/refund", "/mcp", "/rpc", "/rest",
     "/rest/tasks/t", "/shop.Orders/List", "/x?y=1", "//"]
)  # fmt: skip
agent_calls = st.builds(
    AgentCall,
    st.sampled_from(Protocol),
    st.sampled_from(
        [
            "tools/call",
            "response",
            "completion/complete",
            "GetTask",
            "SendMessage",
            "shop.Orders/List",
        ]
    )
    | names,
    st.sampled_from(["search", "pay", "t1", "file:///data/a"]) | names,
    st.dictionaries(names, json_values, max_size=2),
)
GOOD = SupposedCall(
    agent=AGENT,
    issuer=ISSUER_URL,
    subject="alice",
    claims={"groups": ["staff"]},
    scopes=frozenset({"orders:read"}),
    host="orders.example",
    path="/v1/orders/7",
)
parts: dict[str, st.SearchStrategy[Any]] = {
    "agent": st.sampled_from([AGENT, OTHER_AGENT]) | names,
    "issuer": st.sampled_from([ISSUER_URL, "https://elsewhere.example"]) | names,
    "subject": st.sampled_from(["alice", AGENT]) | names,
    "claims": st.dictionaries(
        st.sampled_from(["groups", "acr", "auth_time", "exp", "iat", "nonce", "sub"]) | names,
        json_values | st.just("gold") | st.just(["staff"]),
        max_size=3,
    ),
    "scopes": st.frozensets(st.sampled_from(["orders:read", "orders:write", "tools"]) | names),
    "chain": st.lists(names, max_size=3).map(tuple),
    "style": st.sampled_from(DelegationStyle),
    "kind": st.sampled_from(Kind),
    "method": st.sampled_from(["", "GET", "POST", "DELETE"]) | names,
    "host": hosts | names,
    "path": paths | names,
    "headers": st.dictionaries(
        st.sampled_from(["x-a", "authorization", "content-length", "mcp-method", "content-type"])
        | names,
        names,
        max_size=2,
    ),
    "call": agent_calls,
    "body": st.binary(max_size=8),
    "approved": st.booleans() | names,
    "at": st.floats(),
    "upgrade": st.sampled_from(["", "websocket"]) | names,
}
calls = st.lists(st.sampled_from(sorted(parts)), max_size=4, unique=True).flatmap(
    lambda chosen: st.builds(partial(replace, GOOD), **{name: parts[name] for name in chosen})
)


@cache
def court() -> Court:
    with TemporaryDirectory() as folder:
        return Court(compile_text(Path(folder)))


@LAW
@given(calls)
def test_the_court_answers_or_says_why_not(call: SupposedCall) -> None:
    try:
        asked, decision = court().decide(call)
    except SupposedCallError:
        return
    assert decision.reason is not Reason.SYSTEM_INTERNAL
    nearest = find_nearest(asked, decision, court().snapshot)
    if decision.effect is Effect.ALLOW:
        assert nearest is None
    elif decision.reason is Reason.POLICY_NO_MATCH:
        assert nearest is not None
        assert all(each.message for each in nearest.unmet)


@LAW
@given(calls, st.sampled_from(["/v1/orders/7", "/v1/orders/secret"]))
def test_who_has_what_was_missing_is_nearer(call: SupposedCall, path: str) -> None:
    """What is named as unmet is the truth: who meets it is no longer told of it."""
    good = replace(GOOD, path=path)
    changes = {
        "agent": replace(good, agent=call.agent),
        "host": replace(good, host=call.host),
        "scopes": replace(good, scopes=call.scopes),
        "method": replace(good, method=call.method),
    }
    for part, changed in changes.items():
        try:
            asked, decision = court().decide(changed)
        except SupposedCallError:
            continue
        nearest = find_nearest(asked, decision, court().snapshot)
        if nearest is not None and str(nearest.rule) == "shop/read":
            assert [each.part for each in nearest.unmet] == [part]
