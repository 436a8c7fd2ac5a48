from __future__ import annotations

from pathlib import Path

import pytest

from deputize.config.compiler import CompiledPeers
from deputize.config.loader import Loaded, load
from deputize.core.matching import PathPattern
from deputize.core.model import PeerSource, RuleRef, Scope, UpstreamFact
from deputize.core.rules import Rule, RuleEffect
from deputize.core.spiffe import TrustDomain, parse_spiffe_id
from tests.harness.config_files import (
    POLICY,
    SERVICE,
    Place,
    changed,
    line_of,
    problem_places,
    write_world,
)

RULE = POLICY[POLICY.index("    - name: read") :]
FORBID = """\
    - name: closed
      effect: forbid
      agents: ["spiffe://prod.example.org/**"]
      onBehalfOf: [{issuer: https://issuer.example, anyone: true}]
      hosts: ["*"]
      methods: ["*"]
      paths: [PATHS]
"""


def compile_policy(folder: Path, old: str = "kind", new: str = "kind") -> Loaded:
    return load(write_world(folder, policy=changed(POLICY, old, new)))


def only_rule(loaded: Loaded) -> Rule:
    (rule,) = loaded.compiled.policies.rules
    return rule


def policy_places(folder: Path, policy: str) -> list[Place]:
    return problem_places(write_world(folder, policy=policy))


def test_a_rule_becomes_a_rule_of_the_core(tmp_path: Path) -> None:
    rule = only_rule(compile_policy(tmp_path))
    assert rule.ref == RuleRef("orders", "read")
    assert rule.effect is RuleEffect.ALLOW
    assert rule.hosts == ("orders.example",)
    assert rule.methods == ("GET",)
    assert rule.scopes == {Scope("orders:read")}
    assert rule.max_depth is None


def test_a_rule_tells_the_upstream_who_and_under_which_decision_by_default(tmp_path: Path) -> None:
    facts = only_rule(compile_policy(tmp_path)).upstream_facts
    assert facts == (UpstreamFact.PRINCIPAL, UpstreamFact.AGENT, UpstreamFact.DECISION_ID)


def test_a_rule_may_tell_the_upstream_nothing(tmp_path: Path) -> None:
    new = "[orders:read]\n      obligations: {upstreamHeaders: []}"
    assert only_rule(compile_policy(tmp_path, "[orders:read]", new)).upstream_facts == ()


def test_the_default_of_written_obligations_is_that_of_none(tmp_path: Path) -> None:
    plain = only_rule(compile_policy(tmp_path)).upstream_facts
    new = "[orders:read]\n      obligations: {}"
    assert only_rule(compile_policy(tmp_path, "[orders:read]", new)).upstream_facts == plain


def test_a_rule_may_let_a_token_in_once(tmp_path: Path) -> None:
    assert not only_rule(compile_policy(tmp_path)).use_once
    new = "[orders:read]\n      obligations: {useTokenOnce: true}"
    rule = only_rule(compile_policy(tmp_path, "[orders:read]", new))
    assert rule.use_once
    assert rule.upstream_facts == only_rule(compile_policy(tmp_path)).upstream_facts


def test_a_rule_may_bound_the_chain(tmp_path: Path) -> None:
    new = "[orders:read]\n      chain: {maxDepth: 2}"
    assert only_rule(compile_policy(tmp_path, "[orders:read]", new)).max_depth == 2


@pytest.mark.parametrize(
    ("paths", "covered"),
    [
        ('"/admin"', {("admin",), ("admin", "")}),
        ('"/admin/"', {("admin",), ("admin", "")}),
        ('"/admin", "/admin/"', {("admin",), ("admin", "")}),
        ('"/"', {("",)}),
    ],
)
def test_a_forbid_covers_the_path_with_and_without_a_slash_at_its_end(
    tmp_path: Path, paths: str, covered: set[tuple[str, ...]]
) -> None:
    policy = POLICY.replace(RULE, FORBID.replace("PATHS", paths))
    rule = only_rule(load(write_world(tmp_path, policy=policy)))
    assert {path.segments for path in rule.paths} == covered


def test_an_allow_covers_only_the_path_as_written(tmp_path: Path) -> None:
    (path,) = only_rule(compile_policy(tmp_path)).paths
    assert isinstance(path, PathPattern)
    assert path.text == "/v1/orders/{id}"


def test_service_settings_reach_the_core(tmp_path: Path) -> None:
    more = "  token: {header: x-mandate}\n  delegation: {maxChainDepth: 2}\n  audit:"
    text = changed(SERVICE, "  audit:", more)
    compiled = load(write_world(tmp_path, service=text)).compiled
    assert compiled.request_rules.token_header == "x-mandate"
    assert compiled.chain_rules.max_depth == 2
    assert compiled.chain_rules.forbidden == compiled.chain_rules.required == frozenset()
    assert compiled.issuers["https://issuer.example"].audiences == {"orders"}


def test_the_members_of_chains_reach_the_core(tmp_path: Path) -> None:
    more = "  delegation: {forbiddenActors: [legacy], requiredActors: ['spiffe://a/b']}\n  audit:"
    service = changed(SERVICE, "  audit:", more)
    rules = load(write_world(tmp_path, service=service)).compiled.chain_rules
    assert rules.forbidden == {"legacy"}
    assert rules.required == {"spiffe://a/b"}


