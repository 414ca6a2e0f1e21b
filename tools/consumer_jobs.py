"""What each consumer of a SavedModel does with one: the jobs that `tools/consumers.py` runs, each in a process."""

from __future__ import annotations

import pickle
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from migrate.frozen import frozen

Arrays = Mapping[str, np.ndarray]

_RELATIVE, _OF_LARGEST = 1e-4, 1e-5
"""How far floats may be from the reference: of themselves, and of the largest value of the output."""
_MOST = 1500
"""Characters of an error that are kept."""
_SECOND = "Fallback to flat signature also failed due to: "
_SPARSE = (
    ("indices", "indices_tensor_name"),
    ("values", "values_tensor_name"),
    ("dense_shape", "dense_shape_tensor_name"),
)
"""The arguments that TensorFlow makes of a sparse one, by the ends of their names, with their fields in `CooSparse`."""


@frozen
class Job:
    """A model and what is to be done with it.

    Attributes:
      consumer: a name of `CONSUMERS`, or `answers`.
      path: of the SavedModel.
      tags: of its MetaGraph.
      key: of the signature.
      calls: a file with the calls of a signature, and the answers to them where they are known.
      site: a directory with tf2onnx, onnx and onnxruntime, or empty.
    """

    consumer: str
    path: str
    tags: Sequence[str]
    key: str
    calls: str
    site: str = ""


class _Loaded:
    """A model as `tf.saved_model.load` gives it, with one of its signatures."""

    def __init__(self, job: Job) -> None:
        self.model = tf.saved_model.load(job.path, tags=list(job.tags))
        self.signature = self.model.signatures[job.key]
        self.keywords: list[str] = list(self.signature._arg_keywords)

    def tensors(self, call: Arrays) -> dict[str, tf.Tensor]:
        """The arguments of a call, by the names that Python has for them."""
        by_name = {name: tf.constant(value) for name, value in call.items()}
        # Names that Python does not allow are others here.
        return {key: by_name[key] if key in by_name else by_name[_as_python(key, by_name)] for key in self.keywords}


def _as_python(keyword: str, names: Iterable[str]) -> str:
    (name,) = (name for name in names if re.sub(r"\W", "_", name) == keyword)
    return name


def run(job: Job) -> str:
    """In a child: `yes`, `made`, or the reason why not."""
    with open(job.calls, "rb") as file:
        calls = pickle.load(file)
    if job.consumer == "answers":
        return _reference(job, calls)
    try:
        return CONSUMERS[job.consumer](job, calls)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = " ".join(lines).rpartition(_SECOND)[2]  # What is before it has the values of the arguments.
        return f"{type(error).__name__}: {said[:_MOST]}"


