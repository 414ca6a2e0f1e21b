"""The plain records that the rooms pass to each other: frozen, picklable, without TensorFlow."""

from __future__ import annotations

import collections
import dataclasses
import enum
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from migrate.frozen import frozen
from migrate.given import GivenFeed as GivenFeed
from migrate.given import GivenLibrary as GivenLibrary
from migrate.given import GivenSignature as GivenSignature
from migrate.levels import FULL
from migrate.option_values import checked

if TYPE_CHECKING:
    from migrate.sketches import Sketch

Shape = tuple[int | None, ...] | None
"""A static shape: None for an unknown rank, a None entry for an unknown dimension."""


class Kind(enum.Enum):
    """What a model's files are, judged by their content.

    Attributes:
      TF1_SAVED_MODEL: a SavedModel without an object graph.
      TF2_SAVED_MODEL: a SavedModel with one.
      TF1_HUB_MODULE: a TF1 SavedModel with a tfhub_module.pb beside it.
      CHECKPOINT_META: a MetaGraphDef as tf.train.Saver writes it (`.meta`), with its checkpoint.
      SESSION_BUNDLE: the same of TensorFlow 0.x's exporter, with a collection `serving_signatures`.
      FROZEN_GRAPH: a GraphDef.
      CHECKPOINT: a checkpoint without a graph.
      KERAS_H5_MODEL: an HDF5 file with a model's configuration and weights.
      KERAS_H5_WEIGHTS: an HDF5 file with weights alone.
      KERAS_V3: a `.keras` archive.
      KERAS_SAVED_MODEL: a TF2 SavedModel with a keras_metadata.pb beside it.
      KERAS_JSON: a model's configuration as JSON or YAML, with weights in files of their own.
      UNKNOWN: what could not be read.
    """

    TF1_SAVED_MODEL = "tf1_saved_model"
    TF2_SAVED_MODEL = "tf2_saved_model"
    TF1_HUB_MODULE = "tf1_hub_module"
    CHECKPOINT_META = "checkpoint_meta"
    SESSION_BUNDLE = "session_bundle"
    FROZEN_GRAPH = "frozen_graph"
    CHECKPOINT = "checkpoint"
    KERAS_H5_MODEL = "keras_h5_model"
    KERAS_H5_WEIGHTS = "keras_h5_weights"
    KERAS_V3 = "keras_v3"
    KERAS_SAVED_MODEL = "keras_saved_model"
    KERAS_JSON = "keras_json"
    UNKNOWN = "unknown"


class Severity(enum.Enum):
    """How much a finding matters: a `REFUSAL` stops the conversion, the others do not."""

    NOTE = "note"
    WARNING = "warning"
    REFUSAL = "refusal"


@frozen
class Finding:
    """One thing that a user should know about a model.

    Attributes:
      code: a stable, documented, kebab-case code.
      severity: see `Severity`.
      message: what was found and where, in one or two lines.
      nodes: names of the graph nodes (or files) it is about.
      hint: what to do next, or empty.
      template: a text to copy into the file that the hint asks for, or empty.
    """

    code: str
    severity: Severity
    message: str
    nodes: tuple[str, ...] = ()
    hint: str = ""
    template: str = ""


@frozen
class DangerousOp:
    """The nodes of one dangerous op in one place of a model, whether or not anything runs them.

    Attributes:
      op: name of the op.
      effect: what its kernel may do: a key of `checks.op_table.EFFECTS`, or `unknown`.
      where: `main graph` (what signatures call, or nothing reaches), `init op`, `restore graph`, `save graph`, or
        `function NAME`.
      nodes: names of the nodes.
      reached: whether a signature, loading, saving or an object of the model runs it.
      standard: whether the place is there for it: the saver's own ops, and the init op's that read a table's asset.
      tags: of the MetaGraphDef.
    """

    op: str
    effect: str
    where: str
    nodes: tuple[str, ...]
    reached: bool
    standard: bool
    tags: tuple[str, ...]


def refusal(code: str, message: str, nodes: tuple[str, ...] = (), hint: str = "") -> Finding:
    """A `Finding` that stops the conversion."""
    return Finding(code, Severity.REFUSAL, message, nodes, hint)


_WEIGHT = {Severity.NOTE: 0, Severity.WARNING: 1, Severity.REFUSAL: 2}


