"""A network's arrays as a file: numbered, in order, no code and no pickle."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.bundles.plain_arrays import read_arrays
from backend.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Arrays = Sequence[NDArray[np.float32]]

_NEXT = "Train the model again, or restore its folder from a copy."


def pack(arrays: Arrays) -> bytes:
    """Return the arrays as the content of an ``.npz`` file."""
    buffer = io.BytesIO()
    np.savez(buffer, **{f"{number:04d}": array for number, array in enumerate(arrays)})
    return buffer.getvalue()


def unpack(path: Path) -> list[NDArray[np.float32]]:
    """Read arrays back in their order.

    Raises:
        BundleError: The file is missing, damaged, or holds something else than arrays of numbers.
    """
    try:
        stored: dict[str, NDArray[Any]] = read_arrays(path)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path.name} of {path.parent.name} cannot be read as weights.", next_step=_NEXT) from error
    return [stored[name] for name in sorted(stored)]


def values_hash(arrays: Arrays) -> str:
    """Return a SHA-256 over shapes, types and values: equal for equal networks, whatever their files look like."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def check_fit(arrays: Arrays, shapes: Sequence[tuple[int, ...]]) -> None:
    """Check that stored arrays fit the network they are meant for.

    Raises:
        BundleError: Their number or a shape differs, or a value is not finite; the message says which.
    """
    if len(arrays) != len(shapes):
        raise BundleError(
            f"The weights contain {len(arrays)} arrays, but the network needs {len(shapes)}.", next_step=_NEXT
        )
    for number, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
        if array.shape != shape or array.dtype != np.float32:
            found = f"{array.dtype} {array.shape}"
            raise BundleError(f"Array {number} is {found}, but the network needs float32 {shape}.", next_step=_NEXT)
        if not np.isfinite(array).all():
            raise BundleError(f"Array {number} contains values that are not finite.", next_step=_NEXT)
