"""How a step is carried out, whichever it is: a full disk is told as such, and a model is worked on by one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from backend.files.holding import held, lock_of
from backend.files.storage import AGAIN, UNTOUCHED, disk_watched
from backend.flow.named import model_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.flow.active import ActiveJobs
    from backend.flow.requests import IndexRequest, Request
    from backend.progress import Progress
    from backend.settings import Settings

Step = Callable[..., dict[str, Any]]  # a typed request, settings and progress in, JSON values out
_LOOK_S = 0.5


def carry_out(
    step: Step, request: Request, settings: Settings, progress: Progress, *, to_the_model: str = "", **more: Any
) -> dict[str, Any]:
    """Carry out a step for a request, and return its result.

    Args:
        step: What does it.
        request: What is asked for.
        settings: Of the home.
        progress: Told how far it is.
        to_the_model: What is done to the model that the request names; it is held meanwhile.
        more: What the step is told besides.

    Raises:
        WorkbenchError: It could not be done; the message says why and what to do.
        Cancelled: The user asked to stop.
    """
    with disk_watched(AGAIN, so=UNTOUCHED), _model_held(request, to_the_model, settings, progress) as asked:
        return step(asked, settings, progress, **more)


@contextmanager
def _model_held(request: Request, doing: str, settings: Settings, progress: Progress) -> Iterator[Request]:
    """Hold the model that a request is about, and yield the request with its name, also where it said: the newest."""
    if not doing:
        yield request
        return
    folder = model_folder(settings, cast("IndexRequest", request).model)
    with held(lock_of(folder), f"The model {folder.name!r}", doing, progress, wait=True):
        yield replace(cast("IndexRequest", request), model=folder.name)


def await_jobs(kind: str, request: Request, settings: Settings, progress: Progress, active: ActiveJobs) -> None:
    """Wait until no job of a kind works on the model of a request any more.

    Whoever holds the model must not wait: the job waits for the model.
    """
    model = model_folder(settings, cast("IndexRequest", request).model).name
    while any(job.request.get("model") == model for job in active(kind=kind)):
        progress.report(0, 1, note=f"Waiting until the {kind} is built")
        progress.check_cancelled()
        time.sleep(_LOOK_S)
