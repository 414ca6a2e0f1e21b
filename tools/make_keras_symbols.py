"""Writes migrate/checks/keras_symbols.json: what the op layers of Keras 2 may call when a file is loaded.

Run it under each release that the table is to know, in any order; a run replaces its own column:

    python tools/make_keras_symbols.py

`x + 1` and `tf.nn.relu(x)` on a Keras tensor become a layer, TFOpLambda, whose config names a public symbol of
TensorFlow, and loading the config calls it. Keras makes these layers of the symbols that dispatch on their arguments.
Each of them is called here on placeholders, with arguments that a config could hold, and those whose graph has nothing
but ops that compute (`pure` and `random` in the op table), and at least one, are in the table. Symbols that take a
function, that print, or that return no tensor drop out by that.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import os
import pathlib
import re
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import tensorflow as tf
from tensorflow.python.framework import func_graph
from tensorflow.python.util import dispatch, tf_export
from tf_keras.src.layers.core import tf_op_layer

from migrate.graph.op_table import load_op_table

TABLE = pathlib.Path(__file__).parents[1] / "migrate" / "checks" / "keras_symbols.json"
# Namespaces of functions from tensors to tensors; "" is the root (tf.reshape).
NAMESPACES = (
    *("", "__operators__", "audio", "bitwise", "dtypes", "image", "io", "linalg", "losses", "manip", "math"),
    *("math.special", "nn", "nn.experimental", "quantization", "ragged", "random", "random.experimental", "sets"),
    *("signal", "sparse", "spectral", "strings", "keras.activations", "keras.backend", "keras.losses"),
    *("keras.metrics",),
)
# What is called is in the graph as well, and judged by itself.
HARMLESS = ("pure", "random", "calls")
# They give their argument back where nothing is to be done, so that a graph of theirs may be empty.
NO_OPS = ("convert_to_tensor", "compat.v1.convert_to_tensor", "keras.activations.linear")


def dispatched(symbol: object) -> bool:
    """Whether Keras makes a layer of a call of this symbol."""
    return hasattr(symbol, dispatch.FALLBACK_DISPATCH_ATTR) or hasattr(symbol, dispatch.TYPE_BASED_DISPATCH_ATTR)


def candidates() -> dict[str, object]:
    """Symbols that are tried, by the names that configs may have for them."""
    found = {}
    for name, symbol in sorted(tf_export._NAME_TO_SYMBOL_MAPPING.items()):
        namespace = name.removeprefix("compat.v1.").rpartition(".")[0]
        if namespace in NAMESPACES and dispatched(symbol):
            found[name] = symbol
    return found


def tensors() -> list[object]:
    """What is tried for the tensors of a call: all of one kind."""

    return [
        placeholder("float32", 2, 4),
        placeholder("float32", 4, 4),
        placeholder("float32", 4),
        placeholder("float32"),
        placeholder("float32", 1, 8, 8, 3),
        placeholder("float32", 1, 8, 3),
        placeholder("float32", 1, 8, 8, 8, 3),
        placeholder("int32", 2, 4),
        placeholder("int32", 4),
        placeholder("int32"),
        placeholder("int64", 4),
        placeholder("bool", 2, 4),
        placeholder("string", 4),
        placeholder("string"),
        placeholder("string", 2, 4),
        placeholder("complex64", 4, 4),
        placeholder("complex64", 2, 2, 4, 4),
        placeholder("float32", 8, 8, 3),
        placeholder("uint8", 1, 8, 8, 3),
        placeholder("uint8", 4),
        placeholder("quint8", 1, 8, 8, 3),
        placeholder("int64", 2, 4),
        tf.RaggedTensor.from_row_splits(placeholder("float32", 4), [0, 2, 4]),
        tf.RaggedTensor.from_row_splits(placeholder("int32", 4), [0, 2, 4]),
        tf.sparse.from_dense(placeholder("float32", 2, 4)),
        tf.sparse.from_dense(placeholder("int32", 2, 4)),
        tf.sparse.from_dense(placeholder("string", 2, 4)),
    ]


# Values for arguments that are no tensors, by a pattern for their names; the first pattern that fits decides.
PLAIN = (
    (r".*dtype|out_type|Tout|T", ("float32", "int32")),
    (r"axis|axes|dim|dims|batch_dims|concat_dim|split_dim|num_lower|num_upper|exclusive|permutation|pattern", (0, 1)),
    (r"perm", ([1, 0],)),
    (r"seed", ([1, 2], 1)),
    (r"padding", ("SAME", "same", [[0, 0], [0, 0]])),
    (r"paddings|pad|crops", ([[0, 0], [0, 0]], [[0, 0], [1, 1], [1, 1], [0, 0]])),
    (r"strides|ksize|pool_size|window_shape", ([1, 1, 1, 1], 1, [1, 1, 1, 1, 1], (1, 1), (1, 1, 1))),
    (r"sizes|rates|pooling_ratio|dilations|dilation_rate|kernel_size", ([1, 1, 1, 1], [1, 1], [1.0, 1.5, 1.5, 1.0])),
    (r"filters?", (None,)),
    (r".*shape|size|new_size|crop_size|block_shape|input_sizes|filter_sizes|sizes", ([2, 4], [4, 4], [1, 8, 8, 3])),
    (r"multiples", ([1, 1], [1, 1, 1, 1])),
    (r"(target|new|crop|offset|resized?)_?(height|width)|target_.*|offset_.*", (2, 0)),
    (r"num.*|k|n|depth|block_size|.*length|.*_step|maxlen|rank|units|clip_norm|upscale_factor|repeats|width", (2, 1)),
    (r".*factor|rate|keep_prob|alpha|fraction|gamma|delta|.*prob|scale|variance_epsilon|stddev|max_delta", (0.5,)),
    (r"(min|max|lower|upper|min_.*|max_.*|low|high)(val|_value)?", (0.0, 1.0)),
    (r"equation|subscripts", ("ij,jk->ik", "ij->ji")),
    (r"template|pattern|rewrite|separator|encoding|.*_encoding|delimiter", ("{}", "UTF-8")),
    (r"num_buckets|ngram_width", (4,)),
    (r"key", ([1, 2],)),
    (r"data_format", ("NHWC", "channels_last")),
    (r"begin|start|offset|pos", ([0, 0], 0)),
    (r"alg", ("auto_select",)),
)


def plain(name: str) -> tuple[object, ...]:
    """Values to try for an argument that may be no tensor."""
    return next((values for pattern, values in PLAIN if re.fullmatch(pattern, name)), ())


def placeholder(dtype: str, *shape: int) -> tf.Tensor:
    """A tensor of the graph that is being built."""
    return tf.compat.v1.placeholder(dtype, shape)


def examples() -> dict[str, list[tuple[object, ...]]]:
    """Calls that guessing does not find, by the name without `compat.v1.`; a dict at the end holds keywords."""
    p = placeholder
    x, image, volume = p("float32", 2, 4), p("float32", 1, 8, 8, 3), p("float32", 1, 8, 8, 8, 3)
    line, indices, updates = p("float32", 1, 8, 3), p("int32", 2, 1), p("float32", 2)
    boxes, scores, sequence = p("float32", 4, 4), p("float32", 4), p("float32", 5, 2, 4)
    one, two, three = p("float32", 3, 3, 2), p("float32", 3, 3, 3, 2), p("float32", 3, 3, 3, 3, 2)
    point, lengths = p("float32", 1, 1, 6, 4), p("int32", 2)
    back_2, back_3 = p("float32", 3, 3, 2, 3), p("float32", 3, 3, 3, 2, 3)
    gray, seed, labels, labels_2 = p("float32", 1, 8, 8, 1), [1, 2], p("int32", 2), p("int32", 2, 3)
    cross = {"labels": x, "logits": x}
    scatter = [(p("float32", 4), indices, updates)]
    sampled = [(p("int32", 3), p("float32", 1, 1, 4), {"min_object_covered": 0.5})]
    nms = [(boxes, scores, 3)]
    pool_2 = [(image, [2, 2], "MAX", {"padding": "SAME"}), (image, [2, 2], "MAX", "SAME")]
    return {
        "bitcast": [(x, "int32")],
        "confusion_matrix": [(labels, labels, 3)],
        "math.confusion_matrix": [(labels, labels, 3)],
        "dynamic_stitch": [([lengths], [updates])],
        "einsum": [("ij,jk->ik", x, boxes)],
        "linalg.einsum": [("ij,jk->ik", x, boxes)],
        "extract_volume_patches": [(volume, [1, 2, 2, 2, 1], [1, 2, 2, 2, 1], "SAME")],
        "histogram_fixed_width": [(x, [0.0, 1.0])],
        "image.combined_non_max_suppression": [(p("float32", 1, 4, 1, 4), p("float32", 1, 4, 1), 3, 3)],
        "image.crop_and_resize": [(image, p("float32", 2, 4), lengths, [2, 2])],
        "image.extract_glimpse": [(image, [2, 2], p("float32", 1, 2))],
        "image.grayscale_to_rgb": [(gray,)],
        "image.non_max_suppression": nms,
        "image.non_max_suppression_padded": nms,
        "image.non_max_suppression_with_scores": nms,
        "image.non_max_suppression_overlaps": [(boxes, scores, 3)],
        "image.random_jpeg_quality": [(p("uint8", 8, 8, 3), 80, 90)],
        "image.stateless_random_jpeg_quality": [(p("uint8", 8, 8, 3), 80, 90, seed)],
        "image.stateless_random_saturation": [(image, 0.5, 1.5, seed)],
        "image.sample_distorted_bounding_box": sampled,
        "io.decode_csv": [(p("string", 2), [[1.0], [1.0]])],
        "decode_csv": [(p("string", 2), [[1.0], [1.0]])],
        "io.deserialize_many_sparse": [(p("string", 2, 3), "float32")],
        "deserialize_many_sparse": [(p("string", 2, 3), "float32")],
        "keras.backend.conv1d": [(line, one)],
        "keras.backend.conv2d": [(image, two)],
        "keras.backend.conv3d": [(volume, three)],
        "keras.backend.depthwise_conv2d": [(image, two)],
        "keras.backend.separable_conv2d": [(image, two, point)],
        "keras.backend.resize_volumes": [(volume, 2, 2, 2, "channels_last")],
        "keras.backend.ctc_batch_cost": [(p("int32", 2, 3), p("float32", 2, 5, 4), p("int32", 2, 1), p("int32", 2, 1))],
        "keras.backend.ctc_decode": [(p("float32", 2, 5, 4), lengths)],
        "linalg.lu_solve": [(boxes, p("int32", 4), p("float32", 4, 1))],
        "linalg.tridiagonal_solve": [(p("float32", 3, 4), p("float32", 4))],
        "nn.atrous_conv2d": [(image, two, 2, "SAME")],
        "nn.atrous_conv2d_transpose": [(image, back_2, [1, 8, 8, 2], 2, "SAME")],
        "nn.batch_norm_with_global_normalization": [(image, *[p("float32", 3)] * 4, 0.1, True)],
        "nn.conv1d": [(line, one, 1, "SAME")],
        "nn.conv2d": [(image, two, 1, "SAME")],
        "nn.conv3d": [(volume, three, [1] * 5, "SAME")],
        "nn.conv1d_transpose": [(line, p("float32", 3, 2, 3), [1, 8, 2], 1)],
        "nn.conv3d_transpose": [(volume, back_3, [1, 8, 8, 8, 2], [1] * 5)],
        "image.ssim": [(p("float32", 1, 16, 16, 3), p("float32", 1, 16, 16, 3), 1.0)],
        "image.ssim_multiscale": [(p("float32", 1, 256, 256, 3), p("float32", 1, 256, 256, 3), 1.0)],
        "keras.backend.repeat_elements": [(x, 2, 1)],
        "nn.compute_accidental_hits": [(p("int64", 2, 1), p("int64", 3), 1)],
        "nn.conv_transpose": [(image, back_2, [1, 8, 8, 2], 1)],
        "nn.ctc_loss": [(labels_2, sequence, lengths, lengths)],
        "nn.convolution": [(image, two), (image, two, "SAME")],
        "nn.ctc_beam_search_decoder": [(sequence, lengths)],
        "nn.ctc_beam_search_decoder_v2": [(sequence, lengths)],
        "nn.ctc_greedy_decoder": [(sequence, lengths)],
        "nn.depthwise_conv2d": [(image, two, [1] * 4, "SAME")],
        "nn.depthwise_conv2d_native": [(image, two, [1] * 4, "SAME")],
        "nn.depthwise_conv2d_backprop_filter": [(image, [3, 3, 3, 2], p("float32", 1, 8, 8, 6), [1] * 4, "SAME")],
        "nn.pool": pool_2,
        "nn.avg_pool3d": [(volume, [1] * 5, [1] * 5, "SAME")],
        "nn.max_pool3d": [(volume, [1] * 5, [1] * 5, "SAME")],
        "nn.separable_conv2d": [(image, two, point, [1] * 4, "SAME")],
        "nn.sigmoid_cross_entropy_with_logits": [(cross,)],
        "nn.softmax_cross_entropy_with_logits": [(cross,)],
        "nn.softmax_cross_entropy_with_logits_v2": [(cross,)],
        "nn.sparse_softmax_cross_entropy_with_logits": [({"labels": labels, "logits": x},)],
        "nn.weighted_cross_entropy_with_logits": [(x, x, 0.5)],
        "nn.sufficient_statistics": [(x, [0])],
        "quantization.quantize": [(x, 0.0, 1.0, "quint8")],
        "quantize": [(x, 0.0, 1.0, "quint8")],
        "quantize_v2": [(x, 0.0, 1.0, "quint8")],
        "reverse_sequence": [(x, lengths, {"seq_axis": 1}), (x, lengths, 1)],
        "scatter_nd": [(indices, updates, [4])],
        "manip.scatter_nd": [(indices, updates, [4])],
        **{
            f"tensor_scatter{name}": scatter
            for name in ("_nd_add", "_nd_max", "_nd_min", "_nd_sub", "_nd_update", "_add", "_sub", "_update")
        },
        "sparse_to_dense": [(p("int32", 2, 1), [4], updates)],
    }


def calls(symbol: object, kinds: list[object]):
    """Positional arguments to guess: tensors of one kind, a tensor and plain values, or tensors of two kinds."""
    try:
        parameters = inspect.signature(symbol).parameters.values()
    except (TypeError, ValueError):
        return
    needed = [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    needed = needed or [p.name for p in parameters if p.kind is not p.VAR_KEYWORD][:1]
    options = [plain(name) for name in needed]
    for kind in kinds:
        yield [kind] * len(needed)
        yield [[kind, kind], *[kind] * (len(needed) - 1)]
        for first in (kind, [kind, kind]):
            rest = [values or (kind,) for values in options[1:]]
            yield from ([first, *chosen] for chosen in itertools.islice(itertools.product(*rest), 24))
    if len(needed) > 1:
        for one, other in itertools.product(kinds, kinds):
            rest = [values[:1] or (other,) for values in options[2:]]
            yield from ([one, other, *chosen] for chosen in itertools.islice(itertools.product(*rest), 2))
    for value in options[0] if options else ():
        yield [value, *[values[0] if values else kinds[0] for values in options[1:]]]


def judge(name: str, symbol: object) -> tuple[set[str], bool]:
    """The ops that calls of a symbol make, also those of calls that fail, and whether a call works and makes one."""
    graph = func_graph.FuncGraph("f")
    works = 0
    with graph.as_default():
        kinds = tensors()
        shown = examples().get(name.removeprefix("compat.v1."), [])
        before = {op.name for op in graph.get_operations()}
        guessed = ((arguments, {}) for arguments in calls(symbol, kinds))
        given = ((a[:-1], a[-1]) if isinstance(a[-1], dict) else (a, {}) for a in shown)
        for arguments, keywords in itertools.chain(given, guessed):
            count = len(graph.get_operations())
            try:
                symbol(*arguments, **keywords)
            except Exception:  # Most arguments fit no function: that is how those that fit are found.
                continue
            works += len(graph.get_operations()) > count
            if works >= 3:
                break
    functions = graph.as_graph_def().library.function
    made = {op.type for op in graph.get_operations() if op.name not in before}
    made |= {node.op for function in functions for node in function.node_def}
    return made - {function.signature.name for function in functions} - {"Placeholder"}, works > 0


def is_harmless(op: str) -> bool:
    """Whether an op computes and does nothing else."""
    info = load_op_table().get(op)
    return info is not None and info.effect in HARMLESS


def listed(name: str) -> list[str]:
    """The names that tf_op_layer gives to `_delegate_property` and the like, in the loops over `NAME`."""
    found = []
    for node in ast.walk(ast.parse(pathlib.Path(tf_op_layer.__file__).read_text())):
        if isinstance(node, ast.For) and isinstance(node.target, ast.Name) and node.target.id == name:
            found += ast.literal_eval(node.iter)
    return found


def column() -> tuple[dict[str, str], dict[str, object]]:
    """What this release has: the table's column, and why the other candidates are not in it."""
    kept, left = [], {}
    verdicts: dict[int, tuple[set[str], bool]] = {}
    for name, symbol in candidates().items():
        if id(symbol) not in verdicts:
            verdicts[id(symbol)] = judge(name, symbol)
        ops, works = verdicts[id(symbol)]
        bad = sorted(op for op in ops if not is_harmless(op))
        if name in NO_OPS or (works and not bad):
            kept.append(name)
        else:
            left[name] = bad or "no call works"
    names = {
        "functions": kept,
        "class_methods": [f"RaggedTensor.{method}" for method in listed("ragged_class_method")],
        "properties": listed("ragged_property") + listed("sparse_property"),
        "methods": listed("ragged_method_name") + listed("sparse_method"),
    }
    return {key: " ".join(sorted(set(values))) for key, values in names.items()}, left


def main() -> None:
    """Writes the column of the installed TensorFlow, and prints what was left out."""
    table = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    release = ".".join(tf.__version__.split(".")[:2])
    table[release], left = column()
    TABLE.write_text(json.dumps(dict(sorted(table.items())), indent=1) + "\n")
    for name, why in left.items():
        print(name, why)


if __name__ == "__main__":
    main()