def gravest_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings as a report has them: refusals, warnings, notes, each in the order given and with each node once."""
    once = (dataclasses.replace(finding, nodes=tuple(dict.fromkeys(finding.nodes))) for finding in findings)
    return tuple(sorted(once, key=lambda finding: -_WEIGHT[finding.severity]))


@frozen
class TensorSpec:
    """One input or output of a signature (TensorInfo, meta_graph.proto).

    Attributes:
      name: tensor name (`scores:0`); empty for a sparse or composite encoding.
      dtype: TensorFlow's name of the dtype (`float32`, `string`).
      shape: static shape.
      encoding: `dense`, `coo_sparse` or `composite`.
      components: for `coo_sparse` the names of the values, indices and dense_shape tensors, in that order.
    """

    name: str
    dtype: str
    shape: Shape
    encoding: str = "dense"
    components: tuple[str, ...] = ()

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of all dense tensors of this input or output."""
        return (self.name,) if self.encoding == "dense" else self.components


@frozen
class Signature:
    """One SignatureDef: key, method name, inputs and outputs by name."""

    key: str
    method_name: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]


@frozen
class ModelOptions:
    """What one source of options says of one model: the command line, a config, a journal, or a proposal of audit.

    Attributes have the names of the command line's flags; None where nothing is said.

    Attributes:
      signature: signatures to add.
      overwrite_signatures: whether they may replace signatures of the model.
      feed: values of tensors, the same in every call.
      tags: the tag set, sorted.
      drop_signatures: whether signatures that cannot be converted are left out.
      keep_tensor_names: whether the signatures' tensors have their names in the new main graph.
      inputs: path of a file with calls.
      golden: path of a file with golden answers from elsewhere.
      max_ulps: how far floating point outputs may differ.
      judge: who answers for the source, as in `Options`.
      max_absolute: how far floats may be from answers of TensorFlow 1 or of another machine.
      max_relative: the same, as a share of the largest value beside.
      verify: how much is compared before the new model is published, see `levels`.
      allow_unverified: whether it is published where of some output or variable no value was compared.
      variables: whether constant weights become variables.
      control_flow: what becomes of loops and conds, as in `Options`.
      custom_objects: `module:Name` of classes and functions that a Keras file names.
      expect: how the model is known to end, as `refused: CODE` or `unreadable`.
    """

    signature: tuple[GivenSignature, ...] | None = None
    overwrite_signatures: bool | None = None
    feed: tuple[GivenFeed, ...] | None = None
    tags: tuple[str, ...] | None = None
    drop_signatures: bool | None = None
    keep_tensor_names: bool | None = None
    inputs: str | None = None
    golden: str | None = None
    max_ulps: int | None = None
    judge: str | None = None
    max_absolute: float | None = None
    max_relative: float | None = None
    verify: str | None = None
    allow_unverified: bool | None = None
    variables: bool | str | None = None
    control_flow: str | None = None
    custom_objects: tuple[str, ...] | None = None
    expect: str | None = None


@frozen
class VariableFacts:
    """One variable as audit shows it.

    Attributes:
      name: node name of the variable.
      dtype: TensorFlow's name of the dtype.
      shape: static shape.
      is_resource: a VarHandleOp (True) or a ref variable (False).
      trainable: whether the source lists it in TRAINABLE_VARIABLES.
      needed: whether a signature or the init op reaches it; None where no plan was made that tells it.
    """

    name: str
    dtype: str
    shape: Shape
    is_resource: bool
    trainable: bool
    needed: bool | None


@frozen
class MetaGraphFacts:
    """What audit knows of one MetaGraphDef."""

    tags: tuple[str, ...]
    tf_version: str
    nodes: int
    ops: Mapping[str, int]
    signatures: tuple[Signature, ...]
    variables: tuple[VariableFacts, ...]
    tables: tuple[str, ...]
    assets: tuple[str, ...]
    init_ops: tuple[str, ...]
    control_flow_nodes: int
    functions: tuple[str, ...]


