"""deputize itself as a process, with a configuration given as a mapping."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.harness.loopback import get
from tests.harness.polling import wait_until
from tests.harness.processes import ChildProcess

_START_SECONDS = 20
_AUDIT_SECONDS = 10


class DeputizeProcess:
    """A context: within it the service is ready. Its files are in `folder`.

    `config` is the document of the configuration file; its audit sink must be a file.
    """

    def __init__(self, config: Mapping[str, Any], folder: Path) -> None:
        self.config = config
        self._folder = folder
        self._spec = config["spec"]
        self._process: ChildProcess | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.config_file.write_text(yaml.safe_dump(dict(self.config), sort_keys=False))
        self._process = ChildProcess(
            [
                *(sys.executable, "-m", "deputize.cli.main"),
                *("serve", "--config", self.config_file),
            ],
            self.log_file,
        )
        self._process.wait_ready(self._is_ready, _START_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def config_file(self) -> Path:
        return self._folder / "deputize.yaml"

    @property
    def log_file(self) -> Path:
        return self._folder / "deputize.log"

    @property
    def audit_file(self) -> Path:
        return self._folder / str(self._spec["audit"]["file"])

    @property
    def grpc_addresses(self) -> list[str]:
        """Where it listens for checks, as configured."""
        return list(self._spec["server"]["grpc"]["listen"])

    @property
    def http_url(self) -> str:
        return f"http://{self._spec['server']['http']['listen']}"

    @property
    def policy_digest(self) -> str:
        """The digest of the configuration and policies it decides under."""
        answer = get(f"{self.http_url}/readyz")
        assert answer is not None
        digest: str = answer.json()["policy_digest"]
        return digest

    @property
    def is_running(self) -> bool:
        return self._running.is_running

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def cpu_seconds(self) -> float:
        """User and system time so far, as Linux counts it (proc(5), fields 14 and 15)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def terminate(self) -> None:
        """Asks it to end (SIGTERM), without waiting."""
        self._running.terminate()

    def stop(self) -> int:
        """Ends it and gives its exit code; queued audit events are then written."""
        return self._running.stop()

    def audit_events(self) -> list[dict[str, Any]]:
        """All events written so far."""
        if not self.audit_file.exists():
            return []
        lines = self.audit_file.read_text().split("\n")
        # What follows the last line feed is a line that is still being written.
        return [json.loads(line) for line in lines[:-1]]

    def audit_event(self, decision_id: str) -> dict[str, Any]:
        """The event of one decision, once it is written."""
        return wait_until(
            lambda: next(
                (event for event in self.audit_events() if event["decision_id"] == decision_id),
                None,
            ),
            _AUDIT_SECONDS,
            f"the audit event of {decision_id}",
        )

    def metric(self, name: str, /, **labels: str) -> float:
        """The sum of a metric's samples with these labels; 0 where there is none yet."""
        answer = get(f"{self.http_url}/metrics")
        assert answer is not None
        return sum(
            sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    @property
    def decisions(self) -> int:
        """How many checks it has answered."""
        return int(self.metric("deputize_decisions_total"))

    @property
    def _running(self) -> ChildProcess:
        assert self._process is not None, "the service was not started"
        return self._process

    def _is_ready(self) -> bool:
        answer = get(f"{self.http_url}/readyz")
        return answer is not None and answer.status_code == 200
