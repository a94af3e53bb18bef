"""The last step before a check: the catalogue's name, and how products are split."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from app import notices, words
from app.services import common
from backend.catalogue.delta.delta_log import catalogue_folder
from backend.catalogue.split_demand import shortfalls
from backend.catalogue.splits import SplitPlan
from backend.errors import CatalogueError
from backend.flow.requests import IngestRequest

if TYPE_CHECKING:
    from app.components.loading.preview import Reading
    from app.state import Source

NEW = "A new catalogue"
_LONGEST = 64
VALIDATION_HELP = (
    "The share of each label's remaining products that is set aside to check progress while Twinset learns."
)
TEST_HELP = "The share of each label that Twinset never learns from, used to check the finished result."
UNSEEN_HELP = "Products with these labels appear in results, but Twinset does not learn from them."
SHARES_PLACE = "Shares are set under Options."
SEED_HELP = "The same number always sets the same products aside."
UNSEEN = "Labels that Twinset does not learn"
REDRAW = "Reassign product uses"


def show(source: Source, reading: Reading) -> IngestRequest | None:
    """Show name and options; returns the request of a check when it was just sent."""
    name = _name(source)
    plan = _plan(reading)
    for sentence in shortfalls(reading.demand, plan):
        said = words.prose(sentence)
        st.warning(f"{said} {SHARES_PLACE}" if "would do" in sentence else said, icon=":material/call_split:")
    if not reading.has_pictures:
        st.caption("Choose the column with the pictures first.")
    checks = st.button(
        "Check",
        type="primary",
        icon=":material/fact_check:",
        disabled=not (name and reading.has_pictures),
        help="Reads every picture and shows what a load would change. Nothing is stored in the catalogue yet.",
    )
    if not checks:
        return None
    return IngestRequest(
        source=source.kind,
        catalogue=name,
        validation_share=plan.validation_share,
        seed=plan.seed,
        path=source.path,
        columns=reading.columns,
        label_from=reading.label_from,
        source_version=reading.version,
        table=reading.table,
        merge_labels=reading.merges_labels,
        test_share=plan.test_share,
        unseen=plan.unseen,
        redraw=plan.redraw,
        check_only=True,
    )


def _plan(reading: Reading) -> SplitPlan:
    with st.expander("Options", icon=":material/tune:", key="source_options"):
        with st.grid(min_column_width=230):
            test = test_share("source_test")
            validation = validation_share("source_validation")
            drawn = seed("source_seed")
        unseen = st.multiselect(UNSEEN, list(reading.labels), key="source_unseen", help=UNSEEN_HELP)
        redraw = st.checkbox(
            "Also reassign existing products",
            key="source_redraw",
            help="Otherwise products that are already in the catalogue keep their use.",
        )
    return SplitPlan(validation, test, drawn, tuple(unseen), redraw)


def validation_share(key: str) -> float:
    """Ask for the share of training products that becomes the validation split."""
    return float(
        st.number_input(
            "Share for the progress check",
            min_value=0.0,
            max_value=0.5,
            value=0.1,
            step=0.01,
            key=key,
            help=VALIDATION_HELP,
        )
    )


def test_share(key: str) -> float:
    """Ask for the share of products that becomes the test split."""
    return float(
        st.number_input(
            "Share for the final check", min_value=0.0, max_value=0.5, value=0.2, step=0.01, key=key, help=TEST_HELP
        )
    )


def seed(key: str) -> int:
    """Ask for the seed of the draws."""
    return int(
        st.number_input("Number of the draw", min_value=0, max_value=2**31 - 1, value=7, key=key, help=SEED_HELP)
    )


def suggested_name(source_name: str) -> str:
    """Make the name of a catalogue out of that of a file.

    Example:
        >>> suggested_name("Été 2026 (neu).zip")
        'ete-2026-neu'
    """
    plain = unicodedata.normalize("NFKD", Path(source_name).stem).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9_.]+", "-", plain.lower()).strip("-._")[:_LONGEST] or "shop"


def _name(source: Source) -> str:
    """Ask which catalogue the products go into; empty while the name cannot be one."""
    suggested = suggested_name(source.name)
    names = common.catalogues()
    choices = [NEW, *names]
    place = st.container(horizontal=True)
    chosen = place.selectbox(
        "Load into",
        choices,
        index=choices.index(suggested) if suggested in choices else 0,
        key=f"source_into_{source.path}",
        width=320,
        help="Loading into an existing catalogue adds new products and updates known ones, matched by product id.",
    )
    if chosen != NEW:
        return chosen
    name = place.text_input("Its name", suggested, key=f"source_name_{source.path}", width=320).strip()
    if name in names:
        st.caption(f"The catalogue {words.plain(name)} already exists; the products are added to it.")
    try:
        catalogue_folder(common.settings().catalogues_dir, name)
    except CatalogueError as error:
        notices.show(error)
        return ""
    return name
