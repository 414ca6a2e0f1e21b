"""One export, as a job for a child process: a SavedModel in, a TF2 SavedModel in a staging directory out."""

from __future__ import annotations

import itertools
import json
import os
import pickle
from collections.abc import Mapping
from typing import Any

from migrate.errors import InputError, first_line
from migrate.frozen import frozen
from migrate.graph.large_constants import is_large
from migrate.plan.records import Plan
from migrate.plan.restore import FromCheckpoint
from migrate.records import Failed
from migrate.regular_files import create
from migrate.sources.bundle import Entry


@frozen
class ExportJob:
    """What the child needs.

    Attributes:
      plan: what to do; nothing in it is refused.
      checkpoint: what the source's restore op is fed with (see `Source.checkpoint`), or None.
      assets_dir: the source's directory of assets.
      staging: directory to write; it is there, and empty.
      taken: which weights need not be written, see `weights.Weights`.
      provenance: what `assets.extra/migration.json` says of where the model came from.
      digest: of the source and the options, see `unique_names.make_unique`.
    """

    plan: Plan
    checkpoint: str | None
    assets_dir: str
    staging: str
    taken: Mapping[str, Entry]
    provenance: Mapping[str, Any]
    digest: str = ""


@frozen
class Exported:
    """The new model is in the staging directory, except for the data files that are taken over.

    Attributes:
      data_files: how many its checkpoint has, those included.
    """

    data_files: int


def checkpoint_in(directory: str) -> str:
    """Prefix of a SavedModel's checkpoint."""
    return os.path.join(directory, "variables", "variables")


def run(job: ExportJob) -> Exported | Failed:
    """Carries a job out. TensorFlow starts here."""
    import tensorflow as tf

    # Nothing runs here but RestoreV2 and what little is between it and a variable, so a GPU would only be held.
    tf.config.set_visible_devices([], "GPU")
    from migrate.export import checkpoint, direct, module, patch, values

    plan = with_stubs(job.plan)  # TensorFlow would hold large constants some ten times.
    prefix = job.checkpoint or ""  # Nothing is read from it where there is none.
    try:
        tables = {name: values.table_content(fill, prefix) for name, fill in plan.tables.items()}
        built = module.build(plan, job.assets_dir, tables)
        save = direct.save if direct.can_save(built, plan) else patch.save
        keys = save(built, plan, job.staging)
        patch.patch(job.staging, plan, built.names, job.digest)
        count = checkpoint.write_checkpoint(
            plan,
            keys.by_variable,
            keys.object_graph,
            checkpoint_in(job.staging),
            job.taken,
            lambda variable: values.value_of(plan, variable, prefix),
        )
        patch.write_fingerprint(job.staging)
        _write_provenance(job, built.names, keys.by_variable)
    except InputError as error:
        return Failed(str(error))
    except OSError as error:
        return Failed(f"the new model cannot be written: {error.strerror or error}")
    except (tf.errors.OpError, ValueError, TypeError) as error:
        return Failed(f"TensorFlow cannot export the rewritten graph: {type(error).__name__}: {first_line(error)}")
    return Exported(count)


def _write_provenance(job: ExportJob, names: Mapping[str, Any], keys: Mapping[str, str]) -> None:
    content = {
        "schema_version": 1,
        **job.provenance,
        "arguments": {key: dict(n.arguments) for key, n in names.items()},
        "results": {key: dict(n.results) for key, n in names.items()},
        "variables": {v.name: keys[v.identity] for v in job.plan.variables if v.identity in keys},
        "sources": {
            v.name: {"key": v.value.key, "slice": v.value.slice_spec}
            for v in job.plan.variables
            if isinstance(v.value, FromCheckpoint)
        },
    }
    directory = os.path.join(job.staging, "assets.extra")
    os.makedirs(directory, exist_ok=True)
    with create(os.path.join(directory, "migration.json")) as file:
        file.write(json.dumps(content, indent=1, sort_keys=True).encode() + b"\n")


def with_stubs(plan: Plan) -> Plan:
    """The plan as it is after it was pickled, if it has large constants."""
    nodes = (node for run in plan.runs for node in run.graph.nodes.values())
    inner = (node for function in plan.functions for node in function.node_def)
    if plan.contents is not None or not any(map(is_large, itertools.chain(nodes, inner))):
        return plan
    result: Plan = pickle.loads(pickle.dumps(plan))
    return result
