"""Every key of the session state and of the address line, as a typed accessor; nobody else touches them.

Widgets that are bound to the address line own their key: ``k``, ``compare``, ``catalogue``, ``version``, ``model``, ``view``,
and on the Explore page ``colour``, ``shape``, ``size``, ``other``. What else a question of the page Find similar consists of
is in the address line alone, so that a link, a reload and the browser's Back have it, too.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backend.catalogue.sources.locations import Kind
    from backend.serving.client import Answer

NEWEST = 0  # as a version: whichever is the newest
PRODUCT = "product"
JOB = "job"
PHOTO, REGION, MORE, UNWANTED = "photo", "region", "more", "unwanted"
RULES, MADE_BY = "rules", "model"  # the versions that a link was made with
FILTER = "filter_"  # and the name of the filter
LESS = "less"
OF_QUESTION = (PRODUCT, PHOTO, REGION, LESS, MORE, UNWANTED, MADE_BY)  # which the next question drops
_UPLOADS = "uploads_so_far"
_TURNS = "questions_so_far"
_PHOTOS, _REMEMBERED = "photos_of_session", 8  # as many as one question may have
ASKED, _PAGE, _CAME_FROM = "last_question", "page_shown", "page_before"
_ANSWERS, _KEPT = "last_answers", 2  # of a whole photo, and of a part of it
_SOURCE = "source"
_SOURCES = "sources_so_far"
_NOTE = "note_"
LOADED = "loaded"
LOAD_FORM = "load_form"
AWAITED = "awaited"  # the catalogue whose answers this session waits for, and the job before the one that brings them
_VERSION = "version"
_VIEW = "view"
_FOR_SHOP = "page_is_for_shop"


@dataclass(frozen=True, slots=True)
class Photo:
    """An uploaded file; of one that is kept on the server, a session remembers the name alone."""

    name: str
    image: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """A new answer of this session, the question it belongs to, and how long it took from here."""

    question: str
    answer: Answer
    seconds: float


@dataclass(frozen=True, slots=True)
class Source:
    """Products that were uploaded or found on the server: what they are, where they are, and their name."""

    kind: Kind
    path: str
    name: str


def product() -> str:
    """The catalogue item asked about; empty when there is none."""
    return st.query_params.get(PRODUCT, "")


def photo() -> str:
    """The photo asked about, as the address line names it: its SHA-256, if it is one; empty when there is none."""
    return st.query_params.get(PHOTO, "")


def ask_about_product(product_id: str) -> None:
    """Make a catalogue item the question; an uploaded photo is dropped, and so is what the last answer was to be."""
    _turn({PRODUCT: product_id})


def ask_about_photo(sha256: str) -> None:
    """Make a photo the question, and empty what it came by.

    A filled uploader would report a second photo as two changes, a removal and an upload: two answers for one question.
    """
    st.session_state[_UPLOADS] = st.session_state.get(_UPLOADS, 0) + 1
    _turn({PHOTO: sha256})


def start_again() -> None:
    """Ask about nothing."""
    _turn({})
    st.session_state.pop(_ANSWERS, None)
    st.session_state.pop(_PHOTOS, None)
    forget(ASKED)


def _turn(question: dict[str, str]) -> None:
    """Begin another question: the part, further photos and what not to be like belonged to the last one."""
    st.session_state[_TURNS] = st.session_state.get(_TURNS, 0) + 1
    put(dict.fromkeys(OF_QUESTION, "") | question)


def put(changes: Mapping[str, str | Sequence[str]]) -> None:
    """Change values of the address line, in one step of the browser's history; what is empty goes."""
    st.query_params.update({name: value or [] for name, value in changes.items()})
    for name in (name for name, value in changes.items() if not value):
        st.query_params.pop(name, None)


def remember(sha256: str, found: Photo) -> None:
    """Remember a photo of this session; the first of too many goes."""
    photos = {**st.session_state.get(_PHOTOS, {}), sha256: found}
    st.session_state[_PHOTOS] = dict(list(photos.items())[-_REMEMBERED:])


def remembered(sha256: str) -> Photo | None:
    """A photo of this session; None where it is none."""
    found: Photo | None = st.session_state.get(_PHOTOS, {}).get(sha256)
    return found


def further_key(name: str) -> str:
    """The key of a widget that belongs to one question; the next question brings a new one."""
    return f"{name}_{st.session_state.get(_TURNS, 0)}"


def uploader_key() -> str:
    """The key of the uploader; every upload brings a new one."""
    return f"photo_{st.session_state.get(_UPLOADS, 0)}"


def answered(question: str) -> Answered | None:
    """The answer to this very question, if it was one of the last asked."""
    kept: list[Answered] = st.session_state.get(_ANSWERS, [])
    return next((one for one in kept if one.question == question), None)


def keep(answer: Answered) -> None:
    """Keep an answer, so that a rerun of the page need not ask again."""
    st.session_state[_ANSWERS] = [answer, *st.session_state.get(_ANSWERS, [])][:_KEPT]


