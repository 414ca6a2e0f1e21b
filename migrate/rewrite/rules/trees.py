"""Predictions of boosted trees, whose trees are known when a model is planned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import DecodeError

from migrate.frozen import frozen
from migrate.graph.graph import attribute, data_inputs
from migrate.graph.protos import NodeDef
from migrate.records import Finding
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import BOOL, FLOAT, INT32, Edit, replaced
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope
from migrate.rewrite.tree_walks import DEEPEST, Tree, leaves, looked_up, serialized, table, unsound


@frozen
class _Ensemble:
    """An ensemble that was looked over; what is told of a node is told of all nodes of all trees in their order.

    Attributes:
      trees: the trees.
      depth: the most steps down.
      features: of each node number and dimension of the feature that it tests; of a leaf the first feature's.
      thresholds: the number to compare the feature with.
      equal: whether it is compared for being equal, and not for being at most that.
      values: of each leaf its logits; of others zeros.
      weights: of each tree.
    """

    trees: Sequence[Tree]
    depth: int
    features: Sequence[tuple[int, int]]
    thresholds: Sequence[int]
    equal: Sequence[bool]
    values: Sequence[Sequence[float]]
    weights: Sequence[float]


def _predict(node: NodeDef, scope: Scope) -> Edit | Finding:
    """For each tree the leaf's logits times the tree's weight, added up tree after tree, from zero.

    core/kernels/boosted_trees/prediction_ops.cc and resources.cc. A split goes left where the feature's bucket is at
    most its threshold, or equals its value. In TF 1.15 a feature is a vector; in TF 2, where a split may name a column
    of it, a matrix. Cumsum adds in the order of the trees.
    """
    content = serialized(scope, data_inputs(node)[0])
    if content is None:
        return unsound(node, scope, "its trees are not known when the model is planned")
    width = attribute(node, "logits_dimension").i
    count = len(data_inputs(node)) - 1
    from migrate.graph.tree_protos import TreeEnsemble  # Few models have trees.

    try:
        found = _read(TreeEnsemble.FromString(content), width, count)
    except DecodeError:
        found = "its trees cannot be parsed"
    if isinstance(found, str):
        return unsound(node, scope, found)
    b = Builder(scope, node)
    first = b.value(1)
    beside = producer(first)
    start, one = b.constant("start", [0], beside), b.constant("one", [1], beside)
    rows = b.Slice(b.Shape(first, T=INT32, out_type=INT32), start, one, name="rows", T=INT32, Index=INT32)
    if not found.trees:
        shape = b.node(
            "ConcatV2",
            [rows, b.constant("width", [width], beside), b.constant("along", 0, beside)],
            "shape_of_logits",
            {"N": 2},
            T=INT32,
            Tidx=INT32,
        )
        return b.edit(_last(node, "Fill", [shape, b.constant("nothing", 0.0, beside)], T=FLOAT, index_type=INT32))
    ends = leaves(b, found.trees, found.depth, rows, beside, _tests(b, found, beside, first) if found.depth else None)
    zero, one_axis = b.constant("first_axis", 0, beside), b.constant("second_axis", 1, beside)
    flat = [number for logits in found.values for number in logits]
    values = looked_up(
        b, "leaves", table(b, "values", flat, FLOAT, beside, len(found.values), width), ends, zero, FLOAT
    )
    weights = table(b, "weights", found.weights, FLOAT, beside, len(found.weights), 1)
    weighted = b.Mul(weights, values, name="weighted", T=FLOAT)
    sums = b.Cumsum(weighted, one_axis, name="sums", T=FLOAT, Tidx=INT32)
    last = b.constant("last_tree", len(found.trees) - 1, beside)
    return b.edit(_last(node, "GatherV2", [sums, last, one_axis], Tparams=FLOAT, Tindices=INT32, Taxis=INT32))


def _last(node: NodeDef, op: str, inputs: Sequence[str], **types: int) -> NodeDef:
    """The node that has the name of the one that is replaced."""
    result = replaced(node, op, inputs)
    result.attr.clear()
    for name, dtype in types.items():
        result.attr[name].type = dtype
    return result


def _tests(b: Builder, found: _Ensemble, beside: str, first: str) -> Any:
    """What says of each node whether its test holds."""
    columns = sorted(set(found.features))
    places = {column: place for place, column in enumerate(columns)}
    zero, across = b.constant("nodes_axis", 0, beside), b.constant("columns_axis", 1, beside)
    parts = []
    for feature in sorted({feature for feature, _ in columns}):
        dimensions = [dimension for other, dimension in columns if other == feature]
        parts.append(_columns(b, feature, dimensions, beside, across, first))
    features = parts[0]
    if len(parts) > 1:
        features = b.node("ConcatV2", [*parts, across], "features", {"N": len(parts)}, T=INT32, Tidx=INT32)
    column = table(b, "columns", [places[each] for each in found.features], INT32, beside)
    threshold = table(b, "thresholds", found.thresholds, INT32, beside)
    equal = table(b, "kinds", found.equal, BOOL, beside) if any(found.equal) else ""

    def holds(at: str, name: str) -> str:
        place = looked_up(b, f"{name}_column", column, at, zero, INT32)
        bucket = looked_up(b, f"{name}_bucket", features, place, across, INT32, batch_dims=1)
        bound = looked_up(b, f"{name}_threshold", threshold, at, zero, INT32)
        most = b.LessEqual(bucket, bound, name=f"{name}_most", T=INT32)
        if not equal:
            return most
        is_equal = looked_up(b, f"{name}_kind", equal, at, zero, BOOL)
        same = b.Equal(bucket, bound, name=f"{name}_same", T=INT32)
        return b.SelectV2(is_equal, same, most, name=f"{name}_holds", T=BOOL)

    return holds


def _columns(b: Builder, feature: int, dimensions: Sequence[int], beside: str, across: str, first: str) -> str:
    """Some columns of a feature; of a vector itself, whatever the dimension is."""
    given = b.value(feature + 1) if feature else first
    name = f"feature_{feature}"
    zero, one, two = (
        b.constant(f"{name}_{word}", value, beside) for word, value in (("zero", [0]), ("one", [1]), ("two", [2]))
    )
    shape = b.Shape(given, name=f"{name}_shape", T=INT32, out_type=INT32)
    axis = b.constant(f"{name}_axis", 0, beside)
    longer = b.node("ConcatV2", [shape, one, axis], f"{name}_longer", {"N": 2}, T=INT32, Tidx=INT32)
    of_matrix = b.Slice(longer, zero, two, name=f"{name}_matrix", T=INT32, Index=INT32)
    matrix = b.Reshape(given, of_matrix, name=name, T=INT32, Tshape=INT32)
    wanted = b.constant(f"{name}_columns", dimensions, beside)
    if any(dimensions):
        width = b.Slice(of_matrix, one, one, name=f"{name}_width", T=INT32, Index=INT32)
        wanted = b.Minimum(wanted, b.Sub(width, one, name=f"{name}_last", T=INT32), name=f"{name}_wanted", T=INT32)
    return looked_up(b, f"{name}_values", matrix, wanted, across, INT32)


def _read(ensemble: Any, width: int, count: int) -> _Ensemble | str:
    """An ensemble as arrays, or what is wrong with it: what the kernel does with it then is not defined.

    Args:
      ensemble: a TreeEnsemble.
      width: logits of a leaf.
      count: how many features there are.
    """
    if len(ensemble.tree_weights) < len(ensemble.trees) or width < 1 or count < 1:
        return "there are fewer weights than trees, no logits or no features"
    trees: list[Tree] = []
    features: list[tuple[int, int]] = []
    thresholds: list[int] = []
    equal: list[bool] = []
    values: list[list[float]] = []
    depth = 0
    for number, tree in enumerate(ensemble.trees):
        left: list[int | None] = []
        right: list[int | None] = []
        for place, each in enumerate(tree.nodes):
            where = f"node {place} of tree {number}"
            kind = each.WhichOneof("kind")
            if kind == "leaf":
                of_vector = each.leaf.WhichOneof("kind")
                logits = list(each.leaf.vector.value) if of_vector == "vector" else [each.leaf.scalar]
                if len(logits) != width or of_vector == "sparse_vector":
                    return f"{where} has {len(logits)} logits; {width} are wanted"
                left.append(None)
                right.append(None)
                features.append((-1, 0))
                thresholds.append(0)
                equal.append(False)
                values.append(logits)
                continue
            if kind not in ("bucketized_split", "categorical_split"):
                return f"{where} is no leaf and no split of buckets"
            split = getattr(each, kind)
            if not 0 <= split.feature_id < count or split.dimension_id < 0:
                return f"{where} tests a feature that is not there"
            left.append(split.left_id)
            right.append(split.right_id)
            features.append((split.feature_id, split.dimension_id))
            equal.append(kind == "categorical_split")
            thresholds.append(split.value if kind == "categorical_split" else split.threshold)
            values.append([0.0] * width)
        trees.append(Tree(left, right))
        steps = trees[-1].depth()
        if steps is None or steps > DEEPEST:
            return f"tree {number} is empty, leads in a circle or to a node that is not there, or is too deep"
        depth = max(depth, steps)
    some = next((each for each in features if each[0] >= 0), (0, 0))
    features = [some if each[0] < 0 else each for each in features]
    weights = list(ensemble.tree_weights[: len(trees)])
    return _Ensemble(
        tuple(trees), depth, tuple(features), tuple(thresholds), tuple(equal), tuple(map(tuple, values)), tuple(weights)
    )


BOOSTED_TREES = Rule("boosted_trees", {"BoostedTreesPredict": Op(fewest=2)}, _predict)
