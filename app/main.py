"""The script of the app, run for every visitor; ``python -m app`` serves it."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:  # a test that runs it finds only app/ on the path, not the root above it
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402 - only now can anything of ours be found

from app import identity, navigation, notices, state  # noqa: E402
from app.components.shared import account  # noqa: E402
from backend.access.asking import asking, identify_by  # noqa: E402
from backend.access.logs import log_person, new_request  # noqa: E402
from backend.access.use_case import READ, require  # noqa: E402

identify_by(identity.resolver)
new_request()
st.set_page_config(page_title="Twinset", page_icon=str(ROOT / "assets" / "icon.svg"), layout="wide")
st.logo(str(ROOT / "assets" / "logo.svg"), icon_image=str(ROOT / "assets" / "icon.svg"), size="large")
page = st.navigation(navigation.menu(), expanded=True)
account.show()
state.turn_to(page.url_path, is_for_shop=navigation.is_for_shop(page))
with notices.guarded():
    require(READ)
    log_person(asking().person.name)
    page.run()
