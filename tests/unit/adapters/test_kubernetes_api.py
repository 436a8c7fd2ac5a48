from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import yaml
from lightkube import KubeConfig
from lightkube.config.models import Cluster, User

from deputize.adapters import kubernetes_api
from deputize.adapters.kubernetes_answers import KubernetesError
from deputize.adapters.kubernetes_api import FORBIDDEN, GONE, KubernetesApi
from tests.harness.loopback import HOST, free_port
from tests.harness.scripted_server import Script, answer, drip, hang, running_server

LIST = ("delegationpolicies", "team")


@pytest.fixture
def open_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], KubernetesApi]:
    """A client of the server at a URL."""

    def open_(url: str) -> KubernetesApi:
        file = tmp_path / "kubeconfig"
        document = {
            "clusters": [{"name": "a", "cluster": {"server": url}}],
            "users": [{"name": "a", "user": {"token": "t"}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            "current-context": "a",
        }
        file.write_text(yaml.safe_dump(document))
        monkeypatch.setenv("KUBECONFIG", str(file))
        return KubernetesApi()

    return open_


Asked = Callable[[Script], AbstractContextManager[KubernetesApi]]


@pytest.fixture
def asked(open_api: Callable[[str], KubernetesApi]) -> Asked:
    @contextmanager
    def of(script: Script) -> Iterator[KubernetesApi]:
        with running_server(script) as url:
            api = open_api(url)
            yield api
            api.close()

    return of


def http(body: bytes, status: str = "200 OK") -> bytes:
    """An answer of which the body ends with the connection."""
    kind = b"content-type: application/json"
    return b"HTTP/1.1 %b\r\n%b\r\nconnection: close\r\n\r\n%b" % (status.encode(), kind, body)


def page(*names: str, more: str = "") -> bytes:
    items = [{"metadata": {"name": name}} for name in names]
    body = {"metadata": {"resourceVersion": "7", "continue": more}, "items": items}
    return http(json.dumps(body).encode())


def event(kind: str, **value: object) -> bytes:
    return json.dumps({"type": kind, "object": value}).encode() + b"\n"


def test_pages_are_one_list(asked: Asked) -> None:
    targets: list[str] = []

    def script(connection: socket.socket, _over: threading.Event) -> None:
        targets.append(connection.recv(65536).split(b" ")[1].decode())
        is_last = "continue" in targets[-1]
        connection.sendall(page("c") if is_last else page("a", "b", more="x&y"))

    with asked(script) as api:
        listing = api.list(*LIST)
    assert [each["metadata"]["name"] for each in listing.objects] == ["a", "b", "c"]
    assert listing.version == "7"
    path = "/apis/deputize.dev/v1alpha1/namespaces/team/delegationpolicies"
    assert [target.partition("?")[0] for target in targets] == [path, path]
    assert "continue=x%26y" in targets[1]
    assert "resourceVersion" not in targets[0], "asked of the store, not of a cache"


def test_a_refusal_has_code_and_message(asked: Asked) -> None:
    body = json.dumps({"message": "you may\nnot"}).encode()
    with asked(answer(http(body, "403 Forbidden"))) as api:
        with pytest.raises(KubernetesError, match=r"^you may not$") as caught:
            api.list(*LIST)
        assert caught.value.code == FORBIDDEN


@pytest.mark.parametrize(
    "octets",
    [
        http(b"no json\n"),
        http(b"[]\n"),
        http(b"{}\n"),
        http(b'{"kind": "Status", "status": "Success"}\n'),
        http(b"[" * 100_000 + b"\n"),
        http(b"<html>", "502 Bad Gateway"),
        b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{}",
        b"no http\r\n\r\n",
        b"",
    ],
)
def test_what_is_no_answer_is_an_error(asked: Asked, octets: bytes) -> None:
    with asked(answer(octets)) as api:
        with pytest.raises(KubernetesError):
            api.list(*LIST)
        with pytest.raises(KubernetesError):
            list(api.watch(*LIST, "1"))


def test_a_server_that_is_not_there_is_an_error(
    open_api: Callable[[str], KubernetesApi],
) -> None:
    with pytest.raises(KubernetesError) as caught:
        open_api(f"http://{HOST}:{free_port()}").list(*LIST)
    assert caught.value.code == 0


def test_where_it_could_not_connect_it_reads_again_where_to(
    tmp_path: Path, open_api: Callable[[str], KubernetesApi]
) -> None:
    nowhere = f"http://{HOST}:{free_port()}"
    api, file = open_api(nowhere), tmp_path / "kubeconfig"
    text = file.read_text()
    with running_server(answer(page("a"))) as url:
        for wrong in ("no: [", text):
            file.write_text(wrong)
            with pytest.raises(KubernetesError):
                api.list(*LIST)
        file.write_text(text.replace(nowhere, url))
        assert len(api.list(*LIST).objects) == 1
        api.close()


def test_a_server_that_says_nothing_is_an_error(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_api, "SECONDS", 0.1)
    monkeypatch.setattr(kubernetes_api, "WATCH_SECONDS", 0.1)
    with asked(hang) as api:
        with pytest.raises(KubernetesError):
            api.list(*LIST)
        with pytest.raises(KubernetesError):
            list(api.watch(*LIST, "1"))


def test_what_is_larger_than_its_bound_is_an_error(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MAX_OBJECTS", "MAX_LIST_BYTES", "MAX_EVENT_BYTES"):
        monkeypatch.setattr(kubernetes_api, name, 2)
    with asked(answer(page("a", "b", "c"))) as api:
        with pytest.raises(KubernetesError, match="bytes"):
            api.list(*LIST)
        monkeypatch.setattr(kubernetes_api, "MAX_LIST_BYTES", 1000)
        with pytest.raises(KubernetesError, match="objects"):
            api.list(*LIST)
        with pytest.raises(KubernetesError, match="bytes"):
            list(api.watch(*LIST, "1"))


@pytest.mark.parametrize(
    "body",
    [
        {"items": []},
        {"metadata": None, "items": []},
        {"metadata": {"resourceVersion": ""}, "items": []},
        {"metadata": {"resourceVersion": "7"}},
        {"metadata": {"resourceVersion": "7"}, "items": None},
        {"metadata": {"resourceVersion": "7", "remainingItemCount": 3}, "items": []},
    ],
)
def test_what_is_no_whole_list_is_not_an_empty_one(asked: Asked, body: dict[str, object]) -> None:
    with asked(answer(http(json.dumps(body).encode()))) as api, pytest.raises(KubernetesError):
        api.list(*LIST)


HEAD = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize("endless", [b"\n", b" ", event("BOOKMARK")])
def test_an_answer_that_only_looks_alive_is_ended(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, endless: bytes
) -> None:
    for name in ("SECONDS", "WATCH_SECONDS", "LIST_SECONDS"):
        monkeypatch.setattr(kubernetes_api, name, 0.2)
    with asked(drip(HEAD, endless)) as api:
        with pytest.raises(KubernetesError, match="does not end"):
            list(api.watch(*LIST, "1"))
        with pytest.raises(KubernetesError, match="does not end"):
            api.list(*LIST)


def test_pages_without_end_are_ended(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_api, "LIST_SECONDS", 0.2)
    with asked(answer(page(more="again"))) as api, pytest.raises(KubernetesError):
        api.list(*LIST)


@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a]":', "}")])
def test_an_object_of_any_depth_keeps_no_other_from_being_read(
    asked: Asked, opens: str, closes: str
) -> None:
    inner = opens * 9000 + '"\\"[{"' + closes * 9000
    deep = json.dumps({"metadata": {"name": "deep"}, "spec": "?"}).replace('"?"', inner)
    good = json.dumps({"metadata": {"name": "good"}, "spec": {"a": [[]]}})
    body = f'{{"metadata": {{"resourceVersion": "7"}}, "items": [{deep}, {good}]}}'
    with asked(answer(http(body.encode()))) as api:
        first, second = api.list(*LIST).objects
    assert first["metadata"]["name"] == "deep"
    assert second == json.loads(good)
    line = f'{{"type": "ADDED", "object": {deep}}}\n'
    with asked(answer(http(line.encode()))) as api:
        (added,) = api.watch(*LIST, "7")
    assert added.value["metadata"]["name"] == "deep"


def test_events_are_lines_and_half_a_line_is_none(asked: Asked) -> None:
    lines = event("ADDED", metadata={"resourceVersion": "8"}) + event("BOOKMARK") + b'{"type": "AD'
    with asked(answer(http(lines))) as api:
        events = list(api.watch(*LIST, "7"))
    assert [(each.kind, each.version) for each in events] == [("ADDED", "8"), ("BOOKMARK", "")]


def test_a_version_that_is_too_old_is_told_apart(asked: Asked) -> None:
    with asked(answer(http(event("ERROR", code=410, message="too old")))) as api:
        with pytest.raises(KubernetesError) as caught:
            list(api.watch(*LIST, "1"))
        assert caught.value.code == GONE


def test_a_token_that_was_replaced_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = ["first"]
    shown: list[str] = []

    def script(connection: socket.socket, _over: threading.Event) -> None:
        head = connection.recv(65536).decode()
        shown.append(head.lower().partition("authorization: bearer ")[2].partition("\r")[0])
        refusal = http(b"{}", "401 Unauthorized")
        connection.sendall(page() if shown[-1] == good[-1] else refusal)

    file = tmp_path / "token"
    file.write_text("first")
    with running_server(script) as url:
        # As in a pod, where the kubelet replaces the file.
        user = User(token_file=str(file))
        config = KubeConfig.from_one(cluster=Cluster(server=url), user=user)
        monkeypatch.setattr(KubeConfig, "from_env", lambda: config)
        api = KubernetesApi()
        api.list(*LIST)
        good.append("second")
        file.write_text("second")
        api.list(*LIST)
        api.close()
    assert shown == ["first", "first", "second"]


def test_without_the_extra_it_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("lightkube")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lightkube", None)
    with pytest.raises(ImportError, match=r"deputize\[kubernetes\]"):
        KubernetesApi()


@pytest.mark.parametrize("text", [None, "a: [", "{}", "clusters: []\ncontexts: []\n"])
def test_without_a_server_it_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    file = tmp_path / "kubeconfig"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(file))
    with pytest.raises(ValueError, match="Kubernetes"):
        KubernetesApi()
