"""Predictions of decision trees whose content is a constant, in terms of ops that TensorFlow 2 has.

Each is written from TF1's kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from migrate.graph.protos import AttrValue
from migrate.proof import constants
from migrate.proof.parts import BOOL, FLOAT, INT32, STRING, Parts, Tensor, dtype_list, dtypes
from migrate.proof.program import Flat
from migrate.proof.tree_walks import Walk, gathered, joined, numbers, serialized, sliced


def _boosted(parts: Parts) -> Flat:
    """From zero on, for each tree its weight times the logits of the leaf (boosted_trees/prediction_ops.cc).

    A bucket that is at most the threshold leads to the left, or one that equals the value (resources.cc, next_node). A
    feature is a vector, of which the dimension says nothing, or a matrix. Cumsum adds one after the other (scan_ops.h).
    """
    node = parts.node
    width = node.attr["logits_dimension"].i if "logits_dimension" in node.attr else 0
    content = serialized(parts, node.data[0]) if len(node.data) > 1 else None
    if content is None or width < 1:
        return parts.unknown("reads trees that are not known")
    from migrate.graph.tree_protos import TreeEnsemble

    try:
        ensemble = TreeEnsemble.FromString(content)
        splits, logits, trees = _boosted_nodes(ensemble, width, len(node.data) - 1)
        walk = Walk(trees)
    except (DecodeError, ValueError):
        return parts.unknown("reads trees that make no sense")
    shape = parts.op("Shape", "shape", [node.data[1]], T=INT32, out_type=INT32)
    rows = sliced(parts, "rows", shape, 0, 1)
    if not trees:
        both = joined(parts, "both", [rows, parts.constant("width", constants.int32s(width), rows)], 0)
        zero = parts.constant("zero", constants.made("float32", 0.0), rows)
        return parts.made("Fill", "", [both, zero], dtypes({"T": FLOAT, "index_type": INT32}), node.controls)
    columns = sorted({split[:2] for split in splits if split is not None})
    held = _boosted_tests(parts, splits, columns, rows)
    ends = walk.leaves(parts, rows, held)
    flat = [number for each in logits for number in each]
    values = parts.constant("values", numbers(FLOAT, flat, len(logits), width), rows)
    weights = parts.constant("weights", numbers(FLOAT, ensemble.tree_weights[: len(trees)], len(trees), 1), rows)
    weighted = parts.op("Mul", "weighted", [weights, gathered(parts, "ends", values, ends, 0, FLOAT)], T=FLOAT)
    axis, last = (parts.constant(f"c{k}", constants.int32(k), rows) for k in (1, len(trees) - 1))
    sums = parts.op("Cumsum", "sums", [weighted, axis], T=FLOAT, Tidx=INT32)
    attr = dtypes({"Tparams": FLOAT, "Tindices": INT32, "Taxis": INT32})
    return parts.made("GatherV2", "", [sums, last, axis], attr, node.controls)


_Split = tuple[int, int, int, bool]
"""The feature, its dimension, the threshold or value, and whether it must be equal."""


def _boosted_nodes(
    ensemble: Any, width: int, count: int
) -> tuple[list[_Split | None], list[list[float]], list[list[tuple[int, int] | None]]]:
    """Of all nodes of all trees their splits and logits, and of each tree the children."""
    splits: list[_Split | None] = []
    logits: list[list[float]] = []
    trees: list[list[tuple[int, int] | None]] = []
    if len(ensemble.tree_weights) < len(ensemble.trees):
        raise ValueError("a tree has no weight")
    for tree in ensemble.trees:
        trees.append([])
        for node in tree.nodes:
            kind = node.WhichOneof("kind")
            if kind == "leaf":
                found = [node.leaf.scalar] if node.leaf.WhichOneof("kind") is None else list(node.leaf.vector.value)
                trees[-1].append(None)
                splits.append(None)
            elif kind == "bucketized_split":
                test = node.bucketized_split
                trees[-1].append((test.left_id, test.right_id))
                splits.append((test.feature_id, test.dimension_id, test.threshold, False))
                found = [0.0] * width
            elif kind == "categorical_split":
                test = node.categorical_split
                trees[-1].append((test.left_id, test.right_id))
                splits.append((test.feature_id, test.dimension_id, test.value, True))
                found = [0.0] * width
            else:
                raise ValueError("a node is of another kind")
            split = splits[-1]
            if len(found) != width or (split is not None and (not 0 <= split[0] < count or split[1] < 0)):
                raise ValueError("a node has other logits, or tests what is not there")
            logits.append(found)
    return splits, logits, trees


def _boosted_tests(
    parts: Parts, splits: Sequence[_Split | None], columns: Sequence[tuple[int, int]], rows: Tensor
) -> Callable[[Tensor, str], Tensor]:
    if not columns:
        return lambda at, name: at  # No step is made.
    blocks = []
    for feature in sorted({column[0] for column in columns}):
        wanted = [dimension for other, dimension in columns if other == feature]
        blocks.append(_block(parts, feature, wanted))
    table = blocks[0] if len(blocks) == 1 else joined(parts, "table", blocks, 1)
    of_leaf = next(split[:2] for split in splits if split is not None)
    place = {column: number for number, column in enumerate(columns)}
    tested = parts.constant("tested", numbers(INT32, [place[s[:2] if s else of_leaf] for s in splits]), rows)
    bounds = parts.constant("bounds", numbers(INT32, [s[2] if s else 0 for s in splits]), rows)
    kinds = [bool(s and s[3]) for s in splits]
    equal = parts.constant("equal", numbers(BOOL, kinds), rows) if any(kinds) else None

    def holds(at: Tensor, name: str) -> Tensor:
        bucket = gathered(
            parts, f"{name}_bucket", table, gathered(parts, f"{name}_at", tested, at, 0, INT32), 1, INT32, 1
        )
        bound = gathered(parts, f"{name}_bound", bounds, at, 0, INT32)
        most = parts.op("LessEqual", f"{name}_most", [bucket, bound], T=INT32)
        if equal is None:
            return most
        same = parts.op("Equal", f"{name}_same", [bucket, bound], T=INT32)
        return parts.op(
            "SelectV2", f"{name}_holds", [gathered(parts, f"{name}_kind", equal, at, 0, BOOL), same, most], T=BOOL
        )

    return holds


def _block(parts: Parts, feature: int, dimensions: Sequence[int]) -> Tensor:
    """Some columns of a feature; the only one of a vector."""
    given = parts.node.data[1 + feature]
    name = f"feature_{feature}"
    shape = parts.op("Shape", f"{name}_shape", [given], T=INT32, out_type=INT32)
    longer = joined(parts, f"{name}_longer", [shape, parts.constant(f"{name}_one", constants.int32s(1), shape)], 0)
    two = sliced(parts, f"{name}_two", longer, 0, 2)
    matrix = parts.op("Reshape", f"{name}_matrix", [given, two], T=INT32, Tshape=INT32)
    wanted = parts.constant(f"{name}_wanted", constants.int32s(*dimensions), shape)
    if any(dimensions):
        one = parts.constant(f"{name}_less", constants.int32s(1), shape)
        last = parts.op("Sub", f"{name}_last", [sliced(parts, f"{name}_width", two, 1, 1), one], T=INT32)
        wanted = parts.op("Minimum", f"{name}_most", [wanted, last], T=INT32)
    return gathered(parts, f"{name}_columns", matrix, wanted, 1, INT32)


_COMPARES = {0: "LessEqual", 1: "Less", 2: "GreaterEqual", 3: "Greater"}
"""InequalityTest.Type of generic_tree_model.proto."""
_Test = tuple[int, float, int]
"""The column, the threshold, and how the two are compared."""


def _forest(parts: Parts) -> Flat:
    """The leaf's outputs, or their shares in their sum (contrib/tensor_forest/kernels/model_ops.cc, set_output_value).

    v4/decision-tree-resource.cc has the walk; the node behind a child is the one that the child's own number says.
    """
    node = parts.node
    content = serialized(parts, node.data[0]) if len(node.data) == 5 else None
    if content is None or not {"params", "input_spec"} <= set(node.attr):
        return parts.unknown("reads a tree that is not known")
    from migrate.graph.tree_protos import DecisionTreeModel, TensorForestParams

    try:
        params = TensorForestParams.FromString(node.attr["params"].s)
        words = node.attr["input_spec"].s.partition(b"[")[0].split(b" ")
        dense = int(words[1]) if len(words) > 1 else 0
        nodes = DecisionTreeModel.FromString(content).decision_tree.nodes
        tests, outputs, tree = _forest_nodes(nodes, params, dense)
        walk = Walk([tree])
    except (DecodeError, ValueError):
        return parts.unknown("reads a tree that makes no sense, or of a kind that has no equation")
    given = parts.ranked("ranked", node.data[1], FLOAT, 2)
    rows = sliced(parts, "rows", parts.op("Shape", "shape", [given], T=FLOAT, out_type=INT32), 0, 1)
    ends = walk.leaves(parts, rows, _forest_tests(parts, given, tests, rows))
    width = len(outputs[0])
    flat = [number for each in outputs for number in each]
    values = parts.constant("values", numbers(FLOAT, flat, len(outputs), width), rows)
    if not params.is_regression:
        axis, zero, one = (
            parts.constant(f"c{k}", value, rows)
            for k, value in enumerate(
                (constants.int32(1), constants.made("float32", 0.0), constants.made("float32", 1.0))
            )
        )
        sums = parts.op("Cumsum", "sums", [values, axis], T=FLOAT, Tidx=INT32)
        last = parts.constant("last", constants.int32s(width - 1), rows)
        total = gathered(parts, "total", sums, last, 1, FLOAT)
        some, other = (
            parts.op("Greater", "some", [total, zero], T=FLOAT),
            parts.op("NotEqual", "other", [total, one], T=FLOAT),
        )
        divided = parts.op("LogicalAnd", "divided", [some, other])
        values = parts.op(
            "SelectV2", "shares", [divided, parts.op("RealDiv", "share", [values, total], T=FLOAT), values], T=FLOAT
        )
    dims = AttrValue()
    dims.list.i.append(1)
    one_each = parts.add("Squeeze", "ends", [ends], {**dtypes({"T": INT32}), "squeeze_dims": dims}), 0
    found = gathered(parts, "found", values, one_each, 0, FLOAT)
    none = [
        parts.constant(f"p{k}", value, rows)
        for k, value in enumerate((constants.int32s(0), constants.made("string", b"")))
    ]
    paths = parts.op("Fill", "paths", none, T=STRING, index_type=INT32)
    return parts.made("IdentityN", "", [found, paths], {"T": dtype_list([FLOAT, STRING])}, node.controls)


def _forest_nodes(
    nodes: Any, params: Any, dense: int
) -> tuple[list[_Test | None], list[list[float]], list[tuple[int, int] | None]]:
    """Of each node its test, its outputs and its children."""
    count = params.num_outputs
    if count < 1 or dense < 1 or params.inference_tree_paths or params.leaf_type not in (0, 1, 2, 3):
        raise ValueError("no equation speaks of it")
    if not nodes:
        return [None], [[0.0] * count], [None]
    tests: list[_Test | None] = []
    outputs: list[list[float]] = []
    tree: list[tuple[int, int] | None] = []
    for node in nodes:
        if node.WhichOneof("kind") == "leaf":
            is_vector = node.leaf.WhichOneof("kind") == "vector"
            if params.leaf_type in (0, 2) or (params.leaf_type == 3 and is_vector):
                found = [value.float_value for value in node.leaf.vector.value][:count]
            else:
                of_class = {entry.key: entry.value.float_value for entry in node.leaf.sparse_vector.sparse_value}
                found = [of_class.get(number, 0.0) for number in range(count)]
            if len(found) < count:
                raise ValueError("a leaf has too few outputs")
            tests.append(None)
            tree.append(None)
            outputs.append(found)
            continue
        test = node.binary_node.inequality_left_child_test
        column = test.feature_id.id.value
        ends = (node.binary_node.left_child_id.value, node.binary_node.right_child_id.value)
        if (
            node.WhichOneof("kind") != "binary_node"
            or node.binary_node.WhichOneof("kind") != "inequality_left_child_test"
            or test.WhichOneof("kind") != "feature_id"
            or test.type not in _COMPARES
            or not (column.isascii() and column.isdecimal() and int(column) < dense)
            or not all(0 <= end < len(nodes) for end in ends)
        ):
            raise ValueError("a test is of another kind")
        tests.append((int(column), test.threshold.float_value, test.type))
        tree.append((nodes[ends[0]].node_id.value, nodes[ends[1]].node_id.value))
        outputs.append([0.0] * count)
    return tests, outputs, tree


def _forest_tests(
    parts: Parts, given: Tensor, tests: Sequence[_Test | None], rows: Tensor
) -> Callable[[Tensor, str], Tensor]:
    columns = parts.constant("columns", numbers(INT32, [test[0] if test else 0 for test in tests]), rows)
    bounds = parts.constant("bounds", numbers(FLOAT, [test[1] if test else 0.0 for test in tests]), rows)
    kinds = sorted({test[2] for test in tests if test})
    masks = {
        kind: parts.constant(f"is_{kind}", numbers(BOOL, [bool(test and test[2] == kind) for test in tests]), rows)
        for kind in kinds[1:]
    }

    def holds(at: Tensor, name: str) -> Tensor:
        column = gathered(parts, f"{name}_column", columns, at, 0, INT32)
        two = [
            gathered(parts, f"{name}_number", given, column, 1, FLOAT, 1),
            gathered(parts, f"{name}_bound", bounds, at, 0, FLOAT),
        ]
        found = parts.op(_COMPARES[kinds[0]], f"{name}_first", two, T=FLOAT)
        for kind in kinds[1:]:
            here = parts.op(_COMPARES[kind], f"{name}_{kind}", two, T=FLOAT)
            mask = gathered(parts, f"{name}_is_{kind}", masks[kind], at, 0, BOOL)
            found = parts.op("SelectV2", f"{name}_to_{kind}", [mask, here, found], T=BOOL)
        return found

    return holds


EXPANDED: Mapping[str, Callable[[Parts], Flat]] = {"BoostedTreesPredict": _boosted, "TreePredictionsV4": _forest}
"""Ops that read trees -> what their kernels do."""
