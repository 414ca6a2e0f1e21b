"""What Keras file is to be loaded. Nothing here starts TensorFlow."""

from __future__ import annotations

from migrate.frozen import frozen
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
