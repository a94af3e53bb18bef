"""What the Train page says before a training starts: checks and estimates from counts, and products for the preview."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from app.services import common
from backend.spark.cluster import is_local
from backend.training.ranks import preflight as before

if TYPE_CHECKING:
    from backend.catalogue.items import Product
    from backend.training.config import TrainConfig
    from backend.training.ranks.preflight import Machine, Preflight


def check(name: str, version: int, config: TrainConfig, *, workers: int) -> Preflight:
    """Check a configuration against a catalogue version and this machine; nothing is started for it."""
    return before.preflight(config, common.summary(name, version).by_label, machine(), workers=workers)


@st.cache_data(ttl=60, max_entries=1, show_spinner=False)
def machine() -> Machine:
    """The machine that jobs run on."""
    settings = common.settings()
    found = before.this_machine(settings.models_dir, threads=settings.threads, device=settings.device)
    return found if is_local(settings.spark_master) else replace(found, is_shared=False)


@st.cache_data(ttl=600, max_entries=8, show_spinner=False)
def learnt_from(name: str, version: int, count: int) -> list[Product]:
    """Some products of the train split, each with another label as long as there are any."""
    by_label = common.summary(name, version).by_label
    labels = [label for label in sorted(by_label) if by_label[label].get("train")]
    snapshot = common.snapshot(name, version)
    # Spread over all labels rather than the first in the alphabet.
    chosen = labels[:: max(1, len(labels) // count)][:count]
    found = [snapshot.page(offset=0, limit=1, split="train", label=label)[0] for label in chosen]
    return [product for page in found for product in page]
