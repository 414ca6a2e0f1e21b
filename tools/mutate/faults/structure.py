"""Faults in nodes and edges: what a proof of the structure sees whatever the inputs are."""

from __future__ import annotations

import functools

import numpy as np

from testdata import calls as testdata_calls
from tools.mutate.candidate import Candidate, change, set_value
from tools.mutate.edits import Edit, attributes, const, const_of, op, rewire, swap_inputs, ulp, without_control
from tools.mutate.look import Answers, Call, Spread
from tools.mutate.records import Fault

_SERVE = "serving_default"
_fault = functools.partial(Fault, "structure", blind=True)
_MANY = np.concatenate(
    [np.random.RandomState(3).uniform(-30000, 30000, 100), np.random.RandomState(4).uniform(-5, 5, 100), [3.0, -3.0]]
).astype(np.float32)
_X6 = np.random.RandomState(0).uniform(-9, 9, [60, 6]).astype(np.float32)


def _branches(values: np.ndarray = _MANY, steps: int = 3) -> Answers:
    return Answers([(_SERVE, {"x": values.astype(np.float32), "steps": np.array(steps, np.int32)})])


def _network(signature: str = "features") -> Answers:
    return Answers([(signature, {"x": _X6})])


def _ids(*values: int) -> Answers:
    return Answers([(_SERVE, {"ids": np.array(values, np.int64)})])


def _text(*values: bytes) -> Answers:
    return Answers([("text", {"tokens": np.array(values, object)})])


def _noise(output: str, minus: str = "") -> Spread:
    call: Call = (_SERVE, {"x": np.ones([20000, 4], np.float32)})
    return Spread(call, output, minus)


def _swapped_captures(signature: str, first: str, second: str) -> Edit:
    """Two variables of one shape take each other's place in a signature's function."""

    def plant(candidate: Candidate) -> None:
        one, other = candidate.node(signature, first), candidate.node(signature, second)
        one.input[0], other.input[0] = other.input[0], one.input[0]

    return plant


def _swapped_in_main(signature: str, first: int, second: int) -> Edit:
    """A Session gives a signature's function two variables in the wrong order; Python does not."""

    def plant(candidate: Candidate) -> None:
        call = candidate.call_of(signature)
        call.input[first], call.input[second] = call.input[second], call.input[first]

    return plant


def _swapped_in_python(signature: str, first: int, second: int) -> Edit:
    """Python gives a signature's function two variables in the wrong order; a Session does not."""

    def plant(candidate: Candidate) -> None:
        name = candidate.child("signatures", signature).bare_concrete_function.concrete_function_name
        bound = candidate.meta_graph.object_graph_def.concrete_functions[name].bound_inputs
        bound[first], bound[second] = bound[second], bound[first]

    return plant


def _scaled(signature: str, name: str, factor: float) -> Edit:
    """A node between a node and what uses it."""

    def plant(candidate: Candidate) -> None:
        reference = candidate.add_const(signature, "spoil/factor", factor, np.float32)
        node = candidate.node(signature, name)
        candidate.add(signature, "spoil", "Mul", [node.input[0], reference], T=np.float32)
        node.input[0] = "spoil:z:0"

    return plant


def _example() -> bytes:
    return testdata_calls.example(age=[33.0], sizes=[0.5, 0.25], name=[b"someone"], weights=[1.5, 2.5])


def _png() -> bytes:
    return testdata_calls.png(5, 7, 1)


def _branches_swapped(candidate: Candidate) -> None:
    """What is done for large inputs is done for the others."""
    for node in candidate.nodes("cond/Mul/Switch"):
        node.input[1] = "beyond_not:y:0"
    for name in ("cond/Switch", "cond/pred_id"):
        for node in candidate.nodes(name):
            node.input[:] = ["beyond_not:y:0" for _ in node.input]
    candidate.nodes("cond/Mul/Switch")[0].input[1] = "cond/pred_id:output:0"
    candidate.add(_SERVE, "beyond_not", "LogicalNot", ["beyond:z:0"])


def _no_scale(candidate: Candidate) -> None:
    node = candidate.node("top", "scale")
    set_value(candidate.node("top", node.input[0].partition(":")[0]), np.float32(1))


def _offset(candidate: Candidate) -> None:
    for node in candidate.nodes("index_to_string/table_init/InitializeTableFromTextFileV2"):
        node.attr["offset"].i = 1


