"""The error tree: every message says what happened, ``next_step`` says what to do about it.

WorkbenchError
├── Cancelled                 the user asked to stop
├── UsageError                a command line that cannot be understood
├── FileUnusable              a file or folder that cannot be read or written
├── SettingsError             a setting has a value that cannot be used
├── EnvironmentUnready        Java, a JAR, a package or a port is missing
├── StorageFailed             the disk is read-only or failing, or a file may not become so large
│   └── StorageFull           no space left where Twinset writes
├── AccessDenied              nobody is signed in, or the role does not allow it
├── InUse                     another piece of work has the name, the model or the sweep
├── Protected                 something that an alias, a rule or a running job still needs
├── ImageRejected             an upload that is no usable picture
├── CatalogueError
│   ├── CatalogueNotFound     no such catalogue, or no such version of it
│   ├── CatalogueBusy         another writer won the commit
│   ├── DatasetDamaged        a data file does not have the checksum it should have
│   └── DatasetUnavailable    the data are neither here nor to be had
├── TrainingError
│   └── ConfigurationError    a training configuration that cannot work
├── EvaluationError
├── ProjectionError           a map that cannot be drawn or read
├── RetrievalError            a question the index or gallery cannot answer
├── ChangedMeanwhile          somebody else changed the same rules, collection, mapping or space meanwhile
├── BundleError               a model folder that is incomplete, damaged or not ours
├── RegistryError             MLflow refused, or has no such model
│   └── PromotionRefused      a model that the gate in front of an alias does not let through
├── EndpointError
│   ├── EndpointUnreachable   nothing answers at the address
│   ├── EndpointDenied        the token is wrong or missing
│   └── EndpointRejected      the endpoint answered with a typed refusal
└── JobError
    ├── JobNotFound
    └── IllegalTransition     a job cannot go from this state to that one
"""

from __future__ import annotations

import errno

from backend.errors.addresses import shown

_FILE_ERRORS = frozenset(
    {
        *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EROFS),
        *(errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTEMPTY),
    }
)


class WorkbenchError(Exception):
    """Base of all errors that a user may read.

    Args:
        message: What happened, in a sentence.
        next_step: What the reader can do about it, in a sentence; may be empty.

    Both lose the passwords of addresses that they name, wherever the text comes from.

    ``code`` is stable and machine-readable; ``status`` is the HTTP status when an endpoint answers with it.
    """

    code = "workbench_error"
    status = 500

    def __init__(self, message: str, *, next_step: str = "") -> None:
        self.message, self.next_step = shown(message), shown(next_step)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".strip()


class Cancelled(WorkbenchError):
    """The user asked to stop; what was committed before stays."""

    code = "cancelled"


class UsageError(WorkbenchError):
    """A command line that names no command, or whose arguments do not fit."""

    code = "usage"
    status = 422


class FileUnusable(WorkbenchError):
    """A file or folder that is not there, may not be read or written, or is not what it should be."""

    code = "file_unusable"

    @classmethod
    def of(cls, error: OSError) -> FileUnusable | None:
        """Return the system's error on a named file as a sentence; None where no file is to blame."""
        if error.filename is None or error.errno not in _FILE_ERRORS:
            return None
        return cls(f"{error.filename}: {error.strerror}.", next_step="Check the path and its permissions, then retry.")


class SettingsError(WorkbenchError):
    """A setting holds a value that cannot be used."""

    code = "bad_setting"


class EnvironmentUnready(WorkbenchError):
    """Something outside Python is missing: Java, a JAR, a compiler, a free port."""

    code = "environment_unready"


class StorageFailed(WorkbenchError):
    """The disk that Twinset writes to is read-only or failing, or the system lets no file become so large."""

    code = "storage_failed"
    status = 507


class StorageFull(StorageFailed):
    """The disk that Twinset writes to is full."""

    code = "storage_full"
    status = 507


class AccessDenied(WorkbenchError):
    """Nobody is signed in, or their role does not allow it."""

    code = "access_denied"
    status = 403


class InUse(WorkbenchError):
    """Another process works on the same name, model or sweep; the message says which."""

    code = "in_use"
    status = 409


class Protected(WorkbenchError):
    """Something that cannot be deleted, because an alias, a rule or a running job still names it."""

    code = "protected"
    status = 409


class ImageRejected(WorkbenchError):
    """Bytes that are no usable picture; ``code`` says why."""

    code = "image_rejected"
    status = 422

    def __init__(self, message: str, *, code: str, next_step: str = "", status: int = 422) -> None:
        super().__init__(message, next_step=next_step)
        self.code = code
        self.status = status


class CatalogueError(WorkbenchError):
    """Reading or writing a catalogue failed."""

    code = "catalogue_error"


class CatalogueNotFound(CatalogueError):
    """There is no catalogue of that name, or no such version of it."""

    code = "catalogue_not_found"
    status = 404


class CatalogueBusy(CatalogueError):
    """Another writer committed to the catalogue first."""

    code = "catalogue_busy"
    status = 409


class DatasetDamaged(CatalogueError):
    """A data file's checksum is not the expected one."""

    code = "dataset_damaged"


class DatasetUnavailable(CatalogueError):
    """The data are not on this machine and cannot be downloaded."""

    code = "dataset_unavailable"


class TrainingError(WorkbenchError):
    """Training could not start or go on."""

    code = "training_error"


class ConfigurationError(TrainingError):
    """A training configuration that cannot work, said before anything starts."""

    code = "bad_configuration"
    status = 422


class EvaluationError(WorkbenchError):
    """Scores cannot be computed from what was given."""

    code = "evaluation_error"


class ProjectionError(WorkbenchError):
    """A map that cannot be drawn, read or added to."""

    code = "projection_error"
    status = 422


class RetrievalError(WorkbenchError):
    """A question that the index or the gallery cannot answer."""

    code = "retrieval_error"
    status = 422


class ChangedMeanwhile(WorkbenchError):
    """Somebody else, or another window, changed the same meanwhile; the message says who and when."""

    code = "changed_meanwhile"
    status = 409


class BundleError(WorkbenchError):
    """A model folder that is incomplete, damaged, or was not written by Twinset."""

    code = "bundle_error"


class RegistryError(WorkbenchError):
    """MLflow refused, or has no such model, version or alias."""

    code = "registry_error"


class PromotionRefused(RegistryError):
    """The gate in front of an alias does not let a version through; the message says why."""

    code = "promotion_refused"
    status = 409


class EndpointError(WorkbenchError):
    """The recommendation endpoint could not answer."""

    code = "endpoint_error"


class EndpointUnreachable(EndpointError):
    """The endpoint cannot be reached."""

    code = "endpoint_unreachable"


class EndpointDenied(EndpointError):
    """The endpoint does not accept the token."""

    code = "endpoint_denied"
    status = 401


class EndpointRejected(EndpointError):
    """The endpoint refused the request with a typed answer; ``code`` and ``status`` are the endpoint's own."""

    code = "endpoint_rejected"

    def __init__(self, message: str, *, code: str, status: int, next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.code = code
        self.status = status


class JobError(WorkbenchError):
    """A job could not be started, found or changed."""

    code = "job_error"


class JobNotFound(JobError):
    """There is no job with that id."""

    code = "job_not_found"
    status = 404


class IllegalTransition(JobError):
    """A job cannot go from its state to the one asked for."""

    code = "illegal_transition"
    status = 409
