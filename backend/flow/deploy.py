"""The steps that register models and move aliases: from a typed request to a version that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend.bundles import bundle
from backend.errors import EndpointUnreachable, PromotionRefused
from backend.errors.addresses import shown
from backend.flow.index import is_answered_with, refresh_index
from backend.flow.named import model_folder
from backend.flow.requests import DeployRequest
from backend.progress import Span
from backend.registry.ledger import CHALLENGER, CHAMPION

if TYPE_CHECKING:
    from backend.flow.requests import PromoteRequest, RefreshRequest, RollbackRequest
    from backend.progress import Progress
    from backend.registry.promotion import Promotion
    from backend.settings import Settings


def deploy_step(request: DeployRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Register the bundle, move the alias to it if the gate allows, and have a running local endpoint take it up.

    A version that the gate refuses stays registered, as the challenger.
    """
    from backend.registry.model_registry import register_bundle
    from backend.registry.promotion import promote, require_same_catalogue

    folder = model_folder(settings, request.model)
    may_replace = request.replace_catalogue or bool(request.reason.strip())
    if request.alias == CHAMPION and not may_replace:
        require_same_catalogue(settings, bundle.read_manifest(folder).catalogue.name)
    registering, moving = Span.split(progress, [("", 80), ("", 20)])
    number = register_bundle(settings, folder, progress=registering).version
    try:
        done = promote(
            settings,
            number,
            alias=request.alias,
            reason=request.reason,
            replace_catalogue=request.replace_catalogue,
            progress=moving,
        )
    except PromotionRefused as error:
        promote(settings, number, alias=CHALLENGER, progress=moving)
        message = f"{error.message} It is registered and is now the challenger."
        raise PromotionRefused(message, next_step=error.next_step) from error
    return {"model": folder.name, **_result(done, settings)}


def refresh_step(request: RefreshRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Bring a model's index up to date; where it is what answers, deploy it again, so that the endpoint takes it up."""
    refreshing, deploying = Span.split(progress, [("", 60), ("Deploying", 40)])
    result = refresh_index(request, settings, refreshing)
    folder = model_folder(settings, result["model"])
    if request.deploy and is_answered_with(folder, settings, alias=request.alias):
        deployed = deploy_step(DeployRequest(model=folder.name, alias=request.alias), settings, deploying)
        return {**deployed, **result, "registered_version": deployed["version"]}
    return result


def promote_step(request: PromoteRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Move an alias to a registered version that passes the gate, or past it for a reason."""
    from backend.registry.promotion import promote

    done = promote(
        settings,
        request.version,
        alias=request.alias,
        reason=request.reason,
        replace_catalogue=request.replace_catalogue,
        progress=progress,
    )
    return {"model": done.version.model, **_result(done, settings)}


def rollback_step(request: RollbackRequest, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Move an alias back to where it stood before."""
    from backend.registry.promotion import roll_back

    done = roll_back(settings, alias=request.alias, progress=progress)
    return {"model": done.version.model, **_result(done, settings)}


def _result(done: Promotion, settings: Settings) -> dict[str, Any]:
    version = done.version
    return {
        "registered_model": version.name,
        "version": version.version,
        "alias": version.alias,
        "before": done.before,
        "checks": [f"{check.name}: {check.says}" for check in done.checks],
        "reason": done.reason,
        "endpoint": _taken_up(settings) if version.alias == CHAMPION else "",
    }


def _taken_up(settings: Settings) -> str:
    """Have the endpoint take up the alias, and say where that was."""
    from backend.serving.clients import local_client
    from backend.serving.scoring_client import is_scoring_url

    if is_scoring_url(settings.effective_endpoint_url):
        return "chooses versions by its own rules"
    try:
        local_client(settings).reload()
    except EndpointUnreachable:
        return "not running"  # nothing to reload: the endpoint reads the alias when it starts
    return shown(settings.effective_endpoint_url)
