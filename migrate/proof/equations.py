"""THE TABLE of the proof: what may stand for what, each row from TensorFlow's op definitions and kernels.

It is closed: an op that has no row, and that the table of ops (`graph/op_table.py`) does not call pure, is not proved.
docs/proof.md says how a row is added.
"""

from __future__ import annotations

from collections.abc import Mapping

from migrate.frozen import frozen

PASSES = frozenset(
    {
        # identity_op.cc: context->set_output(0, context->input(0)); registered for each of these names.
        "Identity", "StopGradient", "PreventGradient", "PlaceholderWithDefault", "DebugGradientIdentity",
        "RefIdentity", "DebugGradientRefIdentity",
        # guarantee_const_op.cc: the input, once it is known not to be a resource.
        "GuaranteeConst",
        # fake_queue_op.cc: the handle of a queue, as a string.
        "FakeQueue",
    }
)  # fmt: skip
"""Ops whose output is their first input. A PlaceholderWithDefault that is fed is an input of the call, and no node."""

SWITCHES = frozenset({"Switch", "RefSwitch"})
MERGES = frozenset({"Merge", "RefMerge"})
ENTERS = frozenset({"Enter", "RefEnter"})
EXITS = frozenset({"Exit", "RefExit"})
NEXT_ITERATIONS = frozenset({"NextIteration", "RefNextIteration"})
"""v1 control flow (control_flow_ops.cc: the ref kernels are the plain ones under other names)."""

RESHAPES = frozenset({"Bitcast", "EnsureShape", "ExpandDims", "Reshape", "Squeeze"})
"""Ops whose output is their first input's buffer under another shape or dtype (reshape_op.h, bitcast_op.cc)."""

SHOWS = frozenset({"CheckNumerics", "CheckNumericsV2", "Print", "DebugIdentityV2"})
"""Ops that look at their first input when they run, and give its buffer on (check_numerics_op.cc, logging_ops.cc)."""

RENAMED: Mapping[str, str] = {
    # linalg_ops.cc: each pair is registered with the same kernel class.
    **{
        f"Batch{name}": name
        for name in (
            "Cholesky", "CholeskyGrad", "MatrixDeterminant", "MatrixInverse", "MatrixSolve", "MatrixSolveLs",
            "MatrixTriangularSolve", "SelfAdjointEigV2", "Svd",
            # array_ops.cc and matrix_band_part_op.cc, matrix_diag_op.cc, matrix_set_diag_op.cc.
            "MatrixBandPart", "MatrixDiag", "MatrixDiagPart", "MatrixSetDiag",
            # fft_ops.cc: FFTGPU under both names; on a CPU FFT alone has a kernel.
            "FFT", "FFT2D", "FFT3D", "IFFT", "IFFT2D", "IFFT3D",
        )
    },
}  # fmt: skip
"""Ops that have another name now, with the same arguments and attributes."""

ACCUMULATE = "AccumulateNV2"
"""In its place accumulate_n_optimizer.cc puts a temporary variable that holds zeros, to which the inputs are added in
any order; AddN in a loop of which several iterations run at once."""

MOST_ADDED = 8
"""Inputs of it: AddN (aggregate_ops.cc) adds up to eight of them from the left, which is one of the orders. More of
them it adds in groups (aggregate_ops_cpu.h), which no order of TF1's does."""

SIGNED_ZEROS = frozenset({"bfloat16", "complex128", "complex64", "float16", "float32", "float64"})
"""Dtypes in which a sum of minus zeros is another one where it begins with a zero: all else is equal bit for bit."""

DROPPED: Mapping[str, frozenset[str]] = {
    # The name is for messages, and for the gradient's array to find its own: tensor_array_ops.cc.
    "TensorArrayV3": frozenset({"tensor_array_name"}),
    "TensorArrayV2": frozenset({"tensor_array_name"}),
    "TensorArray": frozenset({"tensor_array_name"}),
}
"""Attributes that say nothing of what an op computes."""


