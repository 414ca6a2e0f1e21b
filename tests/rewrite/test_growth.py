"""What a plan costs grows as the model does."""

from __future__ import annotations

import time

from migrate.rewrite.plan import make_plan
from migrate.rewrite.restore import FromCheckpoint
from migrate.sources.protos import MetaGraphDef, NodeDef

_FLOAT, _STRING = 1, 7


def _model(count: int) -> MetaGraphDef:
    """So many ref variables, restored by one op and added by one."""
    meta_graph = MetaGraphDef()
    graph = meta_graph.graph_def

    def node(name: str, op: str, inputs: list[str], **types: int) -> NodeDef:
        made = graph.node.add(name=name, op=op, input=inputs)
        for key, value in types.items():
            made.attr[key].type = value
        return made

    def strings(name: str, values: list[str]) -> None:
        tensor = node(name, "Const", [], dtype=_STRING).attr["value"].tensor
        tensor.dtype = _STRING
        tensor.tensor_shape.dim.add(size=len(values))
        tensor.string_val.extend(value.encode() for value in values)

    names = [f"v{number}" for number in range(count)]
    strings("save/names", names)
    strings("save/slices", [""] * count)
    strings("save/Const", ["model"])
    restore = node("save/RestoreV2", "RestoreV2", ["save/Const", "save/names", "save/slices"])
    restore.attr["dtypes"].list.type.extend([_FLOAT] * count)
    for number, name in enumerate(names):
        node(name, "VariableV2", [], dtype=_FLOAT).attr["shape"].shape.dim.add(size=1)
        node(f"{name}/read", "Identity", [name], T=_FLOAT)
        node(f"save/Assign_{number}", "Assign", [name, f"save/RestoreV2:{number}"], T=_FLOAT)
    node("y", "AddN", [f"{name}/read" for name in names], T=_FLOAT).attr["N"].i = count
    node("save/restore_all", "NoOp", [f"^save/Assign_{number}" for number in range(count)])
    meta_graph.saver_def.filename_tensor_name = "save/Const:0"
    meta_graph.saver_def.restore_op_name = "save/restore_all"
    output = meta_graph.signature_def["serving_default"].outputs["y"]
    output.name, output.dtype = "y:0", _FLOAT
    return meta_graph


def _seconds(count: int) -> float:
    model = _model(count)
    start = time.process_time()
    plan = make_plan(model)
    took = time.process_time() - start
    assert not plan.refused
    assert [v.value for v in plan.variables] == [FromCheckpoint(f"v{number}", "") for number in range(count)]
    return took


def test_the_plan_of_many_variables_takes_no_square_of_their_number():
    _seconds(500)
    # Eight times as many; the square would be 64 times as long.
    assert _seconds(4000) < 24 * _seconds(500)
