"""What the endpoint serves at the moment: one registered version with everything of it, swapped as one."""

from __future__ import annotations

import gc
import logging
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from backend.errors import EndpointRejected, WorkbenchError
from backend.imaging import budget

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.registry.fetching import ModelVersion
    from backend.retrieval.recommend import Recommender
    from backend.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Served:
    """One version of the model, loaded: model, index and gallery of one bundle."""

    version: ModelVersion
    recommender: Recommender


def load_champion(settings: Settings) -> Served:
    """Load what the alias is at, ready to answer: verified, and warmed up with a picture.

    Raises:
        RegistryError: Nothing is registered yet, or the store cannot be reached.
        BundleError: What is registered is damaged.
    """
    from backend.registry.fetching import fetch_champion
    from backend.retrieval.object_region import suggested
    from backend.retrieval.recommend import Recommender
    from backend.training.embedder import load_query_embedder

    version, folder = fetch_champion(settings)
    recommender = Recommender.load(
        folder, embedder_loader=load_query_embedder, max_pixels=settings.max_pixels, threads=serving_threads(settings)
    )
    budget.prepare(settings.picture_processes, settings.max_pixels)
    suggested(recommender.warm_up(), recommender.embedder)
    _settle()
    return Served(version, recommender)


def _settle() -> None:
    """Keep the garbage collector from walking through model and libraries, a million objects, between two answers."""
    gc.unfreeze()  # what an earlier load left, too, may be garbage by now
    gc.collect()
    gc.freeze()


def serving_threads(settings: Settings) -> int:
    """Threads for one query: a second one is woken for every layer, which takes longer than it saves."""
    return settings.threads or 1


class Showcase:
    """Holds what is served; a request takes it once and keeps it, whatever is swapped in meanwhile.

    Args:
        load: Loads what is to be served now.
    """

    def __init__(self, load: Callable[[], Served]) -> None:
        self._load = load
        self._served: Served | None = None
        self._reason = "It has not been loaded yet."
        self._lock = Lock()

    def current(self) -> Served:
        """Return what is served.

        Raises:
            EndpointRejected: Nothing is, with the reason.
        """
        served = self._served
        if served is None:
            raise EndpointRejected(
                f"The endpoint has no model to serve. {self._reason}",
                code="no_model",
                status=503,
                next_step="Deploy a model: `python -m backend deploy`, or the page Deploy.",
            )
        return served

    @property
    def loaded(self) -> Served | None:
        """What is served, or None."""
        return self._served

    def reload(self) -> Served:
        """Load what is to be served now and swap it in; if that fails, what was served stays.

        Raises:
            WorkbenchError: It could not be loaded.
        """
        with self._lock:
            try:
                served = self._load()
            except WorkbenchError as error:
                self._reason = error.message
                _log.warning("nothing loaded: %s", error)
                raise
            self._served = served
            _log.info("serving %s version %s (%s)", served.version.name, served.version.version, served.version.model)
            return served
