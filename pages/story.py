"""Story: three acts for those who see Twinset for the first time, and one figure about their products at the end."""

import streamlit as st

from app import notices
from app.components.shared import endpoint_card
from app.components.story import bar, change, ending, find, state, trust
from app.services import story

if state.is_notes():
    bar.show()
    st.stop()

visit = state.begin()
with st.container(key="story_title"):
    st.title("Story")
    st.caption("Three acts of a minute each: find, trust, change. Use the arrow keys, and full screen on a projector.")
with st.spinner("One moment"):
    served = endpoint_card.current()
if served is not None or visit.asked is not None:  # a visit outlives a moment without answers
    bar.show()
if served is None:
    st.button("Try again", icon=":material/refresh:")
    st.stop()
story.counting(served)  # in the background, so that the figure is there at the end

act = state.act()
if act == state.END:
    ending.show(served)
elif act == state.FIND:
    find.show(visit, served)
elif visit.asked is None:
    st.info("Choose a photo first.", icon=":material/photo_camera:")
    st.button("Choose a photo", type="primary", on_click=state.turn, args=(state.FIND,))
else:
    with notices.guarded():
        found = find.answered(visit)
        trust.show(visit, found, served) if act == state.TRUST else change.show(visit, found)
