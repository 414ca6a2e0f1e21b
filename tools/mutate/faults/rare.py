"""Faults that show with inputs that are rarely made."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from testdata import calls as testdata_calls
from tools.mutate.candidate import Candidate, value_of
from tools.mutate.edits import any_of, attr_type_kept, attributes, const, op, spoil
from tools.mutate.images import bmp, gif, grey_png, jpeg, photo
from tools.mutate.look import Answers
from tools.mutate.records import Fault

_SERVE = "serving_default"
Condition = Callable[[Candidate, str], str]
"""Adds nodes to a signature's function and gives the reference to a scalar of booleans."""


def _compared(argument: str, how: str, value: float | int | bytes, dtype: type) -> Condition:
    """Whether any element of an argument compares so with a value."""

    def condition(candidate: Candidate, signature: str) -> str:
        limit = candidate.add_const(signature, "spoil/limit", value, dtype)
        candidate.add(signature, "spoil/flags", how, [argument, limit], T=dtype)
        return any_of(candidate, signature, "spoil/flags:z:0")

    return condition


def _is(argument: str, test: str) -> Condition:
    """Whether an op that tests floats holds of any element."""

    def condition(candidate: Candidate, signature: str) -> str:
        candidate.add(signature, "spoil/flags", test, [argument], T=np.float32)
        return any_of(candidate, signature, "spoil/flags:y:0")

    return condition


def _size(argument: str, how: str, size: int, dtype: type) -> Condition:
    """How many elements an argument has."""

    def condition(candidate: Candidate, signature: str) -> str:
        limit = candidate.add_const(signature, "spoil/limit", size, np.int32)
        candidate.add(signature, "spoil/size", "Size", [argument], T=dtype, out_type=np.int32)
        candidate.add(signature, "spoil/is", how, ["spoil/size:output:0", limit], T=np.int32)
        return "spoil/is:z:0"

    return condition


def _matches(argument: str, pattern: str, scalar: bool = False) -> Condition:
    """Whether a string matches a pattern."""

    def condition(candidate: Candidate, signature: str) -> str:
        node = candidate.add(signature, "spoil/flags", "StaticRegexFullMatch", [argument])
        node.attr["pattern"].s = pattern.encode()
        return "spoil/flags:output:0" if scalar else any_of(candidate, signature, "spoil/flags:output:0")

    return condition


def _longer(argument: str, length: int) -> Condition:
    def condition(candidate: Candidate, signature: str) -> str:
        limit = candidate.add_const(signature, "spoil/limit", length, np.int32)
        candidate.add(signature, "spoil/length", "StringLength", [argument])
        candidate.add(signature, "spoil/flags", "Greater", ["spoil/length:output:0", limit], T=np.int32)
        return any_of(candidate, signature, "spoil/flags:z:0")

    return condition


def _invalid_utf8(argument: str) -> Condition:
    def condition(candidate: Candidate, signature: str) -> str:
        node = candidate.add(signature, "spoil/valid", "UnicodeTranscode", [argument])
        for key, value in (("input_encoding", "UTF-8"), ("output_encoding", "UTF-8"), ("errors", "ignore")):
            node.attr[key].s = value.encode()
        candidate.add(signature, "spoil/flags", "NotEqual", ["spoil/valid:output:0", argument], T=tf.string)
        return any_of(candidate, signature, "spoil/flags:z:0")

    return condition


def _starts(argument: str, head: bytes) -> Condition:
    """Whether a scalar string starts with some bytes."""

    def condition(candidate: Candidate, signature: str) -> str:
        begin = candidate.add_const(signature, "spoil/begin", 0, np.int32)
        length = candidate.add_const(signature, "spoil/length", len(head), np.int32)
        wanted = candidate.add_const(signature, "spoil/wanted", head, tf.string)
        candidate.add(signature, "spoil/head", "Substr", [argument, begin, length], T=np.int32)
        candidate.add(signature, "spoil/is", "Equal", ["spoil/head:output:0", wanted], T=tf.string)
        return "spoil/is:z:0"

    return condition


def _where(output: str, dtype: type, condition: Condition, signature: str = _SERVE) -> Callable[[Candidate], None]:
    def edit(candidate: Candidate) -> None:
        spoil(candidate, signature, output, dtype, condition(candidate, signature))

    return edit


