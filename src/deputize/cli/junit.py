"""Test results as the XML that CI systems read (JUnit).

Rules of this file:
- What XML 1.0 cannot hold is written as an escape: a report is never broken by what it reports.

Sources: XML 1.0 section 2.2 (Char); the `junit-10.xsd` of the Jenkins xUnit plugin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

_NO_CHAR = re.compile(r"[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


@dataclass(frozen=True, slots=True)
class CaseReport:
    """One case; `failure` is empty where it passed. `seconds` is what deciding it took."""

    name: str
    file: str
    line: int
    seconds: float
    failure: str
    details: str


def render_junit(suites: Iterable[tuple[str, list[CaseReport]]]) -> bytes:
    """The report; one `testsuite` for each name."""
    root = ET.Element("testsuites", name="deputize test")
    everything: list[CaseReport] = []
    for name, cases in suites:
        suite = ET.SubElement(root, "testsuite", {"name": _text(name), **_counts(cases)})
        for case in cases:
            element = ET.SubElement(
                suite,
                "testcase",
                name=_text(case.name),
                classname=_text(name),
                file=_text(case.file),
                line=str(case.line),
                time=f"{case.seconds:.6f}",
            )
            if case.failure:
                failure = ET.SubElement(
                    element, "failure", message=_text(case.failure), type="expectation"
                )
                failure.text = _text(case.details)
        everything += cases
    root.attrib.update(_counts(everything, with_skipped=False))
    ET.indent(root)
    octets: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return octets + b"\n"


def _counts(cases: list[CaseReport], *, with_skipped: bool = True) -> dict[str, str]:
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(bool(case.failure) for case in cases)),
        "errors": "0",
        "time": f"{sum(case.seconds for case in cases):.6f}",
    }
    return {**counts, "skipped": "0"} if with_skipped else counts


def _text(text: str) -> str:
    return _NO_CHAR.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
