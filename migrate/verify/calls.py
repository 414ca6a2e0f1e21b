"""The plain values that the parts of verifying hand to each other. Frozen, picklable, free of TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from migrate.frozen import frozen
from migrate.records import Coverage

Array = npt.NDArray[np.generic]

SPARSE_PARTS = ("indices", "values", "dense_shape")
"""The dense tensors of a sparse one, as answers and calls name them."""


@frozen
class SparseValue:
    """A sparse tensor, as `TensorInfo.CooSparse` (meta_graph.proto) describes it.

    Attributes:
      indices: int64 [values, rank], in row-major order.
      values: any dtype [values].
      dense_shape: int64 [rank].
    """

    indices: Array
    values: Array
    dense_shape: Array

    @property
    def parts(self) -> Mapping[str, Array]:
        """The three dense tensors by the names that `TensorInfo.CooSparse` has for them."""
        return {part: getattr(self, part) for part in SPARSE_PARTS}


Value = Array | SparseValue


@frozen
class Call:
    """One call of one signature.

    Attributes:
      signature: the signature's key.
      inputs: value by input name; strings are object arrays of bytes.
      outputs: names of the outputs that are asked for; empty for all.
    """

    signature: str
    inputs: Mapping[str, Value]
    outputs: tuple[str, ...] = ()

    def asks_for(self, output: str) -> bool:
        """Whether an output, or the sparse one that it is a part of, is asked for."""
        return not self.outputs or output in self.outputs or output.rpartition("/")[0] in self.outputs

    @property
    def rows(self) -> int:
        """The first dimension of the input that has the largest one; 1 if all inputs are scalars."""
        shapes = (v.dense_shape if isinstance(v, SparseValue) else v.shape for v in self.inputs.values())
        return max((int(shape[0]) for shape in shapes if len(shape)), default=1)


REFUSALS = frozenset({"InvalidArgumentError", "OutOfRangeError"})
"""Errors by which an op refuses its input, in an eager call as in a graph; others are of the machine, the time or the
model's files."""


@frozen
class OwnRequest:
    """A request of a model's own file as a call.

    Attributes:
      record: number of its record.
      call: what it asks.
    """

    record: int
    call: Call


@frozen
class NamedRun:
    """A request that names tensors of the graph.

    Attributes:
      record: number of its record in the file.
      feeds: values by tensor name.
      fetches: tensor names.
      targets: names of what is run beside them.
      file: path of the file, where the user gives it; empty for the model's own.
    """

    record: int
    feeds: Mapping[str, Array]
    fetches: tuple[str, ...]
    targets: tuple[str, ...]
    file: str = ""


def whole(call: Call) -> tuple[Call, ...]:
    """Of a call that cannot be cut."""
    del call
    return ()


@frozen
class Wider:
    """A call that is made of accepted ones, with values that an ordinary request does not have.

    Attributes:
      kind: what is special about it.
      call: the call.
      instead: calls that take its place where the source refuses it, each with less of what is special.
      is_for_new: it is of use only where it executes what no other call does.
      apart: the two halves of a call that the source refuses too, as calls; nothing where it cannot be cut.
      is_border: whether it is of use to know each one of these calls that the source refuses, by whichever op.
    """

    kind: str
    call: Call
    instead: tuple[Call, ...] = ()
    is_for_new: bool = False
    apart: Callable[[Call], tuple[Call, ...]] = whole
    is_border: bool = False


def no_wider(calls: Sequence[Call], most_rows: int) -> Iterable[Wider]:
    """For what nothing is known of."""
    del calls, most_rows
    return ()


@frozen
class CandidateCalls:
    """What may be asked of one signature; the source decides what it accepts.

    Attributes:
      signature: the signature's key.
      families: alternatives, best guess first: each is a set of calls that rests on one guess at what the
        graph leaves open (unknown sizes, content of strings). The first family of which a call succeeds is
        taken.
      derived: inputs that are no placeholders but computed in the graph. The source is asked for their
        natural values first, so that they fit the other inputs; the values in the calls serve where that
        fails.
      reason: why there are no families, or empty.
      wider: makes further calls of the accepted ones, of at most so many rows each.
    """

    signature: str
    families: Iterable[tuple[Call, ...]]
    derived: tuple[str, ...] = ()
    reason: str = ""
    wider: Callable[[Sequence[Call], int], Iterable[Wider]] = no_wider


