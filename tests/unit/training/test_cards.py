"""Which graphics cards TensorFlow can use, and what is said of one that lies idle."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.jobs import readiness
from backend.training import cards
from backend.training.cards import Cards, look_at_cards
from backend.training.config import TrainConfig
from backend.training.ranks import preflight as before

SHOP = {label: {"train": 600, "validation": 60} for label in ("hat", "shoe", "bag")}
IDLE = Cards(0, 1, "it cannot find libcudnn.so.9")


def device_files(folder, *names):
    for name in names:
        (folder / name).touch()
    return folder


def test_without_a_card_nothing_is_asked_and_nothing_said(tmp_path, monkeypatch):
    monkeypatch.setattr(cards, "_asked", lambda: pytest.fail("TensorFlow was asked"))
    found = look_at_cards(device_files(tmp_path, "nvidiactl", "null"))
    assert (found, found.sentence, found.next_step) == (Cards(), "", "")


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_cards_that_are_hidden_do_not_count(tmp_path, monkeypatch, hidden):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    found = look_at_cards(device_files(tmp_path, "nvidia0", "nvidia1"))
    assert (found.usable, found.present) == (0, 2)
    assert "There are 2 graphics cards, but TensorFlow cannot use them: CUDA_VISIBLE_DEVICES is" in found.sentence


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ("W Could not load dynamic library 'libcudnn.so.9'; dlerror: no such file", "it cannot find libcudnn.so.9"),
        ("W Cannot dlopen some GPU libraries. Please", "it cannot find some of the CUDA and cuDNN libraries"),
        (
            "E failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (303)",
            "it cannot find the NVIDIA driver (libcuda.so.1)",
        ),
        (
            "E failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected",
            "the driver says CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected, with CUDA_VISIBLE_DEVICES=7",
        ),
        ("", "it gives no reason, with CUDA_VISIBLE_DEVICES=7"),
    ],
)
def test_what_tensorflow_says_becomes_what_is_missing(said, missing):
    assert cards._missing(said, "7") == missing


@pytest.mark.tf
def test_tensorflow_itself_is_asked_about_a_card(tmp_path, monkeypatch):
    """A file as of a card, and this machine's TensorFlow, whatever it has: one usable, or a sentence about why not."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = look_at_cards(device_files(tmp_path, "nvidia0"))
    assert found.present == 1
    assert bool(found.usable) != bool(found.missing)
    assert not found.missing or "it cannot find" in found.missing or "the driver says" in found.missing


def test_an_idle_card_is_said_by_doctor_and_before_a_training_unless_none_is_wanted(settings, monkeypatch):
    monkeypatch.setattr(readiness, "look_at_cards", lambda: IDLE)
    monkeypatch.setattr(before, "look_at_cards", lambda: IDLE)
    (check,) = [check for check in readiness.checks(settings) if check.name == "Graphics card"]
    assert (check.ok, check.detail) == (False, IDLE.sentence)
    assert "requirements-gpu.txt" in check.fix
    machine = before.this_machine(settings.home)
    assert (machine.gpus, machine.idle_cards) == (0, f"{IDLE.sentence} {IDLE.next_step}")
    assert machine.idle_cards in before.preflight(TrainConfig(), SHOP, machine).notes
    on_processors = replace(settings, device="cpu")
    assert "Graphics card" not in [check.name for check in readiness.checks(on_processors)]
    assert before.this_machine(settings.home, device="cpu").idle_cards == ""


def test_a_usable_card_is_named_by_doctor(settings, monkeypatch):
    monkeypatch.setattr(readiness, "look_at_cards", lambda: Cards(1, 2))
    (check,) = [check for check in readiness.checks(settings) if check.name == "Graphics card"]
    assert (check.ok, check.detail) == (True, "TensorFlow can use 1 of 2")
