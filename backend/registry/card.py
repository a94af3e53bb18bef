"""The card of a model: where it comes from and how good it is, in one piece that travels with a registered version.

It holds all that a rebuild needs: catalogue version, configuration, seed. The model's folder may be gone by then.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from backend.bundles.bundle import CatalogueRef
from backend.errors import BundleError, RegistryError
from backend.evaluation.report import load_report
from backend.files.plain_files import read_plain
from backend.files.typed_json import parsed

if TYPE_CHECKING:
    from pathlib import Path

    from backend.bundles.bundle import Manifest

_PROOF = "proof.json"
_LONGEST_PROOF = 1_000_000  # bytes
_PURPOSE = "Finds the products of a catalogue that look like a photo. Its figures apply to photos like those of that catalogue; it is not designed to recognise people, brands or forgeries."


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is to be known of a model.

    Attributes:
        model: Name of its bundle.
        created_at: When it was trained, ISO time.
        catalogue: The catalogue version it was trained on.
        git_commit: The code that trained it.
        config, seed: What it was trained with.
        workers: Processes that trained it together.
        threads: Threads that each computed with; 0 where that is not known.
        run_id: Its run in MLflow.
        sweep, trial: The sweep that found its configuration, and the trial; empty for one that was chosen by hand.
        weights_hash: Its network.
        libraries: Versions by name.
        index: Kind and size of its index, and the catalogue version in it.
        classes: Labels seen in training.
        metrics: Figures by name.
        rates: Mean and 95 % interval of every rate of its evaluation, by name; empty before it was evaluated.
        queries: Test products that were asked for those.
    """

    model: str
    created_at: str
    catalogue: CatalogueRef
    git_commit: str
    config: dict[str, Any]
    seed: int
    workers: int
    run_id: str
    sweep: str
    trial: str
    weights_hash: str
    libraries: dict[str, str]
    index: dict[str, Any]
    classes: int
    metrics: dict[str, float]
    rates: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    queries: int = 0
    threads: int = 0
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the card as JSON."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read a card back.

        Raises:
            RegistryError: It is none.
        """
        try:
            return cls.from_dict(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise RegistryError("The card of a version is damaged.", next_step="Deploy the model again.") from error

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> ModelCard:
        """Build a card from its JSON values."""
        rates = {name: (float(v), float(low), float(high)) for name, (v, low, high) in raw["rates"].items()}
        return cls(
            **{
                **raw,
                "catalogue": CatalogueRef(**raw["catalogue"]),
                "rates": rates,
                "notes": tuple(raw.get("notes", ())),
            }
        )


def card_of(folder: Path, manifest: Manifest) -> ModelCard:
    """Return the card of a bundle that has been verified.

    Raises:
        EvaluationError: Its report cannot be read.
        BundleError: Its proof cannot be read.
    """
    index: dict[str, Any] = asdict(manifest.index) if manifest.index else {}
    report = load_report(folder)
    is_current = report is not None and report.is_of(manifest)
    row = report.model_row if report is not None and is_current else None
    return ModelCard(
        model=manifest.name,
        created_at=manifest.created_at,
        catalogue=manifest.catalogue,
        git_commit=manifest.git_commit,
        config=manifest.config,
        seed=manifest.seed,
        workers=_workers(folder),
        run_id=manifest.run_id,
        sweep=str(manifest.origin.get("sweep", "")),
        trial=str(manifest.origin.get("trial", "")),
        weights_hash=manifest.weights_hash,
        libraries=dict(manifest.libraries),
        index=index,
        classes=len(manifest.classes),
        metrics=dict(manifest.metrics),
        rates={name: (rate.value, rate.low, rate.high) for name, rate in row.rates.items()} if row else {},
        queries=row.queries if row else 0,
        threads=manifest.threads,
        notes=manifest.notes,
    )


def _workers(folder: Path) -> int:
    """A model that several processes trained has their proof in its bundle."""
    path = folder / _PROOF
    if not os.path.lexists(path):
        return 1
    try:
        return int(parsed(read_plain(path, _LONGEST_PROOF)).get("workers", 1))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise BundleError(
            f"{_PROOF} of {folder.name} cannot be read.", next_step="Train the model again, or restore its folder."
        ) from error


def as_markdown(card: ModelCard, *, name: str = "", version: int | None = None, endpoint: str = "") -> str:
    """Return a card for people: what the model is for, where it comes from, and how good it is."""
    title = card.model if version is None else f"{name} version {version}: {card.model}"
    lines = [
        f"# {_literal(title)}",
        "",
        _PURPOSE,
        "",
        "## Where it comes from",
        "",
        *(f"- {label}: {_literal(value)}" for label, value in lineage(card, endpoint=endpoint).items()),
        "",
        "## How good it is",
        "",
        *_figures(card),
        "",
        "## Configuration",
        "",
        *(f"- {key}: {_literal(str(value))}" for key, value in sorted(card.config.items())),
        *(f"- {_literal(note)}" for note in card.notes),
        "",
    ]
    return "\n".join(lines)


def _literal(text: str) -> str:
    """Keep names and labels in a text from becoming links, pictures or tags, as MLflow's pages show the card."""
    return re.sub(r"([\\\[\]<`])", r"\\\1", " ".join(text.split()))


def lineage(card: ModelCard, *, endpoint: str = "") -> dict[str, str]:
    """Return the way from the catalogue to the endpoint, what is empty left out."""
    index = card.index
    found = {
        "Catalogue": f"{card.catalogue.name}, version {card.catalogue.version}",
        "Code": card.git_commit,
        "Seed": str(card.seed),
        "Workers": str(card.workers) if card.workers > 1 else "",
        "Threads": str(card.threads or ""),
        "Sweep": card.sweep,
        "Trial": card.trial,
        "Run": card.run_id,
        "Model": card.model,
        "Network": card.weights_hash,
        "Index": _index_text(index) if index else "",
        "Endpoint": endpoint,
        "Libraries": ", ".join(f"{name} {number}" for name, number in sorted(card.libraries.items())),
    }
    return {label: value for label, value in found.items() if value}


def _index_text(index: dict[str, Any]) -> str:
    catalogue = index.get("catalogue", {})
    return f"{index['kind']}, {index['size']:,} products of {catalogue.get('name')}, version {catalogue.get('version')}"


def _figures(card: ModelCard) -> list[str]:
    if card.rates:
        head = f"On {card.queries:,} test products, with 95 % intervals:"
        rows = [f"- {name}: {v:.4f} [{low:.4f}, {high:.4f}]" for name, (v, low, high) in sorted(card.rates.items())]
        return [head, "", *rows]
    rows = [f"- {name}: {value:.4f}" for name, value in sorted(card.metrics.items())]
    return rows or ["It has not been evaluated."]
