"""The strict reading of JSON-RPC 2.0 messages in a request body.

Rules of this file:
- A message is a request, a notification, or a reply to a request of the server; never two of
  them.
- A member that a lenient parser may take for one of the known ones is refused.
- An array of messages (a batch) only where the protocol has them; its ids differ.

Sources: JSON-RPC 2.0 sections 4 to 6; MCP 2025-11-25 `basic` (an id is a text or an integer,
never null); RFC 8259 section 4.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from deputize.core.json_body import JsonBodyError, has_other_case, read_json
from deputize.core.model import Json

MAX_BATCH = 32
MAX_ID_TEXT = 256

_MEMBERS = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})
_METHOD = re.compile(r"[!-~]{1,256}")


class CallError(ValueError):
    """The request has no call we can read; the message never quotes it.

    `is_mismatch` is true where headers that repeat a part of the body are missing, malformed or
    say something else than the body (MCP error -32020).
    """

    def __init__(self, message: str, *, is_mismatch: bool = False) -> None:
        super().__init__(message)
        self.is_mismatch = is_mismatch


class Message(NamedTuple):
    """One message. `method` is empty for a reply; `id` is None for a notification.

    `params` is None where there are none.
    """

    method: str
    params: dict[str, Json] | None
    id: str | int | None


def read_messages(body: bytes, *, allow_batch: bool) -> tuple[Message, ...]:
    """Reads a body of one message or, where allowed, of 1 to 32 in an array.

    Raises:
        CallError: not JSON with one reading, not JSON-RPC 2.0, or a batch where none may be.
    """
    try:
        value = read_json(body)
    except JsonBodyError as error:
        raise CallError(str(error)) from None
    if not isinstance(value, list):
        return (_read_message(value),)
    if not allow_batch:
        raise CallError("a batch")
    if not 1 <= len(value) <= MAX_BATCH:
        raise CallError(f"a batch of none or of more than {MAX_BATCH} messages")
    messages = tuple(_read_message(entry) for entry in value)
    ids = [message.id for message in messages if message.method and message.id is not None]
    if len(set(ids)) != len(ids):
        raise CallError("two requests of one id")
    return messages


def check_members(members: dict[str, Json], known: frozenset[str], place: str) -> None:
    """Refuses a member that is one of the known ones in another case.

    Raises:
        CallError: there is one.
    """
    if has_other_case(members, known):
        raise CallError(f"a member of {place} in an unusual case")


def _read_message(value: Json) -> Message:
    if not isinstance(value, dict):
        raise CallError("a message that is not an object")
    check_members(value, _MEMBERS, "a message")
    if value.get("jsonrpc") != "2.0":
        raise CallError("not JSON-RPC 2.0")
    message_id = _read_id(value)
    if "method" not in value:
        if ("result" in value) == ("error" in value) or "params" in value:
            raise CallError("neither a request nor a reply")
        return Message("", None, message_id)
    method = value["method"]
    if "result" in value or "error" in value:
        raise CallError("a request and a reply in one message")
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise CallError("a method that is no printable text")
    params = value.get("params")
    if params is None and "params" in value:
        raise CallError("params of null")
    if not isinstance(params, dict | None):
        raise CallError("params that are not an object")
    return Message(method, params, message_id)


def _read_id(message: dict[str, Json]) -> str | int | None:
    if "id" not in message:
        return None
    value = message["id"]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise CallError("an id that is neither a text nor an integer")
    if isinstance(value, str) and len(value) > MAX_ID_TEXT:
        raise CallError("an id that is too long")
    return value
