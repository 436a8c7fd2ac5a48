"""TLS on the gRPC port: who gets a connection, who may ask, and certificates that change."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from deputize.core.reasons import Reason
from tests.harness.grpc_client import ask, call, check_method, health, open_channel
from tests.harness.live import Live, Load, running_live
from tests.harness.polling import wait_until
from tests.harness.spiffe_ca import SpiffeCa, Svid
from tests.harness.world import PROXY, TRUST_DOMAIN

SECONDS = 15
OTHER_PROXY = f"spiffe://{TRUST_DOMAIN}/ns/edge/sa/other"
NAME = "deputize.example"
OPTIONS = [("grpc.ssl_target_name_override", NAME)]


@dataclass(frozen=True, slots=True)
class Guarded:
    """A service with TLS, its authority, and the certificate files that it reads."""

    live: Live
    authority: SpiffeCa
    certificate_file: Path
    key_file: Path

    @contextmanager
    def channel(self, svid: Svid | None) -> Iterator[grpc.Channel]:
        """A connection of its own with this certificate."""
        pair = (svid.private_key_pem, svid.certificate_pem) if svid else (None, None)
        root = self.authority.certificate_file.read_bytes()
        credentials = grpc.ssl_channel_credentials(root, *pair)
        with open_channel(self.live.address, credentials, OPTIONS) as channel:
            yield channel

    def served(self) -> bytes:
        """The certificate that a new connection gets, as PEM."""
        host, _, port = self.live.address.rpartition(":")
        return ssl.get_server_certificate((host, int(port))).strip().encode()

    def wait_until_served(self, svid: Svid) -> None:
        wait_until(lambda: self.served() == svid.certificate_pem.strip(), SECONDS)

    def put(self, svid: Svid, *, key: bool = True, certificate: bool = True) -> None:
        """Replaces the service's files, as a certificate agent does it."""
        if certificate:
            replace_file(self.certificate_file, svid.certificate_pem)
        if key:
            replace_file(self.key_file, svid.private_key_pem)


def replace_file(path: Path, octets: bytes) -> None:
    draft = path.with_suffix(".draft")
    draft.write_bytes(octets)
    draft.replace(path)


