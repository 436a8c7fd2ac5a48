from __future__ import annotations

from pathlib import Path

import pytest

from deputize.config.issuer_compiler import allowed_algorithms
from deputize.config.issuer_profiles import effective_keys
from deputize.config.loader import load
from deputize.core.identities import IdentityError
from deputize.core.keys import Algorithm
from deputize.core.spiffe import TrustDomain
from deputize.core.trust import TrustedIssuer
from tests.harness.config_files import SERVICE, Place, changed, line_of, problem_places, write_world
from tests.harness.world import ISSUER_URL

KEYS = "      keys:\n        file: jwks.json\n"
ACCOUNT = "system:serviceaccount:<ns>:<sa>"
ISTIO = "spiffe://prod.example.org/ns/<ns>/sa/<sa>"


def with_keys(lines: str) -> str:
    """The configuration with more keys for its issuer, two spaces deeper than it."""
    return changed(SERVICE, KEYS, KEYS + "".join(f"      {line}\n" for line in lines.splitlines()))


def compiled(folder: Path, service: str) -> TrustedIssuer:
    return load(write_world(folder, service=service)).compiled.issuers[ISSUER_URL]


def places(folder: Path, service: str) -> list[Place]:
    return problem_places(write_world(folder, service=service))


def test_what_is_trusted_of_an_issuer(tmp_path: Path) -> None:
    trusted = compiled(tmp_path, SERVICE)
    assert trusted.issuer == trusted.mandate_rules.issuer == ISSUER_URL
    assert trusted.audiences == {"orders"}
    assert trusted.algorithms == (Algorithm.ES256,)
    assert (trusted.max_lifetime, trusted.clock_skew, trusted.proof_max_age) == (3600, 10, 60)
    assert trusted.mandate_rules.agent_domains is None
    assert not trusted.use_once
    assert not trusted.introspected
    assert not trusted.binding_required
    assert not trusted.has_status_lists
    assert not trusted.status_required


def test_a_profile_says_what_the_issuer_leaves_out(tmp_path: Path) -> None:
    service = with_keys("profile: solo").replace("      algorithms: [ES256]\n", "")
    trusted = compiled(tmp_path, service)
    assert trusted.algorithms == (Algorithm.RS256,)
    assert trusted.max_lifetime == 86400
    assert trusted.mandate_rules.profile.token_types == {"jwt"}


def test_the_algorithms_for_keys_are_those_for_tokens(tmp_path: Path) -> None:
    for lines in ("profile: keycloak", "profile: entra", ""):
        service = with_keys(lines).replace("      algorithms: [ES256]\n", "")
        loaded = load(write_world(tmp_path, service=service))
        (entry,) = loaded.service.issuers
        assert (
            allowed_algorithms(effective_keys(entry))
            == loaded.compiled.issuers[ISSUER_URL].algorithms
        )


def test_how_tokens_may_be_used(tmp_path: Path) -> None:
    trusted = compiled(
        tmp_path,
        with_keys(
            "useOnce: true\n"
            "binding: {required: true, proofMaxAgeSeconds: 5}\n"
            "statusLists: {files: {'https://issuer.example/1': list.jwt}}\n"
            "introspection: {url: 'https://issuer.example/i', clientId: c, clientSecretFile: s}\n"
            "agentTrustDomains: [prod.example.org]"
        ),
    )
    assert trusted.use_once
    assert trusted.introspected
    assert trusted.binding_required
    assert trusted.proof_max_age == 5
    assert trusted.has_status_lists
    assert not trusted.status_required
    assert trusted.mandate_rules.agent_domains == frozenset({TrustDomain("prod.example.org")})


def test_a_status_may_be_required(tmp_path: Path) -> None:
    lists = "statusLists: {uriPrefixes: ['https://issuer.example/s/'], required: true}"
    assert compiled(tmp_path, with_keys(lists)).status_required


