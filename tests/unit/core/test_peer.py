from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from urllib.parse import quote, unquote

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from deputize.core.bundles import empty_bundle, parse_bundle
from deputize.core.model import AccessRequest, Assurance, Json, Peer, PeerSource
from deputize.core.peer import PeerRules, identify
from deputize.core.reasons import Reason
from deputize.core.spiffe import TrustDomain, parse_spiffe_id
from tests.harness.certificates import Authority, make_authority, make_bundle
from tests.harness.expect import refused
from tests.harness.world import (
    AGENT,
    NOW,
    OTHER_AGENT,
    PROXY,
    TRUST_DOMAIN,
    encode_pem,
    make_peer_rules,
    make_request,
    make_svid,
)

XFCC = "x-forwarded-client-cert"
WAYPOINT = f"spiffe://{TRUST_DOMAIN}/ns/agents/sa/waypoint"
NAMESPACE = "agent.peer"
FOREIGN = "spiffe://test.example.org/ns/agents/sa/research"

AUTHORITY = make_authority()
WAYPOINT_RULES = make_peer_rules(
    source=PeerSource.WAYPOINT_XFCC, waypoints=[parse_spiffe_id(WAYPOINT)]
)
METADATA_RULES = make_peer_rules(source=PeerSource.METADATA, metadata_namespace=NAMESPACE)


def identify_peer(
    peer: str = AGENT,
    certificate: str = "",
    *,
    proxies: tuple[str, ...] | None = None,
    require_certificate: bool = False,
    allowed_proxies: Iterable[str] | None = None,
    now: float = NOW,
) -> Peer:
    rules = make_peer_rules(
        require_certificate=require_certificate, allowed_proxies=allowed_proxies
    )
    return ask(make_request(peer=peer, certificate=certificate, proxies=proxies), rules, now=now)


def ask(
    request: AccessRequest,
    rules: PeerRules,
    *,
    stopped: Iterable[str] = (),
    now: float = NOW,
) -> Peer:
    return identify(request, rules, frozenset(stopped), now)


def at_waypoint(
    peer: str = AGENT, *, by: str = WAYPOINT, principal: str = "", certificate: str = ""
) -> AccessRequest:
    """A check of an annotated waypoint."""
    headers = {XFCC: f"By={by};URI={peer}"}
    return make_request(peer=principal, headers=headers, certificate=certificate, is_internal=True)


def with_metadata(
    fields: Mapping[str, Json] = MappingProxyType({}),
    *,
    principal: str = "",
    certificate: str = "",
) -> AccessRequest:
    """A check of agentgateway; `fields` replace those of a peer that shows a certificate."""
    shown: dict[str, Json] = {"sans": ["research.agents.svc", AGENT], "cert": plain(make_svid())}
    metadata: dict[str, Json] = {NAMESPACE: {**shown, **fields}, "other": {"sans": [OTHER_AGENT]}}
    return make_request(peer=principal, certificate=certificate, metadata=metadata)


def plain(certificate: str) -> str:
    """The same certificate as agentgateway writes it."""
    return unquote(certificate).replace("\n", "\r\n")


def with_bundle(rules: PeerRules, *authorities: Authority) -> PeerRules:
    domain = TrustDomain(TRUST_DOMAIN)
    return make_peer_rules(
        trust_domains=[TRUST_DOMAIN, "test.example.org"],
        source=rules.source,
        waypoints=rules.waypoints,
        metadata_namespace=rules.metadata_namespace,
        bundles={domain: parse_bundle(make_bundle(*authorities), domain)},
    )


def with_version(certificate: str, version: int) -> str:
    """The same certificate with another version number in its encoding."""
    begin, *body, end = unquote(certificate).splitlines()
    der = base64.b64decode("".join(body))
    changed = der.replace(b"\xa0\x03\x02\x01\x02", bytes((0xA0, 3, 2, 1, version)), 1)
    return encode_pem("\n".join((begin, base64.b64encode(changed).decode(), end, "")).encode())


def thumbprint(certificate: str) -> str:
    """As `x5t#S256` writes it."""
    _, *body, _ = unquote(certificate).splitlines()
    digest = hashlib.sha256(base64.b64decode("".join(body))).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_the_proxy_asserts_the_peer() -> None:
    peer = identify_peer()
    assert peer.id.text == AGENT
    assert peer.assurance is Assurance.ASSERTED_BY_PROXY
    assert (peer.source, peer.certificate_sha256) == (PeerSource.PRINCIPAL, "")


