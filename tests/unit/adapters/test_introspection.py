from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from deputize.adapters import introspection
from deputize.adapters.introspection import Activity, IntrospectionClient
from deputize.adapters.introspection_answer import Answer, AnswerMemory
from deputize.adapters.introspection_endpoint import MAX_ANSWER_BYTES
from deputize.core.model import VerifiedToken
from deputize.core.token import verify
from tests.harness.introspection_endpoint import (
    CLIENT_ID,
    CLIENT_SECRET,
    IntrospectionEndpoint,
    running_introspection_endpoint,
)
from tests.harness.loopback import free_port
from tests.harness.polling import wait_until
from tests.harness.scripted_server import Script, drip, hang, running_server
from tests.harness.spiffe_ca import SpiffeCa
from tests.harness.world import SKEW, bearer, make_snapshot, no_recall, shared_issuer

ACTIVE, INACTIVE, UNKNOWN = Activity.ACTIVE, Activity.INACTIVE, Activity.UNKNOWN
PATIENCE = 10.0
"""More than any answer here takes."""
SHORT = 0.3
SLACK = 1.0
"""For a machine that does other things as well."""
OK = b"HTTP/1.1 200 OK\r\n"


def new_token(
    lifetime: float = 300, age: float = 0, claims: Mapping[str, object] = {}
) -> tuple[str, VerifiedToken]:
    issuer = shared_issuer()
    compact = issuer.issue(now=time.time() - age, lifetime=lifetime, claims=claims)
    world = make_snapshot(issuer)
    return compact, verify(bearer(compact), world.issuers, world.key_rings, time.time(), no_recall)


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(f"{CLIENT_SECRET}\n")
    return file


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> SpiffeCa:
    return SpiffeCa("example.org", tmp_path_factory.mktemp("ca"))


MakeClient = Callable[..., IntrospectionClient]


