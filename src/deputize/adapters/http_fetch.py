"""Small documents over HTTPS, bounded in size and time.

Rules of this file:
- Where to fetch comes from configuration, or from a discovery document below a configured issuer.
- A discovery document cannot send us into the network around us: the keys it names must be at a
  public address, unless they are on the issuer's own host and that is not at a public one either.
  The address that counts is the one connected to; what its name was looked up to before says
  nothing. A URL from configuration may lead anywhere.

Sources: OpenID Connect Discovery 1.0 sections 4 and 4.3; RFC 8725 section 3.10; RFC 6890 and the
IANA special-purpose address registries; RFC 3056 section 2 (6to4); RFC 4291 sections 2.4 and
2.5.5.2; RFC 6052 section 2.1 (NAT64).
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

import httpx

from deputize.adapters.bounded_http import BoundedClient, ExchangeError
from deputize.adapters.shown_url import show_url
from deputize.core.jws import JwsError, read_json_object

MAX_DOCUMENT_BYTES = 512 * 1024
FETCH_SECONDS = 5.0
"""For one document, from connecting, to whatever addresses, to its last byte."""

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


class FetchError(Exception):
    """A document could not be fetched or read; the message says why."""


class Discovered(NamedTuple):
    """Where an issuer's keys are, by a document that came from `issuer_address`."""

    jwks_uri: str
    issuer_host: str
    issuer_address: str

    def may_lead_to(self, address: str) -> bool:
        """Whether the keys may be fetched from this IP address."""
        if is_public(address):
            return True
        return not is_public(self.issuer_address) and (
            httpx.URL(self.jwks_uri).host == self.issuer_host
        )


def fetch(
    url: str,
    ca_file: str | None,
    *,
    max_bytes: int = MAX_DOCUMENT_BYTES,
    accept: str = "application/json",
) -> bytes:
    """The body of a 200 answer.

    Raises:
        FetchError: refused scheme, no or another answer, too large, too slow.
    """
    return _fetch(url, ca_file, max_bytes, accept)[0]


def fetch_discovered(issuer: str, ca_file: str | None) -> bytes:
    """The key set of an issuer, found by OpenID Connect discovery.

    Raises:
        FetchError: as `discover` and `fetch`, or the keys are at an address they may not have.
    """
    return fetch_keys(discover(issuer, ca_file), ca_file)


def fetch_keys(found: Discovered, ca_file: str | None) -> bytes:
    """The key set that discovery led to.

    Raises:
        FetchError: as `fetch`, or it is at an address it may not have.
    """
    return _fetch(
        found.jwks_uri, ca_file, MAX_DOCUMENT_BYTES, "application/json", found.may_lead_to
    )[0]


def discover(issuer: str, ca_file: str | None) -> Discovered:
    """Where the keys of an issuer are, by OpenID Connect discovery.

    Raises:
        FetchError: no such document, or one that is about another issuer.
    """
    location = issuer.removesuffix("/") + "/.well-known/openid-configuration"
    octets, address = _fetch(location, ca_file, MAX_DOCUMENT_BYTES, "application/json")
    try:
        document = read_json_object(octets)
    except JwsError as error:
        raise FetchError(f"discovery document: {error}") from None
    if document.get("issuer") != issuer:
        raise FetchError("discovery document is about another issuer")
    uri = document.get("jwks_uri")
    if not isinstance(uri, str):
        raise FetchError("discovery document has no jwks_uri")
    if location.startswith("https:") and not uri.startswith("https:"):
        raise FetchError("discovery over https names a jwks_uri that is not")
    return Discovered(uri, httpx.URL(location).host, address)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the internet, also one written in another address.

    What is no address at all does not.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv4Address):
        return _is_public_v4(ip)
    inner = _embedded(ip)
    if inner is not None:
        return _is_public_v4(inner)
    return ip in _GLOBAL_UNICAST and ip.is_global


def _is_public_v4(ip: IPv4Address) -> bool:
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address where packets to `ip` go in the end."""
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


def _fetch(
    url: str,
    ca_file: str | None,
    max_bytes: int,
    accept: str,
    may_reach: Callable[[str], bool] = lambda _address: True,
) -> tuple[bytes, str]:
    """The document, and the IP address it came from."""
    try:
        with BoundedClient(ca_file, FETCH_SECONDS, may_reach) as client:
            return client.ask(url, {"accept": accept}, max_bytes=max_bytes), client.address
    except ExchangeError as error:
        raise FetchError(f"{show_url(url)}: {error}") from None
