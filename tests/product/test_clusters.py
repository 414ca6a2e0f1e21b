"""Models of a cluster that is gone: its jobs and tasks are in the graph, and no machine of today has them."""

from __future__ import annotations

import json
import shutil

import pytest

from migrate.graph.protos import SavedModel
from tests.conversions import MODELS, migrate_command


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_model_of_parameter_servers_and_workers_is_converted_and_verified(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(MODELS / "simple_save", source)
    proto = SavedModel.FromString((source / "saved_model.pb").read_bytes())
    nodes = proto.meta_graphs[0].graph_def.node
    for node in nodes:
        is_variable = node.op == "VariableV2"
        node.device = "/job:ps/task:1" if is_variable else "/job:worker/replica:0/task:0/device:CPU:0"
    assert {node.device for node in nodes} >= {"/job:ps/task:1"}
    (source / "saved_model.pb").write_bytes(proto.SerializeToString())
    done = migrate_command("convert", source, tmp_path / "new", "--format=json")
    assert done.returncode == 0, done.stdout + done.stderr
    (model,) = json.loads(done.stdout)["models"]
    assert model["outcome"] == "converted"
    assert model["verification"]["bitwise_equal"]
    assert {f["code"] for f in model["findings"]} == {"device-pin", "source-loaded-leniently"}
