"""Manifests of others: what is followed, what is refused, and that hostile ones do no harm."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from deputize.config.problems import ConfigError
from deputize.doctor.asks import read_seconds, read_size
from deputize.doctor.manifests import read_manifests
from deputize.doctor.place import At
from deputize.doctor.reading import MAX_DEPTH, read_documents, read_inner_documents
from tests.harness.config_files import line_of

SOME_SECONDS = 20


def read(text: str) -> At:
    (document,) = read_documents(text.encode(), "m.yaml")
    return document


def test_every_value_keeps_its_line() -> None:
    document = read("a:\n  b:\n    - c: 1\n      d: yes\n")
    assert document.dig("a", "b", 0, "d").where == "m.yaml:4: a.b[0].d"


def test_an_absent_value_is_where_it_would_stand() -> None:
    assert read("a:\n  b: 1\n").dig("a", "c", "d").where == "m.yaml:2: a.c.d"


def test_a_document_in_a_text_keeps_the_lines_of_the_file() -> None:
    text = "kind: ConfigMap\ndata:\n  mesh: |\n    x: 1\n    deep:\n      y: 2\n"
    (inner,) = read_inner_documents(read(text).dig("data", "mesh"))
    assert inner.dig("deep", "y").where == f"m.yaml:{line_of(text, 'y: 2')}: data.mesh: deep.y"


def test_aliases_stand_for_what_they_name() -> None:
    document = read("a: &x {b: [1, 2]}\nc: *x\n")
    assert document.dig("c", "b").texts == ["1", "2"]


@pytest.mark.parametrize("word", ["true", "True", "yes", "ON", "y", '"true"'])
def test_whatever_some_reader_takes_for_true_is_on(word: str) -> None:
    assert read(f"a: {word}\n")["a"].is_on


@pytest.mark.parametrize("word", ["false", "no", "0", "null", "", "{}", "[true]"])
def test_nothing_else_is_on(word: str) -> None:
    assert not read(f"a: {word}\n")["a"].is_on


LAUGHS = "\n".join(
    ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
)


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system [id]",
        "a: !Ref x",
        "a: &x 1\nb: {<<: *x}",
        "a: 1\na: 2",
        "? [a]\n: b",
        'a: "\\0"',
        "a: *nobody",
        "a: &a [*a]",
        "a: [1",
        "a: {{ .Values.x }}",
        "[" * (MAX_DEPTH + 5) + "]" * (MAX_DEPTH + 5),
        "[" * 100_000,
        "{a: " * 50_000,
        LAUGHS,
    ],
    ids=lambda text: text[:20],
)
def test_what_has_two_readings_or_no_end_is_refused(text: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert time.monotonic() - begun < SOME_SECONDS
    assert all(each.file == "m.yaml" for each in caught.value.problems)


def test_octets_that_are_no_text_are_refused() -> None:
    with pytest.raises(ConfigError):
        read_documents(b"a: \xff", "m.yaml")


def test_all_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yml", "c.json"):
        (tmp_path / name).write_text("{")
    (tmp_path / "notes.txt").write_text("{")
    with pytest.raises(ConfigError) as caught:
        read_manifests([tmp_path, tmp_path / "nothing.yaml"])
    names = {Path(each.file).name for each in caught.value.problems}
    assert names == {"a.yaml", "b.yml", "c.json", "nothing.yaml"}


def test_lists_are_taken_apart_and_folders_are_descended(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "x.yaml").write_text(
        "kind: List\nitems: [{kind: ServiceList, items: [{kind: Service}]}, {kind: Pod}]\n"
    )
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "y.yaml").write_text("kind: Secret\n")
    assert [each.kind for each in read_manifests([tmp_path])] == ["Service", "Pod"]


def test_an_object_of_a_list_is_named_and_not_counted(tmp_path: Path) -> None:
    file = tmp_path / "list.yaml"
    file.write_text(
        "kind: List\nitems:\n"
        "- {kind: Namespace, metadata: {name: store}}\n"
        "- {kind: ConfigMap, metadata: {name: istio, namespace: mesh}, data: {mesh: 'port: 1'}}\n"
        "- {kind: Pod}\n"
    )
    space, config_map, pod = read_manifests([file])
    assert space.spec.where == f"{file}:3: Namespace store: spec"
    assert pod.spec.where == f"{file}:5: items[2]: spec"
    (inner,) = read_inner_documents(config_map.at.dig("data", "mesh"))
    assert inner.where == f"{file}:4: ConfigMap mesh/istio: data.mesh"
    assert inner["port"].where == f"{file}:4: ConfigMap mesh/istio: data.mesh: port"


def test_a_folder_without_manifests_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        read_manifests([tmp_path])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0.25s", 0.25), ("250ms", 0.25), ("1m30s", 90), ("1h", 3600), ("5", None), ("", None)],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert read_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("8192", 8192), ("1Mi", 1048576), ("64k", 64000), ("1e3", None)]
)
def test_sizes(text: str, size: int | None) -> None:
    assert read_size(text) == size