@frozen
class KerasFacts:
    """What audit knows of a Keras file.

    Attributes:
      keras_version: that wrote it, or empty.
      runtime: the package that loads it, `tf_keras` or `keras`.
      backend: that it was trained on, or empty.
      layers: how many of each class, most frequent first.
      signature: what the config says of inputs and outputs (an output's dtype is `?` until the model is loaded); None
        where there is no config.
      variables: the stored weights; which of them are trainable is not known.
      optimizer: class of the optimizer that it was compiled with, or empty.
      optimizer_variables: how many variables of the optimizer are stored.
      custom: classes and functions that are not Keras' own.
      code: layers that hold marshalled Python.
    """

    keras_version: str
    runtime: str
    backend: str
    layers: Mapping[str, int]
    signature: Signature | None
    variables: tuple[VariableFacts, ...]
    optimizer: str
    optimizer_variables: int
    custom: tuple[str, ...]
    code: tuple[str, ...]


@frozen
class StoredTensorFacts:
    """One tensor of a checkpoint.

    Attributes:
      name: its key.
      dtype: TensorFlow's name of the dtype.
      shape: static shape.
      bytes: as stored in a V2 checkpoint, else by dtype and shape; None for strings of a V1 checkpoint.
      slices: number of parts that it is stored in; 0 for one that is stored whole.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int | None
    slices: int


@frozen
class CheckpointFacts:
    """What audit knows of a checkpoint without a graph.

    Attributes:
      path: its prefix; of a sharded V1 checkpoint a pattern.
      format: `V1` or `V2`.
      object_based: written by tf.train.Checkpoint or Keras, and not by tf.train.Saver.
      shards: number of data files.
      tensors: in the order of their names.
    """

    path: str
    format: str
    object_based: bool
    shards: int
    tensors: tuple[StoredTensorFacts, ...]


CLIENTS = ("Serving REST", "gRPC", "Session", "Python")
"""Who may call a model: through TensorFlow Serving's two interfaces, a Session of any language, or TF2 in Python."""


@frozen
class Mismatch:
    """One thing in which a candidate differs from its source.

    Attributes:
      signature: key of the signature, or empty.
      call: number of the call whose answers differ, or -1.
      output: the input, output, variable, node or file it is about, or empty.
      path: how the candidate was loaded (`tf2`, `session`), or what was read instead (`contract`, `checkpoint`).
      reason: what differs, in a line.
      code: a stable, documented, kebab-case code.
      clients: those of `CLIENTS` that it breaks; of a note none.
    """

    signature: str
    call: int
    output: str
    path: str
    reason: str
    code: str = "unexplained"
    clients: tuple[str, ...] = CLIENTS

    @property
    def is_note(self) -> bool:
        """Whether it breaks nobody."""
        return not self.clients


@frozen
class OutputDifference:
    """How far one output of the candidate is from the golden answers, over all calls.

    Attributes:
      signature: key of the signature.
      output: name of the output.
      path: how the candidate was loaded (`tf2`, `session`).
      calls: calls whose answers were compared value by value.
      values: single values compared.
      bitwise_equal: all of them equal bit for bit.
      max_abs_difference: largest absolute difference.
      max_ulps: largest distance in units in the last place.
    """

    signature: str
    output: str
    path: str
    calls: int
    values: int
    bitwise_equal: bool
    max_abs_difference: float
    max_ulps: int


@frozen
class JudgedOutput:
    """How far one output of the candidate is from what TensorFlow 1.15.5 answers, over all calls.

    Attributes:
      signature: key of the signature.
      output: name of the output; empty for calls that end differently.
      calls: calls whose answers were compared.
      values: single values compared, over both ways of loading the candidate.
      bitwise_equal: all of them equal bit for bit.
      max_abs_difference: largest absolute difference.
      max_relative_difference: the same as a share of the largest value beside it in its tensor.
      beyond: what is beyond the bounds, in a line; empty where nothing is.
    """

    signature: str
    output: str
    calls: int
    values: int
    bitwise_equal: bool
    max_abs_difference: float
    max_relative_difference: float
    beyond: str = ""


@frozen
class Judgement:
    """Who has answered for the source.

    Attributes:
      judges: `tf2` (a v1 Session of the installed TensorFlow), `tf1` (TensorFlow 1.15.5), or both.
      reason: why TensorFlow 1 did not answer where it was to, or why it answered alone; or empty.
      version: of the TensorFlow 1 that answered, or empty.
      confined: whether its process was confined.
      outputs: how far the candidate is from its answers.
    """

    judges: tuple[str, ...] = ("tf2",)
    reason: str = ""
    version: str = ""
    confined: bool = True
    outputs: tuple[JudgedOutput, ...] = ()

    @property
    def bitwise_equal(self) -> bool:
        """Whether values were compared with TensorFlow 1's, and all of them are equal bit for bit."""
        return any(output.values for output in self.outputs) and all(output.bitwise_equal for output in self.outputs)

    @property
    def max_relative_difference(self) -> float:
        """The largest of all outputs."""
        return max((output.max_relative_difference for output in self.outputs), default=0.0)

    @property
    def beyond(self) -> tuple[JudgedOutput, ...]:
        """The outputs that are beyond the bounds."""
        return tuple(output for output in self.outputs if output.beyond)


