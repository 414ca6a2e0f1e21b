"""The keys of a new model's checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.frozen import frozen


@frozen
class Keys:
    """What a checkpoint for a saved model must hold.

    Attributes:
      by_variable: checkpoint key of each variable that has a value, by identity.
      object_graph: the serialized TrackableObjectGraph.
    """

    by_variable: Mapping[str, str]
    object_graph: bytes
