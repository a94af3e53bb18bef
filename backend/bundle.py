"""The model bundle: a folder with a manifest that names and hashes every file in it.

    manifest.json     what this is, and the SHA-256 of every other file
    weights.npz       the network's arrays, in order; no code, no pickle
    vectors.npy       the gallery's embeddings, float32 (N, D), L2-normalised      (once indexed)
    gallery.parquet   the gallery's product columns and thumbnails, in the same order (once indexed)
    cells.npz         which part of the gallery an approximate search looks at    (if the index is approximate)
    evaluation.json   what an evaluation found; evaluation.parquet: its answer to every test query  (once evaluated)
    calibration.json  what a similarity is worth, and from where on an answer is a match            (once evaluated)
    proof.json        what a training on several workers can show for having been right             (if it was one)

A bundle is complete in itself: whoever has the folder can answer. Loading verifies every hash before anything is read.
A new index takes the place of an old one as a whole folder, so that files and manifest agree at every moment.
"""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from backend import scratch
from backend.errors import BundleError
from backend.pixel_spec import CONTRACT, PixelSpec
from backend.plain_files import open_plain
from backend.storage import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
WEIGHTS = "weights.npz"
VECTORS = "vectors.npy"
GALLERY = "gallery.parquet"
CELLS = "cells.npz"
WORKPLACES = ".*.*-*"  # names of what :func:`workplace` gives
_NEXT = "Train or deploy the model again, or restore the folder from a copy."


@dataclass(frozen=True, slots=True)
class CatalogueRef:
    """A catalogue at one Delta version; everything downstream quotes it."""

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """What the index of a bundle holds.

    Attributes:
        kind: ``exact`` or ``approximate``.
        size: Number of items that are searched.
        splits: Splits of the catalogue that they are of.
        catalogue: The version that they were read from: the one trained on, or a newer one.
        scored_size: Number of those of them that scores are taken on.
        scored_splits: Splits that these are of: all but the test split, whose products ask.
        generation: 1 when it was built, one more for every refresh since.
        pixel_contract: What the pictures were turned into pixels by; see :data:`backend.pixel_spec.CONTRACT`.
    """

    kind: str
    size: int
    splits: tuple[str, ...]
    catalogue: CatalogueRef
    scored_size: int
    scored_splits: tuple[str, ...]
    generation: int = 1
    pixel_contract: int = CONTRACT


INDEX_METRICS = "index."  # what names of figures of an index begin with


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that is to be known about a bundle without opening its other files.

    Attributes:
        name: Folder name of the bundle, unique below the models folder.
        config: The training configuration as JSON values.
        pixels: What the network sees.
        classes: Labels seen in training, in the order of the network's class numbers.
        metrics: Figures by name, e.g. ``test.precision_at_1``; fractions in [0, 1].
        files: SHA-256 by file name, of every file but the manifest.
        weights_hash: Hash over the weights' values, equal for equal networks whatever the file looks like.
        notes: Sentences about how the training differs from what was asked for.
        origin: Where the configuration came from, e.g. ``{"sweep": "autumn", "trial": 7}``; empty: from a person.
        threads: Threads that each process computed with: another number adds up in another order, and gives other last
            bits. 0: not known, as for models of earlier versions.
    """

    name: str
    created_at: str
    config: dict[str, Any]
    pixels: PixelSpec
    embedding_size: int
    catalogue: CatalogueRef
    classes: tuple[str, ...]
    seed: int
    git_commit: str
    libraries: dict[str, str]
    run_id: str = ""
    weights_hash: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    index: IndexInfo | None = None
    files: dict[str, str] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)
    threads: int = 0
    notes: tuple[str, ...] = ()
    format_version: int = FORMAT_VERSION

    def with_index(self, info: IndexInfo) -> Manifest:
        """Return it with another index; what was measured of the one before is not said of this one."""
        kept = {name: value for name, value in self.metrics.items() if not name.startswith(INDEX_METRICS)}
        return replace(self, index=info, metrics=kept)

    def to_json(self) -> str:
        """Return the manifest as indented JSON."""
        return json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read a manifest back.

        Raises:
            BundleError: It is not JSON, of another format version, or fields are missing.
        """
        try:
            raw = json.loads(text)
            version = raw.get("format_version")
        except (ValueError, AttributeError) as error:
            raise BundleError("The manifest is not valid JSON.", next_step=_NEXT) from error
        if version != FORMAT_VERSION:
            raise BundleError(
                f"The manifest has format {version}, this program reads {FORMAT_VERSION}.", next_step=_NEXT
            )
        try:
            return cls(**_typed(raw))
        except (TypeError, KeyError) as error:
            raise BundleError(f"The manifest does not fit: {error}.", next_step=_NEXT) from error


def _typed(raw: dict[str, Any]) -> dict[str, Any]:
    return {
        **raw,
        "pixels": PixelSpec(**raw["pixels"]),
        "catalogue": CatalogueRef(**raw["catalogue"]),
        "classes": tuple(raw["classes"]),
        "index": None if raw["index"] is None else _index(raw["index"]),
        "notes": tuple(raw.get("notes", ())),
    }


def _index(raw: dict[str, Any]) -> IndexInfo:
    # Earlier versions searched what they scored, and named it once; there was one pixel contract.
    found = {"scored_size": raw["size"], "scored_splits": raw["splits"], "pixel_contract": 1, **raw}
    splits = {name: tuple(found[name]) for name in ("splits", "scored_splits")}
    return IndexInfo(**{**found, **splits, "catalogue": CatalogueRef(**raw["catalogue"])})


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
    path = folder / MANIFEST
    if path.is_symlink() or not path.is_file():
        raise BundleError(f"{folder.name} is not a Twinset model: it has no {MANIFEST}.", next_step=_NEXT)
    return Manifest.from_json(path.read_text(encoding="utf-8"))


def list_bundles(models_dir: Path) -> list[Manifest]:
    """Return the manifests of all bundles in a folder, newest first; one that cannot be read is logged and left out."""
    found = []
    for folder in sorted(models_dir.iterdir()) if models_dir.is_dir() else []:
        if folder.name.startswith(".") or not (folder / MANIFEST).is_file():
            continue  # a bundle being written, checkpoints, or none of ours
        try:
            found.append(read_manifest(folder))
        except BundleError as error:
            logger.warning("Left out of the models: %s: %s", folder.name, error)
    return sorted(found, key=lambda manifest: manifest.created_at, reverse=True)


def verify(folder: Path) -> Manifest:
    """Read the manifest and check that the folder holds exactly the files it names, each with its hash.

    Raises:
        BundleError: A file is missing, unknown, a link, or not what was written; the message names it.
    """
    manifest = read_manifest(folder)
    present = {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir() or p.is_symlink()} - {MANIFEST}
    for name in sorted(present | manifest.files.keys()):
        path = folder / name
        if name not in manifest.files:
            raise BundleError(f"{folder.name} holds {name}, which its manifest does not name.", next_step=_NEXT)
        if name not in present or path.is_symlink():
            raise BundleError(f"{folder.name} lacks its file {name}.", next_step=_NEXT)
        if (found := sha256_of(path)) != manifest.files[name]:
            expected = manifest.files[name]
            raise BundleError(f"{name} of {folder.name} is damaged: {expected=:.12}, {found=:.12}.", next_step=_NEXT)
    return manifest


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
