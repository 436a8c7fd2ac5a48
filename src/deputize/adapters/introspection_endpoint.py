"""One question to an introspection endpoint: who asks, and what.

Rules of this file:
- No text has a token or our secret.

Sources: RFC 7662 section 2.1; RFC 6749 section 2.3.1 and appendix B (the form of name and secret);
RFC 7617 section 2.
"""

from __future__ import annotations

import base64
import threading
from pathlib import Path
from urllib.parse import quote_plus

from deputize.adapters.bounded_http import BoundedClient, ExchangeError

MAX_ANSWER_BYTES = 64 * 1024
MAX_SECRET_BYTES = 4096


class Endpoint:
    """Where to ask and by which name; our secret is in a file, and read again when that changes."""

    def __init__(self, url: str, client_id: str, client_secret_file: str) -> None:
        self._url = url
        self._name = quote_plus(client_id)
        self._file = Path(client_secret_file)
        self._lock = threading.Lock()
        self._version: tuple[int, int, int] | None = None
        self._authorization = ""

    def ask(self, client: BoundedClient, compact: str) -> bytes:
        """What the endpoint answers about the token with this text.

        Raises:
            ExchangeError: no answer, or no secret to ask with.
        """
        return client.ask(
            self._url,
            {"accept": "application/json", "authorization": self.authorization()},
            form={"token": compact, "token_type_hint": "access_token"},
            max_bytes=MAX_ANSWER_BYTES,
        )

    def authorization(self) -> str:
        """Our name and secret, as HTTP Basic wants them.

        Raises:
            ExchangeError: the file cannot be read, or has no secret.
        """
        with self._lock:
            try:
                found = self._file.stat()
                version = (found.st_mtime_ns, found.st_ino, found.st_size)
                if version != self._version:
                    secret = quote_plus(_read_secret(self._file))
                    pair = f"{self._name}:{secret}".encode("ascii")
                    self._authorization = "Basic " + base64.b64encode(pair).decode("ascii")
                    self._version = version
            except OSError as error:
                raise ExchangeError(f"client secret file: {error.strerror}") from None
            return self._authorization


def _read_secret(file: Path) -> str:
    with file.open("rb") as stream:
        octets = stream.read(MAX_SECRET_BYTES + 1)
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise ExchangeError("client secret file: not UTF-8") from None
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret or not secret.isprintable() or len(octets) > MAX_SECRET_BYTES:
        raise ExchangeError("client secret file: not one line with a secret")
    return secret