@pytest.fixture
def make_client(secret_file: Path, authority: SpiffeCa) -> Iterator[MakeClient]:
    clients: list[IntrospectionClient] = []

    def make(
        url: str,
        *,
        cache: float = 30,
        entries: int = 100,
        timeout: float = PATIENCE,
        at_once: int = 2,
        ca_file: str | None = None,
    ) -> IntrospectionClient:
        client = IntrospectionClient(
            url,
            client_id=CLIENT_ID,
            client_secret_file=str(secret_file),
            ca_file=ca_file or str(authority.certificate_file),
            cache_seconds=cache,
            cache_entries=entries,
            timeout_seconds=timeout,
            max_concurrent=at_once,
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def endpoint() -> Iterator[IntrospectionEndpoint]:
    with running_introspection_endpoint() as endpoint:
        yield endpoint


def receive(connection: socket.socket) -> bytes:
    """A whole request: whoever closes with something left to read resets the connection."""
    got = b""
    while b"token_type_hint=access_token" not in got:
        more = connection.recv(65536)
        if not more:
            break
        got += more
    return got


def answer(octets: bytes) -> Script:
    def script(connection: socket.socket, _over: threading.Event) -> None:
        receive(connection)
        connection.sendall(octets)

    return script


def replying(body: object) -> Script:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    return answer(OK + b"content-length: %d\r\n\r\n" % len(octets) + octets)


def test_an_active_token_is_active(
    endpoint: IntrospectionEndpoint, make_client: MakeClient
) -> None:
    client = make_client(endpoint.url)
    compact, token = new_token()
    assert client.ask(compact, token, PATIENCE) is ACTIVE
    assert endpoint.asked == [compact]
    assert client.problem == ""


def test_a_revoked_token_is_not(endpoint: IntrospectionEndpoint, make_client: MakeClient) -> None:
    compact, token = new_token()
    endpoint.revoke(compact)
    client = make_client(endpoint.url)
    assert client.ask(compact, token, PATIENCE) is INACTIVE
    assert client.problem == ""


@pytest.mark.parametrize("is_revoked", [False, True])
def test_an_answer_is_used_again(
    endpoint: IntrospectionEndpoint, make_client: MakeClient, *, is_revoked: bool
) -> None:
    compact, token = new_token()
    if is_revoked:
        endpoint.revoke(compact)
    client = make_client(endpoint.url)
    first = client.ask(compact, token, PATIENCE)
    endpoint.revoke(compact)
    # From memory even where there is no time to ask.
    assert client.ask(compact, token, 0) is first
    assert endpoint.asked == [compact]


def test_a_revocation_takes_effect_within_the_time_of_an_answer(
    endpoint: IntrospectionEndpoint, make_client: MakeClient
) -> None:
    client = make_client(endpoint.url, cache=0.3)
    compact, token = new_token()
    assert client.ask(compact, token, PATIENCE) is ACTIVE
    endpoint.revoke(compact)
    revoked_at = time.monotonic()
    wait_until(lambda: client.ask(compact, token, PATIENCE) is INACTIVE, 0.3 + SLACK)
    assert time.monotonic() - revoked_at < 0.3 + SLACK


def test_an_answer_in_use_is_renewed_without_a_wait(
    endpoint: IntrospectionEndpoint, make_client: MakeClient
) -> None:
    client = make_client(endpoint.url, cache=2)
    compact, token = new_token()
    assert client.ask(compact, token, PATIENCE) is ACTIVE
    # With no time to ask, whoever asks can only get what is remembered.
    started = time.monotonic()
    while time.monotonic() - started < 2.5:
        assert client.ask(compact, token, 0) is ACTIVE
    assert len(endpoint.asked) == 2


def test_without_a_memory_each_check_asks(
    endpoint: IntrospectionEndpoint, make_client: MakeClient
) -> None:
    compact, token = new_token()
    for client in (make_client(endpoint.url, cache=0), make_client(endpoint.url, entries=0)):
        endpoint.asked.clear()
        assert [client.ask(compact, token, PATIENCE) for _ in range(3)] == [ACTIVE] * 3
        assert len(endpoint.asked) == 3


def test_the_oldest_answers_are_forgotten_first(
    endpoint: IntrospectionEndpoint, make_client: MakeClient
) -> None:
    client = make_client(endpoint.url, entries=2)
    first, second, third = (new_token() for _ in range(3))
    for compact, token in (first, second, third, second, third, first):
        assert client.ask(compact, token, PATIENCE) is ACTIVE
    assert endpoint.asked == [first[0], second[0], third[0], first[0]]


def test_no_answer_is_used_after_the_end_of_its_token(
    endpoint: IntrospectionEndpoint, make_client: MakeClient
) -> None:
    # Ended by its own `exp`, and let in by the clock skew.
    compact, token = new_token(lifetime=60, age=60 + SKEW / 2)
    client = make_client(endpoint.url)
    assert [client.ask(compact, token, PATIENCE) for _ in range(2)] == [ACTIVE] * 2
    assert len(endpoint.asked) == 2


def test_an_answer_counts_from_when_it_was_asked_for() -> None:
    _, token = new_token()
    memory = AnswerMemory(30, 10)
    saying = Answer(is_active=True, until=token.expires_at)
    memory.remember("digest", saying, 100, 1000)
    assert memory.recall("digest", 123.9) == (saying, False)
    assert memory.recall("digest", 124) == (saying, True)
    assert memory.recall("digest", 129.9) == (saying, False)
    assert memory.recall("digest", 130) == (None, False)
    memory.remember("digest", saying, 100, 5)
    assert memory.recall("digest", 105) == (None, False)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"true",
        b"[]",
        b"{}",
        b'{"active": true',
        b'{"active": true} {}',
        b'\xef\xbb\xbf{"active": true}',
        b'{"active": false, "active": true}',
        {"active": None},
        {"active": "true"},
        {"active": 1},
        {"active": [True]},
        {"Active": True},
        {"active": True, "exp": "4000000000"},
        {"active": True, "exp": True},
        {"active": True, "exp": None},
    ],
)
def test_what_is_no_clear_answer_is_unknown(body: object, make_client: MakeClient) -> None:
    with running_server(replying(body)) as url:
        client = make_client(url)
        assert client.ask(*new_token(), PATIENCE) is UNKNOWN
        assert client.problem


