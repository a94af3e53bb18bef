"""What the user reads when something is wrong: a sentence and a next step, or an incident number; never a trace."""

from __future__ import annotations

import logging
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

import streamlit as st

from app.words import plain
from backend.errors import Cancelled, WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)


@contextmanager
def guarded() -> Iterator[None]:
    """Show whatever is raised inside as a notice, and go on after the block."""
    try:
        yield
    except WorkbenchError as error:
        show(error)
    except MemoryError:
        show(WorkbenchError("There is not enough memory to show this.", next_step="Close other programs, then retry."))
    except Exception as error:  # noqa: BLE001 - the last door before the user: logged in full, told by its number
        show_incident(error)


def show(error: WorkbenchError) -> None:
    """Show an expected failure: what happened and what to do next."""
    text = sentence(error.message, error.next_step)
    if isinstance(error, Cancelled):
        st.info(text, icon=":material/cancel:")
    else:
        st.error(text, icon=":material/error:")


def sentence(message: str, next_step: str = "") -> str:
    """Return the Markdown of a message and, below it, the next step."""
    return plain(message) + (f"\n\n{plain(next_step)}" if next_step else "")


def show_incident(error: Exception) -> None:
    """Log an unexpected failure with its trace, and show only the number under which it is logged."""
    incident = secrets.token_hex(4)
    log.error("Incident %s", incident, exc_info=error)
    st.error(
        f"Something went wrong that should not have. It is in the log as incident **{incident}**.\n\n"
        "Try again; if it stays, hand that number to whoever runs Twinset.",
        icon=":material/report:",
    )
