"""What screens ask about indexes: how far one is behind its catalogue, and what was measured of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app.services import common
from backend.bundles.bundle import CatalogueRef
from backend.catalogue.delta.delta_log import catalogue_folder, newest_version
from backend.catalogue.items import PRODUCTS
from backend.jobs.states import JobState
from backend.retrieval.fidelity import FidelityReport
from backend.retrieval.freshness import Behind
from backend.retrieval.freshness import behind as _behind

if TYPE_CHECKING:
    from app.services.common import Serving
    from backend.bundles.bundle import Manifest

_LOOKED_AT = 20  # newest jobs that a report may be in


def behind(served: Serving) -> Behind | None:
    """How far what is searched is behind the newest version; None where the catalogue is not on this machine."""
    searched = served.catalogue
    newest = newest_version(catalogue_folder(common.settings().catalogues_dir, searched.name) / PRODUCTS)
    return _freshness(searched.name, searched.version, served.splits, newest)


@st.cache_data(ttl=600, max_entries=16, show_spinner=False)
def _freshness(
    name: str,
    version: int,
    splits: tuple[str, ...],
    newest: int | None,  # noqa: ARG001 - part of the cache's key
) -> Behind | None:
    return _behind(common.settings().catalogues_dir, CatalogueRef(name, version), splits=splits)


def fidelity(model: Manifest) -> FidelityReport | None:
    """What was last measured of a model's index as it is now; None where nothing was."""
    if model.index is None:
        return None
    for job in common.jobs().list(limit=_LOOKED_AT, kind="fidelity"):
        if job.state is JobState.SUCCEEDED and job.result and job.result.get("model") == model.name:
            found = FidelityReport.from_dict(job.result)
            of_now = (model.index.kind, model.index.size, model.index.catalogue.version, model.index.generation)
            return found if (found.kind, found.size, found.catalogue_version, found.generation) == of_now else None
    return None
