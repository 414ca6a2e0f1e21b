"""Pairs of graphs that look alike and mean something else: none is proved.

The pairs are in other_meaning.txt, in the form of tests/rewrite/pairs.py.
"""

from __future__ import annotations

import itertools
import pathlib

import pytest

from migrate.proof.difference import output_difference
from migrate.proof.records import Proved
from migrate.proof.settling import messages, more_computed, settle
from migrate.proof.shared import Shared
from migrate.proof.states import content_after
from tests.proof import graphs
from tests.rewrite.pairs import Pair, read
from tests.rewrite.texts import node

_PAIRS = read(pathlib.Path(__file__).parent / "other_meaning.txt")
_NAMES = "xypqb"


def _is_proved(pair: Pair, lowers: bool) -> bool:
    shared = Shared()
    fed = {f"{name}:0": ("argument", name, 0) for name in _NAMES}
    (one, first), (other, second) = (
        graphs.side(
            graphs.model(name, shared, [node(line) for line in text.splitlines()]), ["out"], fed=fed, lowers=lowers
        )
        for name, text in (("source", pair.before), ("candidate", pair.after))
    )
    settle(one, other)
    states = [
        sorted((key[2], content_after(each, key)) for key in each.written if key[0] in ("ref", "resource"))
        for each in (one, other)
    ]
    return (
        isinstance(output_difference(one, other, first[0], second[0]), Proved)
        and not more_computed(one, other)
        and messages(one) == messages(other)
        and states[0] == states[1]
        and not one.fault()
        and not other.fault()
    )


@pytest.mark.parametrize("lowers", [False, True])
def test_no_pair_is_proved(lowers):
    assert len(_PAIRS) > 60
    assert [pair.title for pair in _PAIRS if _is_proved(pair, lowers)] == []


_OF_ITSELF = (
    "# AddN of nine.",
    "# A check on the other one.",
    "# A queue keeps a variable's buffer.",
    "# A ref merge of two variables.",
    "# A resource variable shares a ref variable's buffer.",
    "# A resource variable shares a ref variable's buffer through a reshape.",
    "# A stack keeps a variable's buffer.",
)
"""The graphs of which nothing is proved at all, beside those that may or may not give a variable's buffer on."""


def test_what_is_not_proved_is_not_so_for_another_reason():
    known = {pair.title for pair in _PAIRS if _is_proved(Pair(pair.title, pair.before, pair.before), lowers=False)}
    assert {p.title for p in _PAIRS if not p.title.startswith("# Alias")} - known == set(_OF_ITSELF)


_PATIENCE = 10_000
"""Milliseconds; a call takes less than one."""


def _answers(text: str) -> list[object]:
    """What TensorFlow gives in one session for some inputs, one call after another."""
    import tensorflow as tf

    v1 = tf.compat.v1
    graph = tf.Graph()
    answers: list[object] = []
    with graph.as_default():
        made = v1.GraphDef()
        for line in text.splitlines():
            made.node.add().ParseFromString(node(line).SerializeToString())
        made.versions.producer = 20
        tf.import_graph_def(made, name="")
        variables = [op for op in graph.get_operations() if op.type in ("VariableV2", "VarHandleOp")]
        initial = [
            tf.raw_ops.Assign(ref=op.outputs[0], value=tf.cast(2, op.get_attr("dtype")))
            if op.type == "VariableV2"
            else tf.raw_ops.AssignVariableOp(resource=op.outputs[0], value=tf.cast(2, op.get_attr("dtype")))
            for op in variables
        ]
        config = v1.ConfigProto()
        config.graph_options.optimizer_options.opt_level = -1
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        with v1.Session(config=config) as session:
            session.run(initial)
            bools = list(itertools.product((True, False), repeat=2))
            numbers = [(3.0, 5.0), (3.0, 1.0), (3.0, 77.0), (-2.0, 7.0), (1.0117187, 2.0)]
            calls = list(itertools.product(numbers, bools))
            # In another order, too: what one call draws or inserts shows in later ones.
            for (x, y), (p, q) in sorted(calls, key=lambda call: call[1], reverse=True) + calls:
                given = {"x": x, "y": y, "p": p, "q": q, "b": [p, not p]}
                feeds = {f"{name}:0": value for name, value in given.items() if f"\n{name} = " in f"\n{text}"}
                try:
                    answers.append(session.run("out:0", feeds, v1.RunOptions(timeout_in_ms=_PATIENCE)).tolist())
                except tf.errors.DeadlineExceededError:
                    return [*answers, "does not end"]
                except tf.errors.OpError as error:
                    answers.append(type(error).__name__)
    return answers


@pytest.mark.slow
@pytest.mark.tensorflow
def test_each_pair_differs():
    alike = [pair.title for pair in _PAIRS if repr(_answers(pair.before)) == repr(_answers(pair.after))]
    assert alike == []
