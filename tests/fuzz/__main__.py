"""`make fuzz`: each target under a fuzzer that looks for inputs which reach new code.

`python -m tests.fuzz [TARGET...] [--seconds N]`. What reaches new code is kept in `.cache/fuzz`
and is where the next run starts.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.mutations import MAX_INPUT
from tests.fuzz.targets import TARGETS

FOLDER = Path(".cache") / "fuzz"
SECONDS = 600
_LIMITS = ("-timeout=5", "-rss_limit_mb=2048", f"-max_len={MAX_INPUT}")
_ROOM_SECONDS = 120
"""For the start and the last input."""
_RUNS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_MEMORY = re.compile(r"stat::peak_rss_mb:\s*(\d+)")
_FOUND = re.compile(r"Test unit written to (\S+)")
_COVERAGE = re.compile(r"cov: (\d+) ft: (\d+)")


def main() -> int:
    """Prints a line for each target; 1 when there is a finding."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=SECONDS, help="for each target")
    arguments = parser.parse_args()
    if find_spec("atheris") is None:
        parser.error("atheris is not installed: it has wheels for Linux on x86-64 only")
    names = arguments.targets or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    held = [_fuzz(name, arguments.seconds) for name in names]
    return 0 if all(held) else 1


def _fuzz(name: str, seconds: int) -> bool:
    """Runs one target; False when there is a finding."""
    corpus, findings = FOLDER / "corpus" / name, FOLDER / "findings" / name
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in TARGETS[name].seeds():
        (corpus / hashlib.sha256(seed).hexdigest()[:40]).write_bytes(seed[:MAX_INPUT])
    command = [sys.executable, "-m", "tests.fuzz.fuzzer", name]
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={findings}/", *_LIMITS]
    log = FOLDER / f"{name}.log"
    with log.open("w", encoding="utf-8") as stream:
        ended = subprocess.run(  # noqa: S603 - our own module
            [*command, *options, "-print_final_stats=1", str(corpus)],
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=seconds + _ROOM_SECONDS,
        )
    text = log.read_text(encoding="utf-8", errors="replace")
    found = _FOUND.findall(text)
    held = ended.returncode == 0 and not found
    _say(f"{name}: {'held' if held else 'BROKEN'}; {_summarize(text)}; {log}")
    for file in found:
        _say(f"  {file}; again: {' '.join(command)} {file}")
    return held


def _summarize(text: str) -> str:
    runs, memory, coverage = _RUNS.search(text), _MEMORY.search(text), _COVERAGE.findall(text)
    edges, features = coverage[-1] if coverage else ("0", "0")
    return (
        f"{runs[1] if runs else 0} inputs, {edges} edges, {features} features, "
        f"at most {memory[1] if memory else '?'} MB"
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
