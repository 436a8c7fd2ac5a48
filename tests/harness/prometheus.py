"""A real Prometheus on loopback, and its `promtool`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from tests.harness.loopback import HOST, free_port, get
from tests.harness.processes import ChildProcess

_START_SECONDS = 20
_INTERVAL = "250ms"


class PrometheusServer:
    """A context: within it the server scrapes `target` (host:port) and evaluates `rules`.

    What it scrapes gets `labels`, as a monitor in a cluster would give. Its files are in `folder`.
    """

    def __init__(
        self, folder: Path, target: str, labels: Mapping[str, str], rules: Mapping[str, Any]
    ) -> None:
        self._folder = folder
        self._url = f"http://{HOST}:{free_port()}"
        scraped = {
            "job_name": labels["job"],
            "static_configs": [{"targets": [target], "labels": dict(labels)}],
        }
        self._config = {
            "global": {"scrape_interval": _INTERVAL, "evaluation_interval": _INTERVAL},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [scraped],
        }
        self._rules = rules
        self._process: ChildProcess | None = None

    def __enter__(self) -> Self:
        (self._folder / "rules.yaml").write_text(yaml.safe_dump(dict(self._rules)))
        (self._folder / "prometheus.yaml").write_text(yaml.safe_dump(self._config))
        command: list[str | Path] = [
            _program("prometheus"),
            f"--config.file={self._folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={self._url.removeprefix('http://')}",
        ]
        self._process = ChildProcess(command, self._folder / "prometheus.log")
        self._process.wait_ready(self._is_ready, _START_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that the expression gives now.

        Raises:
            ValueError: it cannot be parsed or evaluated; the message is the server's.
        """
        body = self._ask("query", query=expression)
        if body["status"] != "success":
            raise ValueError(f"{body['error']}: {expression}")
        found: list[dict[str, Any]] = body["data"]["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its `health` and `lastError`."""
        groups = self._ask("rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def _ask(self, what: str, **parameters: str) -> dict[str, Any]:
        answer = httpx.get(f"{self._url}/api/v1/{what}", params=parameters, trust_env=False)
        body: dict[str, Any] = answer.json()
        return body

    def _is_ready(self) -> bool:
        answer = get(f"{self._url}/-/ready")
        return answer is not None and answer.status_code == httpx.codes.OK


def promtool(*arguments: str | Path, folder: Path) -> str:
    """What it printed.

    Raises:
        AssertionError: it was not content; the message is what it printed.
    """
    command: Sequence[str | Path] = [_program("promtool"), *arguments]
    done = subprocess.run(  # noqa: S603 - promtool, on our own files
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _program(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"the tests need {name}: `make prometheus`, or install it")
    return Path(found)
