from __future__ import annotations

import pytest

from deputize.core.resource_uri import (
    ResourceUriError,
    check_resource_template,
    check_resource_uri,
)

GOOD = (
    "file:///workspace/a.txt",
    "file:///workspace/",
    "file:///",
    "file:///work%20space/caf%C3%A9",
    "https://example.com",
    "https://example.com:8443/a/b?x=1&y=a.b",
    "https://[::1]/a",
    "https://example.com?x=caf%C3%A9",
    "postgres://MyDB/Users/schema",
    "git+ssh://host/a",
    "urn:isbn:0451450523",
    "note:today",
    "memo://insights",
)
BAD = (
    "",
    "/workspace/a",
    "workspace/a",
    "://a",
    "FILE:///workspace/a",
    "file:/workspace/a",
    "file:workspace/a",
    "file://localhost/workspace/a",
    "file://../etc/passwd",
    "file:////etc/passwd",
    "file:///workspace/../etc/passwd",
    "file:///workspace/..",
    "file:///workspace/./a",
    "file:///workspace/%2e%2e/etc/passwd",
    "file:///workspace/%2E./etc/passwd",
    "file:///workspace/.%2e/etc/passwd",
    "file:///workspace/..%2fetc%2fpasswd",
    "file:///workspace/..%2Fetc",
    "file:///workspace/a%2fb",
    "file:///workspace/..%5cetc",
    "file:///workspace/..%5Cetc",
    "file:///workspace\\..\\etc",
    "file:///workspace/%252e%252e/etc",
    "file:///workspace/%c0%ae%c0%ae/etc",
    "file:///workspace/%ef%bc%8e%ef%bc%8e/etc",
    "file:///workspace/..;/etc",
    "file:///workspace//etc/passwd",
    "file:///workspace/a#/../../etc",
    "file:///workspace/a?/../../etc",
    "file:///workspace/a?\\..\\..\\etc",
    "file:///workspace/a?x=/%2e%2e/etc",
    "file:///workspace/a?..",
    "file:///workspace/%61",
    "file:///workspace/%00",
    "file:///workspace/a%0a",
    "file:///workspace/a%",
    "file:///workspace/a%zz",
    "file:///workspace/a b",
    "file:///workspace/a\n",
    "file:///workspace/\u202ea",
    "file:///workspace/\uff0e\uff0e/etc",
    "https:///a",
    "https://",
    "https:example.com",
    "https://Example.com/a",
    "https://good.example@evil.example/a",
    "https://user:pw@good.example/a",
    "https://good.example%2eevil.example/a",
    "https://good.example./a",
    "db://../a",
)


@pytest.mark.parametrize("uri", GOOD)
def test_a_uri_of_one_reading_passes(uri: str) -> None:
    check_resource_uri(uri)
    check_resource_template(uri)


@pytest.mark.parametrize("uri", BAD)
def test_a_uri_of_two_readings_is_refused(uri: str) -> None:
    for check in (check_resource_uri, check_resource_template):
        with pytest.raises(ResourceUriError):
            check(uri)


@pytest.mark.parametrize("template", ["file:///{path}", "db://{name}/rows{?limit,page}", "x:{+a}"])
def test_only_a_template_has_braces(template: str) -> None:
    check_resource_template(template)
    with pytest.raises(ResourceUriError):
        check_resource_uri(template)


def test_expressions_do_not_hide_dot_segments() -> None:
    for template in ("file:///{a}/../b", "file:///{{a}", "file:///.{a}./..", "file:///a}"):
        with pytest.raises(ResourceUriError):
            check_resource_template(template)
