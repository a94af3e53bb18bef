"""Jobs of all kinds killed at random moments: ``python -m tests.benchmarks.crash --json`` (``--seconds``, ``--kills``).

A home with something of everything is made once: a catalogue that Spark loaded, models trained, indexed and evaluated,
versions in the registry, sweeps, a map, and a catalogue of a shop's feed on the web, which is served here on loopback and has
changed since. For every round it is copied, and jobs of one kind are killed in it one after
another, the worker alone or all that it started, half of them after a random time, half after a random number of changes
in the home's folders, which is where something is being written. After each kill and what a next start does, all is read
as the product reads it: catalogues, bundles with every hash, maps, sweeps, the registry and what screens show of it. What
the job may not change must be as before. A walk over the home, the folder for temporary files, MLflow and the processes
says what does not belong there. The last job of a round is not killed, and must succeed.

``lost`` counts what could not be read or was another, ``left_behind`` what did not belong; ``ratio`` is 1 while both are 0
and every job that was not killed succeeded.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.settings import load_settings
from tests.fixtures.base import an_administrator_asks, settings_for
from tests.support import crash_home, picture_shop
from tests.support.benchmarking import machine, told
from tests.support.crashes import HEAVY, LIGHT, Campaign, Found
from tests.support.picture_host import HOST, picture_host

ASKED = {"kills": 400, "lost": 0, "left_behind": 0}
MOST_KILLS = 5  # in one round


def run(place: Path, options: argparse.Namespace) -> Found:
    """Make the home, and kill until there is no time or no kill left."""
    settings = replace(
        settings_for(place / "home"),
        endpoint_retries=0,
        source_roots=str(place),
        device="cpu",
        job_heartbeat_s=0.5,
        picture_hosts=HOST,
    )
    crash_home.own_temporary(place / "tmp")
    with picture_host() as host:
        picture_shop.serve(host)
        command = None if options.light else picture_shop.worker(host)
        if not (place / "warm").is_dir():
            crash_home.build(settings, full=not options.light, command=command)
            settings.home.rename(place / "warm")
        picture_shop.change(host, 2)
        return killed(Campaign(settings, place / "warm", place / "tmp", seed=options.seed, command=command), options)


def killed(campaign: Campaign, options: argparse.Namespace) -> Found:
    """Kill jobs of the kinds that are asked for until there is no time or no kill left."""
    kinds = [kind for kind in (LIGHT if options.light else (*LIGHT, *HEAVY)) if kind.name not in options.without]
    draw, ends_at = random.Random(options.seed), time.monotonic() + options.seconds
    while (left := options.kills - campaign.found.count) > 0 and time.monotonic() < ends_at:
        (kind,) = draw.choices(kinds, [1 / kind.usual_s**0.5 for kind in kinds])
        campaign.round(kind, min(draw.randint(1, MOST_KILLS), left))
        if options.verbose:
            print(f"{kind.name}: {campaign.found}", file=sys.stderr, flush=True)
    return campaign.found


def result_of(found: Found, options: argparse.Namespace, seconds: float) -> dict[str, Any]:
    """Return the figures."""
    is_clean = not (found.lost or found.left_behind or found.not_succeeded)
    figures = {
        "kills": found.count,
        "lost": len(found.lost),
        "left_behind": len(found.left_behind),
        "succeeded_afterwards": found.succeeded,
        "failed_afterwards": len(found.not_succeeded),
        "came_late": found.came_late,
        "by_kind": dict(sorted(found.kills.items())),
        "examples": [*found.lost[:5], *found.left_behind[:5], *found.not_succeeded[:5]],
        "seconds": round(seconds),
        "seed": options.seed,
        "asked": ASKED,
    }
    ratio = 1.0 if is_clean else 0.0
    return {
        "bench": "crash",
        "ratio": ratio,
        "ci95": [ratio, ratio],
        "correct": is_clean,
        "figures": figures,
        "machine": machine(),
    }


def main() -> int:
    """Run from the command line; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON, last")
    parser.add_argument("--seconds", type=float, default=3600.0, help="no round begins after so long, default 3600")
    parser.add_argument("--kills", type=int, default=ASKED["kills"])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--light", action="store_true", help="only kinds of jobs that need no Spark")
    parser.add_argument("--without", nargs="*", default=["demo"], help="kinds to leave out, default demo")
    parser.add_argument(
        "--place", type=Path, help="folder to work in; the home that is made there serves the next run, too"
    )
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    an_administrator_asks()
    load_settings(os.environ)  # what is wrong with them is said before the work begins
    started = time.monotonic()
    if options.place is not None:
        found = run(options.place.absolute(), options)
    else:
        with tempfile.TemporaryDirectory(prefix="crash-") as place:
            found = run(Path(place), options)
    result = result_of(found, options, time.monotonic() - started)
    print(told(result, as_json=options.json))
    return 0 if result["correct"] else 1


if __name__ == "__main__":
    sys.exit(main())
