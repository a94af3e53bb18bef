"""The port to whoever keeps the record of a training run; MLflow is behind it in ``backend.registry``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

RunStatus = Literal["FINISHED", "FAILED", "KILLED"]


class Tracker(Protocol):
    """One run at a time: started, logged to by step, finished."""

    def start(self, *, name: str, params: Mapping[str, object], tags: Mapping[str, str], run_id: str = "") -> str:
        """Open a run, or the one of that id again where it still exists, and return its id."""

    def log(self, metrics: Mapping[str, float], *, step: int) -> None:
        """Add one value to each named series."""

    def finish(self, *, status: RunStatus) -> None:
        """Close the run."""


class NullTracker:
    """A tracker that keeps nothing; its run id is empty."""

    def start(
        self,
        *,
        name: str,  # noqa: ARG002 - the port's, as the others are
        params: Mapping[str, object],  # noqa: ARG002
        tags: Mapping[str, str],  # noqa: ARG002
        run_id: str = "",  # noqa: ARG002
    ) -> str:
        """Open no run."""
        return ""

    def log(self, metrics: Mapping[str, float], *, step: int) -> None:
        """Keep nothing."""

    def finish(self, *, status: RunStatus) -> None:
        """Close nothing."""
