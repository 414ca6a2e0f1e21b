"""Faults in what calls do to variables."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from tools.mutate.candidate import Candidate, change
from tools.mutate.edits import const, const_of, op, rewire, weight
from tools.mutate.look import Answers, Call, Saved, Stored, Tables
from tools.mutate.records import Fault

_SERVE = "serving_default"
_fault = functools.partial(Fault, "state", blind=True)
_CALL: Call = (_SERVE, {"x": np.array([[0.5, -1.0], [2.0, 0.25], [1.0, 1.5]], np.float32)})
_LOOK: Call = ("look", {})
_THEN_LOOK = Answers([_CALL, _LOOK, _CALL, _LOOK])
_TRAIN: Call = (
    "train",
    {"x": np.array([[0.5, -1.0], [2.0, 0.25]], np.float32), "y": np.array([[1.0], [0.0]], np.float32)},
)
_PREDICT: Call = ("predict", {"x": _TRAIN[1]["x"]})
_GET: Call = ("get", {})


def _steps(value: int) -> Call:
    return ("loop", {"steps": np.array(value, np.int64)})


def _until(limit: int) -> Any:
    """The counter counts below a limit only."""

    def edit(candidate: Candidate) -> None:
        counted = candidate.node(_SERVE, "counted")
        bound = candidate.add_const(_SERVE, "spoil/limit", limit, np.int64)
        candidate.add(_SERVE, "spoil/now", "ReadVariableOp", [counted.input[0]], dtype=np.int64)
        candidate.add(_SERVE, "spoil/is", "Less", ["spoil/now:value:0", bound], T=np.int64)
        candidate.add(_SERVE, "spoil/by", "Cast", ["spoil/is:z:0"], SrcT=tf.bool, DstT=np.int64)
        counted.input[1] = "spoil/by:y:0"

    return edit


def _twice(name: str, signature: str = _SERVE) -> Any:
    """A write is made twice."""

    def edit(candidate: Candidate) -> None:
        node = candidate.node(signature, name)
        body = candidate.body(signature)
        again = body.node_def.add()
        again.CopyFrom(node)
        again.name = "spoil/again"
        again.input.append(f"^{name}")
        for other in body.node_def:
            if f"^{name}" in other.input and other.name != "spoil/again":
                other.input.append("^spoil/again")

    return edit


def _too_early(candidate: Candidate) -> None:
    """What was read as a reference is read before the write, where TF1 reads after it."""
    read = candidate.node(_SERVE, "previous/in0/ReadVariableOp")
    del read.input[1:]
    candidate.node(_SERVE, "remembered").input.append(f"^{read.name}")


def _too_late(candidate: Candidate) -> None:
    """What is added is read before it was written."""
    read = candidate.node(_SERVE, "read_1")
    axes = candidate.node(_SERVE, candidate.node(_SERVE, "Sum_1").input[1].partition(":")[0])
    for node in (read, axes):
        node.input.remove("^remembered")
    candidate.node(_SERVE, "remembered").input.append("^Sum_1/in0/ReadVariableOp")


def _no_counting(candidate: Candidate) -> None:
    """Nothing that is answered needs the counter, and a function prunes what it does not need."""
    for node in candidate.body(_SERVE).node_def:
        if "^counted" in node.input:
            node.input.remove("^counted")


def _not_moving(candidate: Candidate) -> None:
    for node in candidate.body(_SERVE).node_def:
        if "^moved" in node.input:
            node.input.remove("^moved")


def _nothing_added(candidate: Candidate) -> None:
    for node in candidate.body(_SERVE).node_def:
        if "^added" in node.input:
            node.input.remove("^added")
    for node in candidate.body(_SERVE).node_def:
        if node.name in ("mul_1", "previous/y"):
            node.input.append("^remembered")


def _other_variable(candidate: Candidate) -> None:
    """The signature that shows the state shows another variable for one."""
    for node in candidate.body("look").node_def:
        if node.name == "now_last_0":
            node.input[0] = "read_3:value:0"


def _answer_without_write(candidate: Candidate) -> None:
    """`incr` answers the sum and stores nothing."""
    body = candidate.body("incr")
    candidate.add("incr", "spoil/now", "ReadVariableOp", ["unknown"], dtype=np.int64)
    candidate.add("incr", "spoil/sum", "AddV2", ["spoil/now:value:0", "Const:output:0"], T=np.int64)
    (key,) = body.ret
    body.ret[key] = "spoil/sum:z:0"
    body.control_ret.clear()
    kept = [node for node in body.node_def if not node.name.startswith("incr")]
    copies = [type(node).FromString(node.SerializeToString()) for node in kept]
    del body.node_def[:]
    body.node_def.extend(copies)


def _writes_in_get(candidate: Candidate) -> None:
    """A signature that reads counts, too, after it has read."""
    body = candidate.body("get")
    one = candidate.add_const("get", "spoil/one", 1, np.int64)
    candidate.add("get", "spoil/count", "AssignAddVariableOp", ["unknown", one, "^count/read"], dtype=np.int64)
    body.signature.is_stateful = True
    body.control_ret["spoil"] = "spoil/count"
    body.signature.control_output.append("spoil")
    node = candidate.node("get", "get_0")
    node.input.append("^spoil/count")


def _not_saved(candidate: Candidate) -> None:
    """The saver in the main graph writes the value of another variable for one."""
    name = next(f.signature.name for f in candidate.functions if "traced_save" in f.signature.name)
    function = candidate.function(name)
    save = next(node for node in function.node_def if node.op == "SaveV2")
    save.input[4], save.input[5] = save.input[5], save.input[4]


def _never_uninitialized(candidate: Candidate) -> None:
    """What nobody has remembered is answered as zeros."""
    body = candidate.body("recall")
    read = candidate.node("recall", "Identity")
    candidate.add("recall", "spoil/zeros", "ZerosLike", ["argument_0"], T=np.float32)
    for node in body.node_def:
        node.input[:] = [
            "spoil/zeros:y:0" if name == f"{read.name}:value:0" and node.name != "spoil/zeros" else name
            for name in node.input
        ]


def _double(candidate: Candidate, signature: str, name: str) -> None:
    change([candidate.node(signature, name)], lambda value: value * 2)


def _by_zero(candidate: Candidate) -> None:
    """The global step is added nothing."""
    node = next(
        node
        for node in candidate.body("train").node_def
        if node.op == "AssignAddVariableOp" and node.attr["dtype"].type == tf.int64.as_datatype_enum
    )
    node.input[1] = candidate.add_const("train", "spoil/zero", 0, np.int64)


def _no_update(candidate: Candidate) -> None:
    for node in candidate.body("train").node_def:
        if node.op == "ResourceApplyGradientDescent" and "b" in node.name.split("/")[-2]:
            node.input[1] = candidate.add_const("train", "spoil/zero", 0.0, np.float32)


def _power_stays(candidate: Candidate) -> None:
    nodes = candidate.body("train").node_def
    node = next(node for node in nodes if node.op == "AssignVariableOp")
    node.input[1] = candidate.add_const("train", "spoil/power", 0.9, np.float32)


def _nesterov(candidate: Candidate) -> None:
    for node in candidate.body("train").node_def:
        if node.op == "ResourceApplyAdam":
            node.attr["use_nesterov"].b = True


def _scale_starts(candidate: Candidate) -> None:
    """In whatever function the initialiser is."""
    for function in candidate.functions:
        for node in function.node_def:
            if node.op == "AssignVariableOp" and "traced" not in function.signature.name:
                name = node.input[1].partition(":")[0]
                constant = next((found for found in function.node_def if found.name == name), None)
                if constant is not None and constant.op == "Const":
                    change([constant], lambda value: value + 1)


def _alias_early(candidate: Candidate, signature: str) -> None:
    read = candidate.node(signature, "y/in1/ReadVariableOp")
    del read.input[1:]
    candidate.node(signature, "w").input.append("^y/in1/ReadVariableOp")
    candidate.node(signature, "y/x").input.remove("^w")
    candidate.node(signature, "y_0").input.append("^w")


def _inserts_other(candidate: Candidate) -> None:
    """What a call inserts into a table is something else; no output tells."""
    node = candidate.node(_SERVE, "learn")
    candidate.add(_SERVE, "spoil", "Neg", [node.input[2]], T=np.float32)
    node.input[2] = "spoil:y:0"


_LEARN: Call = (_SERVE, {"tokens": np.array([b"a", b"c"]), "x": np.array([0.5, 2.0], np.float32)})


FAULTS = (
    _fault(
        "counter-stops", "states", "A counter does not count.", const("counted_by", lambda value: value * 0), _THEN_LOOK
    ),
    _fault("counter-pruned", "states", "Nothing needs the counter.", _no_counting, _THEN_LOOK),
    _fault("counter-by-2", "states", "A counter counts two.", const("counted_by", lambda value: value * 2), _THEN_LOOK),
    _fault("counter-down", "states", "A counter counts down.", op("counted", "AssignSubVariableOp"), _THEN_LOOK),
    _fault("counter-stops-at-6", "states", "A counter stops at six.", _until(6), _THEN_LOOK),
    _fault(
        "counter-stops-at-5000", "states", "A counter stops at 5,000.", _until(5000), Stored("session", [_CALL], 5010)
    ),
    _fault("counter-stops-at-40", "states", "A counter stops at 40.", _until(40), Answers([_CALL, _LOOK], repeat=40)),
    _fault(
        "mean-does-not-move",
        "states",
        "A moving mean does not move.",
        const("rate", lambda value: value * 0),
        _THEN_LOOK,
    ),
    _fault("mean-pruned", "states", "Nothing needs the moving mean.", _not_moving, _THEN_LOOK),
    _fault(
        "mean-moves-less", "states", "A moving mean moves less.", const("rate", lambda value: value * 0.8), _THEN_LOOK
    ),
    _fault("mean-moves-twice", "states", "A moving mean moves twice.", _twice("moved"), _THEN_LOOK),
    _fault("mean-moves-away", "states", "A moving mean moves away.", op("moved", "AssignAddVariableOp"), _THEN_LOOK),
    _fault("mean-of-sum", "states", "A moving mean is that of the sum.", op("Mean_1", "Sum"), _THEN_LOOK),
    _fault("read-too-early", "states", "A reference is read before it is written.", _too_early, _THEN_LOOK),
    _fault("write-too-late", "states", "A variable is read before it is written.", _too_late, _THEN_LOOK),
    _fault("total-not-added", "states", "A total does not grow.", _nothing_added, _THEN_LOOK),
    _fault("total-assigned", "states", "A total is what was added last.", op("added", "AssignVariableOp"), _THEN_LOOK),
    _fault("remembers-other", "states", "Another value is remembered.", op("Sum", "Max"), _THEN_LOOK),
    _fault("shows-other", "states", "Another variable is shown.", _other_variable, _THEN_LOOK),
    _fault(
        "counter-starts",
        "states",
        "A counter starts at six instead of five.",
        weight("count", lambda value: value + 1),
        Stored("tf2"),
    ),
    _fault("saver-swaps", "states", "A Session saves two variables under each other's keys.", _not_saved, Saved()),
    _fault(
        "answer-without-write",
        "counter",
        "A call answers the count and does not store it.",
        _answer_without_write,
        Answers([("incr", {}), _GET]),
    ),
    _fault("reading-writes", "counter", "Reading counts.", _writes_in_get, Answers([_GET, _GET])),
    _fault(
        "reset-to-1",
        "counter",
        "A reset sets one.",
        const_of("reset", "Const_1", lambda value: value + 1),
        Answers([("reset", {}), _GET]),
    ),
    _fault(
        "other-branch-counts",
        "cond_counter",
        "The counter counts by two in its branch.",
        lambda c: _double(c, "maybe_incr", "Const"),
        Answers([("maybe_incr", {"really": np.array(True)}), _GET]),
    ),
    _fault(
        "loop-counts-less",
        "loop_counter",
        "The loop writes the last step only.",
        op("while/AssignAdd", "AssignVariableOp"),
        Answers([_steps(5), _GET]),
    ),
    _fault(
        "rate-of-training",
        "training",
        "The learning rate is another one.",
        const("GradientDescent/learning_rate", lambda value: value * 2),
        Answers([_TRAIN, _PREDICT]),
    ),
    _fault("no-step", "training", "The global step does not count.", _by_zero, Stored("session", [_TRAIN])),
    _fault(
        "no-update-of-b",
        "training",
        "One variable is not trained.",
        _no_update,
        Stored("session", [_TRAIN]),
    ),
    _fault("no-power", "training_adam", "A power of Adam stays.", _power_stays, Stored("session", [_TRAIN])),
    _fault(
        "adam-epsilon",
        "training_adam",
        "Adam's epsilon is another one.",
        const("Adam/epsilon", lambda value: value * 1000),
        Stored("session", [_TRAIN] * 3),
    ),
    _fault(
        "adam-beta",
        "training_adam",
        "Adam's beta2 is another one.",
        const("Adam/beta2", lambda value: value * 0.9),
        Stored("session", [_TRAIN]),
    ),
    _fault("adam-nesterov", "training_adam", "Adam is Nesterov's.", _nesterov, Stored("session", [_TRAIN])),
    _fault(
        "local-variable",
        "subset_saver",
        "A local variable starts at another value.",
        _scale_starts,
        Answers([(_SERVE, {"x": np.ones([2, 3], np.float32)})]),
    ),
    _fault(
        "never-uninitialized",
        "uninitialized",
        "What was never remembered is zeros instead of an error.",
        _never_uninitialized,
        Answers([("recall", {"x": np.ones([2], np.float32)})]),
    ),
    _fault(
        "alias-read-early",
        "alias",
        "A value is read before it is written.",
        lambda c: _alias_early(c, "y_only"),
        Answers([("y_only", {"x": np.ones([2], np.float32)})]),
    ),
    _fault(
        "rewired",
        "states",
        "A total grows by the mean of another variable.",
        rewire("Sum_1", 0, "sub/in0/ReadVariableOp:value:0"),
        _THEN_LOOK,
    ),
    _fault("table-other", "memory", "A call inserts another value into a table.", _inserts_other, Tables([_LEARN])),
)
