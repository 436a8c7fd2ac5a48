"""A URL as others may see it: in logs, metrics and answers about how it stands.

Rules of this file:
- Query, fragment and user information are never shown: a secret may stand there.
- Two URLs that are shown alike but for these have different marks, the same for ever, so that
  metrics go on. A mark is too short to tell a secret from.

Source: RFC 3986 sections 3 and 7.5 (sensitive information).
"""

from __future__ import annotations

import hashlib

MARK_CHARACTERS = 6


def show_url(url: str) -> str:
    """The URL without what may be secret, and a mark in its place; as it is where there is nothing.

    Never fails: it may come from a server, and be none.
    """
    rest = url.partition("#")[0].partition("?")[0]
    scheme, slashes, rest = rest.partition("://") if "://" in rest else ("", "", rest)
    authority, slash, path = rest.partition("/")
    shown = scheme + slashes + authority.rpartition("@")[2] + slash + path
    if shown == url:
        return url
    mark = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:MARK_CHARACTERS]
    return f"{shown}#{mark}"
