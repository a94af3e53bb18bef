"""Streamlit's own OpenID Connect sign-in: what it is told, and what it found out.

Streamlit's routes speak with the provider. Their signed cookie carries the claims to the door, once, and opens nothing.
"""

from __future__ import annotations

import json
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from streamlit.user_info import generate_login_redirect_url
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME
from streamlit.web.server.starlette.starlette_websocket import _get_signed_cookie_with_chunks

from backend.access.claims import accepted, role_names
from backend.access.way_in import app_url, way_in
from backend.files.locking import lock_beside, locked
from backend.files.storage import write_atomically
from backend.serving.sign_in.entrance import Provider
from backend.serving.sign_in.ways import CALLBACK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backend.settings import Settings

COOKIE_KEY_FILE = "cookie-key"


def provider(settings: Settings) -> Provider | None:
    """Return what the door needs of the provider; None where none is set.

    Raises:
        SettingsError: The settings say too little, or something wrong.
    """
    if way_in(settings) != "oidc":
        return None
    role_names(settings)
    return Provider(begin=partial(_begin, settings), claims=_claims, accepted=partial(accepted, settings))


def streamlit_secrets(settings: Settings) -> dict[str, Any]:
    """Return what Streamlit would read from its file of secrets; it stays in memory."""
    if way_in(settings) != "oidc":
        return {}
    auth = {
        "redirect_uri": app_url(settings) + CALLBACK,
        "cookie_secret": _cookie_key(settings),
        "client_id": settings.oidc_client_id,
        "client_secret": settings.oidc_client_secret.reveal(),
        "server_metadata_url": settings.oidc_metadata_url,
        "client_kwargs": {"scope": settings.oidc_scopes, "prompt": "select_account"},
    }
    return {"auth": auth}


def _begin(settings: Settings) -> str:
    """Return where ``st.login`` would lead, at the name that the provider leads back to."""
    site = urlsplit(app_url(settings))
    return f"{site.scheme}://{site.netloc}{generate_login_redirect_url('default')}"


def _claims(cookies: Mapping[str, str]) -> Mapping[str, Any] | None:
    found = _get_signed_cookie_with_chunks(dict(cookies), USER_COOKIE_NAME)
    claims = json.loads(found) if found else None
    return claims if isinstance(claims, dict) else None


def _cookie_key(settings: Settings) -> str:
    """Return the key that Streamlit signs its cookies with, made on first use, so that it can sign out after a restart."""
    path = settings.home / COOKIE_KEY_FILE
    with locked(lock_beside(path)):
        if not path.is_file():
            write_atomically(path, secrets.token_urlsafe(32).encode())
        return path.read_text(encoding="utf-8")