@frozen
class Maker:
    """An op that gives the handle or the ref of a cell: a variable, a table, a queue.

    Attributes:
      kind: `ref`, `resource` (variables), `table`, `queue`, `reader` or `accumulator`; cells of two kinds are never the
        same.
      canonical: name for the ops that make the same thing.
      by_node: whether a node without a shared_name is known by its own name (ContainerInfo::Init, resource_mgr.cc, with
        use_node_name_as_default). VarHandleOp takes its shared_name literally (resource_variable_ops.cc).
      is_private: whether a node without a shared_name has a resource that no other node has, unless its attribute
        use_node_name_sharing says otherwise (lookup_table_op.h, LookupTableOp).
    """

    kind: str
    canonical: str
    by_node: bool = True
    is_private: bool = False


MAKERS: Mapping[str, Maker] = {
    "Variable": Maker("ref", "Variable"),
    "VariableV2": Maker("ref", "Variable"),
    "VarHandleOp": Maker("resource", "Variable", by_node=False),
    # lookup_table_op.cc: the V1 kernel gives a string handle, the V2 kernel a resource, of the same table class.
    **{
        f"{name}{version}": Maker("table", name, is_private=True)
        for name in ("HashTable", "MutableHashTable", "MutableHashTableOfTensors", "MutableDenseHashTable")
        for version in ("", "V2")
    },
    # fifo_queue_op.cc and the like: queue_op.h gives a string handle or a resource, as the op's output type says.
    **{
        f"{name}{version}": Maker("queue", name)
        for name in ("FIFOQueue", "PaddingFIFOQueue", "PriorityQueue", "RandomShuffleQueue")
        for version in ("", "V2")
    },
    # reader_op_kernel.h: V1 gives a string handle, V2 a resource, of the same reader. Of FixedLengthRecordReader the V1
    # kernel fails: it asks for an attribute that the op does not have (fixed_length_record_reader_op.cc).
    **{
        f"{name}{version}": Maker("reader", name)
        for name in ("IdentityReader", "TFRecordReader", "TextLineReader", "WholeFileReader")
        for version in ("", "V2")
    },
    "FixedLengthRecordReaderV2": Maker("reader", "FixedLengthRecordReaderV2"),
    # conditional_accumulator_op.cc: one class under a string handle and under a resource.
    **{
        f"{prefix}ConditionalAccumulator": Maker("accumulator", "ConditionalAccumulator", is_private=True)
        for prefix in ("", "Resource")
    },
}


@frozen
class Write:
    """An op that changes cells.

    Attributes:
      canonical: name for the ops that do the same: the ref op's.
      cells: how many of its first inputs are the cells.
      renamed: (its name for an attribute, the canonical op's) pairs.
      dropped: attributes that say nothing of what one call leaves: locks keep calls apart from each other.
      elementwise: whether an operand may be the written buffer itself: each element is read before it is written, and
        only then (dense_update_functor.h).
      results: whether its outputs are results; else an output is the ref of the first cell.
    """

    canonical: str
    cells: int = 1
    renamed: tuple[tuple[str, str], ...] = ()
    dropped: frozenset[str] = frozenset({"use_locking"})
    elementwise: bool = False
    results: bool = False


_TYPE = (("dtype", "T"),)
_OPTIMIZERS = {
    "AdaMax": 3, "Adadelta": 3, "Adagrad": 2, "AdagradDA": 3, "AdagradV2": 2, "Adam": 3, "AddSign": 2,
    "CenteredRMSProp": 4, "Ftrl": 3, "FtrlV2": 3, "GradientDescent": 1, "Momentum": 2, "PowerSign": 2,
    "ProximalAdagrad": 2, "ProximalGradientDescent": 1, "RMSProp": 3,
}  # fmt: skip
"""training_ops.cc: `Apply*` and `ResourceApply*` are one kernel class, with so many leading variables."""
_SPARSE = (
    "Adadelta", "Adagrad", "AdagradDA", "AdagradV2", "CenteredRMSProp", "Ftrl", "FtrlV2", "Momentum",
    "ProximalAdagrad", "ProximalGradientDescent", "RMSProp",
)  # fmt: skip

