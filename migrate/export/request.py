"""What the children that load Keras files are asked, and what they answer. Nothing here starts TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrate.frozen import frozen
from migrate.records import Signature
from migrate.sources.keras_source import KerasSource


@frozen
class Request:
    """What is to be loaded, and what may be run for it.

    Attributes:
      source: as it lies on the disk.
      custom_objects: `module:Name` entries.
      trust: whether marshalled Python may be run.
    """

    source: KerasSource
    custom_objects: tuple[str, ...]
    trust: bool


@frozen
class KerasExportJob:
    """What the child needs.

    Attributes:
      request: what to load.
      staging: directory to write; it is there, and empty.
      provenance: what `assets.extra/migration.json` says of where the model came from.
      digest: of the source and the options, see `unique_names.make_unique`.
    """

    request: Request
    staging: str
    provenance: Mapping[str, Any]
    digest: str


@frozen
class KerasExported:
    """The new model stands in the staging directory.

    Attributes:
      signature: its `serving_default`.
      optimizer: class of the optimizer whose state it holds, or empty.
      lost: why the optimizer, or its stored state, is not in it, or empty.
      compiled: whether it holds the loss and the metrics, too.
      dropped: the metrics that it does not hold all the same, with why.
      assumed: the metrics that are right only for targets of their output's shape.
    """

    signature: Signature
    optimizer: str
    lost: str
    compiled: bool
    dropped: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
