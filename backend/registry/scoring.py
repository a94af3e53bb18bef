"""MLflow's own scoring server around a recommender, with its errors made typed again.

The scoring server turns every exception into one JSON with a stack trace in it. Here nothing of it gets out: the typed
error of the model travels beside it, and anything else becomes an error without its text.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend.errors import EndpointRejected, WorkbenchError
from backend.registry.model_registry import signature
from backend.registry.store import quiet_mlflow

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    import pandas as pd

    from backend.retrieval.recommend import Recommender
    from backend.retrieval.rules.compiled import CompiledRules

_OK, _TIMEOUT = 200, 504
_LOGGED = 2_000
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Asked:
    """One request on its way through MLflow: who is to answer, and why it was refused."""

    recommender: Recommender | None
    rules: CompiledRules | None = None
    failure: WorkbenchError | MemoryError | None = None


_asked: ContextVar[_Asked] = ContextVar("twinset_scoring_asked")


class Scoring:
    """MLflow's scoring protocol, answered by whichever recommender a request brings along.

    The server is built once: FastAPI keeps the functions of every application for good, and whatever they hold on to.
    The model class is the one of this checkout, not the copy among the registered artifacts: what is registered is
    data, verified by hash, and is never run.
    """

    def __init__(self) -> None:
        quiet_mlflow()  # before anything that imports it
        from mlflow.models import Model
        from mlflow.pyfunc import FLAVOR_NAME, PyFuncModel, scoring_server

        described = Model(signature=signature())
        described.add_flavor(FLAVOR_NAME, loader_module="mlflow.pyfunc.model")
        self._app = scoring_server.init(PyFuncModel(described, _Passing()))

    async def invoke(self, recommender: Recommender, body: bytes, rules: CompiledRules | None = None) -> bytes:
        """Pass one JSON request to MLflow and return its JSON answer, made by these rules.

        Raises:
            WorkbenchError: The model refused, with the reason.
            MemoryError: There was not enough of it.
            RuntimeError: MLflow refused what should have been checked before; the details are in the log only.
        """
        asked = _Asked(recommender, rules)
        token = _asked.set(asked)  # the tasks and the thread of this request inherit it, and no other's
        try:
            status, answer = await _post(self._app, body)
        finally:
            _asked.reset(token)
            asked.recommender = asked.rules = (
                None  # timers that MLflow cancelled keep the context, and with it this, for a minute
            )
        if asked.failure:
            raise asked.failure
        if status == _TIMEOUT:
            raise EndpointRejected(
                "The answer took too long.", code="timeout", status=_TIMEOUT, next_step="Send fewer pictures at once."
            )
        if status != _OK:
            _log.error("MLflow answered %s: %s", status, answer[:_LOGGED].decode("utf-8", "replace"))
            raise RuntimeError(f"MLflow's scoring server answered {status}.")
        return answer


class _Passing:
    """The model as MLflow calls it: asks the request's own recommender, and notes a typed error before it is flattened."""

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        from backend.registry.predictor import TwinsetModel

        asked = _asked.get()
        try:
            return TwinsetModel(asked.recommender, asked.rules).predict(None, model_input, params)
        except (WorkbenchError, MemoryError) as error:
            asked.failure = error
            raise


async def _post(app: Any, body: bytes) -> tuple[int, bytes]:
    """Send a request through an ASGI application in this process."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/invocations",
        "raw_path": b"/invocations",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
        "client": None,
        "server": None,
    }
    status = 0
    parts: list[bytes] = []
    unread = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not unread:
            await asyncio.Event().wait()  # nobody hangs up; whoever listens for it is cancelled at the end
        return unread.pop()

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return status, b"".join(parts)
