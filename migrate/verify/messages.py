"""What the children of this package are asked, and what they answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from migrate.errors import first_line
from migrate.frozen import frozen
from migrate.keras_loader.request import Request
from migrate.records import Failed, Signature
from migrate.sources.large_contents import InFile
from migrate.verify.calls import (
    Answer,
    Array,
    Call,
    Draw,
    Fingerprint,
    Further,
    KerasAsked,
    KerasShown,
    NamedRun,
    OwnRequest,
    Trained,
)
from migrate.verify.losses import Lost

OPTIMISED = "tf2, optimised"
"""The path on which the graph optimiser is on; the others are compared bit for bit."""

OPTIMISED_SESSION = "session, optimised"
"""The path of a v1 Session with it; there it is only seen which variables calls change, and integers."""

PATHS = frozenset({"tf2", "session", OPTIMISED})
"""All of them."""


@frozen
class Training:
    """What a TF1 Hub module has for training.

    Attributes:
      meta_graph: the MetaGraphDef whose collections say it, serialized.
      has_call: whether the new model can be called with `training=True`.
      has_losses: whether it must have all regularization losses that depend on no input.
    """

    meta_graph: bytes
    has_call: bool
    has_losses: bool


@frozen
class GoldenJob:
    """What the child needs to take golden answers from a source.

    Attributes:
      saved_model: directory that TensorFlow's own SavedModel loader takes, or None.
      meta_graph: the MetaGraphDef, serialized.
      signatures: what the calls call.
      checkpoint: what its restore op is fed with, or None.
      assets_dir: directory of its assets.
      calls: the user's calls; empty means that the child synthesises them.
      seconds: what the child may spend on finding calls that the source accepts.
      feeds: what is fed in each call beside its inputs: TensorProtos, serialized, by full tensor name.
      full: whether all is taken that `levels.FULL` compares, and not the answers alone.
      lost: calls that are not made, since they have cost a process.
      constants: which constants may be variables of the new model, see `records.Options.variables`.
      training: of a TF1 Hub module.
      own: the requests that the model brings with it; they are made beside the calls.
      runs: those of them that name tensors.
      held: what the large constants of the MetaGraphDef hold, which has hollow stubs for them; None where it has them.
      is_optimised: whether functions run with the optimiser's settings that they were saved with.
    """

    saved_model: str | None
    meta_graph: bytes
    signatures: tuple[Signature, ...]
    checkpoint: str | None
    assets_dir: str
    calls: tuple[Call, ...]
    seconds: float
    feeds: Mapping[str, bytes]
    full: bool = False
    lost: tuple[Lost, ...] = ()
    constants: bool | str = False
    training: Training | None = None
    own: tuple[OwnRequest, ...] = ()
    runs: tuple[NamedRun, ...] = ()
    held: InFile | None = None
    is_optimised: bool = False


@frozen
class KerasGoldenJob:
    """What the child needs to take golden answers from a Keras model.

    Attributes:
      request: what to load.
      inputs: path of the user's calls, or None to synthesise them.
      seconds: what the child may spend on finding calls that the model accepts.
      lost: calls that are not made, since they have cost a process.
      full: whether all is taken that `levels.FULL` compares, and not the answers alone.
    """

    request: Request
    inputs: str | None
    seconds: float
    lost: tuple[Lost, ...] = ()
    full: bool = False


@frozen
class OptimisedJob:
    """What the child needs to ask a source once more with the graph optimiser on: `source.calls`, in order."""

    source: GoldenJob


@frozen
class AlteredJob:
    """What the child needs to ask a source for `source.calls` with other values in its variables and constants.

    Attributes:
      source: of the source.
      variables: all nodes of each variable that gets another value.
      constants: names of the nodes of each constant that does.
    """

    source: GoldenJob
    variables: tuple[tuple[str, ...], ...]
    constants: tuple[str, ...]


@frozen
class Tf1Job:
    """What the child needs to make calls to a source in TensorFlow 1.15.5.

    Attributes:
      runtime: directory in which it is installed.
      source: the source; its own calls are not made.
      calls: in order.
    """

    runtime: str
    source: GoldenJob
    calls: tuple[Call, ...]


@frozen
class Tf1GoldenJob:
    """What the child needs to take golden answers from TensorFlow 1.15.5 alone.

    Attributes:
      runtime: directory in which it is installed.
      source: the source.
    """

    runtime: str
    source: GoldenJob


@frozen
class Tf1Answers:
    """What TensorFlow 1.15.5 has answered.

    Attributes:
      version: its own.
      answers: one a call.
    """

    version: str
    answers: tuple[Answer, ...]


@frozen
class SeededCalls:
    """Calls of one signature that a candidate is to answer under the source's seeds.

    Attributes:
      signature: its key.
      calls: in order.
      draws: the source's random ops.
    """

    signature: str
    calls: tuple[Call, ...]
    draws: tuple[Draw, ...]


@frozen
class SeededAnswers:
    """What a candidate answers under the source's seeds.

    Attributes:
      signature: its key.
      answers: to each call, by path; none where the random ops do not match.
      missing: numbers of the source's random ops for which the candidate has none.
      extra: names of the candidate's random ops that stand for none of the source's.
    """

    signature: str
    answers: Mapping[str, tuple[Answer, ...]]
    missing: tuple[int, ...]
    extra: tuple[str, ...]


@frozen
class CandidateJob:
    """What the child needs to replay calls on a candidate.

    Attributes:
      candidate_path: the TF2 SavedModel's directory.
      calls: in order.
      side_effects: whether its signatures may have effects outside the process.
      further: what is asked after the calls.
      trained: what is asked with `training=True`.
      ordered: names of a Keras model's weights, in the order of the root's list of variables.
      inline: whether a v1 Session runs its ops in the calling thread, see `replay._run`. That thread keeps denormal
        floats, which TensorFlow's own threads, and eager calls, flush to zero: the golden answers must be of that kind.
      full: whether all is asked that `levels.FULL` compares, and not the answers alone.
      lost: calls that are not made, since they have cost a process.
      seeded: what is asked under the source's seeds.
      runs: what is run beside them by the names of tensors.
      once: how many of the last calls are not made with the graph optimiser on, see `calls.Golden`.
      refused: those of them that are, by position.
      writes: whether calls may change variables.
      moved: names of variables whose values are asked for after the ordinary calls, see `calls.Golden`.
      tables: whether it is asked what lookup tables hold.
      constants: names of constants of the source that may be variables of the candidate.
      keras: what is asked of a Keras model's candidate, or None.
    """

    candidate_path: str
    calls: tuple[Call, ...]
    side_effects: bool = False
    inline: bool = True
    full: bool = False
    lost: tuple[Lost, ...] = ()
    seeded: tuple[SeededCalls, ...] = ()
    further: Further = Further()
    trained: Trained = Trained()
    ordered: tuple[str, ...] = ()
    runs: tuple[NamedRun, ...] = ()
    once: int = 0
    refused: tuple[int, ...] = ()
    writes: bool = False
    moved: tuple[str, ...] = ()
    tables: bool = False
    constants: tuple[str, ...] = ()
    keras: KerasAsked | None = None


@frozen
class CandidateState:
    """What a candidate's variables hold. Each is known by its path, attribute by attribute from the root.

    Attributes:
      names: paths by the names that a TF1 user knows.
      has_names: whether the candidate has an attribute of these names, `vars`.
      order: paths in the order of the root's list of variables.
      values: before any call, by path, as stored and as either loader gives them (`checkpoint`, `tf2`, `session`).
      left: after the calls, by path, for either loader.
      midway: the same after the ordinary ones, see `calls.Golden`.
      tables: what its lookup tables hold after the ordinary calls, by name, for either loader.
      moved: values that were asked for after the ordinary calls, by path, for either loader.
    """

    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    has_names: bool = False
    order: tuple[str, ...] = ()
    values: Mapping[str, Mapping[str, Fingerprint]] = dataclasses.field(default_factory=dict)
    left: Mapping[str, Mapping[str, Fingerprint]] = dataclasses.field(default_factory=dict)
    midway: Mapping[str, Mapping[str, Fingerprint]] = dataclasses.field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Fingerprint]] = dataclasses.field(default_factory=dict)
    moved: Mapping[str, Mapping[str, Array]] = dataclasses.field(default_factory=dict)


@frozen
class Surface:
    """What clients in Python have of a candidate beside its signatures; variables go by their paths.

    Attributes:
      root: what kind of object the root is (saved_object_graph.proto, SavedUserObject.identifier).
      attributes: which of `object_graph.ATTRIBUTES` and `__call__` it has.
      names: of the loaded variables.
      flagged: those that say that they are trainable.
      variables: paths of the list of that name; an empty path for an object that is not a variable of the model.
      trainable_variables: the list of that name.
      losses: values of the regularization losses before any call.
    """

    root: str = ""
    attributes: tuple[str, ...] = ()
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    flagged: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    trainable_variables: tuple[str, ...] = ()
    losses: tuple[Fingerprint, ...] = ()


@frozen
class FurtherAnswers:
    """A candidate's answers to what was asked after the calls, see `calls.Further`.

    Attributes:
      called: `__call__`'s answer.
      answers: those with altered variables.
      gradients: those that there are, by signature key and variable.
      lost: why there are none, by signature key.
      gradients_called: those through `__call__`, by variable.
      states: what its variables hold after `answers`, by path.
      counted: those once counters are near a threshold, see `calls.Further`.
      counted_states: what its variables hold after these, by path.
      remade: the constants of the source that are variables of the candidate.
      with_remade: answers to the same calls, once these have other values, too.
    """

    called: Answer | None = None
    answers: tuple[Answer, ...] = ()
    gradients: Mapping[str, Mapping[str, Array]] = dataclasses.field(default_factory=dict)
    lost: Mapping[str, str] = dataclasses.field(default_factory=dict)
    gradients_called: Mapping[str, Array] = dataclasses.field(default_factory=dict)
    states: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)
    counted: tuple[Answer, ...] = ()
    counted_states: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)
    remade: tuple[str, ...] = ()
    with_remade: tuple[Answer, ...] = ()


@frozen
class TrainedAnswers:
    """A candidate's answers with `training=True`, see `calls.Trained`.

    Attributes:
      answers: one a call.
      left: what its variables hold after the calls, by path.
      gradients: those that there are, by variable.
      lost: why there are none, or empty.
      loss_gradients: those of the sum of its regularization losses.
    """

    answers: tuple[Answer, ...] = ()
    left: Mapping[str, Fingerprint] = dataclasses.field(default_factory=dict)
    gradients: Mapping[str, Array] = dataclasses.field(default_factory=dict)
    lost: str = ""
    loss_gradients: Mapping[str, Array] = dataclasses.field(default_factory=dict)


@frozen
class CandidateResult:
    """The candidate's answers.

    Attributes:
      answers: by path (`tf2`, `session`, `OPTIMISED`), one a call.
      state: what its variables hold.
      surface: its attributes.
      further: its answers to what was asked after the calls.
      training: its answers with `training=True`.
      stale: fields of its fingerprint.pb that are of other bytes; a candidate without that file has none.
      seeded: what it answers under the source's seeds, one for each of the job's.
      named: one for each run.
      keras: what a Keras model's candidate shows of itself.
      release: of TensorFlow, that wrote it.
      has_gradients: whether a gradient that it lacks is a fault (`gradient_marks.has_gradients`).
    """

    answers: Mapping[str, tuple[Answer, ...]]
    state: CandidateState = CandidateState()
    stale: tuple[str, ...] = ()
    seeded: tuple[SeededAnswers, ...] = ()
    surface: Surface = Surface()
    further: FurtherAnswers = FurtherAnswers()
    training: TrainedAnswers = TrainedAnswers()
    named: tuple[Answer, ...] = ()
    keras: KerasShown = KerasShown()
    release: str = ""
    has_gradients: bool = False


def step_failed(error: BaseException, what: str) -> Failed:
    """A `Failed` for an exception: what could not be done, the error's class and its first line."""
    return Failed(f"{what}: {type(error).__name__}: {first_line(error)}")
