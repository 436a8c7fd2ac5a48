from __future__ import annotations

from pathlib import Path

import pytest

from deputize.config.loader import load
from deputize.config.problems import ConfigError
from tests.harness.config_files import (
    POLICY,
    SERVICE,
    changed,
    line_of,
    problem_places,
    write_world,
)


def service_problem(folder: Path, old: str, new: str, piece: str = "") -> tuple[str, bool]:
    """The pointer of the only problem, and whether its line is that of `piece` (or `new`)."""
    text = changed(SERVICE, old, new)
    ((file, line, pointer),) = problem_places(write_world(folder, service=text))
    assert file == "deputize.yaml"
    return pointer, line == line_of(text, piece or new)


def policy_problem(folder: Path, old: str, new: str, piece: str = "") -> tuple[str, bool]:
    text = changed(POLICY, old, new)
    ((file, line, pointer),) = problem_places(write_world(folder, policy=text))
    assert file == "orders.yaml"
    return pointer, line == line_of(text, piece or new)


@pytest.mark.parametrize(
    ("old", "new", "pointer"),
    [
        ("trustDomains:", "trustDomain: [a]\n    trustDomains:", "spec.peer.trustDomain"),
        ("audiences:", "audience: x\n      audiences:", "spec.issuers[0].audience"),
        ("  audit:", "  adit: {}\n  audit:", "spec.adit"),
        ("kind:", "metadata: {}\nkind:", "metadata"),
    ],
)
def test_an_unknown_key_is_refused(tmp_path: Path, old: str, new: str, pointer: str) -> None:
    assert service_problem(tmp_path, old, new) == (pointer, True)


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("kind: DelegationPolicy", "kind: PolicyTest", "`*.test.yaml`"),
        ("effect: allow", "effect: deny", "`forbid`"),
        ("effect: allow", "effect: permit", "must be `allow` or `forbid`"),
        ("anyone: true", "anyone: yes", "must be `true`, found `yes`"),
        ("[GET]", "GET", "a list is wanted: `[GET]`"),
        ("[GET]", "'*'", 'a list is wanted: `["*"]`'),
        ("[GET]", "true", "a list is wanted: `[true]`"),
        ("[GET]", "7", "a list is wanted: `[7]`"),
        ("[GET]", "{a: b}", "a list is wanted, found"),
        ('["/v1/orders/{id}"]', "[{id}]", 'a text is wanted: `"{id}"`'),
        ('["/v1/orders/{id}"]', "[{id: 1}]", "a text is wanted, found"),
        ("[orders.example]", "[7]", 'in quotes it is one: `"7"`'),
        ("[orders.example]", "[true]", 'in quotes it is one: `"true"`'),
        ("spec:", "rules: []\nspec:", "it belongs under `spec`"),
        ("name: read", "name: read\n      names: [a]", "it belongs under `mcp`"),
        ("name: read", "name: read\n      anyone: true", "unknown key; known: "),
        ("[orders.example]", "[Orders.example]", "no upper case letter; write `orders.example`"),
        ("[orders.example]", "['a.example:80']", "no port; write `a.example`"),
        ("[orders.example]", "['[::1]:80']", "no port; write `[::1]`"),
        ("[orders.example]", "['a.example/x']", "no path; write `a.example`"),
        (
            "[orders.example]",
            "['HTTPS://A.example:80/x']",
            "no scheme, no path, no port, no upper case letter; write `a.example`",
        ),
        ("[orders.example]", "['a.*']", "a host is in lower case without port"),
        (
            "scopes:",
            "when: [{claim: a, header: b, exists: true}]\n      scopes:",
            "`claim`, `header`",
        ),
        ("scopes:", "when: [{cel: a, path: b}]\n      scopes:", "`path`, `cel`"),
        (
            "scopes:",
            "when: [{claim: a, equals: 1, atMost: 2}]\n      scopes:",
            "`equals`, `atMost`",
        ),
    ],
)
def test_what_was_meant_is_told(tmp_path: Path, old: str, new: str, hint: str) -> None:
    policy = changed(POLICY, old, new).replace("      scopes", "      scope")
    with pytest.raises(ConfigError) as caught:
        load(write_world(tmp_path, policy=policy))
    told = [problem for problem in caught.value.problems if hint in problem.message]
    assert len(told) == 1
    assert len(caught.value.problems) == (1 if "kind" in old else 2)


def test_of_another_kind_of_file_only_that_is_told(tmp_path: Path) -> None:
    config_file = write_world(tmp_path)
    (tmp_path / "policies" / "service.yaml").write_text(SERVICE)
    assert problem_places(config_file) == [("service.yaml", 2, "kind")]


def test_an_unknown_key_comes_with_the_likely_one(tmp_path: Path) -> None:
    text = changed(SERVICE, "audiences:", "audiences: [b]\n      audience:")
    with pytest.raises(ConfigError) as caught:
        load(write_world(tmp_path, service=text))
    (problem,) = caught.value.problems
    assert "`audiences`" in problem.message


