"""Random TF1 programs of loops and conds, as values: states, TensorArrays, stacks and tables within them.

Each tensor is two doubles. Of the variables some are weights, which are read, and one is a state, which is written
and whose value has no gradient. All that has to do with a state is in one order, so that TF1's answer is defined. A
tensor is named by a number, taken modulo how many there are, so that any program is a valid one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from hypothesis import strategies as st

v1 = tf.compat.v1
raw = tf.raw_ops

OPS = ("add", "mul", "tanh", "maximum", "neg", "weight", "weight", "dot", "dot")
WRITES = ("Assign", "AssignAdd", "AssignSub", "ScatterAdd")
STATE = "state"
WEIGHTS = 3
"""Of them the last is a resource variable, which a loop reads where it uses it."""


@dataclasses.dataclass(frozen=True)
class Compute:
    """An op with a gradient; some read a weight."""

    op: str
    left: int
    right: int


@dataclasses.dataclass(frozen=True)
class Look:
    """The state's value."""

    direct: bool


@dataclasses.dataclass(frozen=True)
class Write:
    """A write of the state."""

    op: str
    value: int


@dataclasses.dataclass(frozen=True)
class Table:
    """A table takes a tensor's value, or gives one to a tensor."""

    value: int
    insert: bool


@dataclasses.dataclass(frozen=True)
class Cond:
    """A cond; each branch gives two tensors.

    Attributes:
      held: whether a constant of the branches waits for what came before, and the predicate does not.
      predicate: the tensor that decides.
      then: statements.
      other: statements.
      results: the tensors of both branches.
    """

    held: bool
    predicate: int
    then: tuple[Any, ...]
    other: tuple[Any, ...]
    results: tuple[int, int, int, int]


@dataclasses.dataclass(frozen=True)
class Loop:
    """A loop that carries a tensor.

    Attributes:
      held: whether the limit waits for what came before, and the start does not.
      times: how often it runs.
      depends: whether that depends on what is fed.
      start: the tensor at first.
      body: statements.
      result: the tensor that an iteration gives.
      parallel: how many iterations may run at once.
    """

    held: bool
    times: int
    depends: bool
    start: int
    body: tuple[Any, ...]
    result: int
    parallel: int


@dataclasses.dataclass(frozen=True)
class Arrays:
    """A loop that reads a TensorArray, writes one and carries a tensor; `how` says what becomes of what is written."""

    times: int
    given: int
    start: int
    body: tuple[Any, ...]
    results: tuple[int, int]
    how: str


@dataclasses.dataclass(frozen=True)
class Stack:
    """A loop that puts tensors onto a stack, and one that takes them off."""

    times: int
    value: int


@dataclasses.dataclass(frozen=True)
class Program:
    """Statements, the tensors that are fetched, and what is fed in the calls."""

    statements: tuple[Any, ...]
    fetched: tuple[int, ...]
    calls: tuple[tuple[float, float], ...]