@frozen
class Answer:
    """What a model answered to one call.

    Attributes:
      outputs: value by output name; a sparse output `s` is `s/indices`, `s/values` and
        `s/dense_shape`.
      error: class name of the error instead (`InvalidArgumentError`), or empty.
      message: the error's first line, or empty.
    """

    outputs: Mapping[str, Array]
    error: str = ""
    message: str = ""


@frozen
class Fingerprint:
    """A variable's value, by digest, so that golden answers of large models stay small.

    Attributes:
      dtype: TensorFlow's name of the dtype.
      shape: of the whole tensor.
      digest: BLAKE2b over the bytes in row-major order (for strings over lengths and bytes), in hex.
    """

    dtype: str
    shape: tuple[int, ...]
    digest: str


NO_VALUE = Fingerprint("", (), "")
"""Of a variable that nothing has been assigned to."""


@frozen
class Held:
    """What a source's graph says of its variables beside their values.

    Attributes:
      names: all nodes of each variable, by the first of them.
      needed: those that some call needs, by their first nodes.
      trainable: those that the collection TRAINABLE_VARIABLES lists, by their first nodes.
      constants: constants that may be variables of the new model, by name.
      initialised: those that the init op may assign, so that nobody sees what the checkpoint has for them.
      writers: keys of the signatures whose calls may change variables; None where that is not known.
    """

    names: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    needed: tuple[str, ...] = ()
    trainable: tuple[str, ...] = ()
    constants: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)
    initialised: tuple[str, ...] = ()
    writers: tuple[str, ...] | None = None


@frozen
class Further:
    """What is asked of a source after its calls, on the same load, of what clients in Python have beside signatures.

    Attributes:
      default: key of the signature that `__call__` answers, or None.
      called: the call of it that is made once more, and its answer.
      altered: variables that then get other values (`further.alter`): all nodes of each.
      calls: one of each signature that answers, made with the altered variables, and that of `called` once more.
      answers: to `calls`.
      trained: names of the variables to which gradients were asked for, by signature key.
      gradients: those that there are, by signature key and variable, as `gradients.sample` has them.
      states: what variables hold after `calls`, where calls may change some.
      counters: integers that calls change: all nodes of each.
      thresholds: numbers with which the graph compares, or by which it divides. For each, the counters are set to the
        one before it, and one call of each signature is made twice.
      counted: the answers to these.
      counted_states: what variables hold after these.
      written: of each signature that writes variables, whose gradients are not compared, the names of those that TF1's
        graph has a gradient to.
    """

    default: str | None = None
    called: tuple[Call, Answer] | None = None
    altered: tuple[tuple[str, ...], ...] = ()
    calls: tuple[Call, ...] = ()
    answers: tuple[Answer, ...] = ()
    trained: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    gradients: Mapping[str, Mapping[str, Array]] = dataclasses.field(default_factory=dict)
    states: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)
    counters: tuple[tuple[str, ...], ...] = ()
    thresholds: tuple[int, ...] = ()
    counted: tuple[Answer, ...] = ()
    counted_states: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)
    written: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


@frozen
class Trained:
    """What the training graph of a source has shown. Variables go by the first of their nodes.

    Attributes:
      calls: one call of the default signature, more than once, each with the update ops beside it.
      answers: to `calls`; without those outputs that are not the same twice.
      before: what the variables hold that these calls need.
      states: what they hold after the calls, where that is the same twice.
      names: all nodes of each variable.
      trainable: those that the collection TRAINABLE_VARIABLES lists.
      asked: the variables to which gradients were asked for.
      gradients: those that there are, as `gradients.sample` has them.
      losses: values of the regularization losses before any call.
      has_losses: whether the new model must have all of these.
      losses_asked: the variables to which gradients of the sum of these losses were asked for.
      loss_gradients: those that there are.
    """

    calls: tuple[Call, ...] = ()
    answers: tuple[Answer, ...] = ()
    before: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)
    states: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    trainable: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    gradients: Mapping[str, Array] = dataclasses.field(default_factory=dict)
    losses: tuple[Fingerprint, ...] = ()
    has_losses: bool = True
    losses_asked: tuple[str, ...] = ()
    loss_gradients: Mapping[str, Array] = dataclasses.field(default_factory=dict)


