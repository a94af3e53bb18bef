"""What the System page asks of the audit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from app.services import common
from backend.access.asking import Asking, asked_by, asking
from backend.jobs import audit_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.jobs.audit_table import Form, Page, Wanted


def page(wanted: Wanted, limit: int, offset: int) -> Page:
    """Return rows, the newest first.

    Raises:
        AccessDenied: Whoever asks is no administrator.
        CatalogueError: The audit is damaged.
    """
    return audit_table.page(common.settings(), wanted, limit, offset=offset)


def file_of(wanted: Wanted, form: Form) -> Callable[[], bytes]:
    """Return what makes a file of all rows, for whoever asks now: the browser fetches it when no page is being drawn."""
    return partial(_made, asking(), wanted, form)


def _made(asked: Asking, wanted: Wanted, form: Form) -> bytes:
    with asked_by(asked):
        return audit_table.export(common.settings(), wanted, form)
