"""Faults in what clients address by name: SignatureDefs, tags, tensor names, arguments of functions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from tools.mutate.candidate import Candidate
from tools.mutate.edits import Edit
from tools.mutate.look import Answers, Arguments, Definitions, Fetches, Nodes
from tools.mutate.records import Fault

_SERVE = "serving_default"
_fault = functools.partial(Fault, "contract", blind=True)
_X = np.random.RandomState(0).uniform(-1, 1, [4, 6]).astype(np.float32)
_X2 = np.array([[0.5, -1.0], [2.0, 0.25]], np.float32)


def _definition(signature: str, edit: Callable[[Any], None]) -> Edit:
    """Changes a SignatureDef."""
    return lambda candidate: edit(candidate.meta_graph.signature_def[signature])


def _method(name: str) -> Callable[[Any], None]:
    def edit(definition: Any) -> None:
        definition.method_name = name

    return edit


def _input(name: str, edit: Callable[[Any], None]) -> Callable[[Any], None]:
    return lambda definition: edit(definition.inputs[name])


def _output(name: str, edit: Callable[[Any], None]) -> Callable[[Any], None]:
    return lambda definition: edit(definition.outputs[name])


def _dtype(dtype: tf.DType) -> Callable[[Any], None]:
    def edit(info: Any) -> None:
        info.dtype = dtype.as_datatype_enum

    return edit


def _shape(*sizes: int) -> Callable[[Any], None]:
    def edit(info: Any) -> None:
        info.tensor_shape.CopyFrom(tf.TensorShape([None if size < 0 else size for size in sizes]).as_proto())

    return edit


def _unknown_rank(info: Any) -> None:
    info.tensor_shape.Clear()
    info.tensor_shape.unknown_rank = True


def _no_shape(info: Any) -> None:
    info.ClearField("tensor_shape")


def _renamed(field: str, before: str, after: str) -> Callable[[Any], None]:
    def edit(definition: Any) -> None:
        infos = getattr(definition, field)
        infos[after].CopyFrom(infos[before])
        del infos[before]

    return edit


def _swapped(field: str, first: str, second: str) -> Callable[[Any], None]:
    def edit(definition: Any) -> None:
        infos = getattr(definition, field)
        infos[first].name, infos[second].name = infos[second].name, infos[first].name

    return edit


def _tags(*tags: str) -> Edit:
    def edit(candidate: Candidate) -> None:
        del candidate.meta_graph.meta_info_def.tags[:]
        candidate.meta_graph.meta_info_def.tags.extend(tags)

    return edit


def drop_signature(name: str) -> Edit:
    """Takes a SignatureDef out."""

    def edit(candidate: Candidate) -> None:
        del candidate.meta_graph.signature_def[name]

    return edit


def copy_signature(before: str, after: str, drop: bool = False) -> Edit:
    """Gives a SignatureDef another key, too."""

    def edit(candidate: Candidate) -> None:
        signatures = candidate.meta_graph.signature_def
        signatures[after].CopyFrom(signatures[before])
        if drop:
            del signatures[before]

    return edit


def _default(value: float | None) -> Edit:
    """Of the SignatureDef alone."""

    def edit(candidate: Candidate) -> None:
        defaults = candidate.meta_graph.signature_def[_SERVE].defaults
        if value is None:
            del defaults["scale"]
        else:
            defaults["scale"].CopyFrom(tf.make_tensor_proto(value, tf.float32))

    return edit


def _default_of_graph(candidate: Candidate) -> None:
    node = candidate.main("serving_default_scale/default")
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(1.25, tf.float32))


def _no_default_in_graph(candidate: Candidate) -> None:
    node = candidate.main("serving_default_scale")
    node.op = "Placeholder"
    del node.input[:]


def _default_for_x(candidate: Candidate) -> None:
    value = tf.make_tensor_proto(np.ones([1, 3], np.float32))
    candidate.meta_graph.signature_def[_SERVE].defaults["x"].CopyFrom(value)


def _dense_instead_of_sparse(definition: Any) -> None:
    info = definition.inputs["features"]
    info.name = info.coo_sparse.values_tensor_name


def _sparse_parts_swapped(definition: Any) -> None:
    sparse = definition.inputs["features"].coo_sparse
    sparse.indices_tensor_name, sparse.dense_shape_tensor_name = (
        sparse.dense_shape_tensor_name,
        sparse.indices_tensor_name,
    )


def _extra_input(candidate: Candidate) -> None:
    node = candidate.meta_graph.graph_def.node.add(name="more", op="Placeholder")
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    node.attr["shape"].shape.unknown_rank = True
    info = candidate.meta_graph.signature_def[_SERVE].inputs["more"]
    info.name, info.dtype = "more:0", tf.float32.as_datatype_enum
    info.tensor_shape.unknown_rank = True


def _extra_output(definition: Any) -> None:
    definition.outputs["again"].CopyFrom(next(iter(definition.outputs.values())))


def _ref_in_function(candidate: Candidate) -> None:
    function = candidate.meta_graph.graph_def.library.function.add()
    function.signature.name = "left_over"
    function.signature.output_arg.add(name="y", type=tf.float32.as_datatype_enum)
    node = function.node_def.add(name="v", op="VariableV2")
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    node.attr["shape"].shape.SetInParent()
    read = function.node_def.add(name="read", op="Identity", input=["v:ref:0"])
    read.attr["T"].type = tf.float32.as_datatype_enum
    function.ret["y"] = "read:output:0"


def _ref_in_main(candidate: Candidate) -> None:
    node = candidate.meta_graph.graph_def.node.add(name="left_over", op="VariableV2")
    node.attr["dtype"].type = tf.float32.as_datatype_enum
    node.attr["shape"].shape.SetInParent()


def _old_table_in_main(candidate: Candidate) -> None:
    node = candidate.meta_graph.graph_def.node.add(name="left_over", op="HashTable")
    node.attr["key_dtype"].type = tf.string.as_datatype_enum
    node.attr["value_dtype"].type = tf.int64.as_datatype_enum


def _kept_name_gone(before: str) -> Edit:
    """Another name in the main graph, followed by the SignatureDefs."""

    def edit(candidate: Candidate) -> None:
        candidate.main(before).name = "renamed"
        for node in candidate.meta_graph.graph_def.node:
            node.input[:] = ["renamed" if name == before else name for name in node.input]
        for definition in candidate.meta_graph.signature_def.values():
            for info in (*definition.inputs.values(), *definition.outputs.values()):
                node, _, index = info.name.partition(":")
                if node == before:
                    info.name = f"renamed:{index}"

    return edit


def _kept_name_of_another(candidate: Candidate) -> None:
    """`layer2/out:0` and `normed/add_1:0` each are what the other one was; the SignatureDefs follow."""
    first, second = candidate.main("layer2/out"), candidate.main("normed/add_1")
    first.input[0], second.input[0] = second.input[0], first.input[0]
    outputs = candidate.meta_graph.signature_def["features"].outputs
    outputs["hidden"].name, outputs["normed"].name = outputs["normed"].name, outputs["hidden"].name


def _spec(signature: str) -> Callable[[Candidate], Any]:
    """The concrete function behind `signatures[...]`."""

    def find(candidate: Candidate) -> Any:
        name = candidate.child("signatures", signature).bare_concrete_function.concrete_function_name
        return candidate.meta_graph.object_graph_def.concrete_functions[name]

    return find


def _result_renamed(candidate: Candidate) -> None:
    fields = _spec("features")(candidate).output_signature.dict_value.fields
    fields["norm"].CopyFrom(fields["normed"])
    del fields["normed"]


def _results_swapped(candidate: Candidate) -> None:
    """In Python alone: the structured outputs are by number, in the order of their names."""
    call = candidate.function(candidate.call_of("features").attr["f"].func.name)
    copy = candidate.meta_graph.graph_def.library.function.add()
    copy.CopyFrom(call)
    copy.signature.name = f"{call.signature.name}77"
    keys = sorted(copy.ret)
    copy.ret[keys[0]], copy.ret[keys[1]] = call.ret[keys[1]], call.ret[keys[0]]
    found = candidate.child("signatures", "features").bare_concrete_function
    functions = candidate.meta_graph.object_graph_def.concrete_functions
    functions[copy.signature.name].CopyFrom(functions[found.concrete_function_name])
    found.concrete_function_name = copy.signature.name


def _argument_shape(candidate: Candidate) -> None:
    spec = _spec("features")(candidate).canonicalized_input_signature
    inputs = spec.tuple_value.values[1].dict_value.fields
    inputs["x"].tensor_spec_value.shape.dim[0].size = 4


def _other_output(candidate: Candidate) -> None:
    outputs = candidate.meta_graph.signature_def["features"].outputs
    outputs["normed"].name = outputs["hidden"].name


def _no_init(candidate: Candidate) -> None:
    del candidate.meta_graph.signature_def["__saved_model_init_op"]
    del candidate.meta_graph.collection_def["saved_model_main_op"]


def _older_consumer(candidate: Candidate) -> None:
    candidate.meta_graph.graph_def.versions.min_consumer = 1 << 20


def _bad_consumer(candidate: Candidate) -> None:
    candidate.meta_graph.graph_def.versions.bad_consumers.extend(range(1, 5000))


def _defaults_of_python(candidate: Candidate) -> None:
    candidate.child("signatures", "features").bare_concrete_function.allowed_positional_arguments = 0


def _definitions(names: Iterable[tuple[str, str, str, Edit, str]]) -> list[Fault]:
    """Faults that are read off a SignatureDef."""
    return [_fault(name, base, says, edit, Definitions(signature)) for name, base, says, edit, signature in names]


_PREDICT = "tensorflow/serving/predict"
_CLASSIFY = "tensorflow/serving/classify"

FAULTS = (
    *_definitions(
        (
            (
                "method-predict",
                "estimator_custom",
                "Classify is predict.",
                _definition(_SERVE, _method(_PREDICT)),
                _SERVE,
            ),
            (
                "method-classify",
                "estimator_linear_regressor",
                "Regress is classify.",
                _definition(_SERVE, _method(_CLASSIFY)),
                _SERVE,
            ),
            ("method-empty", "simple_save", "There is no method name.", _definition(_SERVE, _method("")), _SERVE),
            (
                "method-own",
                "odd_names",
                "A method name of the model's own is predict.",
                _definition("custom_method", _method(_PREDICT)),
                "custom_method",
            ),
            (
                "method-added",
                "odd_names",
                "A signature without a method has one.",
                _definition("empty_method", _method(_PREDICT)),
                "empty_method",
            ),
            (
                "method-of-hub",
                "hub_module",
                "A signature of a Hub module has a method.",
                _definition("norm", _method(_PREDICT)),
                "norm",
            ),
            (
                "input-int32",
                "simple_save",
                "The dtype of an input is int32.",
                _definition(_SERVE, _input("x", _dtype(tf.int32))),
                _SERVE,
            ),
            (
                "input-int32-for-int64",
                "lookups",
                "Ids are int32.",
                _definition(_SERVE, _input("ids", _dtype(tf.int32))),
                _SERVE,
            ),
            (
                "output-double",
                "simple_save",
                "The dtype of an output is double.",
                _definition(_SERVE, _output("y", _dtype(tf.float64))),
                _SERVE,
            ),
            (
                "dtype-missing",
                "states",
                "An output has no dtype.",
                _definition("look", _output("count", _dtype(tf.as_dtype("float32")))),
                "look",
            ),
            (
                "input-shape-open",
                "simple_save",
                "A size of three is any size.",
                _definition(_SERVE, _input("x", _shape(-1, -1))),
                _SERVE,
            ),
            (
                "input-batch-of-1",
                "simple_save",
                "The batch is one.",
                _definition(_SERVE, _input("x", _shape(1, 3))),
                _SERVE,
            ),
            (
                "input-shape-other",
                "simple_save",
                "A size of three is four.",
                _definition(_SERVE, _input("x", _shape(-1, 4))),
                _SERVE,
            ),
            (
                "output-rank-unknown",
                "simple_save",
                "The rank of an output is unknown.",
                _definition(_SERVE, _output("y", _unknown_rank)),
                _SERVE,
            ),
            (
                "output-scalar",
                "simple_save",
                "An output is a scalar.",
                _definition(_SERVE, _output("y", _shape())),
                _SERVE,
            ),
            (
                "shape-missing",
                "simple_save",
                "An input has no shape.",
                _definition(_SERVE, _input("x", _no_shape)),
                _SERVE,
            ),
            (
                "output-shape-swapped",
                "network",
                "The sizes of an output are swapped.",
                _definition("top", _output("values", _shape(2, -1))),
                "top",
            ),
            (
                "default-changed",
                "network",
                "The default of an input is another one, in the SignatureDef.",
                _default(1.25),
                _SERVE,
            ),
            ("default-dropped", "network", "An input has no default in the SignatureDef.", _default(None), _SERVE),
            ("default-added", "simple_save", "An input without a default has one.", _default_for_x, _SERVE),
            (
                "sparse-as-dense",
                "sparse_signature",
                "A sparse input is a dense one.",
                _definition(_SERVE, _dense_instead_of_sparse),
                _SERVE,
            ),
            ("extra-output", "simple_save", "There is one more output.", _definition(_SERVE, _extra_output), _SERVE),
            ("extra-input", "simple_save", "There is one more input.", _extra_input, _SERVE),
            (
                "output-renamed",
                "simple_save",
                "An output has another key.",
                _definition(_SERVE, _renamed("outputs", "y", "output")),
                _SERVE,
            ),
            (
                "input-renamed",
                "simple_save",
                "An input has another key.",
                _definition(_SERVE, _renamed("inputs", "x", "input")),
                _SERVE,
            ),
            (
                "input-renamed-odd",
                "odd_names",
                "An input with a slash has none.",
                _definition("odd_inputs", _renamed("inputs", "image/encoded", "image_encoded")),
                "odd_inputs",
            ),
            (
                "output-dropped",
                "network",
                "An output is gone.",
                _definition("top", lambda d: d.outputs.pop("indices")),
                "top",
            ),
            (
                "input-dropped",
                "odd_names",
                "A second name of an input is gone.",
                _definition("two_names", lambda d: d.inputs.pop("same_x")),
                "two_names",
            ),
        )
    ),
    _fault("tag-added", "simple_save", "There is one more tag.", _tags("serve", "gpu"), Definitions()),
    _fault("tag-replaced", "simple_save", "The tag is another one.", _tags("eval"), Definitions()),
    _fault("tags-gone", "simple_save", "There are no tags.", _tags(), Definitions()),
    _fault("tags-of-hub", "hub_module", "A module without tags has one.", _tags("serve"), Definitions()),
    _fault("signature-dropped", "network", "A signature is gone.", drop_signature("top"), Definitions("top")),
    _fault(
        "signature-added",
        "network",
        "There is one more signature.",
        copy_signature("top", "best"),
        Definitions("best"),
    ),
    _fault(
        "signature-renamed",
        "network",
        "A signature has another key.",
        copy_signature("top", "best", drop=True),
        Definitions(),
    ),
    _fault(
        "default-in-graph",
        "network",
        "A call without the input is answered with another default.",
        _default_of_graph,
        Answers([(_SERVE, {"x": _X})]),
    ),
    _fault(
        "default-not-in-graph",
        "network",
        "A call without the input fails.",
        _no_default_in_graph,
        Answers([(_SERVE, {"x": _X})]),
    ),
    _fault(
        "sparse-parts-swapped",
        "sparse_signature",
        "The parts of a sparse input are swapped.",
        _definition(_SERVE, _sparse_parts_swapped),
        Definitions(_SERVE),
    ),
    _fault(
        "inputs-swapped",
        "odd_names",
        "Two inputs are swapped in the SignatureDef.",
        _definition("two_names", _swapped("inputs", "x", "other")),
        Answers([("two_names", {"x": _X2, "same_x": _X2, "other": _X2 * 3})]),
    ),
    _fault(
        "outputs-swapped",
        "network",
        "Two outputs are swapped in the SignatureDef.",
        _definition("features", _swapped("outputs", "normed", "hidden")),
        Answers([("features", {"x": _X})]),
    ),
    _fault(
        "output-of-another",
        "network",
        "An output is another one of the same function.",
        _other_output,
        Answers([("features", {"x": _X})]),
    ),
    _fault(
        "ref-in-function",
        "simple_save",
        "A function that nobody calls has a ref op.",
        _ref_in_function,
        Nodes(("VariableV2",)),
    ),
    _fault(
        "ref-in-main",
        "simple_save",
        "The main graph has a ref op that nobody uses.",
        _ref_in_main,
        Nodes(("VariableV2",)),
    ),
    _fault(
        "ref-table-in-main",
        "vocabulary",
        "The main graph has a table of TF1.",
        _old_table_in_main,
        Nodes(("HashTable",)),
    ),
    _fault(
        "kept-input-gone",
        "kept_names",
        "A tensor name of an input is gone.",
        _kept_name_gone("x"),
        Fetches(["layer2/out:0"], {"x:0": _X}),
    ),
    _fault(
        "kept-output-gone",
        "kept_names",
        "A tensor name of an output is gone.",
        _kept_name_gone("scores"),
        Fetches(["scores:0"], {"x:0": _X}),
    ),
    _fault(
        "kept-outputs-swapped",
        "kept_names",
        "Two tensor names mean each other's tensor.",
        _kept_name_of_another,
        Fetches(["layer2/out:0", "normed/add_1:0"], {"x:0": _X}),
    ),
    _fault("result-renamed", "network", "A result in Python has another name.", _result_renamed, Arguments()),
    _fault(
        "results-swapped",
        "network",
        "Two results in Python are swapped.",
        _results_swapped,
        Answers([("features", {"x": _X})], "tf2"),
    ),
    _fault("argument-shape", "network", "An argument in Python has a fixed batch.", _argument_shape, Arguments()),
    _fault(
        "init-gone",
        "vocabulary",
        "Nothing fills the tables in a Session.",
        _no_init,
        Answers([(_SERVE, {"tokens": np.array([b"cat"], object)})]),
    ),
)