def test_agents_may_have_other_names(tmp_path: Path) -> None:
    identities = compiled(
        tmp_path,
        with_keys(
            "identities:\n"
            "  exact: {research: 'spiffe://prod.example.org/research'}\n"
            f"  templates: [{{name: '{ACCOUNT}', spiffeId: '{ISTIO}'}}]"
        ),
    ).mandate_rules.identities
    assert identities.find("research").text == "spiffe://prod.example.org/research"
    found = identities.find("system:serviceaccount:a:b")
    assert found.text == "spiffe://prod.example.org/ns/a/sa/b"
    with pytest.raises(IdentityError):
        identities.find("planner")


@pytest.mark.parametrize(
    "lines",
    [
        "profile: keycloak",
        "useOnce: true",
        "maxLifetimeSeconds: 60",
        "tokenTypes: [jwt]",
        "actor: [azp]",
        "styles: [impersonated]",
        "binding: {required: true}",
        "agentTrustDomains: [prod.example.org]",
        "identities: {exact: {research: 'spiffe://prod.example.org/research'}}",
        "identities: {templates: [{name: 'a:<x>', spiffeId: 'spiffe://prod.example.org/<x>'}]}",
        "statusLists: {files: {'https://issuer.example/1': list.jwt}}",
        "principalKind: [{claim: kind, user: [user]}]",
    ],
)
def test_the_digest_names_all_that_a_token_is_checked_against(tmp_path: Path, lines: str) -> None:
    before = compiled(tmp_path / "before", SERVICE)
    after = compiled(tmp_path / "after", with_keys(lines))
    assert before.digest != after.digest


def test_where_keys_come_from_is_no_part_of_the_digest(tmp_path: Path) -> None:
    url = changed(SERVICE, "file: jwks.json", "url: https://issuer.example/jwks")
    before, after = compiled(tmp_path / "before", SERVICE), compiled(tmp_path / "after", url)
    assert before.digest == after.digest


# Problems


def one_place(folder: Path, lines: str, piece: str, pointer: str) -> None:
    text = with_keys(lines)
    assert places(folder, text) == [
        ("deputize.yaml", line_of(text, piece), f"spec.issuers[0]{pointer}")
    ]


def test_an_issuer_that_stands_twice_is_refused(tmp_path: Path) -> None:
    block = SERVICE[SERVICE.index("    - issuer:") : SERVICE.index("  policies:")]
    text = changed(SERVICE, block, block + block)
    line = line_of(text, block) + block.count("\n")
    assert places(tmp_path, text) == [("deputize.yaml", line, "spec.issuers[1].issuer")]


def test_the_issuer_is_no_audience(tmp_path: Path) -> None:
    text = changed(SERVICE, "[orders]", f"[orders, '{ISSUER_URL}']")
    assert places(tmp_path, text) == [
        ("deputize.yaml", line_of(text, "audiences:"), "spec.issuers[0].audiences")
    ]


def test_what_is_good_once_needs_an_identifier(tmp_path: Path) -> None:
    one_place(tmp_path, "useOnce: true\ntokenId: []", "useOnce:", ".useOnce")
    compiled(tmp_path / "good", with_keys("useOnce: true\ntokenId: [uti]"))


def test_an_agent_trust_domain_is_one_of_the_peers(tmp_path: Path) -> None:
    lines = "agentTrustDomains:\n  - prod.example.org\n  - prod.example.com"
    one_place(tmp_path, lines, "prod.example.com", ".agentTrustDomains[1]")


@pytest.mark.parametrize(
    ("lines", "piece", "pointer"),
    [
        ("identities: {exact: {a: 'spiffe://other.example/a'}}", "other.example", "exact.a"),
        (
            "identities: {templates: [{name: 'sa:<a>', spiffeId: 'spiffe://other.example/<a>'}]}",
            "other.example",
            "templates[0].spiffeId",
        ),
    ],
)
def test_an_agent_is_of_a_trust_domain_of_ours(
    tmp_path: Path, lines: str, piece: str, pointer: str
) -> None:
    one_place(tmp_path, lines, piece, f".identities.{pointer}")


