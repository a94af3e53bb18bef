"""The endpoint as the app and the command line see it: typed answers, typed errors, nothing heavy imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

import requests

from backend.catalogue.items import GALLERY_SPLITS
from backend.errors import EndpointDenied, EndpointRejected, ImageRejected
from backend.imaging.region import Region
from backend.serving.answers import Answer, AnswerNeighbour, InvokedRow, RulesUsed, decode_response_image
from backend.serving.further import Further, sendable, wishes_as_query
from backend.serving.tokens import ensure_app_token
from backend.serving.transport import CONNECT_TIMEOUT_S, Transport, is_loopback
from backend.serving.wire.refusals import failure_of
from backend.serving.wire.routes import (
    ANY_BYTES,
    FORMATS,
    HEALTH,
    INPUT,
    INVOCATIONS,
    RECOMMEND,
    RELOAD,
    VERSION,
)
from backend.serving.wire.shapes import decoded, encoded
from backend.settings import SecretStr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from backend.retrieval.invocation import ImageFormat, OnError
    from backend.retrieval.wishes import Wishes
    from backend.settings import Settings

__all__ = [
    "Answer",
    "AnswerNeighbour",
    "EndpointClient",
    "InvokedRow",
    "decode_response_image",
]

T = TypeVar("T")
Suggest = Literal["suggest"]
SUGGEST: Suggest = "suggest"
RELOAD_TIMEOUT_S = 180.0
UNAUTHORISED = 401


class EndpointClient:
    """Asks one endpoint; keeps its connection, and can be used from several threads.

    Args:
        url: Address of the endpoint, e.g. ``http://127.0.0.1:8601``.
        token: Its bearer token.
        timeout_s: Seconds to wait for an answer.
        retries: Times it is asked again when nobody is there, or all are busy.
        most_bytes: Largest body that the endpoint takes, where that is known: photos that are larger together are sent
            reduced.
    """

    _invocations = INVOCATIONS.path

    def __init__(
        self, url: str, token: SecretStr, *, timeout_s: float = 15.0, retries: int = 0, most_bytes: int = 0
    ) -> None:
        self.url = url.rstrip("/")
        self._timeout_s, self._most_bytes = timeout_s, most_bytes
        self._transport = Transport(self.url, token, timeout_s=timeout_s, retries=retries)

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
        """Ask for the k products that look like a picture, or like several together.

        Args:
            image: A PNG, JPEG, WEBP, HEIC, AVIF, GIF or TIFF file; empty where the wishes name a product to look like.
            k: Neighbours wanted.
            wishes: How the answer is to be: weights of the pictures, products to stay away from, variety.
            further: More pictures of the same question.
            region: The part of the picture that counts; ``suggest`` has the endpoint guess one, and answer about all of it.
            filters: Which products may be answered, by name, see ``backend.retrieval.filters``: a text or several, a
                number, a flag.
            include_images: Whether the neighbours come with their pictures.

        Raises:
            EndpointUnreachable, EndpointDenied, EndpointRejected: See ``backend.errors``.
        """
        query = {"k": k, "include_images": include_images, **(filters or {}), **wishes_as_query(wishes)}
        query |= {"suggest_region": True} if region == SUGGEST else {"region": region} if region else {}
        image, further = sendable(image, further, most_bytes=self._most_bytes)
        if further is None:
            body: dict[str, Any] = {"data": image, "headers": {"Content-Type": ANY_BYTES}}
        else:
            body = {"files": further.as_form(image)}
        return understood(_answer, self._ask(RECOMMEND.method, RECOMMEND.path, params=_query(query), **body))

    def invoke(
        self, images: Sequence[bytes], *, k: int, include_images: ImageFormat = "", on_error: OnError = ""
    ) -> list[InvokedRow]:
        """Ask with any number of pictures in MLflow's protocol; k rows a picture, in the order of the pictures.

        Args:
            images: Picture files.
            k: Neighbours wanted for each.
            include_images: Whether the neighbours come with their pictures, and in which format.
            on_error: What a picture that cannot be used does: ``row`` gives it one row with the ``error``, ``raise``
                fails the request; empty leaves it to the server: a lone picture fails, one of several gets a row.

        Raises:
            EndpointUnreachable, EndpointDenied, EndpointRejected: See ``backend.errors``.
        """
        params = {"k": k, "include_images": include_images} | ({"on_error": on_error} if on_error else {})
        rows = [[encoded(image)] for image in images]
        payload = {FORMATS[0]: {"columns": [INPUT], "data": rows}, "params": params}
        raw = self._ask(INVOCATIONS.method, self._invocations, json=payload)
        return understood(lambda body: [InvokedRow(**row) for row in body["predictions"]], raw)

    def health(self) -> dict[str, Any]:
        """Return what the endpoint says of its state; EndpointRejected ``no_model`` while it has nothing to serve."""
        return self._ask(HEALTH.method, HEALTH.path)

    def version(self) -> dict[str, Any]:
        """Return which model, catalogue and libraries the endpoint serves with."""
        return self._ask(VERSION.method, VERSION.path)

    def reload(self) -> dict[str, Any]:
        """Have the endpoint take up what the alias is at now, and return its version; the old one serves on failure.

        Raises:
            EndpointUnreachable, EndpointDenied, EndpointRejected: See ``backend.errors``.
        """
        timeout = (CONNECT_TIMEOUT_S, max(self._timeout_s, RELOAD_TIMEOUT_S))
        return self._ask(RELOAD.method, RELOAD.path, again=False, timeout=timeout)

    def close(self) -> None:
        """Let go of the connection."""
        self._transport.close()

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        response = self._transport.ask(method, path, **options)
        body = json_of(response)
        if response.status_code == UNAUTHORISED:
            raise EndpointDenied(
                "The endpoint does not accept the token.",
                next_step="Set TWINSET_ENDPOINT_TOKEN to a token of this endpoint, or leave it empty for the local one.",
            )
        if not response.ok or body is None:
            raise _rejection(response, body)
        return body


def token_for(settings: Settings) -> SecretStr:
    """The token for the endpoint of the settings; the one made here is not sent to other machines."""
    if settings.endpoint_token or not settings.endpoint_url or is_loopback(settings.endpoint_url):
        return ensure_app_token(settings)
    return SecretStr("")


def _query(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Write values as query parameters; a list becomes the parameter several times."""
    pairs = []
    for name, value in values.items():
        many = value if isinstance(value, list | tuple) else [value]
        pairs += [(name, str(one).lower() if isinstance(one, bool) else str(one)) for one in many]
    return pairs


