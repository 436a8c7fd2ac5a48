"""A process of ours: its output goes to a file, and it ends when we say so."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.harness.polling import wait_until

_SHOWN_LOG_CHARACTERS = 4000


class ProcessError(RuntimeError):
    """A process did not start or stop as it should; the message ends with its log."""


class ChildProcess:
    """A running command. It has its own process group, so Ctrl-C reaches only us."""

    def __init__(self, command: Sequence[str | Path], log_file: Path) -> None:
        self.log_file = log_file
        self._name = Path(command[0]).name
        with log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own commands only
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self, check: Callable[[], bool], seconds: float) -> None:
        """Waits until `check` holds.

        Raises:
            ProcessError: the process ended before, or it took longer than `seconds`.
        """
        try:
            wait_until(lambda: not self.is_running or check(), seconds)
        except TimeoutError as error:
            self.stop()
            raise self._failure(f"is not ready: {error}") from None
        if not self.is_running:
            raise self._failure(f"ended with code {self._process.returncode} before it was ready")

    def terminate(self) -> None:
        """Asks the process to end (SIGTERM), without waiting."""
        if self.is_running:
            self._process.terminate()

    def wait(self, seconds: float) -> int:
        """The exit code, once the process has ended.

        Raises:
            subprocess.TimeoutExpired: it has not.
        """
        return self._process.wait(seconds)

    def stop(self, seconds: float = 15) -> int:
        """Ends the process, the hard way if it takes longer than `seconds`; the exit code."""
        self.terminate()
        try:
            return self.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _failure(self, what: str) -> ProcessError:
        log = self.log_file.read_text(errors="replace")[-_SHOWN_LOG_CHARACTERS:]
        return ProcessError(f"{self._name} {what}\n--- {self.log_file} ---\n{log}")
