"""What the endpoint serves now, or what is missing before it can serve anything."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import streamlit as st

from app import navigation, notices, state, words
from app.services import common
from backend.errors import EndpointError, EndpointUnreachable
from backend.errors.addresses import shown
from backend.serving.tokens import APP_TOKEN_FILE

if TYPE_CHECKING:
    from app.services.common import Serving

_POLL_S = 2.0  # seconds between looks whether the endpoint is back
CURL = """curl --data-binary @photo.jpg \\
     -H "Authorization: Bearer $TOKEN" \\
     "{url}/v1/recommend?k=10"
"""
PYTHON = """import os
from pathlib import Path

import requests

answer = requests.post(
    "{url}/v1/recommend",
    params={{"k": 10}},
    headers={{"Authorization": f"Bearer {{os.environ['TOKEN']}}"}},
    data=Path("photo.jpg").read_bytes(),
    timeout=15,
)
answer.raise_for_status()
for neighbour in answer.json()["neighbours"]:
    print(neighbour["rank"], neighbour["product_id"], neighbour["similarity"])
"""


INVOKE = """import base64
import os
from pathlib import Path

import requests

photos = [Path("first.jpg"), Path("second.jpg")]
rows = [[base64.b64encode(photo.read_bytes()).decode()] for photo in photos]
answer = requests.post(
    "{url}/invocations",
    json={{"dataframe_split": {{"columns": ["input"], "data": rows}}, "params": {{"k": 10, "include_images": ""}}}},
    headers={{"Authorization": f"Bearer {{os.environ['TOKEN']}}"}},
    timeout=15,
)
answer.raise_for_status()
for row in answer.json()["predictions"]:
    print(row["query_row"], row["rank"], row["product_id"], row["similarity"])
"""


def current() -> Serving | None:
    """Return what is served; when nothing is, say what is missing and where to get it, and return None.

    The page goes on by itself as soon as something is served.
    """
    try:
        return common.serving()
    except EndpointError as error:
        if isinstance(error, EndpointUnreachable) or (error.code == "no_model" and not common.models()):
            _show_missing()
        else:
            st.info(notices.told(error), icon=":material/hourglass_empty:")
        st.fragment(_look_again, run_every=_POLL_S)()
    return None


def _show_missing() -> None:
    if not common.catalogues() and not common.models():
        st.info(
            "**Welcome to Twinset.** There is nothing to search yet. Load your products first; each step leads to "
            "the next.",
            icon=":material/waving_hand:",
        )
        navigation.link("catalogue", "Load the products")
    elif not common.models():
        st.info(
            "Your products are loaded. One click on the Catalogue page, and Twinset can search them.",
            icon=":material/image_search:",
        )
        navigation.link("catalogue", "Continue: find similar in the catalogue")
    else:
        st.info(
            "The service that finds similar products is not running. "
            + (
                "Ask your Twinset administrator to start it."
                if state.is_for_shop()
                else "Start it with `make run`, or with `python -m backend serve`."
            )
            + " This page continues by itself once it runs.",
            icon=":material/power_off:",
        )


def _look_again() -> None:
    with suppress(EndpointError):
        common.serving()
        st.rerun()


def show_figures(served: Serving) -> None:
    """Show what is served now as figures."""
    with st.container(horizontal=True):
        st.metric(
            "Model",
            words.plain(f"{served.model_name} {served.model_version or ''}"),
            border=True,
            help=f"Built from {words.plain(served.model)}" if served.model else None,
        )
        if not served.gallery_size:
            return
        st.metric("Catalogue", words.plain(f"{served.catalogue.name} {served.catalogue.version}"), border=True)
        st.metric("Products searched", words.count(served.gallery_size), border=True)


def show_recipes() -> None:
    """Show how to ask from a shell and from Python; the token is left to the reader."""
    url = shown(common.settings().effective_endpoint_url)
    st.caption(
        f"`TOKEN` is a placeholder: create a token under Tokens. This app's own is stored in the file "
        f"`{APP_TOKEN_FILE}` in the home folder, unless the settings name one."
    )
    base = url.rstrip("/").removesuffix("/invocations")
    recipes = {"Shell": (CURL, "bash"), "Python": (PYTHON, "python"), "MLflow's protocol": (INVOKE, "python")}
    if base != url.rstrip("/"):  # a plain MLflow server knows its own protocol only
        recipes = {name: recipe for name, recipe in recipes.items() if recipe[0] is INVOKE}
    for tab, (text, language) in zip(st.tabs(list(recipes)), recipes.values(), strict=True):
        tab.code(text.format(url=base), language=language)
