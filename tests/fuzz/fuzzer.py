"""One target under atheris, in a process of its own: libFuzzer ends the process it runs in.

`python -m tests.fuzz.fuzzer TARGET [libFuzzer options] [files]`; with a file it runs only that.
"""

from __future__ import annotations

import importlib
import logging
import sys
from random import Random

import atheris

PACKAGE = "deputize"


def main() -> None:
    """Never returns. Exit code 0 without a finding."""
    name, *arguments = sys.argv[1:]
    # The code under test must not have been imported before this.
    with atheris.instrument_imports(include=[PACKAGE]):
        targets = importlib.import_module("tests.fuzz.targets")
    mutations = importlib.import_module("tests.fuzz.mutations")
    logging.disable()

    def mutate(octets: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)  # noqa: S311 - changes of inputs
        if random.random() < 0.5:
            return bytes(atheris.Mutate(octets, max_size))
        return bytes(mutations.mutate(octets, random)[:max_size])

    atheris.Setup([sys.argv[0], *arguments], targets.TARGETS[name].run, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