@pytest.mark.parametrize(
    ("old", "new", "pointer"),
    [
        ("      audiences: [orders]\n", "", "spec.issuers[0].audiences"),
        ("  peer:\n    trustDomains: [prod.example.org]\n", "", "spec.peer"),
        ("kind: ServiceConfig\n", "", "kind"),
    ],
)
def test_a_missing_key_is_named_at_the_line_of_what_lacks_it(
    tmp_path: Path, old: str, new: str, pointer: str
) -> None:
    text = changed(SERVICE, old, new)
    ((file, line, found),) = problem_places(write_world(tmp_path, service=text))
    assert (file, found) == ("deputize.yaml", pointer)
    owner = {"spec.peer": "spec:", "kind": "apiVersion:"}.get(pointer, "- issuer:")
    assert line == line_of(text, owner)


@pytest.mark.parametrize(
    ("old", "new", "pointer"),
    [
        ("[orders]", "orders", "spec.issuers[0].audiences"),
        ("[orders]", "[7]", "spec.issuers[0].audiences[0]"),
        ("Millis: 2000", "Millis: '2000'", "spec.server.decisionTimeoutMillis"),
        ("Millis: 2000", "Millis: 2000.0", "spec.server.decisionTimeoutMillis"),
        ("Millis: 2000", "Millis: true", "spec.server.decisionTimeoutMillis"),
        ("Millis: 2000", "Millis: 0", "spec.server.decisionTimeoutMillis"),
        ("Millis: 2000", "Millis: 1e3", "spec.server.decisionTimeoutMillis"),
        ("file: jwks.json", "discovery: false", "spec.issuers[0].keys.discovery"),
        ("file: jwks.json", "discovery: 'true'", "spec.issuers[0].keys.discovery"),
        ("file: jwks.json", "url: ftp://a.example/x", "spec.issuers[0].keys.url"),
        ("[ES256]", "[HS256]", "spec.issuers[0].algorithms[0]"),
        ("[ES256]", "[none]", "spec.issuers[0].algorithms[0]"),
        ("[ES256]", "[ES256, ES256]", "spec.issuers[0].algorithms"),
        ("[ES256]", "[]", "spec.issuers[0].algorithms"),
        ("[prod.example.org]", "[Prod.example.org]", "spec.peer.trustDomains[0]"),
        ("[prod.example.org]", "['*']", "spec.peer.trustDomains[0]"),
        ("deputize.dev/v1alpha1", "deputize.dev/v2", "apiVersion"),
        ("ServiceConfig", "DelegationPolicy", "kind"),
        ("delaySeconds: 0", "delaySeconds: -1", "spec.server.drain.delaySeconds"),
    ],
)
def test_a_wrong_value_is_refused(tmp_path: Path, old: str, new: str, pointer: str) -> None:
    assert service_problem(tmp_path, old, new) == (pointer, True)


@pytest.mark.parametrize(
    ("old", "new", "pointer", "piece"),
    [
        ("file: jwks.json", "url: https://a.example\n        file: j", "spec.issuers[0].keys", ""),
        ("file: jwks.json", "refreshSeconds: 60", "spec.issuers[0].keys", ""),
        ("file: jwks.json", "file: j\n        caFile: c", "spec.issuers[0].keys", "keys:"),
        ("sink: file", "sink: stdout", "spec.audit", "audit:"),
        ("  audit:", "  token: {upstream: forward}\n  audit:", "spec.token", ""),
        ("  audit:", "  token: {forwardHeader: x-t}\n  audit:", "spec.token", ""),
        ("  audit:", "  upstream: {headerPrefix: d-}\n  audit:", "spec.upstream.headerPrefix", ""),
        ("  issuers:", "    source: metadata\n  issuers:", "spec.peer", ""),
        ("  issuers:", "    metadataNamespace: a\n  issuers:", "spec.peer", ""),
        ("  issuers:", "    source: waypoint-xfcc\n  issuers:", "spec.peer", ""),
        ("  issuers:", "    waypoints: ['spiffe://a/b']\n  issuers:", "spec.peer", ""),
        ("  issuers:", "    bundles: [{trustDomain: prod.example.org}]\n  issuers:",
         "spec.peer.bundles[0]", ""),
        ("  audit:", "  denyLists: [{}]\n  audit:", "spec.denyLists[0]", ""),
        ("  audit:", "  denyLists: [{file: a, url: 'https://a.example'}]\n  audit:",
         "spec.denyLists[0]", ""),
        ("  audit:", "  replay: {store: redis}\n  audit:", "spec.replay", ""),
        ("  audit:", "  replay: {urlFile: a}\n  audit:", "spec.replay", ""),
    ],
)  # fmt: skip
def test_keys_that_do_not_go_together_are_refused(
    tmp_path: Path, old: str, new: str, pointer: str, piece: str
) -> None:
    found, _ = service_problem(tmp_path, old, new, piece)
    assert found == pointer


