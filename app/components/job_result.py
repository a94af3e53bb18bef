"""What a finished job brought, and where to go next."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import navigation, words

# The page that comes next, what the link says, and which part of the result the page opens with.
NEXT = {
    "catalogue": ("train", "Next: train a model on it", "catalogue"),
    "train": ("deploy", "Next: build its index and deploy it", "model"),
    "index": ("evaluate", "Next: see how good its answers are", "model"),
    "evaluate": ("deploy", "Next: deploy it", "model"),
    "deploy": ("recommend", "Next: find similar products", ""),
    "demo": ("recommend", "Next: find similar products", ""),
}


def show(kind: str, result: dict[str, Any]) -> None:
    """Show a result's figures as one line, and a link to the page that comes next in the flow."""
    st.markdown(" · ".join(words.plain(part) for part in summary(result)))
    if kind in NEXT:
        page, label, subject = NEXT[kind]
        about = {subject: str(result[subject])} if subject in result else {}
        navigation.link(page, label, about)


def summary(result: dict[str, Any]) -> list[str]:
    """Return a result as short statements; values that hold further values are left to the log."""
    parts = []
    for name, value in result.items():
        title = name.replace("_", " ")
        if name == "seconds":
            continue  # the panel says how long the job took
        if name == "kept":
            parts.append(words.count(value, "product"))
        elif name == "rejected":
            rejected = sum(value.values())
            parts += [f"{words.count(rejected)} rejected"] if rejected else []
        elif isinstance(value, bool | str):
            parts += [f"{title} {value}"] if value != "" else []
        elif isinstance(value, int):
            parts.append(f"{title} {value:,}")
        elif isinstance(value, float):
            parts.append(f"{title} {value:.4g}")
    return parts
