"""The commands about models: ``models`` lists, shows, promotes, rolls back and rebuilds; ``deploy`` registers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from backend.bundles.bundle import survey
from backend.cli.options import add_model
from backend.cli.running import carry_out
from backend.cli.text import as_lines
from backend.errors import RegistryError, UsageError
from backend.errors.addresses import shown
from backend.flow.requests import DeleteRequest, DeployRequest, PromoteRequest, RebuildRequest, RollbackRequest

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from backend.registry.ledger import Ledger, RegisteredVersion
    from backend.settings import Settings

Result = dict[str, Any]
_LISTED = ("test.precision_at_1", "test.map_at_r", "val.precision_at_1", "val.map_at_r")
_REPLACE = "publish it even if the champion answers from another catalogue"
_REASON = "publish it even if a check fails, for this reason; kept with the version and in the history"


def add_registry(commands: Any, command: Callable[..., Any]) -> None:
    """Add the commands; ``command`` makes one that has ``--json``."""
    deploying = command(commands, "deploy", "Register a model and serve it if it passes the checks.", deploy)
    add_model(deploying)
    deploying.add_argument("--alias", default="champion", metavar="ALIAS")
    deploying.add_argument("--reason", default="", help=_REASON)
    deploying.add_argument("--replace-catalogue", action="store_true", help=_REPLACE)
    models = command(commands, "models", "List the models and the registered versions, newest first.", list_models)
    models.set_defaults(show=_list_as_lines)
    actions = models.add_subparsers(metavar="ACTION")
    command(actions, "list", "List them; same as without an action.", list_models).set_defaults(show=_list_as_lines)
    showing = command(actions, "show", "Show the card of a registered version, or of a model.", show)
    _add_version(showing)
    showing.add_argument("--markdown", action="store_true", help="print the model card, in Markdown")
    showing.set_defaults(show=_card_as_lines)
    promoting = command(actions, "promote", "Move an alias to a registered version if it passes the checks.", promote)
    promoting.add_argument("version", type=int, metavar="VERSION")
    promoting.add_argument("--alias", default="champion", metavar="ALIAS")
    promoting.add_argument("--reason", default="", help=_REASON)
    promoting.add_argument("--replace-catalogue", action="store_true", help=_REPLACE)
    back = command(actions, "rollback", "Move an alias back to its previous version.", roll_back)
    back.add_argument("--alias", default="champion", metavar="ALIAS")
    signing = command(
        actions,
        "sign",
        "Sign a version that another machine or an earlier Twinset registered, to allow serving it.",
        sign,
    )
    signing.add_argument("version", type=int, metavar="VERSION")
    deleting = command(
        actions, "delete", "Permanently delete a model or an unfinished training, unless something needs it.", delete
    )
    add_model(deleting, help_text="name of the model or of the training", bare=True)
    again = command(
        actions, "rebuild", "Train and index a model again from its card, and list the differences.", rebuild
    )
    _add_version(again)
    again.add_argument(
        "--name", default="", help="name of the new model; default: from the old name and the current time"
    )


def _add_version(command: Any) -> None:
    command.add_argument(
        "which", nargs="?", default="", metavar="VERSION", help="number or alias of a registered version"
    )
    add_model(command, help_text="name of a model, registered or not; default without VERSION: the newest")


def deploy(options: argparse.Namespace, settings: Settings) -> Result:
    """``deploy``."""
    return carry_out(DeployRequest(options.model, options.alias, options.reason, options.replace_catalogue), settings)


def delete(options: argparse.Namespace, settings: Settings) -> Result:
    """``models delete``.

    Raises:
        UsageError: No model is named; the newest is not meant by that.
    """
    if not options.model:
        raise UsageError("No model is given.", next_step="Add --model NAME.")
    return carry_out(DeleteRequest(model=options.model), settings)


def list_models(_options: argparse.Namespace, settings: Settings) -> Result:
    """``models`` and ``models list``."""
    from backend.registry.history import load_ledger

    shown = ("name", "created_at", "metrics", "run_id")
    found = survey(settings.models_dir)
    ledger = load_ledger(settings)
    return {
        "models": [{name: getattr(manifest, name) for name in shown} for manifest in found.bundles],
        "left_out": [asdict(one) for one in found.left_out],
        "versions": [_version(one) for one in ledger.versions],
        "history": [asdict(event) for event in ledger.events],
    }


def show(options: argparse.Namespace, settings: Settings) -> Result:
    """``models show``."""
    from backend.bundles.bundle import verify
    from backend.flow.named import model_folder
    from backend.registry.card import as_markdown, card_of, lineage
    from backend.registry.history import load_ledger

    ledger = load_ledger(settings)
    version = _asked_version(options, ledger)
    if version is None:
        folder = model_folder(settings, options.model or options.which)
        card = card_of(folder, verify(folder))
        text = as_markdown(card) if options.markdown else ""
        return {"card": asdict(card), "lineage": lineage(card), "markdown": text}
    if version.card is None:
        raise RegistryError(version.refused or f"The card of version {version.version} cannot be read.")
    endpoint = shown(settings.effective_endpoint_url) if "champion" in version.aliases else ""
    text = as_markdown(version.card, name=ledger.name, version=version.version, endpoint=endpoint)
    return {
        **_version(version),
        "checks": [asdict(check) for check in version.checks],
        "card": asdict(version.card),
        "lineage": lineage(version.card, endpoint=endpoint),
        "markdown": text if options.markdown else "",
    }


def promote(options: argparse.Namespace, settings: Settings) -> Result:
    """``models promote``."""
    return carry_out(
        PromoteRequest(options.version, options.alias, options.reason, options.replace_catalogue), settings
    )


def roll_back(options: argparse.Namespace, settings: Settings) -> Result:
    """``models rollback``."""
    return carry_out(RollbackRequest(options.alias), settings)


def sign(options: argparse.Namespace, settings: Settings) -> Result:
    """``models sign``."""
    from backend.registry.fetching import sign_version

    signed = sign_version(settings, options.version)
    return {"registered_model": signed.name, "version": signed.version, "model": signed.model}


def rebuild(options: argparse.Namespace, settings: Settings) -> Result:
    """``models rebuild``."""
    from backend.registry.history import load_ledger

    version = _asked_version(options, load_ledger(settings)) if options.which else None
    number, model = (version.version, "") if version else (0, options.model or options.which)
    return carry_out(RebuildRequest(version=number, model=model, name=options.name), settings)


def _asked_version(options: argparse.Namespace, ledger: Ledger) -> RegisteredVersion | None:
    """Return the registered version that is named by number or alias; None where a model is named."""
    if options.model or not options.which:
        return None
    return ledger.version(int(options.which)) if options.which.isdecimal() else ledger.at(options.which)


def _version(version: RegisteredVersion) -> Result:
    return {
        "version": version.version,
        "model": version.model,
        "aliases": ", ".join(version.aliases),
        "registered_at": version.registered_at,
        "gate": "not ours" if version.refused else _gate(version),
        "reason": version.refused or version.reason,
    }


def _gate(version: RegisteredVersion) -> str:
    if not version.checks:
        return "not asked"
    return "passed" if all(check.passed for check in version.checks) else "refused"


def _list_as_lines(result: Result) -> str:
    models = [
        {
            "name": model["name"],
            "trained": model["created_at"],
            **{name: model["metrics"].get(name) for name in _LISTED},
            "run_id": model["run_id"],
        }
        for model in result["models"]
    ]
    return as_lines({**result, "models": models}) if models or result["left_out"] else "There is no model yet."


def _card_as_lines(result: Result) -> str:
    if result["markdown"]:
        return str(result["markdown"])
    shown = {name: value for name, value in result.items() if name not in {"card", "markdown", "lineage"}}
    return as_lines({**shown, **result["lineage"], **{f"metric {k}": v for k, v in result["card"]["metrics"].items()}})
