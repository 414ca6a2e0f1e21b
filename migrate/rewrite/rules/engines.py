"""TensorRT engines as calls of what they were made of."""

from __future__ import annotations

from migrate.graph.graph import attribute, data_inputs
from migrate.graph.protos import NodeDef
from migrate.records import Finding, refusal
from migrate.rewrite.new_nodes import Edit
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope


def segment(node: NodeDef) -> str:
    """Name of the function that an engine was made of, or empty: of TF 1.14 and later, or of those before."""
    return attribute(node, "segment_func").func.name or attribute(node, "segment_funcdef_name").s.decode(
        "utf-8", "replace"
    )


def _engine(node: NodeDef, scope: Scope) -> Edit | Finding:
    """A TRTEngineOp calls its native segment (compiler/tf2tensorrt/kernels/trt_engine_op.cc, ExecuteNativeSegment).

    So does its kernel where no engine fits the inputs. The engine computes the same in FP32, in other steps.
    """
    name = segment(node)
    if not name:
        return refusal(
            "engine-without-segment",
            f"{scope.aliases.run.key}: TRTEngineOp {node.name!r} does not say of which function it was made; "
            "TensorFlow 2 cannot run its engine",
            (node.name,),
            "convert the model from before TensorRT optimised it",
        )
    inputs = []
    extra: list[NodeDef] = []
    for position in range(len(data_inputs(node))):
        value, nodes = scope.value(node, position)
        inputs.append(value)
        extra += nodes
    call = NodeDef(name=node.name, op="PartitionedCall", input=inputs)
    call.input.extend(each for each in node.input if each.startswith("^"))
    call.attr["f"].func.name = name
    call.attr["Tin"].list.type.extend(attribute(node, "InT").list.type)
    call.attr["Tout"].list.type.extend(attribute(node, "OutT").list.type)
    return Edit((*extra, call))


ENGINE = Rule("engine", {"TRTEngineOp": Op()}, _engine)