def test_allowed_callers_need_an_authority(tmp_path: Path) -> None:
    tls = "tls: {certificateFile: c, privateKeyFile: k, allowedCallers: ['spiffe://a/b']}"
    text = changed(SERVICE, "    http:", f"      {tls}\n    http:")
    assert problem_places(write_world(tmp_path, service=text)) == [
        ("deputize.yaml", line_of(text, "tls:"), "spec.server.grpc.tls")
    ]


@pytest.mark.parametrize(
    ("old", "new", "pointer"),
    [
        ("[GET]", "[get]", "spec.rules[0].methods[0]"),
        ("[GET]", "[GET, '*']", None),
        ("[orders.example]", "[Orders.example]", "spec.rules[0].hosts[0]"),
        ('["/v1/orders/{id}"]', '["v1"]', "spec.rules[0].paths[0]"),
        ('["/v1/orders/{id}"]', '["/v1/../x"]', "spec.rules[0].paths[0]"),
        ("[spiffe://prod.example.org/ns/agents/sa/research]", "['*']", "spec.rules[0].agents[0]"),
        ("[orders:read]", "['a b']", "spec.rules[0].scopes[0]"),
        ("scopes:", "chain: {maxDepth: 0}\n      scopes:", "spec.rules[0].chain.maxDepth"),
        ("effect: allow", "effect: permit", "spec.rules[0].effect"),
        ("name: read", "name: Read", "spec.rules[0].name"),
        ("name: read", 'name: "read\\n"', "spec.rules[0].name"),
    ],
)
def test_a_rule_is_checked_piece_by_piece(
    tmp_path: Path, old: str, new: str, pointer: str | None
) -> None:
    if pointer is None:
        load(write_world(tmp_path, policy=changed(POLICY, old, new)))
        return
    found, _ = policy_problem(tmp_path, old, new)
    assert found == pointer


@pytest.mark.parametrize(
    ("old", "new", "pointer"),
    [
        ("      scopes: [orders:read]\n", "", "spec.rules[0]"),
        ("effect: allow", "effect: forbid", "spec.rules[0]"),
        ("anyone: true", "anyone: false", "spec.rules[0].onBehalfOf[0].anyone"),
        ("          anyone: true\n", "", "spec.rules[0].onBehalfOf[0]"),
        ("anyone: true", "anyone: true\n          subjects: [a]", "spec.rules[0].onBehalfOf[0]"),
        ("anyone: true", "claims: {}", "spec.rules[0].onBehalfOf[0].claims"),
        ("anyone: true", "claims: {groups: []}", "spec.rules[0].onBehalfOf[0].claims.groups"),
    ],
)
def test_a_rule_says_whom_it_is_for_and_what_it_needs(
    tmp_path: Path, old: str, new: str, pointer: str
) -> None:
    found, _ = policy_problem(tmp_path, old, new, "- name: read")
    assert found == pointer


def test_all_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    service = changed(SERVICE, "[ES256]", "[HS256]").replace("Millis: 2000", "Millis: x")
    policy = changed(POLICY, "[GET]", "[get]").replace("effect: allow", "effect: maybe")
    config_file = write_world(tmp_path, service=service, policy=policy)
    (tmp_path / "policies" / "b.yaml").write_text("a: 1\na: 2\n")
    (tmp_path / "policies" / "c.yml").write_text("kind: DelegationPolicy\n")
    places = problem_places(config_file)
    assert {(file, pointer) for file, _, pointer in places} == {
        ("deputize.yaml", "spec.issuers[0].algorithms[0]"),
        ("deputize.yaml", "spec.server.decisionTimeoutMillis"),
        ("orders.yaml", "spec.rules[0].methods[0]"),
        ("orders.yaml", "spec.rules[0].effect"),
        ("b.yaml", "a"),
        ("c.yml", "apiVersion"),
        ("c.yml", "metadata"),
        ("c.yml", "spec"),
    }
    assert places[0][0] == "deputize.yaml"
    assert [place for place in places if place[0] == "orders.yaml"] == [
        ("orders.yaml", line_of(policy, "effect:"), "spec.rules[0].effect"),
        ("orders.yaml", line_of(policy, "methods:"), "spec.rules[0].methods[0]"),
    ]


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    assert problem_places(write_world(tmp_path, service="[1, 2]\n")) == [("deputize.yaml", 1, "")]


def test_a_policy_problem_is_reported_though_the_service_file_is_wrong_elsewhere(
    tmp_path: Path,
) -> None:
    service = changed(SERVICE, "[ES256]", "[HS256]")
    policy = changed(POLICY, "[GET]", "[get]")
    files = {
        file for file, _, _ in problem_places(write_world(tmp_path, service=service, policy=policy))
    }
    assert files == {"deputize.yaml", "orders.yaml"}
