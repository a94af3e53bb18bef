"""Products that are on a page, as a file that leaves Twinset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.access.person import Role
from backend.access.use_case import use_case, words

if TYPE_CHECKING:
    from collections.abc import Callable


@use_case("products.download", Role.MERCHANDISER, about=lambda _, **about: words(**about))
def handed_out(make: Callable[[], str], **about: object) -> str:  # noqa: ARG001 - for the audit
    """Return the content of a file of products.

    Args:
        make: Returns it.
        about: Which products they are, for the audit.
    """
    return make()
