"""The calls of the Agent2Agent protocol in an HTTP request, in each of its three bindings.

Rules of this file:
- An operation has its name of version 1.0 in every binding. The JSON-RPC methods of version 0.3
  have names of their own, so they can mean nothing else; what they call a task is read as 0.3
  does.
- A member that a reader of protobuf's JSON takes for the task's id is refused in any other
  spelling.
- A path that could also belong to a tenant named like a collection is refused.

Sources: A2A 1.0 `specification/a2a.proto` (service, HTTP annotations) and sections 5.3, 9 to 11;
A2A 0.3.0 sections 7 and 11; protobuf `ProtoJSON` (names of members).
"""

from __future__ import annotations

from collections.abc import Mapping

from deputize.core.json_rpc import CallError, Message, read_messages
from deputize.core.model import Call, Json, Protocol

GRPC_SERVICE = "lf.a2a.v1.A2AService"
MAX_TASK_ID = 256

OPERATIONS: Mapping[str, str] = {
    "SendMessage": "",
    "SendStreamingMessage": "",
    "GetTask": "id",
    "ListTasks": "",
    "CancelTask": "id",
    "SubscribeToTask": "id",
    "CreateTaskPushNotificationConfig": "taskId",
    "GetTaskPushNotificationConfig": "taskId",
    "ListTaskPushNotificationConfigs": "taskId",
    "DeleteTaskPushNotificationConfig": "taskId",
    "GetExtendedAgentCard": "",
}
"""By operation: the member of the params that holds the task's id, empty where there is none."""
OPERATIONS_OF_0_3: Mapping[str, tuple[str, str]] = {
    "message/send": ("SendMessage", ""),
    "message/stream": ("SendStreamingMessage", ""),
    "tasks/get": ("GetTask", "id"),
    "tasks/cancel": ("CancelTask", "id"),
    "tasks/resubscribe": ("SubscribeToTask", "id"),
    "tasks/pushNotificationConfig/set": ("CreateTaskPushNotificationConfig", "taskId"),
    "tasks/pushNotificationConfig/get": ("GetTaskPushNotificationConfig", "id"),
    "tasks/pushNotificationConfig/list": ("ListTaskPushNotificationConfigs", "id"),
    "tasks/pushNotificationConfig/delete": ("DeleteTaskPushNotificationConfig", "id"),
    "agent/getAuthenticatedExtendedCard": ("GetExtendedAgentCard", ""),
}
"""By method of 0.3: the operation, and that member; most call the task of a push notification
config `id`."""

_PARAMS: Mapping[str, str] = {
    "id": "id",
    "taskid": "taskId",
    **{name: name for name in ("tenant", "message", "configuration", "metadata")},
}
# A colon begins a verb in the path of another binding, and a slash ends a segment.
_DELIMITERS = frozenset("/\\:?#%")

_CONFIGS = "pushNotificationConfigs"
_COLLECTIONS = frozenset({"tasks", "extendedAgentCard"})
# By HTTP method and path, where {} is the task's id and * another one.
_PATHS: Mapping[tuple[str, ...], str] = {
    ("POST", "message:send"): "SendMessage",
    ("POST", "message:stream"): "SendStreamingMessage",
    ("GET", "tasks"): "ListTasks",
    ("GET", "tasks", "{}"): "GetTask",
    ("POST", "tasks", "{}:cancel"): "CancelTask",
    # The definition says GET, the text of the specification POST.
    ("GET", "tasks", "{}:subscribe"): "SubscribeToTask",
    ("POST", "tasks", "{}:subscribe"): "SubscribeToTask",
    ("POST", "tasks", "{}", _CONFIGS): "CreateTaskPushNotificationConfig",
    ("GET", "tasks", "{}", _CONFIGS): "ListTaskPushNotificationConfigs",
    ("GET", "tasks", "{}", _CONFIGS, "*"): "GetTaskPushNotificationConfig",
    ("DELETE", "tasks", "{}", _CONFIGS, "*"): "DeleteTaskPushNotificationConfig",
    ("GET", "extendedAgentCard"): "GetExtendedAgentCard",
}


def read_a2a_json_rpc(body: bytes) -> tuple[Call, ...]:
    """Reads the one call of a JSON-RPC body.

    Raises:
        CallError: not JSON-RPC with one reading, a batch, a reply, an unknown method, or no task
            where the operation needs one.
    """
    return tuple(map(_read_call, read_messages(body, allow_batch=False)))


def read_a2a_rest(method: str, segments: tuple[str, ...]) -> Call:
    """Reads the call of HTTP+JSON; `segments` are those below the base path of the agent.

    One segment before them may name a tenant.

    Raises:
        CallError: no operation has this method and path, or two may have it.
    """
    if "" in segments:
        raise CallError("an empty segment")
    if segments and segments[0] not in _COLLECTIONS and ":" not in segments[0]:
        segments = segments[1:]
    task_id, shape = "", (method, *segments)
    match segments:
        case ("tasks", task, *rest):
            task_id, colon, verb = task.partition(":")
            if task_id in _COLLECTIONS:
                raise CallError("a task that may be a collection of a tenant")
            for identifier in (task_id, *rest[1:]):
                _check_task_id(identifier)
            shape = (method, "tasks", f"{{}}{colon}{verb}", *rest[:1], *("*" for _ in rest[1:]))
    operation = _PATHS.get(shape)
    if operation is None:
        raise CallError("no operation of A2A")
    return Call(Protocol.A2A, operation, task_id, None, None)


def read_a2a_grpc(segments: tuple[str, ...]) -> Call:
    """Reads the call of a gRPC path.

    Raises:
        CallError: another service, or an unknown operation.
    """
    match segments:
        case (service, operation) if service == GRPC_SERVICE and operation in OPERATIONS:
            return Call(Protocol.A2A, operation, "", None, None)
    raise CallError("no operation of A2A")


def _read_call(message: Message) -> Call:
    operation, member = message.method, OPERATIONS.get(message.method)
    if member is None:
        if message.method not in OPERATIONS_OF_0_3:
            raise CallError("no operation of A2A")
        operation, member = OPERATIONS_OF_0_3[message.method]
    params = message.params or {}
    for name in params:
        # Protobuf's JSON has taskId and task_id for one field.
        known = _PARAMS.get(name.casefold().replace("_", ""))
        if known is not None and known != name:
            raise CallError("a member of params in an unusual spelling")
    task_id = _check_task_id(params.get(member)) if member else ""
    return Call(Protocol.A2A, operation, task_id, params, message.id)


def _check_task_id(value: Json) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_TASK_ID:
        raise CallError("a task that is no text, empty or too long")
    if not value.isprintable() or value != value.strip() or not _DELIMITERS.isdisjoint(value):
        raise CallError("a task with more than one reading")
    return value