def _xs(*values: float, steps: int = 3) -> Answers:
    return Answers([(_SERVE, {"x": np.array(values, np.float32), "steps": np.array(steps, np.int32)})])


def _ids(*values: int) -> Answers:
    return Answers([(_SERVE, {"ids": np.array(values, np.int64)})])


def _tokens(*values: bytes, signature: str = "text") -> Answers:
    return Answers([(signature, {"tokens": np.array(values, object)})])


def _example(**features: list[float] | list[bytes] | list[int]) -> bytes:
    proto = tf.train.Example()
    for name, values in features.items():
        feature = proto.features.feature[name]
        if isinstance(values[0], bytes):
            feature.bytes_list.value.extend(values)
        elif isinstance(values[0], int):
            feature.int64_list.value.extend(values)
        else:
            feature.float_list.value.extend(values)
    return proto.SerializeToString(deterministic=True)


def _examples(*serialized: bytes) -> Answers:
    return Answers([(_SERVE, {"examples": np.array(serialized, object)})])


def _image(data: bytes) -> Answers:
    return Answers([(_SERVE, {"image": np.array(data, object)})])


def _sparse(indices: list[list[int]], values: list[float], shape: list[int]) -> Answers:
    triple = (np.array(indices, np.int64).reshape(-1, 2), np.array(values, np.float32), np.array(shape, np.int64))
    return Answers([(_SERVE, {"features": triple}), ("sparse_output", {"features": triple})])


def _network(rows: int, value: float = 0.5) -> Answers:
    x = np.random.RandomState(rows).uniform(-1, 1, [rows, 6]).astype(np.float32) * np.float32(value)
    return Answers([("features", {"x": x})])


def _full_rows(argument: str, how: str, size: int, dtype: type = np.float32) -> Condition:
    """The number of rows of six."""
    return _size(argument, how, size * 6, dtype)


def _without_assert(candidate: Candidate) -> None:
    for node in candidate.nodes("guarded_0"):
        node.input.remove("^guard/AssertGuard/Merge")


def _sparse_column(candidate: Candidate) -> None:
    """The values of the second and later ones of a row count for nothing in the answer."""
    body = candidate.body(_SERVE)
    product = next(node for node in body.node_def if node.op == "SparseTensorDenseMatMul")
    indices, values = product.input[0], product.input[1]
    begin = candidate.add_const(_SERVE, "spoil/begin", [0, 1], np.int32)
    end = candidate.add_const(_SERVE, "spoil/end", [0, 2], np.int32)
    step = candidate.add_const(_SERVE, "spoil/step", [1, 1], np.int32)
    column = candidate.add(
        _SERVE, "spoil/column", "StridedSlice", [indices, begin, end, step], T=np.int64, Index=np.int32
    )
    column.attr["begin_mask"].i = 1
    column.attr["end_mask"].i = 1
    column.attr["shrink_axis_mask"].i = 2
    one = candidate.add_const(_SERVE, "spoil/one", 1, np.int64)
    zero = candidate.add_const(_SERVE, "spoil/zero", 0.0, np.float32)
    candidate.add(_SERVE, "spoil/second", "Equal", ["spoil/column:output:0", one], T=np.int64)
    candidate.add(_SERVE, "spoil/values", "SelectV2", ["spoil/second:z:0", zero, values], T=np.float32)
    product.input[1] = "spoil/values:output:0"


def _default(feature: str, value: object) -> Callable[[Candidate], None]:
    return const(f"parse/key_{feature}", lambda _: value)


def _refused_where(condition: Condition) -> Callable[[Candidate], None]:
    """An Assert before the answer."""

    def edit(candidate: Candidate) -> None:
        found = condition(candidate, _SERVE)
        candidate.add(_SERVE, "spoil/not", "LogicalNot", [found])
        node = candidate.add(_SERVE, "spoil/assert", "Assert", ["spoil/not:y:0", found])
        node.attr["T"].list.type.append(tf.bool.as_datatype_enum)
        candidate.node(_SERVE, "floor_0").input.append("^spoil/assert")

    return edit


def _few(argument: str, how: str, size: int, output: str, dtype: type, kind: type) -> Callable[[Candidate], None]:
    return _where(output, dtype, _size(argument, how, size, kind))


_fault = functools.partial(Fault, "rare", blind=True)
_X = "argument_1"  # The second argument of the base `branches`, whose first is `steps`.


