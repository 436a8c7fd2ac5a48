from __future__ import annotations

import base64
from collections.abc import Iterable
from urllib.parse import quote, unquote

import pytest

from deputize.core.model import Assurance, Peer
from deputize.core.peer import PeerRules, identify
from deputize.core.reasons import Reason
from deputize.core.spiffe import TrustDomain
from tests.harness.expect import refused
from tests.harness.world import (
    AGENT,
    NOW,
    OTHER_AGENT,
    PROXY,
    TRUST_DOMAIN,
    encode_pem,
    make_request,
    make_svid,
)


def identify_peer(
    peer: str = AGENT,
    certificate: str = "",
    *,
    proxies: tuple[str, ...] | None = None,
    require_certificate: bool = False,
    allowed_proxies: Iterable[str] | None = None,
    now: float = NOW,
) -> Peer:
    rules = PeerRules(
        frozenset({TrustDomain(TRUST_DOMAIN)}),
        require_certificate,
        None if allowed_proxies is None else frozenset(allowed_proxies),
    )
    return identify(make_request(peer=peer, certificate=certificate, proxies=proxies), rules, now)


def with_version(certificate: str, version: int) -> str:
    """The same certificate with another version number in its encoding."""
    begin, *body, end = unquote(certificate).splitlines()
    der = base64.b64decode("".join(body))
    changed = der.replace(b"\xa0\x03\x02\x01\x02", bytes((0xA0, 3, 2, 1, version)), 1)
    return encode_pem("\n".join((begin, base64.b64encode(changed).decode(), end, "")).encode())


def test_the_proxy_asserts_the_peer() -> None:
    peer = identify_peer()
    assert (peer.id.text, peer.assurance) == (AGENT, Assurance.ASSERTED_BY_PROXY)


def test_a_certificate_confirms_the_peer() -> None:
    peer = identify_peer(certificate=make_svid())
    assert (peer.id.text, peer.assurance) == (AGENT, Assurance.CERTIFICATE_CHECKED)


def test_without_principal_there_is_no_peer() -> None:
    with refused(Reason.PEER_MISSING):
        identify_peer("")
    with refused(Reason.PEER_MISSING):
        identify_peer("", make_svid())


@pytest.mark.parametrize(
    "principal",
    ["research.agents.svc", "CN=research", "spiffe://prod.example.org", f"{AGENT}/", f" {AGENT}",
     AGENT.upper(), f"{AGENT},{OTHER_AGENT}", "*", "prod.example.org/ns/agents/sa/research"],
)  # fmt: skip
def test_a_principal_that_is_no_spiffe_id(principal: str) -> None:
    with refused(Reason.PEER_MALFORMED):
        identify_peer(principal)


@pytest.mark.parametrize(
    "trust_domain", ["test.example.org", "example.org", "prod.example.org.evil", "prod.example.or"]
)
def test_a_foreign_trust_domain(trust_domain: str) -> None:
    with refused(Reason.PEER_UNTRUSTED_DOMAIN):
        identify_peer(f"spiffe://{trust_domain}/ns/agents/sa/research")


def test_a_certificate_can_be_required() -> None:
    identify_peer(certificate=make_svid(), require_certificate=True)
    with refused(Reason.PEER_SVID_INVALID):
        identify_peer(require_certificate=True)


@pytest.mark.parametrize(
    "certificate",
    [
        make_svid(uris=()),
        make_svid(uris=(), dns=(AGENT.removeprefix("spiffe://"),)),
        make_svid(uris=(), dns=(AGENT,)),
        make_svid(uris=(AGENT, OTHER_AGENT)),
        make_svid(uris=(AGENT, AGENT)),
        make_svid(uris=(OTHER_AGENT,)),
        make_svid(uris=(AGENT.upper(),)),
        make_svid(uris=(f"spiffe://{TRUST_DOMAIN}",)),
        make_svid(uris=("spiffe://test.example.org/ns/agents/sa/research",)),
        make_svid(is_authority=True),
        make_svid(key_uses=("digital_signature", "key_cert_sign")),
        make_svid(key_uses=("crl_sign",)),
        make_svid(not_before=NOW + 1),
        make_svid(not_after=NOW - 1),
        with_version(make_svid(), 1),
    ],
    ids=["no names", "DNS only", "DNS that reads as SPIFFE", "two IDs", "the same ID twice",
         "another ID", "another case", "no path", "another trust domain", "authority",
         "signs certificates", "signs revocations", "not yet valid", "expired", "version 2"],
)  # fmt: skip
def test_a_certificate_that_is_no_svid_of_the_peer(certificate: str) -> None:
    with refused(Reason.PEER_SVID_INVALID):
        identify_peer(certificate=certificate)


@pytest.mark.parametrize(
    "certificate",
    [
        make_svid(dns=("research.agents.svc",)),
        make_svid(is_authority=None),
        make_svid(key_uses=()),
        make_svid(key_uses=("digital_signature", "key_encipherment", "key_agreement")),
        make_svid(not_before=NOW),
        make_svid(not_after=NOW),
        quote(unquote(make_svid())),
    ],
    ids=["DNS beside it", "no basic constraints", "no key usage", "other key uses",
         "valid from now", "valid until now", "fewer escapes"],
)  # fmt: skip
def test_a_certificate_that_is_an_svid_of_the_peer(certificate: str) -> None:
    assert identify_peer(certificate=certificate).assurance is Assurance.CERTIFICATE_CHECKED


@pytest.mark.parametrize(
    "certificate",
    [
        "x",
        "%ff",
        "%C3%A9",
        "\u00e9",
        encode_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        make_svid()[:-200],
        make_svid() + make_svid(),
        make_svid() + make_svid(uris=(OTHER_AGENT,)),
        "Hash=abc;URI=" + AGENT,
    ],
)
def test_what_is_not_exactly_one_certificate(certificate: str) -> None:
    with refused(Reason.PEER_SVID_INVALID):
        identify_peer(certificate=certificate)


def test_a_certificate_read_before_still_expires() -> None:
    certificate = make_svid(not_after=NOW + 10)
    identify_peer(certificate=certificate)
    with refused(Reason.PEER_SVID_INVALID):
        identify_peer(certificate=certificate, now=NOW + 11)


def test_a_listed_proxy_may_ask() -> None:
    identify_peer(proxies=(PROXY,), allowed_proxies=[PROXY])


@pytest.mark.parametrize("proxies", [None, (), (AGENT,), (PROXY, AGENT), (PROXY, PROXY)])
def test_any_other_proxy_may_not(proxies: tuple[str, ...] | None) -> None:
    with refused(Reason.PEER_UNTRUSTED_SOURCE):
        identify_peer(proxies=proxies, allowed_proxies=[PROXY])


def test_without_a_list_any_proxy_may_ask() -> None:
    identify_peer(proxies=None)
    identify_peer(proxies=("spiffe://elsewhere/x",))


def test_an_endless_certificate_is_refused_before_it_is_read() -> None:
    padded = quote("#" * 40_000) + make_svid([AGENT])
    with refused(Reason.PEER_SVID_INVALID):
        identify_peer(certificate=padded)