@frozen
class Structure:
    """What is proved of a candidate from the files alone, without a run of either model.

    Attributes:
      outputs_proved: the outputs (`signature/output`) that are proved to be what TF1 computes.
      outputs: how many the source has.
      variables_proved: how many variables begin with the source's value by every way of loading.
      variables: how many the candidate has.
      not_proved: why something is not proved, by what it is of: an output, a signature's key (what a call leaves
        behind), a variable, `loading`, or a call of the loaded object. What is not proved may be right.
      outputs_unordered: outputs that TF1 itself leaves open, since no edge orders a read with a write: each answer of
        the candidate is proved to be one that TF1 may give.
      unordered: two accesses that no edge orders, by what such a thing is of, as in `not_proved`.
    """

    outputs_proved: tuple[str, ...]
    outputs: int
    variables_proved: int
    variables: int
    not_proved: Mapping[str, str] = dataclasses.field(default_factory=dict)
    outputs_unordered: tuple[str, ...] = ()
    unordered: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def outputs_shown(self) -> tuple[str, ...]:
        """The outputs of which each answer of the candidate is one that TF1 gives."""
        return (*self.outputs_proved, *self.outputs_unordered)


@frozen
class Coverage:
    """How much of the source's graph the calls have executed.

    Attributes:
      nodes: nodes that the signatures need.
      reached: those of them that some call has executed.
      never: names of the others, in the order of the alphabet; at most so many as `MOST_NEVER`.
    """

    nodes: int
    reached: int
    never: tuple[str, ...] = ()


MOST_NEVER = 100


@frozen
class NearOutput:
    """How far one output of the candidate is from what another runtime has answered, over all calls.

    Attributes:
      signature: key of the signature.
      output: name of the output.
      calls: answers that were compared value by value.
      values: single values compared.
      equal: all of them are equal.
      largest: largest absolute difference.
      relative: largest difference as a share of the largest value beside it.
    """

    signature: str
    output: str
    calls: int
    values: int
    equal: bool
    largest: float
    relative: float


@frozen
class GoldenFile:
    """What golden answers from elsewhere have shown.

    Attributes:
      file: path of the file.
      by: what has answered, in a few words.
      calls: calls that it has an answer to.
      max_absolute: bound for floats in the unit of the values.
      max_relative: bound for floats as a share of the largest value beside them.
      outputs: the differences output by output.
      unverified: why no value was compared, by signature key or output, as in `Verification`.
      notes: what of the file was not compared, a line each.
    """

    file: str
    by: str
    calls: int
    max_absolute: float
    max_relative: float
    outputs: tuple[NearOutput, ...] = ()
    unverified: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def compared(self) -> frozenset[str]:
        """The outputs (`signature/output`) of which values were compared."""
        return frozenset(f"{o.signature}/{o.output}" for o in self.outputs if o.values)


