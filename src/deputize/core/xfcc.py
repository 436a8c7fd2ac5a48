"""The client certificate header of an Istio waypoint: who named the peer, and the peer.

A waypoint with the annotation `ambient.istio.io/xfcc-include-client-identity: "true"` overwrites
`x-forwarded-client-cert` with `By=<waypoint>;URI=<peer>`. That form is read, and no other: not
what Envoy itself writes, and not what a client may send through a proxy that leaves it alone.

Rules of this file:
- Exactly one element with exactly `By` and `URI`, in this order, each a strict SPIFFE ID. The
  waypoint escapes nothing: two URI SANs, or a comma in one, come as further text and are refused.
- Whether the waypoint may name peers is not asked here.

Sources: Istio `pilot/pkg/xds/filters/filters.go` (WaypointXFCCClientIdentityFilter) and
`pilot/pkg/networking/core/listener_waypoint.go`; Envoy `docs/root/configuration/http/
http_conn_man/headers.rst` (x-forwarded-client-cert).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from deputize.core.spiffe import MAX_SPIFFE_ID_BYTES, SpiffeId, SpiffeIdError, parse_spiffe_id

_BY = "By="
_URI = "URI="
_NOBODY = "-"
MAX_XFCC_BYTES = len(_BY) + len(_URI) + len(";") + 2 * MAX_SPIFFE_ID_BYTES


class XfccError(ValueError):
    """The header is not one that a waypoint writes; the message says why."""


class XfccNoPeerError(XfccError):
    """A waypoint wrote the header, but knew no peer."""


class WaypointXfcc(NamedTuple):
    """What a waypoint says: it is `by`, and its peer is `uri`. Nothing in it is proven."""

    by: SpiffeId
    uri: SpiffeId


@lru_cache(maxsize=1024)
def parse_waypoint_xfcc(value: str) -> WaypointXfcc:
    """Reads `x-forwarded-client-cert` as a waypoint writes it. Bounded memory.

    Raises:
        XfccNoPeerError: `-` stands in place of the peer.
        XfccError: any other deviation.
    """
    if len(value) > MAX_XFCC_BYTES:
        raise XfccError(f"longer than {MAX_XFCC_BYTES} bytes")
    if "," in value:
        raise XfccError("more than one element or name: not what a waypoint writes")
    by, semicolon, uri = value.partition(";")
    if not (by.startswith(_BY) and semicolon and uri.startswith(_URI)):
        raise XfccError("not `By=...;URI=...`")
    waypoint = _parse(_BY, by)
    if uri == _URI + _NOBODY:
        raise XfccNoPeerError("the waypoint knew no peer: the connection came without mTLS")
    return WaypointXfcc(waypoint, _parse(_URI, uri))


def _parse(key: str, field: str) -> SpiffeId:
    try:
        return parse_spiffe_id(field.removeprefix(key))
    except SpiffeIdError as error:
        raise XfccError(f"{key.rstrip('=')}: {error}") from None
