"""What the rewrite knows about single ops: how each treats a ref edge and the buffer behind it.

Facts are TensorFlow's: the ref arguments stand in its op registry (`checks/ops.tsv` lists them all, a test holds
the two together), and so do the kernels that are known to copy (`op_table.OpInfo.copies`).
"""

from __future__ import annotations

from migrate.checks.op_table import load_op_table
from migrate.frozen import frozen

VARIABLES = frozenset({"Variable", "VariableV2"})

HANDLES = {
    "HashTable": "HashTableV2",
    "MutableHashTable": "MutableHashTableV2",
    "MutableHashTableOfTensors": "MutableHashTableOfTensorsV2",
    "FIFOQueue": "FIFOQueueV2",
    "PaddingFIFOQueue": "PaddingFIFOQueueV2",
    "PriorityQueue": "PriorityQueueV2",
    "RandomShuffleQueue": "RandomShuffleQueueV2",
    "FixedLengthRecordReader": "FixedLengthRecordReaderV2",
    "IdentityReader": "IdentityReaderV2",
    "TextLineReader": "TextLineReaderV2",
    "TFRecordReader": "TFRecordReaderV2",
    "WholeFileReader": "WholeFileReaderV2",
    "ConditionalAccumulator": "ResourceConditionalAccumulator",
}
"""Ops that give a string-ref handle to a resource, with the op that gives the same as DT_RESOURCE."""

NAMED_RESOURCES = frozenset(HANDLES.values()) | {
    "BoostedTreesEnsembleResourceHandleOp",
    "BoostedTreesQuantileStreamResourceHandleOp",
    "IteratorV2",
    "MutableDenseHashTableV2",
    "MutexV2",
    "TensorForestTreeResourceHandleOp",
}
"""Ops that make or find a resource by (container, shared_name).

Each becomes one captured object of the new model: `tf.saved_model.load` gives the same shared_name another suffix in
every function (function_deserialization.py, fix_node_def), so nodes in two functions would not meet.
"""

HANDLE_USERS = {
    **{
        name: name + "V2"
        for name in (
            "InitializeTable",
            "InitializeTableFromTextFile",
            "LookupTableExport",
            "LookupTableFind",
            "LookupTableImport",
            "LookupTableInsert",
            "LookupTableSize",
            "QueueClose",
            "QueueDequeue",
            "QueueDequeueMany",
            "QueueDequeueUpTo",
            "QueueEnqueue",
            "QueueEnqueueMany",
            "QueueIsClosed",
            "QueueSize",
            "ReaderNumRecordsProduced",
            "ReaderNumWorkUnitsCompleted",
            "ReaderRead",
            "ReaderReadUpTo",
            "ReaderReset",
            "ReaderRestoreState",
            "ReaderSerializeState",
        )
    },
    **{
        name: "Resource" + name
        for name in (
            "AccumulatorApplyGradient",
            "AccumulatorNumAccumulated",
            "AccumulatorSetGlobalStep",
            "AccumulatorTakeGradient",
        )
    },
}
"""Ops that take string-ref handles, with the op that takes DT_RESOURCE in the same places."""


OTHER_HANDLES = frozenset(
    {"FakeQueue", "Stack", "TensorArray", "TensorArrayGrad", "TensorArrayGradV2", "TensorArrayV2"}
)
"""Other ops that give a string handle: to a queue that is a resource already, to what lives for one step.

The V2 TensorArray (TF 0.12) gives a plain string; functions refuse it as deprecated, so it becomes V3, too.
"""

STEP_USERS = {
    **{name: name + "V2" for name in ("StackClose", "StackPop", "StackPush")},
    **{
        f"TensorArray{name}{version}": f"TensorArray{name}V3"
        for name in ("Close", "Concat", "Gather", "Read", "Scatter", "Size", "Split", "Write")
        for version in ("", "V2")
    },
}
"""Ops that take such a handle first, with the op that takes DT_RESOURCE there."""

RENAMED = {
    **{
        f"Batch{name}": name
        for name in (
            "Cholesky",
            "CholeskyGrad",
            "MatrixDeterminant",
            "MatrixDiag",
            "MatrixDiagPart",
            "MatrixInverse",
            "MatrixSetDiag",
            "MatrixSolve",
            "MatrixSolveLs",
            "MatrixTriangularSolve",
            "SelfAdjointEigV2",
            "Svd",
        )
    },
}
"""Deprecated ops whose successors have the same arguments, attributes and kernels (linalg_ops.cc, array_ops.cc)."""

