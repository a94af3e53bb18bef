"""What the user reads when something is wrong: a sentence and a next step, or an incident number; never a trace."""

from __future__ import annotations

import logging
import re
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

import streamlit as st

from app import state
from app.words import plain, prose
from backend.errors import Cancelled, EndpointError, WorkbenchError
from backend.files.storage import system_error

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)
ASK = "Ask your Twinset administrator."
UNAVAILABLE = "Similar products cannot be found at the moment."
_LATER = (
    "Try again in a minute. If that does not help, ask your Twinset administrator; the Deploy page shows the reason."
)
_NOT_SET_UP = "Twinset is not set up for this."
_COMMAND = re.compile(r"`(?:python|make|twinset|models|mlflow)\b[^`]*`|\bTWINSET_\w+|\brequirements\S*\.txt")
_OTHERWISE = re.compile(r",? or(?: with)? `[^`]*`")
_OF_THE_QUESTION = {400, 413, 415, 422}  # statuses of what the endpoint refuses because of the picture or the filters


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
        known = system_error(error, "retry")
        show(known) if known else show_incident(error)


def show(error: WorkbenchError) -> None:
    """Show an expected failure: what happened and what to do next."""
    text = told(error)
    if isinstance(error, Cancelled):
        st.info(text, icon=":material/cancel:")
    else:
        st.error(text, icon=":material/error:")


def told(error: WorkbenchError) -> str:
    """Return the Markdown of an expected failure; a merchandiser is not told what ails the endpoint, but whom to ask."""
    of_service = isinstance(error, EndpointError) and error.status not in _OF_THE_QUESTION
    if of_service and state.is_for_shop():
        log.warning("%s", error)
        return sentence(UNAVAILABLE, _LATER)
    return sentence(error.message, error.next_step)


def sentence(message: str, next_step: str = "") -> str:
    """Return the Markdown of a message and, below it, the next step; on a merchandiser's page without commands."""
    if state.is_for_shop():
        message, next_step = _without_commands(message, next_step)
    return prose(message) + (f"\n\n{prose(next_step)}" if next_step else "")


def _without_commands(message: str, next_step: str) -> tuple[str, str]:
    """Replace what only whoever runs Twinset can do; of two ways, the one on a page stays."""
    if _COMMAND.search(message):
        log.warning("%s %s", message, next_step)
        return _NOT_SET_UP, ASK
    sentences = re.split(r"(?<=[.!?]) ", _OTHERWISE.sub("", next_step))
    of_page = " ".join(one for one in sentences if not _COMMAND.search(one))
    return message, of_page or (ASK if next_step else "")


def show_incident(error: Exception) -> None:
    """Log an unexpected failure with its trace, and show only the number under which it is logged."""
    incident = secrets.token_hex(4)
    log.error("Incident %s", incident, exc_info=error)
    st.error(
        f"Something unexpected went wrong. The log has the details under incident **{plain(incident)}**.\n\n"
        "Try again; if it happens again, give that number to your Twinset administrator.",
        icon=":material/report:",
    )