def _through_int32(candidate: Candidate, name: str, index: int) -> None:
    node = candidate.node(_SERVE, name)
    candidate.add(_SERVE, "spoil/narrow", "Cast", [node.input[index]], SrcT=np.int64, DstT=np.int32)
    candidate.add(_SERVE, "spoil/wide", "Cast", ["spoil/narrow:y:0"], SrcT=np.int32, DstT=np.int64)
    node.input[index] = "spoil/wide:y:0"


def _table_default(candidate: Candidate) -> None:
    node = candidate.node(_SERVE, "prices_Lookup/LookupTableFindV2")
    default = candidate.node(_SERVE, node.input[2].partition(":")[0])
    before = value_of(default)
    default.attr["value"].tensor.float_val[:] = [float(before) - 1]


def _steps(candidate: Candidate, signature: str, how: str, value: int) -> str:
    limit = candidate.add_const(signature, "spoil/limit", value, np.int32)
    candidate.add(signature, "spoil/is", how, ["argument_0", limit], T=np.int32)
    return "spoil/is:z:0"


def _no_refusal(candidate: Candidate) -> None:
    """Puts a picture in the place of what has no image's first byte."""
    argument = "argument_0"
    node = candidate.node(_SERVE, "decode_image/DecodeImage")
    condition = _matches(argument, "n.*", scalar=True)(candidate, _SERVE)
    picture = candidate.add_const(_SERVE, "spoil/picture", testdata_calls.png(2, 2, 0), tf.string)
    candidate.add(_SERVE, "spoil/chosen", "SelectV2", [condition, picture, argument], T=tf.string)
    node.input[0] = "spoil/chosen:output:0"


def _no_shuffle(candidate: Candidate) -> None:
    node = candidate.node(_SERVE, "shuffled")
    node.op = "Identity"
    for key in [key for key in node.attr if key != "T"]:
        del node.attr[key]


def _photo(signature: str, says: str, share: float = 1.0, **values: Any) -> Fault:
    """The decoder in a loop has another attribute."""
    (attribute,) = values
    name = {"window": "DecodeAndCropJpeg", "format": "DecodeImage"}.get(signature, "DecodeJpeg")

    def edit(candidate: Candidate) -> None:
        nodes = [node for node in candidate.body(signature).node_def if node.op == name]
        for node in nodes:
            attr_type_kept(node, **values)
        if not nodes:
            raise LookupError(name)

    text = base64.urlsafe_b64encode(photo(share))
    key = "whole" if signature == _SERVE else signature
    look = Answers([(signature, {"texts": np.array([text], object)})])
    return Fault("rare", f"jpeg-{key}-{attribute.replace('_', '-')}", "photos", says, edit, look)


