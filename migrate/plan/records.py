"""What a plan of one conversion is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from migrate.frozen import frozen
from migrate.graph.graph import Nodes
from migrate.graph.protos import FunctionDef, FunctionDefLibrary, MetaGraphDef, TensorProto, TensorShapeProto
from migrate.plan.restore import Restore, TableFill, Uninitialized, Value
from migrate.records import Finding, Severity, Signature
from migrate.rewrite.engine import Rewritten
from migrate.rewrite.ordering import Unordered

if TYPE_CHECKING:
    from migrate.sources.large_contents import InFile  # Only a conversion needs it.


@frozen
class PlanOptions:
    """What the user wants of a plan.

    Attributes:
      drop_signatures: leave signatures out that cannot be converted, with a warning, instead of refusing.
      variables: make variables of constant weights.
      keep_tensor_names: keep tensor names of the source in the new main graph.
      named_tensors: full names of tensors whose names are kept where not every name is.
      is_hub_module: the source is a TF1 Hub module, which has things for training beside its signatures.
      functional: make If and While of v1 control flow.
    """

    drop_signatures: bool = False
    variables: bool | str = False
    keep_tensor_names: bool = False
    is_hub_module: bool = False
    named_tensors: frozenset[str] = frozenset()
    functional: bool = False


@frozen
class SourceGraph:
    """A MetaGraphDef with what planning its runs needs.

    Attributes:
      meta_graph: the MetaGraphDef; it is not changed.
      nodes: every node of it by name.
      ref_ops: every op of TensorFlow's registry that has a ref argument or result.
    """

    meta_graph: MetaGraphDef
    nodes: Nodes
    ref_ops: frozenset[str]

    @property
    def library(self) -> FunctionDefLibrary:
        """Its functions."""
        library: FunctionDefLibrary = self.meta_graph.graph_def.library
        return library

    @property
    def functions(self) -> dict[str, FunctionDef]:
        """Its functions by name."""
        return {function.signature.name: function for function in self.library.function}


@frozen
class VariablePlan:
    """One tf.Variable of the new model.

    Attributes:
      name: name of the source's variable node (of the first one, where several share a buffer).
      identity: what makes it one variable, see `aliases.identity`.
      dtype: DataType value.
      shape: static shape of the handle.
      trainable: as in the source's TRAINABLE_VARIABLES.
      is_resource: whether the source already had it as a resource.
      value: what fills it before the init op.
    """

    name: str
    identity: str
    dtype: int
    shape: TensorShapeProto
    trainable: bool
    is_resource: bool
    value: Value


@frozen
class SignaturePlan:
    """One signature of the new model and the run that answers it.

    Attributes:
      signature: as the source has it.
      run: rewritten.
      unordered: (output name, what was found) for outputs without a defined answer.
      defaults: value of each input that a Session client may leave out (a PlaceholderWithDefault of a constant).
      fails: whether each call fails, as in TF1, for want of a value that the signature does not feed.
      drawn: names of the outputs whose values come from a random sequence that other signatures draw from, too.
    """

    signature: Signature
    run: Rewritten
    unordered: tuple[tuple[str, Unordered], ...]
    defaults: Mapping[str, TensorProto]
    fails: bool = False
    drawn: tuple[str, ...] = ()


@frozen
class TrainingPlan:
    """What a Reusable SavedModel has for training (tensorflow.org/hub/reusable_saved_models).

    Attributes:
      key: the signature that `__call__` answers.
      call: the same of the training graph, with the update ops as targets of its run, or None: inference only.
      losses: a run for each regularisation loss, which feeds nothing and fetches one tensor.
    """

    key: str
    call: SignaturePlan | None
    losses: tuple[Rewritten, ...]


@frozen
class SignatureTensor:
    """One tensor of a signature.

    Attributes:
      signature: the signature's key.
      name: name of the input or output.
      part: position in `TensorSpec.tensors`.
    """

    signature: str
    name: str
    part: int = 0


@frozen
class KeptTensor:
    """One tensor that has its name again.

    Attributes:
      feeds: the inputs that it feeds.
      given_by: the output whose value it has, or None for one that is only fed.
    """

    feeds: tuple[SignatureTensor, ...]
    given_by: SignatureTensor | None


@frozen
class Plan:
    """What convert will do. It can be pickled for a child process, without `nodes`, with stubs for large constants.

    Attributes:
      tags: the tag set.
      signatures: those that can be converted.
      init: what a loader runs after restoring, or None.
      assets: (Placeholder node in `init`, file name below `assets/`) pairs.
      variables: the variables of the new model, in graph order.
      tables: what fills which table before the init op, by identity.
      restore: what the source's restore op does, or None without a SaverDef.
      functions: the function library that the runs need.
      producer: GraphDef version of the source.
      findings: everything a user should know; with a refusal among them the plan must not be carried out.
      training: what a TF1 Hub module has beside its signatures.
      kept: the tensors that have their names in the new main graph, by full name in the source; none unless asked for.
      nodes: the source's main graph as it was read; None where the plan has another one (a function that was inlined).
      contents: of the stubs, see `large_constants.Contents`; None in a plan that was not pickled, which has no stubs.
      source_file: with the source's graph: what large constants hold is left there where the plan is pickled.
    """

    tags: tuple[str, ...]
    signatures: tuple[SignaturePlan, ...]
    init: Rewritten | None
    assets: tuple[tuple[str, str], ...]
    variables: tuple[VariablePlan, ...]
    tables: Mapping[str, TableFill]
    restore: Restore | None
    functions: tuple[FunctionDef, ...]
    producer: int
    findings: tuple[Finding, ...]
    training: TrainingPlan | None = None
    kept: Mapping[str, KeptTensor] = dataclasses.field(default_factory=dict)
    nodes: Nodes | None = None
    contents: InFile | None = None
    source_file: str = ""

    @property
    def refused(self) -> bool:
        """Whether some finding forbids the conversion."""
        return any(finding.severity is Severity.REFUSAL for finding in self.findings)

    @property
    def uninitialized(self) -> frozenset[str]:
        """Identities of the variables that have no value until a call assigns one."""
        return frozenset(v.identity for v in self.variables if isinstance(v.value, Uninitialized))

    @property
    def guarded(self) -> frozenset[str]:
        """Those of `uninitialized` that a call may look at while they have no value."""
        chosen = ((v.identity, v.value) for v in self.variables)
        return frozenset(root for root, value in chosen if isinstance(value, Uninitialized) and value.is_looked_at)

    @property
    def runs(self) -> tuple[Rewritten, ...]:
        """Every run of the plan."""
        more = (
            (*self.training.losses, *((self.training.call.run,) if self.training.call else ())) if self.training else ()
        )
        return (*(s.run for s in self.signatures), *more, *((self.init,) if self.init else ()))

    def __reduce__(self) -> tuple[object, ...]:
        from migrate.plan.pickling import packed  # Only a conversion needs it.

        return _unpickled, packed({**vars(self), "nodes": None}, self.source_file)


def _unpickled(content: bytes, messages: Mapping[str, Sequence[bytes]], held: InFile | None) -> Plan:
    from migrate.plan.pickling import unpacked

    return Plan(**unpacked(content, messages, held))