@frozen
class Draw:
    """A random op of a source, and the seeds that it is given.

    Attributes:
      op: its op.
      node: its name, in the function whose body it is in where it is in one.
      path: the same after the names of the nodes that call the function.
      seed: its attribute of that name.
      seed2: its attribute of that name.
    """

    op: str
    node: str
    path: str
    seed: int
    seed2: int


@frozen
class Seeded:
    """What the source answers to the calls of one signature while its random ops have seeds that are known.

    Attributes:
      signature: its key.
      calls: those of `Golden.calls` that call it, in their order.
      answers: to each call, from a fresh load.
      again: to each call, from further fresh loads.
      draws: the random ops.
      outputs: which of them are behind each output, by numbers; without the outputs behind which something else draws.
    """

    signature: str
    calls: tuple[Call, ...]
    answers: tuple[Answer, ...]
    again: tuple[Answer, ...]
    draws: tuple[Draw, ...]
    outputs: Mapping[str, tuple[int, ...]]


@frozen
class NamedRuns:
    """The source's answers to runs that name its tensors.

    Attributes:
      runs: what was run, each twice in a row.
      answers: to each, from a fresh load; outputs go by the names of the tensors.
      again: to each, from another one.
    """

    runs: tuple[NamedRun, ...] = ()
    answers: tuple[Answer, ...] = ()
    again: tuple[Answer, ...] = ()


NO_KERNEL = "No OpKernel was registered"
"""What TensorFlow says where it has an op and cannot run it."""


@frozen
class Tf1Judge:
    """TensorFlow 1.15.5 as a judge of a candidate.

    Attributes:
      judges: who has answered for the source, see `records.Judgement`.
      reason: why TensorFlow 1 did not answer where it was to, or why it answered alone; or empty.
      version: its own, or empty.
      confined: whether its process was confined.
      answers: to `Golden.calls`, one a call; nothing where it did not answer.
      bounds: how far floats may be off, absolute and relative, see `bounds.close`.
    """

    judges: tuple[str, ...] = ("tf2",)
    reason: str = ""
    version: str = ""
    confined: bool = True
    answers: tuple[Answer, ...] = ()
    bounds: tuple[float, float] = (0.0, 0.0)


@frozen
class KerasAsked:
    """What is asked of the candidate of a Keras model beside its signature.

    Attributes:
      layers: paths of the layers that `keras_metadata.pb` describes, attribute by attribute from the root.
      optimizer: paths of the variables of optimizer and metrics, see `keras_metadata.slot_path`.
      call: what `__call__` is called with, or None.
      given: how `__call__` takes its inputs: JSON with their names in the place of tensors.
      outputs: names of its results, in their order.
      trained: how often it is called with `training=True`.
      random: outputs that differ from call to call with `training=True`.
      steady: outputs that no random number reaches with it: gradients are asked of these.
      trainable: the weights to which they are asked, with their places among all weights.
      more: further calls of `__call__`, as for prediction.
      alone: paths of the layers whose own functions are compared; the empty one is the model's.
    """

    layers: tuple[str, ...] = ()
    optimizer: tuple[str, ...] = ()
    call: Call | None = None
    given: str = ""
    outputs: tuple[str, ...] = ()
    trained: int = 0
    random: tuple[str, ...] = ()
    steady: tuple[str, ...] = ()
    trainable: Mapping[str, int] = dataclasses.field(default_factory=dict)
    more: tuple[Call, ...] = ()
    alone: tuple[str, ...] = ()


@frozen
class KerasShown:
    """What a Keras model, or the candidate of one, shows of it. Weights of the model go by their names.

    Attributes:
      layers: what Keras writes of each layer, by path, see `keras_metadata.normalised`.
      optimizer: what its variables, and those of the model's metrics, hold, by path.
      flagged: the weights whose variables say that they are trainable.
      losses: the values of the weight penalties, after the weights got other values; None where they are not known.
      predicted: what `__call__` answers with these, or None.
      trained: what it answers with `training=True`; of the source without those outputs that are not the same twice.
      states: what the weights hold after these calls; of the source without those that are not the same twice.
      unmoved: of the candidate, the outputs asked for in `KerasAsked.random` that never differ from the prediction.
      gradients: those of a further call with `training=True`, by weight, see `KerasAsked.steady`.
      more: what it answers to `KerasAsked.more`.
      computed: what it computes with `training=True`, see `keras_graph.computed`.
      penalties: of the source, what its weight penalties compute beside that.
      alone: what the functions of single layers compute, see `keras_graph.computed_alone`.
      beside: of the source, what these may compute beside that.
    """

    layers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    optimizer: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)
    flagged: tuple[str, ...] = ()
    losses: tuple[Fingerprint, ...] | None = None
    predicted: Answer | None = None
    trained: tuple[Answer, ...] = ()
    states: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)
    unmoved: tuple[str, ...] = ()
    gradients: Mapping[str, Array] = dataclasses.field(default_factory=dict)
    more: tuple[Answer, ...] = ()
    computed: Mapping[str, int] = dataclasses.field(default_factory=dict)
    penalties: tuple[str, ...] = ()
    alone: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    beside: tuple[str, ...] = ()


