from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

from hypothesis import assume, given
from hypothesis import strategies as st

from deputize.core.approval import ApprovalNeed, ApprovalService, verify_approval
from deputize.core.approved_call import ApprovalError, ApprovalSubject, describe_call
from deputize.core.jws import read_json_object
from deputize.core.keys import Algorithm
from deputize.core.model import Action, Call, Json, Protocol
from tests.harness.approvals import APPROVALS_URL, ApprovalDesk, make_delegation
from tests.harness.strategies import LAW
from tests.harness.world import (
    AGENT,
    HOST,
    ISSUER_URL,
    NOW,
    OTHER_AGENT,
    SKEW,
    make_key_ring,
    make_request,
)

NEED = ApprovalNeed(frozenset({APPROVALS_URL}), approver_not_principal=True)
SERVICES = {APPROVALS_URL: ApprovalService(APPROVALS_URL, (Algorithm.ES256,), 300, SKEW)}

EXACT = 2**53 - 1
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-EXACT, EXACT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(exclude_categories=["Cs"]))
)
names = st.sampled_from(["a", "b", "\ufb33", "\U0001f600", '"', ""])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
arguments = st.dictionaries(names, values, max_size=4)

FIELDS: Mapping[str, st.SearchStrategy[str]] = {
    "agent": st.sampled_from([AGENT, OTHER_AGENT]),
    "issuer": st.sampled_from([ISSUER_URL, "https://issuer.example/", "https://other.example"]),
    "subject": st.sampled_from(["alice", "Alice", "bob"]),
    "method": st.sampled_from(["POST", "PUT", "DELETE"]),
    "host": st.sampled_from([HOST, "a.example", f"{HOST}:8443"]),
    "path": st.sampled_from(["/mcp", "/mcp/", "/mcp?a=1", "/mcp?a=2", "/%6dcp"]),
    "protocol": st.sampled_from(["mcp", "a2a"]),
    "call": st.sampled_from(["tools/call", "prompts/get"]),
    "name": st.sampled_from(["", "pay", "pay ", "refund"]),
}
calls = st.fixed_dictionaries(dict(FIELDS))
bodies = st.binary(min_size=1, max_size=20)


@cache
def desk() -> ApprovalDesk:
    return ApprovalDesk()


def describe(call: Mapping[str, str], given_arguments: Mapping[str, Json]) -> ApprovalSubject:
    return describe_call(
        make_request(method=call["method"], host=call["host"], path=call["path"]),
        make_delegation(agent=call["agent"], issuer=call["issuer"], subject=call["subject"]),
        Action(call["method"], HOST, ()),
        Call(Protocol(call["protocol"]), call["call"], call["name"], given_arguments, 1),
    )


def describe_plain(call: Mapping[str, str], body: bytes) -> ApprovalSubject:
    request = make_request(method=call["method"], host=call["host"], path=call["path"])
    return describe_call(
        request._replace(body=body, body_size=len(body)),
        make_delegation(agent=call["agent"], issuer=call["issuer"], subject=call["subject"]),
        Action(call["method"], HOST, ()),
        None,
    )


def approve(subject: ApprovalSubject) -> str:
    return desk().approve(subject.to_json(), now=NOW)


def accepts(approval: str, subject: ApprovalSubject) -> bool:
    rings = {APPROVALS_URL: make_key_ring(desk().issuer)}
    try:
        verify_approval(approval, subject, NEED, SERVICES, rings, NOW)
    except ApprovalError:
        return False
    return True


def same(left: Json, right: Json) -> bool:
    """Whether two JSON values are the same; unlike in Python, `true` is not 1."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return isinstance(left, bool) is isinstance(right, bool) and left == right


@LAW
@given(calls, arguments, st.sampled_from(sorted(FIELDS)), st.data())
def test_an_approval_fits_no_call_that_differs_in_one_field(
    call: dict[str, str], given_arguments: dict[str, Json], field: str, data: st.DataObject
) -> None:
    approval = approve(describe(call, given_arguments))
    assert accepts(approval, describe(call, given_arguments))
    other = data.draw(FIELDS[field])
    assume(other != call[field])
    assert not accepts(approval, describe(call | {field: other}, given_arguments))


@LAW
@given(calls, arguments, arguments)
def test_an_approval_fits_no_other_arguments(
    call: dict[str, str], approved: dict[str, Json], sent: dict[str, Json]
) -> None:
    approval = approve(describe(call, approved))
    assert accepts(approval, describe(call, sent)) is same(approved, sent)


@LAW
@given(calls, arguments.filter(bool), st.data())
def test_an_approval_fits_no_arguments_with_one_value_changed(
    call: dict[str, str], approved: dict[str, Json], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(approved)))
    value = data.draw(values)
    assume(not same(approved[name], value))
    assert not accepts(approve(describe(call, approved)), describe(call, approved | {name: value}))
    rest = {member: approved[member] for member in approved if member != name}
    assert not accepts(approve(describe(call, approved)), describe(call, rest))


def spell(value: Json, data: st.DataObject) -> str:
    """The value as JSON text in some spelling: order, white space, escapes, forms of numbers."""
    gap = data.draw(st.sampled_from(["", " ", "\n\t"]))
    if isinstance(value, dict):
        order = data.draw(st.permutations(sorted(value)))
        members = (f"{spell(name, data)}{gap}:{gap}{spell(value[name], data)}" for name in order)
        return f"{{{gap}{f',{gap}'.join(members)}{gap}}}"
    if isinstance(value, list):
        return f"[{gap}{f'{gap},'.join(spell(item, data) for item in value)}]"
    if isinstance(value, str):
        return _spell_text(value, data)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value}{data.draw(st.sampled_from(['', '.0', 'e0', '.00E+0']))}"
    return json.dumps(value)


def _spell_text(text: str, data: st.DataObject) -> str:
    if data.draw(st.booleans()):
        return json.dumps(text, ensure_ascii=data.draw(st.booleans()))
    units = text.encode("utf-16-be").hex(" ", 2).split()
    return '"' + "".join(f"\\u{unit}" for unit in units) + '"'


@LAW
@given(calls, arguments, st.data())
def test_an_approval_fits_every_spelling_of_its_arguments(
    call: dict[str, str], approved: dict[str, Json], data: st.DataObject
) -> None:
    sent = read_json_object(spell(approved, data).encode())
    assert accepts(approve(describe(call, approved)), describe(call, sent))


@LAW
@given(calls, bodies, bodies)
def test_an_approval_of_a_plain_request_fits_the_same_bytes_only(
    call: dict[str, str], approved: bytes, sent: bytes
) -> None:
    approval = approve(describe_plain(call, approved))
    assert accepts(approval, describe_plain(call, approved))
    assert accepts(approval, describe_plain(call, sent)) is (approved == sent)


@LAW
@given(calls, arguments)
def test_an_approval_of_a_call_is_none_of_the_request_that_carries_it(
    call: dict[str, str], given_arguments: dict[str, Json]
) -> None:
    body = json.dumps(given_arguments).encode()
    carried, plain = describe(call, given_arguments), describe_plain(call, body)
    plain = plain._replace(arguments_sha256=carried.arguments_sha256)
    assert not accepts(approve(carried), plain)
    assert not accepts(approve(plain), carried)