NO_REF = frozenset({"AccumulateNV2", "TopK", *RENAMED})
"""Ops without a ref argument that are rewritten all the same: a function takes them no longer, or never did."""

REFUSED = {
    "Barrier": "a barrier's handle is a string that its kernels look up; TensorFlow has no resource form of it",
    "SparseConditionalAccumulator": "TensorFlow has no resource form of it (sparse_conditional_accumulator_op.cc)",
    "LMDBReader": "LMDB support is removed from TensorFlow: its kernel fails, in a v1 Session too (lmdb_reader_op.cc)",
    "MutableDenseHashTable": "its kernel asks for the input deleted_key, which the op does not have, so that it fails "
    "in every TensorFlow since 1.13, in a v1 Session too (lookup_table_op.cc)",
    "NegTrain": "it draws its negative samples inside the kernel, which takes refs only; nothing else draws the same",
}
"""Ops that cannot be rewritten, and why: a law of TensorFlow's, not a lack of work."""

REFUSED_WITH = {
    **{f"Barrier{name}": "Barrier" for name in ("Close", "IncompleteSize", "InsertMany", "ReadySize", "TakeMany")},
    **{f"SparseAccumulator{name}": "SparseConditionalAccumulator" for name in ("ApplyGradient", "TakeGradient")},
}
"""Ops that work on what one of those makes."""

TEST_OPS = frozenset(
    {
        "RefIn", "RefInputFloatInput", "RefInputFloatInputIntOutput", "RefInputIntInput", "RefOut", "RefOutput",
        "RefOutputFloatOutput", "TwoRefsIn",
    }
)  # fmt: skip
"""Ref ops that TensorFlow registers for its own unit tests."""


@frozen
class Twin:
    """The resource form of an op that writes ref variables.

    Attributes:
      op: name of the resource op; its arguments stand in the same order.
      refs: how many leading arguments are refs.
      renamed: attribute of the ref op -> its name in the resource op.
      dropped: attributes that the resource op does not have (its kernels always lock).
      gives_ref: whether output 0 is the first argument's ref, which the resource op does not give.
    """

    op: str
    refs: int = 1
    renamed: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()
    gives_ref: bool = True


_T_IS_DTYPE = (("T", "dtype"),)
_LOCKING = ("use_locking",)

_OPTIMIZERS = {
    "Adadelta": 3,
    "Adagrad": 2,
    "AdagradDA": 3,
    "AdagradV2": 2,
    "CenteredRMSProp": 4,
    "Ftrl": 3,
    "FtrlV2": 3,
    "Momentum": 2,
    "ProximalAdagrad": 2,
    "ProximalGradientDescent": 1,
    "RMSProp": 3,
}
_DENSE_OPTIMIZERS = {"AdaMax": 3, "Adam": 3, "AddSign": 2, "GradientDescent": 1, "PowerSign": 2}

WRITES: dict[str, Twin] = {
    "Assign": Twin("AssignVariableOp", renamed=_T_IS_DTYPE, dropped=_LOCKING),
    "AssignAdd": Twin("AssignAddVariableOp", renamed=_T_IS_DTYPE, dropped=_LOCKING),
    "AssignSub": Twin("AssignSubVariableOp", renamed=_T_IS_DTYPE, dropped=_LOCKING),
    "StridedSliceAssign": Twin("ResourceStridedSliceAssign"),
    "CountUpTo": Twin("ResourceCountUpTo", gives_ref=False),
    **{
        f"Scatter{name}": Twin(f"ResourceScatter{name}", renamed=_T_IS_DTYPE, dropped=_LOCKING)
        for name in ("Add", "Div", "Max", "Min", "Mul", "Sub", "Update")
    },
    **{f"ScatterNd{name}": Twin(f"ResourceScatterNd{name}") for name in ("Add", "Max", "Min", "Sub", "Update")},
    **{f"Apply{name}": Twin(f"ResourceApply{name}", refs) for name, refs in (_OPTIMIZERS | _DENSE_OPTIMIZERS).items()},
    **{f"SparseApply{name}": Twin(f"ResourceSparseApply{name}", refs) for name, refs in _OPTIMIZERS.items()},
}
"""Ops that write the variables behind their leading ref arguments."""

ELEMENTWISE_WRITES = frozenset(
    {"ApplyGradientDescent", "ApplyProximalGradientDescent", "Assign", "AssignAdd", "AssignSub"}
)
"""Those whose operand may be the written buffer itself: each element is read before it is written, and only then."""

