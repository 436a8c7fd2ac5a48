"""`serve` refuses to start with what it cannot use: exit code 2, and it says where."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.config_files import POLICY, SERVICE, changed, line_of, write_world
from tests.harness.issuer import Issuer
from tests.harness.loopback import HOST
from tests.harness.world import ISSUER_URL

SECONDS = 30


def serve(config_file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deputize.cli.main", "serve", "--config", str(config_file)]
    return subprocess.run(  # noqa: S603 - our own command
        [*command, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False
    )


def test_a_broken_policy(tmp_path: Path) -> None:
    policy = changed(POLICY, "[GET]", "[get]")
    result = serve(write_world(tmp_path, policy=policy))
    assert result.returncode == 2
    place = f"{tmp_path / 'policies' / 'orders.yaml'}:{line_of(policy, '[get]')}: spec.rules[0]"
    assert place in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("port_of", ['"127.0.0.1:0"', "listen: 127.0.0.1:0"])
def test_a_port_that_is_taken(tmp_path: Path, port_of: str) -> None:
    with socket.create_server((HOST, 0)) as taken:
        address = f"{HOST}:{taken.getsockname()[1]}"
        service = changed(SERVICE, port_of, port_of.replace("127.0.0.1:0", address))
        result = serve(write_world(tmp_path, service=service, issuer=Issuer(ISSUER_URL)))
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"127.0.0.1:0"', '"nonsense"'),
        ("listen: 127.0.0.1:0", "listen: nonsense"),
        ("listen: 127.0.0.1:0", "listen: 127.0.0.1:99999"),
        ("file: audit.jsonl", "file: missing/audit.jsonl"),
        ("    http:", "      tls: {certificateFile: c, privateKeyFile: k}\n    http:"),
    ],
    ids=["grpc address", "http address", "http port", "audit file", "certificate"],
)
def test_a_setting_that_only_shows_at_the_start(tmp_path: Path, old: str, new: str) -> None:
    service = changed(SERVICE, old, new)
    result = serve(write_world(tmp_path, service=service, issuer=Issuer(ISSUER_URL)))
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "Errno" not in result.stderr


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    tls = "      tls: {certificateFile: missing.crt, privateKeyFile: k}\n    http:"
    config = write_world(
        tmp_path, service=changed(SERVICE, "    http:", tls), issuer=Issuer(ISSUER_URL)
    )
    assert f"{tmp_path / 'missing.crt'}: " in serve(config).stderr


def test_a_log_level_that_is_none(tmp_path: Path) -> None:
    assert serve(write_world(tmp_path), "--log-level", "loud").returncode == 2
