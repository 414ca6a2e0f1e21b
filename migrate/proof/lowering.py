"""Functional control flow as the v1 control flow that TensorFlow makes of it.

Each If, Case and While is taken for a call of a function that holds its Switches and Merges, and calls its branches. It
is what lower_if_op.cc, lower_case_op.cc and lower_while_op.cc make; a kernel that runs one whole (functional_ops.cc)
computes the same, and orders more: it begins when all inputs are there, and a While's iterations run one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from migrate.graph.dtypes import REF, dtype_value
from migrate.graph.function_calls import is_lowered
from migrate.graph.protos import AttrValue, FunctionDef, NodeDef
from migrate.proof import constants

_BOOL, _INT32 = dtype_value("bool"), dtype_value("int32")


def lowered(name: str, node: NodeDef, library: Mapping[str, FunctionDef]) -> FunctionDef | None:
    """A function with this name that does what an If, Case or While does; None where that is not known.

    It takes what the node takes, and `done` is what the node's control edges wait for.
    """
    is_loop = node.op in ("While", "StatelessWhile")
    key = "T" if is_loop else "Tin"
    if any(node.attr[each].placeholder for each in node.attr):
        return None
    given = list(node.attr[key].list.type) if key in node.attr else []
    made = _Builder(name, node)
    if is_loop:
        return _loop(made, given, library) if given else None
    results = list(node.attr["Tout"].list.type) if "Tout" in node.attr else []
    return _branches(made, given, results)


class _Builder:
    """A function that grows."""

    def __init__(self, name: str, node: NodeDef) -> None:
        self.node = node
        self.function = FunctionDef()
        self.function.signature.name = name
        self.function.signature.is_stateful = not node.op.startswith("Stateless")

    def argument(self, name: str, dtype: int) -> str:
        self.function.signature.input_arg.add(name=name, type=dtype)
        return name

    def result(self, name: str, dtype: int, tensor: str) -> None:
        self.function.signature.output_arg.add(name=name, type=dtype)
        self.function.ret[name] = tensor

    def done(self, node: str) -> None:
        self.function.control_ret["done"] = node

    def add(self, op: str, name: str, inputs: Iterable[str], dtype: int = 0) -> NodeDef:
        made: NodeDef = self.function.node_def.add(op=op, name=name, input=inputs)
        if dtype:
            made.attr["T"].type = dtype
        return made

    def truth(self, name: str, tensor: str, dtype: int) -> str:
        """What an If or a While takes for true (functional_ops.cc, ToBool)."""
        if dtype == _BOOL:
            return tensor
        self.add("ToBool", name, [tensor], dtype)
        return f"{name}:output:0"

    def call(self, name: str, key: str, number: int, tensors: Sequence[str], given: Sequence[int], wait: str) -> None:
        made = self.add("StatefulPartitionedCall", name, [*tensors, f"^{wait}"])
        value = self.node.attr[key]
        made.attr["f"].func.CopyFrom(value.list.func[number] if value.HasField("list") else value.func)
        made.attr["Tin"].list.type.extend(given)


def _branches(made: _Builder, given: Sequence[int], results: Sequence[int]) -> FunctionDef | None:
    """Each branch but the last one is taken where the predicate holds, or the index is its number."""
    attr = made.node.attr
    is_case = "branches" in attr
    count = len(attr["branches"].list.func) if is_case else 2
    if not count or (not is_case and ("then_branch" not in attr or "else_branch" not in attr or "Tcond" not in attr)):
        return None
    asked = _INT32 if is_case else attr["Tcond"].type
    chosen = made.argument("asked", asked)
    tensors = [made.argument(f"in{k}", dtype) for k, dtype in enumerate(given)]
    keys = [("branches", k) for k in range(count)] if is_case else [("then_branch", 0), ("else_branch", 0)]
    outputs: list[str] = []
    for number, (key, which) in enumerate(keys):
        taken, pivot_of = tensors, chosen
        if number < count - 1:
            if is_case:
                const = made.add("Const", f"number{number}", [f"^{chosen.partition(':')[0]}"])
                const.attr["dtype"].type = _INT32
                const.attr["value"].CopyFrom(AttrValue(tensor=constants.int32(number)))
                made.add("Equal", f"is{number}", [chosen, f"{const.name}:output:0"], _INT32)
                truth = f"is{number}:z:0"
            else:
                truth = made.truth("truth", chosen, asked)
            for k, (tensor, dtype) in enumerate(zip([chosen, *tensors], [asked, *given], strict=True)):
                made.add("Switch", f"switch{number}_{k}", [tensor, truth], dtype)
            inner = [f"switch{number}_{k}:output_true:0" for k in range(len(tensors) + 1)]
            pivot_of, taken = inner[0], inner[1:]
            chosen, *tensors = [f"switch{number}_{k}:output_false:0" for k in range(len(tensors) + 1)]
        made.add("Identity", f"pivot{number}", [pivot_of], asked)
        made.call(f"branch{number}", key, which, taken, given, f"pivot{number}")
        made.add("Identity", f"end{number}", [f"pivot{number}:output:0", f"^branch{number}"], asked)
        outputs.append(f"branch{number}")
    for k, dtype in enumerate(results):
        merge = made.add("Merge", f"merge{k}", [f"{name}:output:{k}" for name in outputs], dtype)
        merge.attr["N"].i = count
        made.result(f"out{k}", dtype, f"merge{k}:output:0")
    done = made.add("Merge", "done", [f"end{number}:output:0" for number in range(count)], asked)
    done.attr["N"].i = count
    made.done("done")
    return made.function


def _loop(made: _Builder, given: Sequence[int], library: Mapping[str, FunctionDef]) -> FunctionDef | None:
    attr = made.node.attr
    condition = library.get(attr["cond"].func.name) if "cond" in attr else None
    if condition is None or "body" not in attr or len(condition.signature.output_arg) != 1:
        return None
    count = len(given)
    # A kernel begins an iteration when the one before has ended.
    at_once = attr["parallel_iterations"].i if "parallel_iterations" in attr else 10
    for k, dtype in enumerate(given):
        enter = made.add("Enter", f"enter{k}", [made.argument(f"in{k}", dtype)], dtype)
        enter.attr["frame_name"].s = b"loop"
        enter.attr["is_constant"].b = False
        enter.attr["parallel_iterations"].i = at_once if is_lowered(made.node) or at_once <= 0 else 1
        merge = made.add("Merge", f"merge{k}", [f"enter{k}:output:0", f"next{k}:output:0"], dtype)
        merge.attr["N"].i = 2
    made.call("condition", "cond", 0, [f"merge{k}:output:0" for k in range(count)], given, "merge0")
    asked = condition.signature.output_arg[0].type % REF
    made.add("LoopCond", "go", [made.truth("truth", "condition:output:0", asked)])
    for k, dtype in enumerate(given):
        made.add("Switch", f"switch{k}", [f"merge{k}:output:0", "go:output:0"], dtype)
    made.add("Identity", "pivot", ["switch0:output_true:0"], given[0])
    made.call("body", "body", 0, [f"switch{k}:output_true:0" for k in range(count)], given, "pivot")
    for k, dtype in enumerate(given):
        made.add("NextIteration", f"next{k}", [f"body:output:{k}"], dtype)
        made.add("Exit", f"exit{k}", [f"switch{k}:output_false:0"], dtype)
        made.result(f"out{k}", dtype, f"exit{k}:output:0")
    made.add("NoOp", "done", [f"^exit{k}" for k in range(count)])
    made.done("done")
    return made.function
