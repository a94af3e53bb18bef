"""Named training configurations, each for one kind of catalogue."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backend.errors import ConfigurationError
from backend.training.config import TrainConfig, validate

if TYPE_CHECKING:
    from backend.catalogue.snapshot import Snapshot

# Nothing is learnt: ImageNet's features, and colours.
READY_MADE = TrainConfig(
    preset="ready-made",
    backbone="efficientnet-lite0",
    pretrained="imagenet",
    height=224,
    width=224,
    channels=3,
    background="any",
    embedding_size=192,
    detail_share=1.0,
    colour_share=0.05,
    edge_cells=1,
)

# Shares are within what tests/benchmarks/photos.py --choose allows on validation photos.
_PHOTOS = replace(
    READY_MADE,
    preset="photos",
    embedding_size=320,
    detail_share=0.2,
    colour_share=0.15,
    learning_rate=0.005,
    weight_decay=0.0,
    dropout=0.3,
    epochs=60,
    classes_per_batch=10,
    examples_per_class=10,
    augmentation="none",
)

PRESETS: dict[str, TrainConfig] = {
    # 0.5 costs little on labels that are trained on, and keeps those apart that are not: chosen on train pictures alone
    # by tests/benchmarks/detail_share.py. Twice the epochs go on helping until about here.
    "resnet": TrainConfig(detail_share=0.5),
    "seed-cnn": TrainConfig(
        preset="seed-cnn",
        backbone="seed-cnn",
        loss="multi-similarity",
        schedule="constant",
        learning_rate=0.001,
        weight_decay=0.0,
        augmentation="none",
        dropout=0.3,
        epochs=5,
    ),
    "photos": _PHOTOS,
    "photos-tuned": replace(
        _PHOTOS,
        preset="photos-tuned",
        tuned_blocks=5,
        learning_rate=0.0005,
        schedule="cosine",
        epochs=8,
        augmentation="flip-crop",
    ),
}


def preset(name: str, **changes: Any) -> TrainConfig:
    """Return a named preset, with some fields changed.

    Raises:
        ConfigurationError: There is no such preset, or a changed field is unknown or out of range.
    """
    if name not in PRESETS:
        raise ConfigurationError(f"There is no preset {name!r}.", next_step=f"Use one of {', '.join(PRESETS)}.")
    config = replace(PRESETS[name], **changes)
    validate(config)
    return config


def fitting_preset(snapshot: Snapshot) -> str:
    """Return the preset that fits most pictures of a catalogue version: of those in grey, or of those in colour."""
    channels = snapshot.columns(["channels"])["channels"].to_numpy()
    return "photos" if len(channels) and float((channels > 1).mean()) > 0.5 else "resnet"
