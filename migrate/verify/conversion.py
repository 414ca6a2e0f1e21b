"""What a new model says of its own conversion, as the checker reads it: `assets.extra/migration.json`."""

from __future__ import annotations

import os
from typing import TypedDict

from migrate.codec import decode, parsed
from migrate.sources.files import read_file

_FILE = os.path.join("assets.extra", "migration.json")
_LARGEST_BYTES = 1 << 28

Names = dict[str, str | dict[str, str] | None]
"""By the source's name the new one, {part: name} of a sparse tensor, or None for what is gone."""


class Conversion(TypedDict, total=False):
    """How names have changed.

    Attributes:
      arguments: of inputs, by signature key.
      results: of outputs, by signature key.
      variables: key in the new checkpoint by variable name.
    """

    arguments: dict[str, Names]
    results: dict[str, Names]
    variables: dict[str, str]


def read_conversion(path: str) -> Conversion:
    """Reads it from a model's directory; a stranger's model has none, and nothing is renamed.

    Raises:
      InputError: it is no regular file, or cannot be read.
      ValueError: it is damaged.
    """
    try:
        text = read_file(os.path.join(path, _FILE), _LARGEST_BYTES)
    except FileNotFoundError:
        return {}
    conversion: Conversion = decode(Conversion, parsed(text, _LARGEST_BYTES))
    return conversion