def _reference(job: Job, calls: list[tuple[Arrays, Arrays]]) -> str:
    """Puts the answers of a v1 Session into the file; a call after the first one that has none is left out."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, list(job.tags), job.path)
        signature = loaded.signature_def[job.key]
        fetched = {key: info.name for key, info in signature.outputs.items() if info.name}
        fed = {key: info.name for key, info in signature.inputs.items()}
        for end, field in _SPARSE:
            fed.update((f"{key}_{end}", getattr(info.coo_sparse, field)) for key, info in signature.inputs.items())
        answered = []
        for call, _ in calls:
            try:
                answers = session.run(fetched, {fed[key]: value for key, value in call.items()})
            except tf.errors.OpError:
                if not answered:
                    raise
                continue
            answered.append((call, {key: np.asarray(value) for key, value in answers.items()}))
    with open(job.calls, "wb") as file:
        pickle.dump(answered, file)
    return "yes"


def _asked(calls: list[tuple[Arrays, Arrays]], ask: Callable[[Arrays], Mapping[str, Any]]) -> str:
    for call, expected in calls:
        found = ask(call)
        for key, one in expected.items():
            other = np.asarray(found[key])
            if one.shape != other.shape:
                return f"another shape of {key}"
            if one.dtype.kind in "fc":
                finite = np.abs(one[np.isfinite(one)])
                most = _OF_LARGEST * float(finite.max()) if finite.size else 0.0
                equal = np.allclose(other, one, rtol=_RELATIVE, atol=most, equal_nan=True)
            else:
                equal = np.array_equal(one.astype(object), other.astype(object))
            if not equal:
                return f"other values of {key}"
    return "yes"


def _xla(job: Job, calls: Any) -> str:
    loaded = _Loaded(job)
    names = loaded.keywords
    compiled = tf.function(lambda *given: loaded.signature(**dict(zip(names, given, strict=True))), jit_compile=True)

    def ask(call: Arrays) -> Mapping[str, Any]:
        tensors = loaded.tensors(call)
        answers: Mapping[str, Any] = compiled(*[tensors[name] for name in names])
        return answers

    return _asked(calls, ask)


def _gradients(job: Job, calls: Any) -> str:
    loaded = _Loaded(job)
    variables = getattr(loaded.model, "trainable_variables", None)
    if variables is None:
        variables = [one for one in getattr(loaded.model, "variables", ()) if one.trainable]
    handles = {id(handle) for handle in loaded.signature.captured_inputs}
    variables = [one for one in variables if id(one.handle) in handles]
    if not variables:
        return "no trainable variable"
    with tf.GradientTape() as tape:
        answers = loaded.signature(**loaded.tensors(calls[0][0]))
        losses = [tf.reduce_sum(tf.cast(one, tf.float64)) for one in answers.values() if one.dtype.is_floating]
        if not losses:
            return "no float output"
        loss = tf.add_n(losses)
    count = sum(gradient is not None for gradient in tape.gradient(loss, variables))
    return "yes" if count == len(variables) else f"{count} of {len(variables)} variables"


def _freezing(job: Job, calls: Any) -> str:
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    loaded = _Loaded(job)
    frozen_function = convert_variables_to_constants_v2(loaded.signature)
    names = sorted(loaded.signature.structured_outputs)
    # Tables stay arguments.
    handles = {inner.name: outer for outer, inner in loaded.signature.graph.captures}
    tables = [handles[one.name] for one in frozen_function.inputs if one.name in handles]

    def ask(call: Arrays) -> Mapping[str, Any]:
        tensors = loaded.tensors(call)
        found = frozen_function(*[tensors[name] for name in loaded.keywords], *tables)
        return dict(zip(names, tf.nest.flatten(found), strict=True))

    return _asked(calls, ask)


def _tflite(job: Job, calls: Any) -> str:
    try:
        made = _tflite_of(job, flex=False)
    except Exception:
        _tflite_of(job, flex=True)
        return "flex"  # The interpreter of TensorFlow's wheel does not run it.
    runner = tf.lite.Interpreter(model_content=made).get_signature_runner(job.key)
    return _asked(calls, lambda call: runner(**call))


def _tflite_of(job: Job, flex: bool) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(job.path, [job.key], set(job.tags))
    if flex:
        sets = tf.lite.OpsSet
        converter.target_spec.supported_ops = [sets.TFLITE_BUILTINS, sets.SELECT_TF_OPS]
    made: bytes = converter.convert()
    return made


def _stablehlo(job: Job, calls: Any) -> str:
    from tensorflow.compiler.mlir.tensorflow_to_stablehlo.python import pywrap_tensorflow_to_stablehlo

    call = calls[0][0]
    shapes = ":".join(",".join(map(str, call[key].shape)) for key in sorted(call, key=_fingerprint))
    made = pywrap_tensorflow_to_stablehlo.savedmodel_to_stablehlo(job.path, [job.key], list(job.tags), shapes)
    return "mixed" if b"\0tf\0" in made else "made"  # The name of the dialect, among the strings of the bytecode.


def _fingerprint(name: str) -> int:
    """What TensorFlow's importer into MLIR sorts the inputs of a signature by (`ConvertSignature`, import_model.cc)."""
    found = tf.raw_ops.Fingerprint(data=tf.constant([list(name.encode())], tf.uint8), method="farmhash64")
    return int.from_bytes(bytes(found.numpy()[0]), "little")


def _onnx(job: Job, calls: Any) -> str:
    if not job.site:
        return "not asked"
    sys.path.append(job.site)
    if not hasattr(np, "cast"):  # tf2onnx asks numpy 1 for it.
        np.cast = {}  # type: ignore[attr-defined]
    import onnxruntime
    from tf2onnx import convert, tf_loader

    graph, ins, outs, tables, names = tf_loader.from_saved_model(
        job.path,
        None,
        None,
        tag=list(job.tags),
        signatures=[job.key],
        return_initialized_tables=True,
        return_tensors_to_rename=True,
    )
    made, _ = convert._convert_common(
        graph,
        opset=18,
        input_names=ins,
        output_names=outs,
        initialized_tables=tables,
        tensors_to_rename=names,
    )
    unknown = {n.op_type for n in made.graph.node if n.domain not in ("", "ai.onnx.ml", "com.microsoft")}
    if unknown:
        return f"ops without a twin: {', '.join(sorted(unknown))}"
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    fed = [one.name for one in session.get_inputs()]
    given = [one.name for one in session.get_outputs()]

    def ask(call: Arrays) -> Mapping[str, Any]:
        by_name = {name: value.astype(object) if value.dtype.kind in "OS" else value for name, value in call.items()}
        if not set(fed) <= set(by_name):
            by_name = dict(zip(sorted(fed), (by_name[name] for name in sorted(by_name)), strict=True))
        return dict(zip(given, session.run(given, {name: by_name[name] for name in fed}), strict=True))

    return _asked(calls, ask)


CONSUMERS: Mapping[str, Callable[[Job, Any], str]] = {
    "XLA": _xla,
    "gradients": _gradients,
    "freezing": _freezing,
    "TFLite": _tflite,
    "StableHLO": _stablehlo,
    "ONNX": _onnx,
}
"""The columns of the page, with what makes each."""
