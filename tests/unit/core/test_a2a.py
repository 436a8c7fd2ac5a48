from __future__ import annotations

import json

import pytest

from deputize.core.a2a import (
    GRPC_SERVICE,
    MAX_TASK_ID,
    read_a2a_grpc,
    read_a2a_json_rpc,
    read_a2a_rest,
)
from deputize.core.json_rpc import CallError
from deputize.core.model import Call, Json, Protocol

OPERATIONS = (
    "SendMessage",
    "SendStreamingMessage",
    "GetTask",
    "ListTasks",
    "CancelTask",
    "SubscribeToTask",
    "CreateTaskPushNotificationConfig",
    "GetTaskPushNotificationConfig",
    "ListTaskPushNotificationConfigs",
    "DeleteTaskPushNotificationConfig",
    "GetExtendedAgentCard",
)
CONFIGS = "pushNotificationConfigs"


def body(method: str, params: object = None) -> bytes:
    message: dict[str, object] = {"jsonrpc": "2.0", "id": 7, "method": method}
    if params is not None:
        message["params"] = params
    return json.dumps(message).encode()


def rest(operation: str, task: str = "") -> Call:
    return Call(Protocol.A2A, operation, task, None, None)


@pytest.mark.parametrize(
    ("method", "params", "operation", "task"),
    [
        ("SendMessage", {"message": {"taskId": "t1", "parts": []}}, "SendMessage", ""),
        ("SendStreamingMessage", {"message": {}}, "SendStreamingMessage", ""),
        ("GetTask", {"id": "t1", "tenant": "a"}, "GetTask", "t1"),
        ("ListTasks", {"contextId": "c"}, "ListTasks", ""),
        ("CancelTask", {"id": "t1"}, "CancelTask", "t1"),
        ("SubscribeToTask", {"id": "t1"}, "SubscribeToTask", "t1"),
        (
            "CreateTaskPushNotificationConfig",
            {"taskId": "t1", "id": "c", "url": "https://a"},
            "CreateTaskPushNotificationConfig",
            "t1",
        ),
        (
            "GetTaskPushNotificationConfig",
            {"taskId": "t1", "id": "c"},
            "GetTaskPushNotificationConfig",
            "t1",
        ),
        (
            "ListTaskPushNotificationConfigs",
            {"taskId": "t1"},
            "ListTaskPushNotificationConfigs",
            "t1",
        ),
        (
            "DeleteTaskPushNotificationConfig",
            {"taskId": "t1", "id": "c"},
            "DeleteTaskPushNotificationConfig",
            "t1",
        ),
        ("GetExtendedAgentCard", {}, "GetExtendedAgentCard", ""),
        ("message/send", {"message": {}}, "SendMessage", ""),
        ("message/stream", {"message": {}}, "SendStreamingMessage", ""),
        ("tasks/get", {"id": "t1"}, "GetTask", "t1"),
        ("tasks/cancel", {"id": "t1"}, "CancelTask", "t1"),
        ("tasks/resubscribe", {"id": "t1"}, "SubscribeToTask", "t1"),
        (
            "tasks/pushNotificationConfig/set",
            {"taskId": "t1", "pushNotificationConfig": {}},
            "CreateTaskPushNotificationConfig",
            "t1",
        ),
        (
            "tasks/pushNotificationConfig/get",
            {"id": "t1", "pushNotificationConfigId": "c"},
            "GetTaskPushNotificationConfig",
            "t1",
        ),
        (
            "tasks/pushNotificationConfig/list",
            {"id": "t1"},
            "ListTaskPushNotificationConfigs",
            "t1",
        ),
        (
            "tasks/pushNotificationConfig/delete",
            {"id": "t1", "pushNotificationConfigId": "c"},
            "DeleteTaskPushNotificationConfig",
            "t1",
        ),
        ("agent/getAuthenticatedExtendedCard", {}, "GetExtendedAgentCard", ""),
    ],
)
def test_a_json_rpc_call_is_read(
    method: str, params: dict[str, Json], operation: str, task: str
) -> None:
    (call,) = read_a2a_json_rpc(body(method, params))
    assert call == Call(Protocol.A2A, operation, task, params, 7)


def test_params_may_be_absent() -> None:
    assert read_a2a_json_rpc(body("ListTasks")) == (Call(Protocol.A2A, "ListTasks", "", {}, 7),)


REFUSED = {
    "not JSON": b"SendMessage",
    "a batch": b"[" + body("ListTasks") + b"]",
    "a reply": b'{"jsonrpc":"2.0","id":1,"result":{}}',
    "an unknown method": body("QueryTask"),
    "an operation in another case": body("sendMessage"),
    "a method of no version": body("tasks/send"),
    "a method of 0.3 in another case": body("Message/Send"),
    "a path": body("/lf.a2a.v1.A2AService/SendMessage"),
    "no params": body("GetTask"),
    "no task": body("GetTask", {"taskId": "t1"}),
    "no task of a config": body("GetTaskPushNotificationConfig", {"id": "t1"}),
    "a task of null": body("GetTask", {"id": None}),
    "an empty task": body("GetTask", {"id": ""}),
    "a task that is a number": body("GetTask", {"id": 1}),
    "a long task": body("GetTask", {"id": "t" * (MAX_TASK_ID + 1)}),
    "a task with a slash": body("GetTask", {"id": "tasks/1"}),
    "a task with a verb": body("GetTask", {"id": "1:cancel"}),
    "a task with a line end": body("GetTask", {"id": "1\n"}),
    "a task with a space at its end": body("GetTask", {"id": "1 "}),
    "a task in another spelling": body(
        "GetTaskPushNotificationConfig", {"taskId": "t1", "task_id": "t2"}
    ),
    "a task in another case": body("ListTaskPushNotificationConfigs", {"TaskID": "t1"}),
    "an id in another case": body("GetTask", {"Id": "t1"}),
    "a message with a long s": body("SendMessage", {"me\u017fsage": {}}),
}