def test_a_certificate_confirms_the_peer() -> None:
    certificate = make_svid()
    peer = identify_peer(certificate=certificate)
    assert peer.id.text == AGENT
    assert peer.assurance is Assurance.CERTIFICATE_CHECKED
    assert (peer.source, peer.certificate_sha256) == (PeerSource.PRINCIPAL, thumbprint(certificate))


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
        make_svid(key_uses=("key_encipherment",)),
        make_svid(purposes=[ExtendedKeyUsageOID.SERVER_AUTH]),
        make_svid(not_before=NOW + 1),
        make_svid(not_after=NOW - 1),
        with_version(make_svid(), 1),
    ],
    ids=["no names", "DNS only", "DNS that reads as SPIFFE", "two IDs", "the same ID twice",
         "another ID", "another case", "no path", "another trust domain", "authority",
         "signs certificates", "signs revocations", "signs nothing", "for servers only",
         "not yet valid", "expired", "version 2"],
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
        make_svid(purposes=[ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
        make_svid(not_before=NOW),
        make_svid(not_after=NOW),
        quote(unquote(make_svid())),
    ],
    ids=["DNS beside it", "no basic constraints", "no key usage", "other key uses",
         "for servers and clients", "valid from now", "valid until now", "fewer escapes"],
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


@pytest.mark.parametrize(
    ("rules", "request_"),
    [
        (make_peer_rules(), make_request()),
        (make_peer_rules(), make_request(certificate=make_svid())),
        (WAYPOINT_RULES, at_waypoint()),
        (METADATA_RULES, with_metadata()),
    ],
    ids=["principal", "certificate", "waypoint", "metadata"],
)
def test_a_stopped_agent_is_refused(rules: PeerRules, request_: AccessRequest) -> None:
    assert ask(request_, rules, stopped=[OTHER_AGENT, f"{AGENT}/x"]).id.text == AGENT
    with refused(Reason.PEER_SUSPENDED):
        ask(request_, rules, stopped=[OTHER_AGENT, AGENT])


def test_only_a_proven_agent_is_called_stopped() -> None:
    forged = make_request(certificate=make_svid([OTHER_AGENT]))
    with refused(Reason.PEER_SVID_INVALID):
        ask(forged, make_peer_rules(), stopped=[AGENT])


@pytest.mark.parametrize(
    "request_",
    [
        make_request(peer="", headers={XFCC: f"By={WAYPOINT};URI={AGENT}"}),
        make_request(peer="", metadata={NAMESPACE: {"sans": [AGENT]}}),
        make_request(peer="", is_internal=True),
        make_request(peer="", certificate=make_svid(), is_internal=True),
    ],
    ids=["header", "metadata", "waypoint without header", "certificate"],
)
def test_without_principal_nothing_else_is_read(request_: AccessRequest) -> None:
    with refused(Reason.PEER_MISSING):
        ask(request_, make_peer_rules())


def test_a_missing_principal_is_explained() -> None:
    details = set()
    for request in (
        make_request(peer=""),
        make_request(peer="", is_internal=True),
        make_request(peer="", headers={XFCC: "x"}),
    ):
        with refused(Reason.PEER_MISSING) as denials:
            ask(request, make_peer_rules())
        details.add(denials[0].detail)
    assert len(details) == 3


@pytest.mark.parametrize("header", ["", "-", f"By={WAYPOINT};URI={OTHER_AGENT}", f"{AGENT},x"])
def test_beside_a_principal_the_header_is_ignored(header: str) -> None:
    assert ask(make_request(headers={XFCC: header}), make_peer_rules()).id.text == AGENT


def test_beside_a_principal_metadata_is_ignored() -> None:
    request = make_request(metadata={NAMESPACE: {"sans": [OTHER_AGENT]}})
    assert ask(request, make_peer_rules()).id.text == AGENT


def test_a_waypoint_names_the_peer() -> None:
    peer = ask(at_waypoint(), WAYPOINT_RULES)
    assert peer.id.text == AGENT
    assert peer.assurance is Assurance.ASSERTED_BY_PROXY
    assert (peer.source, peer.certificate_sha256) == (PeerSource.WAYPOINT_XFCC, "")


def test_a_waypoint_may_agree_with_the_principal() -> None:
    assert ask(at_waypoint(principal=AGENT), WAYPOINT_RULES).id.text == AGENT
    certificate = make_svid()
    peer = ask(at_waypoint(principal=AGENT, certificate=certificate), WAYPOINT_RULES)
    assert peer.assurance is Assurance.CERTIFICATE_CHECKED
    assert peer.certificate_sha256 == thumbprint(certificate)


@pytest.mark.parametrize("principal", [OTHER_AGENT, WAYPOINT, "research.agents.svc"])
def test_a_waypoint_and_a_principal_that_disagree(principal: str) -> None:
    with refused(Reason.PEER_UNTRUSTED_SOURCE):
        ask(at_waypoint(principal=principal), WAYPOINT_RULES)


def test_a_waypoint_and_a_certificate_that_disagree() -> None:
    with refused(Reason.PEER_SVID_INVALID):
        ask(at_waypoint(certificate=make_svid([OTHER_AGENT])), WAYPOINT_RULES)


@pytest.mark.parametrize("by", [AGENT, PROXY, f"{WAYPOINT}2", FOREIGN])
def test_only_listed_waypoints_name_peers(by: str) -> None:
    with refused(Reason.PEER_UNTRUSTED_SOURCE):
        ask(at_waypoint(by=by), WAYPOINT_RULES)


@pytest.mark.parametrize("principal", ["", AGENT])
def test_a_waypoint_without_header_names_nobody(principal: str) -> None:
    for headers in ({}, {XFCC: ""}):
        with refused(Reason.PEER_MISSING):
            ask(make_request(peer=principal, headers=headers), WAYPOINT_RULES)


def test_a_waypoint_that_knows_no_peer() -> None:
    with refused(Reason.PEER_MISSING):
        ask(at_waypoint("-"), WAYPOINT_RULES)


@pytest.mark.parametrize(
    "peer",
    ["", "research.agents.svc", f"{AGENT},{OTHER_AGENT}", f"{AGENT},URI={OTHER_AGENT}",
     f"{AGENT};URI={OTHER_AGENT}", f"{AGENT},By={WAYPOINT};URI={OTHER_AGENT}"],
)  # fmt: skip
def test_a_header_that_no_waypoint_writes(peer: str) -> None:
    with refused(Reason.PEER_MALFORMED):
        ask(at_waypoint(peer), WAYPOINT_RULES)


def test_a_waypoint_and_a_foreign_trust_domain() -> None:
    with refused(Reason.PEER_UNTRUSTED_DOMAIN):
        ask(at_waypoint(FOREIGN), WAYPOINT_RULES)


def test_at_a_waypoint_metadata_is_ignored() -> None:
    with refused(Reason.PEER_MISSING):
        ask(with_metadata(), WAYPOINT_RULES)


def test_metadata_names_the_peer() -> None:
    certificate = make_svid()
    peer = ask(with_metadata({"cert": plain(certificate)}), METADATA_RULES)
    assert peer.id.text == AGENT
    assert peer.assurance is Assurance.CERTIFICATE_CHECKED
    assert (peer.source, peer.certificate_sha256) == (PeerSource.METADATA, thumbprint(certificate))


def test_metadata_without_certificate() -> None:
    peer = ask(with_metadata({"cert": None}), METADATA_RULES)
    assert (peer.assurance, peer.certificate_sha256) == (Assurance.ASSERTED_BY_PROXY, "")
    alone = make_request(peer="", metadata={NAMESPACE: {"sans": [AGENT]}})
    assert ask(alone, METADATA_RULES) == peer


@pytest.mark.parametrize(
    "sans",
    [
        [AGENT],
        ["research.agents.svc", AGENT, "10.0.0.1"],
        ["::1", AGENT, "fe80::1", "2001:db8::10.0.0.1"],
    ],
)
def test_names_that_are_no_uris_do_not_matter(sans: list[Json]) -> None:
    assert ask(with_metadata({"sans": sans}), METADATA_RULES).id.text == AGENT


@pytest.mark.parametrize(
    ("sans", "reason"),
    [
        (None, Reason.PEER_MISSING),
        ([], Reason.PEER_MISSING),
        (AGENT, Reason.PEER_MALFORMED),
        ({"0": AGENT}, Reason.PEER_MALFORMED),
        ([AGENT, 7], Reason.PEER_MALFORMED),
        ([AGENT, None], Reason.PEER_MALFORMED),
        ([[AGENT]], Reason.PEER_MALFORMED),
        (["research.agents.svc"], Reason.PEER_MALFORMED),
        (["fe80::1"], Reason.PEER_MALFORMED),
        (["https://prod.example.org/x"], Reason.PEER_MALFORMED),
        ([f"{AGENT}/"], Reason.PEER_MALFORMED),
        ([AGENT.upper()], Reason.PEER_MALFORMED),
        ([AGENT, OTHER_AGENT], Reason.PEER_SVID_INVALID),
        ([AGENT, AGENT], Reason.PEER_SVID_INVALID),
        ([AGENT, OTHER_AGENT.upper()], Reason.PEER_SVID_INVALID),
        ([AGENT, "https://prod.example.org/x"], Reason.PEER_SVID_INVALID),
        ([AGENT, "urn:x"], Reason.PEER_SVID_INVALID),
        ([OTHER_AGENT], Reason.PEER_SVID_INVALID),
        ([FOREIGN], Reason.PEER_UNTRUSTED_DOMAIN),
    ],
    ids=repr,
)
def test_names_that_are_not_those_of_one_peer(sans: Json, reason: Reason) -> None:
    with refused(reason):
        ask(with_metadata({"sans": sans}), METADATA_RULES)


@pytest.mark.parametrize("fields", [None, "spiffe://x/y", [AGENT], True])
def test_metadata_that_is_no_map(fields: Json) -> None:
    with refused(Reason.PEER_MISSING):
        ask(make_request(peer="", metadata={NAMESPACE: fields}), METADATA_RULES)


def test_metadata_of_another_namespace_is_not_read() -> None:
    with refused(Reason.PEER_MISSING):
        ask(make_request(peer="", metadata={"other": {"sans": [AGENT]}}), METADATA_RULES)


@pytest.mark.parametrize(
    "certificate",
    [
        "",
        7,
        [plain(make_svid())],
        make_svid(),
        plain(make_svid([OTHER_AGENT])),
        plain(make_svid([AGENT, OTHER_AGENT])),
        plain(make_svid(dns=[AGENT], uris=())),
        plain(make_svid(not_after=NOW - 1)),
        plain(make_svid()) * 2,
    ],
    ids=["empty", "number", "list", "URL-encoded", "another ID", "two IDs", "DNS only", "expired",
         "twice"],
)  # fmt: skip
def test_metadata_with_a_certificate_that_is_no_svid_of_the_peer(certificate: Json) -> None:
    with refused(Reason.PEER_SVID_INVALID):
        ask(with_metadata({"cert": certificate}), METADATA_RULES)


def test_metadata_may_agree_with_the_principal() -> None:
    assert ask(with_metadata(principal=AGENT), METADATA_RULES).id.text == AGENT


@pytest.mark.parametrize("principal", [OTHER_AGENT, "research.agents.svc"])
def test_metadata_and_a_principal_that_disagree(principal: str) -> None:
    with refused(Reason.PEER_UNTRUSTED_SOURCE):
        ask(with_metadata(principal=principal), METADATA_RULES)


def test_a_certificate_beside_the_metadata_is_a_second_source() -> None:
    with refused(Reason.PEER_UNTRUSTED_SOURCE):
        ask(with_metadata(certificate=make_svid()), METADATA_RULES)
    with refused(Reason.PEER_UNTRUSTED_SOURCE):
        ask(with_metadata({"cert": None}, certificate=make_svid()), METADATA_RULES)


def test_without_metadata_nothing_else_is_read() -> None:
    with refused(Reason.PEER_MISSING):
        ask(at_waypoint(principal=AGENT, certificate=make_svid()), METADATA_RULES)


@pytest.mark.parametrize("source", PeerSource)
def test_every_source_has_its_reader(source: PeerSource) -> None:
    with refused(Reason.PEER_MISSING):
        ask(make_request(peer=""), make_peer_rules(source=source))


@pytest.mark.parametrize("source", PeerSource)
def test_an_unlisted_proxy_may_not_ask_from_any_source(source: PeerSource) -> None:
    rules = make_peer_rules(
        source=source,
        waypoints=[parse_spiffe_id(WAYPOINT)],
        metadata_namespace=NAMESPACE,
        allowed_proxies=[PROXY],
    )
    request = make_request(
        headers={XFCC: f"By={WAYPOINT};URI={AGENT}"},
        metadata={NAMESPACE: {"sans": [AGENT]}},
        proxies=(PROXY,),
    )
    assert ask(request, rules).source is source
    with refused(Reason.PEER_UNTRUSTED_SOURCE):
        ask(make_request(proxies=(AGENT,)), rules)


def test_with_a_bundle_the_certificate_must_be_issued_by_it() -> None:
    rules = with_bundle(make_peer_rules(), make_authority("other"), AUTHORITY)
    peer = ask(make_request(certificate=make_svid(issuer=AUTHORITY)), rules)
    assert peer.assurance is Assurance.CERTIFICATE_CHECKED
    for issuer in (None, make_authority("third")):
        with refused(Reason.PEER_SVID_INVALID):
            ask(make_request(certificate=make_svid(issuer=issuer)), rules)


@pytest.mark.parametrize(
    ("rules", "good", "bad", "none"),
    [
        (
            make_peer_rules(),
            make_request(certificate=make_svid(issuer=AUTHORITY)),
            make_request(certificate=make_svid()),
            make_request(),
        ),
        (
            METADATA_RULES,
            with_metadata({"cert": plain(make_svid(issuer=AUTHORITY))}),
            with_metadata(),
            with_metadata({"cert": None}),
        ),
        (
            WAYPOINT_RULES,
            at_waypoint(certificate=make_svid(issuer=AUTHORITY)),
            at_waypoint(certificate=make_svid()),
            at_waypoint(),
        ),
    ],
    ids=["principal", "metadata", "waypoint"],
)
def test_a_bundle_holds_for_every_source(
    rules: PeerRules, good: AccessRequest, bad: AccessRequest, none: AccessRequest
) -> None:
    assert ask(bad, rules).id.text == ask(none, rules).id.text == AGENT
    strict = with_bundle(rules, AUTHORITY)
    assert ask(good, strict).id.text == AGENT
    with refused(Reason.PEER_SVID_INVALID):
        ask(bad, strict)
    with refused(Reason.PEER_SVID_INVALID):
        ask(none, strict)


def test_a_trust_domain_without_bundle_is_as_before() -> None:
    rules = with_bundle(make_peer_rules(), AUTHORITY)
    assert ask(make_request(peer=FOREIGN), rules).assurance is Assurance.ASSERTED_BY_PROXY
    certificate = make_svid([FOREIGN])
    peer = ask(make_request(peer=FOREIGN, certificate=certificate), rules)
    assert peer.assurance is Assurance.CERTIFICATE_CHECKED


def test_an_authority_of_one_domain_does_not_vouch_for_another() -> None:
    test_domain, prod_domain = TrustDomain("test.example.org"), TrustDomain(TRUST_DOMAIN)
    authorities = {test_domain: make_authority("test"), prod_domain: AUTHORITY}
    rules = make_peer_rules(
        trust_domains=[str(test_domain), str(prod_domain)],
        bundles={
            domain: parse_bundle(make_bundle(authority), domain)
            for domain, authority in authorities.items()
        },
    )
    own = make_svid([FOREIGN], issuer=authorities[test_domain])
    assert ask(make_request(peer=FOREIGN, certificate=own), rules).id.text == FOREIGN
    forged = make_svid([AGENT], issuer=authorities[test_domain])
    with refused(Reason.PEER_SVID_INVALID):
        ask(make_request(certificate=forged), rules)


def test_a_bundle_without_authorities_trusts_nobody() -> None:
    domain = TrustDomain(TRUST_DOMAIN)
    rules = make_peer_rules(bundles={domain: empty_bundle(domain)})
    with refused(Reason.PEER_SVID_INVALID):
        ask(make_request(certificate=make_svid(issuer=AUTHORITY)), rules)


def test_an_authority_that_expires_takes_its_peers_along() -> None:
    authority = make_authority(not_after=NOW + 10)
    rules = with_bundle(make_peer_rules(), authority)
    request = make_request(certificate=make_svid(issuer=authority))
    ask(request, rules)
    with refused(Reason.PEER_SVID_INVALID):
        ask(request, rules, now=NOW + 11)


def test_a_uri_that_looks_like_an_address_is_a_second_identity() -> None:
    with refused(Reason.PEER_SVID_INVALID):
        ask(with_metadata({"sans": [AGENT, "dead:beef"]}), METADATA_RULES)