def programs() -> st.SearchStrategy[Program]:
    """The strategy."""
    number = st.integers(0, 30)
    often = st.booleans()
    compute = st.builds(Compute, st.sampled_from(OPS), number, number)
    simple = st.one_of(
        compute,
        compute,
        st.builds(Look, often),
        st.builds(Write, st.sampled_from(WRITES), number),
        st.builds(Table, number, often),
        st.builds(Stack, st.integers(0, 3), number),
    )

    def tuples(statement: st.SearchStrategy[Any], least: int, most: int) -> st.SearchStrategy[tuple[Any, ...]]:
        return st.lists(statement, min_size=least, max_size=most).map(tuple)

    def nest(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        times = st.integers(0, 3)
        return st.one_of(
            simple,
            st.builds(Cond, often, number, tuples(inner, 0, 3), tuples(inner, 0, 3), st.tuples(*[number] * 4)),
            st.builds(Loop, often, times, often, number, tuples(inner, 1, 3), number, st.sampled_from((1, 10))),
            st.builds(
                Arrays,
                times,
                number,
                number,
                tuples(inner, 1, 3),
                st.tuples(number, number),
                st.sampled_from(("stack", "concat", "gather", "read")),
            ),
        )

    feed = st.sampled_from([-1.5, -0.25, 0.0, 0.5, 2.0])
    return st.builds(
        Program,
        tuples(nest(nest(nest(simple))), 1, 5),
        tuples(number, 1, 3),
        st.lists(st.tuples(feed, feed), min_size=2, max_size=3).map(tuple),
    )


class Builder:
    """Makes the graph of a program, statement by statement."""

    def __init__(self) -> None:
        self.weights = [
            v1.Variable([0.5 + n, -0.75], dtype=tf.float64, name=f"w{n}", use_resource=n == WEIGHTS - 1)
            for n in range(WEIGHTS)
        ]
        self.state = v1.Variable([1.0, 2.0], dtype=tf.float64, name=STATE, trainable=False, use_resource=False)
        self.table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.float64, -1.0, name="table")
        self.x = v1.placeholder(tf.float64, [2], name="x")
        self.env = [self.x]
        self.last: list[Any] = []

    def take(self, number: int) -> Any:
        """The tensor of a number."""
        return self.env[-1 - number % len(self.env)]

    def run(self, statements: Sequence[Any]) -> None:
        """Adds statements."""
        for statement in statements:
            getattr(self, "_" + type(statement).__name__.lower())(statement)

    def _compute(self, statement: Compute) -> None:
        left, right = self.take(statement.left), self.take(statement.right)
        weight = self.weights[statement.right % WEIGHTS]
        made = {
            "add": lambda: left + right,
            "mul": lambda: tf.tanh(left) * right,
            "tanh": lambda: tf.tanh(left),
            "maximum": lambda: tf.maximum(left, right),
            "neg": lambda: -left,
            "weight": lambda: left * weight,
            "dot": lambda: tf.reduce_sum(left * weight) * 0.25 + right * 0.5,
        }[statement.op]()
        self.env.append(made)

    def _ordered(self, make: Callable[[], Any]) -> Any:
        with tf.control_dependencies(self.last):
            made = make()
        self.last = [made.op if isinstance(made, tf.Tensor) else made]
        return made

    def _look(self, statement: Look) -> None:
        def make() -> Any:
            ref = self.state._ref()
            return tf.stop_gradient(ref if statement.direct else raw.AddV2(x=ref, y=tf.ones([2], tf.float64)))

        # A copy: what is written later is not to be seen.
        self.env.append(self._ordered(lambda: make() + tf.constant(0.0, tf.float64)))

    def _write(self, statement: Write) -> None:
        value = tf.stop_gradient(tf.tanh(self.take(statement.value)))
        ref = self.state._ref()

        def make() -> Any:
            if statement.op == "ScatterAdd":
                return raw.ScatterAdd(ref=ref, indices=[1, 0], updates=value).op
            return getattr(raw, statement.op)(ref=ref, value=value).op

        self._ordered(make)

    def _table(self, statement: Table) -> None:
        value = tf.stop_gradient(self.take(statement.value))
        keys = tf.cast(tf.clip_by_value(value, -4.0, 4.0), tf.int64)
        if statement.insert:
            self._ordered(lambda: self.table.insert(keys, tf.tanh(value)))
        else:
            self.env.append(self._ordered(lambda: tf.reshape(self.table.lookup(keys), [2])))

    def _stack(self, statement: Stack) -> None:
        value = tf.stop_gradient(self.take(statement.value))

        def make() -> Any:
            handle = raw.StackV2(max_size=8, elem_type=tf.float64)

            def push(i: Any, done: Any) -> tuple[Any, Any]:
                pushed = raw.StackPushV2(handle=handle, elem=value * tf.cast(i + 1, tf.float64))
                with tf.control_dependencies([pushed]):
                    return i + 1, done + 1

            def pop(i: Any, total: Any) -> tuple[Any, Any]:
                with tf.control_dependencies([total]):
                    popped = tf.reshape(raw.StackPopV2(handle=handle, elem_type=tf.float64), [2])
                return i + 1, total * 0.5 + popped

            with tf.control_dependencies([handle]):
                zero = tf.constant(0)
            times = statement.times
            _, done = v1.while_loop(lambda i, _: i < times, push, [zero, zero], parallel_iterations=1, back_prop=False)
            with tf.control_dependencies([done]):
                first = tf.identity(value)
            return v1.while_loop(
                lambda i, _: i < times, pop, [tf.constant(0), first], parallel_iterations=1, back_prop=False
            )[1]

        self.env.append(self._ordered(lambda: tf.stop_gradient(make())))

    def _inside(self, statements: Sequence[Any], results: Sequence[int]) -> list[Any]:
        """Runs statements in the context that is open; gives tensors that come after all of them."""
        env, last = list(self.env), self.last
        self.last = []
        self.run(statements)
        with tf.control_dependencies(self.last):
            made = [tf.identity(self.take(number)) for number in results]
        self.env, self.last = env, last
        return made

    def _cond(self, statement: Cond) -> None:
        with tf.control_dependencies([] if statement.held else self.last):
            predicate = tf.reduce_sum(self.take(statement.predicate)) + tf.reduce_sum(self.x) > 0.25
        with tf.control_dependencies(self.last if statement.held else []):
            one = tf.constant(1.0, tf.float64)

        def branch(statements: Sequence[Any], results: Sequence[int]) -> list[Any]:
            with tf.control_dependencies([tf.negative(one)] if statement.held else []):
                return self._inside(statements, results)

        first, second = v1.cond(
            predicate,
            lambda: branch(statement.then, statement.results[:2]),
            lambda: branch(statement.other, statement.results[2:]),
        )
        self.env += [first, second]
        self.last = [first.op, second.op]

    def _limit(self, times: int, depends: bool) -> Any:
        return tf.cast(tf.clip_by_value(self.x[0] + times, 0.0, 4.0), tf.int32) if depends else tf.constant(times)

    def _loop(self, statement: Loop) -> None:
        with tf.control_dependencies(self.last if statement.held else []):
            limit = self._limit(statement.times, statement.depends)
        with tf.control_dependencies([] if statement.held else self.last):
            first = tf.identity(self.take(statement.start))
        with tf.control_dependencies([first]):
            zero = tf.constant(0)

        def body(i: Any, carried: Any) -> tuple[Any, Any]:
            self.env.append(carried)
            (made,) = self._inside(statement.body, [statement.result])
            self.env.pop()
            with tf.control_dependencies([made]):
                return i + 1, made

        parallel = statement.parallel if not _has_states(statement.body) else 1
        i, made = v1.while_loop(lambda i, _: i < limit, body, [zero, first], parallel_iterations=parallel)
        with tf.control_dependencies([i]):
            made = tf.identity(made)
        self.env.append(made)
        self.last = [made.op]

    def _arrays(self, statement: Arrays) -> None:
        with tf.control_dependencies(self.last):
            first = tf.identity(self.take(statement.start))
        count = statement.times + 1
        rows = tf.stack([self.take(statement.given + n) for n in range(count)])
        given = tf.TensorArray(tf.float64, size=count, clear_after_read=False).unstack(rows)
        written = tf.TensorArray(tf.float64, size=count, clear_after_read=False, element_shape=[2])
        with tf.control_dependencies([first]):
            zero = tf.constant(0)

        def body(i: Any, carried: Any, written: Any) -> tuple[Any, Any, Any]:
            self.env += [carried, tf.reshape(given.read(i), [2])]
            made, out = self._inside(statement.body, statement.results)
            del self.env[-2:]
            with tf.control_dependencies([made, out]):
                return i + 1, tf.identity(made), written.write(i, out)

        i, made, written = v1.while_loop(lambda i, *_: i < count, body, [zero, first, written], parallel_iterations=1)
        with tf.control_dependencies([i]):
            made = tf.identity(made)
        whole = {
            "stack": lambda: tf.reduce_sum(written.stack(), 0),
            "concat": lambda: tf.reduce_sum(tf.reshape(written.concat(), [-1, 2]), 0),
            "gather": lambda: tf.reduce_sum(written.gather([count - 1, 0]), 0),
            "read": lambda: written.read(count - 1),
        }[statement.how]()
        self.env += [made, tf.reshape(whole, [2])]
        self.last = [made.op]