@pytest.mark.parametrize(
    "replies",
    [
        {"iss": "https://other.example"},
        {"iss": None},
        {"sub": "mallory"},
        {"sub": ["alice"]},
        {"jti": "another"},
    ],
)
def test_an_answer_about_another_token_is_unknown(
    replies: Mapping[str, object], endpoint: IntrospectionEndpoint, make_client: MakeClient
) -> None:
    client = make_client(endpoint.url)
    endpoint.replies = replies
    compact, token = new_token()
    assert client.ask(compact, token, PATIENCE) is UNKNOWN
    assert client.problem
    # It is neither remembered nor held against other tokens.
    endpoint.replies = {}
    assert client.ask(compact, token, PATIENCE) is ACTIVE
    assert client.problem == ""


def test_an_answer_need_not_say_more_than_active(make_client: MakeClient) -> None:
    with running_server(replying({"active": True})) as url:
        assert make_client(url).ask(*new_token(), PATIENCE) is ACTIVE


def test_an_answer_that_ends_the_token_before_now_is_a_no(
    endpoint: IntrospectionEndpoint, make_client: MakeClient
) -> None:
    endpoint.replies = {"exp": int(time.time()) - 1}
    assert make_client(endpoint.url).ask(*new_token(), PATIENCE) is INACTIVE


def test_an_answer_that_ends_the_token_soon_is_used_until_then(
    endpoint: IntrospectionEndpoint, make_client: MakeClient
) -> None:
    client = make_client(endpoint.url)
    endpoint.replies = {"exp": time.time() + SHORT}
    compact, token = new_token()
    assert client.ask(compact, token, PATIENCE) is ACTIVE
    wait_until(lambda: client.ask(compact, token, PATIENCE) is INACTIVE, PATIENCE)


@pytest.mark.parametrize(
    "script",
    [
        answer(b"HTTP/1.1 500 Oops\r\ncontent-length: 16\r\n\r\n" + b'{"active": true}'),
        answer(b"HTTP/1.1 201 Made\r\ncontent-length: 16\r\n\r\n" + b'{"active": true}'),
        answer(OK + b"content-length: 17\r\n\r\n" + b'{"active": true}'),
        answer(b"SSH-2.0-OpenSSH\r\n"),
        answer(b""),
        replying(b'{"active": true}' + b" " * MAX_ANSWER_BYTES),
        drip(OK + b"\r\n", b" " * 65536),
    ],
    ids=["500", "201", "short", "no http", "nothing", "large", "endless"],
)
def test_any_failure_is_unknown(script: Script, make_client: MakeClient) -> None:
    with running_server(script) as url:
        client = make_client(url)
        assert client.ask(*new_token(), PATIENCE) is UNKNOWN
        assert client.problem


def test_a_redirect_is_not_followed(
    endpoint: IntrospectionEndpoint, make_client: MakeClient
) -> None:
    head = f"HTTP/1.1 307 Moved\r\nlocation: {endpoint.url}\r\ncontent-length: 0\r\n\r\n"
    with running_server(answer(head.encode())) as url:
        assert make_client(url).ask(*new_token(), PATIENCE) is UNKNOWN
    assert endpoint.asked == []


@pytest.mark.parametrize("url", ["http://idp.example/", "https://a:b@127.0.0.1/", "nonsense", ""])
def test_only_https_or_loopback_is_asked(url: str, make_client: MakeClient) -> None:
    assert make_client(url).ask(*new_token(), PATIENCE) is UNKNOWN


