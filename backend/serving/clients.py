"""Which client speaks with the endpoint that the settings name: ours, or that of any MLflow server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.serving.client import EndpointClient, token_for
from backend.serving.scoring_client import ScoringClient, is_scoring_url

if TYPE_CHECKING:
    from backend.settings import Settings


def local_client(settings: Settings) -> EndpointClient:
    """The client of the endpoint that the settings name, with the app's token."""
    return client_of(settings, timeout_s=settings.endpoint_timeout_s, retries=settings.endpoint_retries)


def client_of(settings: Settings, *, timeout_s: float, retries: int = 0) -> EndpointClient:
    """The same, with patience of one's own; an address that ends in ``/invocations`` is any MLflow server's."""
    url = settings.effective_endpoint_url
    kind = ScoringClient if is_scoring_url(url) else EndpointClient
    most = settings.max_upload_bytes
    return kind(url, token_for(settings), timeout_s=timeout_s, retries=retries, most_bytes=most)
