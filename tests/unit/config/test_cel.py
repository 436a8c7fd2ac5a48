from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage

from deputize.config import cel
from deputize.config.cel import FACTS, compile_expression
from deputize.config.cel_bounds import check_bounds
from tests.harness.expressions import EXAMPLE, refused


def test_every_fact_of_a_case_is_a_variable() -> None:
    names = set[str]()
    for name, value in EXAMPLE.items():
        names |= {f"{name}.{member}" for member in value} if isinstance(value, dict) else {name}
    assert names == set(FACTS)


@pytest.mark.parametrize(
    "source",
    [
        'requst.method == "POST"',
        'request.methd == "POST"',
        'request["method"] == "POST"',
        'Request.method == "POST"',
        'peer.trust_domain == "corp.example"',
        'call.argument.amount == 1 || call.name == "x"',
        "call == null",
        'user.name == "alice"',
        '"orders:read" in scope',
        'principal.claim.groups == "x"',
        'environment("HOME") == "/root"',
        "@result == 1",
    ],
)
def test_a_name_that_is_no_fact_is_refused_at_load(source: str) -> None:
    assert refused(source)


def test_a_refusal_tells_what_is_wrong_and_where() -> None:
    assert "requst.method" in refused('true && requst.method == "GET"')
    assert "1:15" in refused('true && requst.method == "GET"')
    message = refused("true &&\ncall.arguments.l.map(x, x) == []")
    assert "map" in message
    assert "character 29" in message
    assert len(refused("$ " * 2000)) < 500
    assert (
        refused("one == 1 &&\ntwo == 2") == "1:1: undeclared reference to 'one' (in container '')"
    )


@pytest.mark.parametrize(
    "source",
    [
        *(
            "",
            " ",
            "a b",
            '"open',
            "1 +",
            "request.method ==",
            "'\ud800' == ''",
            "\0",
            "/* */ true",
        ),
        *('agent + 1 == ""', "agent == 1", 'scopes == "x"', 'now > "2026-01-01"', "now > 5.0"),
        *(
            "1",
            '"true"',
            "null",
            "request.method",
            "size(scopes)",
            "scopes",
            "now",
            "call.arguments",
        ),
        "request.method ? true : false",
    ],
)
def test_what_does_not_parse_or_has_the_wrong_type_is_refused_at_load(source: str) -> None:
    assert refused(source)


@pytest.mark.parametrize(
    "source",
    [
        'request.path.matches("(")',
        r'request.path.matches(r"(a)\1")',
        'request.path.matches("(?=a)")',
        'timestamp("2026-13-01T00:00:00Z") < now',
        'now - timestamp("yesterday") < duration("1h")',
        'duration("5 minutes") < duration("1h")',
        'now.getHours("Europe/Nowhere") == 1',
        'now.getHours("file:/etc/localtime") == 1',
        'now.getHours("../zoneinfo/UTC") == 1',
        'now.getHours("/usr/share/zoneinfo/UTC") == 1',
    ],
)
def test_a_literal_that_cannot_work_is_refused_at_load(source: str) -> None:
    assert refused(source)


@pytest.mark.parametrize(
    "source",
    [
        'request.headers["X-Tier"] == "gold"',
        'request.headers[call.name] == "gold"',
        "call.name in request.headers",
        'request.headers.exists(h, h == "x")',
        "request.headers == {}",
        'dyn(request.headers)["x"] == "y"',
    ],
)
def test_a_header_is_asked_for_by_its_name_in_lower_case(source: str) -> None:
    assert refused(source)


def test_a_node_that_is_not_known_is_refused() -> None:
    def no_probe(_function: str, _literal: str) -> None:
        return None

    for node in (b"", b"\x10\x01", b"\x52\x00", b"\x1a\x00\x22\x00"):
        checked = b"\x22" + bytes([len(node)]) + node
        with pytest.raises(ValueError, match="not known"):
            check_bounds(AnyMessage(value=checked).SerializeToString(), frozenset(FACTS), no_probe)


@pytest.fixture
def _no_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "cel_expr_python.cel", None)
    cel._library.cache_clear()
    yield
    cel._library.cache_clear()


@pytest.mark.usefixtures("_no_library")
def test_without_the_extra_the_error_says_what_to_install() -> None:
    with pytest.raises(ImportError, match=r"deputize\[cel\]"):
        compile_expression("true")
