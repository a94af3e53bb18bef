"""The endpoint as an ASGI application: MLflow's scoring protocol and our own routes behind a bearer token."""

from __future__ import annotations

import os
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, replace
from functools import cached_property, partial
from importlib.metadata import version as installed_version
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

import anyio
import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from backend import __version__
from backend.access.edges import journal_of
from backend.access.person import Role
from backend.access.use_case import use_case
from backend.bundles.colours import colour_share
from backend.errors import CatalogueError, EndpointRejected, WorkbenchError
from backend.machine.proxies import BelowPath, NamedProxies, named_proxies
from backend.merchandising.collections.asked import AskedCollections
from backend.merchandising.questions.question_log import QuestionLog
from backend.retrieval.wishes import RULES_OFF
from backend.serving import openapi
from backend.serving.doors import Traced, endpoint_door
from backend.serving.guard import SEATS, WITH_BODY, Guard, http_error
from backend.serving.limits import Limits
from backend.serving.live_rules import RulesServed
from backend.serving.metrics import Metrics, resident_bytes
from backend.serving.payload import (
    check_answer_size,
    media_type,
    read_invocation,
    read_pictures,
    read_question,
)
from backend.serving.served import Showcase, load_champion
from backend.serving.tokens import token_store
from backend.serving.turns import Turns
from backend.serving.wire import bodies, routes
from backend.serving.wire.routes import NEEDS, ROUTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    from starlette.requests import Request

    from backend.merchandising.questions.question import Question as Logged
    from backend.registry.scoring import Scoring
    from backend.retrieval.rules.compiled import CompiledRules
    from backend.serving.caller import Caller
    from backend.serving.metrics import Figure
    from backend.serving.payload import Pictures, Question
    from backend.serving.served import Served
    from backend.serving.tokens import TokenStore
    from backend.settings import Settings

LIBRARIES = ("mlflow", "tensorflow", "numpy", "pyarrow", "pillow", "starlette", "uvicorn")
_MAX_WORKERS = 4


def build_app(
    settings: Settings,
    *,
    tokens: TokenStore | None = None,
    load: Callable[[], Served] | None = None,
    figures: Callable[[], Iterable[Figure]] = tuple,
) -> Starlette:
    """Build the application; on start-up it loads the champion, and starts without one if there is none.

    Args:
        settings: Limits, token and registry.
        tokens: Tokens that are accepted, besides the setting ``endpoint_token``; those of the home when left out.
        load: Loads what is to be served; the champion of the registry when left out.
        figures: Reads further figures for ``/metrics``; called in a thread.
    """
    showcase = Showcase(load or partial(load_champion, settings))
    gateway = _Gateway(settings, showcase, prepares=load is None, figures=figures)
    served_routes = [Route(r.path, gateway.handlers[r], methods=[r.method]) for r in ROUTES]
    guard = Middleware(
        Guard,
        tokens=tokens or token_store(settings),
        extra_token=settings.endpoint_token,
        limits=Limits.of(settings),
        metrics=gateway.counted,
        needs=NEEDS,
        journal=journal_of(settings),
    )
    app = Starlette(
        routes=served_routes,
        middleware=[
            Middleware(Traced),
            Middleware(NamedProxies, proxies=named_proxies(settings)),
            Middleware(BelowPath, path=settings.endpoint_path),
            endpoint_door(settings),
            guard,
        ],
        exception_handlers={HTTPException: http_error},
        lifespan=gateway.lifespan,
    )
    app.router.redirect_slashes = False  # it would send callers to whatever host they name
    return app


class _Answer(Response):
    """JSON of plain values, as ``JSONResponse``, in a quarter of its time: an answer with pictures has 10 kB and more."""

    media_type = routes.JSON

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


