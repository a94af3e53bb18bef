"""The model bundle: a folder with a manifest that names and hashes every file in it.

    manifest.json     what this is, and the SHA-256 of every other file
    weights.npz       the network's arrays, in order; no code, no pickle
    vectors.npy       the gallery's embeddings, float32 (N, D), L2-normalised      (once indexed)
    gallery.parquet   the gallery's product columns and thumbnails, in the same order (once indexed)
    cells.npz         which part of the gallery an approximate search looks at    (if the index is approximate)
    further.npz       further pictures of products, and whose they are; further.npy: their embeddings (if there are any)
    further.parquet   their thumbnails, each once by its hash                     (likewise; earlier versions had none)
    evaluation.json   what an evaluation found; evaluation.parquet: its answer to every test query  (once evaluated)
    calibration.json  what a similarity is worth, and from where on an answer is a match            (once evaluated)
    proof.json        what a training on several workers can show for having been right             (if it was one)

A bundle is complete in itself: whoever has the folder can answer. Loading verifies every hash before anything is read.
A new index takes the place of an old one as a whole folder, so that files and manifest agree at every moment.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backend.bundles.manifest import (
    FORMAT_VERSION,
    INDEX_METRICS,
    LONGEST_MANIFEST,
    NEXT,
    CatalogueRef,
    IndexInfo,
    Manifest,
)
from backend.errors import BundleError
from backend.files import scratch
from backend.files.plain_files import open_plain, read_plain
from backend.files.storage import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

__all__ = ["FORMAT_VERSION", "INDEX_METRICS", "CatalogueRef", "IndexInfo", "Manifest"]

MANIFEST = "manifest.json"
WEIGHTS = "weights.npz"
VECTORS = "vectors.npy"
GALLERY = "gallery.parquet"
CELLS = "cells.npz"
FURTHER, FURTHER_VECTORS = "further.npz", "further.npy"
FURTHER_THUMBNAILS = "further.parquet"
_NOT_THERE = {errno.ENOENT, errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.ENOTDIR}  # or no plain file
_LARGEST_FILE = 4_000_000_000  # bytes, of a network's weights
_LARGEST_ROW, _LARGEST_SMALL = 1_000_000, 1_000_000
WORKPLACES = ".*.*-*"  # names of what :func:`workplace` gives, and of files that are being written


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Hash every file in ``folder`` into the manifest and put it there atomically; returns what was written."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != MANIFEST)
    complete = replace(manifest, files={name: sha256_of(folder / name) for name in names if not name.startswith(".")})
    write_atomically(folder / MANIFEST, complete.to_json().encode())
    return complete


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a bundle without checking its files.

    Raises:
        BundleError: There is none, or it does not fit.
    """
    try:
        text = read_plain(folder / MANIFEST, LONGEST_MANIFEST)
    except OSError as error:
        if error.errno in _NOT_THERE:
            lacks = f"it has no {MANIFEST}" if error.errno == errno.ENOENT else f"its {MANIFEST} is not a regular file"
            raise BundleError(f"{folder.name} is not a Twinset model: {lacks}.", next_step=NEXT) from error
        raise BundleError(f"{MANIFEST} of {folder.name} cannot be read: {error.strerror}.", next_step=NEXT) from error
    return Manifest.from_json(text)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A folder among the models that is not listed as one, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Models:
    """What is in the models folder: bundles by their manifests, newest first, and what could not be read as one."""

    bundles: tuple[Manifest, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def survey(models_dir: Path) -> Models:
    """Look at all folders that have a manifest; one that is damaged takes no other along."""
    manifests: list[Manifest] = []
    left_out: list[LeftOut] = []
    for folder in sorted(models_dir.iterdir()) if models_dir.is_dir() else []:
        if folder.name.startswith(".") or not os.path.lexists(folder / MANIFEST):
            continue  # a bundle being written, checkpoints, or none of ours
        try:
            manifests.append(_named(read_manifest(folder), folder))
        except BundleError as error:
            left_out.append(LeftOut(folder.name, str(error)))
    return Models(tuple(sorted(manifests, key=lambda manifest: manifest.created_at, reverse=True)), tuple(left_out))


def _named(manifest: Manifest, folder: Path) -> Manifest:
    """Make sure that a model is found by its name."""
    if manifest.name != folder.name:
        raise BundleError(
            f"The manifest in the folder {folder.name} belongs to {manifest.name}.",
            next_step="Rename the folder to that name, or remove it.",
        )
    return manifest


def list_bundles(models_dir: Path) -> list[Manifest]:
    """Return the manifests of all bundles in a folder, newest first; one that cannot be read is logged and left out."""
    found = survey(models_dir)
    for one in found.left_out:
        logger.warning("Not listed as a model: %s: %s", one.name, one.reason)
    return list(found.bundles)


def verify(folder: Path) -> Manifest:
    """Read the manifest and check that the folder holds exactly the files it names, each with its hash.

    Raises:
        BundleError: A file is missing, unknown, a link, larger than it can be, or not what was written; the message
            names it.
    """
    manifest = read_manifest(folder)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name not in {MANIFEST, *manifest.files}:
                name = f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name
                raise BundleError(f"{folder.name} holds {name}, which its manifest does not name.", next_step=NEXT)
    for name, expected in sorted(manifest.files.items()):
        found = _sha256_in(folder, name, _most_bytes(name, manifest))
        if found != expected:
            raise BundleError(f"{name} of {folder.name} is damaged: {expected=:.12}, {found=:.12}.", next_step=NEXT)
    return manifest


def _sha256_in(folder: Path, name: str, most: int) -> str:
    try:
        with open_plain(folder / name) as stream:
            if os.fstat(stream.fileno()).st_size > most:
                raise BundleError(f"{name} of {folder.name} is larger than possible.", next_step=NEXT)
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        said = "lacks its file" if error.errno in _NOT_THERE else f"has a file that cannot be read ({error.strerror}):"
        raise BundleError(f"{folder.name} {said} {name}.", next_step=NEXT) from error


def _most_bytes(name: str, manifest: Manifest) -> int:
    """Return how large a file of a bundle can be, by what the manifest says of it; it is not read to know better."""
    items = manifest.index.size if manifest.index else 0
    one = {VECTORS: 4 * manifest.embedding_size, CELLS: 8 + 4 * manifest.embedding_size, GALLERY: _LARGEST_ROW}
    return _LARGEST_SMALL + items * one[name] if name in one else _LARGEST_FILE


@contextmanager
def workplace(folder: Path, purpose: str) -> Iterator[Path]:
    """Give a folder beside a bundle, on the same disk, gone afterwards; so are those of processes that were killed.

    Args:
        folder: The bundle, which need not exist yet.
        purpose: What the folder is for, e.g. ``index``.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch.sweep(folder.parent, WORKPLACES)
    with scratch.held_folder(folder.parent, f".{folder.name}.{purpose}-") as place:
        yield place


def discard(folder: Path) -> None:
    """Remove a folder: out of sight in one step, so that nobody meets a half of it, and then for good."""
    with workplace(folder, "deletion") as place:
        folder.rename(place / folder.name)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a plain file as hex; OSError where it is none."""
    with open_plain(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def versions_named(manifests: Iterable[Manifest], catalogue: str) -> dict[int, list[str]]:
    """Return the versions of a catalogue that models were trained on or indexed from, and the models' names."""
    used: dict[int, list[str]] = {}
    for manifest in manifests:
        refs = {manifest.catalogue, manifest.index.catalogue} if manifest.index else {manifest.catalogue}
        for ref in refs:
            if ref.name == catalogue:
                used.setdefault(ref.version, []).append(manifest.name)
    return used