def test_a_template_with_two_readings_is_refused(tmp_path: Path) -> None:
    lines = (
        "identities:\n"
        "  templates:\n"
        f"    - {{name: '{ACCOUNT}', spiffeId: '{ISTIO}'}}\n"
        "    - {name: '<a>-<b>', spiffeId: 'spiffe://prod.example.org/<a>/<b>'}"
    )
    one_place(tmp_path, lines, "<a>-<b>", ".identities.templates[1]")


@pytest.mark.parametrize(
    ("line", "pointer"),
    [
        ("profile: keycloack", ".profile"),
        ("tokenTypes: [JWT]", ".tokenTypes[0]"),
        ("tokenTypes: [application/jwt]", ".tokenTypes[0]"),
        ("tokenTypes: [dpop+jwt]", ".tokenTypes[0]"),
        ("tokenTypes: []", ".tokenTypes"),
        ("ignoredHeaders: [jku]", ".ignoredHeaders[0]"),
        ("maxLifetimeSeconds: 0", ".maxLifetimeSeconds"),
        ("requiredClaims: ['']", ".requiredClaims[0]"),
        ("requiredClaims: [a..b]", ".requiredClaims[0]"),
        ("typeClaims: {typ: []}", ".typeClaims.typ"),
        ("principal: []", ".principal"),
        ("principal: [sub, sub]", ".principal"),
        ("principalKind: [{claim: a, user: ['a b']}]", ".principalKind[0].user[0]"),
        ("principalKind: [{claim: a, service: ['*a*']}]", ".principalKind[0].service[0]"),
        ("actorKind: [{claim: a, agent: ['a*b']}]", ".actorKind[0].agent[0]"),
        ("actorKind: [{claim: a, other: person}]", ".actorKind[0].other"),
        ("scopes: ['[]']", ".scopes[0]"),
        ("attributes: {'a b': c}", ".attributes.a b.[key]"),
        ("actor: []", ".actor"),
        ("actorKinds: [user]", ".actorKinds[0]"),
        ("styles: []", ".styles"),
        ("styles: [impersonating]", ".styles[0]"),
        ("statusLists: {}", ".statusLists"),
        ("statusLists: {uriPrefixes: ['https://issuer.example/s']}", ".statusLists.uriPrefixes[0]"),
        ("statusLists: {uriPrefixes: ['https://a.example/../']}", ".statusLists.uriPrefixes[0]"),
        ("statusLists: {uriPrefixes: ['http://a.example/']}", ".statusLists.uriPrefixes[0]"),
        ("introspection: {url: 'http://a.example/', clientId: c, clientSecretFile: s}",
         ".introspection.url"),
        ("binding: {proofMaxAgeSeconds: 301}", ".binding.proofMaxAgeSeconds"),
        ("identities: {exact: {a: 'spiffe://td'}}", ".identities.exact.a"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_at_its_line(tmp_path: Path, line: str, pointer: str) -> None:
    one_place(tmp_path, line, line, pointer)


@pytest.mark.parametrize(
    "actor",
    [
        "[act]",
        "[azp, act]",
        "[act.act.sub]",
        "[act.x.act]",
        "[act.sub, act.client_id]",
        "[act, azp]",
    ],
)
def test_an_actor_is_a_member_of_the_outermost_act(tmp_path: Path, actor: str) -> None:
    text = with_keys(f"actor: {actor}")
    ((file, _, pointer),) = places(tmp_path, text)
    assert (file, pointer) == ("deputize.yaml", "spec.issuers[0]")


@pytest.mark.parametrize(
    "actor", ["[act.sub]", "[azp, act.client_id]", "[act.ext.sub]", r"['act\.x']"]
)
def test_an_actor_may_be_named_in_act_or_elsewhere(tmp_path: Path, actor: str) -> None:
    compiled(tmp_path, with_keys(f"actor: {actor}"))
