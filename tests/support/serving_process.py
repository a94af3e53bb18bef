"""An endpoint process over a bundle of the tests: ``python -m tests.support.serving_process BUNDLE SECONDS``.

Every answer takes SECONDS, in which its thread cannot be stopped; "asked" is printed when one begins.
"""

from __future__ import annotations

import logging
import os
import queue
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.settings import Settings


class EndpointProcess:
    """A running one; ``said`` gives each line that it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.Queue[str] = queue.Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        self.address = self.said()

    def said(self) -> str:
        """Wait for the next line."""
        return self._lines.get(timeout=120)

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.put(line.strip())
        self._lines.put("")


@contextmanager
def serving(settings: Settings, bundle: Path, *, answer_s: float = 0.0) -> Iterator[EndpointProcess]:
    """Run one on a free port, killed at the end if it still runs."""
    started = subprocess.Popen(
        [sys.executable, "-m", __name__, str(bundle), str(answer_s)],
        env={**os.environ, **settings.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    endpoint = EndpointProcess(started)
    try:
        assert endpoint.address, "it ended before it was ready"
        yield endpoint
    finally:
        started.kill()
        started.wait(30)
        endpoint.reader.join(30)
        started.stdout.close()


def main(bundle: str, answer_s: str) -> None:
    """Serve until a signal comes."""
    from backend.retrieval.recommend import Recommender
    from backend.serving.gateway import build_app
    from backend.serving.server import serve
    from backend.settings import load_settings
    from tests.fixtures.endpoint import load_projection, served

    class Slow(Recommender):
        def find(self, *given, **options):
            if float(answer_s):
                print("asked", flush=True)
                time.sleep(float(answer_s))
            return super().find(*given, **options)

    logging.basicConfig(level="INFO")
    settings = load_settings()
    recommender = Slow.load(Path(bundle), embedder_loader=load_projection)
    app = build_app(settings, load=lambda: served(recommender))
    serve(settings, port=0, app=app, on_ready=lambda address: print(address, flush=True), ends_process=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