WRITES: Mapping[str, Write] = {
    # dense_update_ops.cc, resource_variable_ops.cc. `dtype` of the one is `T` of the other.
    "Assign": Write("Assign", elementwise=True),
    "AssignVariableOp": Write("Assign", renamed=_TYPE, elementwise=True),
    "AssignAdd": Write("AssignAdd", elementwise=True),
    "AssignAddVariableOp": Write("AssignAdd", renamed=_TYPE, elementwise=True),
    "AssignSub": Write("AssignSub", elementwise=True),
    "AssignSubVariableOp": Write("AssignSub", renamed=_TYPE, elementwise=True),
    # count_up_to_op.cc: gives the value before.
    "CountUpTo": Write("CountUpTo", results=True),
    "ResourceCountUpTo": Write("CountUpTo", results=True),
    # strided_slice_op.cc: one class, StridedSliceAssignOp.
    "StridedSliceAssign": Write("StridedSliceAssign"),
    "ResourceStridedSliceAssign": Write("StridedSliceAssign"),
    # scatter_op.cc and resource_variable_ops.cc: both call functor::ScatterFunctor.
    **{
        f"Scatter{name}": Write(f"Scatter{name}") for name in ("Add", "Div", "Max", "Min", "Mul", "Sub", "Update")
    },
    **{
        f"ResourceScatter{name}": Write(f"Scatter{name}", renamed=_TYPE)
        for name in ("Add", "Max", "Min", "Mul", "Sub", "Update")
    },
    # It refuses updates that hold a zero, of any dtype; the ref kernel divides.
    "ResourceScatterDiv": Write("ResourceScatterDiv", renamed=_TYPE),
    # scatter_nd_op.cc: one class, ScatterNdUpdateOp.
    **{f"ScatterNd{name}": Write(f"ScatterNd{name}") for name in ("Add", "Max", "Min", "Sub", "Update")},
    **{f"ResourceScatterNd{name}": Write(f"ScatterNd{name}") for name in ("Add", "Max", "Min", "Sub", "Update")},
    **{f"Apply{name}": Write(f"Apply{name}", count) for name, count in _OPTIMIZERS.items()},
    **{f"ResourceApply{name}": Write(f"Apply{name}", count) for name, count in _OPTIMIZERS.items()},
    **{f"SparseApply{name}": Write(f"SparseApply{name}", _OPTIMIZERS[name]) for name in _SPARSE},
    **{f"ResourceSparseApply{name}": Write(f"SparseApply{name}", _OPTIMIZERS[name]) for name in _SPARSE},
    # lookup_table_op.cc, lookup_table_init_op.cc: V1 and V2 are one kernel, which takes either handle.
    **{
        f"{name}{version}": Write(name)
        for name in (
            "InitializeTable", "InitializeTableFromTextFile", "LookupTableImport", "LookupTableInsert",
        )
        for version in ("", "V2")
    },
    "LookupTableRemoveV2": Write("LookupTableRemoveV2"),
    # reader_ops.cc: likewise. A reader takes names of files from a queue, which it changes, too.
    **{
        f"{name}{version}": Write(name, cells, results=True)
        for name, cells in (("ReaderRead", 2), ("ReaderReadUpTo", 2), ("ReaderReset", 1), ("ReaderRestoreState", 1))
        for version in ("", "V2")
    },
    # conditional_accumulator_base_op.h: one class per operation. A gradient is added to a buffer of the accumulator's
    # own, and what is taken out is not changed any more (conditional_accumulator.h).
    **{
        f"{prefix}Accumulator{name}": Write(f"Accumulator{name}", results=True)
        for name in ("ApplyGradient", "SetGlobalStep", "TakeGradient")
        for prefix in ("", "Resource")
    },
    # queue_op.h, queue_ops.cc: likewise. What is taken out is taken from what was put in.
    **{
        f"{name}{version}": Write(name, results=True)
        for name in (
            "QueueClose", "QueueDequeue", "QueueDequeueMany", "QueueDequeueUpTo", "QueueEnqueue", "QueueEnqueueMany",
        )
        for version in ("", "V2")
    },
}  # fmt: skip
"""Ops that change the cells behind their first inputs."""

KEEPERS = frozenset(
    {
        # resource_variable_ops.cc: `*variable->tensor() = value`.
        "AssignVariableOp",
        # queue_base.h: a Tuple of tensors. lookup_table_op.cc: the buckets of a MutableDenseHashTable.
        "QueueEnqueue", "QueueEnqueueV2", "QueueEnqueueMany", "QueueEnqueueManyV2",
        "LookupTableImport", "LookupTableImportV2",
    }
)  # fmt: skip
"""Writes after which the cell may hold the very buffer that was given; a write to a ref variable changes its buffer."""

ELEMENTWISE_OPTIMIZERS = frozenset({"ApplyGradientDescent", "ResourceApplyGradientDescent"})
"""training_ops.cc: `var -= grad * alpha`, element by element."""

