"""One export, as a job for a child process: a SavedModel in, a TF2 SavedModel in a staging directory out."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping
from typing import Any

from migrate.errors import InputError
from migrate.records import Failed
from migrate.rewrite.plan import Plan, make_plan
from migrate.rewrite.restore import FromCheckpoint
from migrate.sources.protos import MetaGraphDef, TrackableObjectGraph


@dataclasses.dataclass(frozen=True)
class ExportJob:
    """What the child needs.

    Attributes:
      meta_graph: the source's MetaGraphDef, serialized.
      checkpoint: prefix of its checkpoint.
      assets_dir: its directory of assets.
      extra_dir: its `assets.extra`, copied whole where it is there.
      drop_signatures: as in `records.Options`.
      staging: directory to write; it must not exist.
      provenance: what `assets.extra/migration.json` says of where the model came from.
    """

    meta_graph: bytes
    checkpoint: str
    assets_dir: str
    extra_dir: str
    drop_signatures: bool
    staging: str
    provenance: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Exported:
    """The new model stands in the staging directory."""

    staging: str


def run(job: ExportJob) -> Exported | Failed:
    """Carries a job out. TensorFlow starts here."""
    plan = make_plan(MetaGraphDef.FromString(job.meta_graph), job.drop_signatures)
    if plan.refused:
        return Failed("the plan is refused in the child, although it was not in the parent")
    import tensorflow as tf

    # Nothing runs here but RestoreV2 and what little stands between it and a variable, so a GPU would only be held.
    tf.config.set_visible_devices([], "GPU")
    from migrate.export import module, patch, values

    try:
        built = module.build(plan, values.values(plan, job.checkpoint), job.assets_dir)
        tf.saved_model.save(built.root, job.staging, signatures=dict(built.signatures))
        patch.patch(job.staging, plan, built.names)
        if os.path.isdir(job.extra_dir):
            shutil.copytree(job.extra_dir, os.path.join(job.staging, "assets.extra"), dirs_exist_ok=True)
        _write_provenance(job, plan, built.names)
    except InputError as error:
        return Failed(str(error))
    except (tf.errors.OpError, OSError, ValueError, TypeError) as error:
        return Failed(f"TensorFlow cannot export the rewritten graph: {type(error).__name__}: {_first_line(error)}")
    return Exported(job.staging)


def _write_provenance(job: ExportJob, plan: Plan, names: Mapping[str, Any]) -> None:

    keys = _checkpoint_keys(os.path.join(job.staging, "variables", "variables"))
    content = {
        "schema_version": 1,
        **job.provenance,
        "arguments": {key: dict(n.arguments) for key, n in names.items()},
        "results": {key: dict(n.results) for key, n in names.items()},
        "variables": {v.name: key for v, key in zip(plan.variables, keys, strict=True)},
        "sources": {
            v.name: {"key": v.value.key, "slice": v.value.slice_spec}
            for v in plan.variables
            if isinstance(v.value, FromCheckpoint)
        },
    }
    directory = os.path.join(job.staging, "assets.extra")
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "migration.json"), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1, sort_keys=True)
        file.write("\n")


def _checkpoint_keys(prefix: str) -> list[str]:
    """Checkpoint keys of the root's `variables`, in order, as the checkpoint's own object graph has them."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(prefix)
    graph = TrackableObjectGraph.FromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    lists = [c.node_id for c in graph.nodes[0].children if c.local_name == "variables"]
    entries = {int(c.local_name): c.node_id for n in lists for c in graph.nodes[n].children}
    return [graph.nodes[node].attributes[0].checkpoint_key for _, node in sorted(entries.items())]


def _first_line(error: BaseException) -> str:
    message = str(getattr(error, "message", "") or error).strip()
    return message.splitlines()[0][:300] if message else ""