def test_proxies_of_the_environment_are_not_used(
    endpoint: IntrospectionEndpoint, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    assert make_client(endpoint.url).ask(*new_token(), PATIENCE) is ACTIVE


SLOW = pytest.mark.parametrize(
    "script",
    [
        hang,
        drip(b"", b"H"),
        drip(OK, b"x-a: b\r\n"),
        drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drip(OK + b'\r\n{"active": true}', b" "),
    ],
    ids=["nothing", "no line end", "headers", "interim answers", "body"],
)


@SLOW
def test_a_check_waits_no_longer_than_the_settings_let_it(
    script: Script, make_client: MakeClient
) -> None:
    with running_server(script) as url:
        client = make_client(url, timeout=SHORT)
        started = time.monotonic()
        assert client.ask(*new_token(), PATIENCE) is UNKNOWN
        assert time.monotonic() - started < SHORT + SLACK
        assert client.problem


@SLOW
def test_a_check_waits_no_longer_than_its_own_time(script: Script, make_client: MakeClient) -> None:
    with running_server(script) as url:
        client = make_client(url, timeout=PATIENCE)
        for _ in range(3):
            started = time.monotonic()
            assert client.ask(*new_token(), SHORT) is UNKNOWN
            assert time.monotonic() - started < SHORT + SLACK


def test_a_check_in_a_hurry_stops_nobody_else(
    endpoint: IntrospectionEndpoint, make_client: MakeClient
) -> None:
    client = make_client(endpoint.url)
    endpoint.open.clear()
    assert client.ask(*new_token(), 0.01) is UNKNOWN
    endpoint.open.set()
    assert client.ask(*new_token(), PATIENCE) is ACTIVE
    assert client.problem == ""


def test_no_time_at_all_is_unknown(
    endpoint: IntrospectionEndpoint, make_client: MakeClient
) -> None:
    client = make_client(endpoint.url)
    for timeout in (0, -1, float("nan")):
        assert client.ask(*new_token(), timeout) is UNKNOWN
    assert endpoint.asked == []


def over_tls(script: Script, authority: SpiffeCa) -> Script:
    svid = authority.issue("idp", dns=["localhost"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(svid.certificate_file, svid.private_key_file)

    def wrapped(connection: socket.socket, over: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            script(secured, over)

    return wrapped


def https(url: str) -> str:
    return url.replace("http://127.0.0.1", "https://localhost")


def test_tls_is_spoken_with_who_is_trusted_only(
    make_client: MakeClient, authority: SpiffeCa, tmp_path: Path
) -> None:
    other = SpiffeCa("example.org", tmp_path)
    with running_server(over_tls(replying({"active": True}), authority)) as url:
        assert make_client(https(url)).ask(*new_token(), PATIENCE) is ACTIVE
        stranger = make_client(https(url), ca_file=str(other.certificate_file))
        assert stranger.ask(*new_token(), PATIENCE) is UNKNOWN
        wrong_name = https(url).replace("localhost", "127.0.0.1")
        assert make_client(wrong_name).ask(*new_token(), PATIENCE) is UNKNOWN


@SLOW
def test_a_slow_endpoint_behind_tls_is_given_up(
    script: Script, make_client: MakeClient, authority: SpiffeCa
) -> None:
    with running_server(over_tls(script, authority)) as url:
        client = make_client(https(url), timeout=SHORT)
        started = time.monotonic()
        assert client.ask(*new_token(), PATIENCE) is UNKNOWN
        assert time.monotonic() - started < SHORT + SLACK
        # The connection is cut, so that its thread is free again.
        wait_until(lambda: not client._waiting, PATIENCE)


def test_slow_tls_is_given_up(make_client: MakeClient) -> None:
    with running_server(drip(b"\x16\x03\x03\x40\x00", b"\x02")) as url:
        client = make_client(url.replace("http:", "https:"), timeout=SHORT)
        started = time.monotonic()
        assert client.ask(*new_token(), PATIENCE) is UNKNOWN
        assert time.monotonic() - started < SHORT + SLACK


def test_a_name_that_is_looked_up_for_ever_holds_up_no_check(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def look_up(*_: object, **__: object) -> object:
        over.wait()
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(introspection, "PAUSE_SECONDS", 0.0)
    client = make_client("https://idp.example/introspect", timeout=SHORT)
    before = threading.active_count()
    try:
        for _ in range(5):
            started = time.monotonic()
            assert client.ask(*new_token(), PATIENCE) is UNKNOWN
            assert time.monotonic() - started < SHORT + SLACK
        assert threading.active_count() <= before
    finally:
        over.set()


def test_a_slow_endpoint_leaves_no_threads_behind(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(introspection, "PAUSE_SECONDS", 0.0)
    arrived: list[None] = []
    dripping = drip(OK + b"\r\n", b" ")

    def script(connection: socket.socket, over: threading.Event) -> None:
        arrived.append(None)
        dripping(connection, over)

    with running_server(script) as url:
        client = make_client(url, timeout=0.1)
        for number in range(10):
            assert client.ask(*new_token(), PATIENCE) is UNKNOWN
            # Its thread was freed, or after two there would be none left.
            assert len(arrived) == number + 1
            wait_until(lambda: not client._waiting, PATIENCE)


def test_only_so_many_wait_at_once(
    endpoint: IntrospectionEndpoint, make_client: MakeClient
) -> None:
    client = make_client(endpoint.url, at_once=2)
    endpoint.open.clear()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(client.ask, *new_token(), PATIENCE) for _ in range(2)]
        wait_until(lambda: len(endpoint.asked) == 2, PATIENCE)
        started = time.monotonic()
        assert client.ask(*new_token(), PATIENCE) is UNKNOWN
        assert time.monotonic() - started < SLACK
        endpoint.open.set()
        assert [each.result(PATIENCE) for each in waiting] == [ACTIVE] * 2
    assert client.ask(*new_token(), PATIENCE) is ACTIVE


def test_nobody_is_asked_for_half_a_second_after_a_failure(
    endpoint: IntrospectionEndpoint, make_client: MakeClient
) -> None:
    client = make_client(endpoint.url)
    known = new_token()
    assert client.ask(*known, PATIENCE) is ACTIVE
    endpoint.secret = "another"
    failed_after = time.monotonic()
    assert client.ask(*new_token(), PATIENCE) is UNKNOWN
    failed_before = time.monotonic()
    endpoint.secret = CLIENT_SECRET
    # What is known is still used.
    assert client.ask(*known, PATIENCE) is ACTIVE
    wait_until(lambda: client.ask(*new_token(), PATIENCE) is ACTIVE, PATIENCE)
    assert time.monotonic() - failed_after >= introspection.PAUSE_SECONDS
    assert time.monotonic() - failed_before < introspection.PAUSE_SECONDS + SLACK
    assert client.problem == ""


@pytest.mark.parametrize(
    ("status", "stops_others"),
    [
        (400, False),
        (404, False),
        (413, False),
        (422, False),
        (401, True),
        (403, True),
        (429, True),
        (302, True),
        (500, True),
        (503, True),
    ],
)
def test_what_may_be_about_one_token_stops_no_other(
    status: int, make_client: MakeClient, *, stops_others: bool
) -> None:
    refused, other = new_token(), new_token()

    def script(connection: socket.socket, _over: threading.Event) -> None:
        while got := receive(connection):
            if refused[0].encode() in got:
                connection.sendall(b"HTTP/1.1 %d No\r\ncontent-length: 2\r\n\r\n{}" % status)
            else:
                connection.sendall(OK + b'content-length: 16\r\n\r\n{"active": true}')

    with running_server(script) as url:
        client = make_client(url, at_once=1)
        assert client.ask(*refused, PATIENCE) is UNKNOWN
        assert str(status) in client.problem
        assert client.ask(*other, PATIENCE) is (UNKNOWN if stops_others else ACTIVE)
        client.close()


def test_a_connection_is_used_again(
    endpoint: IntrospectionEndpoint, make_client: MakeClient
) -> None:
    client = make_client(endpoint.url, at_once=1)
    for _ in range(5):
        assert client.ask(*new_token(), PATIENCE) is ACTIVE
    assert len(endpoint.connections) == 1


def test_what_an_endpoint_says_unasked_is_no_answer(make_client: MakeClient) -> None:
    no, yes = (
        OK + b"content-length: %d\r\n\r\n" % len(body) + body
        for body in (b'{"active": false}', b'{"active": true}')
    )

    def script(connection: socket.socket, _over: threading.Event) -> None:
        while receive(connection):
            connection.sendall(no + yes)

    with running_server(script) as url:
        client = make_client(url, at_once=1)
        assert [client.ask(*new_token(), PATIENCE) for _ in range(3)] == [INACTIVE] * 3
        client.close()


def test_an_endpoint_that_starts_again_is_asked_again(make_client: MakeClient) -> None:
    with running_introspection_endpoint() as endpoint:
        port = int(endpoint.url.rpartition(":")[2].partition("/")[0])
        client = make_client(endpoint.url)
        assert client.ask(*new_token(), PATIENCE) is ACTIVE
    assert client.ask(*new_token(), PATIENCE) is UNKNOWN
    assert client.problem
    with running_introspection_endpoint(port):
        wait_until(lambda: client.ask(*new_token(), PATIENCE) is ACTIVE, PATIENCE)
    assert client.problem == ""


def test_a_new_secret_is_used_at_once(
    endpoint: IntrospectionEndpoint, make_client: MakeClient, secret_file: Path
) -> None:
    client = make_client(endpoint.url)
    assert client.ask(*new_token(), PATIENCE) is ACTIVE
    endpoint.secret = "the next one"
    secret_file.write_text("the next one\r\n")
    assert client.ask(*new_token(), PATIENCE) is ACTIVE


@pytest.mark.parametrize("content", [None, b"", b"\n", b"two\nlines\n", b"\xff", b"x" * 4097])
def test_without_a_secret_nobody_is_asked(
    content: bytes | None,
    endpoint: IntrospectionEndpoint,
    make_client: MakeClient,
    secret_file: Path,
) -> None:
    if content is None:
        secret_file.unlink()
    else:
        secret_file.write_bytes(content)
    client = make_client(endpoint.url)
    wait_until(lambda: client.problem, PATIENCE)
    assert client.ask(*new_token(), PATIENCE) is UNKNOWN
    assert endpoint.asked == []
    secret_file.write_text(CLIENT_SECRET)
    wait_until(lambda: client.ask(*new_token(), PATIENCE) is ACTIVE, PATIENCE)
    assert client.problem == ""


def test_a_file_without_authorities_is_a_problem_from_the_start(
    endpoint: IntrospectionEndpoint, make_client: MakeClient
) -> None:
    client = make_client(endpoint.url, ca_file="/dev/null")
    wait_until(lambda: client.problem, PATIENCE)
    assert client.ask(*new_token(), PATIENCE) is UNKNOWN


def test_neither_token_nor_secret_is_told(
    make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    # A server that repeats what it got, in each place that a client might quote.
    def script(connection: socket.socket, _over: threading.Event) -> None:
        got = receive(connection)
        flat = got.replace(b"\r\n", b" ")
        connection.sendall(places.pop().replace(b"WHAT", flat))

    places = [
        b"HTTP/1.1 500 WHAT\r\n\r\n",
        b"WHAT\r\n\r\n",
        OK + b"WHAT\r\n\r\n",
        OK + b"content-length: WHAT\r\n\r\n",
        OK + b"\r\n" + b"WHAT",
        OK + b"\r\n" + b'{"active": "WHAT"}',
    ]
    compact, token = new_token()
    caplog.set_level(logging.DEBUG, logger="deputize")
    told = []
    with running_server(script) as url:
        for _ in range(len(places)):
            client = make_client(url)
            assert client.ask(compact, token, PATIENCE) is UNKNOWN
            told.append(client.problem)
    for text in (*told, caplog.text):
        assert text
        assert compact not in text
        assert "Basic" not in text
        assert CLIENT_SECRET not in text


@contextmanager
def asking(client: IntrospectionClient) -> Iterator[Callable[[], Activity]]:
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(client.ask, *new_token(), PATIENCE)
        yield lambda: future.result(PATIENCE)


def test_closing_answers_who_waits_and_asks_no_more(
    endpoint: IntrospectionEndpoint, make_client: MakeClient
) -> None:
    client = make_client(endpoint.url)
    endpoint.open.clear()
    with asking(client) as result:
        wait_until(lambda: endpoint.asked, PATIENCE)
        started = time.monotonic()
        client.close()
        assert result() is UNKNOWN
        assert time.monotonic() - started < PATIENCE / 2
    endpoint.open.set()
    assert client.ask(*new_token(), PATIENCE) is UNKNOWN
    assert len(endpoint.asked) == 1
    assert not any(thread.is_alive() for thread in client._threads)
