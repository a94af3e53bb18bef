"""The manifest of a model bundle: what it says, and that it says nothing else than a manifest may.

It may come from anywhere, so it is read field by field: types, numbers, names and texts, before anything is made of them.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from backend.errors import BundleError
from backend.files.typed_json import LARGEST, built, parsed
from backend.imaging.spec import CONTRACT, PixelSpec

FORMAT_VERSION = 1
LONGEST_MANIFEST = 4_000_000  # bytes; one with 10,000 labels has some 300,000
NEXT = "Train or deploy the model again, or restore the folder from a copy."
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_NAME = 255
_LARGEST_SIDE, _MOST_DIMENSIONS = 4_096, 65_536


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
        pixel_contract: What the pictures were turned into pixels by; see :data:`backend.imaging.spec.CONTRACT`.
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

    @property
    def searched(self) -> CatalogueRef:
        """The catalogue that is searched: that of the index, which may be newer than the one trained on; that one without an index."""
        return self.catalogue if self.index is None else self.index.catalogue

    def with_index(self, info: IndexInfo) -> Manifest:
        """Return it with another index; what was measured of the one before is not said of this one."""
        kept = {name: value for name, value in self.metrics.items() if not name.startswith(INDEX_METRICS)}
        return replace(self, index=info, metrics=kept)

    def to_json(self) -> str:
        """Return the manifest as indented JSON."""
        metrics = _finite(self.metrics)
        return json.dumps({**asdict(self), "metrics": metrics}, indent=2, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Manifest:
        """Read a manifest back.

        Raises:
            BundleError: It is not JSON, of another format version, or a field is missing, unknown or no such value.
        """
        try:
            raw = parsed(text)
            version = raw.get("format_version")
        except (ValueError, AttributeError, RecursionError) as error:
            raise BundleError("The manifest is not valid JSON.", next_step=NEXT) from error
        if type(version) is not int or version != FORMAT_VERSION:
            raise BundleError(
                f"The manifest has format {version!r:.20}, this program reads {FORMAT_VERSION}.", next_step=NEXT
            )
        try:
            manifest: Manifest = built(cls, _completed(raw), "manifest")
            _check(manifest)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise BundleError(f"The manifest does not fit: {error!s:.200}.", next_step=NEXT) from error
        return manifest


def is_plain_name(name: str) -> bool:
    """Whether a text can be the name of a file in a folder, and leads nowhere else."""
    return 0 < len(name.encode()) <= _LONGEST_NAME and name not in {".", ".."} and not set(name) & {"/", "\0"}


def _completed(raw: dict[str, Any]) -> dict[str, Any]:
    """Bring what an earlier version wrote to the present form."""
    index, metrics = raw.get("index"), raw.get("metrics")
    if isinstance(index, dict):
        # Earlier versions searched what they scored, and named it once; there was one pixel contract.
        earlier = {"scored_size": index.get("size"), "scored_splits": index.get("splits"), "pixel_contract": 1}
        raw = {**raw, "index": {**earlier, **index}}
    return {**raw, "metrics": _finite(metrics)} if isinstance(metrics, dict) else raw


def _finite(metrics: dict[str, Any]) -> dict[str, Any]:
    """Leave out figures that are no numbers: JSON has no way to write them."""
    return {
        name: value for name, value in metrics.items() if not (isinstance(value, float) and not math.isfinite(value))
    }


def _check(manifest: Manifest) -> None:
    """Check what types do not say; raises ValueError."""
    index = manifest.index
    refs = (manifest.catalogue, index.catalogue) if index else (manifest.catalogue,)
    counts = [manifest.threads, *(ref.version for ref in refs)]
    if index:
        counts += [
            index.size,
            index.scored_size,
            index.size - index.scored_size,
            index.generation,
            index.pixel_contract,
        ]
    faults = {
        "a name is invalid": not all(map(is_plain_name, (manifest.name, *(ref.name for ref in refs), *manifest.files))),
        "a checksum is invalid": not all(map(_SHA256.fullmatch, manifest.files.values())),
        "a number is too small or too large": not all(0 <= number <= LARGEST for number in counts),
        "the pixel size is invalid": not all(
            0 < side <= _LARGEST_SIDE for side in (manifest.pixels.height, manifest.pixels.width)
        ),
        "the embedding size is invalid": not 0 < manifest.embedding_size <= _MOST_DIMENSIONS,
    }
    datetime.fromisoformat(manifest.created_at)
    for said, is_so in faults.items():
        if is_so:
            raise ValueError(said)
