"""Parts of a page that have a script and a style of their own, from the files of ``assets``."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

ASSETS = Path(__file__).resolve().parents[3] / "assets"


@cache
def scripted(name: str, html: str, *, has_style: bool = True, isolate_styles: bool = True) -> Any:
    """Return the component of ``assets/NAME.js`` and, unless it has no style, ``assets/NAME.css``; made once.

    Args:
        name: Of both files.
        html: What the script finds in the page.
        has_style: Whether there is a style.
        isolate_styles: Whether styles of the page stay out, and its own stay in.
    """
    return st.components.v2.component(
        f"twinset_{name}",
        html=html,
        css=_read(f"{name}.css") if has_style else None,
        js=_read(f"{name}.js"),
        isolate_styles=isolate_styles,
    )


def _read(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")
