"""What a configuration needs from others: one fault of each, with its code and no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from deputize.config.loader import load
from deputize.doctor.findings import Code, Report
from deputize.doctor.live_sources import ask_sources
from tests.harness.certificates import make_certificate, to_pem
from tests.harness.config_files import SERVICE, changed, write_world
from tests.harness.deny_lists import deny_list
from tests.harness.issuer import Issuer
from tests.harness.jwks_endpoint import running_jwks_endpoint
from tests.harness.loopback import HOST, free_port, http_server
from tests.harness.world import ISSUER_URL

DAY = 86400
PASSWORD = "correct-horse"

Fault = Callable[[Path], Iterator[str]]
"""Prepares a folder, and gives the configuration."""


def with_keys(source: str) -> str:
    return changed(SERVICE, "file: jwks.json", source)


def with_settings(text: str) -> str:
    return changed(SERVICE, "  policies: [policies]\n", f"  policies: [policies]\n{text}")


def with_certificate(folder: Path, octets: bytes) -> str:
    (folder / "tls.pem").write_bytes(octets)
    tls = "      tls: {certificateFile: tls.pem, privateKeyFile: tls.key}\n"
    return changed(
        SERVICE, '      listen: ["127.0.0.1:0"]\n', f'      listen: ["127.0.0.1:0"]\n{tls}'
    )


def nobody(_folder: Path) -> Iterator[str]:
    yield with_keys(f"url: http://{HOST}:{free_port()}/keys")


def no_keys(_folder: Path) -> Iterator[str]:
    with running_jwks_endpoint(lambda: b'{"keys": []}') as url:
        yield with_keys(f"url: {url}")


def other_keys(folder: Path) -> Iterator[str]:
    (folder / "other.json").write_bytes(Issuer(ISSUER_URL, algorithm="ES384").jwks())
    yield with_keys("file: other.json")


def slow_clock(_folder: Path) -> Iterator[str]:
    body = Issuer(ISSUER_URL).jwks()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string((timestamp or time.time()) - 120)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Says nothing."""

    with http_server(Handler) as port:
        yield with_keys(f"url: http://{HOST}:{port}/keys")


def no_deny_list(_folder: Path) -> Iterator[str]:
    yield with_settings("  denyLists: [{file: deny.yaml}]\n")


def bad_deny_list(folder: Path) -> Iterator[str]:
    (folder / "deny.yaml").write_text(deny_list(agent=["spiffe://a/b"]))
    yield with_settings("  denyLists: [{file: deny.yaml}]\n")


def deny_list_of_nobody(_folder: Path) -> Iterator[str]:
    yield with_settings(f"  denyLists: [{{url: http://{HOST}:{free_port()}/deny}}]\n")


def no_redis(folder: Path) -> Iterator[str]:
    (folder / "redis").write_text(f"redis://user:{PASSWORD}@{HOST}:{free_port()}/0\n")
    yield with_settings("  replay: {store: redis, urlFile: redis}\n")


def bad_redis_url(folder: Path) -> Iterator[str]:
    (folder / "redis").write_text(f"redis://user:{PASSWORD}@{HOST}:port")
    yield with_settings("  replay: {store: redis, urlFile: redis}\n")


def ending_certificate(folder: Path) -> Iterator[str]:
    now = time.time()
    certificate = make_certificate(not_before=now - 9 * DAY, not_after=now + DAY)
    yield with_certificate(folder, to_pem(certificate))


def ended_certificate(folder: Path) -> Iterator[str]:
    yield with_certificate(folder, to_pem(make_certificate(not_after=time.time() - DAY)))


def early_certificate(folder: Path) -> Iterator[str]:
    yield with_certificate(folder, to_pem(make_certificate(not_before=time.time() + DAY)))


def no_certificate(folder: Path) -> Iterator[str]:
    yield with_certificate(folder, b"-----BEGIN CERTIFICATE-----\n")


def ended_authorities(folder: Path) -> Iterator[str]:
    (folder / "deny.yaml").write_text(deny_list())
    (folder / "ca.pem").write_bytes(to_pem(make_certificate(not_after=time.time() - DAY)) * 2)
    yield with_settings("  denyLists: [{file: deny.yaml, caFile: ca.pem}]\n")


FAULTS: dict[Fault, Code] = {
    nobody: Code.KEYS_UNREACHABLE,
    no_keys: Code.KEYS_UNUSABLE,
    other_keys: Code.KEYS_UNUSABLE,
    slow_clock: Code.CLOCK_SKEW,
    no_deny_list: Code.DENY_LIST_UNREACHABLE,
    bad_deny_list: Code.DENY_LIST_UNUSABLE,
    deny_list_of_nobody: Code.DENY_LIST_UNREACHABLE,
    no_redis: Code.REDIS_UNREACHABLE,
    bad_redis_url: Code.REDIS_UNREACHABLE,
    ending_certificate: Code.CERTIFICATE_EXPIRING,
    ended_certificate: Code.CERTIFICATE_UNUSABLE,
    early_certificate: Code.CERTIFICATE_UNUSABLE,
    no_certificate: Code.CERTIFICATE_UNUSABLE,
    ended_authorities: Code.CERTIFICATE_UNUSABLE,
}


def ask(folder: Path, service: str) -> Report:
    report = Report()
    ask_sources(load(write_world(folder, service=service, issuer=Issuer(ISSUER_URL))), report)
    return report


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_gives_its_code_and_no_other(fault: Fault, tmp_path: Path) -> None:
    with contextmanager(fault)(tmp_path) as service:
        report = ask(tmp_path, service)
    assert {each.code for each in report.findings} == {FAULTS[fault]}
    assert all(PASSWORD not in f"{each.where} {each.cause}" for each in report.findings)


def test_what_can_be_had_is_silent(tmp_path: Path) -> None:
    (tmp_path / "deny.yaml").write_text(deny_list())
    old = make_certificate(not_after=time.time() - DAY)
    # Of several authorities one that is good is enough.
    (tmp_path / "ca.pem").write_bytes(to_pem(old) + to_pem(make_certificate()))
    (tmp_path / "tls.pem").write_bytes(to_pem(make_certificate()))
    settings = "  denyLists: [{file: deny.yaml, caFile: ca.pem}]\n"
    with running_jwks_endpoint(Issuer(ISSUER_URL).jwks) as url:
        service = changed(with_settings(settings), "file: jwks.json", f"url: {url}")
        report = ask(tmp_path, service)
    assert report.findings == set()
    assert len(report.checked) == 3
