"""Asks TensorFlow's Python for graphs with ref ops in the functions of an If, Case or While; prints what it says.

Run it with TensorFlow 1.15, and with TensorFlow 2: `python testdata/ask_functional_refs.py`. docs/ref-ops.md has the
answers.
"""

import tensorflow as tf
from tensorflow.python.framework import function
from tensorflow.python.ops import functional_ops

v1 = tf.compat.v1
BRANCH = (
    "an assignment in tf.cond",
    "a new variable in tf.cond",
    "a read in tf.cond",
    "an assignment in tf.while_loop",
)
RAW = ("a raw VariableV2 in tf.cond", "a raw VariableV2 in tf.switch_case", "a raw VariableV2 in tf.while_loop")
DEFUN = ("an assignment in a Defun", "a new variable in a Defun", "get_variable in a Defun")


def _increment(variable):
    return v1.assign_add(variable, [1.0, 1.0])


def _new():
    return _increment(v1.Variable([1.0, 2.0], use_resource=False))


def _raw(value):
    ref = tf.raw_ops.VariableV2(shape=[2], dtype=tf.float32, name="scratch")
    return tf.identity(tf.raw_ops.AssignAdd(ref=ref, value=value))


def _ask(kind):
    old = v1.get_variable("v", [2], use_resource=False, initializer=v1.zeros_initializer())
    x = v1.placeholder(tf.float32, [2])
    if kind == BRANCH[0]:
        return tf.cond(x[0] > 0, lambda: _increment(old), lambda: old + 0.0)
    if kind == BRANCH[1]:
        return tf.cond(x[0] > 0, _new, lambda: old + 0.0)
    if kind == BRANCH[2]:
        return tf.cond(x[0] > 0, lambda: old * 2.0, lambda: old + 0.0)
    if kind == RAW[0]:
        return tf.cond(x[0] > 0, lambda: _raw(x), lambda: x + 0.0)
    if kind == RAW[1]:
        return tf.switch_case(tf.cast(x[0], tf.int32), [lambda: _raw(x), lambda: x + 0.0])
    if kind == RAW[2]:
        return tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, _raw(a)), [0, x])[1]
    if kind == BRANCH[3]:
        return tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, _increment(old)), [0, old + 0.0])[1]

    @function.Defun(tf.float32)
    def taken(a):
        if kind == DEFUN[0]:
            return v1.assign_add(old, a)
        if kind == DEFUN[1]:
            return v1.assign_add(v1.Variable([1.0, 2.0], use_resource=False), a)
        made = v1.get_variable("w", [2], use_resource=False, initializer=v1.zeros_initializer())
        return v1.assign_add(made, a)

    @function.Defun(tf.float32)
    def other(a):
        return a * 2.0

    return functional_ops.If(x[0] > 0, [x], taken, other)[0]


def main():
    v1.disable_eager_execution()
    v1.enable_control_flow_v2()
    ref_ops = {"Assign", "AssignAdd", "Variable", "VariableV2"}
    for kind in BRANCH + RAW + DEFUN:
        with tf.Graph().as_default() as graph:
            try:
                _ask(kind)
            except TypeError as error:
                print(f"{kind}: TypeError: {error}")
            else:
                bodies = [f.node_def for f in graph.as_graph_def().library.function]
                print(f"{kind}: ref ops in functions: {sorted({n.op for b in bodies for n in b} & ref_ops)}")


if __name__ == "__main__":
    main()
