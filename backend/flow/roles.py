"""Who may start which kind of job; the same may cancel it, and start it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.access.person import Role
from backend.access.use_case import registered, words
from backend.flow import requests
from backend.flow.requests import KINDS, to_json

if TYPE_CHECKING:
    from backend.access.use_case import UseCase
    from backend.flow.requests import Request

_OTHERS = {
    Role.MERCHANDISER: (
        requests.ExportRequest,
        requests.QualityRequest,
        requests.SimilarRequest,
        requests.SubstitutesRequest,
        requests.ReadinessRequest,
        requests.SimulateRequest,
    ),
    Role.ADMIN: (requests.DeleteRequest, requests.TidyRequest),
}
_ROLE = {one.kind: role for role, some in _OTHERS.items() for one in some}
JOBS: dict[str, UseCase] = {kind: registered(f"jobs.{kind}", _ROLE.get(kind, Role.ENGINEER)) for kind in KINDS}
SUBMIT = registered("jobs.submit", Role.MERCHANDISER)  # the least role; that of the kind decides
CANCEL = registered("jobs.cancel", Role.MERCHANDISER)
ADD_SCHEDULE = registered("schedules.add", Role.MERCHANDISER)
CHANGE_SCHEDULE = registered("schedules.change", Role.MERCHANDISER)
REMOVE_SCHEDULE = registered("schedules.remove", Role.MERCHANDISER)
MOVE = registered("jobs.move_to_front", Role.MERCHANDISER)
_LONGEST = 400  # characters


def role_for(kind: str) -> Role:
    """Return the least role that may start a kind of job; that of most where an earlier version had the kind."""
    return JOBS[kind].role if kind in JOBS else Role.ENGINEER


def about(request: Request, job: str = "") -> str:
    """Return what is asked for as words for the audit: its plain values, as far as they are short."""
    plain = {name: value for name, value in to_json(request).items() if isinstance(value, str | int | float)}
    return words(job=job, **plain)[:_LONGEST]
