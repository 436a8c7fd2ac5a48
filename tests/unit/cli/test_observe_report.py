"""`policy observe-report`, and how audit files are read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from deputize.cli import audit_files
from deputize.cli.route_folding import fold_path
from deputize.core.audit_form import AuditEvent
from deputize.core.reasons import Reason
from tests.harness.recordings import Recorder, policy_text, run_policy, write_events
from tests.harness.world import AGENT, HOST, NOW, OTHER_AGENT

MCP_RESOURCE = {"hosts": [HOST], "paths": ["/mcp"], "protocol": "mcp"}
FORBID = {"name": "no-nine", "effect": "forbid", "paths": ["/v1/orders/9"]}


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """Everything is only observed."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(policy_text({}, FORBID, resources=[MCP_RESOURCE]))
    return Recorder(policy, is_observed=True)


def lines(*events: AuditEvent) -> bytes:
    return b"".join(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE) for event in events)


def report(*arguments: str | Path, stdin: bytes | None = None) -> dict[str, Any]:
    result = run_policy("observe-report", *arguments, "--json", stdin=stdin)
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_what_would_be_refused_is_grouped_and_counted(recorder: Recorder, tmp_path: Path) -> None:
    recorder.ask()
    recorder.ask(path="/v1/orders/9", now=NOW + 60)
    recorder.ask(path="/v1/orders/9")
    recorder.ask(method="DELETE", path="/v1/orders/17")
    recorder.ask(method="DELETE", path="/v1/orders/18")
    recorder.ask(method="DELETE", path="/v1/orders/19", peer=OTHER_AGENT)
    recorder.call("delete")
    recorder.ask(token={"omit": ["act"]})
    told = report(recorder.write(tmp_path / "audit.jsonl"))
    assert told["totals"] == {"would_be_refused": 6, "refused": 1, "allowed": 1}
    time, later = "2027-01-15T08:00:00+00:00", "2027-01-15T08:01:00+00:00"
    said = {"rule": None, "reason": Reason.POLICY_NO_MATCH, "first": time, "last": time}
    deletion = f"DELETE {HOST}/v1/orders/{{id}}"
    forbidden = {
        "rule": "orders/no-nine",
        "reason": Reason.POLICY_FORBIDDEN,
        "agent": AGENT,
        "target": f"GET {HOST}/v1/orders/{{id}}",
        "count": 2,
        "first": time,
        "last": later,
        "example": f"{1:032x}",
    }
    assert told["groups"] == [
        {**said, "agent": AGENT, "target": deletion, "count": 2, "example": f"{3:032x}"},
        forbidden,
        {**said, "agent": OTHER_AGENT, "target": deletion, "count": 1, "example": f"{5:032x}"},
        {
            **said,
            "agent": AGENT,
            "target": "mcp tools/call delete",
            "count": 1,
            "example": f"{6:032x}",
        },
    ]


def test_people_are_told_the_same(recorder: Recorder, tmp_path: Path) -> None:
    recorder.ask(method="DELETE")
    recorder.ask(path="/v1/orders/9")
    result = run_policy("observe-report", recorder.write(tmp_path / "audit.jsonl"))
    for text in ("2 would be refused", "no rule matched", "orders/no-nine", AGENT, f"{1:032x}"):
        assert text in result.stdout


def test_what_was_asked_cannot_write_to_the_terminal(recorder: Recorder, tmp_path: Path) -> None:
    event = recorder.ask(method="DELETE")
    event["http"]["path"] = "/a\x1b[2J[bold]x\n"
    result = run_policy("observe-report", recorder.write(tmp_path / "audit.jsonl"))
    assert "\x1b" not in result.stdout
    assert "/a\\x1b[2J[bold]x\\n" in result.stdout


def test_files_patterns_packed_files_and_standard_input(recorder: Recorder, tmp_path: Path) -> None:
    first, second, third = (recorder.ask(method="DELETE") for _ in range(3))
    (tmp_path / "a.1.jsonl").write_bytes(lines(first))
    (tmp_path / "a.2.jsonl.gz").write_bytes(gzip.compress(lines(second)))
    pattern = tmp_path / "a.*"
    assert report(pattern)["totals"]["would_be_refused"] == 2
    told = report(pattern, tmp_path / "a.1.jsonl", "-", stdin=lines(third, first) + b"\n\n")
    assert told["totals"]["would_be_refused"] == 3
    assert told["read"] == {"events": 3, "unreadable": [], "repeated": 1, "before_since": 0}
    assert run_policy("observe-report", tmp_path / "b.*").exit_code == 2


