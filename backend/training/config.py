"""The training configuration: one frozen dataclass, named presets, and every range as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from backend.errors import ConfigurationError
from backend.imaging.spec import Background, PixelSpec

Application = Literal["mobilenet-v2", "efficientnet-v2-b0", "resnet50"]
Backbone = Literal["resnet", "seed-cnn", "seed-cnn-as-published", "mobilenet-v2", "efficientnet-v2-b0", "resnet50"]
Pretrained = Literal["none", "imagenet"]
LossName = Literal["multi-similarity+proxy", "multi-similarity", "triplet", "circle", "pn", "soft-nearest-neighbour"]
Distance = Literal["cosine", "euclidean", "squared-euclidean"]
OptimizerName = Literal["adam", "sgd"]
Schedule = Literal["constant", "one-cycle", "cosine"]
Augmentation = Literal["none", "flip", "flip-shift", "flip-shift-colour", "flip-crop", "flip-crop-erase"]
ReaderName = Literal["arrow", "petastorm"]

APPLICATIONS: tuple[Application, ...] = get_args(Application)
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
        detail_share: How much early features count in the similarity beside the learnt part; see
            :mod:`backend.training.detail`. 0 means not at all, and all dimensions are learnt.
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
    def learnt_size(self) -> int:
        """Dimensions of the part of the embedding that is learnt; the other half are early features, if they count."""
        return self.embedding_size - (self.embedding_size // 2 if self.detail_share else 0)

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
    "height": (16, 256),
    "width": (16, 256),
    "embedding_size": (8, 1024),
    "detail_share": (0.0, 0.9),
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


# What is either on or off.
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
    for name, (low, high) in RANGES.items():
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
    if config.detail_share and config.backbone != "resnet":
        raise ConfigurationError(
            f"The network {config.backbone} has no early features to keep, but detail_share is {config.detail_share:g}.",
            next_step="Set detail_share to 0, or use the network resnet.",
        )


def _check_network(config: TrainConfig) -> None:
    """Check what a network needs of the pictures and has for weights."""
    if config.backbone not in APPLICATIONS:
        if config.pretrained != "none":
            raise ConfigurationError(
                f"There are no {config.pretrained} weights for the network {config.backbone}.",
                next_step=f"Set pretrained to none, or use one of {', '.join(APPLICATIONS)}.",
            )
        return
    if config.channels != 3:
        raise ConfigurationError(
            f"The network {config.backbone} accepts only colour pictures, but channels is {config.channels}.",
            next_step="Set channels to 3; grey pictures are then converted to three equal channels.",
        )
    if min(config.height, config.width) < APPLICATION_MIN_SIDE:
        raise ConfigurationError(
            f"The network {config.backbone} needs pictures of at least {APPLICATION_MIN_SIDE} x "
            f"{APPLICATION_MIN_SIDE} pixels, but these have {config.width} x {config.height}.",
            next_step="Set height and width higher; 96 is a good start.",
        )


_DEFAULTS = TrainConfig()

PRESETS: dict[str, TrainConfig] = {
    # 0.5 costs little on labels that are trained on, and keeps those apart that are not: chosen on train pictures alone
    # by tests/benchmarks/detail_share.py. Twice the epochs go on helping until about here.
    "resnet": replace(_DEFAULTS, detail_share=0.5),
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
    # A few hundred photos make few steps an epoch, and must be seen from many sides.
    "resnet-photos": TrainConfig(
        preset="resnet-photos",
        height=48,
        width=48,
        channels=3,
        background="light",
        detail_share=0.5,
        epochs=40,
        classes_per_batch=10,
        examples_per_class=10,
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
