"""Every way in which the endpoint refuses: code, status, and the routes that can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Group = Literal["all", "closed", "model", "body", "picture", "json", "question", "reload"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One typed error; an empty code is that of whatever error the endpoint met."""

    code: str
    status: int
    meaning: str
    group: Group


REFUSALS = (
    Refusal("unknown_host", 421, "The request names a host that is not served here.", "all"),
    Refusal(
        "internal_error", 500, "Unexpected error; the endpoint's log has the details under the number given.", "all"
    ),
    Refusal("endpoint_denied", 401, "The token is missing or wrong.", "closed"),
    Refusal("out_of_scope", 403, "The token's scope does not cover this path.", "closed"),
    Refusal("too_fast", 429, "Rate limit exceeded; see Retry-After.", "closed"),
    Refusal("ending", 503, "The endpoint is shutting down.", "closed"),
    Refusal("out_of_memory", 503, "Not enough memory to answer.", "closed"),
    Refusal("timeout", 504, "The answer took too long.", "closed"),
    Refusal("no_model", 503, "No model is loaded; the message says why.", "model"),
    Refusal("no_rules", 503, "The rules cannot be read; the message says why.", "model"),
    Refusal("disconnected", 400, "The connection ended before the body had arrived.", "body"),
    Refusal("slow_request", 408, "The body did not arrive in time.", "body"),
    Refusal("too_large", 413, "The body is larger than allowed.", "body"),
    Refusal("busy", 503, "Too many requests are waiting.", "body"),
    Refusal("retrieval_error", 422, "A filter, a product id or a query option is invalid.", "body"),
    Refusal("bad_k", 422, "k is not a whole number within its limits.", "body"),
    Refusal("bad_region", 422, "region is not four fractions in order.", "body"),
    Refusal("empty", 422, "The picture has no bytes.", "picture"),
    Refusal("damaged", 422, "The picture cannot be read completely.", "picture"),
    Refusal("too_small", 422, "The picture, or the region of it, has too few pixels.", "picture"),
    Refusal("too_narrow", 422, "The picture is too long and narrow.", "picture"),
    Refusal("too_many_pixels", 413, "The picture has more pixels than allowed.", "picture"),
    Refusal("too_costly", 413, "Reading the picture takes too much time or memory.", "picture"),
    Refusal("out_of_memory", 413, "Not enough memory to read the picture.", "picture"),
    Refusal("not_an_image", 415, "The bytes are not a picture in a supported format.", "picture"),
    Refusal("unsupported_format", 415, "The format's decoder is missing on this server.", "picture"),
    Refusal("bad_content_type", 415, "The body is not declared as JSON.", "json"),
    Refusal("bad_json", 400, "The body is not a JSON object.", "json"),
    Refusal("not_base64", 400, "A picture is not base64.", "json"),
    Refusal("bad_format", 422, "The body is not in exactly one of the four formats.", "json"),
    Refusal("bad_columns", 422, "A row is not one text in the column `input`.", "json"),
    Refusal("bad_params", 422, "params contains an unknown name or an invalid value.", "json"),
    Refusal("no_rows", 422, "The body contains no picture.", "json"),
    Refusal("too_many_rows", 413, "The body contains more pictures than allowed.", "json"),
    Refusal("answer_too_large", 413, "The answer would be larger than allowed.", "json"),
    Refusal("bad_form", 400, "The form cannot be read.", "question"),
    Refusal("bad_form", 422, "The form contains no picture, or too many.", "question"),
    Refusal("bad_parameter", 422, "A parameter is given twice or has an invalid value.", "question"),
    Refusal("no_such_rules", 404, "There are no rules of that version.", "body"),
    Refusal("bad_rule", 422, "A rule of that version or draft cannot be used.", "body"),
    Refusal("no_such_collection", 404, "There is no collection of that name or version.", "question"),
    Refusal("unknown_parameter", 422, "There is no parameter of that name.", "question"),
    Refusal("", 409, "The version could not be loaded, and the previous one is still served.", "reload"),
)


def failure(code: str, message: str, next_step: str, request_id: str) -> dict[str, dict[str, str]]:
    """Return the body of a refusal."""
    return {"error": {"code": code, "message": message, "next_step": next_step, "request_id": request_id}}


def failure_of(body: Mapping[str, Any] | None) -> tuple[str, str, str] | None:
    """Return code, message and next step of a refusal's body; None where it is none of ours."""
    error = (body or {}).get("error")
    if not isinstance(error, dict) or not {"code", "message"} <= error.keys():
        return None
    return str(error["code"]), str(error["message"]), str(error.get("next_step", ""))
