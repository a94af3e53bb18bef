"""A bare ASGI application behind uvicorn that gives back what it was sent: ``python -m tests.support.echo PORT``."""

from __future__ import annotations

import sys

import uvicorn


async def app(scope, receive, send):
    """Echo the body of one request."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"image/png")]})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    from backend.serving.server import _bound

    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", server_header=False)
    uvicorn.Server(config).run(sockets=[_bound("127.0.0.1", int(sys.argv[1]))])
