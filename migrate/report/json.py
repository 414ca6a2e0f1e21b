"""A report as JSON, for programs: the schema is stable and `schema_version` counts its breaking changes."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from migrate.records import (
    CheckpointFacts,
    Finding,
    GoldenFile,
    Judgement,
    KerasFacts,
    MetaGraphFacts,
    ModelReport,
    NearOutput,
    OutputDifference,
    Report,
    Shape,
    Signature,
    Structure,
    TensorSpec,
    VariableFacts,
    Verification,
    chosen_meta_graph,
    outcome_name,
)
from migrate.signature_flag import as_flag
from migrate.versions import tool

if TYPE_CHECKING:
    from migrate.sketches import Sketch, SketchGraph

SCHEMA_VERSION = 1

JSON = dict[str, Any]


def to_document(report: Report) -> JSON:
    """Gives the report as the value of its JSON text; the other formats of a report are made of it."""
    document: JSON = {
        "schema_version": SCHEMA_VERSION,
        "tool": tool(),
        "models": [model_document(model) for model in report.models],
    }
    if report.not_started:
        document["not_started"] = report.not_started
    if report.whole_tree:
        document["whole_tree"] = True
    if report.space is not None:
        document["space"] = dataclasses.asdict(report.space)
    return document


def to_json(report: Report) -> str:
    """Gives the report as indented ASCII JSON that ends with a newline.

    The order of keys is fixed, mappings that have no order of their own are sorted, and numbers that JSON
    cannot hold are strings (`"NaN"`, `"Infinity"`, `"-Infinity"`, as in protobuf's JSON mapping).
    """
    return dumps(to_document(report))


def dumps(document: JSON) -> str:
    """A document as indented ASCII JSON that ends with a newline."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def model_document(model: ModelReport) -> JSON:
    """One entry of a document's `models`."""
    chosen = chosen_meta_graph(model)
    return {
        "source": model.source,
        "destination": model.destination,
        "kind": model.kind.value,
        "outcome": outcome_name(model.outcome),
        "detail": {name: _number(value) for name, value in dataclasses.asdict(model.outcome).items()},
        "findings": [_finding(finding) for finding in model.findings],
        "dangerous_ops": [
            {**dataclasses.asdict(found), "nodes": list(found.nodes), "tags": list(found.tags)}
            for found in model.dangerous_ops
        ],
        "signatures": _signatures(chosen.signatures if chosen else _keras_signatures(model.keras)),
        "meta_graphs": [_meta_graph(facts) for facts in model.meta_graphs],
        "keras": _keras(model.keras) if model.keras else None,
        "checkpoint": _checkpoint(model.checkpoint) if model.checkpoint else None,
        "expected": model.expected,
        "proposed_options": _proposed(model),
        "proposed_signatures": [as_flag(proposal) for proposal in model.proposals],
        "verification": _verification(model.verification) if model.verification else None,
        "seconds": {step: _number(round(seconds, 6)) for step, seconds in model.seconds.items()},
        "bytes": model.bytes,
        "skipped": model.skipped,
        "duplicate_of": model.duplicate_of,
        "confinement": None if model.confinement is None else dataclasses.asdict(model.confinement),
        "converted_signatures": None if model.converted_signatures is None else _signatures(model.converted_signatures),
        "sketches": [_sketch(sketch) for sketch in model.sketches],
    }


def _proposed(model: ModelReport) -> JSON | None:
    """What audit proposes, by the names of flags, as a config has it."""
    if model.proposed is None:
        return None
    from migrate.config import values_of

    return dict(values_of(model.proposed))


def _sketch(sketch: Sketch) -> JSON:
    return {
        "run": sketch.run,
        "changed": sketch.changed,
        "ops": [{"op": op, "before": before, "after": after} for op, before, after in sketch.ops],
        "before": _sketch_graph(sketch.before),
        "after": _sketch_graph(sketch.after),
    }


def _sketch_graph(graph: SketchGraph) -> JSON:
    return {
        "nodes": [dataclasses.asdict(node) for node in graph.nodes],
        "edges": [{"from": source, "to": target, "control": control} for source, target, control in graph.edges],
    }


def _checkpoint(facts: CheckpointFacts) -> JSON:
    return {
        "path": facts.path,
        "format": facts.format,
        "object_based": facts.object_based,
        "shards": facts.shards,
        "tensors": [
            {"name": t.name, "dtype": t.dtype, "shape": list(t.shape), "bytes": t.bytes, "slices": t.slices}
            for t in facts.tensors
        ],
    }


def _finding(finding: Finding) -> JSON:
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "message": finding.message,
        "nodes": list(finding.nodes),
        "hint": finding.hint,
        **({"template": finding.template} if finding.template else {}),
    }