READS: Mapping[str, str] = {
    # resource_variable_ops.cc: the ops that look at a variable.
    "ReadVariableOp": "",
    "ResourceGather": "ResourceGather",
    "ResourceGatherNd": "ResourceGatherNd",
    "VariableShape": "VariableShape",
    "VarIsInitializedOp": "IsInitialized",
    "IsVariableInitialized": "IsInitialized",
    # lookup_table_op.cc, queue_ops.cc: V1 and V2 are one kernel.
    **{
        f"{name}{version}": name
        for name in (
            "LookupTableFind", "LookupTableSize", "LookupTableExport", "QueueIsClosed", "QueueSize",
            # reader_ops.cc.
            "ReaderNumRecordsProduced", "ReaderNumWorkUnitsCompleted", "ReaderSerializeState",
        )
        for version in ("", "V2")
    },
    # conditional_accumulator_base_op.cc.
    "AccumulatorNumAccumulated": "AccumulatorNumAccumulated",
    "ResourceAccumulatorNumAccumulated": "AccumulatorNumAccumulated",
}  # fmt: skip
"""Ops that look at the cell behind their first input -> name for what they give; empty for the value itself."""

LOOKUPS: Mapping[str, str] = {
    # resource_variable_ops.cc and gather_op.cc: functor::GatherFunctor, after the same checks of shapes. Only the first
    # checks an index of rows without elements, and has batches.
    "ResourceGather": "Gather",
    # resource_variable_ops.cc and gather_nd_op.cc: functor::DoGatherNd.
    "ResourceGatherNd": "GatherNd",
}
"""Those of `READS` that do to a variable what another op does to its value."""

ARRAYS: Mapping[str, str] = {
    # tensor_array_ops.cc: one kernel per operation for all versions, registered under each name.
    "TensorArray": "TensorArrayV3", "TensorArrayV2": "TensorArrayV3", "TensorArrayV3": "TensorArrayV3",
    "TensorArrayGrad": "TensorArrayGradV3", "TensorArrayGradV2": "TensorArrayGradV3",
    "TensorArrayGradV3": "TensorArrayGradV3",
    **{
        f"TensorArray{name}{version}": f"TensorArray{name}V3"
        for name in ("Close", "Concat", "Gather", "Read", "Scatter", "Size", "Split", "Write")
        for version in ("", "V2", "V3")
    },
    # stack.cc: likewise.
    **{f"Stack{name}{version}": f"Stack{name}V2" for name in ("", "Close", "Pop", "Push") for version in ("", "V2")},
}  # fmt: skip
"""Ops on what lives for one step -> name for the ops that do the same."""
ARRAY_KEEPERS = frozenset({"TensorArrayScatterV3", "TensorArraySplitV3", "TensorArrayWriteV3", "StackPushV2"})
"""Those, by canonical name, that keep a tensor that they are given, and may share its buffer."""
ARRAY_CHANGERS = ARRAY_KEEPERS | {"StackCloseV2", "StackPopV2", "TensorArrayCloseV3"}
"""Those that change the array."""
ARRAY_MAKERS = frozenset({"TensorArray", "TensorArrayV2", "TensorArrayV3", "Stack", "StackV2"})

ARRAY_FLOWS: Mapping[str, int] = {
    "TensorArrayConcatV3": 1,
    "TensorArrayGatherV3": 2,
    "TensorArrayReadV3": 2,
    "TensorArrayScatterV3": 3,
    "TensorArraySizeV3": 1,
    "TensorArrayWriteV3": 3,
}
"""Ops of arrays that are ops of lists, too -> the position of the flow, which is last (see `lists`, `list_ops`)."""

LISTS = frozenset(
    {
        "TensorListConcatV2", "TensorListFromTensor", "TensorListGather", "TensorListGetItem", "TensorListLength",
        "TensorListReserve", "TensorListScatterIntoExistingList", "TensorListSetItem", "TensorListStack",
    }
)  # fmt: skip
"""What a TensorArray's ops do to a value (list_kernels.cc and .h beside tensor_array_ops.cc, tensor_array.h)."""

