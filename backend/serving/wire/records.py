"""What the endpoint answers with: every record, its fields, and what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from backend.catalogue.fields import PRODUCT_FIELDS
from backend.retrieval.closeness import Closeness
from backend.serving.wire.shapes import FLAG, NUMBER, PNG, TEXT, WHOLE, Field, Record, by_name, listed, named, optional

if TYPE_CHECKING:
    from backend.catalogue.fields import Kind
    from backend.serving.wire.shapes import Schema

# Types of the fields of a product.
_KINDS: dict[Kind, Schema] = {"string": TEXT, "double": NUMBER, "int": WHOLE}
_SEARCHED = (
    Field("catalogue", named("Catalogue"), "What was searched."),
    Field("splits", listed(TEXT), "Its splits that are searched."),
    Field("gallery_size", WHOLE, "Products in the gallery."),
)
_RULES = (
    Field("version", {**WHOLE, "minimum": 0}, "Of the set of rules; 0 where none was ever published."),
    Field("digest", TEXT, "SHA-256 of the rules."),
)
NEIGHBOUR = Record(
    "Neighbour",
    "One similar product.",
    (
        Field("rank", {**WHOLE, "minimum": 1}, "Place in the answer."),
        Field("product_id", TEXT, "Its id."),
        Field("label", TEXT, "Its kind; empty where it has none."),
        Field("distance", NUMBER, "Cosine distance, 1 - similarity."),
        Field("similarity", NUMBER, "Cosine similarity."),
        Field(
            "closeness",
            {**optional(TEXT), "enum": [*get_args(Closeness), None]},
            "How close it is, in words; null in a gallery too small to tell.",
        ),
        Field("probability", optional(NUMBER), "How likely it is of the same kind; null while not calibrated."),
        Field("is_match", optional(FLAG), "Whether it is close or very close; null where `closeness` is."),
        Field("hidden", listed(TEXT), "Ids of products that are the same and are not shown."),
        Field("rank_before", optional(WHOLE), "Its rank without rules; null where it was not among the candidates."),
        Field("rules", listed(TEXT), "Ids of the rules that moved it."),
        Field("picture", {**WHOLE, "minimum": 0}, "Which of its pictures is the most similar: 0 for the first."),
        Field("picture_sha256", optional(TEXT), "SHA-256 of that picture where it is not the first; else null."),
        Field("pictures", {**WHOLE, "minimum": 1}, "How many of its pictures are searched, up to the last one."),
        *(Field(one.name, optional(_KINDS[one.kind]), f"{one.meaning} Null where unknown.") for one in PRODUCT_FIELDS),
        Field(
            "image", {**optional(TEXT), "contentEncoding": "base64"}, "That picture, PNG or WEBP; null without images."
        ),
    ),
)
_INVOKED = (
    Field("rank", {**WHOLE, "minimum": 0}, "Place in the answer; 0 for a picture that cannot be used."),
    Field("product_id", TEXT, "Its id."),
    Field("label", TEXT, "Its kind."),
    Field("distance", optional(NUMBER), "Cosine distance."),
    Field("similarity", optional(NUMBER), "Cosine similarity."),
    Field("image", TEXT, "Its picture, in the requested form.", is_required=False),
    Field("error", TEXT, "Why the picture cannot be used.", is_required=False),
)

RECORDS = (
    Record(
        "Model",
        "A registered model version.",
        (
            Field("name", TEXT, "Registered model."),
            Field("version", WHOLE, "Its version."),
            Field("alias", TEXT, "The alias that it was loaded by."),
            Field("bundle", TEXT, "Name of its bundle."),
        ),
    ),
    Record(
        "Catalogue",
        "A catalogue at one version.",
        (Field("name", TEXT, "Its name."), Field("version", WHOLE, "Version of its table of products.")),
    ),
    Record(
        "Health",
        "Whether a model is loaded.",
        (
            Field("status", {**TEXT, "const": "ok"}, "Always `ok`; without a model the answer is `no_model`."),
            Field("model", named("Model"), "What is served."),
            Field("uptime_s", NUMBER, "Seconds since the start."),
            Field("answers", named("Answers"), "Statistics of the answers."),
        ),
    ),
    Record(
        "Answers",
        "Counts and times of the routes that take pictures.",
        (
            Field("requests", WHOLE, "Requests since the start."),
            Field("errors", WHOLE, "Those that were refused or failed."),
            Field("recent", WHOLE, "Number of recent successful answers that the latencies are based on."),
            Field("p50_ms", optional(NUMBER), "Median latency, milliseconds; null before the first answer."),
            Field("p95_ms", optional(NUMBER), "95th percentile of the latency, milliseconds."),
        ),
    ),
    Record(
        "Version",
        "What is served: model, catalogue, libraries.",
        (
            Field("model", named("Model"), "What is served."),
            *_SEARCHED,
            Field(
                "colour_weight", optional(NUMBER), "How much colour counts, 0 to 1; null where it cannot be weighed."
            ),
            Field("rules", named("RulesInForce"), "The rules on answers."),
            Field("libraries", by_name(TEXT), "Versions of the main libraries, by name."),
        ),
    ),
    Record(
        "RulesUsed",
        "The rules that an answer was made by.",
        (
            *_RULES,
            Field("at", TEXT, "The time for which they were in force."),
            Field(
                "touching",
                listed(TEXT),
                "Ids of those that apply to this query and not to all, whether or not they moved anything.",
            ),
        ),
    ),
    Record(
        "RulesInForce",
        "The rules that answers are made by now.",
        (
            *_RULES,
            Field("problem", TEXT, "Why newer ones cannot be read; empty where they can."),
            Field(
                "unknown_products",
                listed(TEXT),
                "Ids of products in them that are not in the gallery, and hashes of pictures that cannot be read.",
            ),
        ),
    ),
    Record("Reloaded", "What was loaded.", (Field("model", named("Model"), "What is served from now on."), *_SEARCHED)),
    NEIGHBOUR,
    Record(
        "Answer",
        "The answer to one query.",
        (
            Field("neighbours", listed(named(NEIGHBOUR.name)), "Most similar first, unless diversity was requested."),
            Field("seen", PNG, "The picture as the network saw it; the first of several."),
            Field("seen_others", listed(PNG), "The further pictures, as the network saw them."),
            Field(
                "suggested_region",
                optional(listed(NUMBER, minItems=4, maxItems=4)),
                "Left, top, right, bottom of the part that shows the product, as fractions; null where none was requested "
                "or found.",
            ),
            Field("notes", listed(TEXT), "Sentences for the user about the picture or the filters."),
            Field("match", optional(FLAG), "Whether any product is a match; null if unknown."),
            Field("model", named("Model"), "The model that answered."),
            *_SEARCHED,
            Field(
                "rules",
                {"anyOf": [named("RulesUsed"), {"type": "null"}]},
                "The rules that it was made by; null where they were off.",
            ),
            Field("timings_ms", by_name(NUMBER), "decode, embed, search, and total, in milliseconds."),
        ),
    ),
    Record(
        "Invoked",
        "MLflow's answer.",
        (Field("predictions", listed({"anyOf": [named("InvokedRow"), named("InvokedList")]}), "By `layout`."),),
    ),
    Record("InvokedRow", "One product for one picture.", (Field("query_row", WHOLE, "Row of the picture."), *_INVOKED)),
    Record(
        "InvokedList",
        "All products for one picture.",
        (
            Field("neighbours", listed(named("InvokedProduct")), "Most similar first."),
            Field("error", TEXT, "Why the picture cannot be used; empty where it can."),
        ),
    ),
    Record("InvokedProduct", "One product of a list.", _INVOKED),
    Record("Failure", "Every refusal.", (Field("error", named("Error"), "What happened."),)),
    Record(
        "Error",
        "What happened, and what to do.",
        (
            Field("code", TEXT, "Stable and machine-readable."),
            Field("message", TEXT, "What happened, in a sentence."),
            Field("next_step", TEXT, "What to do about it; may be empty."),
            Field("request_id", TEXT, "Id of the request in the logs, also in the header X-Request-Id."),
        ),
    ),
)