def _has_states(statements: Sequence[Any]) -> bool:
    """Whether statements are about the state, a table or a stack."""
    for each in statements:
        if isinstance(each, (Look, Write, Table, Stack)):
            return True
        inner = (getattr(each, name, ()) for name in ("body", "then", "other"))
        if any(map(_has_states, inner)):
            return True
    return False


def build_all(pack: Sequence[Program]) -> dict[str, tuple[dict[str, Any], dict[str, Any], list[Any]]]:
    """Makes programs side by side in the default graph.

    Returns:
      By the key of a signature its inputs and outputs, and what there are gradients for. The signature `KEY_state`
      gives what calls have left.
    """
    found: dict[str, tuple[dict[str, Any], dict[str, Any], list[Any]]] = {}
    for number, program in enumerate(pack):
        with tf.name_scope(f"p{number}"):
            builder = Builder()
            builder.run(program.statements)
            with tf.control_dependencies(builder.last):
                outputs = {f"y{n}": tf.identity(builder.take(which)) for n, which in enumerate(program.fetched)}
            found[key(number)] = ({"x": builder.x}, outputs, [builder.x, *builder.weights])
            marks = {"x": v1.placeholder(tf.float64, [2], name="x_of_state")}
            kept = {"state": builder.state + marks["x"], "table": builder.table.lookup(tf.range(-4, 5, dtype=tf.int64))}
            found[f"{key(number)}_state"] = (marks, kept, [])
    return found


def key(number: int) -> str:
    """The key of the signature of the program of a number."""
    return f"p{number}"


def calls(program: Program, number: int) -> list[tuple[str, Mapping[str, Any]]]:
    """Its calls, of which the last one asks for what the others have left."""
    asked = [(key(number), {"x": list(x)}) for x in program.calls]
    return [*asked, (f"{key(number)}_state", {"x": [0.0, 0.0]})]