@frozen
class Verification:
    """What a replay of golden calls has shown.

    Attributes:
      calls: signature calls answered by the source.
      compared: output tensors compared, over both ways of loading the candidate.
      values: single values compared.
      bitwise_equal: every compared output equal bit for bit.
      max_abs_difference: largest absolute difference over all numeric outputs.
      max_ulps: largest distance in units in the last place, over all floating point outputs.
      variables_compared: variables compared with the source's checkpoint.
      nondeterministic: outputs (`signature/output`) on which the source contradicts itself between two fresh
        runs, compared on names, dtypes and shapes alone.
      mismatches: what differs; if each of them is a note, no client is affected.
      skipped: why a signature was not called, by signature key.
      outputs: the differences output by output.
      gradients_compared: gradients to trainable variables that were compared.
      lost_gradients: by signature key, names of the variables to which the source has a gradient and the candidate
        none.
      unverified: why no value was compared, by what it is of: a signature's key, an output (`signature/output`), or
        `variables`. What no TF1 Session answers is not in it.
      level: how much was asked to be compared, see `levels`.
      structure: what is proved; None where that was not asked for, or the source has no graph.
      coverage: how much of the source's graph the calls have executed, or None where that was not measured.
      seeded: outputs (`signature/output`) of random ops that were compared by value under the same seeds.
      subnormal: values that count as equal because one below the smallest normal number counts as zero.
      golden: what golden answers from elsewhere have shown; None where no file was given.
      judgement: who has answered for the source.
    """

    calls: int
    compared: int
    values: int
    bitwise_equal: bool
    max_abs_difference: float
    max_ulps: int
    variables_compared: int
    nondeterministic: tuple[str, ...]
    mismatches: tuple[Mismatch, ...]
    skipped: Mapping[str, str]
    outputs: tuple[OutputDifference, ...] = ()
    unverified: Mapping[str, str] = dataclasses.field(default_factory=dict)
    level: str = FULL
    gradients_compared: int = 0
    lost_gradients: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    structure: Structure | None = None
    coverage: Coverage | None = None
    seeded: tuple[str, ...] = ()
    subnormal: int = 0
    golden: GoldenFile | None = None
    judgement: Judgement = Judgement()

    @property
    def passed(self) -> bool:
        """Whether nothing differs that breaks somebody, and everything was compared by value or is proved."""
        is_shown = (
            self.values > 0
            or (self.structure is not None and bool(self.structure.outputs_shown))
            or (self.golden is not None and bool(self.golden.compared))
        )
        return not self.breaking and is_shown and not self.unverified

    @property
    def breaking(self) -> tuple[Mismatch, ...]:
        """What differs, without the notes."""
        return tuple(mismatch for mismatch in self.mismatches if not mismatch.is_note)


# Every way in which a job can end is a type of its own.


@frozen
class _Bare:
    """An outcome that its type says all of."""


@frozen
class _Explained:
    """An outcome with a reason."""

    reason: str


class Convertible(_Bare):
    """Audit: convert would write this model."""


class AlreadyTF2(_Bare):
    """Audit: a TF2 SavedModel; convert would copy it as it is."""


class Unreadable(_Explained):
    """The model's files are damaged or are not a model."""


class Converted(_Bare):
    """The new model is at the destination."""


class Unchanged(_Bare):
    """A TF2 SavedModel was copied as it is."""


class Validated(_Bare):
    """Validate: the candidate gives the golden answers."""


class Refused(_Bare):
    """At least one finding is a refusal; nothing was written."""


class Mismatched(_Explained):
    """The new model's answers differ from the source's; it was not published."""


class Unverified(_Explained):
    """Nothing differs, and of some output or variable no value was compared; the new model was not published."""


class Failed(_Explained):
    """A step could not be done (disk full, TensorFlow rejects the graph)."""


@frozen
class Crashed:
    """A child process died.

    Attributes:
      step: what it was doing (`export`, `golden`, `candidate`).
      exit_code: the process's exit code; negative for a signal, as in `subprocess`.
      stderr_tail: its last lines.
      call: which call of a model it made then, from 1; 0 where it made none.
      calls: how many there were; 0 where it looked for calls that the model accepts.
    """

    step: str
    exit_code: int
    stderr_tail: str
    call: int = 0
    calls: int = 0


@frozen
class TimedOut:
    """A child process passed its time limit; `stderr_tail` has the last lines that it wrote."""

    step: str
    seconds: float
    stderr_tail: str = ""


Outcome = (
    Convertible
    | AlreadyTF2
    | Unreadable
    | Converted
    | Unchanged
    | Validated
    | Refused
    | Mismatched
    | Unverified
    | Failed
    | Crashed
    | TimedOut
)

GOOD_OUTCOMES = (Convertible, AlreadyTF2, Converted, Unchanged, Validated)


