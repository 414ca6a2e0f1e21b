"""Chooses calls of a Keras source with values that an ordinary request does not have.

A Session says what a run has executed, and Keras does not: these calls may do a fixed small amount of work, by a guess
from the sizes of a graph. The model is traced once, as an export traces it. The graph shows what becomes of an input's
values, and the traced function answers each call beside the eager one: where the two differ, Keras has two answers.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from migrate.frozen import frozen
from migrate.graph.protos import MetaGraphDef, NodeDef
from migrate.records import Signature
from migrate.verify.calls import REFUSALS, Answer, Call, SparseValue
from migrate.verify.coverage import NODE_WORK, PRODUCT_WORK, PRODUCTS, keeps_state
from migrate.verify.requests import key_of
from migrate.verify.uses import Graph, Uses, uses_of
from migrate.verify.wider import UNSETTLING, Facts, wider

_CHEAP_WORK = 10_000_000
"""What these calls may cost in any case, see `coverage.Trace.work`: some milliseconds."""
_SHARE = 0.3
"""What they may cost beside the ordinary ones, which are made twice as often."""
_PARTS = 3
"""How many calls of the largest size must fit."""
_MOST_CALLS = 16
_MOST_PARTS = 8
"""How many calls are tried of one, which is cut in halves as long as the source refuses it."""
_MOST_REFUSALS = 6
_MOST_WORDS = 1 << 15
_MOST_NUMBERS = 16
_NOT_WORDS = frozenset({"", "[UNK]"})
"""Of a vocabulary: what stands for a mask, and for all other words."""


@frozen
class Work:
    """What a call costs.

    Attributes:
      once: in any case.
      each: what each of its rows adds.
    """

    once: int
    each: int

    def of(self, call: Call) -> int:
        """What one call costs."""
        return self.once + self.each * call.rows


@frozen
class Traced:
    """A Keras model as one graph.

    Attributes:
      graph: its nodes; a variable that it reads is a `VarHandleOp` of the variable's shape.
      tensors: names of the input tensors, by input name.
      ask: makes a call of the traced function.
    """

    graph: MetaGraphDef
    tensors: Mapping[str, str]
    ask: Callable[[Call], Answer]

    @property
    def settled(self) -> bool:
        """Whether no call changes what a later one sees."""
        functions = {f.signature.name for f in self.graph.graph_def.library.function}
        return not keeps_state({node.op for node, _ in _nodes(self.graph)} - functions)


@frozen
class Chosen:
    """Calls that are made once, after the ordinary ones.

    Attributes:
      calls: in the order in which they are made.
      traced: what the traced function answers to each; nothing where calls change what later ones see.
    """

    calls: tuple[Call, ...] = ()
    traced: tuple[Answer, ...] = ()

    def answers(self, calls: Sequence[Call]) -> tuple[Answer, ...]:
        """What the traced function answers to some of the calls; nothing where it says nothing."""
        found = {id(call): answer for call, answer in zip(self.calls, self.traced, strict=False)}
        return tuple(found[id(call)] for call in calls if id(call) in found)


def trace(
    tf: Any, signature: Signature, function: Callable[[Mapping[str, Any]], Any], ask: Callable[[Any, Call], Answer]
) -> Traced:
    """Traces a model.

    Args:
      tf: the module.
      signature: the model's.
      function: calls the model, with tensors by input name.
      ask: makes a call of a function of that kind.
    """
    names = list(signature.inputs)
    specs = [tf.TensorSpec(spec.shape, tf.dtypes.as_dtype(spec.dtype)) for spec in signature.inputs.values()]
    made = tf.function(lambda *given: function(dict(zip(names, given, strict=True))), autograph=False)
    concrete = made.get_concrete_function(*specs)
    meta_graph = MetaGraphDef()
    meta_graph.graph_def.CopyFrom(concrete.graph.as_graph_def(add_shapes=True))
    variables = {id(variable.handle): variable for variable in concrete.graph.variables}
    held = {inner.op.name: variables[id(outer)] for outer, inner in concrete.graph.captures if id(outer) in variables}
    for node in meta_graph.graph_def.node:
        if node.name in held:
            node.op = "VarHandleOp"
            node.attr.clear()
            node.attr["dtype"].type = held[node.name].dtype.as_datatype_enum
            node.attr["shape"].shape.CopyFrom(held[node.name].shape.as_proto())
    tensors = {name: tensor.name for name, tensor in zip(names, concrete.inputs, strict=False)}
    return Traced(
        meta_graph,
        tensors,
        lambda call: ask(lambda inputs: concrete(*(inputs[name] for name in names)), call),
    )


def facts_of(
    signature: Signature,
    traced: Traced,
    rows: Mapping[str, int],
    words: Mapping[str, tuple[bytes, ...]],
    numbers: Mapping[str, tuple[int, ...]],
) -> dict[str, Facts]:
    """What is known of each input.

    Args:
      signature: the model's.
      traced: the model as a graph.
      rows: of the tables that inputs index, as far as layers say so.
      words: what strings are looked up in, by input name.
      numbers: what whole numbers are looked up in, by input name.
    """
    graph = Graph(traced.graph)
    facts = {}
    for name, spec in signature.inputs.items():
        uses = Uses() if spec.dtype == "string" else uses_of(graph, traced.tensors[name])
        if name in rows:
            uses = dataclasses.replace(uses, rows=tuple(sorted({*uses.rows, rows[name]})))
        if spec.dtype.startswith(("int", "uint")) and name in numbers:
            uses = dataclasses.replace(uses, constants=tuple(sorted({*uses.constants, *numbers[name]})))
        facts[name] = Facts(name, (spec.shape,), uses, words.get(name, ()), spec.dtype == "string")
    return facts


def vocabularies(
    layers: Iterable[Any], inputs: Mapping[str, Any], into: Callable[[Any], Sequence[Any]]
) -> tuple[dict[str, tuple[bytes, ...]], dict[str, tuple[int, ...]]]:
    """The words and the whole numbers that inputs are looked up in, by input name.

    Args:
      layers: of the model. An input that goes into none of them is looked up in all of them.
      inputs: what goes into the model, by name.
      into: what goes into a layer, as far as that is known.
    """
    direct: dict[str, list[Any]] = {}
    every: list[Any] = []
    for layer in layers:
        if type(layer).__name__ not in ("StringLookup", "TextVectorization", "IntegerLookup"):
            continue
        own = [entry for entry in layer.get_vocabulary()[:_MOST_WORDS] if entry not in _NOT_WORDS]
        every += own
        given = into(layer)
        for name, tensor in inputs.items():
            if any(tensor is value for value in given):
                direct.setdefault(name, []).extend(own)
    words, numbers = {}, {}
    for name in inputs:
        found = list(dict.fromkeys(direct.get(name, every)))
        texts = tuple(entry.encode() for entry in found if isinstance(entry, str))
        whole = [int(entry) for entry in found if not isinstance(entry, str)]
        if texts:
            words[name] = texts[:_MOST_WORDS]
        if whole:
            numbers[name] = (*whole[: _MOST_NUMBERS - 1], whole[-1])
    return words, numbers


def choose(
    traced: Traced,
    facts: Mapping[str, Facts],
    ordinary: Sequence[Call],
    eager: Callable[[Call], Answer],
    refuses: Callable[[Call], str],
    deadline: float,
) -> Chosen:
    """Chooses calls: those to which an eager call and the traced function both answer, or give the same error.

    Args:
      traced: the model as one graph.
      facts: of its inputs.
      ordinary: the calls that are accepted already.
      eager: makes an eager call.
      refuses: says why a call must not be made, or nothing.
      deadline: on the monotonic clock.
    """
    settled = traced.settled
    work = work_of(traced.graph, ordinary)
    budget = max(_CHEAP_WORK, int(sum(map(work.of, ordinary)) * _SHARE))
    most_rows = max(1, (budget // _PARTS - work.once) // max(1, work.each))
    calls: list[Call] = []
    answers: list[Answer] = []
    refused = 0
    known = {key_of(call) for call in ordinary}
    for made in wider(facts)(ordinary, most_rows):
        if made.is_for_new:  # What is new, a trace of the run would say.
            break
        if not settled and made.kind in UNSETTLING:
            continue
        queue, others, tried = collections.deque([made.call]), made.instead, 0
        places: set[str] = set()
        while queue and tried < _MOST_PARTS and len(calls) < _MOST_CALLS and time.monotonic() < deadline:
            call = queue.popleft()
            if work.of(call) > budget or key_of(call) in known or refuses(call):
                queue.extend(others)
                others = ()
                continue
            known.add(key_of(call))
            tried += 1
            answer = traced.ask(call)
            is_same = eager(call).error == answer.error
            place = _NUMBERS.sub("#", answer.message)
            # A part of it says more: a model that lacks one check may still refuse the whole for another value.
            # Keras' own checks of inputs raise other errors, which a SavedModel does not have.
            is_kept = settled and not others and answer.error in REFUSALS
            is_kept = is_kept and place not in places and refused < _MOST_REFUSALS
            if is_same and (is_kept or not answer.error):
                budget -= work.of(call)
                calls.append(call)
                answers.append(answer)
            if is_same and not answer.error:
                continue
            if is_same and is_kept:
                refused += 1
                places.add(place)
            queue.extend(others or made.apart(call))
            others = ()
    return Chosen(tuple(calls), tuple(answers) if settled else ())


_NUMBERS = re.compile(r"\d+")


def work_of(graph: MetaGraphDef, ordinary: Sequence[Call]) -> Work:
    """What a call costs, by the sizes that a graph says its values have.

    Args:
      graph: with the attributes `_output_shapes`; the first dimension of a value is taken for that of the rows.
      ordinary: calls whose sizes stand for those that the graph leaves open.
    """
    inner = [
        size
        for call in ordinary
        for value in call.inputs.values()
        if not isinstance(value, SparseValue)
        for size in value.shape[1:]
    ]
    longest = max(inner, default=1)
    has_loop = any(node.op in _LOOPS for node, _ in _nodes(graph))
    once = each = 0
    for node, is_main in _nodes(graph):
        once += NODE_WORK
        by_row = 0
        for shape in node.attr["_output_shapes"].list.shape:
            sizes = [dim.size if dim.size >= 0 else longest for dim in shape.dim[1:]]
            by_row += math.prod(sizes)
        times = 1 if is_main or not has_loop else longest
        each += by_row * times * (PRODUCT_WORK if node.op.startswith(PRODUCTS) else 1)
    return Work(once, each)


_LOOPS = frozenset({"While", "StatelessWhile"})


def _nodes(graph: MetaGraphDef) -> Iterable[tuple[NodeDef, bool]]:
    """Every node, and whether it is one of the main graph."""
    yield from ((node, True) for node in graph.graph_def.node)
    for function in graph.graph_def.library.function:
        yield from ((node, False) for node in function.node_def)
