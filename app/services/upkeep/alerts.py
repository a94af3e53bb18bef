"""What the System page asks of alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.services import common
from backend.jobs.alerts import watch
from backend.jobs.alerts.posting import targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.jobs.alerts.posting import Target
    from backend.jobs.alerts.watch import Watched


def addresses() -> Sequence[Target]:
    """Return where alerts are sent to."""
    return targets(common.settings())


def watched() -> Watched:
    """Return what is open, and how sending goes.

    Raises:
        FileUnusable: The file that says so is damaged.
    """
    return watch.read(common.settings())


def try_out(kind: str) -> list[tuple[str, str]]:
    """Send a sample of a kind of alert to every address, and return each with why it did not arrive; empty if it did.

    Raises:
        AccessDenied: Whoever asks is no administrator.
    """
    return watch.try_out(common.settings(), kind)
