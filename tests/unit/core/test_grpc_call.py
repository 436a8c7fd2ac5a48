from __future__ import annotations

import pytest

from deputize.core.grpc_call import MAX_METHOD, read_grpc_call
from deputize.core.json_rpc import CallError
from deputize.core.model import Call, Protocol

GRPC = "application/grpc"


@pytest.mark.parametrize(
    "segments",
    [
        ("shop.v1.Orders", "Get"),
        ("Orders", "get_one"),
        ("_a._b", "_C9"),
        ("a" * (MAX_METHOD - 2), "b"),
    ],
)
@pytest.mark.parametrize("content_type", [GRPC, f"{GRPC}+proto", f"{GRPC}+json", f"{GRPC}+x.y-z"])
def test_a_call_is_read(segments: tuple[str, str], content_type: str) -> None:
    method = f"{segments[0]}/{segments[1]}"
    assert read_grpc_call("POST", segments, content_type) == Call(
        Protocol.GRPC, method, "", None, None
    )


@pytest.mark.parametrize("method", ["GET", "PUT", "post", "OPTIONS", ""])
def test_only_post_is_grpc(method: str) -> None:
    with pytest.raises(CallError):
        read_grpc_call(method, ("a.B", "C"), GRPC)


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc+",
        "application/grpc+proto,application/json",
        "application/grpc;charset=utf-8",
        "application/GRPC",
        "application/grpc\n",
        " application/grpc",
    ],
)
def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(CallError):
        read_grpc_call("POST", ("a.B", "C"), content_type)


@pytest.mark.parametrize(
    "segments",
    [
        ("",),
        ("a.B",),
        ("a.B", ""),
        ("", "C"),
        ("a.B", "C", ""),
        ("x", "a.B", "C"),
        (".a", "C"),
        ("a.", "C"),
        ("a..b", "C"),
        ("1a", "C"),
        ("a.1b", "C"),
        ("a-b", "C"),
        ("a.B", "C.D"),
        ("a.B", "1"),
        ("a.B", "C\n"),
        ("a.B", "C D"),
        ("a/b", "C"),
        ("\u0430.B", "C"),
        ("a" * (MAX_METHOD - 1), "b"),
    ],
)
def test_a_path_that_names_no_method_is_refused(segments: tuple[str, ...]) -> None:
    with pytest.raises(CallError) as caught:
        read_grpc_call("POST", segments, GRPC)
    assert not caught.value.is_mismatch
