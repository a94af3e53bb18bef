"""The one door to Hyperopt: its spaces, its algorithms, and its memory of trials, rebuilt from records.

Hyperopt numbers trials from 0, we from 1. It keeps indices for choices, and we never do: whatever leaves this module went
through ``space_eval`` and :meth:`backend.tuning.space.Space.clean`.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from backend.tuning.records import TrialRecord
from backend.tuning.task import result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from backend.tuning.folder import SweepFolder
    from backend.tuning.plan import Algorithm, SweepPlan
    from backend.tuning.space import Dimension, Space

NUMBER, VALUES = "number", "values"
FEWEST_AT_RANDOM, MOST_AT_RANDOM, SHARE_AT_RANDOM = 5, 20, 3
_LOUD = ("hyperopt", "hyperopt-spark", "hyperopt.fmin", "hyperopt.tpe")
_SEEDS = 15_485_863  # between a sweep's seed and those of its suggestions


class MayGoOn(Protocol):
    """Who decides whether another trial is begun."""

    def __call__(self, number: int) -> bool:
        """Whether the trial of that number may be."""


def hyperopt_space(space: Space) -> dict[str, Any]:
    """Return the space as Hyperopt takes it."""
    return {name: _parameter(name, dimension) for name, dimension in space.dimensions.items()}


def _parameter(name: str, dimension: Dimension) -> Any:
    from hyperopt import hp

    if dimension.kind == "choice":
        return hp.choice(name, list(dimension.values))
    low, high = dimension.low, dimension.high
    if dimension.kind in {"loguniform", "qloguniform"}:
        low, high = math.log(low), math.log(high)
    steps = (dimension.step,) if dimension.kind in {"quniform", "qloguniform"} else ()
    return getattr(hp, dimension.kind)(name, low, high, *steps)


def values_at(space: Space, point: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration's values for a point that Hyperopt chose."""
    from hyperopt import space_eval

    return space.clean(space_eval(hyperopt_space(space), point))


def algorithm(name: Algorithm, *, trials: int) -> Callable[..., list[dict[str, Any]]]:
    """Return what suggests points.

    TPE draws its first points at random, a third of the trials; Hyperopt's own 20 would leave a short sweep nothing else.
    """
    from hyperopt import rand, tpe

    if name == "random":
        return rand.suggest  # type: ignore[no-any-return]
    at_random = min(max(trials // SHARE_AT_RANDOM, FEWEST_AT_RANDOM), MOST_AT_RANDOM)
    return partial(tpe.suggest, n_startup_jobs=at_random, verbose=False)


@dataclass
class Suggestions:
    """What Hyperopt calls for the next point; it writes the trial down before anything runs it.

    Attributes:
        plan: Of the sweep.
        folder: Where trials are written down.
        may_go_on: Asked before each; a refusal ends the search, and trials that run go on to their end.
    """

    plan: SweepPlan
    folder: SweepFolder
    may_go_on: MayGoOn

    def __post_init__(self) -> None:
        from hyperopt.base import Domain

        self._domain = Domain(_nothing, hyperopt_space(self.plan.space))
        self._algorithm = algorithm(self.plan.algorithm, trials=self.plan.budget.trials)

    def __call__(self, new_ids: list[int], _domain: Any, trials: Any, _seed: int) -> list[dict[str, Any]]:
        """Suggest one point; the seed is the sweep's and the number's, so that a resumed sweep repeats none."""
        number = new_ids[0] + 1
        if not self.may_go_on(number):
            return []
        docs = self._algorithm(new_ids[:1], self._domain, trials, self.plan.seed * _SEEDS + number)
        point = {label: found[0] for label, found in docs[0]["misc"]["vals"].items() if found}
        record = new_record(self.plan, number, values_at(self.plan.space, point))
        self.folder.write_trial(record)
        return [_numbered(docs[0])]


def _nothing(_point: Any) -> float:
    """Stand for the objective where only points are suggested."""
    return 0.0


def new_record(plan: SweepPlan, number: int, values: dict[str, Any]) -> TrialRecord:
    """Return the record of a trial whose values were just chosen."""
    config = plan.config_of(number, values)
    return TrialRecord(number, values, config.seed, config.epochs, proposed_at=time.time())


def _numbered(doc: dict[str, Any]) -> dict[str, Any]:
    """Have the objective learn the trial's number, as one more value of its point; the algorithm never sees it."""
    misc = doc["misc"]
    misc["idxs"][NUMBER], misc["vals"][NUMBER] = [misc["tid"]], [misc["tid"] + 1]
    return doc


def search_space(space: Space) -> dict[str, Any]:
    """Return what the objective is called with: the values, and the number of the trial."""
    from hyperopt import hp

    return {VALUES: hyperopt_space(space), NUMBER: hp.randint(NUMBER, 2**31 - 1)}


def documents(plan: SweepPlan, records: Iterable[TrialRecord]) -> list[dict[str, Any]]:
    """Return Hyperopt's documents of trials: finished ones to learn from, all others to run first."""
    return [_document(plan.space, record) for record in records]


def _document(space: Space, record: TrialRecord) -> dict[str, Any]:
    from hyperopt import base

    tid, moment = record.number - 1, datetime.fromtimestamp(record.proposed_at, UTC).replace(tzinfo=None)
    point = space.point_of(record.values)
    is_done = record.state.is_finished
    return _numbered(
        {
            "state": base.JOB_STATE_DONE if is_done else base.JOB_STATE_NEW,
            "tid": tid,
            "spec": None,
            "result": result_of(record) if is_done else {"status": base.STATUS_NEW},
            "misc": {
                "tid": tid,
                "cmd": ("domain_attachment", "FMinIter_Domain"),
                "workdir": None,
                "idxs": {name: [tid] for name in point},
                "vals": {name: [value] for name, value in point.items()},
            },
            "exp_key": None,
            "owner": None,
            "version": 0,
            "book_time": moment,
            "refresh_time": moment,
        }
    )


def filled(trials: Any, plan: SweepPlan, records: Iterable[TrialRecord]) -> Any:
    """Put what is known of earlier trials into Hyperopt's memory, so that it goes on from there."""
    trials.insert_trial_docs(documents(plan, records))
    trials.refresh()
    return trials


def minimise(task: Callable[[dict[str, Any]], Any], suggestions: Suggestions, trials: Any) -> None:
    """Run ``fmin`` until no further trial is suggested and all that run have ended.

    Args:
        task: Runs a point.
        suggestions: Says which, and when there are enough.
        trials: Serial ``Trials`` or ``SparkTrials``.
    """
    import numpy as np
    from hyperopt import fmin
    from hyperopt.exceptions import AllTrialsFailed

    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what becomes of trials is in their records
    with suppress(AllTrialsFailed):  # it looks for the best one; that there is none, the records tell
        fmin(
            task,
            search_space(suggestions.plan.space),
            algo=suggestions,
            trials=trials,
            rstate=np.random.default_rng(suggestions.plan.seed),
            verbose=False,
            show_progressbar=False,
            return_argmin=False,
        )
