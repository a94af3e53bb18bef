"""The training configuration: one frozen dataclass, named presets, and every range as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from backend.errors import ConfigurationError
from backend.imaging.spec import Background, PixelSpec
from backend.training.network.lite import COLOURS, LITE

Application = Literal["mobilenet-v2", "efficientnet-v2-b0", "resnet50"]
Backbone = Literal[
    "resnet", "seed-cnn", "seed-cnn-as-published", "mobilenet-v2", "efficientnet-v2-b0", "resnet50",
    "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2",
]  # fmt: skip
Pretrained = Literal["none", "imagenet"]
LossName = Literal["multi-similarity+proxy", "multi-similarity", "triplet", "circle", "pn", "soft-nearest-neighbour"]
Distance = Literal["cosine", "euclidean", "squared-euclidean"]
OptimizerName = Literal["adam", "sgd"]
Schedule = Literal["constant", "one-cycle", "cosine"]
Augmentation = Literal["none", "flip", "flip-shift", "flip-shift-colour", "flip-crop", "flip-crop-erase"]
ReaderName = Literal["arrow", "petastorm"]

APPLICATIONS: tuple[Application, ...] = get_args(Application)
SMALLEST_PARTS = 8  # dimensions beside the colours
APPLICATION_MIN_SIDE = 32  # below that, tf.keras.applications build no network
_NEXT = "Correct the field."


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How a network is built and trained; the defaults are the preset ``resnet`` without early features.

    Attributes:
        backbone: The network below the embedding; see :mod:`backend.training.network.network`.
        pretrained: Weights it starts from; only the networks of ``APPLICATIONS`` have some.
        height, width, channels, background: What the network sees; see :class:`backend.imaging.spec.PixelSpec`.
        embedding_size: Dimensions D of the embedding.
        detail_share: How much unlearnt features count in the similarity beside the learnt part: early ones (see
            :mod:`backend.training.detail`), or those of the ready-made weights. 0 means not at all, 1 that nothing is learnt.
        colour_share: How much the garment's colours count beside both, for networks of ``LITE``.
        tuned_blocks: How many of the last blocks of a network of ``LITE`` are tuned after its head was trained.
        edge_cells: How many cells along each side of the last map of a network of ``LITE`` are left out of its mean.
        distance: What the pair losses measure between unit vectors; answers are always ranked by the cosine.
        optimizer: Adam, or stochastic gradient descent with momentum.
        learning_rate: Peak rate.
        weight_decay: Decoupled decay of kernels and proxies, as in AdamW; 0 is none.
        epochs: Passes over the train split; early stopping may end sooner.
        classes_per_batch, examples_per_class: A batch holds P classes with K examples each.
        steps_per_epoch: Batches an epoch; 0 means as many as make one pass over the train split.
        patience: Epochs without a better validation score before training stops; 0 means never.
        proxy_weight: Share of the proxy term in the loss ``multi-similarity+proxy``.
        mixed_precision: Whether convolutions compute in bfloat16; needs a GPU that can.
        reader: What reads the catalogue's files; both give the same batches.
        deterministic: Whether TensorFlow may use only operations that give the same bits every time.
        seed: Seed of weights, batches and augmentation.
    """

    preset: str = "resnet"
    backbone: Backbone = "resnet"
    pretrained: Pretrained = "none"
    height: int = 28
    width: int = 28
    channels: Literal[1, 3] = 1
    background: Background = "dark"
    embedding_size: int = 128
    detail_share: float = 0.0
    colour_share: float = 0.0
    tuned_blocks: int = 0
    edge_cells: int = 0
    loss: LossName = "multi-similarity+proxy"
    distance: Distance = "cosine"
    proxy_weight: float = 1.0
    optimizer: OptimizerName = "adam"
    schedule: Schedule = "one-cycle"
    learning_rate: float = 0.003
    weight_decay: float = 0.02
    epochs: int = 16
    classes_per_batch: int = 10
    examples_per_class: int = 24
    steps_per_epoch: int = 0
    augmentation: Augmentation = "flip"
    dropout: float = 0.0
    patience: int = 0
    mixed_precision: bool = False
    reader: ReaderName = "arrow"
    deterministic: bool = True
    seed: int = 7

    @property
    def pixels(self) -> PixelSpec:
        """What the network sees."""
        return PixelSpec(self.height, self.width, self.channels, self.background)

    @property
    def colour_size(self) -> int:
        """Dimensions of the part of the embedding that holds colours."""
        return COLOURS if self.colour_share else 0

    @property
    def kept_size(self) -> int:
        """Dimensions of the part that is not learnt: half of what colours leave, or all of it where nothing is learnt."""
        rest = self.embedding_size - self.colour_size
        return (rest if self.detail_share == 1.0 else rest // 2) if self.detail_share else 0

    @property
    def learnt_size(self) -> int:
        """Dimensions of the part of the embedding that is learnt."""
        return self.embedding_size - self.colour_size - self.kept_size

    @property
    def kept_share(self) -> float:
        """How much the part that is not learnt counts in the similarity."""
        return (1.0 - self.colour_share) * self.detail_share

    @property
    def learnt_share(self) -> float:
        """How much the learnt part counts in the similarity."""
        return (1.0 - self.colour_share) * (1.0 - self.detail_share)

    @property
    def learns_from_features(self) -> bool:
        """Whether only a head is trained, on features that are computed once."""
        return self.backbone in LITE and not self.tuned_blocks

    @property
    def batch_size(self) -> int:
        """Images in a batch, P x K."""
        return self.classes_per_batch * self.examples_per_class

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> TrainConfig:
        """Build and validate a configuration from JSON values; fields that are absent have their defaults.

        Raises:
            ConfigurationError: A field is unknown or out of range, or two do not go together.
        """
        unknown = raw.keys() - {item.name for item in fields(cls)}
        if unknown:
            raise ConfigurationError(f"A training configuration has no field {min(unknown)!r}.")
        config = cls(**raw)
        validate(config)
        return config


# Name, smallest, largest: checked by ``validate`` and shown by the page's inputs.
RANGES: dict[str, tuple[float, float]] = {
    "height": (16, 384),
    "width": (16, 384),
    "embedding_size": (8, 1024),
    "detail_share": (0.0, 0.9),  # or 1, where nothing is trained: see READY_MADE
    "colour_share": (0.0, 0.9),
    "tuned_blocks": (0, 12),
    "edge_cells": (0, 3),
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


CHOICES: dict[str, tuple[Any, ...]] = {
    "backbone": get_args(Backbone),
    "pretrained": get_args(Pretrained),
    "loss": get_args(LossName),
    "distance": get_args(Distance),
    "optimizer": get_args(OptimizerName),
    "schedule": get_args(Schedule),
    "augmentation": get_args(Augmentation),
    "background": get_args(Background),
    "channels": (1, 3),
    "reader": get_args(ReaderName),
}


SWITCHES = ("mixed_precision", "deterministic")

# The distances that each loss can work with; the circle loss expects values between 0 and 2.
LOSS_DISTANCES: dict[LossName, tuple[Distance, ...]] = {
    **dict.fromkeys(get_args(LossName), get_args(Distance)),
    "circle": ("cosine", "euclidean"),
}


def validate(config: TrainConfig) -> None:
    """Check the type of every field, its value against its range or choices, and which fields go together.

    Raises:
        ConfigurationError: The first field that does not fit, with its value and what it may be.
    """
    for name, choices in CHOICES.items():
        value = getattr(config, name)
        if isinstance(value, bool) or value not in choices:
            offered = ", ".join(str(choice) for choice in choices)
            raise ConfigurationError(f"{name} must be one of {offered}, got {value!r}.", next_step=_NEXT)
    for name in SWITCHES:
        if not isinstance(getattr(config, name), bool):
            raise ConfigurationError(f"{name} must be true or false, got {getattr(config, name)!r}.", next_step=_NEXT)
    is_ready = config.backbone in LITE and config.detail_share == 1.0
    for name, (low, high) in RANGES.items():
        if name == "detail_share" and is_ready:
            continue
        _check_number(name, getattr(config, name), low, high)
    _check_together(config)


def _check_number(name: str, value: Any, low: float, high: float) -> None:
    whole = isinstance(getattr(_DEFAULTS, name), int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        kind = "whole number" if whole else "number"
        raise ConfigurationError(f"{name} must be a {kind}, got {value!r}.", next_step=_NEXT)
    if not low <= value <= high:
        raise ConfigurationError(f"{name} must be between {low:g} and {high:g}, got {value:g}.", next_step=_NEXT)


def _check_together(config: TrainConfig) -> None:
    """Check what single fields cannot show."""
    if config.distance not in LOSS_DISTANCES[config.loss]:
        raise ConfigurationError(
            f"The loss {config.loss} cannot work with the distance {config.distance}.",
            next_step=f"Use {' or '.join(LOSS_DISTANCES[config.loss])}.",
        )
    _check_network(config)
    _check_parts(config)


def _check_parts(config: TrainConfig) -> None:
    """Check what an embedding is made of."""
    is_lite = config.backbone in LITE
    if config.detail_share and not is_lite and config.backbone != "resnet":
        raise ConfigurationError(
            f"The network {config.backbone} has no early features to keep, but detail_share is {config.detail_share:g}.",
            next_step="Set detail_share to 0, or use the network resnet.",
        )
    if not is_lite:
        for name in ("colour_share", "tuned_blocks", "edge_cells"):
            if getattr(config, name):
                message = f"{name} needs a network with ready-made weights, and backbone is {config.backbone}."
                raise ConfigurationError(message, next_step=f"Set {name} to 0, or use one of {', '.join(LITE)}.")
    elif config.embedding_size - config.colour_size < SMALLEST_PARTS:
        message = f"{config.embedding_size} dimensions leave no room beside the {config.colour_size} of the colours."
        least = config.colour_size + SMALLEST_PARTS
        raise ConfigurationError(message, next_step=f"Set embedding_size to {least} or more.")


def _check_network(config: TrainConfig) -> None:
    """Check what a network needs of the pictures and has for weights."""
    if config.backbone in LITE:
        _check_lite(config, LITE[config.backbone].side)
        return
    if config.backbone not in APPLICATIONS:
        if config.pretrained != "none":
            raise ConfigurationError(
                f"There are no {config.pretrained} weights for the network {config.backbone}.",
                next_step=f"Set pretrained to none, or use one of {', '.join((*APPLICATIONS, *LITE))}.",
            )
        return
    _check_colour(config)
    if min(config.height, config.width) < APPLICATION_MIN_SIDE:
        raise ConfigurationError(
            f"The network {config.backbone} needs pictures of at least {APPLICATION_MIN_SIDE} x "
            f"{APPLICATION_MIN_SIDE} pixels, but these have {config.width} x {config.height}.",
            next_step="Set height and width higher; 96 is a good start.",
        )


def _check_lite(config: TrainConfig, side: int) -> None:
    _check_colour(config)
    if config.pretrained == "none":
        raise ConfigurationError(
            f'The network {config.backbone} is available only with ready-made weights, but pretrained is "none".',
            next_step="Set pretrained to imagenet.",
        )
    if (config.height, config.width, config.background) != (side, side, "any"):
        raise ConfigurationError(
            f"The weights of {config.backbone} were made for pictures of {side} x {side} pixels as they are.",
            next_step=f"Set height and width to {side}, and background to any.",
        )


def _check_colour(config: TrainConfig) -> None:
    if config.channels != 3:
        raise ConfigurationError(
            f"The network {config.backbone} accepts only colour pictures, but channels is {config.channels}.",
            next_step="Set channels to 3; grey pictures are then converted to three equal channels.",
        )


_DEFAULTS = TrainConfig()
