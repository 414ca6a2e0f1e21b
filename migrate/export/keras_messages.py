"""What the child that exports a Keras model is asked, and what it answers. Nothing here starts TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrate.frozen import frozen
from migrate.keras_loader.request import Request
from migrate.records import Signature


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
    """The new model is in the staging directory.

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
