"""Builds and runs the image without a container engine, by what engines are made of.

The Dockerfile's own instructions are carried out in a copy-on-write view of this machine, which
stands in for the base image; the result runs in a read-only root of its own, as the image's user.
Only root can do that, and only Debian, with a Python that is not Debian's own, has what the base
image has.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.image.dockerfile import Stage, read_stages

CAN_RUN = (
    sys.platform == "linux"
    and os.geteuid() == 0
    and shutil.which("dpkg-query") is not None
    and Path(sysconfig.get_path("stdlib"), "site-packages", "pip").is_dir()
)

_FROM_OUTSIDE = re.compile(r"(PIP_|SSL_CERT_|.*_proxy$)", re.IGNORECASE)
_VIEW = """
mount -t tmpfs none "$WORK"
mkdir "$WORK"/up "$WORK"/work "$WORK"/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$WORK/up,workdir=$WORK/work" "$WORK"/root
mount --rbind /dev "$WORK"/root/dev
mount -t proc proc "$WORK"/root/proc
mkdir -p "$WORK/root$RESULT"
mount --bind "$OUT" "$WORK/root$RESULT"
"""
_CONTAINER = """
mount --bind "$TREE" "$TREE"
mount --bind "$CONFIG" "$TREE"/etc/deputize
mount -o remount,bind,ro "$TREE"/etc/deputize
mount --rbind /dev "$TREE"/dev
mount -t proc proc "$TREE"/proc
mount -o remount,bind,ro "$TREE"
"""


@dataclass(frozen=True, slots=True)
class Image:
    """A root file system, and how it says it is to be run."""

    tree: Path
    stage: Stage

    def command(
        self,
        config: Path,
        *arguments: str,
        program: str | None = None,
        volumes: Sequence[str] = (),
    ) -> list[str]:
        """A command that runs the image, with `config` at `/etc/deputize`, read-only.

        Without arguments it is the image's own command. `program` replaces the entry point.
        `volumes` are the folders that can be written to; there are no others.
        """
        entry = [program] if program else self.stage.command("ENTRYPOINT")
        inside = [*entry, *(arguments or ([] if program else self.stage.command("CMD")))]
        outside = {"TREE": str(self.tree), "CONFIG": str(config)}
        run = [
            *(_program("env"), "-i", *_settings(self.stage.environment), _program("chroot")),
            *(f"--userspec={self.stage.value('USER')}", str(self.tree), *inside),
        ]
        mounts = "".join(f'mount -t tmpfs none "$TREE"{volume}\n' for volume in volumes)
        return _alone(f"{_CONTAINER}{mounts}exec {shlex.join(run)}", outside)


def build(context: Path, out: Path, work: Path, arguments: Mapping[str, str]) -> Image:
    """Carries out the Dockerfile of `context`; `out` and `work` are empty folders.

    Raises:
        subprocess.CalledProcessError: an instruction failed; it has said why.
    """
    first, last = read_stages(context / "Dockerfile", arguments)
    source, target = last.value("COPY").removeprefix(f"--from={first.name} ").split()
    assert (last.base, target) == ("scratch", "/"), "only the tree is the image"
    outside = {"WORK": str(work), "OUT": str(out), "RESULT": source}
    script = _VIEW + "\n".join(_steps(first, context))
    subprocess.run(_alone(script, outside), check=True)  # noqa: S603 - the Dockerfile's commands
    return Image(out, last)


def _steps(stage: Stage, context: Path) -> list[str]:
    base = {"PATH": f"{sys.base_prefix}/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root"}
    given = {name: value for name, value in os.environ.items() if _FROM_OUTSIDE.match(name)}
    settings = _settings(base | given | stage.environment)
    folder = "/"
    steps = []
    for instruction in stage.instructions:
        match instruction.name:
            case "WORKDIR":
                folder = instruction.value
                steps.append(f'mkdir -p "$WORK/root{folder}"')
            case "COPY":
                *sources, target = instruction.value.split()
                names = shlex.join(str(context / source) for source in sources)
                is_folder = "" if target.endswith("/") else "-T"
                steps.append(f'cp -r {is_folder} {names} "$WORK/root{folder}/{target}"')
            case "RUN":
                shell = ["/bin/sh", "-c", f"cd {shlex.quote(folder)} && {instruction.value}"]
                words = shlex.join(["env", "-i", *settings, *shell])
                steps.append(f'chroot "$WORK"/root {words}')
            case other:
                raise AssertionError(f"{other} is not carried out here")
    return steps


def _alone(script: str, variables: Mapping[str, str]) -> list[str]:
    """In a mount namespace of its own: what is mounted is gone with the process."""
    return [
        *(_program("env"), *_settings(variables), _program("unshare"), "--mount"),
        *("--propagation", "private", "bash", "-euo", "pipefail", "-c", script),
    ]


def _settings(variables: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in variables.items()]


def _program(name: str) -> str:
    found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
    assert found, name
    return found


def finish(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command of an image to its end."""
    return subprocess.run(  # noqa: S603 - what is in the image
        command, capture_output=True, text=True, check=False, timeout=60
    )
