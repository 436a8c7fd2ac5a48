"""The gRPC method a request calls, from its path.

Rules of this file:
- Exactly what gRPC over HTTP/2 is: POST to `/package.Service/Method` with its content type.
- The messages are not read, so arguments are not known.

Sources: gRPC `doc/PROTOCOL-HTTP2.md` (requests); protobuf language specification (`fullIdent`).
"""

from __future__ import annotations

import re

from deputize.core.json_rpc import CallError
from deputize.core.model import Call, Protocol

MAX_METHOD = 256

_SERVICE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_METHOD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTENT_TYPE = re.compile(r"application/grpc(?:\+[a-z0-9][a-z0-9.-]{0,63})?")


def read_grpc_call(method: str, segments: tuple[str, ...], content_type: str) -> Call:
    """Reads the call of one gRPC request; `segments` are those of the whole path.

    Raises:
        CallError: another HTTP method or content type, or a path that names no method.
    """
    if method != "POST" or not _CONTENT_TYPE.fullmatch(content_type):
        raise CallError("not gRPC over HTTP/2")
    match segments:
        case (service, name) if _SERVICE.fullmatch(service) and _METHOD.fullmatch(name):
            full_name = f"{service}/{name}"
            if len(full_name) <= MAX_METHOD:
                return Call(Protocol.GRPC, full_name, "", None, None)
    raise CallError("a path that is not a service and a method")
