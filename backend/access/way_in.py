"""How users sign in to the app: by a provider, by one-time addresses, or not at all, on this machine only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast, get_args
from urllib.parse import urlsplit

from backend.errors import SettingsError
from backend.errors.addresses import connectable, is_loopback_host
from backend.settings import PREFIX

if TYPE_CHECKING:
    from backend.settings import Settings

WayIn = Literal["oidc", "address", "off"]
SIGN_IN_PATH, KEY = "/sign-in", "key"
_OF_PROVIDER = ("oidc_metadata_url", "oidc_client_id", "oidc_client_secret")


def way_in(settings: Settings) -> WayIn:
    """Return how users sign in.

    Raises:
        SettingsError: The settings do not say enough, or would leave the app open to other machines.
    """
    found = settings.sign_in or ("oidc" if settings.oidc_metadata_url else "address")
    if found not in get_args(WayIn):
        raise SettingsError(f"TWINSET_SIGN_IN is {found!r}.", next_step="Use oidc, address or off.")
    if found == "off" and not is_loopback_host(settings.app_host):
        raise SettingsError(
            f"The app would be open to everyone who can reach {settings.app_host}.",
            next_step="Set TWINSET_SIGN_IN to address or oidc, or TWINSET_APP_HOST to 127.0.0.1.",
        )
    lacking = [PREFIX + name.upper() for name in _OF_PROVIDER if found == "oidc" and not getattr(settings, name)]
    if lacking:
        raise SettingsError(
            f"Sign-in with OpenID Connect needs {', '.join(lacking)}.",
            next_step="Set what your provider shows for this app, or set TWINSET_SIGN_IN to address.",
        )
    if not settings.session_hours > 0:
        raise SettingsError("TWINSET_SESSION_HOURS must be more than 0.", next_step="For example 12.")
    return cast("WayIn", found)


def app_url(settings: Settings) -> str:
    """Return where users open the app, without a slash at the end.

    Raises:
        SettingsError: The setting is no such URL.
    """
    if not settings.app_url:
        return f"http://{connectable(settings.app_host)}:{settings.app_port}{settings.app_path}"
    found = urlsplit(settings.app_url)
    more = found.query or found.fragment or found.username or found.path.rstrip("/").removeprefix(settings.app_path)
    if found.scheme not in {"http", "https"} or not found.hostname or more:
        raise SettingsError(
            "TWINSET_APP_URL is not the URL of the app.",
            next_step="For example https://twinset.example, followed by TWINSET_APP_PATH if that is set.",
        )
    return f"{found.scheme}://{found.netloc}{settings.app_path}"


def sign_in_url(settings: Settings, secret: str) -> str:
    """Return the one-time address to open."""
    return f"{app_url(settings)}{SIGN_IN_PATH}?{KEY}={secret}"


def session_cookie(settings: Settings) -> str:
    """Return the name of the session's cookie: a browser keeps those of all ports of a host together."""
    return f"twinset-{settings.app_port}"
