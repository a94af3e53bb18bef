"""A real HTTP server on a free port whose answers a test writes down."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager


@contextmanager
def scripted(*answers, hang=None):
    """Run a server that gives these answers in turn, the last one for ever: (status, headers, body).

    Yields its address and a list of the headers of every request so far, with the ``body`` of what was posted. Where ``hang`` is an event, each answer waits
    for it.
    """
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if hang is not None:
                hang.wait(20)
            status, headers, body = answers[min(len(seen), len(answers) - 1)]
            posted = self.rfile.read(int(self.headers["Content-Length"])) if self.command == "POST" else None
            seen.append({**self.headers, **({} if posted is None else {"body": posted})})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.do_GET()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()
