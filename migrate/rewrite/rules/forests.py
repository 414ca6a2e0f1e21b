"""Predictions of the random forests of tf.contrib, whose trees are known when a model is planned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from migrate.frozen import frozen
from migrate.graph.graph import attribute, data_inputs
from migrate.graph.protos import NodeDef
from migrate.records import Finding
from migrate.rewrite.aliases import producer
from migrate.rewrite.builder import Builder
from migrate.rewrite.new_nodes import BOOL, FLOAT, INT32, STRING, Edit
from migrate.rewrite.op_facts import Op
from migrate.rewrite.rule import Rule
from migrate.rewrite.scope import Scope
from migrate.rewrite.tree_walks import DEEPEST, Tree, leaves, looked_up, serialized, table, unsound

_TESTS = ("LessEqual", "Less", "GreaterEqual", "Greater")
"""InequalityTest.Type, by number."""
_DENSE, _SPARSE, _REGRESSION, _EITHER = range(4)
"""LeafModelType."""


@frozen
class _Forest:
    """A tree that was looked over; what is told of a node is told of all nodes in their order.

    Attributes:
      tree: the tree.
      depth: the most steps down.
      columns: of each node the feature that it tests.
      thresholds: what the feature is compared with.
      kinds: how, by position in `_TESTS`.
      values: of each leaf its outputs; of others zeros.
    """

    tree: Tree
    depth: int
    columns: Sequence[int]
    thresholds: Sequence[float]
    kinds: Sequence[int]
    values: Sequence[Sequence[float]]


def _predictions(node: NodeDef, scope: Scope) -> Edit | Finding:
    """The outputs of the leaf that each row comes to; divided by their sum where they are counts of classes.

    contrib/tensor_forest/kernels/model_ops.cc, v4/decision-tree-resource.cc, v4/decision_node_evaluator.cc and
    v4/leaf_model_operators.cc. A sum that is one, not above zero, or no number divides nothing. Features are columns of
    a matrix of numbers; no path is asked for.
    """
    found = _read(node, serialized(scope, data_inputs(node)[0]))
    if isinstance(found, str):
        return unsound(node, scope, found)
    forest, is_regression = found
    width = len(forest.values[0])
    b = Builder(scope, node)
    given = b.value(1)
    beside = producer(given)
    ranked = b.shaped(given, "ranked", FLOAT, [-1, -1])
    start, one = b.constant("start", [0], beside), b.constant("one", [1], beside)
    rows = b.Slice(b.Shape(ranked, T=FLOAT, out_type=INT32), start, one, name="rows", T=INT32, Index=INT32)
    tests = _tests(b, forest, ranked, beside) if forest.depth else None
    ends = leaves(b, [forest.tree], forest.depth, rows, beside, tests)
    along = b.constant("along", 1, beside)
    flat = [number for outputs in forest.values for number in outputs]
    values = table(b, "values", flat, FLOAT, beside, len(forest.values), width)
    if not is_regression:
        values = _shares(b, values, width, beside, along)
    squeezed = b.node("Squeeze", [ends], "ends", T=INT32)
    b.nodes[-1].attr["squeeze_dims"].list.i.append(1)
    predictions = looked_up(b, "predictions", values, squeezed, b.constant("across", 0, beside), FLOAT)
    paths = b.constant("paths", [0], beside)
    nothing = b.Fill(paths, b.constant("no_path", b"", beside), name="no_paths", T=STRING, index_type=INT32)
    last = NodeDef(name=node.name, op="IdentityN", input=[predictions, nothing])
    last.input.extend(name for name in node.input if name.startswith("^"))
    last.attr["T"].list.type.extend([FLOAT, STRING])
    return b.edit(last)


def _shares(b: Builder, values: str, width: int, beside: str, along: str) -> str:
    """Counts divided by their sum, which is added up from zero on."""
    sums = b.Cumsum(values, along, name="sums", T=FLOAT, Tidx=INT32)
    total = looked_up(b, "total", sums, b.constant("last", [width - 1], beside), along, FLOAT)
    is_some = b.Greater(total, b.constant("zero", 0.0, beside), name="is_some", T=FLOAT)
    is_other = b.NotEqual(total, b.constant("whole", 1.0, beside), name="is_other", T=FLOAT)
    shares = b.RealDiv(values, total, name="shares", T=FLOAT)
    both = b.node("LogicalAnd", [is_some, is_other], "is_divided")
    return b.SelectV2(both, shares, values, name="outputs", T=FLOAT)


def _tests(b: Builder, forest: _Forest, features: str, beside: str) -> Callable[[str, str], str]:
    """What says of each node whether its test holds."""
    zero, across = b.constant("nodes_axis", 0, beside), b.constant("columns_axis", 1, beside)
    columns = table(b, "columns", forest.columns, INT32, beside)
    thresholds = table(b, "thresholds", forest.thresholds, FLOAT, beside)
    used = sorted({kind for kind, left in zip(forest.kinds, forest.tree.left, strict=True) if left is not None})
    of_kind = {kind: table(b, f"kind_{kind}", [k == kind for k in forest.kinds], BOOL, beside) for kind in used[1:]}

    def holds(at: str, name: str) -> str:
        column = looked_up(b, f"{name}_column", columns, at, zero, INT32)
        value = looked_up(b, f"{name}_value", features, column, across, FLOAT, batch_dims=1)
        bound = looked_up(b, f"{name}_threshold", thresholds, at, zero, FLOAT)
        result = b.node(_TESTS[used[0]], [value, bound], f"{name}_test", T=FLOAT)
        for kind in used[1:]:
            is_kind = looked_up(b, f"{name}_kind_{kind}", of_kind[kind], at, zero, BOOL)
            test = b.node(_TESTS[kind], [value, bound], f"{name}_test_{kind}", T=FLOAT)
            result = b.SelectV2(is_kind, test, result, name=f"{name}_holds_{kind}", T=BOOL)
        return result

    return holds


def _read(node: NodeDef, tree: bytes | None) -> tuple[_Forest, bool] | str:
    """A tree as arrays and whether it gives numbers, or what is wrong with it."""
    from migrate.graph.tree_protos import DecisionTreeModel, TensorForestParams  # Few models have trees.

    if tree is None:
        return "its tree is not known when the model is planned"
    try:
        params = TensorForestParams.FromString(attribute(node, "params").s)
        nodes = DecisionTreeModel.FromString(tree).decision_tree.nodes
    except DecodeError:
        return "its tree cannot be parsed"
    dense = _dense_features(attribute(node, "input_spec").s)
    if params.inference_tree_paths:
        return "it gives the paths through the tree as well"
    if params.num_outputs < 1 or params.leaf_type not in (_DENSE, _SPARSE, _REGRESSION, _EITHER) or dense < 1:
        return "it has no outputs, no dense features, or leaves of another kind"
    if not nodes:
        return _Forest(Tree((None,), (None,)), 0, (0,), (0.0,), (0,), ((0.0,) * params.num_outputs,)), bool(
            params.is_regression
        )
    left: list[int | None] = []
    right: list[int | None] = []
    columns, thresholds, kinds, values = [], [], [], []
    for place, each in enumerate(nodes):
        where = f"node {place}"
        kind = each.WhichOneof("kind")
        if kind == "leaf":
            outputs = _outputs(each.leaf, params)
            if outputs is None:
                return f"{where} has too few outputs"
            left.append(None)
            right.append(None)
            columns.append(0)
            thresholds.append(0.0)
            kinds.append(-1)
            values.append(outputs)
            continue
        test = each.binary_node.inequality_left_child_test
        if kind != "binary_node" or test.WhichOneof("kind") != "feature_id" or not 0 <= test.type < len(_TESTS):
            return f"{where} has a test that is no comparison of one feature"
        name = test.feature_id.id.value
        if not (name.isascii() and name.isdecimal()) or int(name) >= dense:
            return f"{where} tests a feature that is not dense"
        children = [each.binary_node.left_child_id.value, each.binary_node.right_child_id.value]
        if not all(0 <= child < len(nodes) for child in children):
            return f"{where} leads to a node that is not there"
        for side, child in zip((left, right), children, strict=True):
            side.append(nodes[child].node_id.value)
        columns.append(int(name))
        thresholds.append(test.threshold.float_value)
        kinds.append(test.type)
        values.append((0.0,) * params.num_outputs)
    found = Tree(left, right)
    depth = found.depth()
    if depth is None or depth > DEEPEST:
        return "its tree leads in a circle or to a node that is not there, or is too deep"
    return (
        _Forest(found, depth, tuple(columns), tuple(thresholds), tuple(kinds), tuple(values)),
        bool(params.is_regression),
    )


def _outputs(leaf: Any, params: Any) -> tuple[float, ...] | None:
    """What a leaf gives."""
    is_vector = leaf.WhichOneof("kind") == "vector"
    if params.leaf_type == _SPARSE or (params.leaf_type == _EITHER and not is_vector):
        stored = {entry.key: entry.value.float_value for entry in leaf.sparse_vector.sparse_value}
        return tuple(stored.get(number, 0.0) for number in range(params.num_outputs))
    found = tuple(value.float_value for value in leaf.vector.value)[: params.num_outputs]
    return found if len(found) == params.num_outputs else None


def _dense_features(spec: bytes) -> int:
    """How many features are in the matrix: `dense_features_size: 3 dense: [...` (data_spec.h)."""
    words = spec.split(b"[")[0].split(b" ")
    return int(words[1]) if len(words) > 1 and words[1].isdigit() and len(words[1]) < 10 else 0


FOREST = Rule("forest", {"TreePredictionsV4": Op(fewest=5)}, _predictions)
