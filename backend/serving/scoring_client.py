"""Any MLflow scoring URL as an endpoint: a stock ``mlflow models serve``, Databricks Model Serving, or another Twinset.

Such a server answers pictures and says nothing about itself; what it does not say stays empty. It cannot filter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from backend.errors import EndpointDenied, EndpointRejected
from backend.imaging.region import Region
from backend.retrieval.wishes import RULES_OFF, Wishes
from backend.serving.answers import Answer, AnswerNeighbour, InvokedRow
from backend.serving.client import UNAUTHORISED, EndpointClient, Suggest, json_of
from backend.serving.wire.routes import INVOCATIONS
from backend.serving.wire.shapes import decoded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backend.serving.further import Further

_FORBIDDEN = 403
_LONGEST = 300


def is_scoring_url(url: str) -> bool:
    """Whether an address is that of an MLflow scoring server, e.g. ``https://host/serving-endpoints/shop/invocations``."""
    return urlsplit(url).path.rstrip("/").endswith(INVOCATIONS.path)


class ScoringClient(EndpointClient):
    """Asks one scoring URL; see :class:`EndpointClient` for its arguments."""

    _invocations = ""  # the address is that of the protocol already

    def recommend(
        self,
        image: bytes,
        *,
        k: int,
        filters: Mapping[str, Any] | None = None,
        include_images: bool = True,
        wishes: Wishes | None = None,
        further: Further | None = None,
        region: Region | Suggest | None = None,
    ) -> Answer:
        """Ask for the k products that look like a picture; whatever else is asked for is refused.

        Raises:
            EndpointUnreachable, EndpointDenied, EndpointRejected: See ``backend.errors``.
        """
        is_plain = wishes in (None, Wishes(), Wishes(rules=RULES_OFF))
        if filters or not is_plain or further is not None or isinstance(region, Region):
            raise EndpointRejected(
                "The connected search service supports neither filters nor Refine nor rules, and takes only whole photos.",
                code="no_filters",
                status=422,
                next_step="Remove the filters, clear Refine and use the whole photo, or set TWINSET_ENDPOINT_URL to "
                "a Twinset endpoint, not a plain MLflow server.",
            )
        rows = self.invoke([image], k=k, include_images="png" if include_images else "")
        return Answer(
            neighbours=tuple(map(_neighbour, rows)),
            seen=b"",
            notes=(),
            model_name=self._name,
            model_version=0,
            model="",
            catalogue="",
            catalogue_version=0,
            gallery_size=0,
            timings_ms={},
        )

    def health(self) -> dict[str, Any]:
        """Say that nothing is known; such a server is asked by asking it."""
        return {"status": "unknown", **self.version()}

    def version(self) -> dict[str, Any]:
        """Return what the address gives away."""
        return {
            "model": {"name": self._name, "version": 0, "alias": "", "bundle": ""},
            "catalogue": {"name": "", "version": 0},
            "splits": [],
            "gallery_size": 0,
            "libraries": {},
        }

    def reload(self) -> dict[str, Any]:
        """Refuse: what such a server serves is decided where it runs.

        Raises:
            EndpointRejected: Always.
        """
        raise EndpointRejected(
            "This endpoint chooses its models itself.",
            code="not_ours",
            status=501,
            next_step="Change its model on the machine where it runs.",
        )

    @property
    def _name(self) -> str:
        """The name before ``/invocations``, as in Databricks' addresses; otherwise the host."""
        parts = urlsplit(self.url)
        steps = [step for step in parts.path.split("/") if step][:-1]
        return steps[-1] if steps else parts.netloc

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        response = self._transport.ask(method, path, **options)
        body = json_of(response)
        if response.status_code in {UNAUTHORISED, _FORBIDDEN}:
            raise EndpointDenied(
                "The scoring server does not accept the token.",
                next_step="Set TWINSET_ENDPOINT_TOKEN to a token that it accepts.",
            )
        if not response.ok or body is None:
            told = body.get("error", body) if body else {}
            message = str(told.get("message", "")) if isinstance(told, dict) else ""
            reason = message.strip().splitlines()[0][:_LONGEST] if message.strip() else "it gave no reason"
            code = told.get("code") or told.get("error_code") if isinstance(told, dict) else None
            raise EndpointRejected(
                f"The scoring server answered with status {response.status_code}: {reason}",
                code=str(code or "not_an_endpoint").lower(),
                status=response.status_code,
                next_step="Check the picture, and TWINSET_ENDPOINT_URL.",
            )
        return body


def _neighbour(row: InvokedRow) -> AnswerNeighbour:
    if row.distance is None or row.similarity is None:
        raise EndpointRejected(row.error or "The server's answer has no product id.", code="image_rejected", status=422)
    return AnswerNeighbour(
        rank=row.rank,
        product_id=row.product_id,
        label=row.label,
        distance=row.distance,
        similarity=row.similarity,
        image=decoded(row.image),
    )