@pytest.mark.parametrize("octets", REFUSED.values(), ids=REFUSED.keys())
def test_a_json_rpc_call_of_no_reading_or_two_is_refused(octets: bytes) -> None:
    with pytest.raises(CallError) as caught:
        read_a2a_json_rpc(octets)
    assert not caught.value.is_mismatch


PATHS: dict[tuple[str, ...], Call] = {
    ("POST", "message:send"): rest("SendMessage"),
    ("POST", "message:stream"): rest("SendStreamingMessage"),
    ("GET", "tasks"): rest("ListTasks"),
    ("GET", "tasks", "t1"): rest("GetTask", "t1"),
    ("POST", "tasks", "t1:cancel"): rest("CancelTask", "t1"),
    ("GET", "tasks", "t1:subscribe"): rest("SubscribeToTask", "t1"),
    ("POST", "tasks", "t1:subscribe"): rest("SubscribeToTask", "t1"),
    ("POST", "tasks", "t1", CONFIGS): rest("CreateTaskPushNotificationConfig", "t1"),
    ("GET", "tasks", "t1", CONFIGS): rest("ListTaskPushNotificationConfigs", "t1"),
    ("GET", "tasks", "t1", CONFIGS, "c"): rest("GetTaskPushNotificationConfig", "t1"),
    ("DELETE", "tasks", "t1", CONFIGS, "c"): rest("DeleteTaskPushNotificationConfig", "t1"),
    ("GET", "extendedAgentCard"): rest("GetExtendedAgentCard"),
}


@pytest.mark.parametrize(("path", "call"), PATHS.items(), ids=map("/".join, PATHS))
def test_a_rest_call_is_read_with_and_without_a_tenant(path: tuple[str, ...], call: Call) -> None:
    method, *segments = path
    assert read_a2a_rest(method, tuple(segments)) == call
    assert read_a2a_rest(method, ("acme", *segments)) == call
    for other in ("HEAD", "PUT", "PATCH", "get", ""):
        with pytest.raises(CallError):
            read_a2a_rest(other, tuple(segments))
    for more in ((*segments, ""), (*segments, "more", "more"), ("acme", "acme", *segments)):
        with pytest.raises(CallError):
            read_a2a_rest(method, more)


@pytest.mark.parametrize(
    ("method", "segments"),
    [
        ("GET", ()),
        ("GET", ("",)),
        ("POST", ("message",)),
        ("POST", ("message", "send")),
        ("POST", ("message:",)),
        ("POST", ("message:sends",)),
        ("POST", ("Message:send",)),
        ("POST", ("message:send:stream",)),
        ("GET", ("message:send",)),
        ("GET", ("acme:x", "tasks")),
        ("GET", ("acme",)),
        ("POST", ("tasks",)),
        ("POST", ("tasks", "t1")),
        ("GET", ("tasks", "")),
        ("GET", ("tasks", ":cancel")),
        ("POST", ("tasks", ":cancel")),
        ("GET", ("tasks", "t1:cancel")),
        ("POST", ("tasks", "t1:Cancel")),
        ("POST", ("tasks", "t1:delete")),
        ("POST", ("tasks", "t1:cancel:cancel")),
        ("GET", ("tasks", "t1:")),
        ("GET", ("tasks", "t 1 ")),
        ("GET", ("tasks", "a%b")),
        ("GET", ("tasks", "t" * (MAX_TASK_ID + 1))),
        ("POST", ("tasks", "t1:cancel", CONFIGS)),
        ("GET", ("tasks", "t1", "pushnotificationconfigs")),
        ("GET", ("tasks", "t1", CONFIGS, "c:d")),
        ("DELETE", ("tasks", "t1", CONFIGS)),
        ("POST", ("tasks", "t1", CONFIGS, "c")),
        ("GET", ("tasks", "{}", "*", "c")),
        ("GET", ("tasks", "tasks")),
        ("GET", ("tasks", "extendedAgentCard")),
        ("GET", ("tasks", "tasks", CONFIGS)),
        ("GET", ("extendedAgentCard", "tasks")),
        ("GET", ("extendedagentcard",)),
        ("GET", (".well-known", "agent-card.json")),
        ("POST", ("skills", "a", "query")),
    ],
)
def test_a_path_of_no_operation_or_two_is_refused(method: str, segments: tuple[str, ...]) -> None:
    with pytest.raises(CallError):
        read_a2a_rest(method, segments)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_grpc_call_is_read(operation: str) -> None:
    assert read_a2a_grpc((GRPC_SERVICE, operation)) == rest(operation)


@pytest.mark.parametrize(
    "segments",
    [
        (),
        (GRPC_SERVICE,),
        (GRPC_SERVICE, ""),
        (GRPC_SERVICE, "sendMessage"),
        (GRPC_SERVICE, "message/send"),
        (GRPC_SERVICE, "SendMessage", ""),
        ("a2a.v1.A2AService", "SendMessage"),
        ("x", GRPC_SERVICE, "SendMessage"),
    ],
)
def test_a_grpc_path_of_no_operation_is_refused(segments: tuple[str, ...]) -> None:
    with pytest.raises(CallError):
        read_a2a_grpc(segments)
