"""Whether a candidate keeps what clients of its source rely on, told by its files alone.

The checker's own reading of both sides: nothing of the converter is asked, and nothing that the candidate says of
itself. Calls show values; a client also depends on method names, dtypes, shapes, tags, defaults and files that no
call shows. Sources: TensorFlow Serving's `classifier.cc`, `regressor.cc` and `predict_util.cc` (method names, dtypes
and names of inputs and outputs), `session_bundle_util`'s tag sets, TensorFlow's `meta_graph.proto`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.protos import MetaGraphDef, TensorProto
from migrate.records import Mismatch
from migrate.sources.saved_model_files import KERAS_METADATA_FILE
from migrate.verify.added_variables import added_differences
from migrate.verify.constants import constant_differences
from migrate.verify.differences import mismatch
from migrate.verify.function_flags import function_flag_differences, unawaited_differences
from migrate.verify.function_specs import function_differences
from migrate.verify.gradient_marks import gradient_mark_differences
from migrate.verify.graph_versions import version_differences
from migrate.verify.leftovers import device_differences, ref_differences
from migrate.verify.loadable import CODE as UNLOADABLE
from migrate.verify.loadable import load_differences
from migrate.verify.model_files import (
    asset_differences,
    changed_metadata,
    extra_differences,
    keras_metadata_differences,
    unknown_files,
)
from migrate.verify.python_signatures import python_differences
from migrate.verify.run_settings import run_setting_differences
from migrate.verify.same_nodes import node_differences
from migrate.verify.same_objects import object_differences
from migrate.verify.saved_objects import attribute_differences, root_differences, root_function_differences
from migrate.verify.saver import saver_differences, stored_name_differences
from migrate.verify.signature_defs import kept_name_differences, signature_differences
from migrate.verify.tables import table_differences

PATH = "contract"
"""How these differences are distinguished from those of calls: `Mismatch.path`."""

_SERVE = frozenset({"serve"})


@frozen
class Candidate:
    """A SavedModel as it is on the disk.

    Attributes:
      directory: where.
      meta_graphs: of its saved_model.pb.
      is_saved_model: whether that file is a SavedModel, and not a MetaGraphDef or GraphDef of that name.
    """

    directory: str
    meta_graphs: Sequence[MetaGraphDef]
    is_saved_model: bool = True


@frozen
class Files:
    """Directories of a source, none of which need be there.

    Attributes:
      assets_dir: where its assets are.
      extra_dir: its `assets.extra`.
      directory: where it is itself, with what else is kept there.
      checkpoint: prefix of its checkpoint, or None.
    """

    assets_dir: str
    extra_dir: str
    directory: str = ""
    checkpoint: str | None = None


@frozen
class Asked:
    """What the user has asked for, which a candidate may therefore do.

    Attributes:
      drop_signatures: signatures that cannot be converted may be left out.
      dropped: keys of those that cannot be.
      keep_tensor_names: the signatures' tensors have their names in the candidate's main graph.
      not_kept: full names of those of which the report says that they are left out.
      feeds: values that are constants of the candidate, by the tensor's name in the source.
      train: the training graph that the candidate has a branch of, as a TF1 Hub module has one.
      variables: which constants are variables of the candidate, see `records.Options.variables`.
    """

    drop_signatures: bool = False
    dropped: frozenset[str] = frozenset()
    keep_tensor_names: bool = False
    not_kept: frozenset[str] = frozenset()
    feeds: Mapping[str, TensorProto] = dataclasses.field(default_factory=dict)
    train: MetaGraphDef | None = None
    variables: bool | str = False


_NOTHING = Asked()


def contract_differences(
    source: MetaGraphDef, files: Files, candidate: Candidate, asked: Asked = _NOTHING
) -> tuple[Mismatch, ...]:
    """Compares a candidate with its source.

    Args:
      source: the MetaGraphDef that a client of the source loads, with the signatures that the user has added.
      files: the source's.
      candidate: the new model.
      asked: see `Asked`.

    Returns:
      What differs, each with the path `PATH`.
    """
    tags = frozenset(source.meta_info_def.tags)
    # A loader takes the exact tag set. A TF1 Hub module of one MetaGraphDef has none, and its clients ask for none.
    new = _chosen(candidate, tags)
    if isinstance(new, Mismatch):
        return (new,)
    is_keras = os.path.isfile(os.path.join(files.directory, KERAS_METADATA_FILE))
    droppable = asked.dropped if asked.drop_signatures else frozenset()
    graphs = (source, *(() if asked.train is None else (asked.train,)))
    return (
        *signature_differences(source, new, droppable, PATH),
        *(kept_name_differences(source, new, asked.not_kept, PATH) if asked.keep_tensor_names else ()),
        *_alone(new),
        *root_differences(source, new, PATH),
        *attribute_differences(source, asked.train, new, PATH, droppable),
        *added_differences(graphs, new, asked.variables, PATH),
        *device_differences(source, new, PATH),
        *version_differences(graphs, new, PATH),
        *stored_name_differences(new, os.path.join(candidate.directory, "variables", "variables"), PATH),
        *root_function_differences(graphs, new, PATH),
        *object_differences(source, new, PATH),
        *node_differences(graphs, new, PATH),
        *gradient_mark_differences(graphs, new, PATH),
        *run_setting_differences(graphs, new, PATH),
        *function_flag_differences(graphs, new, PATH),
        *unawaited_differences(source, new, PATH),
        *constant_differences(source, new, asked.feeds, asked.train, files.checkpoint, PATH),
        *table_differences(source, files.assets_dir, new, os.path.join(candidate.directory, "assets"), PATH),
        *asset_differences(files.assets_dir, candidate.directory, new, PATH),
        *extra_differences(files.extra_dir, candidate.directory, PATH),
        *(_metadata(source, files, candidate, new) if is_keras else ()),
        *unknown_files(files.directory, candidate.directory, new, PATH),
    )


def _metadata(source: MetaGraphDef, files: Files, candidate: Candidate, new: MetaGraphDef) -> tuple[Mismatch, ...]:
    is_same_release = source.meta_info_def.tensorflow_version == new.meta_info_def.tensorflow_version
    return (
        *keras_metadata_differences(candidate.directory, PATH),
        *changed_metadata(files.directory, candidate.directory, is_same_release, PATH),
    )


def keras_differences(candidate: Candidate, has_metadata: bool) -> tuple[Mismatch, ...]:
    """The same where the source is a Keras file, which has no MetaGraphDef.

    Args:
      candidate: the new model.
      has_metadata: whether the Keras that loads the source writes `keras_metadata.pb`, without which its `load_model`
        takes the candidate for no Keras model.
    """
    new = _chosen(candidate, _SERVE)
    if isinstance(new, Mismatch):
        return (new,)
    return (
        *_alone(new),
        *version_differences((), new, PATH),
        *run_setting_differences((), new, PATH),
        *function_flag_differences((), new, PATH),
        *device_differences(MetaGraphDef(), new, PATH),
        *(keras_metadata_differences(candidate.directory, PATH) if has_metadata else ()),
        *unknown_files("", candidate.directory, new, PATH),
    )


def _chosen(candidate: Candidate, tags: frozenset[str]) -> MetaGraphDef | Mismatch:
    """The one MetaGraphDef of a candidate, or what is wrong with it."""
    if not candidate.is_saved_model:
        reason = "its saved_model.pb is no SavedModel: it holds a graph alone, which no loader of SavedModels takes"
        return mismatch(UNLOADABLE, PATH, reason, "", "saved_model.pb")
    found = [graph for graph in candidate.meta_graphs if frozenset(graph.meta_info_def.tags) == tags]
    if len(candidate.meta_graphs) == len(found) == 1:
        return found[0]
    told = ", ".join("{" + ", ".join(sorted(g.meta_info_def.tags)) + "}" for g in candidate.meta_graphs) or "none"
    return mismatch("tag-set-differs", PATH, f"expected one MetaGraphDef of the tags {sorted(tags)}, found {told}")


def _alone(new: MetaGraphDef) -> tuple[Mismatch, ...]:
    """What is wrong with a candidate, whatever its source is."""
    return (
        *load_differences(new, PATH),
        *ref_differences(new, PATH),
        *python_differences(new, PATH),
        *function_differences(new, PATH),
        *saver_differences(new, PATH),
    )
