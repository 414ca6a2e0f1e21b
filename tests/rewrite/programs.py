"""Random TF1 programs over ref variables, as values: what the property test draws, shrinks and prints.

A program is a list of statements over an environment of tensors. `build` makes its graph. Whatever touches a variable
is ordered by control or data edges, so that TF1's answer is defined: statement after statement, or variable by
variable where `Program.total` is False. A tensor is named by a number, taken modulo the size of the environment, so
that any program is a valid one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from hypothesis import strategies as st
from tensorflow.python.framework import function

v1 = tf.compat.v1
raw = tf.raw_ops

DTYPES = ("float32", "float64", "int32", "int64")
SHAPES = ((2,), (3,), (2, 2))
PASSES = (
    "identity", "reshape", "expand_dims", "squeeze", "stop_gradient", "ref_identity", "print", "identity", "reshape",
    "computed_reshape", "snapshot",
)  # fmt: skip
ARITHMETIC = ("add", "sub", "maximum", "half", "neg")
WRITES = (
    "Assign", "AssignAdd", "AssignSub", "ScatterAdd", "ScatterUpdate", "ScatterSub", "ScatterNdUpdate",
    "StridedSliceAssign",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Read:
    """The variable's ref itself, or what `how` makes of it."""

    variable: int
    how: str


@dataclasses.dataclass(frozen=True)
class Pass:
    """An op that passes a tensor's buffer on."""

    value: int
    how: str


@dataclasses.dataclass(frozen=True)
class Compute:
    """An op that gives a buffer of its own."""

    op: str
    left: int
    right: int


@dataclasses.dataclass(frozen=True)
class Write:
    """A write of a variable, through its own ref or through what an earlier write gave."""

    op: str
    variable: int
    value: int
    through: bool


@dataclasses.dataclass(frozen=True)
class Call:
    """A call of a function with a ref variable of its own, by the op of its name or by a PartitionedCall."""

    value: int
    partitioned: bool


@dataclasses.dataclass(frozen=True)
class Cond:
    """A v1 cond; each branch gives one tensor, `raw` says whether as it is or after arithmetic."""

    predicate: int
    then: tuple[Any, ...]
    other: tuple[Any, ...]
    results: tuple[int, int]
    raw: tuple[bool, bool]


@dataclasses.dataclass(frozen=True)
class Loop:
    """A v1 while loop that carries one tensor; `raw` as above, for where it starts and for what an iteration gives."""

    times: int
    start: int
    body: tuple[Any, ...]
    result: int
    raw: tuple[bool, bool]


@dataclasses.dataclass(frozen=True)
class Functional:
    """A call, or functional control flow, that adds to the program's resource variable.

    Attributes:
      kind: one of FUNCTIONAL.
      value: what it is given.
      raw: whether that may be a variable's buffer.
      whole: whether a Session runs it as a kernel; else it may lower it.
      first: whether the output is taken that does not need the write, where a kernel does it all the same.
      nested: whether the body calls a function of its own for the write.
      times: how often a loop runs.
    """

    kind: str
    value: int
    raw: bool
    whole: bool
    first: bool
    nested: bool
    times: int