def outcome_name(outcome: Outcome) -> str:
    """Gives the snake_case of the outcome's type: `AlreadyTF2` is `already_tf2`.

    Example:
      >>> outcome_name(AlreadyTF2())
      'already_tf2'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(outcome).__name__).lower()


@frozen
class Confined:
    """What held the child processes that ran TensorFlow, Keras or libhdf5 for a model.

    Attributes:
      landlock: the ABI of Landlock that was in force, 0 for none.
      seccomp: whether their system calls were filtered.
      reason: why one of the two was not there, or empty.
      lifted: what the user took out of it (`verification`).
    """

    landlock: int
    seccomp: bool
    reason: str = ""
    lifted: tuple[str, ...] = ()


@frozen
class ModelReport:
    """All that is known about one model after a command.

    Attributes:
      source: path of the model.
      destination: path of the new model, or None where nothing was to be written.
      kind: what the source is.
      outcome: how it ended.
      findings: in the order in which they matter.
      meta_graphs: audit's facts, one entry a MetaGraphDef.
      verification: None when it was not run, which is never a pass.
      seconds: wall time by step.
      converted_signatures: the new model's signatures, read from its files, or None where they were not read.
      sketches: what the rewrite changes, where `Options.details` asks for it.
      bytes: size of the source's own files, or None where nothing could be measured.
      skipped: an earlier run has done it and nothing has changed since; the report is that run's.
      duplicate_of: the source with the same bytes whose new model was copied, or None.
      dangerous_ops: what in its graphs can do more than compute, the saver's standard ops included.
      keras: audit's facts of a Keras file; None for anything else.
      proposals: signatures that a model without any could be given, best first.
      checkpoint: of a checkpoint without a graph; None for all else.
      confinement: what held the steps that ran TensorFlow; None where none was run.
      is_validation: the report is on the candidate, which is at `destination`; it was compared with its source.
      proposed: options that audit proposes and has tried: with them a refused model can be converted. Of a model that
        took proposals (`Options.take_proposals`), those. None where there is nothing to propose.
      expected: the config's `expect`, where the model has ended so; a known ending is no failure.
    """

    source: str
    destination: str | None
    kind: Kind
    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    meta_graphs: tuple[MetaGraphFacts, ...] = ()
    verification: Verification | None = None
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    converted_signatures: tuple[Signature, ...] | None = None
    sketches: tuple[Sketch, ...] = ()
    keras: KerasFacts | None = None
    proposals: tuple[GivenSignature, ...] = ()
    checkpoint: CheckpointFacts | None = None
    bytes: int | None = None
    skipped: bool = False
    duplicate_of: str | None = None
    dangerous_ops: tuple[DangerousOp, ...] = ()
    confinement: Confined | None = None
    is_validation: bool = False
    proposed: ModelOptions | None = None
    expected: str = ""

    def __repr__(self) -> str:
        return f"<ModelReport {self.title!r}: {outcome_name(self.outcome)}>"

    @property
    def title(self) -> str:
        """The path of the model that the report is on."""
        return self.destination if self.is_validation and self.destination is not None else self.source

    @property
    def ok(self) -> bool:
        """Whether it has ended well, or as it is known to end."""
        return isinstance(self.outcome, GOOD_OUTCOMES) or bool(self.expected)

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """The findings that stop the conversion."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.REFUSAL)


def chosen_meta_graph(model: ModelReport) -> MetaGraphFacts | None:
    """Gives the meta graph that a client means when it names none: the one tagged `serve`, else the first."""
    serving = [facts for facts in model.meta_graphs if "serve" in facts.tags]
    return next(iter(serving or model.meta_graphs), None)


@frozen
class Space:
    """What a dry run says of the disk.

    Attributes:
      needed_bytes: what the new models take, each as much as its source. Where blocks are shared or linked it is less,
        and more where several signatures need a large constant.
      free_bytes: what the destination's file system has left.
    """

    needed_bytes: int
    free_bytes: int


@frozen
class Report:
    """What a command gives back.

    Attributes:
      models: one `ModelReport` a model.
      not_started: how many models are left because one was not good and `fail_fast` was set.
      space: of a dry run.
      whole_tree: whether it is about one path, of which no option has left out models.
    """

    models: tuple[ModelReport, ...]
    not_started: int = 0
    space: Space | None = None
    whole_tree: bool = False

    @property
    def ok(self) -> bool:
        """Whether every model ended well."""
        return all(model.ok for model in self.models)

    def __repr__(self) -> str:
        counts = collections.Counter(outcome_name(model.outcome) for model in self.models)
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        return f"<Report: {len(self.models)} model{'' if len(self.models) == 1 else 's'}{f': {told}' if told else ''}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: a row for each model."""
        import html

        def row(cells: Iterable[str], kind: str) -> str:
            return f"<tr>{''.join(f'<{kind}>{html.escape(cell)}</{kind}>' for cell in cells)}</tr>"

        rows = [
            (m.title, m.kind.value, outcome_name(m.outcome), ", ".join(dict.fromkeys(f.code for f in m.findings)))
            for m in self.models
        ]
        body = "".join(row(cells, "td") for cells in rows)
        return f"<table>{row(('model', 'kind', 'outcome', 'findings'), 'th')}{body}</table>"

    def to_dataframe(self) -> Any:
        """A row for each model as a `pandas.DataFrame`, with the columns of `--format=csv`; needs pandas.

        Raises:
          ImportError: pandas is not installed.
        """
        import importlib

        import pandas as pd

        # The forms of a report are above the records in the house, so they are looked up by name.
        rows = importlib.import_module("migrate.report.rows")
        document = importlib.import_module("migrate.report.json").to_document(self)
        return pd.DataFrame([rows.as_row(model) for model in document["models"]], columns=list(rows.COLUMNS))


