"""What the registered model is asked besides its pictures: the parameters of MLflow's ``predict`` and ``/invocations``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, get_args

from backend.errors import RetrievalError
from backend.imaging.region import Region
from backend.retrieval.wishes import RULES_OFF, check_rules, read_colour_weight

if TYPE_CHECKING:
    from collections.abc import Mapping

ImageFormat = Literal["", "png", "hex"]
OnError = Literal["", "row", "raise"]
Layout = Literal["rows", "lists"]
MAX_K = 200
DEFAULT_K = 10
_CHOICES: dict[str, tuple[str, ...]] = {
    "include_images": get_args(ImageFormat),
    "on_error": get_args(OnError),
    "layout": get_args(Layout),
}


@dataclass(frozen=True, slots=True)
class InvocationParams:
    """The parameters of one request.

    Attributes:
        k: Neighbours for each picture, 1 to ``MAX_K``.
        include_images: Whether the neighbours come with their pictures: no, as base64 PNG, or as hex of float32 pixels.
        on_error: What a picture that cannot be used does: ``raise`` fails the request; ``row`` gives that picture the
            reason, in the column ``error``, and answers the others; empty fails a request of one picture only.
        layout: ``rows`` gives one row for each neighbour; ``lists`` one row for each picture, with a list of neighbours,
            as ``mlflow.pyfunc.spark_udf`` needs it. There, a picture that cannot be used fails nothing unless asked to:
            how many rows Spark sends at a time is chance.
        region: The part of every picture that counts, as :meth:`backend.imaging.region.Region.read` reads it; empty means
            all of it.
        colour_weight: How much colour counts, as :func:`backend.retrieval.wishes.read_colour_weight` reads it; empty means as the model
            has it. A text, because a parameter of MLflow's that is a number cannot be left out.
        rules: Which rules the endpoint applies: empty or ``off`` for none, ``on`` for those published last, or a version. A
            model that is served by another server has none.
    """

    k: int = DEFAULT_K
    include_images: ImageFormat = ""
    on_error: OnError = ""
    layout: Layout = "rows"
    region: str = ""
    colour_weight: str = ""
    rules: str = ""

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> InvocationParams:
        """Check and read parameters by name.

        Raises:
            RetrievalError: One is unknown or has a value it cannot have; most often its code is ``bad_k`` or ``bad_params``.
            ImageRejected: The region is none; its code is ``bad_region``.
        """
        known = tuple(asdict(cls()))
        if raw.keys() - set(known):
            raise _bad("bad_params", "params contains an unknown parameter.", f"Use {', '.join(known)}.")
        for name, choices in _CHOICES.items():
            if name in raw and raw[name] not in choices:
                named = " or ".join(f'"{choice}"' for choice in choices)
                raise _bad("bad_params", f"{name} has an invalid value.", f"Use {named}.")
        Region.read(raw.get("region", ""))
        weight = raw.get("colour_weight", "")
        for name, text, example in (("colour_weight", weight, "0.3"), ("rules", raw.get("rules", ""), "on")):
            if not isinstance(text, str):
                raise _bad("bad_params", f"{name} must be a text.", f'For example "{example}".')
        read_colour_weight(weight)
        check_rules(raw.get("rules") or RULES_OFF)
        return cls(**{**raw, "k": read_k(raw.get("k", DEFAULT_K))})

    def fails(self, pictures: int) -> bool:
        """Tell whether one picture that cannot be used fails a request of so many."""
        return self.on_error == "raise" or (not self.on_error and self.layout == "rows" and pictures == 1)


def read_k(value: object) -> int:
    """Check a number of neighbours.

    Raises:
        RetrievalError: It is not a whole number in 1..MAX_K; its code is ``bad_k``.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not 1 <= int(value) <= MAX_K:
        raise _bad("bad_k", f"k must be a whole number between 1 and {MAX_K}.", "For example k=10.")
    return int(value)


def _bad(code: str, message: str, next_step: str) -> RetrievalError:
    error = RetrievalError(message, next_step=next_step)
    error.code = code
    return error
