"""Whatever stands in a manifest, doctor says something of it or nothing, and never breaks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from deputize.config.problems import ConfigError
from deputize.doctor.examination import examine
from deputize.doctor.findings import Report
from deputize.doctor.installations import find_worlds
from deputize.doctor.manifests import read_manifests
from deputize.doctor.settings import read_own
from tests.unit.doctor.test_manifests import SETS

DOCUMENTS = {
    name: [each for each in yaml.safe_load_all(file.read_text()) if each]
    for name, file in SETS.items()
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["*", "{}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += places(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            found += places(inner, (*path, number))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: object) -> Any:  # noqa: ANN401 - YAML
    if not path:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = replaced(value[path[0]], path[1:], new)
    return copied


@given(st.data())
def test_anything_in_place_of_anything_else(tmp_path_factory: Any, data: st.DataObject) -> None:  # noqa: ANN401 - a fixture
    documents: Any = DOCUMENTS[data.draw(st.sampled_from(sorted(DOCUMENTS)))]
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(documents)))
        documents = replaced(documents, path, data.draw(ANYTHING))
    file: Path = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text("\n---\n".join(json.dumps(each) for each in documents))
    try:
        manifests = read_manifests([file])
        own = read_own(manifests)
        report = Report()
        examine(find_worlds(manifests, own, None, report.unchecked), report)
    except ConfigError:
        return
    assert report.ordered() == report.ordered()
    assert all(str(each.code) and each.where for each in report.findings)
