"""What is asked of the child processes that work on a model each, and what they import before it."""

from __future__ import annotations

from migrate.frozen import frozen
from migrate.processes.forks import TENSORFLOW
from migrate.records import Options

JOBS = "migrate.model.jobs"
"""The module of the jobs, which starts no TensorFlow by itself."""

EXPORTING = (
    *TENSORFLOW,
    "migrate.export.graph_job",
    "migrate.export.checkpoint",
    "migrate.export.direct",
    "migrate.export.module",
    "migrate.export.patch",
    "migrate.export.values",
    "migrate.processes.confinement",
)
"""What a process imports before it forks for the export; importing these runs no op."""

VERIFYING = (*EXPORTING, "migrate.verify.replay", "migrate.verify.candidate")
"""The same for all steps of a conversion."""

PRELOAD = (*VERIFYING, "migrate.proof.prove", JOBS)
"""What the server imports once for all models of a tree."""


@frozen
class ConvertJob:
    """What a child process needs to convert a model.

    Attributes:
      path: the source's directory.
      destination: directory that the new model is to have.
      options: see `records.Options`.
      replace: whether what is at the destination may be replaced.
      identity: the source's `Fingerprint.identity`; a source that has another one at the end was changed meanwhile.
    """

    path: str
    destination: str
    options: Options
    replace: bool = False
    identity: str | None = None


@frozen
class ValidateJob:
    """What a child process needs to compare a candidate with its source."""

    candidate: str
    path: str
    options: Options


@frozen
class AuditJob:
    """What a child process needs to say what would become of a model."""

    path: str
    options: Options
