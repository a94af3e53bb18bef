"""What pages need to delete a model, an unfinished training or a sweep: what would go, and what still needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.services import common, deploy
from backend.errors import EndpointError
from backend.flow.remove import removal

if TYPE_CHECKING:
    from backend.flow.remove import Removal
    from backend.flow.requests import DeleteRequest


def look(request: DeleteRequest) -> Removal:
    """What a deletion would do now; nothing is changed.

    Raises:
        ConfigurationError: There is no such sweep.
        BundleError: There is no such model.
        RegistryError: What is registered, or a golden query, cannot be read.
    """
    try:
        serving = common.serving().model
    except EndpointError:
        serving = ""
    jobs = common.jobs().list(-1, active=True)
    return removal(request, common.settings(), deploy.ledger(), jobs, serving=serving)
