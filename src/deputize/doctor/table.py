"""Every code with what it means and how to mend it."""

from __future__ import annotations

from collections.abc import Mapping

from deputize.doctor.findings import Code
from deputize.doctor.meaning import Meaning
from deputize.doctor.table_asking import ASKING
from deputize.doctor.table_cluster import CLUSTER
from deputize.doctor.table_live import LIVE

TITLED: Mapping[str, Mapping[Code, Meaning]] = {
    "How proxies ask": ASKING,
    "Around deputize in a cluster": CLUSTER,
    "What runs": LIVE,
}
"""Parts of the table by their title."""
MEANINGS: Mapping[Code, Meaning] = {
    code: meaning for part in TITLED.values() for code, meaning in part.items()
}
