"""The commands of alerts: look once and send, and try the addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend.errors import EndpointUnreachable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.settings import Settings

Result = dict[str, Any]


def add_alerts(commands: Any, command: Callable[..., Any]) -> None:
    """Add ``alerts`` with its actions; ``command`` makes one with ``--json`` and a handler."""
    from backend.jobs.alerts.kinds import KINDS

    group = commands.add_parser("alerts", help="alerts to web addresses")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    command(actions, "run", "Look once and send what is due, where `run` does not keep the servers running.", run)
    tried = command(actions, "try", "Send a sample to every address, marked as a trial.", try_out)
    tried.add_argument("--kind", choices=list(KINDS), default="job", help="kind of alert, default job")


def run(_options: argparse.Namespace, settings: Settings) -> Result:
    """``alerts run``."""
    from backend.jobs.alerts.posting import targets
    from backend.jobs.alerts.watch import Alerts

    found = Alerts(settings).run()
    unsent = {one.shown: found.to(one).error for one in targets(settings) if found.to(one).waiting}
    return {"open": [one.text for one in found.open], "unsent": unsent}


def try_out(options: argparse.Namespace, settings: Settings) -> Result:
    """``alerts try``; fails if a sample did not arrive."""
    from backend.jobs.alerts import watch

    found = watch.try_out(settings, options.kind)
    if failed := [f"{address}: {why}" for address, why in found if why]:
        raise EndpointUnreachable(" ".join(failed), next_step="Check TWINSET_ALERT_URLS.")
    return {"arrived": [address for address, _ in found]}
