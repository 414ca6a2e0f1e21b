"""The child's side of an installation: lists what a runtime knows, and tries it on a model that the package has."""

from __future__ import annotations

import os
from collections.abc import Mapping

from migrate.frozen import frozen
from migrate.records import Failed

MODEL = os.path.join(os.path.dirname(os.path.realpath(__file__)), "trial_model")
"""Written by tools/make_trial_model.py."""


@frozen
class OpsJob:
    """What the child needs to list the ops of a runtime.

    Attributes:
      directory: of the runtime.
      libraries: paths of the op libraries in it.
    """

    directory: str
    libraries: tuple[str, ...]


@frozen
class FoundOps:
    """The ops of a runtime.

    Attributes:
      attributes: names of the attributes of each op, by its name.
      libraries: the op library that registers an op, by the op's name; without TensorFlow's own.
    """

    attributes: Mapping[str, tuple[str, ...]]
    libraries: Mapping[str, str]


@frozen
class TrialJob:
    """What the child needs to try a runtime: the directory where it is installed."""

    directory: str


@frozen
class Tried:
    """A runtime that answers as it should.

    Attributes:
      version: what it says of itself.
    """

    version: str


def run(job: OpsJob | TrialJob) -> FoundOps | Tried | Failed:
    """Does a job."""
    from migrate.tf1_runtime.c_api import Tf1Error

    try:
        return _ops(job) if isinstance(job, OpsJob) else _tried(job)
    except (Tf1Error, OSError, AttributeError) as error:
        return Failed(f"{type(error).__name__}: {error}")


def _ops(job: OpsJob) -> FoundOps:
    from migrate.graph.protos import OpList
    from migrate.tf1_runtime.c_api import Library

    library = Library(job.directory)
    attributes: dict[str, tuple[str, ...]] = {}
    libraries: dict[str, str] = {}
    for path in ("", *job.libraries):
        if path:
            library.load_ops(path)
        for op in OpList.FromString(library.ops()).op:
            if op.name not in attributes:
                attributes[op.name] = tuple(attribute.name for attribute in op.attr)
                if path:
                    libraries[op.name] = path
    return FoundOps(attributes, libraries)


def _tried(job: TrialJob) -> Tried | Failed:
    """Loads the model, with variables of both kinds and a table from an asset, and calls it."""
    import numpy as np

    from migrate.graph.protos import SavedModel
    from migrate.tf1_runtime.model import Model

    with open(os.path.join(MODEL, "saved_model.pb"), "rb") as file:
        meta_graph = SavedModel.FromString(file.read()).meta_graphs[0]
    checkpoint = os.path.join(MODEL, "variables", "variables")
    model = Model(job.directory, meta_graph, checkpoint, os.path.join(MODEL, "assets"))
    words = np.array([b"c", b"nothing", b"a"], dtype=object)
    with model.session({}) as session:
        y, position = session.run(["y:0", "position:0"], {"x:0": np.array([1.0, -0.5], np.float32), "word:0": words})
    found = (y.tolist(), position.tolist())
    if found != ([3.0, 0.0], [2, -1, 0]):
        return Failed(f"it answers {found} to the model in {MODEL}")
    return Tried(model.version)