@frozen
class Options:
    """The settings of one command, read once at the door. Values are checked when it is made.

    Example:
      >>> options = Options(tags="serve", signature="f:inputs=x=x:0;outputs=y=y:0", feed={"keep_prob": 1.0})
      >>> options.tags, options.signature[0].key, options.feed
      (frozenset({'serve'}), 'f', (GivenFeed(tensor='keep_prob:0', value='1.0'),))
      >>> Options(checkpoint="lnk")
      Traceback (most recent call last):
      migrate.errors.UsageError: Options(checkpoint='lnk'): expected auto, link, copy or rewrite; did you mean 'link'?

    Attributes:
      tags: the tag set to take, or None for the one that has `serve`.
      verify: how much is compared before the new model is published: one of `levels.LEVELS`; True and False are the
        most and the least of them.
      drop_signatures: keys of unsound signatures that may be left out.
      keep_tensor_names: give the signatures' tensors their names in the new main graph, for clients that feed and fetch
        by name.
      variables: which constants become variables: True for weights, as frozen models have them, which are trainable;
        `large` for floats of a megabyte or more, which are not trained and then are in the checkpoint; False for none.
      plain_gradients: give nodes whose custom gradient is lost TensorFlow's own.
      control_flow: what becomes of loops and conds: `functional` makes If and While of them, `v1` leaves Switch, Merge,
        Enter and Exit.
      overwrite: replace an existing destination.
      inputs: path of the user's own calls (.npz or .json), or None to synthesise them.
      allow_side_effects: let validation run a model whose ops touch files, the network or Python.
      allow_unverified: publish a new model from which nothing differs although of some output or variable no value was
        compared.
      max_ulps: how far apart floating point outputs may be; 0 is bit for bit.
      golden: path of a file with golden answers from elsewhere, or None.
      max_absolute: how far a floating point output may be from them, in its own unit.
      max_relative: the same as a share of the largest value beside it; one of the two bounds is enough.
      judge: who answers for the source: `tf2`, a v1 Session of the installed TensorFlow; `tf1`, TensorFlow 1.15.5's own
        runtime; `both`; or `auto`, which is both where TensorFlow 1.15.5 can be asked safely, else `tf2`.
      timeout: limit for each child process, in seconds.
      checkpoint: how the weights are taken over: `auto`, `link`, `copy` or `rewrite`.
      details: gather what only the HTML report shows: sketches of what the rewrite changes, and the signatures as
        the new model has them. It changes nothing in the new model.
      jobs: how many models are converted at once, or None for one a core.
      memory_limit_bytes: resident memory at which a child process is killed, or None.
      include: patterns (`fnmatch`) of the models of a tree to take, by their path in it; empty takes all.
      exclude: patterns of those to leave out.
      only_latest_version: of base_path/model/VERSION take the largest version only.
      fail_fast: start no more models once one is not good.
      dry_run: say what would be done and what space it needs, and write nothing.
      runner: Apache Beam's runner that is to spread the work over machines, or None to do it here.
      beam_options: more of Beam's options, as its command line takes them.
      custom_objects: `module:Name` of each class or function of the user's that a Keras file names.
      architecture: file with the architecture of Keras weights, or None for the one beside them.
      checkpoint_root: where in a checkpoint's object graph the Keras model is, or None for where its layers are.
      trust: run the Python bytecode in a Keras file (Lambda layers), call what it names, read files that it names.
      signature: added to those that a model has.
      overwrite_signatures: let one of them take the place of one of the same name.
      metadata: (key, value) pairs of the user's for `assets.extra/migration.json`.
      take_proposals: give a graph without signatures the first one that audit proposes, and placeholders that no
        signature feeds the values that it proposes.
      feed: tensors that have the same value in every call of the new model.
      all_tags: convert every MetaGraphDef of a SavedModel, each to a directory of its own.
      follow_links: read files that links in a model lead to outside of it.
      graph_memory_bytes: what an audit may take beyond four times the bytes of the model's graph.
      unpacked_bytes: what an archive may unpack to where that is more than 20 times its size.
      audit_seconds: processor time that an audit may take beyond a second for 5,000 nodes.
      config: path of a migrate.toml, which has options of single models; None to read none.
      reconvert: convert again what another version of migrate or TensorFlow has converted and verified.
      op_library: shared libraries with ops of the user's, which every process loads that runs a model.
      import_module: Python packages that load such libraries when they are imported.
      libraries: what these register; found out by the command, not given.
      given: names of flags that were given, so that no config and no journal says otherwise; an option that differs
        from its default counts as given in any case.
    """

    tags: frozenset[str] | None = None
    verify: str = FULL
    drop_signatures: bool = False
    keep_tensor_names: bool = False
    variables: bool | str = False
    plain_gradients: bool = False
    control_flow: str = "v1"
    overwrite: bool = False
    inputs: str | None = None
    allow_side_effects: bool = False
    allow_unverified: bool = False
    max_ulps: int = 0
    golden: str | None = None
    max_absolute: float = 1e-6
    max_relative: float = 1e-4
    judge: str = "auto"
    timeout: float = 600.0
    checkpoint: str = "auto"
    details: bool = False
    custom_objects: tuple[str, ...] = ()
    trust: bool = False
    architecture: str | None = None
    checkpoint_root: str | None = None
    signature: tuple[GivenSignature, ...] = ()
    overwrite_signatures: bool = False
    metadata: tuple[tuple[str, str], ...] = ()
    take_proposals: bool = False
    feed: tuple[GivenFeed, ...] = ()
    all_tags: bool = False
    follow_links: bool = False
    graph_memory_bytes: int = 500 << 20
    audit_seconds: float = 30.0
    unpacked_bytes: int = 256 << 20
    jobs: int | None = None
    memory_limit_bytes: int | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    only_latest_version: bool = False
    fail_fast: bool = False
    dry_run: bool = False
    runner: str | None = None
    beam_options: tuple[str, ...] = ()
    config: str | None = None
    reconvert: bool = False
    op_library: tuple[str, ...] = ()
    import_module: tuple[str, ...] = ()
    libraries: tuple[GivenLibrary, ...] = ()
    given: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            self.__dict__[field.name] = checked(field.name, self.__dict__[field.name], field.default)

    @property
    def takes_all(self) -> bool:
        """Whether no option leaves out models of a tree."""
        return not (self.include or self.exclude or self.only_latest_version)


