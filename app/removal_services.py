"""What pages need to delete a model, an unfinished training or a sweep: what would go, and what still needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app import deploy_services, services
from backend.errors import EndpointError
from backend.removal_steps import removal

if TYPE_CHECKING:
    from backend.removal_steps import Removal
    from backend.requests import DeleteRequest


def look(request: DeleteRequest) -> Removal:
    """What a deletion would do now; nothing is changed.

    Raises:
        ConfigurationError: There is no such sweep.
        BundleError: There is no such model.
        RegistryError: What is registered, or a golden query, cannot be read.
    """
    try:
        serving = services.serving().model
    except EndpointError:
        serving = ""
    jobs = services.jobs().list(-1, active=True)
    return removal(request, services.settings(), deploy_services.ledger(), jobs, serving=serving)