@contextmanager
def running_guarded(folder: Path, tls: dict[str, Any]) -> Iterator[Guarded]:
    """Starts it; `tls` are further settings."""
    files = folder / "tls"
    files.mkdir(parents=True)
    authority = SpiffeCa(TRUST_DOMAIN, files)
    own = authority.issue("own", dns=[NAME])

    def change(spec: dict[str, Any]) -> None:
        spec["server"]["grpc"]["tls"] = {
            "certificateFile": "tls/served.pem",
            "privateKeyFile": "tls/served.key",
            **tls,
        }

    replace_file(files / "served.pem", own.certificate_pem)
    replace_file(files / "served.key", own.private_key_pem)
    with running_live(folder, change=change) as live:
        yield Guarded(live, authority, files / "served.pem", files / "served.key")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Asks callers for a certificate and has a list of them."""
    tls = {"clientCaFile": "tls/ca.pem", "allowedCallers": [PROXY]}
    with running_guarded(tmp_path_factory.mktemp("tls"), tls) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(guarded: Guarded) -> Svid:
    return guarded.authority.issue("proxy", uris=[PROXY])


def is_connected(guarded: Guarded, svid: Svid | None) -> bool:
    with guarded.channel(svid) as channel:
        code, _ = call(check_method(channel), guarded.live.check())
    assert code in {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
    return code is grpc.StatusCode.OK


def test_a_caller_on_the_list_may_ask(guarded: Guarded, proxy: Svid) -> None:
    with guarded.channel(proxy) as channel:
        assert ask(channel, guarded.live.check()).allowed
        wait_until(lambda: health(channel) == "SERVING", SECONDS)


@pytest.mark.parametrize(
    ("name", "uris"),
    [
        ("other", (OTHER_PROXY,)),
        ("two", (PROXY, OTHER_PROXY)),
        ("also-web", (PROXY, "https://a.example")),
        ("none", ()),
    ],
)
def test_another_caller_is_refused_by_an_answer(
    guarded: Guarded, name: str, uris: tuple[str, ...]
) -> None:
    svid = guarded.authority.issue(name, uris=uris, dns=["proxy.example"])
    with guarded.channel(svid) as channel:
        verdict = ask(channel, guarded.live.check())
    assert (verdict.allowed, verdict.reason) == (False, Reason.PEER_UNTRUSTED_SOURCE)
    event = guarded.live.process.audit_event(verdict.decision_id)
    assert event["reason"] == Reason.PEER_UNTRUSTED_SOURCE


def test_a_name_that_looks_like_the_caller_in_another_field_is_refused(guarded: Guarded) -> None:
    svid = guarded.authority.issue("look-alike", dns=[PROXY.removeprefix("spiffe://")])
    with guarded.channel(svid) as channel:
        assert ask(channel, guarded.live.check()).reason == Reason.PEER_UNTRUSTED_SOURCE


def test_without_a_certificate_there_is_no_connection(guarded: Guarded) -> None:
    assert not is_connected(guarded, None)


def test_a_certificate_of_another_authority_gives_no_connection(
    guarded: Guarded, tmp_path: Path
) -> None:
    assert not is_connected(guarded, SpiffeCa(TRUST_DOMAIN, tmp_path).issue("x", uris=[PROXY]))


def test_plain_text_gives_no_connection(guarded: Guarded) -> None:
    with open_channel(guarded.live.address) as channel:
        code, _ = call(check_method(channel), guarded.live.check())
    assert code is grpc.StatusCode.UNAVAILABLE


def test_a_new_certificate_is_used_without_a_failing_call(guarded: Guarded, proxy: Svid) -> None:
    def ask_over_a_new_connection() -> str:
        with guarded.channel(proxy) as channel:
            return ask(channel, guarded.live.check()).reason

    with ExitStack() as stack:
        long_lived = stack.enter_context(guarded.channel(proxy))
        load = stack.enter_context(Load(ask_over_a_new_connection))
        for name in ("second", "third"):
            new = guarded.authority.issue(name, dns=[NAME])
            guarded.put(new)
            guarded.wait_until_served(new)
            load.wait_for_more(10)
            assert ask(long_lived, guarded.live.check()).allowed
    assert set(load.outcomes) == {Reason.POLICY_ALLOWED}


def test_a_pair_that_does_not_fit_is_not_used(guarded: Guarded, proxy: Svid) -> None:
    before = guarded.served()
    new = guarded.authority.issue("half", dns=[NAME])
    guarded.put(new, key=False)
    assert is_connected(guarded, proxy)
    assert guarded.served() == before
    guarded.put(new, certificate=False)
    assert is_connected(guarded, proxy)
    assert guarded.served() == new.certificate_pem.strip()


@pytest.mark.parametrize("octets", [b"", b"garbage"])
def test_a_broken_certificate_is_not_used(guarded: Guarded, proxy: Svid, octets: bytes) -> None:
    before, good = guarded.served(), guarded.certificate_file.read_bytes()
    replace_file(guarded.certificate_file, octets)
    assert is_connected(guarded, proxy)
    assert guarded.served() == before
    replace_file(guarded.certificate_file, good)


def test_a_further_authority_of_callers_is_trusted_without_a_restart(
    guarded: Guarded, tmp_path: Path
) -> None:
    second = SpiffeCa("further.example.org", tmp_path)
    svid = second.issue("x", uris=[PROXY])
    assert not is_connected(guarded, svid)
    first = guarded.authority.certificate_file.read_bytes()
    replace_file(guarded.authority.certificate_file, first + second.certificate_file.read_bytes())
    assert is_connected(guarded, svid)
    replace_file(guarded.authority.certificate_file, first)
    assert not is_connected(guarded, svid)


def test_without_an_authority_for_callers_nobody_needs_a_certificate(tmp_path: Path) -> None:
    with running_guarded(tmp_path, {}) as open_to_all, open_to_all.channel(None) as channel:
        assert ask(channel, open_to_all.live.check()).allowed


def test_without_a_list_every_caller_with_a_certificate_may_ask(tmp_path: Path) -> None:
    with running_guarded(tmp_path, {"clientCaFile": "tls/ca.pem"}) as guarded:
        svid = guarded.authority.issue("other", uris=[OTHER_PROXY])
        with guarded.channel(svid) as channel:
            assert ask(channel, guarded.live.check()).allowed
        assert not is_connected(guarded, None)
