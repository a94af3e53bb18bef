"""The routes, and what each can be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from backend.retrieval.filters import COLLECTION, FLAG_FILTERS, NUMBER_FILTERS, TEXT_FILTERS
from backend.retrieval.invocation import DEFAULT_K, MAX_K, ImageFormat, Layout, OnError
from backend.retrieval.wishes import COLLAPSES, MAX_PRODUCTS, MAX_WEIGHT, RULES_ON, SORTS
from backend.serving.wire.shapes import FLAG, NUMBER, TEXT, WHOLE, Field

if TYPE_CHECKING:
    from backend.serving.tokens import Scope
    from backend.serving.wire.refusals import Group
    from backend.serving.wire.shapes import Schema

JSON, ANY_BYTES, FORM, TEXT_PLAIN = "application/json", "application/octet-stream", "multipart/form-data", "text/plain"
MAX_PICTURES = 8  # in one question
LIKE, UNLIKE = "image", "unlike"  # names of a form's files: what is asked about (any other name, too), what to avoid
INPUT = "input"  # the one column of MLflow's protocol here
FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")  # of which a request holds one


@dataclass(frozen=True, slots=True)
class Route:
    """One path with its one method.

    Attributes:
        scope: What a token needs to be good for; None for the one route that takes none.
        answer: Name of the record that it answers with; empty where that is no JSON record.
        media_type: Of the answer.
        refuses: Groups of ``REFUSALS`` that it can answer with.
        is_unhurried: Takes as long as it takes; no limit is set to its answer.
    """

    path: str
    method: Literal["GET", "POST"]
    scope: Scope | None
    title: str
    answer: str = ""
    media_type: str = JSON
    refuses: tuple[Group, ...] = ("all", "closed")
    is_unhurried: bool = False

    @property
    def has_body(self) -> bool:
        """Whether a body is read; of all other routes none ever is."""
        return "body" in self.refuses


def _choice(choices: Any) -> Schema:
    values = get_args(choices)
    return {**TEXT, "enum": list(values), "default": values[0]}


_SERVED: tuple[Group, ...] = ("all", "closed", "model")
_NAMED = f"At most {MAX_PRODUCTS} products can be named in one query."
_REGION = "left,top,right,bottom as fractions of its width and height once upright, such as 0.1,0.2,0.9,0.8."
_COLOUR_WEIGHT = "How much colour counts: from 0, shape only, to 1, colour only; left out: as the model has it."
_RULES = (
    "Which rules: `on`, those published last; `off`, none; a number, those of that version; `draft:NAME`, that draft."
)
_ENDS = {"min": "this or more", "max": "this or less"}
PING = Route("/ping", "GET", None, "Whether the process is running.", media_type=TEXT_PLAIN, refuses=("all",))
HEALTH = Route("/health", "GET", "watch", "Whether a model is loaded.", "Health", refuses=_SERVED)
VERSION = Route(
    "/version", "GET", "watch", "Which model, catalogue and libraries are in use.", "Version", refuses=_SERVED
)
METRICS = Route("/metrics", "GET", "watch", "Counts, in the text format of Prometheus.", media_type=TEXT_PLAIN)
DOCUMENT = Route("/openapi.json", "GET", "watch", "This document.")
INVOCATIONS = Route(
    "/invocations",
    "POST",
    "ask",
    "Any number of pictures, in MLflow's scoring protocol.",
    "Invoked",
    refuses=(*_SERVED, "body", "picture", "json"),
)
RECOMMEND = Route(
    "/v1/recommend",
    "POST",
    "ask",
    "The products most similar to one picture, to several together, or to a product that `like` names.",
    "Answer",
    refuses=(*_SERVED, "body", "picture", "question"),
)
RELOAD = Route(
    "/v1/reload",
    "POST",
    "all",
    "Load the model version that the alias points to now.",
    "Reloaded",
    refuses=("all", "closed", "reload"),
    is_unhurried=True,
)
ROUTES = (PING, HEALTH, VERSION, METRICS, DOCUMENT, INVOCATIONS, RECOMMEND, RELOAD)
# What a token must be good for, by path; a path that is neither here nor in ``OPEN`` is closed to all.
NEEDS: dict[str, Scope] = {route.path: route.scope for route in ROUTES if route.scope}
OPEN = frozenset(route.path for route in ROUTES if route.scope is None)

QUESTION = (
    Field("k", {**WHOLE, "minimum": 1, "maximum": MAX_K, "default": DEFAULT_K}, "Number of products to return."),
    Field("include_images", {**FLAG, "default": True}, "Whether to include the products' pictures."),
    Field("region", TEXT, f"Part of the first picture to use. {_REGION}"),
    Field(
        "suggest_region", {**FLAG, "default": False}, "Whether to guess which part of the picture shows the product."
    ),
    *(Field(name, TEXT, f"Only products with this {name}, or any of several.", several=True) for name in TEXT_FILTERS),
    Field(
        COLLECTION,
        TEXT,
        "Only products of this collection, by `ID` or `ID@VERSION`, or of any of several.",
        several=True,
    ),
    *(
        Field(f"{column}_{end}", NUMBER, f"Only products whose {column} is {_ENDS[end]}.")
        for column, _, end in (name.rpartition("_") for name in NUMBER_FILTERS)
    ),
    *(
        Field(name, FLAG, f"Only products {name.replace('_', ' ')}; false: only those not known to be.")
        for name in FLAG_FILTERS
    ),
    Field(
        "weight",
        {**NUMBER, "exclusiveMinimum": 0, "maximum": MAX_WEIGHT},
        "Weight of each picture, in their order; default: equal.",
        several=True,
    ),
    Field("like", TEXT, f"Product that counts as a further picture. {_NAMED}", several=True),
    Field("unlike", TEXT, f"Product to move away from, and to leave out. {_NAMED}", several=True),
    Field(
        "diversity",
        {**NUMBER, "minimum": 0, "maximum": 1, "default": 0},
        "From 0, the most similar products, to 1, the most varied among the similar ones.",
    ),
    Field(
        "collapse",
        {**TEXT, "enum": list(COLLAPSES), "default": COLLAPSES[0]},
        "What is shown once: products of one group (`groups`), `duplicates` that look the same, or `variants`: both, and what differs "
        "only in colour or size. `auto` means groups where the catalogue has any.",
    ),
    Field("colour_weight", {**NUMBER, "minimum": 0, "maximum": 1}, _COLOUR_WEIGHT),
    Field(
        "sort", {**TEXT, "enum": list(SORTS), "default": SORTS[0]}, "Order of the products; by price no rule moves any."
    ),
    Field(
        "match_only",
        {**FLAG, "default": False},
        "Whether products that are no match are left out, unless a rule adds them.",
    ),
    Field("rules", {**TEXT, "default": RULES_ON}, _RULES),
    Field("rules_at", TEXT, "Rules in force at this time instead of now, such as 2026-12-24T10:00Z."),
)
SEVERAL = frozenset(field.name for field in QUESTION if field.several)
PARAMS = (
    Field("k", {**WHOLE, "minimum": 1, "maximum": MAX_K, "default": DEFAULT_K}, "Products for each picture."),
    Field("include_images", _choice(ImageFormat), "Pictures of the products: none, base64 PNG, hex of float32 pixels."),
    Field("on_error", _choice(OnError), "An unusable picture gets a row with its error, or fails the request."),
    Field("layout", _choice(Layout), "One row for each product, or one for each picture with a list of products."),
    Field("region", {**TEXT, "default": ""}, f"Part of every picture to use. {_REGION}"),
    Field("colour_weight", {**TEXT, "default": ""}, f"{_COLOUR_WEIGHT} A number written as text."),
    Field(
        "rules", {**TEXT, "default": ""}, "Which rules: empty or `off`, none; `on`, those published last; or a version."
    ),
)