def _meta_graph(facts: MetaGraphFacts) -> JSON:
    return {
        "tags": sorted(facts.tags),
        "tf_version": facts.tf_version,
        "nodes": facts.nodes,
        "ops": _sorted(facts.ops),
        "signatures": _signatures(facts.signatures),
        "variables": [_variable(variable) for variable in facts.variables],
        "tables": list(facts.tables),
        "assets": list(facts.assets),
        "init_ops": list(facts.init_ops),
        "control_flow_nodes": facts.control_flow_nodes,
        "functions": list(facts.functions),
    }


def _keras(facts: KerasFacts) -> JSON:
    return {
        "keras_version": facts.keras_version,
        "runtime": facts.runtime,
        "backend": facts.backend,
        "layers": _sorted(facts.layers),
        "signatures": _signatures(_keras_signatures(facts)),
        "weights": [{"name": v.name, "dtype": v.dtype, "shape": _shape(v.shape)} for v in facts.variables],
        "optimizer": {"class_name": facts.optimizer, "variables": facts.optimizer_variables},
        "custom": list(facts.custom),
        "code": list(facts.code),
    }


def _keras_signatures(facts: KerasFacts | None) -> tuple[Signature, ...]:
    return (facts.signature,) if facts is not None and facts.signature is not None else ()


def _signatures(signatures: tuple[Signature, ...]) -> JSON:
    return {
        signature.key: {
            "method_name": signature.method_name,
            "inputs": {name: _tensor(spec) for name, spec in sorted(signature.inputs.items())},
            "outputs": {name: _tensor(spec) for name, spec in sorted(signature.outputs.items())},
        }
        for signature in sorted(signatures, key=lambda signature: signature.key)
    }


def _tensor(spec: TensorSpec) -> JSON:
    return {
        "name": spec.name,
        "dtype": spec.dtype,
        "shape": _shape(spec.shape),
        "encoding": spec.encoding,
        "components": list(spec.components),
    }


def _variable(variable: VariableFacts) -> JSON:
    return {
        "name": variable.name,
        "dtype": variable.dtype,
        "shape": _shape(variable.shape),
        "is_resource": variable.is_resource,
        "trainable": variable.trainable,
        "needed": variable.needed,
    }


def _verification(verification: Verification) -> JSON:
    return {
        "passed": verification.passed,
        "calls": verification.calls,
        "compared": verification.compared,
        "values": verification.values,
        "bitwise_equal": verification.bitwise_equal,
        "max_abs_difference": _number(verification.max_abs_difference),
        "max_ulps": verification.max_ulps,
        "variables_compared": verification.variables_compared,
        "gradients_compared": verification.gradients_compared,
        "lost_gradients": {key: list(names) for key, names in sorted(verification.lost_gradients.items())},
        "nondeterministic": list(verification.nondeterministic),
        "mismatches": [
            {**dataclasses.asdict(mismatch), "clients": list(mismatch.clients)} for mismatch in verification.mismatches
        ],
        "skipped": _sorted(verification.skipped),
        "unverified": dict(verification.unverified),
        "level": verification.level,
        "structure": None if verification.structure is None else _structure(verification.structure),
        "coverage": dataclasses.asdict(verification.coverage) if verification.coverage else None,
        "seeded": list(verification.seeded),
        "subnormal": verification.subnormal,
        "golden": None if verification.golden is None else _golden(verification.golden),
        "judgement": judgement_document(verification.judgement),
        "outputs": _outputs(verification.outputs),
    }


def _outputs(outputs: Sequence[OutputDifference | NearOutput]) -> list[JSON]:
    return [{key: _number(value) for key, value in dataclasses.asdict(output).items()} for output in outputs]


def _golden(golden: GoldenFile) -> JSON:
    return {
        "file": golden.file,
        "by": golden.by,
        "calls": golden.calls,
        "max_absolute": golden.max_absolute,
        "max_relative": golden.max_relative,
        "outputs": _outputs(golden.outputs),
        "unverified": dict(golden.unverified),
        "notes": list(golden.notes),
    }


def judgement_document(judgement: Judgement) -> JSON:
    """Who has answered for a source, as report.json has it."""
    return {
        "judges": list(judgement.judges),
        "reason": judgement.reason,
        "version": judgement.version,
        "confined": judgement.confined,
        "bitwise_equal": judgement.bitwise_equal,
        "max_relative_difference": _number(judgement.max_relative_difference),
        "outputs": [
            {key: _number(value) for key, value in dataclasses.asdict(output).items()} for output in judgement.outputs
        ],
    }


def _structure(structure: Structure) -> JSON:
    return {
        "outputs": structure.outputs,
        "outputs_proved": list(structure.outputs_proved),
        "variables": structure.variables,
        "variables_proved": structure.variables_proved,
        "not_proved": dict(structure.not_proved),
        "outputs_unordered": list(structure.outputs_unordered),
        "unordered": dict(structure.unordered),
    }


def _shape(shape: Shape) -> list[int | None] | None:
    return None if shape is None else list(shape)


def _sorted(mapping: Mapping[str, Any]) -> JSON:
    return dict(sorted(mapping.items()))


def _number(value: Any) -> Any:
    """Spells a float that JSON cannot hold; other values stay as they are."""
    if not isinstance(value, float) or math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
