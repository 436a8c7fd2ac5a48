"""How tests say what must come out: by reason code, never by message text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from deputize.core.reasons import Reason
from deputize.core.verdict import Denial, Denied


@contextmanager
def refused(reason: Reason) -> Iterator[list[Denial]]:
    """The block ends with this refusal; the denial is in the list afterwards."""
    denials: list[Denial] = []
    with pytest.raises(Denied) as caught:
        yield denials
    denials.append(caught.value.denial)
    assert caught.value.denial.reason is reason
