"""Functional loops and conds from the disk: answers, effects, gradients, XLA, and the same without lowering."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest

import migrate
from migrate.graph.protos import SavedModel
from migrate.records import Converted, Options

pytestmark = pytest.mark.tensorflow

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.5]], np.float32)
CALLS = {
    "thrice": {"x": X},
    "mapped": {"x": X},
    "scanned": {"x": X},
    "nested": {"x": X, "p": np.array(True)},
    "skipped": {"x": X, "p": np.array(False)},
}
TWICE = {"skipped": "nested"}


def _build() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    x = v1.placeholder(tf.float32, [None, 3], name="x")
    p = v1.placeholder(tf.bool, [], name="p")
    w = v1.get_variable("w", initializer=np.array([0.5, 1.5, -1.0], np.float32), use_resource=False)
    count = v1.get_variable("count", initializer=0.0, trainable=False, use_resource=False)

    def body(i: Any, a: Any) -> tuple[Any, Any]:
        def inner(j: Any, b: Any) -> tuple[Any, Any]:
            with tf.control_dependencies([v1.assign_add(count, 1.0)]):
                b = v1.cond(tf.equal(j % 2, 0), lambda: b * w, lambda: b + w)
            with tf.control_dependencies([b]):
                return j + 1, b * (v1.assign(count, count * 0.5) + 0.5)

        return i + 1, v1.while_loop(lambda j, _: j <= i, inner, [0, a], parallel_iterations=1)[1]

    def looped() -> Any:
        return v1.while_loop(lambda i, _: i < 3, body, [0, x], parallel_iterations=1)[1]

    nested = v1.cond(p, looped, lambda: x * w)
    with tf.control_dependencies([nested]):
        counted = tf.identity(count) + 0.0
    mixed = w[:, None] * w
    thrice = v1.while_loop(lambda i, _: i < 3, lambda i, a: (i + 1, tf.tanh(a @ mixed)), [0, x])[1]
    return {
        "thrice": ({"x": x}, {"y": thrice}),
        "mapped": ({"x": x}, {"y": tf.map_fn(lambda row: tf.tanh(row * w), x)}),
        "scanned": ({"x": x}, {"y": tf.scan(lambda a, row: tf.tanh(a * w + row), x)}),
        "nested": ({"x": x, "p": p}, {"y": nested, "count": counted}),
    }


def _save(path: str) -> None:
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default(), v1.Session() as session:
            signatures = {key: v1.saved_model.predict_signature_def(*tensors) for key, tensors in _build().items()}
            session.run(v1.global_variables_initializer())
            builder = v1.saved_model.Builder(path)
            builder.add_meta_graph_and_variables(session, ["serve"], signatures)
            builder.save()
    finally:
        v1.enable_control_flow_v2()


def _asked(path: str, gradients: bool = False) -> dict[str, Any]:
    """What a v1 Session answers to the calls in their order, each as often as its name says; or the gradients."""
    if gradients:
        v1.disable_control_flow_v2()  # Else TensorFlow takes the source's TensorArrays for lists.
    try:
        return _answers(path, gradients)
    finally:
        v1.enable_control_flow_v2()


def _answers(path: str, gradients: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with tf.Graph().as_default() as graph, v1.Session() as session:
        loaded = v1.saved_model.load(session, ["serve"], path)
        for name, inputs in CALLS.items():
            signature = loaded.signature_def[TWICE.get(name, name)]
            fed = {signature.inputs[key].name: value for key, value in inputs.items()}
            fetched = {key: info.name for key, info in signature.outputs.items()}
            if gradients:
                sources = [graph.get_tensor_by_name(signature.inputs["x"].name), *v1.trainable_variables()]
                fetched = dict(zip("xw", v1.gradients(graph.get_tensor_by_name(fetched["y"]), sources), strict=True))
            found[name] = session.run(fetched, fed)
    return found


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("functional")
    source, new = str(folder / "source"), str(folder / "new")
    _save(source)
    report = migrate.convert(source, new, Options(control_flow="functional"))
    (model,) = report.models
    assert isinstance(model.outcome, Converted), model.outcome
    assert not [finding for finding in model.findings if finding.code.endswith("-kept")]
    return source, new


def test_answers_and_effects(models: tuple[str, str]) -> None:
    source, new = models
    golden, found = _asked(source), _asked(new)
    for name, outputs in golden.items():
        for key, value in outputs.items():
            np.testing.assert_array_equal(found[name][key], value, err_msg=f"{name} {key}")
    assert golden["nested"]["count"] != 0


def test_nothing_is_v1_control_flow(models: tuple[str, str]) -> None:
    graph = _read(models[1]).meta_graphs[0].graph_def
    every = [node for function in graph.library.function for node in function.node_def]
    assert not {node.op for node in every} & {"Switch", "Merge", "Enter", "Exit", "TensorArrayV3"}
    flow = [node for node in every if node.op in ("If", "StatelessIf", "While", "StatelessWhile")]
    assert flow and all(node.attr["_lower_using_switch_merge"].b for node in flow)


def test_arrays_are_taken_whole(models: tuple[str, str]) -> None:
    """XLA and TFLite have ops for that alone, and XLA has no gradient of a gather."""
    graph = _read(models[1]).meta_graphs[0].graph_def
    ops = {node.op for function in graph.library.function for node in function.node_def}
    assert ops >= {"TensorListFromTensor", "TensorListStack"}
    assert not ops & {"TensorListGather", "TensorListScatterIntoExistingList"}


def test_without_lowering(models: tuple[str, str], tmp_path: pathlib.Path) -> None:
    import shutil

    source, new = models
    whole = str(tmp_path / "whole")
    shutil.copytree(new, whole)
    saved = _read(new)
    for function in saved.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            if "_lower_using_switch_merge" in node.attr:
                node.attr["_lower_using_switch_merge"].b = False
    pathlib.Path(whole, "saved_model.pb").write_bytes(saved.SerializeToString())
    golden, found = _asked(source), _asked(whole)
    for name, outputs in golden.items():
        for key, value in outputs.items():
            np.testing.assert_array_equal(found[name][key], value, err_msg=f"{name} {key}")


@pytest.mark.parametrize("name", CALLS)
def test_gradients(models: tuple[str, str], name: str) -> None:
    source, new = models
    golden = _asked(source, gradients=True)
    loaded = tf.saved_model.load(new)
    # Calls change what later ones see.
    for earlier in CALLS:
        inputs = {key: tf.constant(value) for key, value in CALLS[earlier].items()}
        with tf.GradientTape() as tape:
            tape.watch(inputs["x"])
            y = loaded.signatures[TWICE.get(earlier, earlier)](**inputs)["y"]
        if earlier == name:
            break
    found = tape.gradient(y, [inputs["x"], *loaded.trainable_variables])
    for key, gradient in zip("xw", found, strict=True):
        np.testing.assert_allclose(gradient.numpy(), golden[name][key], rtol=1e-6, atol=1e-6, err_msg=key)


def test_xla(models: tuple[str, str]) -> None:
    loaded = tf.saved_model.load(models[1])
    signature = loaded.signatures["scanned"]
    compiled = tf.function(lambda x: signature(x=x), jit_compile=True)
    np.testing.assert_allclose(compiled(tf.constant(X))["y"], signature(x=tf.constant(X))["y"], rtol=1e-6)


@pytest.mark.parametrize("name", ["thrice", "mapped", "scanned"])
def test_gradients_with_xla(models: tuple[str, str], name: str) -> None:
    """XLA takes the gradient of a loop only where it knows how often that runs at most, and the shapes in its body."""
    x = tf.constant(X)

    def found(jit_compile: bool) -> Any:
        loaded = tf.saved_model.load(models[1])

        def gradients(x: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = loaded.signatures[name](x=x)["y"]
            return tape.gradient(y, [x, *loaded.trainable_variables])

        return tf.function(gradients, jit_compile=jit_compile)(x)

    for one, other in zip(found(True), found(False), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3)  # XLA has another tanh.


def _read(path: str) -> SavedModel:
    return SavedModel.FromString(pathlib.Path(path, "saved_model.pb").read_bytes())
