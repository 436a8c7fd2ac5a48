from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from deputize.config.schema import GrpcTls
from deputize.server.tls import TlsFiles
from tests.harness.spiffe_ca import SpiffeCa, Svid
from tests.harness.world import TRUST_DOMAIN


@pytest.fixture
def authority(tmp_path: Path) -> SpiffeCa:
    folder = tmp_path / "ca"
    folder.mkdir()
    return SpiffeCa(TRUST_DOMAIN, folder)


@pytest.fixture
def settings(tmp_path: Path, authority: SpiffeCa) -> GrpcTls:
    settings = GrpcTls(
        certificateFile=str(tmp_path / "tls.pem"),
        privateKeyFile=str(tmp_path / "tls.key"),
        clientCaFile=str(authority.certificate_file),
    )
    put(settings, authority.issue("first", dns=["localhost"]))
    return settings


def put(settings: GrpcTls, svid: Svid, *, key: bool = True, certificate: bool = True) -> None:
    """Replaces the files, as an editor or a mounted secret does it."""
    pairs = [
        (Path(settings.certificate_file), svid.certificate_pem, certificate),
        (Path(settings.private_key_file), svid.private_key_pem, key),
    ]
    for path, octets, wanted in pairs:
        if wanted:
            draft = path.with_suffix(".draft")
            draft.write_bytes(octets)
            draft.replace(path)


def is_new(result: grpc.ServerCertificateConfiguration | None) -> bool:
    return result is not None


def test_unchanged_files_are_not_read_again(settings: GrpcTls) -> None:
    files = TlsFiles(settings)
    assert not is_new(files.read())


def test_a_new_pair_is_used_once_it_is_complete(settings: GrpcTls, authority: SpiffeCa) -> None:
    files, second = TlsFiles(settings), authority.issue("second", dns=["localhost"])
    put(settings, second, key=False)
    assert not is_new(files.read())
    put(settings, second, certificate=False)
    assert is_new(files.read())
    assert not is_new(files.read())


def test_new_authorities_are_used(settings: GrpcTls, authority: SpiffeCa) -> None:
    files = TlsFiles(settings)
    authority.certificate_file.write_bytes(authority.certificate_file.read_bytes() * 2)
    assert is_new(files.read())


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-40]),
        lambda path: path.write_bytes(b"\xff" * 100),
    ],
    ids=["gone", "empty", "cut off", "binary"],
)
@pytest.mark.parametrize("name", ["certificate_file", "private_key_file", "client_ca_file"])
def test_a_damaged_file_leaves_the_last_good_ones(
    settings: GrpcTls, name: str, damage: Callable[[Path], object]
) -> None:
    files, path = TlsFiles(settings), Path(getattr(settings, name))
    good = path.read_bytes()
    damage(path)
    assert not is_new(files.read())
    path.write_bytes(good)
    assert is_new(files.read())


def test_a_pair_that_does_not_fit_is_an_error_at_the_start(
    settings: GrpcTls, authority: SpiffeCa
) -> None:
    put(settings, authority.issue("second", dns=["localhost"]), key=False)
    with pytest.raises(ValueError, match="belong"):
        TlsFiles(settings)


def test_a_missing_file_is_an_error_at_the_start(settings: GrpcTls) -> None:
    Path(settings.private_key_file).unlink()
    with pytest.raises(FileNotFoundError):
        TlsFiles(settings)


def test_an_encrypted_key_is_an_error_at_the_start(settings: GrpcTls) -> None:
    path = Path(settings.private_key_file)
    key = load_pem_private_key(path.read_bytes(), password=None)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(ValueError, match="key"):
        TlsFiles(settings)
