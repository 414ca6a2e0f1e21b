"""Times the steps of one export in this process: `... SOURCE NEW` prints JSON."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf  # noqa: F401 (its import is not what is measured)

from migrate.export import job, patch
from migrate.sources.saved_model import read_saved_model
from migrate.sources.source import choose_meta_graph

if __name__ == "__main__":
    source, new = sys.argv[1:]
    shutil.rmtree(new, ignore_errors=True)
    saved = {"seconds": 0.0}
    save = patch.save

    def timed(*arguments: object) -> object:
        """`patch.save`, timed."""
        begin = time.perf_counter()
        try:
            return save(*arguments)
        finally:
            saved["seconds"] += time.perf_counter() - begin

    patch.save = timed
    start = time.perf_counter()
    model = read_saved_model(source)
    meta_graph = choose_meta_graph(model, None).SerializeToString()
    result = job.run(
        job.ExportJob(meta_graph, model.checkpoint, model.assets_dir, model.extra_dir, False, new, "auto", True, {})
    )
    assert isinstance(result, job.Exported), result
    print(json.dumps({"whole": time.perf_counter() - start, "save": saved["seconds"]}))
