"""What the Evaluate page asks of the backend: reports, the answers to single queries, pictures, comparisons.

A report belongs to the bytes that its bundle's manifest names, so that everything here is cached under their hash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app.services import common
from backend.evaluation.answers import ANSWERS, AnswerTable, load_answers
from backend.evaluation.compare import Comparison, compare
from backend.evaluation.report import REPORT, Evaluation, load_report

if TYPE_CHECKING:
    from pathlib import Path

    from backend.bundles.bundle import CatalogueRef, Manifest
    from backend.catalogue.items import Product


def report(model: Manifest) -> Evaluation | None:
    """The report of a model's evaluation; None before it was evaluated.

    Raises:
        EvaluationError: It is damaged, or was written by another version of Twinset.
    """
    return _report(model.name, model.files[REPORT]) if REPORT in model.files else None


@st.cache_data(ttl=600, max_entries=8, show_spinner=False)
def _report(name: str, sha256: str) -> Evaluation | None:  # noqa: ARG001 - keeps answers apart in the cache
    return load_report(_folder(name))


def answers(model: Manifest) -> AnswerTable:
    """What a model answered to every test query.

    Raises:
        EvaluationError: It was not evaluated, or the table cannot be read.
    """
    return _answers(model.name, model.files.get(ANSWERS, ""))


@st.cache_resource(ttl=600, max_entries=4, show_spinner=False)
def _answers(name: str, sha256: str) -> AnswerTable:  # noqa: ARG001 - keeps answers apart in the cache
    return load_answers(_folder(name))


def is_of_another_model(model: Manifest, found: Evaluation) -> bool:
    """Whether a report was made before the model's index was rebuilt, or its network replaced."""
    index = model.index
    return (
        index is None
        or not found.is_of(model)
        or (found.gallery, found.catalogue) != (index.scored_size, index.catalogue)
    )


def same_version(model: Manifest) -> list[Manifest]:
    """Other models of the same catalogue version, newest first: what none of them learnt can be asked of all."""
    return [other for other in common.models() if other.name != model.name and other.catalogue == model.catalogue]


def comparable(model: Manifest) -> list[Manifest]:
    """Other models that were evaluated on the same catalogue, newest first."""
    return [
        other
        for other in common.models()
        if other.name != model.name and REPORT in other.files and other.catalogue.name == model.catalogue.name
    ]


def comparison(first: Manifest, second: Manifest) -> Comparison:
    """Two models on the same queries.

    Raises:
        EvaluationError: One of the reports cannot be read, or they have no query in common.
    """
    return _comparison(first.name, first.files[REPORT], second.name, second.files[REPORT])


@st.cache_data(ttl=600, max_entries=8, show_spinner="Comparing the models")
def _comparison(first: str, _first_sha256: str, second: str, _second_sha256: str) -> Comparison:
    manifests = {model.name: model for model in common.models()}
    found = [(report(manifests[name]), answers(manifests[name])) for name in (first, second)]
    (mine, my_answers), (other, other_answers) = found
    assert mine is not None  # noqa: S101 - the manifest names it
    assert other is not None  # noqa: S101 - ditto
    return compare(mine, my_answers, other, other_answers)


@st.cache_data(ttl=600, max_entries=64, show_spinner=False)
def pictures(catalogue: CatalogueRef, ids: tuple[str, ...]) -> dict[str, Product]:
    """Products of a catalogue version by id; those that it does not have are missing.

    Raises:
        CatalogueNotFound: The version's files were removed.
    """
    found = common.snapshot(catalogue.name, catalogue.version).products(ids)
    return {product.product_id: product for product in found}


def _folder(name: str) -> Path:
    return common.settings().models_dir / name
