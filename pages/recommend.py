"""Find similar: a photo or an item of the catalogue in, the products that look like it out."""

from functools import partial

import streamlit as st

from app import navigation, notices, state
from app.components.deploy import golden
from app.components.search import (
    answer_view,
    compare_view,
    filters_panel,
    link_panel,
    query_panel,
    refine_panel,
    rule_menu,
    rule_panel,
    thumbs,
)
from app.components.shared import endpoint_card, examples, freshness
from app.services import common

st.title("Find similar")
st.caption("Upload a product photo and see which products look most like it.")

served = endpoint_card.current()
if served is None:
    if common.models():
        navigation.link("deploy", "See why on Deploy")
    st.stop()

side, main = st.columns([3, 8], gap="medium")
with side:
    query = query_panel.show(served.catalogue)
    is_compared = query is not None and query_panel.shows_both(query)
    picture = st.container()

with main:
    freshness.show(served)
    if query is None:
        examples.show(served.catalogue)
        st.stop()

    toolbar = st.container(horizontal=True, vertical_alignment="bottom")
    with toolbar:
        k = st.slider("How many", 1, 48, 12, key="k", bind="query-params", width=180)
        filters = filters_panel.show(served.catalogue)
        refined = refine_panel.show(served.colour_weight)
        st.button("Start again", icon=":material/restart_alt:", on_click=state.start_again)

    filters_panel.show_chips()
    refine_panel.show_less_like()
    ruled = rule_panel.current(served.catalogue.name)
    link_panel.show_notes(ruled, served.model_version)
    draft = st.container()
    with notices.guarded(), st.spinner("Looking for similar products"):
        plainly = partial(
            common.recommend, query.image, k=k, filters=filters, further=refined.further, revision=ruled.revision
        )
        ask = partial(plainly, wishes=ruled.wishes(refined.wishes))
        answered = ask(region=query.region)
        with draft:
            rule_panel.show_draft(ruled, answered, partial(plainly, wishes=refined.wishes, region=query.region))
        with toolbar:
            answer_view.show_download(query, answered.answer)
            # What is approved is asked as a whole photo later, without filters and wishes.
            is_plain = query.region is None and not filters and refined == refine_panel.Refinement()
            if is_plain:
                golden.show_approval(query.name, query.image, answered.answer)
        answer_view.show_facts(answered)
        if is_compared:
            compare_view.show(answered.answer, ask().answer)
        else:
            asked = rule_menu.Asked(served.catalogue.name, query, answered.answer)
            answer_view.show_neighbours(asked, ruled, thumbs.of(query, answered.answer, is_plain=is_plain))
            rule_panel.show_touching(ruled, query, answered.answer)
        with picture:
            query_panel.offer_part(query, answered.answer)
            answer_view.show_picture(answered.answer)
            link_panel.show(query, answered.answer, ruled)
