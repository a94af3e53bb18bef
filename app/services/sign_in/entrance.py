"""What the door of the app goes by, made of the settings and of Streamlit's own messages."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.middleware import Middleware
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from app.services.sign_in.provider import provider
from backend.access.edges import by_session, journal_of
from backend.access.sign_ins import sign_ins
from backend.access.way_in import session_cookie, way_in
from backend.serving.sign_in.door import SignInDoor
from backend.serving.sign_in.entrance import Entrance

if TYPE_CHECKING:
    from backend.settings import Settings


def sign_in_doors(settings: Settings) -> list[Middleware]:
    """Return the door that lets only those in who have signed in; none where sign-in is off.

    Raises:
        SettingsError: As for :func:`backend.access.way_in.way_in`.
    """
    if way_in(settings) == "off":
        return []
    farewell = ForwardMsg()
    farewell.auth_redirect.url = f"{settings.app_path}/"
    entrance = Entrance(
        sign_ins=sign_ins(settings),
        journal=journal_of(settings),
        person=partial(by_session, settings),
        cookie=session_cookie(settings),
        hours=settings.session_hours,
        root=settings.app_path,
        farewell=farewell.SerializeToString(),
        provider=provider(settings),
    )
    return [Middleware(SignInDoor, entrance=entrance)]
