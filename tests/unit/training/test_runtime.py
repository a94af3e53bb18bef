"""The door to TensorFlow: what a process computes on, and how much of a card it takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from backend.errors import ConfigurationError, EnvironmentUnready
from backend.settings import device_setting
from backend.training.config import TrainConfig
from backend.training.ranks.preflight import Machine, preflight, too_few_cards
from backend.training.ranks.ranks import _own_card
from backend.training.runtime import _choose, use_device

SHOP = {label: {"train": 600, "validation": 60} for label in ("hat", "shoe", "bag")}
RESNET = TrainConfig()


class Cards:
    """``tf.config`` of a machine with cards, which no test may count on: it remembers what it is told."""

    def __init__(self, count, *, runs=False):
        self.cards, self.seen, self.growing, self.runs = [f"card {n}" for n in range(count)], None, [], runs
        self.config = self.experimental = self

    def list_physical_devices(self, kind):
        assert kind == "GPU"
        return self.cards

    def set_visible_devices(self, cards, kind):
        assert kind == "GPU"
        if self.runs:
            raise RuntimeError("Visible devices cannot be modified after being initialized")
        self.seen = cards

    def get_visible_devices(self, kind):
        assert kind == "GPU"
        return self.seen or self.cards

    def set_memory_growth(self, card, enable):
        assert enable
        self.growing.append(card)

    def get_device_details(self, _card):
        return {"compute_capability": (9, 0)}


@pytest.mark.parametrize(
    ("device", "count", "place", "seen"),
    [("cpu", 2, 0, []), ("auto", 0, 0, []), ("auto", 2, 1, ["card 1"]), ("gpu", 2, 5, ["card 1"])],
)
def test_a_training_sees_its_own_card_only_and_takes_memory_as_it_needs_it(device, count, place, seen):
    machine = Cards(count)
    use_device(machine, device, RESNET, place=lambda found: place if found == count else -1)
    assert (machine.seen, machine.growing) == (seen, seen)


def test_a_process_that_already_runs_goes_on_and_says_so_where_it_matters(caplog):
    machine = Cards(1, runs=True)
    _choose(machine, ["card 0"])
    assert not caplog.records
    _choose(machine, [])
    assert "keeps its devices" in caplog.text


def test_a_wish_for_a_card_that_is_not_there_is_refused():
    with pytest.raises(EnvironmentUnready, match="TensorFlow finds none"):
        use_device(Cards(0), "gpu", RESNET)


@pytest.mark.parametrize(
    ("asked", "found"), [("cpu", "cpu"), ("gpu", "gpu"), ("", "auto"), ("a toaster", "auto"), (None, "auto")]
)
def test_a_process_without_settings_hears_the_variable(monkeypatch, tmp_path, asked, found):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TWINSET_DEVICE", raising=False)
    if asked is not None:
        monkeypatch.setenv("TWINSET_DEVICE", asked)
    assert device_setting() == found


ASK = """
import json, os
import backend.training.runtime as door
chosen = []
real = door._choose
door._choose = lambda tf, gpus: (chosen.append(len(gpus)), real(tf, gpus))
from backend.errors import EnvironmentUnready
try:
    door.loaded()
except EnvironmentUnready as error:
    early = error.message
tf = door.prepare_tensorflow(1)
told = {"early": early, "growth": os.environ["TF_FORCE_GPU_ALLOW_GROWTH"], "visible": tf.config.get_visible_devices("GPU")}
print(json.dumps({**told, "chosen": chosen, "same": door.loaded() is tf}))
"""


@pytest.mark.tf
def test_a_bare_process_that_answers_takes_no_card_it_may_not_and_no_more_memory_than_it_needs(repository, tmp_path):
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(repository)}
    environ |= {"TWINSET_DEVICE": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told.pop("early").startswith("TensorFlow has not been prepared")
    assert told == {"growth": "true", "visible": [], "chosen": [0], "same": True}


# ------------------------------------------------------------------------------------------------- workers and cards


def problems(machine, workers, config=RESNET):
    return [problem.message for problem in preflight(config, SHOP, machine, workers=workers).problems]


def test_more_workers_than_cards_on_one_machine_are_refused_with_the_number_that_fits():
    assert problems(Machine(gpus=0), 2) == problems(Machine(gpus=2), 2) == problems(Machine(gpus=1), 1) == []
    assert problems(Machine(gpus=1, is_shared=False), 2) == []  # Spark's machines have their own
    (found,) = preflight(RESNET, SHOP, Machine(gpus=1), workers=2).problems
    assert found.message == too_few_cards(2, 1).message
    assert "it has one graphics card that TensorFlow can use" in found.message
    assert found.next_step == "Use 1 worker, or set TWINSET_DEVICE to cpu."


def test_a_rank_refuses_to_share_a_card_before_it_joins_the_others():
    with pytest.raises(ConfigurationError, match="3 workers were requested on one machine, but it has 2 graphics"):
        _own_card(1, 3, 2)
    assert _own_card(1, 2, 2) == 1


@pytest.mark.parametrize("workers", [0, -2])
def test_no_worker_trains_nothing(workers):
    assert problems(Machine(), workers) == [f"{workers} workers were requested, but a training needs at least one."]


def test_a_network_whose_statistics_cannot_be_synchronised_is_refused_before_spark_starts():
    config = TrainConfig(backbone="mobilenet-v2", height=64, width=64, channels=3)
    (said,) = problems(Machine(), 2, config)
    assert said.startswith("The network mobilenet-v2 uses batch statistics")
    assert problems(Machine(), 1, config) == []


def test_workers_on_a_machine_whose_name_has_no_address_are_refused(monkeypatch):
    import socket

    def fails(*_):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    (found,) = preflight(RESNET, SHOP, Machine(), workers=2).problems
    assert f"The name of this machine, {socket.gethostname()}, has no address" in found.message
    assert "/etc/hosts, or train with one worker" in found.next_step
    assert problems(Machine(), 1) == []
