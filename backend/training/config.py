"""The training configuration: one frozen dataclass, named presets, and every range as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from backend.errors import ConfigurationError
from backend.pixel_spec import Background, PixelSpec

Backbone = Literal["seed-cnn", "resnet"]
LossName = Literal["multi-similarity", "multi-similarity+proxy"]
Schedule = Literal["constant", "one-cycle"]
Augmentation = Literal["none", "flip", "flip-shift"]


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How a network is built and trained; the defaults are the preset ``resnet``.

    Attributes:
        height, width, channels, background: What the network sees; see :class:`backend.pixel_spec.PixelSpec`.
        embedding_size: Dimensions D of the embedding.
        learning_rate: Peak rate of Adam.
        weight_decay: Decoupled decay of kernels and proxies, as in AdamW; 0 is plain Adam.
        epochs: Passes over the train split; early stopping may end sooner.
        classes_per_batch, examples_per_class: A batch holds P classes with K examples each.
        steps_per_epoch: Batches an epoch; 0 means as many as make one pass over the train split.
        patience: Epochs without a better validation score before training stops; 0 means never.
        proxy_weight: Share of the proxy term in the loss ``multi-similarity+proxy``.
        seed: Seed of weights, batches and augmentation.
    """

    preset: str = "resnet"
    backbone: Backbone = "resnet"
    height: int = 28
    width: int = 28
    channels: Literal[1, 3] = 1
    background: Background = "dark"
    embedding_size: int = 128
    loss: LossName = "multi-similarity+proxy"
    proxy_weight: float = 1.0
    schedule: Schedule = "one-cycle"
    learning_rate: float = 0.003
    weight_decay: float = 0.02
    epochs: int = 8
    classes_per_batch: int = 10
    examples_per_class: int = 24
    steps_per_epoch: int = 0
    augmentation: Augmentation = "flip"
    dropout: float = 0.0
    patience: int = 0
    seed: int = 7

    @property
    def pixels(self) -> PixelSpec:
        """What the network sees."""
        return PixelSpec(self.height, self.width, self.channels, self.background)

    @property
    def batch_size(self) -> int:
        """Images in a batch, P x K."""
        return self.classes_per_batch * self.examples_per_class

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> TrainConfig:
        """Build and validate a configuration from JSON values.

        Raises:
            ConfigurationError: A field is unknown or out of range.
        """
        unknown = raw.keys() - {item.name for item in fields(cls)}
        if unknown:
            raise ConfigurationError(f"A training configuration has no field {min(unknown)!r}.")
        config = cls(**raw)
        validate(config)
        return config


# Name, smallest, largest: checked by ``validate`` and shown by the page's inputs.
RANGES: dict[str, tuple[float, float]] = {
    "height": (16, 256),
    "width": (16, 256),
    "embedding_size": (8, 1024),
    "proxy_weight": (0.0, 10.0),
    "learning_rate": (1e-6, 1.0),
    "weight_decay": (0.0, 1.0),
    "epochs": (1, 200),
    "classes_per_batch": (2, 128),
    "examples_per_class": (2, 128),
    "steps_per_epoch": (0, 100_000),
    "dropout": (0.0, 0.9),
    "patience": (0, 100),
    "seed": (0, 2**31 - 1),
}


# Name, what it may be.
CHOICES: dict[str, tuple[Any, ...]] = {
    "backbone": get_args(Backbone),
    "loss": get_args(LossName),
    "schedule": get_args(Schedule),
    "augmentation": get_args(Augmentation),
    "background": get_args(Background),
    "channels": (1, 3),
}


def validate(config: TrainConfig) -> None:
    """Check the type of every field, and its value against its range or choices.

    Raises:
        ConfigurationError: The first field that does not fit, with its value and what it may be.
    """
    for name, choices in CHOICES.items():
        value = getattr(config, name)
        if value not in choices:
            offered = ", ".join(str(choice) for choice in choices)
            raise ConfigurationError(f"{name} must be one of {offered}, got {value!r}.", next_step="Correct the field.")
    for name, (low, high) in RANGES.items():
        value = getattr(config, name)
        whole = isinstance(getattr(_DEFAULTS, name), int)
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            kind = "whole number" if whole else "number"
            raise ConfigurationError(f"{name} must be a {kind}, got {value!r}.", next_step="Correct the field.")
        if not low <= value <= high:
            raise ConfigurationError(
                f"{name} must be between {low:g} and {high:g}, got {value:g}.", next_step="Correct the field."
            )


_DEFAULTS = TrainConfig()

PRESETS: dict[str, TrainConfig] = {
    "resnet": _DEFAULTS,
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
    "resnet-colour": TrainConfig(
        preset="resnet-colour",
        height=48,
        width=48,
        channels=3,
        background="light",
        epochs=14,
        classes_per_batch=18,
        examples_per_class=6,
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
