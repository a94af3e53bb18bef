"""What the System page asks of the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.services import common
from backend.jobs import audit_table

if TYPE_CHECKING:
    from backend.jobs.audit_table import Form, Page, Wanted


def page(wanted: Wanted, limit: int, offset: int) -> Page:
    """Return rows, the newest first.

    Raises:
        AccessDenied: Whoever asks is no administrator.
        CatalogueError: The audit is damaged.
    """
    return audit_table.page(common.settings(), wanted, limit, offset=offset)


def file_of(wanted: Wanted, form: Form) -> bytes:
    """Return a file of all rows; errors are those of :func:`page`."""
    return audit_table.export(common.settings(), wanted, form)
