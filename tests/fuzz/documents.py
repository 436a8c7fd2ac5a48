"""Targets whose input is a document or a header: what is read is sound, or it is refused.

Each is a plain function of bytes that returns when its law holds, and needs no fuzzer. An
exception other than the documented one is a finding.
"""

from __future__ import annotations

import math
from functools import cache

from deputize.config.compiler import compile_config
from deputize.config.deny_list import parse_deny_list
from deputize.config.policy_schema import DelegationPolicy
from deputize.config.problems import ConfigError
from deputize.config.references import check_references, known_names
from deputize.config.schema import ServiceConfig
from deputize.config.strict_yaml import Document, Location, Value, parse_documents
from deputize.config.validation import validate
from deputize.core.bundles import MAX_ENTRIES, BundleError, is_issued_by, parse_bundle
from deputize.core.jws import JwsError
from deputize.core.keys import MAX_KEYS, Algorithm, parse_jwk_set, verify_signature
from deputize.core.spiffe import TrustDomain, parse_spiffe_id
from deputize.core.svid import read_escaped_svid
from deputize.core.xfcc import XfccError, parse_waypoint_xfcc
from tests.harness.vector_files import WORLD
from tests.harness.world import NOW, TRUST_DOMAIN, make_svid

_DOMAIN = TrustDomain(TRUST_DOMAIN)
_MAX_SIGNATURE = 1024


def fuzz_xfcc(octets: bytes) -> None:
    """A header that is read says exactly what was read, and nothing more."""
    value = octets.decode("utf-8", "replace")
    try:
        said = parse_waypoint_xfcc(value)
    except XfccError:
        return
    assert f"By={said.by.text};URI={said.uri.text}" == value


def fuzz_jwks(octets: bytes) -> None:
    """Each entry is a usable key or left out with a reason; a usable key verifies no garbage."""
    try:
        usable, left_out = parse_jwk_set(octets, tuple(Algorithm))
    except JwsError:
        return
    assert len(usable) + len(left_out) <= MAX_KEYS
    signature = octets[:_MAX_SIGNATURE]
    for name, key in usable.items():
        assert name == key.key_id
        for forged in (signature, bytes(64), bytes(96), bytes(256)):
            assert not verify_signature(key, b"never signed", forged)


def fuzz_bundle(octets: bytes) -> None:
    """A bundle is one of its trust domain, or is refused; it issued no certificate of another."""
    try:
        bundle = parse_bundle(octets, _DOMAIN)
    except BundleError:
        return
    assert bundle.trust_domain == _DOMAIN
    assert len(bundle.authorities) <= MAX_ENTRIES
    assert not is_issued_by(bundle, read_escaped_svid(_stranger()), NOW)


def fuzz_config(octets: bytes) -> None:
    """Configuration or policy: every value has its line, and what is wrong is a `ConfigError`."""
    try:
        documents = parse_documents(octets, "fuzz.yaml")
    except ConfigError as error:
        _check_problems(error)
        return
    for document in documents:
        _check_value(document, document.value, ())
        known_names(document)
        try:
            service = validate(ServiceConfig, document)
            compile_config(service.spec, document, [])
        except ConfigError as error:
            _check_problems(error)
        service, service_document = _good_service()
        check_references(document, known_names(service_document))
        try:
            policy = validate(DelegationPolicy, document)
        except ConfigError as error:
            _check_problems(error)
        else:
            compile_config(service.spec, service_document, [(policy, document)])


def fuzz_deny_list(octets: bytes) -> None:
    """A list is read whole or refused; what it revokes can be looked up."""
    try:
        revoked = parse_deny_list(octets, "fuzz.yaml")
    except ConfigError as error:
        _check_problems(error)
        return
    assert all(parse_spiffe_id(agent).text == agent for agent in revoked.agents)
    for issuer, token in revoked.tokens:
        assert revoked.why_token_revoked(issuer, token, "alice", NOW)
    for issuer, subject in revoked.principals:
        assert revoked.why_token_revoked(issuer, "token", subject, NOW)
    for issuer in revoked.issuers:
        assert revoked.why_token_revoked(issuer, "token", "alice", NOW)
    for issuer, moment in revoked.issuer_cutoffs.items():
        assert revoked.why_token_revoked(issuer, "token", "alice", moment - 1)
    assert all(map(math.isfinite, revoked.agent_cutoffs.values()))


def _check_problems(error: ConfigError) -> None:
    """There is one, and each is a line for a person."""
    assert error.problems
    assert all(str(problem).isprintable() for problem in error.problems)


def _check_value(document: Document, value: Value, location: Location) -> None:
    assert document.lines[location] >= 1
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_value(document, inner, (*location, name))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            _check_value(document, inner, (*location, position))
    elif isinstance(value, float):
        assert math.isfinite(value)


@cache
def _good_service() -> tuple[ServiceConfig, Document]:
    (document,) = parse_documents((WORLD / "config.yaml").read_bytes(), "config.yaml")
    return validate(ServiceConfig, document), document


@cache
def _stranger() -> str:
    """A certificate that only itself has signed."""
    return make_svid()
