"""Jobs that have not ended, as steps ask for them; whoever runs a step knows where they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class ActiveJob(Protocol):
    """A job that has not ended: its request is that of its kind, as JSON values."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def kind(self) -> str:
        """Its kind, as requests name it."""

    @property
    def request(self) -> Mapping[str, Any]:
        """What was asked."""


class ActiveJobs(Protocol):
    """Returns the jobs that have not ended, of one kind on request."""

    def __call__(self, *, kind: str | None = None) -> Iterable[ActiveJob]:
        """Look at the jobs as they are now."""


def no_jobs(*, kind: str | None = None) -> Iterable[ActiveJob]:  # noqa: ARG001 - as ActiveJobs
    """Where nothing but this process works on a home."""
    return ()
