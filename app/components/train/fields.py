"""One input for each field of the training configuration: its title, its help, and its choices in words.

Ranges and choices come from ``backend.training.config``; only the words are kept here.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.words import plain
from backend.training.config import CHOICES, RANGES, SWITCHES, TrainConfig

MAIN = ("epochs", "augmentation", "embedding_size")
GROUPS: dict[str, tuple[str, ...]] = {
    "What the network sees": ("height", "width", "channels", "background"),
    "The network": ("backbone", "pretrained", "dropout", "detail_share"),
    "What it is judged by while it learns": ("loss", "distance", "proxy_weight"),
    "A batch": ("classes_per_batch", "examples_per_class", "steps_per_epoch"),
    "How it learns": ("optimizer", "learning_rate", "schedule", "weight_decay", "patience"),
    "How it is run": ("seed", "reader", "deterministic", "mixed_precision"),
}
MORE = tuple(name for names in GROUPS.values() for name in names)

HELP = {
    "epochs": "Passes over the training products. More take longer and help up to a point.",
    "learning_rate": "How large the steps of learning are. Too high and training diverges; too low and it takes very long.",
    "classes_per_batch": "How many labels are compared at a time.",
    "examples_per_class": "How many products of each of these labels are compared at a time.",
    "embedding_size": "Numbers that describe a picture. More can tell finer differences and make a larger index.",
    "patience": "Epochs without improvement on the validation products before training stops; 0 means never.",
    "loss": "What counts as a mistake. The first choice compares products with each other and with a common centre of "
    "their label; all others compare products only.",
    "distance": "How far apart two products are, for the loss. Answers are always ranked by the cosine.",
    "detail_share": "How much what the network sees first counts beside what it has learnt. More keeps apart products of "
    "labels that it was not trained on; only for the network resnet.",
    "proxy_weight": "How much the common centres count beside the pairs; only for the loss that has them.",
    "optimizer": "How steps are made out of mistakes. Gradient descent needs a higher learning rate than Adam.",
    "schedule": "How the learning rate changes from the first step to the last.",
    "weight_decay": "How strongly large weights are pulled back, against learning products by heart; 0 means not.",
    "augmentation": "How pictures are changed at random during training, which shows the network more variety. "
    "The pictures below show it.",
    "dropout": "The share of the network that is left out at random while it learns.",
    "steps_per_epoch": "Batches an epoch; 0 means as many as make one pass.",
    "height": "Height in pixels of what the network sees. Larger shows finer details and takes longer.",
    "width": "Width in pixels of what the network sees.",
    "channels": "Whether the network sees colours.",
    "background": "What the products are photographed on; a network in grey sees grey photos on the other ground inverted; photos in colour are never inverted.",
    "backbone": "What looks at the pictures. The small ones suit small pictures and processors; the networks of Keras "
    "need pictures in colour, of 96 pixels or so, and patience or a GPU.",
    "pretrained": "Whether the network has seen ImageNet's million photos before; only the networks of Keras have. The "
    "weights are downloaded the first time.",
    "mixed_precision": "Computes in numbers of half the length. About twice as fast on a recent NVIDIA GPU, and not "
    "possible without one.",
    "reader": "What reads the files of the catalogue. Both give the same batches.",
    "deterministic": "The same seed, data and machine give the same model to the last bit. Off may be faster on GPUs.",
    "seed": "The same seed, data and machine give the same start.",
}
TITLES = {
    "augmentation": "Changes to pictures",
    "backbone": "Network",
    "channels": "Colour",
    "classes_per_batch": "Labels in a batch",
    "examples_per_class": "Products of each label",
    "pretrained": "Starts from",
    "reader": "Read with",
    "deterministic": "Repeatable to the bit",
    "detail_share": "Share of early features",
    "proxy_weight": "Weight of the centres",
    "steps_per_epoch": "Batches an epoch",
}
WORDS: dict[str, dict[Any, str]] = {
    "augmentation": {
        "none": "None",
        "flip": "Mirrored",
        "flip-shift": "Mirrored, moved",
        "flip-shift-colour": "Mirrored, moved, lit otherwise",
        "flip-crop": "Mirrored, cropped",
        "flip-crop-erase": "Mirrored, cropped, partly hidden",
    },
    "backbone": {
        "resnet": "Small residual network",
        "seed-cnn": "One convolution, the original design",
        "seed-cnn-as-published": "The original design with its mistake, for comparison only",
        "mobilenet-v2": "MobileNetV2 (Keras)",
        "efficientnet-v2-b0": "EfficientNetV2-B0 (Keras)",
        "resnet50": "ResNet50 (Keras)",
    },
    "pretrained": {"none": "Random weights", "imagenet": "ImageNet weights"},
    "loss": {
        "multi-similarity+proxy": "Multi-similarity and class centres",
        "multi-similarity": "Multi-similarity",
        "triplet": "Triplet",
        "circle": "Circle",
        "pn": "Positive-negative (PN)",
        "soft-nearest-neighbour": "Soft nearest neighbour",
    },
    "distance": {"cosine": "Cosine", "euclidean": "Euclidean", "squared-euclidean": "Squared Euclidean"},
    "optimizer": {"adam": "Adam", "sgd": "Gradient descent with momentum"},
    "schedule": {"constant": "Stays", "one-cycle": "Rises, then falls", "cosine": "Falls"},
    "background": {"dark": "Dark", "light": "Light", "any": "Anything, left as it is"},
    "channels": {1: "Grey", 3: "Colour"},
    "reader": {"arrow": "Arrow", "petastorm": "Petastorm"},
}


def title(name: str) -> str:
    """Return the title of a field."""
    return TITLES.get(name, name.replace("_", " ").capitalize())


def inputs(start: TrainConfig, names: tuple[str, ...]) -> dict[str, Any]:
    """Show the inputs of some fields beside each other and return their values."""
    values = {}
    with st.grid(min_column_width=190):
        for name in names:
            values[name] = _input(start, name)
    return values


def _input(start: TrainConfig, name: str) -> Any:
    value = getattr(start, name)
    # The preset is part of the key: another preset brings its own values.
    shared: dict[str, Any] = {"label": plain(title(name)), "help": HELP[name]}
    key = f"{start.preset}_{name}"
    if name in SWITCHES:
        return st.toggle(**shared, key=key, value=value)
    if name in CHOICES:
        choices = CHOICES[name]
        shown = WORDS[name].__getitem__
        return st.selectbox(**shared, options=choices, index=choices.index(value), format_func=shown, key=key)
    low, high = RANGES[name]
    if isinstance(value, int):
        return st.number_input(**shared, value=value, min_value=int(low), max_value=int(high), step=1, key=key)
    step = value / 10 or 0.05
    return st.number_input(**shared, value=value, min_value=low, max_value=high, step=step, format="%g", key=key)
