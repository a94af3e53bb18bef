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
    "Input": ("height", "width", "channels", "background"),
    "Network": ("backbone", "pretrained", "tuned_blocks", "edge_cells", "dropout", "detail_share", "colour_share"),
    "Loss": ("loss", "distance", "proxy_weight"),
    "Batches": ("classes_per_batch", "examples_per_class", "steps_per_epoch"),
    "Optimisation": ("optimizer", "learning_rate", "schedule", "weight_decay", "patience"),
    "Run": ("seed", "reader", "deterministic", "mixed_precision"),
}
MORE = tuple(name for names in GROUPS.values() for name in names)

HELP = {
    "epochs": "Passes over the training products. More epochs take longer and help up to a point.",
    "learning_rate": "The step size of the optimiser. Too high and training diverges; too low and it takes very long.",
    "classes_per_batch": "How many labels each batch contains.",
    "examples_per_class": "How many products of each label a batch contains.",
    "embedding_size": "Dimensions of the embedding. More capture finer differences but make the index larger.",
    "patience": "Epochs without improvement on the validation products before training stops early; 0 means never.",
    "loss": "What training minimises. The first choice compares products with each other and with a learned centre "
    "of their label; all others compare only products.",
    "distance": "The distance that the loss uses. Results are always ranked by cosine similarity.",
    "detail_share": "The weight of unlearned features in the embedding. More separates products of unseen labels "
    "better; only for the network resnet and the ready-made networks.",
    "colour_share": "The weight of the product's colours in the embedding; only for the ready-made networks.",
    "tuned_blocks": "How many of the last blocks of a ready-made network are trained along. 0 trains only a head, in "
    "seconds; 5 takes minutes and is more accurate.",
    "edge_cells": "How many cells at the edge of the last feature map of a ready-made network are left out: what is around "
    "a product says little about it.",
    "proxy_weight": "The weight of the class centres relative to the pairs; only for the loss that has them.",
    "optimizer": "Gradient descent needs a higher learning rate than Adam.",
    "schedule": "How the learning rate changes from the first step to the last.",
    "weight_decay": "How strongly large weights are penalised, against overfitting; 0 turns this off.",
    "augmentation": "Random changes to pictures during training, for more variety. The preview below shows them.",
    "dropout": "The share of units that are dropped at random during training.",
    "steps_per_epoch": "Batches per epoch; 0 means one full pass over the products.",
    "height": "Input height in pixels. A larger input shows finer details and takes longer.",
    "width": "Input width in pixels.",
    "channels": "Whether the network sees colour or only grey.",
    "background": "The background of the product photos. A grey network gets grey photos with the opposite "
    "background inverted; colour photos are never inverted.",
    "backbone": "The network architecture. The small ones suit small pictures and CPUs; the Keras networks need "
    "colour pictures of about 96 pixels, and time or a GPU. The ready-made networks suit photos.",
    "pretrained": "Whether training starts from ImageNet weights; those of the Keras networks are downloaded the "
    "first time, the ready-made networks come with theirs.",
    "mixed_precision": "Computes in bfloat16. About twice as fast on a recent NVIDIA GPU; not possible without one.",
    "reader": "The library that reads the catalogue's files. Both give the same batches.",
    "deterministic": "The same seed, data and machine give the same model, bit for bit. Turning this off may be "
    "faster on GPUs.",
    "seed": "The same seed, data and machine give the same initial weights.",
}
TITLES = {
    "augmentation": "Augmentation",
    "backbone": "Network",
    "channels": "Colour",
    "classes_per_batch": "Labels per batch",
    "examples_per_class": "Products per label",
    "pretrained": "Initial weights",
    "reader": "Reader",
    "deterministic": "Deterministic",
    "detail_share": "Weight of unlearned features",
    "colour_share": "Weight of colours",
    "tuned_blocks": "Tuned blocks",
    "edge_cells": "Edge cells left out",
    "proxy_weight": "Weight of class centres",
    "steps_per_epoch": "Batches per epoch",
}
WORDS: dict[str, dict[Any, str]] = {
    "augmentation": {
        "none": "None",
        "flip": "Flip",
        "flip-shift": "Flip, shift",
        "flip-shift-colour": "Flip, shift, brightness",
        "flip-crop": "Flip, crop",
        "flip-crop-erase": "Flip, crop, erase",
    },
    "backbone": {
        "resnet": "Small residual network",
        "seed-cnn": "One convolution, the original design",
        "seed-cnn-as-published": "The original design as published, with its error; for comparison only",
        "mobilenet-v2": "MobileNetV2 (Keras)",
        "efficientnet-v2-b0": "EfficientNetV2-B0 (Keras)",
        "resnet50": "ResNet50 (Keras)",
        "efficientnet-lite0": "EfficientNet-Lite0 (ready-made)",
        "efficientnet-lite1": "EfficientNet-Lite1 (ready-made)",
        "efficientnet-lite2": "EfficientNet-Lite2 (ready-made)",
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
    "schedule": {"constant": "Constant", "one-cycle": "One cycle", "cosine": "Cosine decay"},
    "background": {"dark": "Dark", "light": "Light", "any": "Any, never inverted"},
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
