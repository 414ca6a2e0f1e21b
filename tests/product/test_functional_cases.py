"""Loops and conds as users have them, as While and If: bidirectional RNNs, decoding, detection, long sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import migrate
from migrate.records import Converted, Options
from tests.control_flow import control_flow

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1

_STEPS = 1024


class _Cell:
    """The least that dynamic_rnn asks of a cell."""

    output_size = state_size = 3

    def __init__(self) -> None:
        normal = v1.random_normal_initializer(stddev=0.5, seed=1)
        self._kernel = v1.get_variable("kernel", [2 + 3, 3], initializer=normal)

    def zero_state(self, batch: Any, dtype: Any) -> Any:
        return tf.zeros(tf.stack([batch, 3]), dtype)

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        new = tf.tanh(tf.concat([inputs, state], 1) @ self._kernel)
        return new, new


def _bidirectional() -> tuple[dict[str, Any], dict[str, Any]]:
    x = v1.placeholder(tf.float32, [None, None, 2], "sequences")
    n = v1.placeholder(tf.int32, [None], "lengths")
    with v1.variable_scope("forward"):
        forward = _Cell()
    with v1.variable_scope("backward"):
        backward = _Cell()
    outputs, states = v1.nn.bidirectional_dynamic_rnn(forward, backward, x, n, dtype=tf.float32)
    return {"x": x, "n": n}, {"y": tf.concat(outputs, 2), "last": tf.concat(states, 1)}


def _long() -> tuple[dict[str, Any], dict[str, Any]]:
    x = v1.placeholder(tf.float32, [1, _STEPS, 2], "long_sequence")
    return {"x": x}, {"y": v1.nn.dynamic_rnn(_Cell(), x, dtype=tf.float32)[1]}


def _decoded() -> tuple[dict[str, Any], dict[str, Any]]:
    """The best tags of a sequence, as a CRF decodes them: a scan forth, and one back over what it chose."""
    scores = v1.placeholder(tf.float32, [None, 4], "scores")
    moves = v1.get_variable("moves", [4, 4], initializer=v1.random_normal_initializer(seed=2))

    def forth(before: Any, row: Any) -> tuple[Any, Any]:
        all_moves = before[0][:, None] + moves
        return row + tf.reduce_max(all_moves, 0), tf.argmax(all_moves, 0, output_type=tf.int32)

    best, chosen = tf.scan(forth, scores[1:], (scores[0], tf.zeros([4], tf.int32)))
    last = tf.argmax(best[-1], output_type=tf.int32)
    back = tf.scan(lambda tag, row: row[tag], chosen, last, reverse=True)
    return {"scores": scores}, {"tags": tf.concat([back, [last]], 0), "score": tf.reduce_max(best[-1])}


def _searched() -> tuple[dict[str, Any], dict[str, Any]]:
    """A beam search of a fixed length that ends early where each beam has ended."""
    start = v1.placeholder(tf.float32, [5], "first_scores")
    moves = v1.get_variable("next_scores", [5, 5], initializer=v1.random_normal_initializer(seed=3))
    score, word = tf.math.top_k(start, 3)

    def step(i: Any, word: Any, score: Any, words: Any, parents: Any) -> tuple[Any, ...]:
        ended = tf.equal(word, 4)
        more = tf.where(ended[:, None], tf.one_hot([4] * 3, 5, 0.0, -9.0), tf.nn.log_softmax(tf.gather(moves, word)))
        score, flat = tf.math.top_k(tf.reshape(score[:, None] + more, [-1]), 3)
        return i + 1, flat % 5, score, words.write(i, flat % 5), parents.write(i, flat // 5)

    arrays = [tf.TensorArray(tf.int32, 6, element_shape=[3]) for _ in range(2)]
    _, _, score, words, parents = v1.while_loop(
        lambda i, word, *_: tf.logical_and(i < 6, tf.reduce_any(tf.not_equal(word, 4))), step, [0, word, score, *arrays]
    )
    taken = tf.gather(parents.stack(), [0, 1])
    return {"start": start}, {"words": words.stack(), "parents": taken, "score": score}


def _detected() -> tuple[dict[str, Any], dict[str, Any]]:
    boxes = v1.placeholder(tf.float32, [None, 6, 4], "boxes")
    scores = v1.placeholder(tf.float32, [None, 6], "box_scores")

    def of_image(given: Any) -> Any:
        kept = tf.image.non_max_suppression(given[0], given[1], 3, 0.5)
        return tf.pad(tf.gather(given[0], kept), [[0, 3 - tf.shape(kept)[0]], [0, 0]])

    return {"boxes": boxes, "scores": scores}, {"y": tf.map_fn(of_image, (boxes, scores), tf.float32)}


def _nested() -> tuple[dict[str, Any], dict[str, Any]]:
    """A loop in a loop in a cond, over arrays that each inner loop makes."""
    x = v1.placeholder(tf.float32, [None, 3], "rows")
    p = v1.placeholder(tf.bool, [], "chosen")
    w = v1.get_variable("w", [3], initializer=v1.random_normal_initializer(seed=4))

    def looped() -> Any:
        return v1.while_loop(lambda i, _: i < 2, lambda i, a: (i + 1, tf.map_fn(lambda r: tf.tanh(r * w), a)), [0, x])[
            1
        ]

    return {"x": x, "p": p}, {"y": v1.cond(p, looped, lambda: x * w)}


def _cased() -> tuple[dict[str, Any], dict[str, Any]]:
    """Conds in `tf.control_dependencies`, where their `pred_id` waits: `tf.case` has a check before all of them."""
    x = v1.placeholder(tf.float32, [3], "case_of")
    w = v1.get_variable("w", [3], initializer=v1.random_normal_initializer(seed=6))
    total = tf.reduce_sum(x)
    pairs = [(total > 9.0, lambda: x * w), (total < -9.0, lambda: x - w)]
    cased = v1.case(pairs, default=lambda: x * 2.0 + w, exclusive=True)
    with tf.control_dependencies([v1.assert_greater(tf.size(x), 0)]):
        checked = v1.cond(total > 0.0, lambda: x * 3.0, lambda: w * 4.0)
    return {"x": x}, {"cased": cased, "checked": checked}


CASES = (_bidirectional, _long, _decoded, _searched, _detected, _nested, _cased)


@pytest.mark.parametrize("build", CASES, ids=[build.__name__[1:] for build in CASES])
def test_it_is_functional_and_answers_as_before(build: Any, tmp_path: Any) -> None:
    source, new = str(tmp_path / "source"), str(tmp_path / "new")
    graph = tf.Graph()
    with control_flow(), graph.as_default(), v1.Session() as session, v1.variable_scope("", use_resource=False):
        inputs, outputs = build()
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, source, inputs, outputs)
        fed = {tensor: _value(name, tensor) for name, tensor in inputs.items()}
        golden = session.run(outputs, fed)
    (model,) = migrate.convert(source, new, Options(control_flow="functional")).models
    assert isinstance(model.outcome, Converted), (model.outcome, model.findings)
    assert not {finding.code for finding in model.findings} & {"control-flow-kept", "tensor-array-kept"}
    called = {name: tf.constant(_value(name, tensor)) for name, tensor in inputs.items()}
    found = tf.saved_model.load(new).signatures["serving_default"](**called)
    for name, value in golden.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def _value(name: str, tensor: Any) -> Any:
    if name == "n":
        return np.array([4, 0, 2], np.int32)
    if name == "p":
        return np.array(True)
    shape = [size or (3 if at == 0 else 4) for at, size in enumerate(tensor.shape.as_list())]
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)
