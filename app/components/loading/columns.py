"""Which column of a table is what: as it was recognised or saved, with values from it, and how the user changes it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import streamlit as st

from app import notices
from app.components.shared import edited
from app.services import catalogue
from app.words import plain, prose
from backend.catalogue.fields import PRODUCT_FIELDS
from backend.catalogue.sources.mapping import FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streamlit.delta_generator import DeltaGenerator

    from app.state import Source
    from backend.catalogue.sources.preview import Preview

FIELD_TITLES = {
    "product_id": "Product id",
    "image": "Picture",
    "label": "Label",
    "split": "Used for",
    **{one.name: one.title for one in PRODUCT_FIELDS},
}
SHOWN = 40  # letters of a value below its column
RECOGNISED = "As recognised"
_GUESSED = "This was guessed from the table. Correct any wrong guesses; leave a field empty if no column matches."
_KNOWN = (
    "Twinset knows this export. Change what you want to read differently; leave a field empty if no column matches."
)


def show(source: Source, guessed: Preview) -> tuple[dict[str, str], dict[str, DeltaGenerator]]:
    """Let the user choose the column of each field; at first it is the one that was saved, recognised or guessed.

    Returns:
        Column by field, and by field the place below it where values of that column are shown.
    """
    if guessed.recognised:
        st.markdown(f"**{prose(guessed.recognised)}**")
    st.markdown("**What each column contains**")
    st.caption(_KNOWN if guessed.recognised else _GUESSED)
    saved = {one.name: one for one in catalogue.mappings_for(guessed.columns)}
    name = RECOGNISED
    if saved:
        name = st.selectbox(
            "Read the columns",
            [*saved, RECOGNISED],
            key=f"mapping_{source.path}",
            format_func=lambda one: one if one == RECOGNISED else f"As saved: {one}",
            width=480,
            help="A mapping that you saved is used again for every table with the same columns.",
        )
    # Another file, or another mapping, brings other widgets, so that its own columns count.
    prefix = hashlib.sha256(f"{source.path} {guessed.columns} {name}".encode()).hexdigest()[:8]
    if name not in saved:
        return _chosen(guessed.mapping, guessed.columns, prefix)
    first, edition = next(iter(FIELDS)), saved[name].edition
    form = edited.opened(_topic(name), edition, lambda drawn: f"column_{prefix}{drawn}_{first}")
    return _chosen(saved[name].columns, guessed.columns, f"{prefix}{form.drawn}")


def _chosen(
    known: Mapping[str, str], columns: Sequence[str], prefix: str
) -> tuple[dict[str, str], dict[str, DeltaGenerator]]:
    chosen: dict[str, str] = {}
    spots: dict[str, DeltaGenerator] = {}
    with st.grid(min_column_width=170):
        for name, help_text in FIELDS.items():
            with st.container():
                column = st.selectbox(
                    FIELD_TITLES[name],
                    columns,
                    index=columns.index(known[name]) if known.get(name) in columns else None,
                    placeholder="None",
                    key=f"column_{prefix}_{name}",
                    help=help_text,
                )
                spots[name] = st.empty()
            if column:
                chosen[name] = column
    return chosen, spots


def show_examples(spots: Mapping[str, DeltaGenerator], examples: Mapping[str, Sequence[str]]) -> None:
    """Show the first values of each column below it."""
    for name, spot in spots.items():
        if values := examples.get(name):
            spot.caption(plain(" · ".join(map(_short, values))))


def _short(value: str) -> str:
    """Return a value as it fits below its column; of an address, the end says most."""
    if len(value) <= SHOWN:
        return value
    return f"…{value[1 - SHOWN :]}" if "://" in value else f"{value[: SHOWN - 1]}…"


def offer_saving(header: Sequence[str], columns: Mapping[str, str]) -> None:
    """Let the user save by name which column is what."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(
            "Name for these columns",
            placeholder="e.g. Weekly export",
            key="mapping_name",
            width=320,
            help="The next table with the same columns is read the same way.",
        ).strip()
        saves = st.button("Save", icon=":material/save:", disabled=not name, key="mapping_save")
    topic = _topic(name)
    is_settled = edited.is_settled(topic, catalogue.mapping_edition(name), what=f"the columns saved as {name}")
    if not (saves and is_settled):
        return
    is_saved = False
    with notices.guarded():
        edited.saved(topic, catalogue.save_mapping(name, header, columns, edited.base_of(topic)))
        is_saved = True
    if is_saved:
        st.toast(f"Saved as {plain(name)}.", icon=":material/save:")
        st.rerun()  # so that it is what is chosen above


def _topic(name: str) -> str:
    return f"mapping_of_{name}"
