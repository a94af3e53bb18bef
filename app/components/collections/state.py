"""What a session keeps about collections: which is open, what is to be added, and what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import notices, state
from app.components.rules import state as rule_state
from app.services.shop import collections
from backend.errors import WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.merchandising.collections.collection import Collection
    from backend.merchandising.collections.store import CollectionSet

OPEN = "collection"  # of the address line: the collection that is open
_WANTED, _EDITED, _TOLD, LAST = "collect", "collection_edited", "collection_told", "collected_into"


def opened() -> str:
    """The collection that is open, by its id; empty for the list."""
    return str(st.query_params.get(OPEN, ""))


def open_one(collection_id: str) -> None:
    """Open a collection, or the list."""
    forget_edited()
    if collection_id:
        st.query_params[OPEN] = collection_id
    else:
        st.query_params.pop(OPEN, None)


def collect(ids: Sequence[str]) -> None:
    """Begin to add products to a collection."""
    rule_state.forget_product()  # one dialog at a time
    state.note(_WANTED, tuple(ids))


def collect_one(product_id: str) -> None:
    """Begin to add one product to a collection."""
    collect([product_id])


def wanted() -> tuple[str, ...]:
    """The products that are being added; none while nothing is."""
    return state.noted(_WANTED) or ()


def forget_wanted() -> None:
    """Add nothing any more."""
    state.forget(_WANTED)


def edit(version: int, product_id: str = "") -> None:
    """Open what is noted of the open collection, or of a product of it, as it is at a version."""
    for field in ("comment_text", "comment_place", "comment_name"):
        st.session_state.pop(field, None)
    state.forget(_TOLD)
    state.note(_EDITED, (version, product_id))


def edited() -> tuple[int, str]:
    """What is edited: the version that it was opened at, 0 while nothing is, and the product."""
    return state.noted(_EDITED) or (0, "")


def forget_edited() -> None:
    """Close it."""
    state.forget(_EDITED)
    state.forget(_TOLD)


def tell(error: WorkbenchError) -> None:
    """Remember that another person changed the same as what is edited."""
    state.note(_TOLD, error)


def conflict() -> WorkbenchError | None:
    """What was told of another person's change, if anything was."""
    found: WorkbenchError | None = state.noted(_TOLD)
    return found


def keep(catalogue: str, seen: CollectionSet, one: Collection, note: str) -> bool:
    """Keep a collection as it was changed from what the page showed; False, and why is shown, where that is refused."""
    try:
        collections.store(catalogue).put(one, base=seen.version, by=rule_state.person(), note=note)
    except WorkbenchError as error:
        notices.show(error)
        return False
    return True
