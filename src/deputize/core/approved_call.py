"""The one call that somebody may approve, written down so that it means no other.

Rules of this file:
- Approved is one call with one reading: what is not known in full cannot be approved.
- Arguments are compared as what they mean: members in another order are the same arguments.

Sources: RFC 8785 (JSON Canonicalization Scheme); RFC 7493 section 2.2 (numbers).
"""

from __future__ import annotations

import base64
import hashlib
from typing import NamedTuple

import orjson
import rfc8785

from deputize.core.model import AccessRequest, Action, Call, Delegation, Json
from deputize.core.request_body import BodyError, read_body
from deputize.core.verdict import KeyWanted

MAX_ARGUMENTS_BYTES = 65536
"""Of all calls of a request, as JSON. Nobody reads more before approving it, and to bring it into
canonical form costs a hundred times as much as to read it."""


class ApprovalError(ValueError):
    """An approval does not hold, or there can be none; the message says why and quotes nothing.

    `wanted` is set when keys fetched anew might help; `is_unavailable` when it cannot be known
    whether the approval holds, for want of any keys that are fresh.
    """

    def __init__(
        self, message: str, *, wanted: KeyWanted | None = None, is_unavailable: bool = False
    ) -> None:
        super().__init__(message)
        self.wanted = wanted
        self.is_unavailable = is_unavailable


class ApprovalSubject(NamedTuple):
    """What must be approved: who acts for whom, and the one call.

    `host` is as the request names it, in lower case, with the port if it names one; `path` is
    undecoded, with the query. `protocol`, `call` and `name` are empty for a plain request.
    `arguments_sha256` is base64url: of the arguments in canonical JSON, or of a plain body.
    """

    agent: str
    principal_issuer: str
    principal: str
    method: str
    host: str
    path: str
    protocol: str
    call: str
    name: str
    arguments_sha256: str

    def to_json(self) -> dict[str, Json]:
        """The claims of an approval that say what is approved, as its service signs them."""
        return {
            "sub": self.principal,
            "sub_iss": self.principal_issuer,
            "agent": self.agent,
            "action": self._action(),
        }

    def _action(self) -> dict[str, Json]:
        action: dict[str, Json] = {
            "method": self.method,
            "host": self.host,
            "path": self.path,
            "arguments_sha256": self.arguments_sha256,
        }
        if not self.protocol:
            return action
        return {**action, "protocol": self.protocol, "call": self.call, "name": self.name}


def describe_call(
    request: AccessRequest, delegation: Delegation, action: Action, call: Call | None
) -> ApprovalSubject:
    """What must be approved for this call; `call` is None for a plain request.

    Raises:
        ApprovalError: it is not known in full: a body that is not complete, arguments that were
            not read, are not all that is said, are too long or have no canonical form, a
            connection that changes its protocol.
    """
    if "!" in request.path:
        # Envoy shows an octet that is no UTF-8 so, and sends the octet on.
        raise ApprovalError("a path with a `!`, which may stand for another octet")
    if action.upgrade:
        raise ApprovalError("what follows a change of protocol cannot be approved")
    octets = _read_plain_body(request) if call is None else _canonical_arguments(call, action)
    digest = base64.urlsafe_b64encode(hashlib.sha256(octets).digest())
    return ApprovalSubject(
        agent=delegation.agent.text,
        principal_issuer=delegation.principal.issuer,
        principal=delegation.principal.subject,
        method=action.method,
        # Policies do not tell ports apart, but another port may be another service.
        host=request.host.lower(),
        path=request.path,
        protocol="" if call is None else call.protocol.value,
        call="" if call is None else call.method,
        name="" if call is None else call.name,
        arguments_sha256=digest.rstrip(b"=").decode(),
    )


def _read_plain_body(request: AccessRequest) -> bytes:
    try:
        return read_body(request)
    except BodyError as error:
        raise ApprovalError(str(error)) from None


def _canonical_arguments(call: Call, action: Action) -> bytes:
    if call.arguments is None:
        raise ApprovalError("the arguments of the call are not known")
    if call.has_more:
        # The answers to what a tool asks back, for example: nobody would have approved them.
        raise ApprovalError("params with more than a name and arguments")
    arguments = dict(call.arguments)
    try:
        if len(orjson.dumps(arguments)) > MAX_ARGUMENTS_BYTES // max(1, len(action.calls)):
            raise ApprovalError(f"more than {MAX_ARGUMENTS_BYTES} bytes of arguments")
        return rfc8785.dumps(arguments)
    except ApprovalError:
        raise
    except (ValueError, TypeError, RecursionError):
        # Integers from 2**53 on, NaN, lone surrogates, or far too deep.
        raise ApprovalError("the arguments have no canonical form") from None