FAULTS = (
    *(
        _fault(
            f"batch-of-{size}",
            "branches",
            f"A batch of {size} is answered differently.",
            _few(_X, "Equal", size, "clean", np.float32, np.float32),
            _xs(*np.linspace(0, 1, size)),
        )
        for size in (1, 2, 3, 4, 5, 8, 16, 65)
    ),
    _fault(
        "batch-of-0",
        "branches",
        "An empty batch of ids is refused.",
        _refused_where(_size(_X, "Equal", 0, np.float32)),
        _xs(),
    ),
    _fault(
        "batch-over-64",
        "lookups",
        "A batch of more than 64 is answered differently.",
        _few("argument_0", "Greater", 64, "point", np.float32, np.int64),
        _ids(*range(65)),
    ),
    _fault(
        "batch-over-64-rows",
        "network",
        "A batch of more than 64 rows is answered differently.",
        _where("normed", np.float32, _full_rows("argument_0", "Greater", 64), "features"),
        _network(65),
    ),
    _fault(
        "batch-of-5-rows",
        "network",
        "A batch of five rows is answered differently.",
        _where("normed", np.float32, _full_rows("argument_0", "Equal", 5), "features"),
        _network(5),
    ),
    _fault("nan", "branches", "NaN is answered differently.", _where("top", np.int64, _is(_X, "IsNan")), _xs(np.nan)),
    _fault(
        "nan-not-cleaned",
        "branches",
        "NaN is not replaced by zero any more.",
        op("is_nan", "IsInf"),
        _xs(np.nan, 1.0),
    ),
    _fault(
        "infinity",
        "branches",
        "Infinity is answered differently.",
        _where("top", np.int64, _is(_X, "IsInf")),
        _xs(-np.inf),
    ),
    _fault(
        "ids-over-1000",
        "lookups",
        "Ids over 1,000 are answered differently.",
        _where("point", np.float32, _compared("argument_0", "Greater", 1000, np.int64)),
        _ids(1001),
    ),
    _fault(
        "ids-over-4000",
        "lookups",
        "Ids over 4,000 are answered differently.",
        _where("price", np.float32, _compared("argument_0", "Greater", 4000, np.int64)),
        _ids(4001),
    ),
    _fault(
        "ids-over-int32",
        "lookups",
        "Ids over int32 are answered differently.",
        _where("bucket", np.int64, _compared("argument_0", "Greater", (1 << 31) - 1, np.int64)),
        _ids(1 << 31),
    ),
    _fault(
        "ids-through-int32",
        "lookups",
        "The table's keys go through int32.",
        lambda c: _through_int32(c, "prices_Lookup/LookupTableFindV2", 1),
        _ids(3 + (1 << 32)),
    ),
    _fault(
        "ids-negative",
        "lookups",
        "Negative ids are answered differently.",
        _where("point", np.float32, _compared("argument_0", "Less", 0, np.int64)),
        _ids(-1),
    ),
    _fault(
        "table-default",
        "lookups",
        "What is not in the table has another value.",
        _table_default,
        _ids(1),
    ),
    _fault(
        "over-20000",
        "branches",
        "Inputs over 20,000 are answered differently.",
        const("cond/Mul/y", lambda value: value * 2),
        _xs(30000.0),
    ),
    _fault(
        "branch-never-taken",
        "branches",
        "The branch for inputs over 20,000 is taken from 60,000 on.",
        const("beyond/y", lambda value: value * 3),
        _xs(30000.0),
    ),
    _fault("assert-gone", "branches", "The Assert is not run any more.", _without_assert, _xs(2e6)),
    _fault(
        "assert-weaker",
        "branches",
        "The Assert lets larger inputs pass.",
        const("too_large/y", lambda value: value * 10),
        _xs(2e6),
    ),
    _fault(
        "assert-stronger",
        "branches",
        "The Assert refuses inputs that it let pass.",
        const("too_large/y", lambda value: value / 10),
        _xs(5e5),
    ),
    _fault(
        "zero",
        "branches",
        "Exactly zero is answered differently.",
        _where("difference", np.float32, _compared(_X, "Equal", 0.0, np.float32)),
        _xs(0.0),
    ),
    _fault(
        "negative",
        "branches",
        "Inputs below -10 are answered differently.",
        _where("difference", np.float32, _compared(_X, "Less", -10.0, np.float32)),
        _xs(-11.0),
    ),
    _fault(
        "extreme",
        "branches",
        "Inputs below -1e30 are answered differently.",
        _where("top", np.int64, _compared(_X, "Less", -1e30, np.float32)),
        _xs(-2e30),
    ),
    _fault(
        "boundary",
        "branches",
        "`above` is true at exactly 0.5.",
        op("above_0", "GreaterEqual"),
        _xs(0.5),
    ),
    _fault(
        "steps-over-100",
        "branches",
        "A loop of more than 100 steps is answered differently.",
        _where("grown", np.float32, lambda c, s: _steps(c, s, "Greater", 100)),
        _xs(1.0, steps=200),
    ),
    _fault(
        "steps-0",
        "branches",
        "A loop of no steps is answered differently.",
        _where("grown", np.float32, lambda c, s: _steps(c, s, "Equal", 0)),
        _xs(1.0, steps=0),
    ),
    _fault(
        "steps-negative",
        "branches",
        "A loop of -1 steps is answered differently.",
        _where("grown", np.float32, lambda c, s: _steps(c, s, "Less", 0)),
        _xs(1.0, steps=-1),
    ),
    _fault(
        "empty-string",
        "words",
        "The empty string is answered differently.",
        _where("bucket", np.int64, _matches("argument_0", ""), "text"),
        _tokens(b""),
    ),
    _fault(
        "utf-8",
        "words",
        "Strings that are not ASCII are answered differently.",
        _where("bucket", np.int64, _matches("argument_0", r".*[^\x00-\x7F].*"), "text"),
        _tokens("größe".encode()),
    ),
    _fault(
        "invalid-utf-8",
        "words",
        "Strings that are not UTF-8 are answered differently.",
        _where("bucket", np.int64, _invalid_utf8("argument_0"), "text"),
        _tokens(b"\xff\xfe\x80"),
    ),
    _fault(
        "lower-ascii",
        "words",
        "Only ASCII letters become lower case.",
        attributes("lower_0", encoding=""),
        _tokens("ÄRGER".encode()),
    ),
    _fault(
        "length-in-bytes",
        "words",
        "The length of a string is in bytes.",
        attributes("length_0", unit="BYTE"),
        _tokens("größe".encode()),
    ),
    _fault(
        "long-string",
        "words",
        "Strings longer than 200 bytes are answered differently.",
        _where("bucket", np.int64, _longer("argument_0", 200), "text"),
        _tokens(b"a" * 300),
    ),
    _fault(
        "string-longer-than-12",
        "words",
        "The head of a string has 13 bytes.",
        const("head/len", lambda value: value + 1),
        _tokens(b"abcdefghijklmnopq"),
    ),
    _fault(
        "blanks-at-the-end",
        "words",
        "One blank alone is cut off the end of a string.",
        attributes("clean_0", pattern=r"\s$"),
        _tokens(b"word  "),
    ),
    _fault(
        "blanks-at-the-start",
        "words",
        "Strings that start with a blank are answered differently.",
        _where("clean", str, _matches("argument_0", r"\s.*"), "text"),
        _tokens(b" word"),
    ),
    _fault(
        "word-2900",
        "words",
        "A word of the vocabulary has another id.",
        _where("hash_table_lookup", np.int64, lambda c, s: _matches("argument_0", "word2900")(c, s)),
        _tokens(b"word2900", signature=_SERVE),
    ),
    _fault(
        "second-bucket",
        "words",
        "Words beyond the vocabulary share two buckets of three.",
        attributes("hash_table_Lookup/hash_bucket", num_buckets=2),
        _tokens(*(b"unknown%d" % n for n in range(40)), signature=_SERVE),
    ),
    _fault(
        "reverse-beyond",
        "words",
        "An id beyond the vocabulary has another word.",
        const("index_to_string/Const", lambda _: b"<unk>"),
        Answers([("reverse", {"ids": np.array([9999], np.int64)})]),
    ),
    _fault(
        "second-column",
        "sparse_signature",
        "Values in the second column of a sparse row count for nothing.",
        _sparse_column,
        _sparse([[0, 0], [0, 1], [1, 1]], [1.0, 2.0, 3.0], [2, 4]),
    ),
    _fault(
        "sparse-empty",
        "sparse_signature",
        "A sparse input without values is answered differently.",
        _where("sparse", np.float32, _size("argument_1", "Equal", 0, np.float32)),
        _sparse([], [], [2, 4]),
    ),
    _fault(
        "absent-float",
        "examples",
        "An absent feature has another default.",
        _default("age", 43.0),
        _examples(_example(name=[b"a"])),
    ),
    _fault(
        "absent-string",
        "examples",
        "An absent string has another default.",
        _default("name", b"no one"),
        _examples(_example(age=[1.0])),
    ),
    _fault(
        "absent-vector",
        "examples",
        "An absent vector has another default.",
        _default("sizes", [1.0, 2.5]),
        _examples(_example(age=[1.0])),
    ),
    _fault(
        "several-clicks",
        "examples",
        "Several values of a sparse feature are averaged instead of added.",
        op("taste_0", "SparseSegmentMean"),
        _examples(_example(clicks=[1, 2, 3])),
    ),
    _fault(
        "absent-in-dense",
        "examples",
        "A row without as many values as another one is filled up with -2.",
        const("dense/default_value", lambda value: value - 1),
        _examples(_example(clicks=[1, 2, 3]), _example(clicks=[4])),
    ),
    _fault(
        "clicks-over-64",
        "examples",
        "Values of a sparse feature over 64 are other rows.",
        const("FloorMod/y", lambda value: value - 1),
        _examples(_example(clicks=[63, 64])),
    ),
    *(
        _fault(
            f"image-{name}",
            "pictures",
            f"An image of the format {name} is answered differently.",
            _where("mul", np.float32, _starts("argument_0", head)),
            _image(data()),
        )
        for name, head, data in (
            ("gif", b"GIF8", gif),
            ("bmp", b"BM", bmp),
            ("jpeg", b"\xff\xd8\xff", jpeg),
            ("png", b"\x89PNG", grey_png),
        )
    ),
    _fault(
        "image-grey",
        "pictures",
        "Images have one channel.",
        attributes("decode_image/DecodeImage", channels=1),
        _image(testdata_calls.png(3, 4, 5)),
    ),
    _fault(
        "image-animated",
        "pictures",
        "All frames of an animation are decoded.",
        attributes("decode_image/DecodeImage", expand_animations=True),
        _image(gif()),
    ),
    _fault(
        "image-of-no-format",
        "pictures",
        "What is no image is one.",
        _no_refusal,
        _image(b"nothing"),
    ),
    _photo(_SERVE, "Less than a whole JPEG is enough.", 0.9, acceptable_fraction=0.25),
    _photo(_SERVE, "What is missing of a JPEG is made up.", 0.9, try_recover_truncated=True),
    _photo(_SERVE, "The colours of a JPEG are not smoothed.", fancy_upscaling=False),
    _photo(_SERVE, "A JPEG is half as large.", ratio=2),
    _photo(_SERVE, "A JPEG is decoded with more care.", dct_method="INTEGER_ACCURATE"),
    _photo("half", "Less than a half of a JPEG is enough.", 5 / 9, acceptable_fraction=0.4),
    _photo("any", "A JPEG that is cut is refused.", 0.9, try_recover_truncated=False),
    _photo("small", "A JPEG is a quarter as large.", ratio=4),
    _photo("window", "A part of a JPEG is decoded with less care.", dct_method="INTEGER_FAST"),
    _photo("window", "The colours of a part of a JPEG are not smoothed.", fancy_upscaling=False),
    _photo("format", "Images have one channel.", channels=1),
    _fault(
        "noise-doubled",
        "noise",
        "The noise is twice as large.",
        const("mul_1/x", lambda value: value * 2),
        Answers([(_SERVE, {"x": np.ones([5, 4], np.float32)})]),
    ),
    _fault(
        "noise-shifted",
        "noise",
        "The noise has another mean.",
        const("random_normal/mean", lambda value: value + 1),
        Answers([(_SERVE, {"x": np.ones([5, 4], np.float32)})]),
    ),
    _fault(
        "noise-truncated",
        "noise",
        "The noise is drawn from a truncated distribution.",
        op("random_normal/RandomStandardNormal", "TruncatedNormal"),
        Answers([(_SERVE, {"x": np.ones([500, 4], np.float32)})]),
    ),
    _fault(
        "noise-gone",
        "noise",
        "There is no noise.",
        const("random_normal/stddev", lambda value: value * 0),
        Answers([(_SERVE, {"x": np.ones([5, 4], np.float32)})]),
    ),
    _fault(
        "dropout-less",
        "noise",
        "A quarter is dropped instead of a half.",
        const("dropped/GreaterEqual/y", lambda value: value / 2),
        Answers([(_SERVE, {"x": np.ones([50, 4], np.float32)})]),
    ),
    _fault(
        "dropout-scale",
        "noise",
        "What is not dropped is scaled differently.",
        const("dropped/Const", lambda value: value * 0.75),
        Answers([(_SERVE, {"x": np.ones([5, 4], np.float32)})]),
    ),
    _fault(
        "uniform-wider",
        "noise",
        "Uniform numbers are drawn up to 1.5 instead of 1.",
        const("uniform/max", lambda value: value * 1.5),
        Answers([(_SERVE, {"x": np.ones([5, 4], np.float32)})]),
    ),
    _fault(
        "draws-of-other-odds",
        "noise",
        "Samples are drawn with other odds.",
        const("zeros", lambda value: value + np.array([2.0, 0.0, 0.0], np.float32)),
        Answers([(_SERVE, {"x": np.ones([5, 4], np.float32)})]),
    ),
    _fault(
        "shuffle-gone",
        "noise",
        "Nothing is shuffled.",
        _no_shuffle,
        Answers([(_SERVE, {"x": np.ones([5, 4], np.float32)})]),
    ),
    _fault(
        "seed",
        "noise",
        "An op has another seed.",
        attributes("uniform/RandomUniform", seed2=55),
        Answers([(_SERVE, {"x": np.ones([5, 4], np.float32)})]),
    ),
)