@frozen
class KerasGolden:
    """What was asked of a Keras source, and what it has shown."""

    asked: KerasAsked
    shown: KerasShown


@frozen
class Golden:
    """The source's answers, taken before conversion.

    Attributes:
      calls: the sequence that was replayed, every call twice in a row, since a stateful model answers the
        second one differently.
      answers: to each call, from a fresh load.
      again: to each call, from further fresh loads; where it differs from `answers` the model is not
        deterministic.
      skipped: why a signature is not in `calls`, by signature key.
      variables: what the source's variables hold before any call, by the name of the first node of each. Of a Keras
        model they are in the order of its weights.
      loader: `tensorflow` or, where TensorFlow's own loader refused the source, `lenient`.
      tf_version: version of the TensorFlow that answered.
      states: what they hold after the calls; without those on which the source contradicts itself.
      notes: what was not replayed, and why, a line for each call.
      seeded: the answers of signatures that draw random numbers, once more under seeds that are known.
      held: what else is known of the variables; empty for a Keras model.
      further: what was asked after the calls.
      training: what the training graph of a TF1 Hub module has shown, or None.
      named: answers to runs that name tensors.
      how: in which way the answers were taken, where that is not the usual one.
      once: how many of the last calls are made once, not twice: they have values that an ordinary request does not
        have, and the source may refuse them. What it answers to one of them says nothing of the others.
      coverage: how much of the graph the calls have executed, or None where it was not measured.
      keras: what a Keras model says of itself, or None.
      midway: what the variables hold after the ordinary calls, where others follow: NaN in a request becomes NaN in a
        moving mean, which hides what the calls before it have left.
      moved: values of the floats that ordinary calls compute into variables, where TensorFlow 1.15.5 is the only
        judge: they are compared within its bounds.
      tables: what the lookup tables that calls need hold after the ordinary ones, by the name of the first node of
        each; without those on which the source contradicts itself.
      tf1: what TensorFlow 1.15.5 has answered to the same calls, where it was asked. Where it is the only judge, its
        answers are `answers` as well.
      unasked: the (signature, output) pairs of signatures that were called, for which no call asks.
      looped: the (signature, output) pairs of which `looped_draws` says that plain calls show no value to compare.
    """

    calls: tuple[Call, ...]
    answers: tuple[Answer, ...]
    again: tuple[Answer, ...]
    skipped: Mapping[str, str]
    variables: Mapping[str, Fingerprint]
    loader: str
    tf_version: str
    states: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seeded: tuple[Seeded, ...] = ()
    held: Held = Held()
    further: Further = Further()
    training: Trained | None = None
    named: NamedRuns = dataclasses.field(default_factory=NamedRuns)
    how: str = ""
    once: int = 0
    coverage: Coverage | None = None
    midway: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)
    moved: Mapping[str, Array] = dataclasses.field(default_factory=dict)
    tables: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)
    tf1: Tf1Judge = Tf1Judge()
    keras: KerasGolden | None = None
    looped: tuple[tuple[str, str], ...] = ()
    unasked: tuple[tuple[str, str], ...] = ()

    @property
    def ordinary(self) -> int:
        """How many of the first calls are ordinary."""
        return len(self.calls) - self.once

    @property
    def refused(self) -> tuple[int, ...]:
        """The other calls that the source refuses each time, by position."""
        pairs = enumerate(zip(self.answers, self.again, strict=True))
        return tuple(n for n, (a, b) in pairs if n >= self.ordinary and a.error and a.error == b.error)
