from __future__ import annotations

import json

import pytest

from deputize.core.json_rpc import MAX_BATCH, MAX_ID_TEXT, CallError, Message, read_messages

REQUEST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
REPLY = {"jsonrpc": "2.0", "id": 1, "result": {}}


def read(value: object, *, allow_batch: bool = True) -> tuple[Message, ...]:
    return read_messages(json.dumps(value).encode(), allow_batch=allow_batch)


def without(member: str) -> dict[str, object]:
    return {name: value for name, value in REQUEST.items() if name != member}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (REQUEST, Message("tools/list", None, 1)),
        ({**REQUEST, "params": {}}, Message("tools/list", {}, 1)),
        ({**REQUEST, "params": {"a": [1]}}, Message("tools/list", {"a": [1]}, 1)),
        ({**REQUEST, "id": "a b"}, Message("tools/list", None, "a b")),
        ({**REQUEST, "id": ""}, Message("tools/list", None, "")),
        ({**REQUEST, "id": -5}, Message("tools/list", None, -5)),
        ({**REQUEST, "id": "x" * MAX_ID_TEXT}, Message("tools/list", None, "x" * MAX_ID_TEXT)),
        (without("id"), Message("tools/list", None, None)),
        ({**REQUEST, "method": "!" * 256}, Message("!" * 256, None, 1)),
        ({**REQUEST, "more": 1}, Message("tools/list", None, 1)),
        (REPLY, Message("", None, 1)),
        ({"jsonrpc": "2.0", "id": "a", "error": {"code": 1}}, Message("", None, "a")),
        ({"jsonrpc": "2.0", "error": {"code": 1}}, Message("", None, None)),
    ],
)
def test_a_message_is_read(value: object, message: Message) -> None:
    assert read(value, allow_batch=False) == (message,)


REFUSED = {
    "a text": "tools/list",
    "null": None,
    "an empty object": {},
    "no version": without("jsonrpc"),
    "another version": {**REQUEST, "jsonrpc": "1.0"},
    "a version that is a number": {**REQUEST, "jsonrpc": 2.0},
    "no method": without("method"),
    "an empty method": {**REQUEST, "method": ""},
    "a long method": {**REQUEST, "method": "a" * 257},
    "a method with a space": {**REQUEST, "method": "tools/call "},
    "a method with a line end": {**REQUEST, "method": "tools/call\n"},
    "a method that is not ASCII": {**REQUEST, "method": "tools/c\u0430ll"},
    "a method that is no text": {**REQUEST, "method": ["tools/call"]},
    "a method of null": {**REQUEST, "method": None},
    "an id of null": {**REQUEST, "id": None},
    "an id that is a boolean": {**REQUEST, "id": True},
    "an id that is a fraction": {**REQUEST, "id": 1.5},
    "an id that is an object": {**REQUEST, "id": {}},
    "an id that is too long": {**REQUEST, "id": "x" * (MAX_ID_TEXT + 1)},
    "params of null": {**REQUEST, "params": None},
    "params that are an array": {**REQUEST, "params": []},
    "params that are a text": {**REQUEST, "params": "{}"},
    "a request with a result": {**REQUEST, "result": {}},
    "a request with an error": {**REQUEST, "error": {}},
    "a reply with result and error": {**REPLY, "error": {}},
    "a reply with params": {**REPLY, "params": {}},
    "an upper-case method": {**without("method"), "Method": "tools/list"},
    "a second method": {**REPLY, "METHOD": "tools/list"},
    "params with a long s": {**REQUEST, "param\u017f": {}},
    "an upper-case id": {**without("id"), "ID": 1},
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_message_is_refused(value: object) -> None:
    for shape in (value, [value]):
        with pytest.raises(CallError) as caught:
            read(shape)
        assert not caught.value.is_mismatch


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(CallError):
        read_messages(b'{"jsonrpc":"2.0","method":"a","method":"b"}', allow_batch=True)


def test_a_batch_is_read_in_order() -> None:
    batch = [REQUEST, without("id"), without("id"), {**REQUEST, "id": "1"}, REPLY]
    assert read(batch) == tuple(read(entry)[0] for entry in batch)


def test_a_batch_is_refused_where_none_may_be() -> None:
    for batch in ([], [REQUEST], [REQUEST, {**REQUEST, "id": 2}]):
        with pytest.raises(CallError):
            read(batch, allow_batch=False)


def test_a_batch_has_at_least_one_message_and_at_most_32() -> None:
    most = [{**REQUEST, "id": number} for number in range(MAX_BATCH)]
    assert len(read(most)) == MAX_BATCH
    for batch in ([], [*most, without("id")]):
        with pytest.raises(CallError):
            read(batch)


def test_two_requests_of_one_id_are_refused() -> None:
    with pytest.raises(CallError):
        read([REQUEST, REQUEST])


def test_a_batch_inside_a_batch_is_refused() -> None:
    with pytest.raises(CallError):
        read([[REQUEST]])
