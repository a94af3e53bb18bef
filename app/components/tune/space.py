"""The space of a sweep: which fields vary, and what each may be; what it would try is shown before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import notices, words
from app.components.shared import charts, edited
from app.components.train import fields
from app.components.tune import words as tune_words
from app.services import tuning
from backend.errors import WorkbenchError
from backend.training.config import RANGES, TrainConfig
from backend.tuning.space import FIELDS, QUANTISED, Dimension, Kind, Space, is_whole, kinds_of, offered

if TYPE_CHECKING:
    from backend.tuning.plan import SweepPlan

SUGGESTED = "Suggested"
_WORTH_TRYING: dict[str, tuple[Any, ...]] = {
    "augmentation": ("none", "flip", "flip-shift", "flip-crop"),
    "loss": ("multi-similarity+proxy", "multi-similarity", "triplet", "circle"),
}
_AROUND = 5.0  # a rate is looked for between a fifth and five times its value


def edit(base: TrainConfig) -> Space:
    """Show the editor, filled from the suggested space or a saved one; returns what it says."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        saved = tuning.spaces()
        start_name = st.selectbox("Start from", [SUGGESTED, *saved], key="tune_space_start", width=240)
    start = Space()
    with notices.guarded():
        start = suggested(base) if start_name == SUGGESTED else tuning.space(start_name)
    prefix = f"vary_{base.preset}_{start_name}"
    if start_name != SUGGESTED:
        newest, first = tuning.space_edition(start_name), prefix
        prefix = f"{first}_{edited.opened(_topic(start_name), newest, lambda drawn: f'{first}_{drawn}_fields').drawn}"
    names = st.multiselect(
        "Fields that vary",
        FIELDS,
        default=list(start.dimensions),
        format_func=fields.title,
        key=f"{prefix}_fields",
        help="All others keep the preset's values.",
    )
    return Space({name: _dimension(name, start.dimensions.get(name) or usual(name, base), prefix) for name in names})


def suggested(base: TrainConfig) -> Space:
    """Return what is worth trying first with a preset."""
    names = [
        "learning_rate",
        "augmentation",
        "embedding_size",
        *(["detail_share"] if base.backbone == "resnet" else []),
    ]
    return Space({name: usual(name, base) for name in names})


def usual(name: str, base: TrainConfig) -> Dimension:
    """Return what a field may be to begin with, around its present value."""
    present = getattr(base, name)
    if name in _WORTH_TRYING:
        return Dimension("choice", _WORTH_TRYING[name])
    if name not in RANGES:
        return Dimension("choice", offered(name) if len(offered(name)) <= 4 else (present,))
    low, high = RANGES[name]
    if name == "learning_rate":
        ends = (max(present / _AROUND, low), min(present * _AROUND, high))
        return Dimension("loguniform", low=float(f"{ends[0]:.3g}"), high=float(f"{ends[1]:.3g}"))
    if is_whole(name):
        low, high = max(int(low), int(present) // 2), min(int(high), max(int(present) * 2, int(low) + 1))
        return Dimension("quniform", low=low, high=high, step=min(max(int(present) // 4, 1), high - low))
    return Dimension("uniform", low=low, high=float(f"{min(high, max(present * 2, (high - low) * 2 / 3)):.1g}"))


def _dimension(name: str, start: Dimension, prefix: str) -> Dimension:
    """Show one field as a row."""
    key = f"{prefix}_{name}"
    with st.container(border=True, key=f"row_{key}"):
        st.markdown(f"**{words.plain(fields.title(name))}**", help=fields.HELP[name])
        with st.grid(min_column_width=150):
            kinds = kinds_of(name)
            kind: Kind = st.selectbox(
                "How it varies",
                kinds,
                index=kinds.index(start.kind),
                format_func=tune_words.KINDS.__getitem__,
                key=f"{key}_kind",
            )
            if kind != "choice":
                return _range(name, kind, start, key)
        return _choice(name, start, key)  # as wide as the row, for there may be many


def _choice(name: str, start: Dimension, key: str) -> Dimension:
    known = offered(name)
    if known:
        chosen = st.multiselect(
            "Values",
            known,
            default=[value for value in start.values if value in known],
            format_func=lambda value: tune_words.value(name, value),
            key=f"{key}_values",
        )
        return Dimension("choice", tuple(chosen))
    text = st.text_input(
        "Values", ", ".join(map(str, start.values)), key=f"{key}_numbers", placeholder="For example 16, 32, 64"
    )
    return Dimension("choice", tuple(_number(name, part) for part in text.split(",") if part.strip()))


def _number(name: str, text: str) -> Any:
    try:
        return int(text) if is_whole(name) else float(text)
    except ValueError:
        return text.strip()  # said by the check, as what it is


def _range(name: str, kind: Kind, start: Dimension, key: str) -> Dimension:
    low, high = RANGES[name]
    whole = is_whole(name)
    begin, end = (start.low, start.high) if start.kind != "choice" else (low, high)
    shared: dict[str, Any] = {"step": 1} if whole else {"format": "%g", "step": max((end - begin) / 20, 1e-6)}
    number = int if whole else float
    first = st.number_input("From", value=number(begin), key=f"{key}_low", **shared)
    last = st.number_input("To", value=number(end), key=f"{key}_high", **shared)
    if kind not in QUANTISED:
        return Dimension(kind, low=first, high=last)
    usual_step = start.step or (end - begin) / 4
    step = st.number_input("Step", value=number(usual_step), key=f"{key}_step", **shared)
    return Dimension(kind, low=first, high=last, step=step)


def show_examples(plan: SweepPlan) -> None:
    """Show values that the sweep might try; for a space that was checked."""
    drawn = tuning.examples(plan)
    st.caption("For example, it might try")
    rows = [{fields.title(name): tune_words.value(name, value) for name, value in values.items()} for values in drawn]
    charts.table(rows, key="tune_examples")


def offer_to_save(space: Space) -> None:
    """Let the space be kept under a name."""
    with st.popover("Save this space", icon=":material/bookmark_add:"):
        name = st.text_input("Name", key="tune_space_name", placeholder="For example rates and losses").strip()
        topic = _topic(name)
        is_settled = edited.is_settled(topic, tuning.space_edition(name), what=f"the space {name}")
        if st.button("Save", key="tune_space_save", disabled=not (name and is_settled)):
            try:
                edited.saved(topic, tuning.save_space(name, space, edited.base_of(topic)))
            except WorkbenchError as error:
                notices.show(error)
            else:
                st.success(f"Saved as {words.plain(name)}.", icon=":material/check:")


def _topic(name: str) -> str:
    return f"space_{name}"
