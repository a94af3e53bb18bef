"""Test products whose picture is in the gallery, too: the same bytes, or a picture that looks the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.catalogue.quality.view import NEAR_DISTANCE, open_quality

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.catalogue.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Repeated:
    """Which queries show what the gallery holds.

    Attributes:
        ids: Product ids of these queries.
        unmeasured: Pictures of the catalogue whose perceptual hash is not known, so that only copies were found.
    """

    ids: frozenset[str]
    unmeasured: int


def repeated_queries(snapshot: Snapshot, folder: Path, queries: Collection[str], gallery: Collection[str]) -> Repeated:
    """Find the queries whose picture a gallery item has byte for byte, or nearly, by the perceptual hash.

    Args:
        snapshot: The catalogue at the version that both come from.
        folder: The catalogue's folder, with what was measured of its pictures.
        queries: Product ids that ask.
        gallery: Product ids that are looked for.
    """
    quality = open_quality(snapshot, folder)
    sha_of = dict(
        zip(quality.products["product_id"].to_pylist(), quality.products["image_sha256"].to_pylist(), strict=True)
    )
    hashes = dict(zip(quality.quality["image_sha256"].to_pylist(), quality.quality["phash"].to_pylist(), strict=True))
    held = {sha_of[name] for name in gallery if name in sha_of}
    exact = {name for name in queries if sha_of.get(name) in held}
    others = [name for name in queries if name not in exact]
    is_near = near_any(
        [hashes.get(sha_of.get(name, ""), "") for name in others],
        [hashes.get(sha256, "") for sha256 in held],
        NEAR_DISTANCE,
    )
    near = {name for name, found in zip(others, is_near, strict=True) if found}
    return Repeated(frozenset(exact | near), quality.missing)


def near_any(asked: list[str], held: list[str], max_distance: int) -> NDArray[np.bool_]:
    """Tell of each hexadecimal hash whether one of those held differs from it in ``max_distance`` bits at most.

    An empty hash is near none; hashes of another length are compared among themselves.

    Example:
        >>> near_any(["00ff", ""], ["00fe", "ff00"], 1)
        array([ True, False])
    """
    near = np.zeros(len(asked), dtype=np.bool_)
    for length in {len(text) for text in asked} - {0}:
        rows = [at for at, text in enumerate(asked) if len(text) == length]
        others = [text for text in held if len(text) == length]
        if others:
            near[rows] = _nearest_bits([asked[at] for at in rows], others) <= max_distance
    return near


def _nearest_bits(asked: list[str], held: list[str]) -> NDArray[np.int32]:
    """Return in how many bits the nearest of those held differs from each hash; all of one length."""
    import faiss

    codes, others = (
        np.frombuffer(bytes.fromhex("".join(texts)), dtype=np.uint8).reshape(len(texts), -1) for texts in (asked, held)
    )
    index = faiss.IndexBinaryFlat(8 * codes.shape[1])
    index.add(np.ascontiguousarray(others))
    distances, _ = index.search(np.ascontiguousarray(codes), 1)
    nearest: NDArray[np.int32] = distances[:, 0]
    return nearest