class _Gateway:
    """The routes; each takes what is served once and answers from that alone.

    ``prepares`` says whether MLflow's server is made ready once requests are accepted, so that the first that needs it
    does not wait for its import.
    """

    def __init__(
        self, settings: Settings, showcase: Showcase, *, prepares: bool, figures: Callable[[], Iterable[Figure]]
    ) -> None:
        self._settings, self._showcase, self._prepares, self._figures = settings, showcase, prepares, figures
        self._making = Lock()
        self._started = time.time()
        workers = min(len(os.sched_getaffinity(0)), _MAX_WORKERS)
        self._work = Turns(each=workers, at_once=workers, line=SEATS)
        self._threads = anyio.CapacityLimiter(workers)  # whoever has a turn has a thread, whatever others wait for
        self._rules = RulesServed(settings.rules_dir, lambda: showcase.loaded)
        self._collections = AskedCollections(settings.collections_dir)
        days, photo_days = settings.keep_questions_days, settings.keep_questions_photos_days
        self._questions = QuestionLog(settings.questions_dir, days=days, photo_days=photo_days)
        self._reloading, self._maker = anyio.Lock(), anyio.CapacityLimiter(1)
        self.counted = Metrics()
        self.handlers = {
            routes.PING: self.ping,
            routes.HEALTH: self.health,
            routes.VERSION: self.version,
            routes.METRICS: self.metrics,
            routes.DOCUMENT: self.document,
            routes.INVOCATIONS: self.invocations,
            routes.RECOMMEND: self.recommend,
            routes.RELOAD: self.reload,
        }

    @cached_property
    def _scoring(self) -> Scoring:
        from backend.registry.scoring import Scoring

        return Scoring()

    def _made(self) -> Scoring:
        """MLflow's server, made on first use, and once."""
        with self._making:
            return self._scoring

    @asynccontextmanager
    async def lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        """Load the model before the first request is accepted."""
        with suppress(WorkbenchError):  # the showcase logs it, and says why with every answer until a reload succeeds
            await anyio.to_thread.run_sync(self._showcase.reload)
        if self._prepares:
            Thread(target=self._made, name="mlflow", daemon=True).start()
        with self._rules.watched(), self._questions.writing():
            yield

    async def ping(self, _request: Request) -> Response:
        """Say that the process lives; the one open route."""
        return PlainTextResponse("\n")

    async def health(self, _request: Request) -> Response:
        """Say whether there is a model to answer with."""
        served = self._showcase.current()
        return JSONResponse(
            {
                "status": "ok",
                "model": bodies.model(served),
                "uptime_s": round(time.time() - self._started, 1),
                "answers": asdict(self.counted.answers(WITH_BODY)),
            }
        )

    async def version(self, _request: Request) -> Response:
        """Say what answers: model, catalogue, libraries."""
        served = self._showcase.current()
        return JSONResponse(
            {
                "model": bodies.model(served),
                **bodies.searched(served),
                "colour_weight": colour_share(served.recommender.manifest),
                "rules": self._rules.of(served).told(),
                "libraries": {"twinset": __version__, **{name: installed_version(name) for name in LIBRARIES}},
            }
        )

    async def metrics(self, _request: Request) -> Response:
        """Give the counts."""
        served = self._showcase.loaded
        gauges = {
            "model_loaded": float(served is not None),
            "gallery_items": float(served.recommender.size if served else 0),
            "resident_memory_bytes": float(resident_bytes()),
            "start_time_seconds": self._started,
            "questions_logged": float(self._questions.counts.written),
            "questions_not_logged": float(self._questions.counts.dropped),
        }
        info = {name: str(value) for name, value in bodies.model(served).items()} if served else {}
        figures = await anyio.to_thread.run_sync(self._figures)
        return PlainTextResponse(self.counted.as_text(gauges, info, figures), media_type="text/plain; version=0.0.4")

    async def document(self, _request: Request) -> Response:
        """Give the OpenAPI document of all this."""
        return Response(openapi.as_json(self._settings.endpoint_path), media_type=routes.JSON)

    async def invocations(self, request: Request) -> Response:
        """Answer MLflow's scoring protocol."""
        if media_type(request) != routes.JSON:
            raise EndpointRejected(
                "This address accepts only JSON.",
                code="bad_content_type",
                status=415,
                next_step="Send the header `Content-Type: application/json`.",
            )
        body = await request.body()
        async with self._turn(request):
            served, passed, rules = await anyio.to_thread.run_sync(self._read_invocation, body, limiter=self._threads)
        scoring = await anyio.to_thread.run_sync(self._made, limiter=self._maker)
        async with self._turn(request):
            answer = await scoring.invoke(served.recommender, passed, rules)
        return Response(answer, media_type=routes.JSON)

    @use_case("products.find", Role.VIEWER, is_audited=False)
    def _read_invocation(self, body: bytes) -> tuple[Served, bytes, CompiledRules | None]:
        """Return who is to answer a request in MLflow's protocol, it as MLflow gets it, and by which rules; run in a worker thread."""
        asked, served = read_invocation(body, max_rows=self._settings.max_rows), self._showcase.current()
        check_answer_size(asked, served.recommender.manifest.pixels)
        return served, asked.as_json(), self._rules.asked(served, asked.params.rules or RULES_OFF)

    def _turn(self, request: Request) -> AbstractAsyncContextManager[None]:
        caller: Caller = request.state.caller
        return self._work.turn(caller.name, caller.gone)

    async def recommend(self, request: Request) -> Response:
        """Answer one picture with everything a screen shows."""
        started = time.perf_counter()
        question = read_question(request.query_params.multi_items())
        pictures = await read_pictures(request, may_be_none=bool(question.wishes.like))
        served = self._showcase.current()
        async with self._turn(request):
            body, row = await anyio.to_thread.run_sync(
                self._answered, served, pictures, question, limiter=self._threads, abandon_on_cancel=True
            )
        body["timings_ms"]["total"] = total = (time.perf_counter() - started) * 1e3
        if row is not None:
            row = replace(row, milliseconds=total, caller=request.state.caller.name)
            self._questions.add(body["catalogue"]["name"], row, (*pictures.like, *pictures.unlike))
        return _Answer(body)

    @use_case("products.find", Role.VIEWER, is_audited=False)
    def _answered(self, served: Served, pictures: Pictures, question: Question) -> tuple[dict[str, Any], Logged | None]:
        """Answer by one set of rules from beginning to end, and say what is to be logged; run in a worker thread."""
        rules = self._rules.asked(served, question.wishes.rules, question.wishes.rules_at)
        if question.collections:
            question = self._with_collections(served, question)
        answer = bodies.found(served, pictures, question, rules)
        row = bodies.logged(served, pictures, question, answer, rules) if self._questions.is_on else None
        return bodies.recommended(served, question, answer, rules), row

    def _with_collections(self, served: Served, question: Question) -> Question:
        name = served.recommender.manifest.searched.name
        try:
            filters = self._collections.as_filters(name, question.collections, question.filters)
        except CatalogueError as error:
            raise EndpointRejected(
                error.message, code="no_such_collection", status=404, next_step=error.next_step
            ) from error
        return replace(question, filters=filters)

    async def reload(self, _request: Request) -> Response:
        """Take up what the alias is at now."""
        try:
            async with self._reloading:  # one thread waits for it, however many ask
                served = await anyio.to_thread.run_sync(self._showcase.reload)
        except WorkbenchError as error:
            raise EndpointRejected(error.message, code=error.code, status=409, next_step=error.next_step) from error
        return JSONResponse({"model": bodies.model(served), **bodies.searched(served)})