def test_since_leaves_earlier_events_out_and_says_so(recorder: Recorder, tmp_path: Path) -> None:
    for at in (NOW, NOW + 60):
        recorder.ask(method="DELETE", now=at)
    audit = recorder.write(tmp_path / "audit.jsonl")
    told = report(audit, "--since", "2027-01-15T09:00:30+01:00")
    assert (told["read"]["events"], told["read"]["before_since"]) == (1, 1)
    for text in ("yesterday", "2027-01-15T09:00:30"):
        assert run_policy("observe-report", audit, "--since", text).exit_code == 2


BAD_LINES = (b"{", b"[]", b"\xff", b'"x"', b"{}", b'{"schema_version": "2"}')


@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_line_that_is_no_event_is_said_with_its_place(
    recorder: Recorder, tmp_path: Path, bad: bytes
) -> None:
    event = recorder.ask(method="DELETE")
    audit = tmp_path / "audit.jsonl"
    audit.write_bytes(b"\n" + bad + b"\n" + lines(event))
    result = run_policy("observe-report", audit, "--json")
    assert result.exit_code == 0
    (problem,) = json.loads(result.stdout)["read"]["unreadable"]
    assert problem.startswith(f"{audit}:2: ")
    assert problem in result.stderr
    assert json.loads(result.stdout)["totals"]["would_be_refused"] == 1
    assert run_policy("observe-report", audit, "--strict").exit_code == 2
    audit.write_bytes(bad)
    assert run_policy("observe-report", audit).exit_code == 2


def test_of_many_bad_lines_the_first_are_shown(tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    audit.write_bytes(b"x\n" * (audit_files.SHOWN_PROBLEMS + 5))
    result = run_policy("observe-report", audit)
    assert result.stderr.count("no audit event") == audit_files.SHOWN_PROBLEMS
    assert "and 5 more" in result.stderr


def test_a_line_without_end_is_a_problem(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_files, "MAX_LINE_BYTES", 5000)
    audit = tmp_path / "audit.jsonl"
    audit.write_bytes(b"x" * 20_001 + b"\n" + lines(recorder.ask()))
    told = report(audit)
    assert told["read"]["events"] == 1
    (problem,) = told["read"]["unreadable"]
    assert problem.startswith(f"{audit}:1: ")


def test_a_packed_file_that_ends_early_gives_what_it_has(
    recorder: Recorder, tmp_path: Path
) -> None:
    events = [recorder.ask(method="DELETE") for _ in range(50)]
    audit = tmp_path / "audit.jsonl.gz"
    audit.write_bytes(gzip.compress(lines(*events))[:-20])
    result = run_policy("observe-report", audit, "--json")
    assert result.exit_code in {0, 2}
    assert str(audit) in result.stderr
    audit.write_bytes(b"not packed")
    assert run_policy("observe-report", audit).exit_code == 2


def test_events_of_earlier_versions_are_read(recorder: Recorder, tmp_path: Path) -> None:
    event: dict[str, Any] = {**recorder.ask()}
    for name in ("claims", "calls", "approvals", "observed"):
        del event[name]
    event["a_later_member"] = 1
    audit = write_events(tmp_path / "audit.jsonl", [event])
    assert report(audit)["totals"] == {"would_be_refused": 0, "refused": 0, "allowed": 1}


@pytest.mark.parametrize(
    ("path", "folded"),
    [
        ("/", "/"),
        ("/v1/orders/17", "/v1/orders/{id}"),
        ("/v1/orders/ord-17/lines/3", "/v1/orders/{id}/lines/{id}"),
        ("/u/6b1f0f0e-3d3c-4c0b-9a52-6f3d0c4b7f11", "/u/{id}"),
        ("/blob/9f86d081884c7d659a2feaa0c55ad015", "/blob/{id}"),
        ("/r/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/r/{id}"),
        ("/v1/deadbeefdeadbeef", "/v1/deadbeefdeadbeef"),
        ("/v2/customers/list", "/v2/customers/list"),
    ],
)
def test_identifiers_are_folded(path: str, folded: str) -> None:
    assert fold_path(path) == folded
