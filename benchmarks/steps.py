"""Processor time of one export in this process: `... SOURCE NEW` prints JSON.

With a third argument TensorFlow's exporter writes the model.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf  # noqa: F401 (its import is not what is measured)

from migrate.export import direct, graph_job, patch, weights
from migrate.plan.plan import make_plan
from migrate.sources.saved_model import read_saved_model
from migrate.sources.source import choose_meta_graph

if __name__ == "__main__":
    source, new = sys.argv[1:3]
    shutil.rmtree(new, ignore_errors=True)
    saved = {"seconds": 0.0}

    def timed(save: Callable[..., object]) -> Callable[..., object]:
        """A function that saves, timed."""

        def measured(*arguments: object) -> object:
            begin = time.process_time()
            try:
                return save(*arguments)
            finally:
                saved["seconds"] += time.process_time() - begin

        return measured

    direct.save, patch.save = timed(direct.save), timed(patch.save)
    if len(sys.argv) > 3:
        direct.can_save = lambda *_: False
    model = read_saved_model(source)
    chosen = choose_meta_graph(model, None)
    files = new + ".weights"
    shutil.rmtree(files, ignore_errors=True)
    plan = make_plan(chosen)
    taking = weights.take_over(plan, model.checkpoint or "", files, "auto", True)
    moved = weights.run(taking.job)
    assert isinstance(moved, weights.Done), moved
    start = time.process_time()
    result = graph_job.run(graph_job.ExportJob(plan, model.checkpoint, model.assets_dir, new, taking.taken, {}))
    assert isinstance(result, graph_job.Exported), result
    weights.put(taking, graph_job.checkpoint_in(new), result.data_files)
    seconds = time.process_time() - start
    shutil.rmtree(files, ignore_errors=True)
    print(json.dumps({"whole": seconds, "save": saved["seconds"]}))
