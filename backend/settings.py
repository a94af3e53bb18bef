"""Every setting: name, default, help. Read once, passed on; nothing else looks at the environment.

A setting ``spark_master`` is read from ``TWINSET_SPARK_MASTER``, first in the environment, then in the file ``.env`` of
the checkout. ``make docs`` writes the fields below into docs/reference/settings.md.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import SettingsError
from backend.errors.addresses import connectable
from backend.files.home import HomeFolders, require_known_format
from backend.files.secret import SecretStr
from backend.files.storage import check_folders, without_dots
from backend.files.variables import read_dotenv, with_files

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEVICES", "PREFIX", "ROOT", "SecretStr", "Settings", "device_setting", "load_settings"]
PREFIX = "TWINSET_"
MAX_PORT = 65535
ROOT = Path(__file__).resolve().parents[1]
_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
DEVICES = ("auto", "cpu", "gpu")
_CHOICES = {
    "device": DEVICES,
    "log_format": ("text", "json"),
    "log_level": ("DEBUG", "INFO", "WARNING", "ERROR"),
    "default_role": ("", "viewer", "merchandiser", "engineer", "admin"),  # of backend.access.person
}


def _setting(default: Any, help_text: str) -> Any:
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True, slots=True)
class Settings(HomeFolders):
    """All settings of Twinset; build it with :func:`load_settings`."""

    home: Path = _setting(Path(".twinset"), "Folder for all state: catalogues, runs, jobs, logs, models.")
    cache_dir: Path = _setting(Path(), "Folder for downloads, JARs and wheels; empty means the user's cache directory.")
    fashion_mnist_dir: str = _setting("", "Folder with the four official Fashion-MNIST files; empty means download.")
    fashion_mnist_url: str = _setting(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com", "URL from which Fashion-MNIST is downloaded."
    )
    model_name: str = _setting("twinset", "Name of the registered model whose `champion` alias is served.")
    source_roots: str = _setting(
        "", "Folders on the server that the Catalogue page may load from, separated by colons; empty means none."
    )
    max_source_upload_mb: int = _setting(500, "Largest product file that the Catalogue page accepts, in megabytes.")
    picture_hosts: str = _setting(
        "",
        "Hosts that pictures may be fetched from, separated by commas: cdn.shop.example, or *.shop.example for all below it; empty means that nothing is fetched.",
    )
    picture_connections: int = _setting(
        8, "Pictures fetched from one host at the same time; 2 from hosts not named above."
    )
    tracking_uri: str = _setting("", "MLflow tracking and registry URI; empty means SQLite below the home folder.")
    artifact_uri: str = _setting("", "Where MLflow keeps artifacts; empty means below the home folder.")
    registry_key: SecretStr = _setting(SecretStr(""), "Key that signs registered versions; empty means the home's own.")
    spark_master: str = _setting("local[*]", "Spark master: local[*], spark://host:port, yarn, k8s://…")
    spark_driver_memory: str = _setting("2g", "Memory of the Spark driver.")
    spark_conf: str = _setting(
        "", "Additional Spark configuration: `key=value` pairs separated by semicolons or lines."
    )
    host: str = _setting("127.0.0.1", "Address that the endpoint listens on; MLflow stays on 127.0.0.1.")
    app_host: str = _setting("127.0.0.1", "Address that the app listens on; other machines reach it only with sign-in.")
    app_url: str = _setting(
        "", "URL at which users open the app, such as https://twinset.example; empty means its own host and port."
    )
    sign_in: str = _setting(
        "",
        "How users sign in to the app: oidc (OpenID Connect), address (one-time addresses), or off, on this machine only; empty means oidc if a provider is set, otherwise address.",
    )
    session_hours: float = _setting(12.0, "Hours after which a user signs in to the app again.")
    oidc_metadata_url: str = _setting(
        "", "URL of the OpenID Connect provider's metadata; it ends in /.well-known/openid-configuration."
    )
    oidc_client_id: str = _setting("", "Client id that the provider has given this app.")
    oidc_client_secret: SecretStr = _setting(SecretStr(""), "Client secret that the provider has given this app.")
    oidc_scopes: str = _setting("openid email profile", "Scopes that are requested from the provider.")
    oidc_name_claim: str = _setting("email", "Claim that names a user; an e-mail address must be verified.")
    oidc_role_claim: str = _setting("", "Claim that lists groups or roles; empty means the list of people decides.")
    oidc_roles: str = _setting(
        "",
        "What values of that claim mean, such as shop-team=merchandiser, separated by commas; the highest role counts.",
    )
    default_role: str = _setting(
        "", "Role of people who sign in without any: viewer, merchandiser, engineer or admin; empty means no access."
    )
    allowed_hosts: str = _setting("", "Further host names that are accepted, as those of a proxy, separated by commas.")
    proxies: str = _setting(
        "", "Addresses or networks of reverse proxies whose X-Forwarded-… headers are believed, separated by commas."
    )
    app_port: int = _setting(8501, "Port of the app.")
    app_path: str = _setting("", "Path below which a proxy serves the app, such as /twinset; empty means its root.")
    endpoint_port: int = _setting(8601, "Port of the recommendation endpoint.")
    endpoint_path: str = _setting("", "Path below which a proxy serves the endpoint, such as /twinset-api.")
    mlflow_port: int = _setting(8701, "Port of the MLflow UI.")
    endpoint_url: str = _setting(
        "", "Address of the endpoint that the app uses, or any MLflow scoring URL; empty means the local endpoint."
    )
    endpoint_token: SecretStr = _setting(SecretStr(""), "Bearer token of the app; empty means the local one.")
    endpoint_timeout_s: float = _setting(15.0, "Seconds the app waits for an answer from the endpoint.")
    endpoint_retries: int = _setting(2, "Retries of the app when the endpoint is busy or cannot be reached.")
    endpoint_answer_s: float = _setting(30.0, "Seconds after which the endpoint aborts a request.")
    endpoint_rate: float = _setting(50.0, "Requests per second allowed for one token; 0 means no limit.")
    max_upload_mb: int = _setting(25, "Largest picture or request body that is accepted, in megabytes.")
    max_megapixels: int = _setting(16, "Largest picture, in millions of pixels; HEIC: twice that, JPEG, WEBP: 4 times.")
    picture_processes: int = _setting(2, "Processes in which the endpoint reads large or unusual pictures.")
    max_rows: int = _setting(128, "Maximum number of pictures in one request to the endpoint.")
    job_heartbeat_s: float = _setting(2.0, "Seconds between heartbeats of a job.")
    job_lost_after_s: float = _setting(60.0, "Seconds without a heartbeat after which a job counts as lost.")
    job_grace_s: float = _setting(8.0, "Seconds a cancelled job has to stop by itself before it is killed.")
    job_niceness: int = _setting(
        10, "How far background jobs stand back for everything else, 0 to 19; 0 for not at all."
    )
    job_limit_training: int = _setting(1, "Trainings, sweeps, rebuilds and demos that run at the same time.")
    job_limit_catalogue: int = _setting(1, "Loads and other work on catalogues that run at the same time.")
    job_limit_models: int = _setting(2, "Jobs that index, evaluate or map models, or fetch, at the same time.")
    job_limit_quick: int = _setting(4, "Exports, substitutes, deployments and other quick jobs at the same time.")
    threads: int = _setting(0, "Threads for training and embedding; 0 means all cores.")
    device: str = _setting(
        "auto",
        "Device for the networks: auto, cpu or gpu; auto uses a GPU if there is one, gpu refuses to train without one.",
    )
    content_cache_mb: int = _setting(
        4000, "Megabytes of decoded pictures kept for later trainings; never more than a tenth of the free disk."
    )
    keep_questions_days: int = _setting(
        90,
        "Days that questions are kept in the log, without their photos; 0 logs none and removes those logged before.",
    )
    keep_questions_photos_days: int = _setting(
        0, "Days that photos of logged questions are kept, never longer than the questions; 0 keeps none."
    )
    keep_photos_days: int = _setting(
        30, "Days that photos uploaded to the Find similar page are kept for links to their answers; 0 keeps none."
    )
    keep_photos_mb: int = _setting(2000, "Megabytes of such photos that are kept; the oldest are removed first.")
    alert_urls: SecretStr = _setting(SecretStr(""), "Webhooks that get alerts, separated by spaces; empty means none.")
    alert_behind: int = _setting(1000, "Alert when an index lacks more products than this; 0 means no such alert.")
    alert_disk_mb: int = _setting(2000, "Alert below so many free megabytes on the home's disk; 0 means no such alert.")
    log_level: str = _setting("INFO", "Log level: DEBUG, INFO, WARNING or ERROR.")
    log_format: str = _setting("text", "Format of logs: text, or json for one JSON object a line.")

    @property
    def jars_dir(self) -> Path:
        """Folder of the Delta JARs that Spark starts with."""
        return self.cache_dir / "jars"

    @property
    def effective_tracking_uri(self) -> str:
        """The MLflow tracking URI in force."""
        return self.tracking_uri or f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def effective_artifact_uri(self) -> str:
        """The MLflow artifact root in force."""
        return self.artifact_uri or str(self.home / "artifacts")

    @property
    def effective_endpoint_url(self) -> str:
        """The address of the endpoint that the app and the command line ask."""
        return self.endpoint_url or f"http://{connectable(self.host)}:{self.endpoint_port}"

    @property
    def max_upload_bytes(self) -> int:
        """Largest accepted body, in bytes."""
        return self.max_upload_mb * 1_000_000

    @property
    def max_pixels(self) -> int:
        """Largest picture that is decoded, in pixels."""
        return self.max_megapixels * 1_000_000

    def environment(self) -> dict[str, str]:
        """Return the environment variables that give a child process these very settings."""
        pairs = ((item.name, getattr(self, item.name)) for item in fields(self))
        return {PREFIX + name.upper(): v.reveal() if isinstance(v, SecretStr) else str(v) for name, v in pairs}


def load_settings(environ: Mapping[str, str] | None = None, *, dotenv: Path | None = None) -> Settings:
    """Read the settings from the environment, then from a ``.env`` file, then from the defaults.

    Args:
        environ: Variables to read; the process's own when left out.
        dotenv: File with ``NAME=value`` lines; ``.env`` of the checkout when left out. A home folder that it names, and
            the default one, are relative to where it is; one that the environment names, to the working directory.

    Raises:
        SettingsError: A value has the wrong type or range, or a ``TWINSET_`` variable names no setting.
    """
    environ = os.environ if environ is None else environ
    dotenv = dotenv or ROOT / ".env"
    known = {PREFIX + item.name.upper(): item for item in fields(Settings)}
    variables = with_files({**read_dotenv(dotenv), **environ}, known)
    unknown = sorted(name for name in variables if name.startswith(PREFIX) and name not in known)
    if unknown:
        raise SettingsError(
            f"{unknown[0]} is not a setting.",
            next_step="docs/reference/settings.md lists all settings; correct or remove this one.",
        )
    values = {
        item.name: _parse(name, variables[name], item.default) for name, item in known.items() if name in variables
    }
    settings = Settings(**values)
    cache = (settings.cache_dir if settings.cache_dir != Path() else _user_cache(variables)).absolute()
    data = settings.fashion_mnist_dir and str(Path(settings.fashion_mnist_dir).expanduser().absolute())
    base = Path.cwd() if environ.get(f"{PREFIX}HOME") else dotenv.absolute().parent
    home = without_dots(base / settings.home.expanduser())  # absolute: children may have another working directory
    return _checked(replace(settings, home=home, cache_dir=cache, fashion_mnist_dir=data))


def _user_cache(variables: Mapping[str, str]) -> Path:
    root = variables.get("XDG_CACHE_HOME") or str(Path(variables.get("HOME", "~")).expanduser() / ".cache")
    return Path(root) / "twinset"


def _parse(name: str, text: str, default: Any) -> Any:
    kind = type(default)
    if isinstance(default, SecretStr):
        return SecretStr(text)
    if isinstance(default, Path):
        return Path(text).expanduser() if text else default
    try:
        return kind(text)
    except ValueError as error:
        raise SettingsError(
            f"{name} must be a {'whole number' if kind is int else 'number'}, got {text!r}.",
            next_step=f"Set it to something like {default}, or remove it.",
        ) from error


def _checked(settings: Settings) -> Settings:
    for name in ("app_port", "endpoint_port", "mlflow_port"):
        if not 0 <= getattr(settings, name) <= MAX_PORT:
            raise SettingsError(
                f"{PREFIX}{name.upper()} must be a port in 0..{MAX_PORT}, got {getattr(settings, name)}.",
                next_step="Choose a free port, for example between 1024 and 65535.",
            )
    for name in ("app_path", "endpoint_path"):
        if not _PATH.fullmatch(getattr(settings, name)):
            raise SettingsError(
                f"{PREFIX}{name.upper()} must be a path, got {getattr(settings, name)!r}.",
                next_step="Use one such as /twinset, with a slash before each part and none at the end.",
            )
    check_folders({f"{PREFIX}HOME": settings.home, f"{PREFIX}CACHE_DIR": settings.cache_dir})
    require_known_format(settings.home)
    _check_least(settings)
    if any(not url.startswith(("http://", "https://")) for url in settings.alert_urls.reveal().split()):
        raise SettingsError(
            f"{PREFIX}ALERT_URLS contains something else than web addresses.",
            next_step="Separate addresses by spaces, each beginning with https:// or http://.",
        )
    for name, known in _CHOICES.items():
        value = getattr(settings, name)
        if value not in {*known, *map(str.lower, known)}:
            *others, last = filter(None, known)
            raise SettingsError(
                f"{PREFIX}{name.upper()} is {value!r}.", next_step=f"Use {', '.join(others)} or {last}."
            )
    return settings


def _check_least(settings: Settings) -> None:
    pictures = ("max_upload_mb", "max_source_upload_mb", "max_megapixels", "picture_processes", "picture_connections")
    limits = ("job_limit_training", "job_limit_catalogue", "job_limit_models", "job_limit_quick")
    ones = (*pictures, *limits, "max_rows")
    zeros = (
        *("endpoint_rate", "endpoint_retries", "content_cache_mb", "alert_behind", "alert_disk_mb", "job_niceness"),
        *("keep_questions_days", "keep_questions_photos_days", "keep_photos_days", "keep_photos_mb"),
    )
    for name, least in {**dict.fromkeys(ones, 1), **dict.fromkeys(zeros, 0), "endpoint_answer_s": 0.1}.items():
        if not getattr(settings, name) >= least:
            raise SettingsError(
                f"{PREFIX}{name.upper()} must be at least {least:g}, got {getattr(settings, name)}.",
                next_step="Set it to such a number, or remove it.",
            )


def device_setting() -> str:
    """Return what networks compute on, where a process was given no settings, as one that runs a registered model."""
    asked = {**read_dotenv(ROOT / ".env"), **os.environ}.get(f"{PREFIX}DEVICE", "")
    return asked if asked in DEVICES else DEVICES[0]
