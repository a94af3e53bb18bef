"""Every key of the session state and of the address line, as a typed accessor; nobody else touches them.

Widgets that are bound to the address line own their key: ``k``, ``catalogue``, ``model``, ``view``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from backend.serving.client import Answer

PRODUCT = "product"
JOB = "job"
_UPLOADS = "uploads_so_far"
_PHOTO = "photo"
_ANSWER = "last_answer"


@dataclass(frozen=True, slots=True)
class Photo:
    """An uploaded file."""

    name: str
    image: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """The newest answer of this session, the question it belongs to, and how long it took from here."""

    question: str
    answer: Answer
    seconds: float


def product() -> str:
    """The catalogue item asked about; empty when there is none."""
    return st.query_params.get(PRODUCT, "")


def photo() -> Photo | None:
    """The uploaded photo asked about; None when there is none."""
    found: Photo | None = st.session_state.get(_PHOTO)
    return found


def ask_about_product(product_id: str) -> None:
    """Make a catalogue item the question; an uploaded photo is dropped."""
    st.query_params[PRODUCT] = product_id
    st.session_state.pop(_PHOTO, None)


def ask_about_upload() -> None:
    """Make what was just uploaded the question, and empty the uploader; the catalogue item is dropped.

    A filled uploader would report a second photo as two changes, a removal and an upload: two answers for one question.
    """
    uploaded = st.session_state.get(uploader_key())
    if uploaded is not None:
        st.session_state[_PHOTO] = Photo(uploaded.name, uploaded.getvalue())
        st.session_state[_UPLOADS] = st.session_state.get(_UPLOADS, 0) + 1
        st.query_params.pop(PRODUCT, None)


def start_again() -> None:
    """Ask about nothing."""
    st.query_params.pop(PRODUCT, None)
    st.session_state.pop(_ANSWER, None)
    st.session_state.pop(_PHOTO, None)


def uploader_key() -> str:
    """The key of the uploader; every upload brings a new one."""
    return f"photo_{st.session_state.get(_UPLOADS, 0)}"


def answered(question: str) -> Answered | None:
    """The answer to this very question, if it was the last one asked."""
    last: Answered | None = st.session_state.get(_ANSWER)
    return last if last is not None and last.question == question else None


def keep(answer: Answered) -> None:
    """Keep an answer, so that a rerun of the page need not ask again."""
    st.session_state[_ANSWER] = answer


def picked(grid: str) -> str:
    """The product_id just clicked in a product grid; empty when none was."""
    value = st.session_state.get(grid)
    return (value.get("picked") or "") if value is not None else ""


def page(pager: str) -> int:
    """The page on which a pager stands, starting at 1; pagers stand below what they turn over."""
    return int(st.session_state.get(pager, 1))


def selected_row(table: str) -> int | None:
    """The position of the row just selected in a table; None when none is."""
    rows = st.session_state[table].selection.rows
    return int(rows[0]) if rows else None


def job() -> str:
    """The job selected on the Jobs page; empty when there is none."""
    return st.query_params.get(JOB, "")


def select_job(job_id: str) -> None:
    """Select a job on the Jobs page."""
    st.query_params[JOB] = job_id
