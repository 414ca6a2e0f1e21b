"""What both models hold once they are loaded."""

from __future__ import annotations

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import MetaGraphDef
from migrate.proof.loading import Loaded
from migrate.proof.pair import Asked, Files, Pair
from migrate.proof.records import Proved
from migrate.sources.boundary import Boundary
from tests.rewrite import texts

_ASKED = """t = HashTableV2() key_dtype=int64 value_dtype=float32 shared_name='t'
size = LookupTableSizeV2(t)
zero = Const() dtype=int64 value=int64:0
p = Greater(size, zero) T=int64
c = Const() dtype=float32 value=float32:1
"""
_BEFORE = """v = VariableV2() dtype=float32 shape=()
s = RefSwitch(v, p) T=float32
cs = Switch(c, p) T=float32
w = Assign(s:1, cs:1) T=float32
u = AssignAdd(s, cs) T=float32
m = Merge(u, w) T=float32 N=2
init = NoOp(^m)"""
_AFTER = """v = VarHandleOp() dtype=float32 shape=() shared_name='v'
m = If/then/else/lowered(p, v, c) Tcond=bool Tin=[resource, float32] output_shapes=[]
init = NoOp(^m)"""


def _meta_graph(text: str) -> MetaGraphDef:
    made = MetaGraphDef()
    made.graph_def.node.extend(texts.node(line) for line in (_ASKED + text).splitlines())
    made.collection_def["saved_model_main_op"].node_list.value.append("init")
    return made


def _is_proved(then: str, other: str, tmp_path) -> bool:
    candidate = _meta_graph(_AFTER)
    for node in candidate.graph_def.node:
        if node.op == "If":
            node.attr["Tout"].list.SetInParent()
            del node.attr["Tout"].list.type[:]
    for name, op in (("then", then), ("else", other)):
        made = candidate.graph_def.library.function.add()
        made.signature.name, made.signature.is_stateful = name, True
        made.signature.input_arg.add(name="h", type=dtype_value("resource"))
        made.signature.input_arg.add(name="x", type=dtype_value("float32"))
        made.node_def.append(texts.node(f"w = {op}(h, x) dtype=float32"))
        made.control_ret["w"] = "w"
    files = Files(None, None, Boundary((str(tmp_path),)))
    return isinstance(Loaded(Pair(_meta_graph(_BEFORE), files, candidate, str(tmp_path), Asked({}))).result, Proved)


def test_an_if_of_an_init_op_is_the_cond_that_it_was(tmp_path):
    assert _is_proved("AssignVariableOp", "AssignAddVariableOp", tmp_path)
    assert not _is_proved("AssignAddVariableOp", "AssignAddVariableOp", tmp_path)
