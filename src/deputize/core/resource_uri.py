"""The one reading of a resource URI of MCP, or a refusal.

A rule speaks of URIs by their beginning, and the server resolves them: a file server decodes
`%2e%2e`, joins what is between slashes, and opens what comes out.

Rules of this file:
- The same rules as for the path of a request, and no dot segment in the query either: a server
  may take the whole of it for a file name.
- One spelling: a scheme in lower case, `file:///` with an empty host, hosts in lower case.

Sources: RFC 3986 sections 3, 5.2.4 and 6.2; RFC 8089 sections 2 and appendix B; RFC 6570 (only
the braces); MCP 2026-07-28 `server/resources`.
"""

from __future__ import annotations

import re

from deputize.core.paths import PathError, parse_path

_URI = re.compile(r"([a-z][a-z0-9+.-]{0,63}):(?://([^/?#]*))?(.*)")
_AUTHORITY = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._~:-]*[A-Za-z0-9_~-])?|\[[0-9a-f:.]{2,45}\]")
_HOST = re.compile(r"[^A-Z]*")
_EXPRESSION = re.compile(r"\{[^{}]*\}")
_DELIMITER = re.compile(r"[/?&=\\]")
_DOT_SEGMENTS = frozenset({".", ".."})


class ResourceUriError(ValueError):
    """The URI has more than one reading; the message never quotes it."""


def check_resource_uri(uri: str) -> None:
    """Refuses a URI that two readers may resolve to two resources.

    Raises:
        ResourceUriError: see the rules of this file.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise ResourceUriError("no scheme in lower case")
    scheme, authority, rest = match[1], match[2], match[3]
    _check_authority(scheme, authority)
    path = rest if authority is not None and rest.startswith("/") else "/" + rest
    parts = _DELIMITER.split(path.partition("?")[2])
    if not _DOT_SEGMENTS.isdisjoint(parts):
        raise ResourceUriError("a dot segment in the query")
    try:
        parse_path(path)
        for part in parts:
            if "%" in part:
                parse_path("/" + part)
    except PathError as error:
        raise ResourceUriError(str(error)) from None


def check_resource_template(template: str) -> None:
    """The same for a URI template, whose expressions stand for anything.

    Raises:
        ResourceUriError: see the rules of this file.
    """
    check_resource_uri(_EXPRESSION.sub("x", template))


def _check_authority(scheme: str, authority: str | None) -> None:
    if scheme == "file":
        if authority != "":
            raise ResourceUriError("a file URI that does not start with file:///")
    elif authority and not _AUTHORITY.fullmatch(authority):
        raise ResourceUriError("user information, or a host that is not plain")
    elif scheme in {"http", "https"} and (not authority or not _HOST.fullmatch(authority)):
        raise ResourceUriError("no host in lower case")