def picked(grid: str) -> str:
    """The product_id just clicked in a product grid; empty when none was."""
    return sent(grid, "picked") or ""


def pressed(grid: str) -> tuple[str, str]:
    """Which small button was just clicked in a product grid, and the product_id of its card; empty when none was."""
    title, product_id = sent(grid, "pressed") or ("", "")
    return str(title), str(product_id)


def sent(component: str, name: str) -> Any:
    """What a component just sent under a name; None when it sent nothing; for callbacks only."""
    value = st.session_state.get(component)
    return value.get(name) if value is not None else None


def page(pager: str) -> int:
    """The page on which a pager is, starting at 1; pagers are below what they turn over."""
    return int(st.session_state.get(pager, 1))


def selected_row(table: str) -> int | None:
    """The position of the row just selected in a table; None when none is."""
    rows = st.session_state[table]["selection"]["rows"]
    return int(rows[0]) if rows else None


def selected_rows(table: str) -> list[int]:
    """The positions of the rows selected in a table; for callbacks only."""
    return [int(row) for row in st.session_state[table]["selection"]["rows"]]


def job() -> str:
    """The job selected on the Jobs page; empty when there is none."""
    return st.query_params.get(JOB, "")


def select_job(job_id: str) -> None:
    """Select a job on the Jobs page."""
    st.query_params[JOB] = job_id


def clicked_point(chart: str) -> tuple[Any, ...] | None:
    """What the mark that was just clicked in a chart carries with it; None when none was; for callbacks only."""
    points = st.session_state[chart]["selection"]["points"]
    carried = points[0].get("customdata") if points else None
    return tuple(html.unescape(one) if isinstance(one, str) else one for one in carried) if carried else None


def start_with(key: str, value: Any, options: Sequence[Any]) -> None:
    """Set a widget that is about to be shown, unless it is at one of its options already."""
    if st.session_state.get(key) not in options:
        st.session_state[key] = value


def turn_to(page: str, *, is_for_shop: bool) -> None:
    """Remember which page is shown, which was before, and for whom it is, also while only a part of it is redrawn."""
    st.session_state[_CAME_FROM], st.session_state[_PAGE] = st.session_state.get(_PAGE), page
    st.session_state[_FOR_SHOP] = is_for_shop


def has_come_from_another() -> bool:
    """Whether another page was shown before the one that is shown."""
    return st.session_state.get(_CAME_FROM) not in {None, st.session_state.get(_PAGE)}


def is_for_shop() -> bool:
    """Whether merchandisers read the page that is shown."""
    return bool(st.session_state.get(_FOR_SHOP))


# ------------------------------------------------------------------------------------------------- notes of a session


def noted(topic: str) -> Any:
    """What this session noted under a topic: a question that waits for a yes or a no, say; None when nothing."""
    return st.session_state.get(f"{_NOTE}{topic}")


def note(topic: str, about: Any) -> None:
    """Note something for the rest of the session, or until it is forgotten."""
    st.session_state[f"{_NOTE}{topic}"] = about


def forget(topic: str) -> None:
    """Note it no more."""
    st.session_state.pop(f"{_NOTE}{topic}", None)


# ------------------------------------------------------------------------------------------------- the catalogue page


def source() -> Source | None:
    """The upload that is being looked at; None before one was made."""
    found: Source | None = st.session_state.get(_SOURCE)
    return found


def keep_source(source: Source) -> None:
    """Look at this upload, and empty the uploader, so that the file is not held in memory as well."""
    st.session_state[_SOURCE] = source
    st.session_state[_SOURCES] = st.session_state.get(_SOURCES, 0) + 1


def forget_source() -> None:
    """Look at no upload any more."""
    st.session_state.pop(_SOURCE, None)


def source_uploader_key() -> str:
    """The key of the uploader of products; every upload brings a new one."""
    return f"source_{st.session_state.get(_SOURCES, 0)}"


def open_load_form(*, is_empty: bool) -> None:
    """Open the form for loading at first where there is no catalogue yet, and close it once it is noted that it was sent."""
    if LOAD_FORM not in st.session_state or noted(LOAD_FORM):
        st.session_state[LOAD_FORM] = is_empty and not noted(LOAD_FORM)
        forget(LOAD_FORM)


def asked_version() -> str:
    """The version of the catalogue that the address line names; empty when it names none."""
    return st.query_params.get(_VERSION, "")


def open_version(version: int = NEWEST, view: str = "") -> None:
    """Look at a version of the catalogue, in a view of the page where one is named; for callbacks only."""
    st.session_state[_VERSION] = version
    if view:
        st.session_state[_VIEW] = view


def choose(key: str, value: Any) -> None:
    """Set a widget to a value; for callbacks only."""
    st.session_state[key] = value


def show_loaded(names: Sequence[str]) -> None:
    """Turn to the catalogue that was just loaded, at its newest version; before the widget that chooses one."""
    if noted(LOADED) in names:
        st.session_state["catalogue"] = noted(LOADED)
        open_version()
        forget(LOADED)


def chosen(key: str) -> Any:
    """The value of a widget; for callbacks only."""
    return st.session_state.get(key)
