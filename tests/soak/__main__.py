"""`make soak`: 200,000 distinct tokens and 10,000 unknown keys later, is everything bounded?"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.soak.flood import run_flood

TOKENS, UNKNOWN_KEYS = 200_000, 10_000


def main() -> int:
    """Prints what was seen; 1 when a bound is broken."""
    with tempfile.TemporaryDirectory() as folder:
        seen = run_flood(Path(folder), tokens=TOKENS, unknown_keys=UNKNOWN_KEYS)
    for line in seen.report():
        sys.stdout.write(f"{line}\n")
    return 0 if not seen.broken() else 1


if __name__ == "__main__":
    sys.exit(main())
