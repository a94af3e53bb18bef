"""The configuration of a small network for drawings in colour, trained from random weights."""

from __future__ import annotations

from backend.training.presets import preset

COLOUR = preset(
    "resnet",
    height=48,
    width=48,
    channels=3,
    background="light",
    detail_share=0.0,
    epochs=14,
    classes_per_batch=18,
    examples_per_class=6,
)
