"""Real web servers, nginx and Apache httpd, that serve a small tree of files on loopback.

Each file says which route it is, each answer which server and which block of its configuration
gave it, and the log how the server read each request. Both run with the defaults of their
makers where paths are concerned; they keep connections, so that no proxy meets one that just ends.
"""

from __future__ import annotations

import codecs
import json
import os
import pwd
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.harness.loopback import HOST, free_port
from tests.harness.processes import ChildProcess

ORDERS, ADMIN, OTHER = "orders", "admin", "other"
"""The blocks of the configurations: below `/v1/orders/`, at and below `/admin`, and the rest."""

ROUTES = (
    "/index.html", "/admin/index.html", "/admin/x", "/admin/users", "/v1/index.html", "/v1/admin",
    "/v1/orders/7", "/v1/orders/admin", "/v1/orders/a b", "/v1/orders/a+b", "/v1/orders/100%",
    "/v1/orders/7,8", "/v1/orders/~7", "/v1/orders/a..b", "/v1/orders/..b", "/v1/orders/caf\u00e9",
    "/v1/orders/*", "/v1/orders/{id}", "/v1/orders/a&b=c", "/v1/orders/7:cancel",
    "/v1/orders.old/7", "/v1/ordersX/7", "/v1/orders-admin", "/v1/orders,/7", "/v1/Orders/7",
    "/Admin", "/ADMIN/x", "/@admin", "/admin@x/x", "/admin:80/x", "/x:80/index.html",
    "/admin,a=b/xyz", "/adminX", "/admin-x/x", "/administrator", "/files/caf\u00e9",
    "/shop.Orders/Get", "/message:send", "/tasks/1:cancel",
)  # fmt: skip
_START_SECONDS = 15
_MODULES = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/libexec/apache2")


@dataclass(frozen=True, slots=True)
class Hit:
    """One request as a server logged it: raw target, and the path it read from it."""

    call: str
    method: str
    host: str
    target: str
    path: str


class BackEnd:
    """A context: within it the server answers. Its files are in `folder`, which all may read."""

    name = ""
    programs: Sequence[str] = ()

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        self.tree = folder / "tree"
        self.log = folder / "access.log"
        self._process: ChildProcess | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(mode=0o755)
        for route in ROUTES:
            file = self.tree / route[1:]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"route {route}")
        configuration = self.folder / "server.conf"
        configuration.write_text(self.configuration())
        command = [program(self.programs), *self.arguments(configuration)]
        self._process = ChildProcess(command, self.folder / "server.log")
        self._process.wait_ready(self._is_listening, _START_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the server; its log is then complete."""
        if self._process is not None:
            self._process.stop()

    def configuration(self) -> str:
        """The text of the configuration file."""
        raise NotImplementedError

    def arguments(self, configuration: Path) -> list[str | Path]:
        """What follows the program's name to run in the foreground."""
        raise NotImplementedError

    def hits(self) -> list[Hit]:
        """All requests that came with the number of a call, once the server has ended."""
        raise NotImplementedError

    def _lines(self) -> list[str]:
        return self.log.read_text(errors="replace").split("\n")[:-1]

    def _is_listening(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), 1).close()
        except OSError:
            return False
        return True


class Nginx(BackEnd):
    """nginx, with `merge_slashes` on, as it is by default."""

    name = "nginx"
    programs = ("nginx",)

    def configuration(self) -> str:
        blocks = [("/", OTHER), ("/v1/orders/", ORDERS), ("= /admin", ADMIN), ("/admin/", ADMIN)]
        locations = "\n".join(
            f"location {where} {{ add_header x-back-end nginx always;"
            f" add_header x-block {block} always; }}"
            for where, block in blocks
        )
        temporary = "\n".join(
            f"{kind}_temp_path {self.folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        return f"""
            {"user nobody nogroup;" if os.geteuid() == 0 else ""}
            daemon off;
            worker_processes 1;
            pid {self.folder}/nginx.pid;
            error_log stderr;
            events {{}}
            http {{
                {temporary}
                log_format read escape=json '["$http_x_call","$request_method","$http_host",'
                                            '"$request_uri","$uri"]';
                access_log {self.log} read;
                keepalive_requests 100000;
                server {{
                    listen {HOST}:{self.port};
                    root {self.tree};
                    {locations}
                }}
            }}
        """

    def arguments(self, configuration: Path) -> list[str | Path]:
        return ["-p", self.folder, "-e", "stderr", "-c", configuration]

    def hits(self) -> list[Hit]:
        hits = [Hit(*json.loads(line)) for line in self._lines()]
        return [hit for hit in hits if hit.call]


class Apache(BackEnd):
    """Apache httpd, with encoded slashes refused and slashes merged, as it does by default."""

    name = "apache"
    programs = ("apache2", "httpd")

    def configuration(self) -> str:
        modules = next((Path(each) for each in _MODULES if Path(each).is_dir()), Path())
        wanted = ("mpm_event", "unixd", "log_config", "authz_core", "headers", "dir")
        # Some makers link a few of them into the program.
        loads = "\n".join(
            f"LoadModule {name}_module {modules}/mod_{name}.so"
            for name in wanted
            if (modules / f"mod_{name}.so").exists()
        )
        nobody = pwd.getpwnam("nobody")
        blocks = "\n".join(
            f'<LocationMatch "{where}">\nHeader always set x-block {block}\n</LocationMatch>'
            for where, block in (("^/", OTHER), ("^/v1/orders/", ORDERS), ("^/admin(/|$)", ADMIN))
        )
        return f"""
            {loads}
            {f"User #{nobody.pw_uid}" if os.geteuid() == 0 else ""}
            {f"Group #{nobody.pw_gid}" if os.geteuid() == 0 else ""}
            ServerName orders.example
            Listen {HOST}:{self.port}
            ServerRoot {self.folder}
            DefaultRuntimeDir {self.folder}
            PidFile {self.folder}/apache.pid
            ErrorLog {self.folder}/error.log
            StartServers 1
            ServerLimit 1
            ThreadsPerChild 16
            MaxRequestWorkers 16
            KeepAliveTimeout 60
            MaxKeepAliveRequests 0
            LogFormat "%{{x-call}}i\\t%m\\t%{{host}}i\\t%r\\t%U" read
            CustomLog {self.log} read
            DocumentRoot {self.tree}
            DirectoryIndex index.html
            <Directory {self.tree}>
                Require all granted
            </Directory>
            Header always set x-back-end apache
            {blocks}
        """

    def arguments(self, configuration: Path) -> list[str | Path]:
        return ["-D", "FOREGROUND", "-f", configuration]

    def hits(self) -> list[Hit]:
        hits = []
        for line in self._lines():
            call, method, host, request, path = map(_unescape, line.split("\t"))
            target = request.removeprefix(f"{method} ").rpartition(" ")[0]
            hits.append(Hit(call, method, host, target, path))
        return [hit for hit in hits if hit.call != "-"]


BACK_ENDS = (Nginx, Apache)


def program(names: Sequence[str]) -> Path:
    """Where the first of them is that is installed."""
    folders = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    for name in names:
        if found := shutil.which(name, path=folders):
            return Path(found)
    raise RuntimeError(f"the tests need {' or '.join(names)}: `make backends`, or install one")


def _unescape(text: str) -> str:
    """Undoes what Apache does to what it logs: `\\xhh` for octets, `\\\\` and `\\"`."""
    return codecs.decode(text, "unicode_escape").encode("latin-1").decode("utf-8", "replace")