_NOT_SHAPING = frozenset(
    {
        "audit_seconds",
        "beam_options",
        "config",
        "details",
        "dry_run",
        "exclude",
        "fail_fast",
        "given",
        "graph_memory_bytes",
        "import_module",
        "include",
        "jobs",
        "libraries",
        "memory_limit_bytes",
        "only_latest_version",
        "op_library",
        "overwrite",
        "reconvert",
        "runner",
        "timeout",
        "unpacked_bytes",
    }
)


def shaping(options: Options) -> dict[str, object]:
    """The options that decide what becomes of one model, as JSON can hold them; how many are done at once does not."""
    found = {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in dataclasses.asdict(dataclasses.replace(options, libraries=())).items()
        if name not in _NOT_SHAPING
    }
    if options.libraries:  # Wherever they are, and however they were named.
        found["libraries"] = [(library.version, library.sha256) for library in options.libraries]
    return found


_SAME_MODEL = frozenset(
    {
        "all_tags",
        "allow_side_effects",
        "allow_unverified",
        "architecture",
        "checkpoint",
        "follow_links",
        "golden",
        "inputs",
        "max_absolute",
        "max_relative",
        "judge",
        "max_ulps",
        "metadata",
        "tags",
        "verify",
    }
)
"""Options of verification, of what is said beside a model, and of which files and tags are read: a digest has those."""


def graph_shaping(options: Options) -> dict[str, object]:
    """The options with which one source gives other graphs, as JSON can hold them."""
    return {name: value for name, value in shaping(options).items() if name not in _SAME_MODEL}
