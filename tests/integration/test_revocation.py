"""Deny lists in files: what they name is refused within the bound, though it is remembered.

Source: docs/revocation.md, which states the bounds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from deputize.core.reasons import Reason
from tests.harness.config_files import replace_file
from tests.harness.deny_lists import deny_list
from tests.harness.grpc_client import ask, open_channel
from tests.harness.identity_provider import DENIED, IdentityProvider
from tests.harness.live import Live, Load, UnreadyProcess
from tests.harness.live_provider import Shown, running_with_provider, shown
from tests.harness.polling import wait_until
from tests.harness.world import AGENT, ISSUER_URL, OTHER_AGENT

SECONDS = 15
FILE_SECONDS = 5.0
LISTED = {"issuer": ISSUER_URL, "id": "t-1"}
FUTURE = "2100-01-01T00:00:00Z"

DENIALS: list[tuple[dict[str, object], Reason]] = [
    ({"tokens": [LISTED]}, Reason.TOKEN_REVOKED),
    ({"principals": [{"issuer": ISSUER_URL, "subject": "alice"}]}, Reason.TOKEN_REVOKED),
    ({"issuers": [ISSUER_URL]}, Reason.TOKEN_REVOKED),
    ({"issuedBefore": [{"issuer": ISSUER_URL, "time": FUTURE}]}, Reason.TOKEN_REVOKED),
    (
        {"issuedBefore": [{"issuer": ISSUER_URL, "subject": "alice", "time": FUTURE}]},
        Reason.TOKEN_REVOKED,
    ),
    ({"issuedBefore": [{"agent": AGENT, "time": FUTURE}]}, Reason.TOKEN_REVOKED),
    ({"agents": [AGENT]}, Reason.PEER_SUSPENDED),
]


def with_file(spec: dict[str, Any], _provider: IdentityProvider) -> None:
    spec["denyLists"] = [{"file": "deny.yaml"}]


def without_lists(_spec: dict[str, Any], _provider: IdentityProvider) -> None:
    """As it is."""


def show(
    live: Live,
    *,
    subject: str = "alice",
    chain: Sequence[str] = (),
    claims: Mapping[str, object] = MappingProxyType({}),
) -> Shown:
    token = live.issuer.issue(subject=subject, chain=chain, now=time.time(), claims=claims)
    return shown(live, token)


@dataclass(frozen=True, slots=True)
class Listing:
    """A service with one deny list, in a file."""

    live: Live
    file: Path

    def replace(self, **spec: object) -> None:
        """Writes another list."""
        replace_file(self.file, deny_list(**spec))


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listing]:
    folder = tmp_path_factory.mktemp("listing")
    file = folder / "deny.yaml"
    file.write_text(deny_list())
    with running_with_provider(folder, with_file) as (live, _provider):
        yield Listing(live, file)


@pytest.fixture
def listing(started: Listing) -> Listing:
    """Nothing is listed at first."""
    started.replace()
    show(started.live, claims={"jti": "t-1"}).becomes(Reason.POLICY_ALLOWED, FILE_SECONDS)
    return started


def test_what_is_listed_is_refused_until_it_is_listed_no_more(listing: Listing) -> None:
    token = show(listing.live, claims={"jti": "t-1"})
    assert token.reason() == Reason.POLICY_ALLOWED
    for spec, reason in DENIALS:
        listing.replace(**spec)
        token.becomes(reason, FILE_SECONDS)
        listing.replace()
        token.becomes(Reason.POLICY_ALLOWED, FILE_SECONDS)


def test_others_are_let_in_meanwhile(listing: Listing) -> None:
    cut = int(time.time()) - 60
    token, other, old = (
        show(listing.live, claims={"jti": "t-1"}),
        show(listing.live, subject="bob", claims={"iat": cut}),
        show(listing.live, subject="bob", claims={"iat": cut - 1}),
    )
    for each in (token, other, old):
        assert each.reason() == Reason.POLICY_ALLOWED
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(cut))
    listing.replace(tokens=[LISTED], issuedBefore=[{"issuer": ISSUER_URL, "time": moment}])
    token.becomes(Reason.TOKEN_REVOKED, FILE_SECONDS)
    assert old.reason() == Reason.TOKEN_REVOKED
    assert other.reason() == Reason.POLICY_ALLOWED


def test_a_suspended_agent_stops_every_chain_it_is_in(listing: Listing) -> None:
    alone, behind = show(listing.live), show(listing.live, chain=[OTHER_AGENT])
    assert behind.reason() == alone.reason() == Reason.POLICY_ALLOWED
    listing.replace(agents=[OTHER_AGENT])
    behind.becomes(Reason.DELEGATION_MEMBER_REFUSED, FILE_SECONDS)
    assert alone.reason() == Reason.POLICY_ALLOWED
    listing.replace()
    behind.becomes(Reason.POLICY_ALLOWED, FILE_SECONDS)


def test_a_broken_list_leaves_the_last_good_one_and_a_warning(listing: Listing) -> None:
    live, token = listing.live, show(listing.live)
    listing.replace(agents=[AGENT])
    token.becomes(Reason.PEER_SUSPENDED, FILE_SECONDS)
    listing.replace(agents=["not a SPIFFE ID"])
    wait_until(lambda: "deny.yaml" in str(live.readiness()["warnings"]), SECONDS)
    assert token.reason() == Reason.PEER_SUSPENDED
    assert live.readiness()["ready"] is True
    listing.replace()
    token.becomes(Reason.POLICY_ALLOWED, FILE_SECONDS)
    wait_until(lambda: live.readiness()["warnings"] == [], SECONDS)


def test_a_list_that_is_written_again_and_again_never_lets_go(listing: Listing) -> None:
    live = listing.live
    listed = show(live, claims={"jti": "t-1"})
    listing.replace(tokens=[LISTED])
    listed.becomes(Reason.TOKEN_REVOKED, FILE_SECONDS)
    with (
        open_channel(live.address) as channel,
        Load(lambda: ask(channel, listed.octets).reason, callers=2) as revoked,
        Load(lambda: ask(channel, live.check()).reason, callers=2) as others,
    ):
        for number in range(2, 6):
            more = show(live, claims={"jti": f"t-{number}"})
            listing.replace(tokens=[LISTED, {"issuer": ISSUER_URL, "id": f"t-{number}"}])
            more.becomes(Reason.TOKEN_REVOKED, FILE_SECONDS)
        revoked.wait_for_more(10)
    assert set(revoked.outcomes) == {Reason.TOKEN_REVOKED}
    assert set(others.outcomes) == {Reason.POLICY_ALLOWED}


def test_a_list_that_is_not_there_refuses_every_call(tmp_path: Path) -> None:
    with running_with_provider(tmp_path, with_file, UnreadyProcess) as (live, _provider):
        wait_until(lambda: live.ask().reason == Reason.SYSTEM_STATUS_UNAVAILABLE, SECONDS)
        assert "deny.yaml" in str(live.readiness()["waiting_for"])
        (tmp_path / "deny.yaml").write_text(deny_list())
        live.wait_for_reason(Reason.POLICY_ALLOWED)


@pytest.mark.parametrize("kind", ["file", "url"])
def test_a_new_list_comes_with_its_configuration(tmp_path: Path, kind: str) -> None:
    """There is no moment in which its tokens are let in, or in which all are refused."""
    (tmp_path / "deny.yaml").write_text(deny_list(tokens=[LISTED]))
    with (
        running_with_provider(tmp_path, without_lists) as (live, provider),
        open_channel(live.address) as channel,
    ):
        provider.denied = {"tokens": [LISTED]}
        sources: Mapping[str, dict[str, object]] = {
            "file": {"file": "deny.yaml"},
            "url": {"url": f"{provider.url}{DENIED}"},
        }
        listed = show(live, claims={"jti": "t-1"}).octets
        seen: list[str] = []

        def ask_listed() -> str:
            seen.append(ask(channel, listed).reason)
            return seen[-1]

        # One caller, so that the answers are noted in the order of the decisions.
        with (
            Load(ask_listed, callers=1) as revoked,
            Load(lambda: ask(channel, live.check()).reason) as others,
        ):
            revoked.wait_for_more(20)
            live.change_config(lambda spec: spec.update(denyLists=[sources[kind]]))
            wait_until(lambda: seen[-1] == Reason.TOKEN_REVOKED, SECONDS)
            revoked.wait_for_more(20)
            others.wait_for_more(20)
        assert set(others.outcomes) == {Reason.POLICY_ALLOWED}
        first = seen.index(Reason.TOKEN_REVOKED)
        assert set(seen[:first]) == {Reason.POLICY_ALLOWED}
        assert set(seen[first:]) == {Reason.TOKEN_REVOKED}