def json_of(response: requests.Response) -> dict[str, Any] | None:
    """Return the JSON object of an answer; None where it is none."""
    try:
        body = response.json()
    except requests.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _rejection(response: requests.Response, body: dict[str, Any] | None) -> EndpointRejected:
    told = failure_of(body)
    if told is None:
        return EndpointRejected(
            f"The server at this address (status {response.status_code}) is not a Twinset endpoint.",
            code="not_an_endpoint",
            status=response.status_code,
            next_step="Check TWINSET_ENDPOINT_URL.",
        )
    code, message, next_step = told
    return EndpointRejected(message, code=code, status=response.status_code, next_step=next_step)


def understood(read: Callable[[dict[str, Any]], T], body: dict[str, Any]) -> T:
    """Read an answer; one that does not fit is an error of its own."""
    try:
        return read(body)
    except (KeyError, TypeError, ValueError, ImageRejected) as error:
        raise EndpointRejected(
            "The endpoint's answer has an unknown form.",
            code="bad_answer",
            status=502,
            next_step="Restart the endpoint so that both have the same version.",
        ) from error


def _answer(body: dict[str, Any]) -> Answer:
    return Answer(
        neighbours=tuple(
            AnswerNeighbour(
                **{
                    **row,
                    "image": decoded(row["image"]),
                    **{name: tuple(row.get(name, ())) for name in ("hidden", "rules")},
                }
            )
            for row in body["neighbours"]
        ),
        seen=decoded(body["seen"]),
        notes=tuple(body["notes"]),
        model_name=body["model"]["name"],
        model_version=body["model"]["version"],
        model=body["model"]["bundle"],
        catalogue=body["catalogue"]["name"],
        catalogue_version=body["catalogue"]["version"],
        gallery_size=body["gallery_size"],
        timings_ms=body["timings_ms"],
        match=body.get("match"),
        seen_others=tuple(decoded(png) for png in body.get("seen_others", ())),
        splits=tuple(body.get("splits", GALLERY_SPLITS)),
        suggested_region=Region.of(body["suggested_region"]) if body.get("suggested_region") else None,
        rules=_rules(body["rules"]) if body.get("rules") else None,
    )


def _rules(raw: dict[str, Any]) -> RulesUsed:
    """Read the rules of an answer; an endpoint of an earlier version does not name those that moved nothing."""
    return RulesUsed(**{**raw, **({"touching": tuple(raw["touching"])} if "touching" in raw else {})})
