"""What an OpenID Connect provider says about somebody, as name and role.

Signature, issuer, nonce and time of the token are checked by Authlib, in Streamlit's callback, before it gets here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend.access.person import Role
from backend.errors import AccessDenied, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backend.settings import Settings

_EMAIL, _VERIFIED = "email", "email_verified"
_LONGEST = 200
_ASK = "Ask your Twinset administrator."


def accepted(settings: Settings, claims: Mapping[str, Any]) -> tuple[str, str]:
    """Return name and role of whom claims are about; the role is empty where they claim none.

    Raises:
        AccessDenied: They were made for another app, or name nobody that can be relied on.
    """
    audience = claims.get("aud")
    if settings.oidc_client_id not in (audience if isinstance(audience, list) else [audience]):
        raise AccessDenied("The sign-in was made for another app.", next_step=_ASK)
    name = claims.get(settings.oidc_name_claim)
    name = name.strip() if isinstance(name, str) else ""
    if not name or len(name) > _LONGEST or not name.isprintable():
        raise AccessDenied(f"The sign-in service did not send your name ({settings.oidc_name_claim}).", next_step=_ASK)
    if settings.oidc_name_claim == _EMAIL and claims.get(_VERIFIED) is not True:
        raise AccessDenied(f"The address {name} has not been verified by the sign-in service.", next_step=_ASK)
    known = role_names(settings)
    roles = [known[value] for value in _values(claims, settings.oidc_role_claim) if value in known]
    return name, max(roles).title if roles else ""


def role_names(settings: Settings) -> dict[str, Role]:
    """Return the roles by the values of a claim that mean them, as the setting says.

    Raises:
        SettingsError: It says something else.
    """
    found: dict[str, Role] = {}
    for pair in filter(str.strip, settings.oidc_roles.split(",")):
        value, _, title = pair.rpartition("=")
        role = Role.named(title)
        if role is None or not value.strip():
            titles = ", ".join(one.title for one in Role)
            raise SettingsError(
                f"TWINSET_OIDC_ROLES gives no known role in {pair.strip()!r}.",
                next_step=f"Use pairs such as shop-team=merchandiser; roles are {titles}.",
            )
        found[value.strip()] = role
    return found


def _values(claims: Mapping[str, Any], path: str) -> list[str]:
    """Return the values of a claim, which may be inside others: ``realm_access.roles``."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    values = found if isinstance(found, list) else [found]
    return [value for value in values if isinstance(value, str)]
