"""A first look at a source: some of its products, its labels, and which column is what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from app import notices, words
from app.components import looks
from app.components.loading import columns as columns_form
from app.components.shared import product_grid
from app.components.shared.product_grid import Card
from app.services import fetching
from app.words import plain, prose
from backend.catalogue.fetch.finding import NOT_ASKED_YET
from backend.catalogue.labels import alike, listed, recounted, spellings
from backend.catalogue.sources.looking import Question
from backend.catalogue.sources.tables.choice import ONLY_PICTURES
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from app.state import Source
    from backend.catalogue.sources.pictures.listing import LabelFrom
    from backend.catalogue.sources.preview import Preview, PreviewRow
    from backend.catalogue.sources.tables.choice import Tables
    from backend.catalogue.split_demand import SplitDemand

LABELS_LISTED = 12
TABLES_OFFERED = 20
GROUPS_SHOWN = 6
_ON_THE_WEB = "On the web"
LABEL_FROM: dict[LabelFrom, str] = {"folder": "The folder a picture is in", "none": "No labels"}


@dataclass(frozen=True, slots=True)
class Reading:
    """How a source is read, as the user decided, and what it looks like then."""

    preview: Preview
    columns: dict[str, str]
    label_from: LabelFrom
    version: int | None
    table: str = ""
    merges_labels: bool = False

    @property
    def has_pictures(self) -> bool:
        """Whether it is known where the pictures are."""
        return not self.preview.columns or "image" in self.columns

    @property
    def labels(self) -> dict[str, int]:
        """Products by label, as they will be loaded."""
        return recounted(self.preview.labels, self._kept)

    @property
    def demand(self) -> SplitDemand:
        """What the draw of splits will go by."""
        return self.preview.demand.with_labels(self._kept)

    @property
    def _kept(self) -> dict[str, str]:
        return spellings(self.preview.labels) if self.merges_labels else {}


def show(source: Source) -> Reading | None:
    """Show a source and let the user say how it is read; None when it cannot be."""
    reading = None
    with notices.guarded():
        ask = partial(Question, source.kind, source.path, version=_version(source), fetched=fetching.folder())
        first = looks.look(ask())
        table = _table(source, first.tables)
        if table is None:
            return None
        if table != first.tables.usual:
            ask = partial(ask, table=table)
        guessed = _seen(ask())
        columns, spots = columns_form.show(source, guessed) if guessed.columns else ({}, {})
        label_from: LabelFrom = "folder" if guessed.columns else _label_from()
        is_guess = (columns, label_from) == (guessed.mapping, "folder")
        found = guessed if is_guess else _seen(ask(columns=tuple(columns.items()), label_from=label_from))
        columns_form.show_examples(spots, found.examples)
        if found.columns:
            columns_form.offer_saving(found.columns, columns)
        _show(found)
        merges = _merges_labels(found.labels)
        reading = Reading(found, columns, label_from, ask.keywords["version"], table, merges)
        _show_labels(reading.labels)
    return reading


def _seen(question: Question) -> Preview:
    found = looks.look(question).preview
    if found is None:
        raise CatalogueError("Its tables have changed in the meantime.", next_step="Choose the file again.")
    return found


def _table(source: Source, tables: Tables) -> str | None:
    """Let the user say which table of a folder or zip describes the products; None while that is open."""
    choices = [*tables.top, *tables.deeper][:TABLES_OFFERED]
    if not choices:
        return ""
    choices.append(ONLY_PICTURES)
    chosen = st.selectbox(
        "Table that describes the products",
        choices,
        index=choices.index(tables.usual) if tables.usual in choices else None,
        format_func=lambda name: "None: only the pictures are loaded" if name == ONLY_PICTURES else name,
        placeholder="Choose a table",
        key=f"source_table_{source.path}",
        width=480,
        help="The table has one row per product; labels, titles and prices are read from it. Other tables are ignored.",
    )
    if chosen is None:
        st.info(
            f"{plain(source.name)} contains {len(tables.top)} tables. Choose the one to load.", icon=":material/table:"
        )
    return chosen


def _merges_labels(labels: dict[str, int]) -> bool:
    """Offer to make labels one that differ by case or blanks only."""
    groups = alike(labels)
    if not groups:
        return False
    merges = st.checkbox(
        "Merge labels that differ only in case or spaces",
        value=True,
        key="source_merge_labels",
        help="Otherwise each spelling is a separate label, and Twinset learns to distinguish them.",
    )
    become = "become" if merges else "would become"
    shown = [
        f"{plain(listed(group))} {become} one label, {plain(label)}"
        for label, group in list(groups.items())[:GROUPS_SHOWN]
    ]
    more = f"; and {len(groups) - GROUPS_SHOWN:,} more" if len(groups) > GROUPS_SHOWN else ""
    st.caption(f"{'; '.join(shown)}{more}.")
    return merges


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
        help="A Delta table keeps older versions. Leave this empty to load the newest.",
    )
    return version


def _label_from() -> LabelFrom:
    chosen: LabelFrom = st.radio(
        "Labels are taken from",
        list(LABEL_FROM),
        format_func=LABEL_FROM.__getitem__,
        key="source_label_from",
        horizontal=True,
        help="A label says what kind of product a picture shows. Twinset learns from labels; products without one "
        "only appear in results.",
    )
    return chosen


def _show(found: Preview) -> None:
    st.markdown("**For example**" if found.recognised else _counted(found))
    product_grid.show(map(_card, found.rows), key="source_preview")
    for note in found.notes:
        st.warning(prose(note), icon=":material/info:")


def _counted(found: Preview) -> str:
    return f"**{words.count(found.total, 'product')}**, for example:"


def _show_labels(labels: dict[str, int]) -> None:
    if labels:
        ordered = sorted(labels.items(), key=lambda item: -item[1])
        listed = [f"{plain(name)} {words.count(count)}" for name, count in ordered[:LABELS_LISTED]]
        more = f" and {words.count(len(ordered) - LABELS_LISTED)} more" if len(ordered) > LABELS_LISTED else ""
        st.caption(f"{words.count(len(ordered), 'label')}: {', '.join(listed)}{more}")


def _card(row: PreviewRow) -> Card:
    is_on_the_web = (row.reason or "").startswith(NOT_ASKED_YET)
    reason = words.sentence(row.reason) if row.reason and not is_on_the_web else ""
    known = (words.label(row.label or "") if row.title else "", row.product_id or "")
    return Card(
        id=row.product_id or "",
        image=row.thumbnail,
        title=row.title or words.label(row.label or ""),
        lines=tuple(line for line in (" · ".join(part for part in known if part), reason) if line),
        badges=((_ON_THE_WEB if is_on_the_web else "Unusable"),) if row.reason else (),
    )
