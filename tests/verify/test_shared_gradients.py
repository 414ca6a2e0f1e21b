"""Gradients that several calls have together are those that each has alone."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from migrate.verify.gradients import session_gradients
from migrate.verify.sessions import fresh_session
from migrate.verify.shared_gradients import Differentiated, add_shared, groups_of, shared_gradients
from tests.control_flow import control_flow

_COUNT = 4


@pytest.fixture(scope="module")
def tf():
    import tensorflow

    return tensorflow


def _trunk(tf, size=20):
    """A loop over one variable, rows of another, and what is computed of both."""
    v1 = tf.compat.v1
    x = v1.placeholder(tf.float32, [None, 3], name="x")
    weight = v1.Variable(np.float32([[1, 2, 3], [0, -1, 1], [0.5, 0, 2]]) / 4, use_resource=False, name="weight")
    table = v1.Variable(np.arange(12, dtype=np.float32).reshape(4, 3), name="table")
    more = tf.gather(table, tf.cast(tf.math.mod(tf.math.abs(x[:, 0]), 4), tf.int32))
    y = x + more
    for _ in range(size):
        y = tf.tanh(y @ weight) + x
    with control_flow():
        _, y = tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, tf.tanh(y @ weight)), [0, y])
    return x, y, {"weight": ("weight",), "table": ("table",)}


def _asked(tf, session, nodes, x, outputs):
    """A call of each output, with another batch size each time."""
    session.run(tf.compat.v1.global_variables_initializer())
    calls = []
    for number, (key, y) in enumerate(outputs.items()):
        given = np.random.default_rng(number).standard_normal([number + 1, 3]).astype(np.float32)
        values = {"y": session.run(y, {x: given})}
        calls.append(Differentiated(key, nodes, {"y": y.name}, {x.name: given}, values))
    return tuple(calls)


def _alone(tf, session, each):
    return session_gradients(tf, session, each.fetches, each.values, each.nodes, each.feeds)


@pytest.mark.tensorflow
def test_gradients_of_many_calls_are_those_of_each(tf, monkeypatch):
    with fresh_session(tf) as session:
        x, y, nodes = _trunk(tf)
        outputs = {f"head_{number}": y * float(number - 1) for number in range(_COUNT)}
        outputs["weighed"] = tf.reduce_sum(y * tf.cast(tf.shape(y)[0], tf.float32))
        outputs["trunk"] = y
        asked = _asked(tf, session, nodes, x, outputs)
        (group,) = groups_of(session.graph, asked)
        assert group == asked
        sharing = add_shared(tf, session.graph, group)
        calls = []
        monkeypatch.setattr(tf, "gradients", lambda *_, **__: calls.append(1))
        found = shared_gradients(tf, session, sharing)
        monkeypatch.undo()
        assert [*found] == [*outputs] and not calls
        for each in asked:
            wanted = _alone(tf, session, each)
            assert found[each.signature].keys() == wanted.keys() == {"weight", "table"}
            for name, value in wanted.items():
                np.testing.assert_allclose(found[each.signature][name], value, rtol=1e-5, atol=1e-6)
        assert not np.any(found["head_1"]["weight"]) and np.any(found["head_2"]["weight"])


@pytest.mark.tensorflow
def test_a_call_that_others_spoil_is_asked_alone(tf):
    with fresh_session(tf) as session:
        x, y, nodes = _trunk(tf)
        spoilt = tf.math.log(tf.reduce_sum(y) * 0)  # Whose gradient is not finite, and that times zero is not, either.
        asked = _asked(tf, session, nodes, x, {"a": y, "b": y * 2.0, "spoilt": spoilt})
        (group,) = groups_of(session.graph, asked)
        assert shared_gradients(tf, session, add_shared(tf, session.graph, group)) == {}
        assert np.isfinite(_alone(tf, session, asked[0])["weight"]).all()


@pytest.mark.tensorflow
def test_gradients_with_a_part_that_no_weight_changes_are_asked_alone(tf):
    @tf.custom_gradient
    def shifted(y):
        return tf.identity(y), lambda given: given + 1.0

    with fresh_session(tf) as session:
        x, y, nodes = _trunk(tf)
        asked = _asked(tf, session, nodes, x, {"a": y, "b": shifted(y)})
        (group,) = groups_of(session.graph, asked)
        assert shared_gradients(tf, session, add_shared(tf, session.graph, group)) == {}


@pytest.mark.tensorflow
def test_what_tensorflow_cannot_differentiate_is_not_shared(tf):
    with fresh_session(tf) as session:
        x, y, nodes = _trunk(tf, size=2)
        asked = _asked(tf, session, nodes, x, {"a": y, "b": y + 1.0})
        gone = Differentiated("c", {"gone": ("gone",)}, asked[0].fetches, asked[0].feeds, asked[0].values)
        assert add_shared(tf, session.graph, (*asked, gone)) is None


class _Graph:
    """Nodes in the order in which they were made, as a TensorFlow graph gives them."""

    def __init__(self) -> None:
        self._operations: dict[str, SimpleNamespace] = {}

    def add(self, name: str, *inputs: str) -> str:
        taken = [SimpleNamespace(op=self._operations[each]) for each in inputs]
        self._operations[name] = SimpleNamespace(name=name, inputs=taken)
        return name

    def chain(self, name: str, start: str, count: int) -> str:
        for number in range(count):
            start = self.add(f"{name}_{number}", start)
        return start

    def get_operations(self) -> list[SimpleNamespace]:
        return list(self._operations.values())


def _of(node: str, feeds: str = "x:0", value: object = np.zeros(1, np.float32)) -> Differentiated:
    return Differentiated(node, {}, {"y": f"{node}:0"}, {feeds: np.zeros(1)}, {"y": value})


def _grouped(graph: _Graph, asked: list[Differentiated]) -> list[list[str]]:
    return [[each.signature for each in group] for group in groups_of(graph, asked)]


def test_only_calls_that_share_most_are_asked_together():
    graph = _Graph()
    x = graph.add("x")
    parts = [graph.chain(f"part_{number}", x, 60) for number in range(12)]
    assert _grouped(graph, [_of(part) for part in parts]) == []
    trunk = graph.chain("trunk", x, 20)
    heads = [graph.add(f"head_{number}", trunk) for number in range(60)]
    assert _grouped(graph, [_of(head) for head in heads]) == [heads]
    assert _grouped(graph, [_of(heads[0]), _of(parts[0]), _of(trunk)]) == []
    assert _grouped(graph, [_of(heads[0]), _of(heads[1])]) == [heads[:2]]


def test_only_calls_that_feed_the_same_and_have_a_gradient_are_asked_together():
    graph = _Graph()
    trunk = graph.chain("trunk", graph.add("x"), 20)
    heads = [graph.add(f"head_{number}", trunk) for number in range(4)]
    asked = [_of(heads[0]), _of(heads[1], "z:0"), _of(heads[2], value=np.zeros(1, np.int32)), _of(heads[3])]
    assert _grouped(graph, asked) == [[heads[0], heads[3]]]
    assert _grouped(graph, asked[:3]) == []


def test_many_calls_are_asked_some_at_a_time():
    graph = _Graph()
    trunk = graph.chain("trunk", graph.add("x"), 20)
    heads = [graph.chain(f"head_{number}", trunk, 12) for number in range(16)]
    assert _grouped(graph, [_of(head) for head in heads]) == [heads[:8], heads[8:]]