BRANCHES: Mapping[str, tuple[str, ...]] = {
    # functional_ops.cc: the stateless op is the same kernel.
    "If": ("then_branch", "else_branch"), "StatelessIf": ("then_branch", "else_branch"),
    "Case": ("branches",), "StatelessCase": ("branches",),
    "While": ("cond", "body"), "StatelessWhile": ("cond", "body"),
}  # fmt: skip
STATELESS = {"StatelessIf": "If", "StatelessCase": "Case", "StatelessWhile": "While"}

CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})

ENGINE = "TRTEngineOp"
"""A TensorRT engine, which computes what the function does of which it was made (tf2tensorrt/kernels/trt_engine_op.cc,
ExecuteNativeSegment), with the rounding of other kernels."""

IGNORED_ATTRIBUTES = frozenset(
    {
        # For the placer and for shape inference (node_def.proto; graph_constructor.cc): values do not depend on them.
        "_class", "_output_shapes", "_grappler_relax_allocator_constraints",
        # For gradients, which are no part of an output's value.
        "_gradient_op_type",
        # Marks of the lowering of functional control flow (lower_functional_ops.cc) and of tf.function.
        "_lower_using_switch_merge", "_num_original_outputs", "_read_only_resource_inputs",
        "_disable_call_shape_inference", "_has_manual_control_dependencies", "_stateful_parallelism",
        "_cloned", "_cloned_index", "_user_specified_name", "_collective_manager_ids",
        # XLA compiles where it is asked to: rounding may differ, and so it does between two machines.
        "_XlaCompile", "_XlaScope", "_XlaSeparateCompiledGradients",
        # For the runtime's threads (functional_ops.cc, executor).
        "parallel_iterations", "_tf_data_function",
    }
)  # fmt: skip
"""Attributes of any op that say nothing of what it computes. An unknown one that begins with `_` is compared."""

FILE_READERS: Mapping[str, int] = {"InitializeTableFromTextFile": 1}
"""Ops that take the name of a file for its content, by canonical name, with the position (lookup_table_init_op.cc)."""

RESTORES = frozenset({"Restore", "RestoreSlice", "RestoreV2"})
"""Ops that read a checkpoint: prefix, names and, but for the first, slices (save_restore_v2_ops.cc, restore_op.cc)."""

FILLS = frozenset({"InitializeTable", "InitializeTableFromTextFile"})
"""Ops that fill a table once: a second time with the same entries is no error and changes nothing, with others it is an
error (initializable_lookup_table.cc, InitializableLookupTable::Initialize, AreEntriesSame)."""

NEVER_FAIL = frozenset(
    {
        # They compute nothing, or ask whether there is something.
        "Const", "NoOp", "ControlTrigger", "Identity", "IdentityN", "StopGradient", "PreventGradient", "LoopCond",
        "PlaceholderWithDefault", "GuaranteeConst", "VarHandleOp", "VarIsInitializedOp", "Shape", "Rank",
        "Size", "ZerosLike", "OnesLike", "IsVariableInitialized", "RefIdentity",
        # Resources of which each is asked for its handle, or made if it is not there (resource_op_kernel.h).
        *MAKERS,
        *SWITCHES, *MERGES, *ENTERS, *EXITS, *NEXT_ITERATIONS,
        "=Input", "=Cell",
    }
)  # fmt: skip
"""Ops that give no error, whatever they are given; the candidate may hold more of them than its source."""

BESIDE_A_SCALAR = frozenset(
    {
        "Add", "AddV2", "Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "Maximum", "Minimum", "Mul",
        "NotEqual", "Sub",
    }
)  # fmt: skip
"""Ops that fail where shapes do not broadcast alone (cwise_ops_common.cc), and never beside a scalar."""

UNDETERMINED = frozenset({"Empty", "Placeholder", "PlaceholderV2"})
"""Ops without effect whose value nothing says: a Placeholder that is not fed is an error, Empty gives whatever memory
holds (inplace_ops.cc)."""

TYPED: Mapping[str, str] = {
    **dict.fromkeys(PASSES - {"PlaceholderWithDefault"}, "T"),
    "PlaceholderWithDefault": "dtype",
    **dict.fromkeys(SWITCHES | MERGES | ENTERS | EXITS | NEXT_ITERATIONS, "T"),
    "Const": "dtype",
    "ReadVariableOp": "dtype",
    "Assign": "T",
    "AssignVariableOp": "dtype",
    "DeepCopy": "T",
}
"""Ops that are left out of terms -> their attribute with the dtype of what they take, which must be true as well."""
