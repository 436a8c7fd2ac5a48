"""The image that the Dockerfile describes, built and run."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.harness.loopback import HOST, free_port, get
from tests.harness.processes import ChildProcess
from tests.image.conftest import ARGUMENTS
from tests.image.engine import Image, finish
from tests.image.project_files import ROOT, project_version, read_lock

CONFIG = "/etc/deputize/config/config.yaml"
PYTHON = "/opt/deputize/bin/python"
TEMPORARY = "/tmp"  # noqa: S108 - a folder of the image
START_SECONDS = 20
MAX_BYTES = 300 * 2**20


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """What is mounted at `/etc/deputize`: the example, on free ports."""
    folder = tmp_path / "mounted"
    shutil.copytree(ROOT / "docs/examples", folder / "config")
    return folder


def test_it_says_its_version(image: Image, config: Path) -> None:
    done = finish(image.command(config, "version"))
    assert done.stdout.split()[:2] == ["deputize", project_version()], done.stderr


def test_it_validates_a_configuration(image: Image, config: Path) -> None:
    done = finish(image.command(config, "validate", "--config", CONFIG))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("transport", "volumes"), [("grpcio", ()), ("native", (TEMPORARY,))])
def test_it_serves_by_default_and_ends_when_told(
    image: Image, config: Path, transport: str, volumes: tuple[str, ...]
) -> None:
    address = _change_ports(config / "config" / "config.yaml", transport)
    served = ChildProcess(image.command(config, volumes=volumes), config / "log")
    served.wait_ready(lambda: _is_ready(address), START_SECONDS)
    assert served.stop() == 0


def test_it_runs_as_nobody_in_particular_and_can_write_nowhere(image: Image, config: Path) -> None:
    told = _python(
        image,
        config,
        """
        for folder in ("/", "/tmp", "/opt/deputize", "/run/deputize", "/etc/deputize"):
            try:
                open(folder + "/file", "w")
            except OSError as error:
                found.append(error.errno)
        found += [os.getuid(), os.getgid(), os.getgroups(), os.access("/etc/passwd", os.W_OK)]
        """,
    )
    read_only, user = 30, 65532
    assert told == [read_only] * 5 + [user, user, [user], False]


def test_every_extra_is_inside_and_tls_trusts_the_usual_authorities(
    image: Image, config: Path
) -> None:
    told = _python(
        image,
        config,
        """
        import ssl, cel_expr_python, lightkube, pygrpc_native, redis
        found.append(len(ssl.create_default_context().get_ca_certs()) > 50)
        """,
    )
    assert told == [True]


def test_modules_are_compiled_already(image: Image, config: Path) -> None:
    told = _python(
        image,
        config,
        """
        import importlib.util, deputize.core.decide as decide
        found.append(os.path.exists(decide.__cached__))
        found.append(int.from_bytes(open(decide.__cached__, "rb").read(8)[4:], "little"))
        """,
    )
    unchecked_hash = 0b01
    assert told == [True, unchecked_hash]


def test_it_has_the_locked_packages_and_no_others(image: Image) -> None:
    locked = {
        entry.name
        for entry in map(Requirement, read_lock(ROOT / "scripts/image/runtime.lock"))
        if entry.marker is None or entry.marker.evaluate()
    }
    installed = {
        path.name.split("-")[0].replace("_", "-").lower()
        for path in image.tree.rglob("*.dist-info")
    }
    assert installed == {*locked, "deputize"}


def test_programs_are_the_service_and_its_interpreter(image: Image) -> None:
    programs = {
        path.name for path in image.tree.rglob("bin/*") if not path.name.startswith("python")
    }
    assert programs == {"deputize"}
    assert [path for path in image.tree.rglob("pip") if path.is_dir()] == []


def test_nobody_but_root_could_change_it(image: Image) -> None:
    loose = [
        path
        for path in image.tree.rglob("*")
        if not path.is_symlink() and path.stat().st_mode & 0o6022
    ]
    assert loose == [image.tree / "tmp"]
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in image.tree.rglob("*")} == {
        (0, 0)
    }


def test_every_file_has_the_time_that_was_given(image: Image) -> None:
    times = {path.lstat().st_mtime for path in image.tree.rglob("*")}
    assert times == {float(ARGUMENTS["SOURCE_DATE_EPOCH"])}


def test_scanners_find_the_package_of_each_library(image: Image) -> None:
    entries = sorted((image.tree / "var/lib/dpkg/status.d").iterdir())
    names = {entry.name for entry in entries}
    assert {"base-files", "ca-certificates", "libc6"} <= names
    for entry in entries:
        assert entry.read_text().startswith(f"Package: {entry.name}\n")
        assert (image.tree / "usr/share/doc" / entry.name / "copyright").stat().st_size
    assert (image.tree / "etc/os-release").exists()


def test_it_says_how_to_run_it_and_where_it_is_from(image: Image) -> None:
    stage = image.stage
    assert stage.command("ENTRYPOINT") == ["deputize"]
    assert stage.command("CMD") == ["serve", "--config", CONFIG]
    assert (stage.value("USER"), stage.value("STOPSIGNAL")) == ("65532:65532", "SIGTERM")
    labels = {name.rpartition("image.")[2]: value for name, value in stage.labels().items()}
    assert labels["version"] == ARGUMENTS["VERSION"]
    assert labels["revision"] == ARGUMENTS["REVISION"]
    assert labels["licenses"] == "Apache-2.0"
    assert labels["base.name"] == "python:3.13-slim-bookworm"


def test_it_stays_small(image: Image, record_property: Callable[[str, object], None]) -> None:
    size = sum(path.lstat().st_size for path in image.tree.rglob("*"))
    record_property("image_bytes", size)
    assert size < MAX_BYTES


def _change_ports(file: Path, transport: str) -> str:
    document = yaml.safe_load(file.read_text())
    server = document["spec"]["server"]
    server["transport"] = transport
    server["drain"] = {"delaySeconds": 0}
    server["grpc"]["listen"] = [f"{HOST}:{free_port()}"]
    server["http"]["listen"] = f"{HOST}:{free_port()}"
    file.write_text(yaml.safe_dump(document))
    return f"http://{server['http']['listen']}"


def _is_ready(address: str) -> bool:
    answer = get(f"{address}/readyz")
    return answer is not None and answer.status_code == 200


def _python(image: Image, config: Path, code: str) -> list[object]:
    """What the code puts into `found`, run by the image's interpreter as the image's user."""
    whole = f"import json, os\nfound = []\n{textwrap.dedent(code)}\nprint(json.dumps(found))"
    done = finish(image.command(config, "-c", whole, program=PYTHON))
    assert done.returncode == 0, done.stderr
    told: list[object] = json.loads(done.stdout)
    return told