def compile_peers(folder: Path, *lines: str) -> CompiledPeers:
    domains = "    trustDomains: [prod.example.org]\n"
    more = "".join(f"    {line}\n" for line in lines)
    service = changed(SERVICE, domains, domains + more)
    return load(write_world(folder, service=service)).compiled.peers


def test_peers_are_named_by_the_connection_by_default(tmp_path: Path) -> None:
    assert compile_peers(tmp_path) == CompiledPeers(
        trust_domains=frozenset({TrustDomain("prod.example.org")}),
        require_certificate=False,
        source=PeerSource.PRINCIPAL,
        waypoints=frozenset(),
        metadata_namespace="",
        bundled=frozenset(),
    )


def test_waypoints_may_name_peers(tmp_path: Path) -> None:
    waypoint = "spiffe://prod.example.org/ns/shop/sa/waypoint"
    peers = compile_peers(tmp_path, "source: waypoint-xfcc", f"waypoints: ['{waypoint}']")
    assert peers.source is PeerSource.WAYPOINT_XFCC
    assert peers.waypoints == {parse_spiffe_id(waypoint)}


def test_metadata_may_name_peers(tmp_path: Path) -> None:
    peers = compile_peers(tmp_path, "source: metadata", "metadataNamespace: peer")
    assert (peers.source, peers.metadata_namespace) == (PeerSource.METADATA, "peer")


def test_a_trust_domain_may_have_a_bundle(tmp_path: Path) -> None:
    peers = compile_peers(
        tmp_path,
        "requireCertificate: true",
        "bundles: [{trustDomain: prod.example.org, file: bundle.json}]",
    )
    assert peers.require_certificate
    assert peers.bundled == {TrustDomain("prod.example.org")}


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("[orders]", "[invoices]", False),
        ("[ES256]", "[ES256, RS256]", False),
        ("  audit:", "  token: {clockSkewSeconds: 5}\n  audit:", False),
        ("file: jwks.json", "file: other.json", True),
    ],
)
def test_the_digest_of_an_issuer_names_how_its_tokens_are_checked(
    tmp_path: Path, old: str, new: str, *, same: bool
) -> None:
    def digest(folder: str, service: str) -> str:
        issuers = load(write_world(tmp_path / folder, service=service)).compiled.issuers
        return issuers["https://issuer.example"].digest

    assert (digest("a", SERVICE) == digest("b", changed(SERVICE, old, new))) is same


def test_an_issuer_that_is_not_configured_is_refused(tmp_path: Path) -> None:
    policy = changed(POLICY, "https://issuer.example", "https://issuer.example/")
    assert policy_places(tmp_path, policy) == [
        ("orders.yaml", line_of(policy, "issuer.example/"), "spec.rules[0].onBehalfOf[0].issuer")
    ]


def test_a_foreign_trust_domain_is_refused(tmp_path: Path) -> None:
    policy = changed(POLICY, "spiffe://prod.example.org", "spiffe://test.example.org")
    assert policy_places(tmp_path, policy) == [
        ("orders.yaml", line_of(policy, "spiffe://test"), "spec.rules[0].agents[0]")
    ]


def test_a_rule_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    policy = POLICY + RULE
    ((file, line, pointer),) = policy_places(tmp_path, policy)
    assert (file, pointer) == ("orders.yaml", "spec.rules[1].name")
    assert line == POLICY.count("\n") + 1


def test_a_policy_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    config_file = write_world(tmp_path)
    (tmp_path / "policies" / "z.yaml").write_text(POLICY)
    assert problem_places(config_file) == [
        ("z.yaml", line_of(POLICY, "name: orders"), "metadata.name")
    ]


def test_a_bundle_is_of_a_trust_domain_of_the_peers(tmp_path: Path) -> None:
    bundles = """\
    bundles:
      - {trustDomain: prod.example.org, file: a.json}
      - {trustDomain: partner.example, file: b.json}
  issuers:
"""
    text = changed(SERVICE, "  issuers:\n", bundles)
    assert problem_places(write_world(tmp_path, service=text)) == [
        ("deputize.yaml", line_of(text, "partner"), "spec.peer.bundles[1].trustDomain")
    ]


def test_the_native_transport_has_no_tls(tmp_path: Path) -> None:
    tls = "      tls: {certificateFile: c, privateKeyFile: k}\n    transport: native\n    http:"
    text = changed(SERVICE, "    http:", tls)
    assert problem_places(write_world(tmp_path, service=text)) == [
        ("deputize.yaml", line_of(text, "tls:"), "spec.server.grpc.tls")
    ]


def test_the_native_transport_has_one_address(tmp_path: Path) -> None:
    text = changed(SERVICE, '["127.0.0.1:0"]', '["127.0.0.1:0", "unix:/a"]\n    transport: native')
    assert problem_places(write_world(tmp_path, service=text)) == [
        ("deputize.yaml", line_of(text, "unix:"), "spec.server.grpc.listen[1]")
    ]


def test_the_native_transport_goes_without_tls(tmp_path: Path) -> None:
    text = changed(SERVICE, "    http:", "    transport: native\n    http:")
    assert load(write_world(tmp_path, service=text)).service.server.transport == "native"
