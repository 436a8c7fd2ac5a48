"""Makes the root file system of the image: `python tree.py APPLICATION TREE`, on Debian, as root.

APPLICATION is a virtual environment. TREE gets it, the interpreter it uses with its standard
library, the shared libraries that these need, and nothing else: no shell, no package manager, no
pip. What scanners of images look for stays: the release of the system, and for each package that a
library comes from, its entry and its licence.

The same input gives the same octets: the time of every file is `SOURCE_DATE_EPOCH`, and compiled
modules know their source by content.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

USER_ID = 65532
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
"""Whom TLS trusts where the configuration names nobody; the image's SSL_CERT_FILE."""

_LEFT_OUT = shutil.ignore_patterns(
    *("__pycache__", "site-packages", "config-*", "*.a", "ensurepip", "venv", "distutils"),
    *("lib2to3", "pydoc_data", "test", "tests", "_test*", "_ctypes_test*", "_xx*", "xx*"),
    *("idlelib", "tkinter", "_tkinter*", "turtle*", "curses", "_curses*", "readline*"),
    *("nis*", "ossaudiodev*", "dbm", "_dbm*", "_gdbm*", "sqlite3", "_sqlite3*"),
)
"""Of the standard library: what builds, tests, draws, installs, or brings a library unused here."""

_RESOLVED = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)
_FILES = {
    "etc/passwd": f"deputize:x:{USER_ID}:{USER_ID}:deputize:/:/nonexistent\n",
    "etc/group": f"deputize:x:{USER_ID}:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}
_MOUNT_POINTS = ("dev", "etc/deputize", "proc", "run/deputize", "sys", "tmp")


def main(application: Path, tree: Path) -> None:
    """Fills the tree, which must be empty or missing.

    Raises:
        SystemExit: a shared library is missing.
    """
    library = Path(sysconfig.get_path("stdlib"))
    _copy_application(application, tree)
    shutil.copytree(library, _in(tree, library), symlinks=True, ignore=_LEFT_OUT)
    interpreter = _copy_linked(application / "bin" / "python", tree)
    libraries = _libraries([interpreter, *_extensions(tree)], within=tree)
    for file in libraries:
        _copy_file(file, tree)
    _describe_packages(libraries, tree)
    _copy_file(Path("/etc/os-release"), tree)
    _copy_file(AUTHORITIES, tree)
    for name, content in _FILES.items():
        (tree / name).write_text(content)
    for name in _MOUNT_POINTS:
        (tree / name).mkdir(parents=True, exist_ok=True)
    _write_library_cache(tree)
    _compile(tree)
    _settle(tree, int(os.environ["SOURCE_DATE_EPOCH"]))


def _copy_application(application: Path, tree: Path) -> None:
    shutil.copytree(
        application,
        _in(tree, application),
        symlinks=True,
        ignore=lambda folder, names: {
            name
            for name in names
            if name == "__pycache__"
            or (Path(folder) == application / "bin" and not re.match("python|deputize", name))
        },
    )


def _copy_linked(path: Path, tree: Path) -> Path:
    """Copies the links to a file, each as it is, and the file; gives the file."""
    while path.is_symlink():
        link, path = path, path.parent / path.readlink()
        if not _in(tree, link).is_symlink():
            _in(tree, link).parent.mkdir(parents=True, exist_ok=True)
            _in(tree, link).symlink_to(link.readlink())
    _copy_file(path, tree)
    return path


def _libraries(programs: Iterable[Path], within: Path) -> list[Path]:
    """What the loader would load for these programs, from outside the tree."""
    answer = _answer("ldd", *map(str, programs))
    missing = sorted({line.strip() for line in answer.splitlines() if "not found" in line})
    if missing:
        raise SystemExit("\n".join(missing))
    found = {Path(path) for path in _RESOLVED.findall(answer)}
    loaded = {path for path in found if not path.is_relative_to(within)}
    # The C library loads this one by name, when a thread ends.
    libc = next(path for path in loaded if path.name.startswith("libc.so"))
    return sorted({*loaded, libc.with_name("libgcc_s.so.1")})


def _extensions(tree: Path) -> Iterator[Path]:
    for path in sorted(tree.rglob("*.so*")):
        if path.is_file() and not path.is_symlink():
            yield path


def _describe_packages(libraries: Iterable[Path], tree: Path) -> None:
    packages = {"base-files", "ca-certificates", *filter(None, map(_package_of, libraries))}
    entries = tree / "var/lib/dpkg/status.d"
    entries.mkdir(parents=True)
    for package in sorted(packages):
        (entries / package).write_text(_answer("dpkg-query", "--status", package))
        _copy_file(Path("/usr/share/doc", package, "copyright"), tree)


def _package_of(library: Path) -> str | None:
    """The package that brought a file; the interpreter's own library has none."""
    if library.is_relative_to(sys.base_prefix):
        return None
    merged = Path("/usr", *library.parts[1:])
    names = (str(path) for path in (library, merged, library.resolve()))
    for name in names:
        try:
            return _answer("dpkg-query", "--search", name).partition(":")[0]
        except subprocess.CalledProcessError:
            continue
    raise SystemExit(f"{library} is of no package")


def _write_library_cache(tree: Path) -> None:
    """So that libraries beside the interpreter are found as in the base image."""
    for path in [Path("/etc/ld.so.conf"), *sorted(Path("/etc/ld.so.conf.d").glob("*.conf"))]:
        _copy_file(path, tree)
    _answer("ldconfig", "-r", str(tree))
    shutil.rmtree(tree / "var/cache", ignore_errors=True)


def _compile(tree: Path) -> None:
    """One process: what a compiled module looks like depends on what was compiled before."""
    compileall.compile_dir(
        tree,
        maxlevels=100,
        quiet=2,
        stripdir=str(tree),
        prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _settle(tree: Path, seconds: int) -> None:
    """Everybody may read, nobody but root may write, and every time is the given one."""
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
        os.utime(path, (seconds, seconds), follow_symlinks=False)
    (tree / "tmp").chmod(0o1777)


def _copy_file(source: Path, tree: Path) -> None:
    target = _in(tree, source)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    shutil.copymode(source, target)


def _answer(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


def _in(tree: Path, path: Path) -> Path:
    return tree.joinpath(*path.parts[1:])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
