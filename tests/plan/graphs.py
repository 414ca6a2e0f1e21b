"""Graphs to plan, from lines of text (see tests/rewrite/texts.py)."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.graph.dtypes import dtype_value
from migrate.graph.nodes import read_nodes
from migrate.graph.op_table import load_ref_ops
from migrate.graph.protos import MetaGraphDef
from migrate.plan.records import SourceGraph
from tests.rewrite.texts import node

FLOAT = dtype_value("float32")
MODEL = """
x = Placeholder() dtype=float32 shape=(2)
v = VariableV2() dtype=float32 shape=(2)
read = Identity(v) T=float32
y = Mul(x, read) T=float32
"""
SAVER = """
save/Const = Const() dtype=string value=string:'model'
save/names = Const() dtype=string value=string:['v']
save/slices = Const() dtype=string value=string:['']
save/RestoreV2 = RestoreV2(save/Const, save/names, save/slices) dtypes=[float32]
save/Assign = Assign(v, save/RestoreV2) T=float32
save/restore_all = NoOp(^save/Assign)
"""


def meta_graph(text: str, **signatures: tuple[Mapping[str, str], Mapping[str, str]]) -> MetaGraphDef:
    """A MetaGraphDef of some nodes; each signature is its inputs and its outputs, all floats.

    What `SAVER` adds to `MODEL` is its saver; a node `init` is its init op.
    """
    made = MetaGraphDef()
    made.graph_def.node.extend(map(node, filter(None, text.splitlines())))
    for key, sides in signatures.items():
        definition = made.signature_def[key]
        definition.method_name = "tensorflow/serving/predict"
        for infos, tensors in zip((definition.inputs, definition.outputs), sides, strict=True):
            for name, tensor in tensors.items():
                infos[name].name, infos[name].dtype = tensor, FLOAT
    names = {each.name for each in made.graph_def.node}
    if "save/restore_all" in names:
        made.saver_def.restore_op_name = "save/restore_all"
        made.saver_def.filename_tensor_name = "save/Const:0"
    if "init" in names:
        made.collection_def["saved_model_main_op"].node_list.value.append("init")
    return made


def source(of: MetaGraphDef) -> SourceGraph:
    """What planning its runs needs."""
    return SourceGraph(of, read_nodes(of), load_ref_ops())
