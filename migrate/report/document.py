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
    needed: bool | None


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


class _Mismatch(TypedDict):
    signature: str
    call: int
    output: str
    path: str
    reason: str


class MismatchDocument(_Mismatch, total=False):
    """See `records.Mismatch`."""

    code: str
    clients: list[str]


class OutputDocument(TypedDict):
    """See `records.OutputDifference`."""

    signature: str
    output: str
    path: str
    bitwise_equal: bool
    max_abs_difference: Number
    max_ulps: int


class _Structure(TypedDict):
    outputs: int
    outputs_proved: list[str]
    variables: int
    variables_proved: int
    not_proved: dict[str, str]


class StructureDocument(_Structure, total=False):
    """See `records.Structure`."""

    outputs_unordered: list[str]
    unordered: dict[str, str]


class NearOutputDocument(TypedDict):
    """See `records.NearOutput`."""

    signature: str
    output: str
    calls: int
    values: int
    equal: bool
    largest: Number
    relative: Number


class GoldenDocument(TypedDict):
    """See `records.GoldenFile`."""

    file: str
    by: str
    calls: int
    max_absolute: Number
    max_relative: Number
    outputs: list[NearOutputDocument]
    unverified: dict[str, str]
    notes: list[str]


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


class CoverageDocument(TypedDict):
    """See `records.Coverage`."""

    nodes: int
    reached: int
    never: list[str]


class JudgedOutputDocument(TypedDict):
    """See `records.JudgedOutput`."""

    signature: str
    output: str
    calls: int
    values: int
    bitwise_equal: bool
    max_abs_difference: Number
    max_relative_difference: Number
    beyond: str


class JudgementDocument(TypedDict):
    """See `records.Judgement`."""

    judges: list[str]
    reason: str
    version: str
    confined: bool
    bitwise_equal: bool
    max_relative_difference: Number
    outputs: list[JudgedOutputDocument]


class VerificationDocument(_Verification, total=False):
    """See `records.Verification`."""

    unverified: dict[str, str]
    level: str
    gradients_compared: int
    lost_gradients: dict[str, list[str]]
    structure: StructureDocument | None
    coverage: CoverageDocument | None
    seeded: list[str]
    subnormal: int
    golden: GoldenDocument | None
    judgement: JudgementDocument
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
    proposed_options: dict[str, bool | int | float | str | list[str]] | None
    proposed_signatures: list[str]
    skipped: bool
    duplicate_of: str | None


class SpaceDocument(TypedDict):
    """See `records.Space`."""

    needed_bytes: int
    free_bytes: int


class _Document(TypedDict):
    schema_version: int
    tool: dict[str, str | None]
    models: list[ModelDocument]


class Document(_Document, total=False):
    """A whole report.json."""

    not_started: int
    whole_tree: bool
    space: SpaceDocument
