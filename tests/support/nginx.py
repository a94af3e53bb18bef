"""The system's nginx in front of app and endpoint, with the configuration that the documents give, as another user where it can."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.browsing import free_port
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPLATE = Path(__file__).resolve().parents[2] / "deploy" / "nginx.conf.template"
NAME = "shop.localhost"  # which a browser takes for this machine without asking anybody
NOBODY = 65534
_AROUND = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/twinset.conf;
}}
"""


def nginx_path() -> str | None:
    """Return the system's nginx, None where there is none."""
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


class Nginx:
    """A proxy that can be stopped and started again at its port; ``certificate`` is what a client has to know."""

    def __init__(self, folder: Path, app: str, endpoint: str) -> None:
        self.port, self._folder, self.certificate = free_port(), folder, folder / "shop.pem"
        self._process: subprocess.Popen[bytes] | None = None
        key = folder / "shop.key"
        made = (
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        )
        names = ("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1")
        files = ("-keyout", str(key), "-out", str(self.certificate))
        subprocess.run([*made, *names, *files], check=True, capture_output=True)
        values = {"SERVER_NAME": NAME, "PORT": self.port, "APP": app, "ENDPOINT": endpoint}
        values |= {"CERTIFICATE": self.certificate, "CERTIFICATE_KEY": key}
        text = re.sub(r"\$\{(\w+)\}", lambda found: str(values[found[1]]), TEMPLATE.read_text())
        (folder / "twinset.conf").write_text(text)
        (folder / "nginx.conf").write_text(_AROUND.format(folder=folder))

    @property
    def url(self) -> str:
        """Where browsers find it."""
        return f"https://{NAME}:{self.port}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        command = [nginx_path(), "-p", str(self._folder)]
        command += ["-e", str(self._folder / "error.log"), "-c", "nginx.conf"]
        if user:
            for path in (self._folder, *self._folder.iterdir()):
                os.chown(path, NOBODY, NOBODY)
        self._process = subprocess.Popen(command, start_new_session=True, **user)
        until(self._listens)

    def stop(self) -> None:
        """End it with all its connections."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(30)

    def _listens(self) -> bool:
        assert self._process.poll() is None, (self._folder / "error.log").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def nginx(app: str, endpoint: str) -> Iterator[Nginx]:
    """Run one in front of two servers, given as host:port."""
    with tempfile.TemporaryDirectory(prefix="twinset-nginx-") as place:
        proxy = Nginx(Path(place), app, endpoint)
        try:
            proxy.start()
            yield proxy
        finally:
            proxy.stop()
