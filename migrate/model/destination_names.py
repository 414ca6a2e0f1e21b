"""What a new model's directory is called in a new tree."""

from __future__ import annotations

import os

from migrate.records import Finding, Severity

_SUFFIXES = (".h5", ".hdf5", ".keras")
"""What the names of Keras files end in; a directory of such a name would be taken for a file of that format."""


def without_suffix(name: str) -> str:
    """The name of the new model's directory in the tree: the model's own name, without the suffix of a Keras file."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix in _SUFFIXES else name


def renamed(path: str, destination: str) -> tuple[Finding, ...]:
    """Says so where a model of a tree has another name in the new tree."""
    own, name = os.path.basename(path.rstrip(os.sep)), os.path.basename(destination)
    if own == name or without_suffix(own) != name:
        return ()
    message = f"the new model is the directory {destination}; Keras takes one named {own} for a file of that format"
    return (Finding("destination-renamed", Severity.NOTE, message),)
