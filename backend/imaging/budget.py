"""What one picture may cost, and the one way of every picture to a decoder: :func:`budgeted`.

First its bytes are looked at, and what costs too much by its header is refused. What is small and simple is read where
it is asked for; whatever might outlast its limit, or bring a decoder down, in a process that can be killed.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from dataclasses import asdict, dataclass
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from backend.files.limited import Limits
from backend.imaging import apart, refusals
from backend.imaging.codecs import kind_of
from backend.imaging.outline import MOST_PARTS, Outline, outline

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PIXELS = 16_000_000
Call = TypeVar("Call", bound="Callable[..., Any]")
# How many times the usual pixels a format may have: memory follows the result where it can be decoded at a smaller size;
# a HEIC is held whole, and photos of phones have 24 megapixels: 190 MB, and a second of CPU.
_TIMES = {"JPEG": 4, "WEBP": 4, "HEIC": 2}
_SIMPLE = {"PNG", "JPEG", "WEBP"}
_SIMPLE_BYTES = 2_000_000
_SIMPLE_PARTS = 1_000
_BYTES = 4  # of a pixel in memory
_SIMPLE_BLOCK_SCANS = 2_000_000  # 0.1 s
_CALLS: dict[str, Callable[[bytes, Any, Any], bytes]] = {}  # what is budgeted, by its place


@dataclass(frozen=True, slots=True)
class Budget:
    """What one picture may cost.

    Attributes:
        pixels: Most that are decoded at their own size, width x height.
    """

    pixels: int = MAX_PIXELS

    @property
    def share(self) -> float:
        """How many times the usual is allowed; it is more where the user raised the number of pixels."""
        return max(1.0, self.pixels / MAX_PIXELS)

    @property
    def held(self) -> int:
        """Most bytes that a decoder may have to hold, whatever size the result has: 64 MB."""
        return int(self.share * (64 << 20))

    @property
    def block_scans(self) -> int:
        """Most blocks of a JPEG, summed over its scans; a usual progressive photo of 16 megapixels has 2 million."""
        return int(self.share * 12_000_000)

    @property
    def limits(self) -> Limits:
        """What a process that reads one picture may take; Pillow sets canvases of a WEBP aside that nothing touches."""
        return Limits(memory_bytes=int(self.share * 1_600_000_000), cpu_s=2.5 * self.share, wall_s=20 * self.share)

    def most_pixels(self, kind: str) -> int:
        """Most pixels of a picture of this format."""
        return _TIMES.get(kind, 1) * self.pixels

    def check(self, size: tuple[int, int], kind: str, held: int = 0) -> None:
        """Refuse a picture, (W, H), for its shape, or because of what its decoder would hold beside it, in bytes.

        Raises:
            ImageRejected: It is too large, too small, or too long and narrow; or it would take too much memory.
        """
        refusals.check_size(size, self.most_pixels(kind))
        if held and held + _BYTES * size[0] * size[1] > self.held:
            raise refusals.too_costly()

    def check_outline(self, found: Outline, kind: str) -> None:
        """Refuse a picture that would cost too much by what its bytes say.

        Raises:
            ImageRejected: It would.
        """
        if found.size:
            self.check(found.size, kind)
        if found.parts > MOST_PARTS or found.held > self.held or found.block_scans > self.block_scans:
            raise refusals.too_costly()


def is_large(size: tuple[int, int]) -> bool:
    """Tell whether a picture, (W, H), is brought down while it is read."""
    return size[0] * size[1] > refusals.LARGE_PIXELS


def within(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Return a size, (W, H), brought down to a longer side of ``longest``; a smaller one stays as it is."""
    scale = min(1.0, longest / max(size))
    return max(1, round(scale * size[0])), max(1, round(scale * size[1]))


def not_large(size: tuple[int, int]) -> tuple[int, int] | None:
    """Return the size that a large picture, (W, H), is brought down to where nobody needs less; None for a small one."""
    scale = math.sqrt(refusals.LARGE_PIXELS / (size[0] * size[1])) if is_large(size) else 1.0
    return (max(1, int(size[0] * scale)), max(1, int(size[1] * scale))) if is_large(size) else None


def enough_for(longest: float, max_pixels: int) -> Callable[[tuple[int, int]], tuple[int, int] | None]:
    """Say at which size a picture is to be decoded where a longer side of ``longest`` is needed; None: at its own.

    Small pictures stay as they are; one beyond ``max_pixels`` is never decoded whole, whatever is needed.
    """

    def enough(size: tuple[int, int]) -> tuple[int, int] | None:
        most = max(size) // 2 if size[0] * size[1] > max_pixels else max(size)
        return within(size, min(math.ceil(longest), most)) if is_large(size) else None

    return enough


def is_simple(data: bytes, kind: str, found: Outline) -> bool:
    """Tell whether a picture is certainly read in a few tenths of a second and 64 MB, as nearly all are."""
    return (
        kind in _SIMPLE
        and len(data) <= _SIMPLE_BYTES
        and found.size is not None
        and not is_large(found.size)
        and found.parts <= _SIMPLE_PARTS
        and found.block_scans <= _SIMPLE_BLOCK_SCANS
    )


def budgeted(pack: Callable[[Any], bytes], unpack: Callable[[bytes], Any]) -> Callable[[Call], Call]:
    """Have what reads a picture keep to its budget, and read apart what must be.

    What is decorated is a function of a module, ``call(data, …, max_pixels=…)``, whose other arguments JSON can hold.

    Args:
        pack: Turns its result into bytes, to come from another process.
        unpack: Turns them back.

    Raises:
        ImageRejected: When it is called: as the function, or the picture costs too much.
    """

    def decorated(call: Call) -> Call:
        place = f"{call.__module__}:{call.__qualname__}"

        @wraps(call)
        def within(data: bytes, *args: Any, **options: Any) -> Any:
            budget = Budget(options.get("max_pixels", MAX_PIXELS))
            kind = kind_of(data)
            found = outline(data, kind)
            budget.check_outline(found, kind)
            if not kind or is_simple(data, kind, found):
                return call(data, *args, **options)
            question = json.dumps([place, args, options]).encode() + b"\n" + data
            return unpack(apart.readers().ask(question, budget.limits))

        _CALLS[place] = lambda data, args, options: pack(call(data, *args, **options))
        return cast("Call", within)

    return decorated


def answered(question: bytes) -> bytes:
    """Answer, in a process of its own, what was asked by ``budgeted``.

    Raises:
        ImageRejected: The picture is not usable.
    """
    _silence()
    head, _, data = question.partition(b"\n")
    place, args, options = json.loads(head)
    importlib.import_module(place.partition(":")[0])
    return _CALLS[place](data, args, options)


@cache
def _silence() -> None:
    """Keep what decoders print of broken files out of the log, which whoever sends them could fill."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stderr.fileno())


def as_it_is(data: bytes) -> bytes:
    """Pack, or unpack, a result that is bytes."""
    return data


def packed(fields: Any) -> bytes:
    """Pack a dataclass of numbers and texts; ``lambda data: Class(**json.loads(data))`` unpacks it."""
    return json.dumps(asdict(fields)).encode()


def prepare(slots: int, max_pixels: int) -> None:
    """Allow so many processes that read pictures, and start one; for a server, before it is asked."""
    apart.allow(slots)
    apart.readers().start(Budget(max_pixels).limits)