def _assets_swapped(candidate: Candidate) -> None:
    """The two files have one base name, and so each other's."""
    first, second = candidate.asset("vocab.txt"), candidate.asset("vocab.txt_1")
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)


def _sparse_keys_swapped(candidate: Candidate) -> None:
    """The name and the default of a feature are another's."""
    change(candidate.nodes("parse/parse/dense_keys"), lambda value: [value.tolist()[0], b"nam", value.tolist()[2]])


def _nearest(candidate: Candidate) -> None:
    for node in candidate.nodes("map/while/resize/ResizeBilinear"):
        node.op = "ResizeNearestNeighbor"


FAULTS = (
    _fault("round-for-floor", "branches", "Floor is Round.", op("floor_0", "Round"), _branches()),
    _fault("ceil-for-floor", "branches", "Floor is Ceil.", op("floor_0", "Ceil"), _branches()),
    _fault("rint-for-floor", "branches", "Floor is Rint.", op("floor_0", "Rint"), _branches()),
    _fault("loop-once-more", "branches", "A loop makes one step more.", op("grow/more", "LessEqual"), _branches()),
    _fault(
        "loop-bound",
        "while_loop",
        "A loop makes one step more, if any.",
        op("while/Less", "LessEqual"),
        Answers([(_SERVE, {"x": _X6[:, :2], "steps": np.array(2, np.int32)})]),
    ),
    _fault(
        "loop-step", "branches", "A loop counts in twos.", const("grow/add/y", lambda value: value + 1), _branches()
    ),
    _fault(
        "loop-start", "branches", "A loop starts at one.", const("grow_start", lambda value: value + 1), _branches()
    ),
    _fault(
        "loop-other-state",
        "branches",
        "A loop adds its first value.",
        rewire("grow/add_1/Enter", 0, "twice:z:0"),
        _branches(),
    ),
    _fault("limit-ulp", "branches", "A limit is one ulp larger.", const("clipped/y", ulp), _branches()),
    _fault("lowest-ulp", "branches", "The lower limit is one ulp larger.", const("lowest/y", ulp), _branches()),
    _fault(
        "threshold-ulp",
        "branches",
        "A threshold is one ulp larger.",
        const("above/y", ulp),
        _branches(np.array([np.nextafter(np.float32(0.5), np.float32(1))])),
    ),
    _fault(
        "branch-threshold-ulp",
        "branches",
        "The threshold of a branch is one ulp larger.",
        const("beyond/y", ulp),
        _branches(np.array([np.nextafter(np.float32(20000), np.float32(1e9))])),
    ),
    _fault(
        "branch-or-equal",
        "branches",
        "A branch is taken at its threshold.",
        op("beyond", "GreaterEqual"),
        _branches(np.array([20000.0])),
    ),
    _fault("branches-swapped", "branches", "Two branches are swapped.", _branches_swapped, _branches()),
    _fault(
        "branch-factor-ulp",
        "branches",
        "A factor in a branch is one ulp larger.",
        const("cond/Mul/y", ulp),
        _branches(),
    ),
    _fault(
        "difference-swapped",
        "branches",
        "The inputs of a difference are swapped.",
        swap_inputs("difference_0"),
        _branches(),
    ),
    _fault("ratio-swapped", "branches", "The inputs of a ratio are swapped.", swap_inputs("ratio_0"), _branches()),
    _fault(
        "select-swapped", "branches", "The choices of a Select are swapped.", swap_inputs("clean_0", 1, 2), _branches()
    ),
    _fault(
        "edge-to-other",
        "branches",
        "A difference is of another value.",
        rewire("difference_0", 1, "w/read:value:0"),
        _branches(),
    ),
    _fault(
        "edge-to-input",
        "branches",
        "An output is of the input before it was bounded.",
        rewire("clipped_0", 0, "argument_1"),
        _branches(),
    ),
    _fault(
        "exclusive",
        "branches",
        "A running sum leaves out its own value.",
        attributes("running_0", exclusive=True),
        _branches(),
    ),
    _fault("reverse", "branches", "A running sum runs backwards.", attributes("running_0", reverse=True), _branches()),
    _fault("argmin", "branches", "ArgMax is ArgMin.", op("top_0", "ArgMin"), _branches()),
    _fault("size-double", "branches", "A size counts twice.", _scaled(_SERVE, "floor_0", 2.0), _branches()),
    _fault(
        "assert-edge",
        "branches",
        "An answer does not wait for the Assert.",
        without_control("guarded_0", "guard/AssertGuard/Merge"),
        _branches(np.array([2e6])),
    ),
    _fault(
        "assert-of-other",
        "branches",
        "The Assert is about another value.",
        rewire("too_large", 0, "clipped_0:z:0"),
        _branches(np.array([-5.0, 2e6])),
    ),
    _fault("modulo", "lookups", "A modulo takes the sign of its first argument.", op("rows", "TruncateMod"), _ids(-7)),
    _fault("division", "lookups", "A division is rounded towards zero.", op("bucket_0", "TruncateDiv"), _ids(-7)),
    _fault(
        "divisor",
        "lookups",
        "A divisor is off by one.",
        const_of(_SERVE, "Const_2", lambda value: value - 1),
        _ids((1 << 31) - 1),
    ),
    _fault(
        "modulus",
        "lookups",
        "A modulus is off by one.",
        const_of(_SERVE, "Const_1", lambda value: value - 1),
        _ids(4999),
    ),
    _fault(
        "edge-before-modulo",
        "lookups",
        "Rows are looked up by the id itself.",
        rewire("vector", 1, "argument_0"),
        _ids(5001),
    ),
    _fault("relu6", "network", "Relu is Relu6.", op("layer2/out", "Relu6"), _network()),
    _fault("leaky", "network", "Relu leaks a little.", op("layer1/out", "LeakyRelu", alpha=1e-6), _network()),
    _fault(
        "epsilon-more",
        "network",
        "An epsilon is a hundredth larger.",
        const("normed/add/y", lambda value: value * 1.01),
        _network(),
    ),
    _fault(
        "kernels-swapped",
        "network",
        "Two kernels are swapped.",
        _swapped_captures("features", "layer0/kernel/read", "layer1/kernel/read"),
        _network(),
    ),
    _fault(
        "biases-swapped",
        "network",
        "Two biases are swapped.",
        _swapped_captures("features", "layer0/bias/read", "layer1/bias/read"),
        _network(),
    ),
    _fault(
        "gamma-beta-swapped",
        "network",
        "Gamma and beta are swapped.",
        _swapped_captures("features", "norm/gamma/read", "norm/beta/read"),
        _network(),
    ),
    _fault(
        "mean-variance-swapped",
        "network",
        "Mean and variance are swapped.",
        _swapped_captures("features", "norm/moving_mean/read", "norm/moving_variance/read"),
        _network(),
    ),
    _fault(
        "swapped-in-session",
        "network",
        "A Session takes two biases for each other.",
        _swapped_in_main("features", 2, 4),
        _network(),
    ),
    _fault(
        "swapped-in-python",
        "network",
        "Python takes two biases for each other.",
        _swapped_in_python("features", 1, 3),
        Answers([("features", {"x": _X6})], "tf2"),
    ),
    _fault("transposed", "network", "A kernel is transposed.", attributes("MatMul_1", transpose_b=True), _network()),
    _fault("bias-dropped", "network", "A bias is not added.", rewire("layer0/out", 0, "MatMul:product:0"), _network()),
    _fault(
        "layer-skipped", "network", "A layer is skipped.", rewire("MatMul_2", 0, "layer0/out:activations:0"), _network()
    ),
    _fault("subtraction-swapped", "network", "A subtraction is swapped.", swap_inputs("normed/sub"), _network()),
    _fault("add-for-sub", "network", "A subtraction is an addition.", op("normed/sub", "AddV2"), _network()),
    _fault(
        "class-of-input",
        "network",
        "A class is chosen along the other dimension.",
        const("ArgMax/dimension", lambda value: value * 0),
        Answers([(_SERVE, {"x": _X6[:3]})]),
    ),
    _fault("top-3", "network", "The best three are given.", const("top/k", lambda value: value + 1), _network("top")),
    _fault("scale-ignored", "network", "The scale is ignored where it is not given.", _no_scale, _network("top")),
    _fault("half-ulp", "network", "A factor is one ulp larger.", const("mul/x", ulp), _network("top")),
    _fault(
        "regex", "words", "A pattern sees blanks alone.", attributes("clean_0", pattern=" +$"), _text(b"a\t", b"a ")
    ),
    _fault(
        "regex-once",
        "words",
        "A pattern replaces once.",
        attributes("clean_0", replace_global=False, pattern=r"\s"),
        _text(b" a b "),
    ),
    _fault(
        "regex-by",
        "words",
        "Something is put where something was cut off.",
        attributes("clean_0", rewrite="."),
        _text(b"a "),
    ),
    _fault(
        "head-in-letters",
        "words",
        "A head is in letters.",
        attributes("head_0", unit="UTF8_CHAR"),
        _text("ääääääääää".encode()),
    ),
    _fault(
        "head-from-1",
        "words",
        "A head leaves out the first byte.",
        const("head/pos", lambda value: value + 1),
        _text(b"abc"),
    ),
    _fault("hash", "words", "A hash is another one.", op("bucket_0", "StringToHashBucket"), _text(b"abc")),
    _fault(
        "hash-modulus",
        "words",
        "A hash has one bucket more.",
        attributes("bucket_0", num_buckets=1001),
        _text(b"abc", b"abcd", b"x"),
    ),
    _fault(
        "file-offset",
        "words",
        "A table starts at the second line.",
        _offset,
        Answers([("reverse", {"ids": np.array([0, 1], np.int64)})]),
    ),
    _fault(
        "file-columns-swapped",
        "vocabulary",
        "Two files are given to each other's tables.",
        _assets_swapped,
        Answers([("labels", {"ids": np.array([0, 1], np.int64)})]),
    ),
    _fault(
        "features-swapped",
        "examples",
        "Two features are each other's.",
        _sparse_keys_swapped,
        Answers([(_SERVE, {"examples": np.array([_example()], object)})]),
    ),
    _fault(
        "sum-over-sizes",
        "examples",
        "A sum is a mean.",
        op("Sum", "Mean"),
        Answers([(_SERVE, {"examples": np.array([_example()], object)})]),
    ),
    _fault(
        "factor-of-age",
        "examples",
        "A factor is one ulp larger.",
        const("mul/y", ulp),
        Answers([(_SERVE, {"examples": np.array([_example()], object)})]),
    ),
    _fault(
        "corners",
        "pictures",
        "Images are resized by their corners.",
        attributes("map/while/resize/ResizeBilinear", align_corners=True),
        Answers([("batch", {"images": np.array([_png()], object)})]),
    ),
    _fault(
        "half-pixels",
        "pictures",
        "Images are resized by half pixels.",
        attributes("map/while/resize/ResizeBilinear", half_pixel_centers=True),
        Answers([("batch", {"images": np.array([_png()], object)})]),
    ),
    _fault(
        "nearest",
        "pictures",
        "Images are resized to the nearest pixel.",
        _nearest,
        Answers([("batch", {"images": np.array([_png()], object)})]),
    ),
    _fault(
        "slices-swapped",
        "partitioned",
        "Two slices are swapped.",
        swap_inputs("embedding/ConcatPartitions/concat", 1, 2),
        Answers([("whole", {})]),
    ),
    _fault(
        "slice-lookup",
        "partitioned",
        "A row is looked up in another slice.",
        rewire("embedding_lookup/GatherV2_2", 0, "embedding/part_1/read:value:0"),
        _ids(8, 9),
    ),
    _fault(
        "noise-doubled-unseeded",
        "unseeded",
        "Noise without a seed is twice as large.",
        const("mul_1/x", lambda value: value * 2),
        _noise("noisy", "x"),
    ),
    _fault(
        "noise-shifted-unseeded",
        "unseeded",
        "Noise without a seed has another mean.",
        const("random_normal/mean", lambda value: value + 4),
        _noise("noisy", "x"),
    ),
    _fault(
        "dropout-unseeded",
        "unseeded",
        "Dropout without a seed drops less.",
        const("dropped/GreaterEqual/y", lambda value: value / 2),
        Spread((_SERVE, {"x": np.ones([20000, 4], np.float32)}), "dropped", "x"),
    ),
    _fault(
        "dropout-scale-unseeded",
        "unseeded",
        "What dropout without a seed leaves has another scale.",
        const("dropped/Const", lambda value: value * 3),
        _noise("dropped", "x"),
    ),
    _fault(
        "plain-beside-noise",
        "unseeded",
        "An output beside noise is another one.",
        rewire("plain_0", 1, "argument_0"),
        Answers([(_SERVE, {"x": np.ones([2, 4], np.float32)})], outputs=("plain",)),
    ),
)
