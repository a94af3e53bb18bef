"""A first look at a source: some of its products, its labels, and which column is what."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from app import catalogue_services, notices, words
from app.components import product_grid
from app.components.product_grid import Card
from backend.catalogue.mapping import FIELDS

if TYPE_CHECKING:
    from app.state import Source
    from backend.catalogue.picture_sources import LabelFrom
    from backend.catalogue.preview import Preview, PreviewRow

LABELS_LISTED = 12
FIELD_TITLES = {
    "product_id": "Product id",
    "image": "Picture",
    "label": "Label",
    "split": "Split",
    "title": "Title",
    "category": "Category",
    "brand": "Brand",
    "colour": "Colour",
    "price": "Price",
    "stock": "Stock",
}
LABEL_FROM: dict[LabelFrom, str] = {"folder": "The folder a picture is in", "none": "No labels"}


@dataclass(frozen=True, slots=True)
class Reading:
    """How a source is read, as the user decided, and what it looks like then."""

    preview: Preview
    columns: dict[str, str]
    label_from: LabelFrom
    version: int | None

    @property
    def has_pictures(self) -> bool:
        """Whether it is known where the pictures are."""
        return not self.preview.columns or "image" in self.columns


def show(source: Source) -> Reading | None:
    """Show a source and let the user say how it is read; None when it cannot be."""
    reading = None
    with notices.guarded():
        version = _version(source)
        guessed = _look(source, {}, "folder", version)
        if guessed.columns:
            columns = _mapping(source, guessed)
            found = guessed if columns == guessed.mapping else _look(source, columns, "folder", version)
            reading = Reading(found, columns, "folder", version)
        else:
            label_from = _label_from()
            reading = Reading(_look(source, {}, label_from, version), {}, label_from, version)
        _show(reading.preview)
    return reading


def _look(source: Source, columns: dict[str, str], label_from: LabelFrom, version: int | None) -> Preview:
    return catalogue_services.preview(
        source.kind, source.path, columns=tuple(columns.items()), label_from=label_from, version=version
    )


def _version(source: Source) -> int | None:
    if source.kind != "delta":
        return None
    version: int | None = st.number_input(
        "Version of the Delta table",
        min_value=0,
        value=None,
        placeholder="The newest",
        key="source_version",
        width=320,
        help="A Delta table keeps its older versions. Leave this empty for the newest.",
    )
    return version


def _label_from() -> LabelFrom:
    chosen: LabelFrom = st.radio(
        "Labels are taken from",
        list(LABEL_FROM),
        format_func=LABEL_FROM.__getitem__,
        key="source_label_from",
        horizontal=True,
        help="A label says what kind of product a picture shows. Models learn from labels; products without one can "
        "only be found.",
    )
    return chosen


def _mapping(source: Source, guessed: Preview) -> dict[str, str]:
    """Let the user choose the column of each field; the guess is what is chosen at first."""
    st.markdown("**Which column is what**")
    st.caption("This was guessed from the names of the columns. Change what is wrong; leave empty what there is not.")
    # Another file brings other widgets, so that its own guess counts.
    prefix = hashlib.sha256(f"{source.path} {guessed.columns}".encode()).hexdigest()[:8]
    chosen: dict[str, str] = {}
    with st.grid(min_column_width=170):
        for name, help_text in FIELDS.items():
            known = guessed.mapping.get(name)
            column = st.selectbox(
                FIELD_TITLES[name],
                guessed.columns,
                index=guessed.columns.index(known) if known else None,
                placeholder="None",
                key=f"column_{prefix}_{name}",
                help=help_text,
            )
            if column:
                chosen[name] = column
    return chosen


def _show(found: Preview) -> None:
    st.markdown(f"**{words.count(found.total, 'product')}**, of which these are some:")
    product_grid.show(map(_card, found.rows), key="source_preview")
    for note in found.notes:
        st.warning(words.plain(note), icon=":material/info:")
    if found.labels:
        ordered = sorted(found.labels.items(), key=lambda item: -item[1])
        listed = [f"{words.plain(name)} {words.count(count)}" for name, count in ordered[:LABELS_LISTED]]
        more = f" and {words.count(len(ordered) - LABELS_LISTED)} more" if len(ordered) > LABELS_LISTED else ""
        st.caption(f"{words.count(len(ordered), 'label')}: {', '.join(listed)}{more}")


def _card(row: PreviewRow) -> Card:
    reason = words.sentence(row.reason) if row.reason else ""
    known = (words.label(row.label or "") if row.title else "", row.product_id or "")
    return Card(
        id=row.product_id or "",
        image=row.thumbnail,
        title=row.title or words.label(row.label or ""),
        lines=tuple(line for line in (" · ".join(part for part in known if part), reason) if line),
        badges=("Unusable",) if row.reason else (),
    )
