"""Looking at a URL: whatever answers, it ends, asks nobody else, and steers nothing."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deputize.cli.main import app
from deputize.config.loader import load
from deputize.doctor import http_look
from deputize.doctor.findings import Code, Report
from deputize.doctor.http_look import LookError, look
from deputize.doctor.live_http import ask_service
from tests.harness.config_files import SERVICE, changed, write_world
from tests.harness.loopback import HOST, http_server


@contextmanager
def answering(
    status: int, body: bytes, headers: dict[str, str] | None = None
) -> Iterator[tuple[str, list[str]]]:
    """A server that gives this answer to everything, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            assert "authorization" not in self.headers
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Says nothing."""

    with http_server(Handler) as port:
        yield f"http://{HOST}:{port}", asked


@contextmanager
def dripping(octets: bytes) -> Iterator[str]:
    """A server that says this, and then a letter whenever one could give up."""
    over = threading.Event()
    with socket.create_server((HOST, 0)) as listener:

        def serve() -> None:
            stream, _ = listener.accept()
            with stream:
                stream.sendall(octets)
                while not over.wait(0.02):
                    try:
                        stream.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


def codes(url: str) -> set[Code]:
    report = Report()
    ask_service(url, None, report)
    return {each.code for each in report.findings}


def test_a_redirect_is_no_answer_and_not_followed() -> None:
    with answering(200, b"{}") as (other, asked_there):
        with answering(302, b"", {"location": f"{other}/readyz"}) as (url, asked):
            assert codes(url) == {Code.NO_ANSWER}
        assert asked == ["/readyz"]
        assert asked_there == []


@pytest.mark.parametrize("octets", [b"", b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_drips_is_given_up(octets: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_look, "SECONDS", 0.3)
    begun = time.monotonic()
    with dripping(octets) as url, pytest.raises(LookError):
        look(url)
    assert time.monotonic() - begun < 5


def test_too_large_an_answer_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_look, "MAX_BYTES", 1000)
    with answering(200, b"x" * 1001) as (url, _), pytest.raises(LookError):
        look(url)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "http://a:b@127.0.0.1/", "http://", "http://127.0.0.1:99999/"]
)
def test_what_is_no_url_of_http_is_refused(url: str) -> None:
    with pytest.raises(LookError):
        look(url)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"waiting_for": 1, "warnings": []}',
        b"\xff",
        b'{"ready": true}',
    ],
    ids=lambda body: str(body[:20]),
)
def test_an_answer_that_is_not_ours_is_told(body: bytes) -> None:
    with answering(200, body) as (url, _):
        assert codes(url) == {Code.NO_ANSWER}


def test_metrics_that_are_none_are_told() -> None:
    # Both paths get the same answer, which is good for one of them.
    body = json.dumps({"waiting_for": [], "warnings": [], "policy_digest": ""}).encode()
    with answering(200, body) as (url, asked):
        assert codes(url) == {Code.NO_ANSWER}
        assert asked == ["/readyz", "/metrics"]


def test_what_a_service_says_steers_no_terminal() -> None:
    said = "\x1b[2J\u202e\nerror: forged" + "x" * 10_000
    body = json.dumps({"waiting_for": [said], "warnings": [said], "policy_digest": said})
    with answering(503, body.encode()) as (url, _):
        result = CliRunner().invoke(app, ["doctor", "--url", url])
        written = CliRunner().invoke(app, ["doctor", "--url", url, "--format", "json"])
    assert all(line.isprintable() for line in result.stdout.splitlines())
    assert max(map(len, result.stdout.splitlines())) < 1000
    assert written.stdout.isascii()
    assert "\x1b" not in written.stdout


@pytest.mark.parametrize(
    ("settings", "codes"), [("", {Code.OTHER_CONFIG}), ("  kubernetes: {namespaces: [a]}\n", set())]
)
def test_another_digest_tells_of_other_files_unless_there_are_objects(
    settings: str, codes: set[Code], tmp_path: Path
) -> None:
    service = changed(SERVICE, "  policies: [policies]\n", f"  policies: [policies]\n{settings}")
    loaded = load(write_world(tmp_path, service=service))
    body = json.dumps({"waiting_for": [], "warnings": [], "policy_digest": "0" * 64}).encode()
    report = Report()
    with answering(200, body) as (url, _):
        ask_service(url, loaded, report)
    assert {each.code for each in report.findings} - {Code.NO_ANSWER} == codes