REF_CONTROL_FLOW = {
    "RefEnter": "Enter",
    "RefExit": "Exit",
    "RefIdentity": "Identity",
    "RefMerge": "Merge",
    "RefNextIteration": "NextIteration",
    "RefSwitch": "Switch",
    "DebugGradientRefIdentity": "Identity",
}
"""Ops that pass refs on, with the op that passes any dtype on (control_flow_ops.cc: both share their kernels)."""

CONTROL_FLOW = frozenset({"Enter", "Exit", "Merge", "NextIteration", "Switch"})
"""The plain control flow ops: each gives its input's buffer on (control_flow_ops.cc: `context->set_output`)."""

IDENTITIES = frozenset({"GuaranteeConst", "Identity", "PlaceholderWithDefault", "PreventGradient", "StopGradient"})
"""Ops whose output is their input's buffer and nothing else (identity_op.cc, guarantee_const_op.cc)."""

EFFECTS = frozenset({"CheckNumerics", "CheckNumericsV2", "Print", "DebugGradientIdentity", "DebugIdentityV2"})
"""Ops that look at their input when they run and give its buffer on (check_numerics_op.cc, logging_ops.cc)."""

RESHAPES = frozenset({"Bitcast", "EnsureShape", "ExpandDims", "Reshape", "Squeeze"})
"""Pure ops whose output is their first input's buffer under another shape or dtype (reshape_op.h, bitcast_op.cc)."""


def may_share(op: str) -> bool:
    """Whether an output of an op, or what it keeps, may be an input's buffer: all but what is known to copy."""
    info = load_op_table().get(op)
    return info is None or not info.copies


def may_keep(op: str) -> bool:
    """Whether an op may keep an input's buffer where no edge of the graph leads to its reader."""
    info = load_op_table().get(op)
    return info is None or not (info.copies or info.effect in _FORGETFUL)


_FORGETFUL = frozenset({"prints", "pure", "random"})
"""Effects of ops that keep nothing from one call to another."""

INPLACE = frozenset({"InplaceAdd", "InplaceSub", "InplaceUpdate"})
"""Ops that write their first input's buffer, although it is no ref (inplace_ops.cc)."""

STRICT_REFS = {"IsVariableInitialized": "VarIsInitializedOp"}
"""Ops that take a ref, write nothing and give no ref."""


def ref_arguments(op: str, inputs: int) -> range:
    """Positions of the arguments of an op that take a handle in the new graph; an empty range for an unknown op."""
    if op in WRITES:
        return range(WRITES[op].refs)
    if op in ("RefMerge", "SdcaShrinkL1"):
        return range(inputs)
    if op == "RefSelect":
        return range(1, inputs)
    if op in ("ReaderRead", "ReaderReadUpTo"):
        return range(2)
    if op in STEP_USERS or op in (
        "FakeQueue", "TensorArrayGrad", "TensorArrayGradV2", "TensorArrayPack", "TensorArrayUnpack"
    ):  # fmt: skip
        return range(1)
    if op in REF_CONTROL_FLOW or op in STRICT_REFS or op in HANDLE_USERS:
        return range(1)
    return range(0)


def fewest_inputs(op: str) -> int:
    """How many data inputs a node of an op must have for the rules to look at it; 0 for an op that no rule knows."""
    if op in WRITES:
        return WRITES[op].refs + (op != "CountUpTo")
    if op in _FEWEST:
        return _FEWEST[op]
    if op in HANDLE_USERS or op in STEP_USERS:
        return max(1, len(ref_arguments(op, 2)))
    plain = CONTROL_FLOW | IDENTITIES | EFFECTS | RESHAPES | NO_REF
    return int(op in plain or op in REF_CONTROL_FLOW or op in STRICT_REFS)


_FEWEST = {
    "AssignVariableOp": 2,
    "ExpandDims": 2,
    "FakeQueue": 1,
    "RefSelect": 2,
    "RefSwitch": 2,
    "LookupTableImport": 3,
    "LookupTableImportV2": 3,
    "Reshape": 2,
    "Restore": 2,
    "RestoreSlice": 3,
    "RestoreV2": 3,
    "Switch": 2,
    "TensorArrayGrad": 2,
    "TensorArrayGradV2": 2,
    "TensorArrayPack": 2,
    "TensorArrayUnpack": 3,
}

FEWEST_INPUTS = {
    op: fewest
    for op in sorted(
        {*WRITES, *_FEWEST, *HANDLE_USERS, *STEP_USERS, *REF_CONTROL_FLOW, *STRICT_REFS}
        | CONTROL_FLOW | IDENTITIES | EFFECTS | RESHAPES | NO_REF
    )
    if (fewest := fewest_inputs(op))
}  # fmt: skip
"""The same for every op of which it says more than 0."""