FUNCTIONAL = (
    "cond", "pure_cond", "case", "while", "list", "map", "scan", "defun", "function", "partitioned_twice",
    "ref_cond", "ref_case", "ref_while",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Program:
    """Variables, statements, and for each signature the numbers of the tensors that it fetches."""

    variables: tuple[tuple[str, int], ...]
    statements: tuple[Any, ...]
    signatures: tuple[tuple[int, ...], ...]
    total: bool
    calls: tuple[tuple[int, tuple[float, float]], ...]


def programs() -> st.SearchStrategy[Program]:
    """The strategy."""
    number = st.integers(0, 40)
    often = st.booleans()
    simple = st.one_of(
        st.builds(Read, number, st.sampled_from(("ref", *PASSES))),
        st.builds(Pass, number, st.sampled_from(PASSES)),
        st.builds(Compute, st.sampled_from(ARITHMETIC), number, number),
        st.builds(Write, st.sampled_from(WRITES), number, number, st.booleans()),
        st.builds(Write, st.sampled_from(WRITES), number, number, st.booleans()),
    )

    def tuples(statement: st.SearchStrategy[Any], least: int, most: int) -> st.SearchStrategy[tuple[Any, ...]]:
        return st.lists(statement, min_size=least, max_size=most).map(tuple)

    def nest(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.one_of(
            simple,
            simple,
            simple,
            st.builds(Call, number, often),
            st.builds(
                Cond,
                number,
                tuples(inner, 0, 3),
                tuples(inner, 0, 3),
                st.tuples(number, number),
                st.tuples(often, often),
            ),
            st.builds(Loop, st.integers(0, 3), number, tuples(inner, 1, 3), number, st.tuples(often, often)),
        )

    seldom = st.sampled_from((False, False, False, False, False, True))
    functional = st.builds(
        Functional, st.sampled_from(FUNCTIONAL), number, seldom, often, often, often, st.integers(0, 3)
    )
    feed = st.sampled_from([-2.0, 0.0, 0.5, 3.0])
    return st.builds(
        Program,
        tuples(st.tuples(st.sampled_from(DTYPES), st.integers(0, len(SHAPES) - 1)), 1, 3),
        tuples(st.one_of(nest(nest(simple)), nest(nest(simple)), nest(nest(simple)), functional), 2, 9),
        tuples(tuples(number, 1, 3), 1, 3),
        st.booleans(),
        tuples(st.tuples(st.integers(0, 2), st.tuples(feed, feed)), 3, 5),
    )


@dataclasses.dataclass(frozen=True)
class Value:
    """A tensor of the environment, and the variables whose buffer it may share."""

    tensor: Any
    dtype: str
    shape: tuple[int, ...]
    roots: frozenset[int]


class Builder:
    """Makes the graph of a program, statement by statement."""

    def __init__(self, program: Program) -> None:
        self.total = program.total
        self.variables = []
        for number, (dtype, shape) in enumerate(program.variables):
            size = 1
            for length in SHAPES[shape]:
                size *= length
            start = tf.reshape(tf.cast(tf.range(1, size + 1), dtype), SHAPES[shape])
            self.variables.append(v1.Variable(start, name=f"v{number}", use_resource=False))
        self.resource = v1.Variable([1.0, 2.0], name="resource", use_resource=True)
        # The last number is the resource variable's.
        self.everything = frozenset(range(len(self.variables) + 1))
        self.x = v1.placeholder(tf.float32, [2], name="x")
        self.env = [Value(self.x, "float32", (2,), frozenset())]
        self.last: dict[int, Any] = {}
        self.refs: dict[int, Any] = {}

    def after(self, roots: frozenset[int]) -> list[Any]:
        """What must have run before an op on these variables."""
        return list({id(op): op for root in sorted(roots) if (op := self.last.get(root)) is not None}.values())

    def put(self, value: Value, touched: frozenset[int]) -> None:
        """A statement's result; `touched` are the variables that it read or wrote."""
        self.env.append(value)
        for root in self.everything if self.total else touched:
            self.last[root] = value.tensor.op

    def take(self, number: int) -> Value:
        return self.env[-1 - number % len(self.env)]

    def run(self, statements: Sequence[Any]) -> None:
        for statement in statements:
            getattr(self, "_" + type(statement).__name__.lower())(statement)

    def _ordered(self, roots: frozenset[int], make: Callable[[], Any]) -> Any:
        with tf.control_dependencies(self.after(self.everything if self.total else roots)):
            return make()

    def _read(self, statement: Read) -> None:
        number = statement.variable % len(self.variables)
        variable = self.variables[number]
        value = Value(variable._ref(), variable.dtype.base_dtype.name, tuple(variable.shape), frozenset({number}))
        if statement.how == "ref":
            self.env.append(value)  # No op runs.
            return
        self._apply(value, statement.how)

    def _pass(self, statement: Pass) -> None:
        self._apply(self.take(statement.value), statement.how)

    def _apply(self, value: Value, how: str) -> None:
        def make() -> tuple[Any, tuple[int, ...]]:
            tensor, shape = value.tensor, value.shape
            if how == "reshape":
                size = 1
                for length in shape:
                    size *= length
                return raw.Reshape(tensor=tensor, shape=[1, size]), (1, size)
            if how == "computed_reshape":
                computed = tf.cast(tf.reduce_sum(self.x * 0.0), tf.int32) + list(shape)
                reshaped = raw.Reshape(tensor=tensor, shape=computed)
                reshaped.set_shape(shape)  # A while loop wants to know it.
                return reshaped, shape
            if how == "print":
                return raw.Print(input=tensor, data=[], first_n=0), shape
            if how == "expand_dims":
                return raw.ExpandDims(input=tensor, axis=0), (1, *shape)
            if how == "squeeze" and 1 in shape:
                return raw.Squeeze(input=tensor), tuple(n for n in shape if n != 1)
            if how == "stop_gradient":
                return raw.StopGradient(input=tensor), shape
            if how == "ref_identity" and tensor.dtype._is_ref_dtype:
                return raw.RefIdentity(input=tensor), shape
            return raw.Identity(input=tensor), shape

        tensor, shape = self._ordered(value.roots, make)
        if how == "snapshot":
            tensor = raw.Snapshot(input=tensor)  # A copy, whatever its name says.
        self.put(Value(tensor, value.dtype, shape, value.roots), value.roots)

    def fit(self, value: Value, dtype: str, shape: tuple[int, ...]) -> Value:
        """A tensor of another dtype or shape; the caller orders it."""
        tensor, roots, old = value.tensor, value.roots, value.shape
        if value.dtype != dtype:
            tensor, roots = tf.cast(tensor, dtype), frozenset()
        size, wanted = 1, 1
        for length in old:
            size *= length
        for length in shape:
            wanted *= length
        if size != wanted:
            # A sum takes any shape to any other.
            tensor, roots = tf.fill(shape, tf.reduce_sum(tensor + tf.ones([], dtype))), frozenset()
        elif old != shape:
            tensor = raw.Reshape(tensor=tensor, shape=shape)
        return Value(tensor, dtype, shape, roots)

    def _compute(self, statement: Compute) -> None:
        left, right = self.take(statement.left), self.take(statement.right)

        def make() -> Any:
            one, other = left.tensor, self.fit(right, left.dtype, left.shape).tensor
            if statement.op == "add":
                return raw.AddV2(x=one, y=other)
            if statement.op == "sub":
                return raw.Sub(x=one, y=other)
            if statement.op == "maximum":
                return raw.Maximum(x=one, y=other)
            if statement.op == "half":
                return tf.cast(tf.cast(one, tf.float64) * 0.5, left.dtype)
            return raw.Neg(x=one)

        touched = left.roots | right.roots
        last = self.after(self.everything if self.total else touched)
        if (
            statement.op in ("add", "sub", "maximum")
            and last
            and (left.dtype, left.shape) == (right.dtype, right.shape)
        ):
            # A data edge orders as well as a control edge does.
            made_by = {left.tensor.op, right.tensor.op}
            last = [op for op in last if op not in made_by]
        with tf.control_dependencies(last):
            tensor = make()
        self.put(Value(tensor, left.dtype, left.shape, frozenset()), touched)

    def _write(self, statement: Write) -> None:
        number = statement.variable % len(self.variables)
        variable = self.variables[number]
        ref = self.refs.get(number) if statement.through else None
        ref = variable._ref() if ref is None else ref
        value = self.take(statement.value)
        dtype, shape = variable.dtype.base_dtype.name, tuple(variable.shape)

        def make() -> Any:
            given = self.fit(value, dtype, shape).tensor
            rows = list(reversed(range(shape[0])))
            if statement.op in ("Assign", "AssignAdd", "AssignSub"):
                return getattr(raw, statement.op)(ref=ref, value=given)
            if number in value.roots and statement.value % 8:
                # Reading the rows that one writes is refused, so it must be rare.
                given = raw.AddV2(x=given, y=tf.zeros([], dtype))
            if statement.op == "ScatterNdUpdate":
                return raw.ScatterNdUpdate(ref=ref, indices=[[row] for row in rows], updates=given)
            if statement.op == "StridedSliceAssign":
                ends = list(shape)
                return raw.StridedSliceAssign(
                    ref=ref, begin=[0] * len(ends), end=ends, strides=[1] * len(ends), value=given
                )
            return getattr(raw, statement.op)(ref=ref, indices=rows, updates=given)

        touched = value.roots | {number}
        tensor = self._ordered(touched, make)
        self.refs[number] = tensor
        self.put(Value(tensor, dtype, shape, frozenset({number})), touched)

    def _call(self, statement: Call) -> None:
        value = self.take(statement.value)
        function = _partitioned if statement.partitioned else _named()
        with tf.control_dependencies(self.after(self.everything)):
            tensor = function(raw.Identity(input=self.fit(value, "float32", (2,)).tensor))
        tensor.set_shape((2,))  # The op of a function's name infers none.
        self.put(Value(tensor, "float32", (2,), frozenset()), self.everything)

    def _functional(self, statement: Functional) -> None:
        value = self.take(statement.value)
        graph = v1.get_default_graph()
        with tf.control_dependencies(self.after(self.everything)):
            given = self.fit(value, "float32", (2,)).tensor
            given = raw.Identity(input=given) if statement.raw else raw.AddV2(x=given, y=tf.ones([2]))
            known = len(graph.get_operations())
            v1.enable_control_flow_v2()
            try:
                first, second = _FORMS[statement.kind](self.resource.handle, given, statement)
            finally:
                v1.disable_control_flow_v2()
        lowered = False
        for operation in graph.get_operations()[known:]:
            if operation.type.removeprefix("Stateless") in ("If", "Case", "While"):
                if statement.whole:
                    operation._set_attr("_lower_using_switch_merge", v1.AttrValue(b=False))
                lowered = lowered or not statement.whole
        # Of what is lowered, what nobody needs does not run, and nothing waits for it.
        tensor = raw.AddV2(x=first if statement.first and not lowered else second, y=tf.reshape(first, [2]) * 0.0)
        tensor.set_shape((2,))
        self.put(Value(tensor, "float32", (2,), frozenset()), self.everything)

    def _inside(self, statements: Sequence[Any], result: int, as_it_is: bool, like: Value) -> Value:
        """Runs statements in the context that stands open; gives a tensor that comes after all of them."""
        env, last, refs = list(self.env), dict(self.last), dict(self.refs)
        self.last = {}
        self.run(statements)
        with tf.control_dependencies(self.after(self.everything)):
            value = self.fit(self.take(result), like.dtype, like.shape)
            if as_it_is:
                value = dataclasses.replace(value, tensor=raw.Identity(input=value.tensor))
            else:
                one = tf.ones(like.shape, like.dtype)
                value = Value(raw.AddV2(x=value.tensor, y=one), like.dtype, like.shape, frozenset())
        self.env, self.last, self.refs = env, last, refs
        return value

    def _cond(self, statement: Cond) -> None:
        decided_by = self.take(statement.predicate)
        like = Value(None, "float32", (2,), frozenset()) if decided_by.dtype == "int64" else decided_by
        with tf.control_dependencies(self.after(self.everything)):
            total = tf.reduce_sum(
                tf.cast(decided_by.tensor, tf.float64) * 1.0 + tf.reduce_sum(tf.cast(self.x, tf.float64))
            )
            predicate = total > 4.0
        roots: list[frozenset[int]] = []

        def branch(number: int) -> Callable[[], Any]:
            def make() -> Any:
                statements = (statement.then, statement.other)[number]
                value = self._inside(statements, statement.results[number], statement.raw[number], like)
                roots.append(value.roots)
                return value.tensor

            return make

        tensor = v1.cond(predicate, branch(0), branch(1))
        self.put(Value(tensor, like.dtype, like.shape, frozenset().union(*roots)), self.everything)

    def _loop(self, statement: Loop) -> None:
        start = self.take(statement.start)
        with tf.control_dependencies(self.after(self.everything)):
            if statement.raw[0]:
                first = raw.Identity(input=start.tensor)
            else:
                first = raw.AddV2(x=start.tensor, y=tf.ones([], start.dtype))
        with tf.control_dependencies([first]):
            zero = tf.constant(0)  # An iteration waits for its condition alone, not for all that it carries.
        # A loop variable that starts as a variable's buffer still shares it where the loop does not run.
        roots = start.roots if statement.raw[0] else frozenset()

        def body(i: Any, carried: Any) -> tuple[Any, Any]:
            self.env.append(Value(carried, start.dtype, start.shape, roots))
            value = self._inside(statement.body, statement.result, statement.raw[1], start)
            self.env.pop()
            found.append(value.roots)
            with tf.control_dependencies([value.tensor.op]):
                return i + 1, value.tensor

        found: list[frozenset[int]] = []
        i, tensor = v1.while_loop(
            lambda i, _: i < statement.times, body, [zero, first], parallel_iterations=1, back_prop=False
        )
        with tf.control_dependencies([i.op]):
            tensor = raw.Identity(input=tensor)
        self.put(Value(tensor, start.dtype, start.shape, roots.union(*found)), self.everything)


def _body(argument: Any) -> Any:
    ref = raw.VariableV2(shape=[2], dtype=tf.float32, name="scratch")
    with tf.control_dependencies([raw.Assign(ref=ref, value=argument)]):
        alias = tf.identity(ref)
    with tf.control_dependencies([alias]):
        added = raw.AssignAdd(ref=ref, value=argument)
    with tf.control_dependencies([added]):
        return raw.AddV2(x=alias, y=argument)


def adding(handle: Any, argument: Any) -> tuple[Any, Any]:
    """Gives a tensor that does not need the write of the variable behind a handle, and one that does."""
    write = raw.AssignAddVariableOp(resource=handle, value=raw.Mul(x=argument, y=tf.constant([0.5, 2.0])))
    with tf.control_dependencies([write]):
        after = raw.ReadVariableOp(resource=handle, dtype=tf.float32)
    after.set_shape((2,))
    return raw.AddV2(x=argument, y=tf.ones([2])), raw.Mul(x=after, y=tf.constant(2.0))


def _look(handle: Any, argument: Any) -> tuple[Any, Any]:
    """The same without a write."""
    return raw.Neg(x=argument), raw.AddV2(x=raw.ReadVariableOp(resource=handle, dtype=tf.float32), y=argument)


def _inner(statement: Functional) -> Callable[[Any, Any], tuple[Any, Any]]:
    if not statement.nested:
        return adding
    called = tf.function(adding, autograph=False) if statement.first else _defun(adding)

    def call(handle: Any, argument: Any) -> tuple[Any, Any]:
        return tuple(tf.reshape(tensor, [2]) for tensor in called(handle, argument))

    return call


def _defun(body: Callable[..., Any]) -> Callable[..., Any]:
    """Of a name that TensorFlow makes of its body: those of one graph may differ."""
    made: Callable[..., Any] = function.Defun(tf.resource, tf.float32)(body)
    return made


def _cond_v2(handle: Any, given: Any, statement: Functional) -> tuple[Any, Any]:
    add = _inner(statement)
    result = tf.cond(tf.reduce_sum(given) > 2.0, lambda: add(handle, given), lambda: _look(handle, given))
    return result[0], result[1]


def _pure_cond_v2(handle: Any, given: Any, statement: Functional) -> tuple[Any, Any]:
    read = raw.ReadVariableOp(resource=handle, dtype=tf.float32)
    first, second = tf.cond(
        tf.reduce_sum(given) > 2.0, lambda: (given + 1.0, read * 2.0), lambda: (given * 2.0, read - given)
    )
    with tf.control_dependencies([second]):  # Of the first output alone the read may still be to come.
        return tf.identity(first), second


def _case_v2(handle: Any, given: Any, statement: Functional) -> tuple[Any, Any]:
    add = _inner(statement)
    number = tf.cast(tf.reduce_sum(given) > 2.0, tf.int32) + tf.cast(tf.reduce_sum(given) > 6.0, tf.int32)
    branches = [lambda: add(handle, given), lambda: _look(handle, given), lambda: (given + 3.0, given)]
    result = tf.switch_case(number, branches)
    return result[0], result[1]


def _while_v2(handle: Any, given: Any, statement: Functional) -> tuple[Any, Any]:
    add = _inner(statement)

    def body(i: Any, first: Any, second: Any) -> tuple[Any, Any, Any]:
        one, other = add(handle, first + second * 0.25)
        return i + 1, one, other

    _, first, second = tf.while_loop(
        lambda i, *_: i < statement.times, body, [0, given, given], maximum_iterations=5, parallel_iterations=1
    )
    return first, second


def _list_v2(handle: Any, given: Any, statement: Functional) -> tuple[Any, Any]:
    rows = tf.TensorArray(tf.float32, size=statement.times + 1, element_shape=[2], clear_after_read=False)
    rows = rows.write(statement.times, given)

    def body(i: Any, total: Any, rows: Any) -> tuple[Any, Any, Any]:
        return i + 1, total * 0.5 + given, rows.write(i, total)

    _, total, rows = tf.while_loop(lambda i, *_: i < statement.times, body, [0, given, rows], parallel_iterations=1)
    return total, tf.reduce_sum(rows.stack(), 0)


def _map_fn(handle: Any, given: Any, statement: Functional) -> tuple[Any, Any]:
    mapped = tf.map_fn(lambda x: x * 2.0 + float(statement.times), given)
    return given - 1.0, tf.reshape(mapped, [2])


def _scan(handle: Any, given: Any, statement: Functional) -> tuple[Any, Any]:
    scanned = tf.scan(lambda total, x: total + x * float(statement.times), given, initializer=tf.constant(0.5))
    return given - 1.0, tf.reshape(scanned, [2])


def _call_defun(handle: Any, given: Any, statement: Functional) -> tuple[Any, Any]:
    first, second = _defun(_inner(statement))(handle, given)
    return tf.reshape(first, [2]), tf.reshape(second, [2])


def _call_function(handle: Any, given: Any, statement: Functional) -> tuple[Any, Any]:
    first, second = tf.function(_inner(statement), autograph=False)(handle, given)
    return tf.reshape(first, [2]), tf.reshape(second, [2])


def _call_twice(handle: Any, given: Any, statement: Functional) -> tuple[Any, Any]:
    """Two calls that only data orders."""
    called = tf.function(adding, autograph=False) if statement.whole else _defun(adding)
    first, _ = called(handle, given)
    again, second = called(handle, tf.exp(tf.reshape(first, [2]) * 0.0) + tf.reshape(first, [2]))
    return tf.reshape(again, [2]), tf.reshape(second, [2])


def _scratched(argument: Any) -> tuple[Any, Any]:
    """Gives a tensor that does not need the body's own ref variable, and one that does."""
    return raw.AddV2(x=argument, y=tf.ones([2])), _body(argument)


def _ref_cond(handle: Any, given: Any, statement: Functional) -> tuple[Any, Any]:
    first, second = tf.cond(tf.reduce_sum(given) > 2.0, lambda: _scratched(given), lambda: (given * 2.0, given))
    return first, second


def _ref_case(handle: Any, given: Any, statement: Functional) -> tuple[Any, Any]:
    number = tf.cast(tf.reduce_sum(given), tf.int32) - 1  # An index that no branch has is the last one's.
    branches = [lambda: _scratched(given), lambda: (given * 2.0, given), lambda: _scratched(given + 3.0)]
    first, second = tf.switch_case(number, branches)
    return first, second


def _ref_while(handle: Any, given: Any, statement: Functional) -> tuple[Any, Any]:
    def body(i: Any, first: Any, second: Any) -> tuple[Any, Any, Any]:
        return i + 1, *_scratched(first + second * 0.25)

    _, first, second = tf.while_loop(
        lambda i, *_: i < statement.times, body, [0, given, given], maximum_iterations=5, parallel_iterations=1
    )
    return first, second


_FORMS = {
    "ref_cond": _ref_cond,
    "ref_case": _ref_case,
    "ref_while": _ref_while,
    "cond": _cond_v2,
    "pure_cond": _pure_cond_v2,
    "case": _case_v2,
    "while": _while_v2,
    "list": _list_v2,
    "map": _map_fn,
    "scan": _scan,
    "defun": _call_defun,
    "function": _call_function,
    "partitioned_twice": _call_twice,
}


def _named() -> Callable[[Any], Any]:
    """Anew for each call: a definition belongs to the graph in which it was first called."""
    made: Callable[[Any], Any] = function.Defun(tf.float32, func_name="scratched")(_body)
    return made


_partitioned = tf.function(_body)


def build_all(pack: Sequence[Program]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Makes the graphs of programs side by side in the default graph; gives their signatures."""
    signatures = {}
    for number, program in enumerate(pack):
        with tf.name_scope(f"p{number}"):
            builder = Builder(program)
            builder.run(program.statements)
            for key, fetched in zip(keys(program, number), program.signatures, strict=True):
                outputs = {f"y{n}": builder.take(tensor).tensor for n, tensor in enumerate(fetched)}
                signatures[key] = ({"x": builder.x}, outputs)
    return signatures


def keys(program: Program, number: int) -> list[str]:
    """Keys of the signatures of the program of a number."""
    return [f"p{number}s{key}" for key in range(len(program.signatures))]


def calls(program: Program, number: int) -> list[tuple[str, dict[str, Any]]]:
    """Its calls, as `differential` takes them."""
    named = keys(program, number)
    return [(named[which % len(named)], {"x": list(x)}) for which, x in program.calls]
