"""The types of report.json, by which a changed file is distinguished from one that was written here.

Keys that are not named here are of no use to the other forms of a report, and pass. What `total=False` leaves open was
not there in every version of the schema.
"""

from __future__ import annotations

from typing import Literal, TypedDict

Number = int | float | Literal["NaN", "Infinity", "-Infinity"]
Shape = list[int | None] | None


class _Template(TypedDict, total=False):
    template: str


class FindingDocument(_Template):
    """See `records.Finding`."""

    code: str
    severity: str
    message: str
    nodes: list[str]
    hint: str


class DangerousOpDocument(TypedDict):
    """See `records.DangerousOp`."""

    op: str
    effect: str
    where: str
    nodes: list[str]
    reached: bool
    standard: bool
    tags: list[str]


class ConfinementDocument(TypedDict):
    """See `records.Confined`."""

    landlock: int
    seccomp: bool
    reason: str
    lifted: list[str]


class TensorDocument(TypedDict):
    """See `records.TensorSpec`."""

    name: str
    dtype: str
    shape: Shape
    encoding: str
    components: list[str]


class SignatureDocument(TypedDict):
    """See `records.Signature`."""

    method_name: str
    inputs: dict[str, TensorDocument]
    outputs: dict[str, TensorDocument]


class StoredDocument(TypedDict):
    """A weight of a Keras file or a tensor of a checkpoint."""

    name: str
    dtype: str
    shape: Shape


class VariableDocument(StoredDocument):
    """See `records.VariableFacts`."""

    is_resource: bool
    trainable: bool
    needed: bool


class MetaGraphDocument(TypedDict):
    """See `records.MetaGraphFacts`."""

    tags: list[str]
    tf_version: str
    nodes: int
    ops: dict[str, int]
    signatures: dict[str, SignatureDocument]
    variables: list[VariableDocument]
    tables: list[str]
    assets: list[str]
    init_ops: list[str]
    functions: list[str]


class OptimizerDocument(TypedDict):
    """The optimizer of a Keras file."""

    class_name: str
    variables: int


class KerasDocument(TypedDict):
    """See `records.KerasFacts`."""

    keras_version: str
    layers: dict[str, int]
    weights: list[StoredDocument]
    optimizer: OptimizerDocument


class CheckpointDocument(TypedDict):
    """See `records.CheckpointFacts`."""

    format: str
    object_based: bool
    shards: int
    tensors: list[StoredDocument]


class MismatchDocument(TypedDict):
    """See `records.Mismatch`."""

    signature: str
    call: int
    output: str
    path: str
    reason: str


class OutputDocument(TypedDict):
    """See `records.OutputDifference`."""

    signature: str
    output: str
    path: str
    bitwise_equal: bool
    max_abs_difference: Number
    max_ulps: int


class _Verification(TypedDict):
    passed: bool
    calls: int
    compared: int
    values: int
    bitwise_equal: bool
    variables_compared: int
    nondeterministic: list[str]
    mismatches: list[MismatchDocument]
    skipped: dict[str, str]


class VerificationDocument(_Verification, total=False):
    """See `records.Verification`."""

    unverified: dict[str, str]
    outputs: list[OutputDocument]


class ChangedOpDocument(TypedDict):
    """How often an op is there before and after."""

    op: str
    before: int
    after: int


class NodeDocument(TypedDict):
    """See `sketches.SketchNode`."""

    name: str
    op: str
    changed: bool


EdgeDocument = TypedDict("EdgeDocument", {"from": int, "to": int, "control": bool})


class GraphDocument(TypedDict):
    """See `sketches.SketchGraph`."""

    nodes: list[NodeDocument]
    edges: list[EdgeDocument]


class SketchDocument(TypedDict):
    """See `sketches.Sketch`."""

    run: str
    changed: int
    ops: list[ChangedOpDocument]
    before: GraphDocument
    after: GraphDocument


class DetailDocument(TypedDict, total=False):
    """What an outcome tells beside its name."""

    reason: str
    step: str
    exit_code: int
    seconds: Number
    stderr_tail: str


class _Model(TypedDict):
    source: str
    kind: str
    outcome: str
    findings: list[FindingDocument]
    meta_graphs: list[MetaGraphDocument]
    seconds: dict[str, Number]


class ModelDocument(_Model, total=False):
    """See `records.ModelReport`."""

    destination: str | None
    detail: DetailDocument
    signatures: dict[str, SignatureDocument]
    keras: KerasDocument | None
    checkpoint: CheckpointDocument | None
    verification: VerificationDocument | None
    bytes: int | None
    expected: str
    dangerous_ops: list[DangerousOpDocument]
    confinement: ConfinementDocument | None
    converted_signatures: dict[str, SignatureDocument] | None
    sketches: list[SketchDocument]


class Document(TypedDict):
    """A whole report.json."""

    schema_version: int
    tool: dict[str, str | None]
    models: list[ModelDocument]
