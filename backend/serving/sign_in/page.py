"""The pages for those who are not signed in: no file beside them, no script but one, none of Twinset's data."""

from __future__ import annotations

import base64
import hashlib
import html
from functools import cache
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse

from backend.settings import ROOT

if TYPE_CHECKING:
    from starlette.responses import Response

_STYLE = """
:root{color-scheme:light dark;--ink:#25221f;--paper:#fdfcfa;--soft:#6a645b;--line:#e2dcd1;--main:#1f6f66}
@media(prefers-color-scheme:dark){:root{--ink:#ece9e2;--paper:#161918;--soft:#a9a59c;--line:#353c3a;--main:#3f9c90}}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--paper);color:var(--ink);
font:1rem/1.5 "Source Sans",system-ui,sans-serif}
main{box-sizing:border-box;width:min(34rem,100%);padding:2rem 1.5rem}
img{width:3rem;height:3rem}h1{font:600 1.9rem/1.2 "Source Serif",Georgia,serif;margin:1rem 0 .75rem}
p{margin:.5rem 0}details{margin-top:1.5rem;border-top:1px solid var(--line);padding-top:1rem;color:var(--soft)}
code{overflow-wrap:anywhere}
a{display:inline-block;margin-top:1rem;padding:.55rem 1.4rem;border-radius:.5rem;background:var(--main);color:#fff;
text-decoration:none;font-weight:600}a:focus-visible{outline:3px solid var(--ink);outline-offset:2px}
"""
# A link on another site brings no cookie that is kept to this one; the page itself sends it, and then follows the link.
_AGAIN = (
    'fetch(location.href,{headers:{accept:"text/plain"},cache:"no-store"})'
    ".then(answer=>{if(answer.ok)location.replace(location.href)})"
)


_UNAUTHORISED, _FORBIDDEN = 401, 403
_BY_ADDRESS = "Open the sign-in address from your Twinset administrator. You need a new one when your session ends."
_BY_PROVIDER = "Use the account that you have at work."
_PRINTED = (
    "Twinset prints an address when it starts. <code>python -m backend sign-in</code> prints a new one, and "
    "<code>python -m backend sign-in --as NAME</code> one for another person."
)
_AGAIN_LATER = "Try again. If it fails again, ask your Twinset administrator."


def invitation(root: str, *, by_provider: bool, tries: bool = True) -> Response:
    """Return the page with the way in.

    Args:
        root: Path that the app is below.
        by_provider: Whether a provider signs in.
        tries: Whether the page looks once more whether its reader is signed in.
    """
    link = ("Sign in", f"{root}/sign-in") if by_provider else None
    more = "" if by_provider else _PRINTED
    message = _BY_PROVIDER if by_provider else _BY_ADDRESS
    return _page(_UNAUTHORISED, "Sign in to Twinset", message, link=link, more=more, tries=tries)


def address_refused(why: str) -> Response:
    """Return the page for an address that signs nobody in."""
    return _page(_FORBIDDEN, "This address does not work", why, more=_PRINTED)


def provider_failed(why: str, root: str) -> Response:
    """Return the page for a sign-in at a provider that did not succeed."""
    return _page(_FORBIDDEN, "Signing in failed", f"{why} {_AGAIN_LATER}", link=("Sign in again", f"{root}/sign-in"))


def without_role(name: str, root: str) -> Response:
    """Return the one page for somebody who may do nothing yet."""
    why = f"You are signed in as {name}, but have no access to Twinset yet. Ask your Twinset administrator."
    return _page(_FORBIDDEN, "Ask for access", why, link=("Sign out", f"{root}/auth/logout"))


def _page(
    status: int, title: str, message: str, *, link: tuple[str, str] | None = None, more: str = "", tries: bool = False
) -> Response:
    button = f'<a href="{html.escape(link[1])}">{html.escape(link[0])}</a>' if link else ""
    folded = f"<details><summary>For administrators</summary><p>{more}</p></details>" if more else ""
    script = f"<script>{_AGAIN}</script>" if tries else ""
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Twinset</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>'
        f'<body><main><img alt="" src="{_icon()}"><h1>{html.escape(title)}</h1><p>{html.escape(message)}</p>'
        f"{button}{folded}</main>{script}</body></html>"
    )
    return HTMLResponse(body, status_code=status, headers=_headers())


@cache
def _icon() -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode((ROOT / 'assets' / 'icon.svg').read_bytes()).decode()}"


@cache
def _headers() -> dict[str, str]:
    style, script = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (_STYLE, _AGAIN))
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{style}'; script-src 'sha256-{script}'"
    return {
        "Content-Security-Policy": f"{policy}; connect-src 'self'; base-uri 'none'; form-action 'none'",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
