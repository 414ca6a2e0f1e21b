"""What a report says of one model as text, for people."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence

from migrate.config import flags_to_take
from migrate.errors import count_words
from migrate.escapes import visible, visible_lines
from migrate.finding_codes import about
from migrate.levels import FULL
from migrate.records import (
    GOOD_OUTCOMES,
    AlreadyTF2,
    CheckpointFacts,
    Confined,
    Converted,
    Convertible,
    Crashed,
    DangerousOp,
    Failed,
    Finding,
    GoldenFile,
    KerasFacts,
    MetaGraphFacts,
    Mismatched,
    ModelReport,
    Refused,
    Severity,
    Shape,
    Signature,
    Structure,
    TimedOut,
    Unchanged,
    Unreadable,
    Unverified,
    VariableFacts,
    Verification,
    outcome_name,
)
from migrate.report.flags_in_text import labelled
from migrate.report.json import judgement_document
from migrate.report.labels import coverage_words, judges_words, size_words, tally
from migrate.report.layout import Block, Indented, Table, Text, text, unbroken
from migrate.signature_flag import to_copy
from migrate.sources.forms import LABELS
from migrate.sources.sizes import size_of

_NAMES_SHOWN = 5
_MISMATCHES_SHOWN = 20
_BLANK = text("")

STYLES = {Severity.NOTE: "cyan", Severity.WARNING: "yellow", Severity.REFUSAL: "red"}


def model_blocks(model: ModelReport) -> Iterator[Block]:
    """All that is said of one model."""
    yield from headline(model)
    yield _BLANK
    facts = [("kind", plain_text(LABELS[model.kind].long))]
    if model.is_validation:
        facts.append(("against", name_text(model.source)))
    elif model.destination is not None:
        facts.append(("destination", name_text(model.destination)))
    if model.proposed is not None and isinstance(model.outcome, Refused):
        flags = " ".join(flags_to_take(model.proposed))
        facts.append(("ready with", Text(((flags, "yellow"),), wrapped=False)))
    if model.duplicate_of is not None:
        facts.append(("duplicate of", name_text(model.duplicate_of)))
    if model.skipped:
        facts.append(("skipped", plain_text("done before, and nothing has changed since")))
    if model.verification is not None or (_could_be_verified(model) and not model.skipped):
        facts.append(("verification", _verified(model.verification)))
        coverage = model.verification.coverage if model.verification is not None else None
        if coverage is not None:
            facts.append(("coverage", plain_text(coverage_words(coverage.nodes, coverage.reached, coverage.never))))
        golden = model.verification.golden if model.verification is not None else None
        if golden is not None:
            facts.append(("golden file", plain_text(_near(golden))))
        judges = "" if model.verification is None else judges_words(judgement_document(model.verification.judgement))
        if judges:
            facts.append(("judges", plain_text(judges)))
        structure = model.verification.structure if model.verification is not None else None
        if structure is not None:
            facts.append(("proof", plain_text(_proved(structure))))
    if model.confinement is not None:
        facts.append(("confinement", plain_text(_confined(model.confinement))))
    if model.seconds:
        steps = ", ".join(f"{step} {seconds:.2f}" for step, seconds in model.seconds.items())
        facts.append(("seconds", plain_text(steps)))
    yield Indented(_pairs(facts))
    for meta_graph in model.meta_graphs:
        yield _BLANK
        yield from _meta_graph(meta_graph)
    if model.keras is not None:
        yield _BLANK
        yield from _keras(model.keras)
    if model.checkpoint is not None:
        yield _BLANK
        yield from _checkpoint(model.checkpoint)
    yield from _dangerous_ops(model.dangerous_ops, is_planned=not isinstance(model.outcome, Refused))
    if model.findings:
        yield _BLANK
        yield text("findings", "bold")
        yield Indented(findings_table(model.findings))
    yield from proposals(model)
    if model.verification is not None:
        yield from _verification_details(model.verification)


def _dangerous_ops(found: Sequence[DangerousOp], is_planned: bool) -> Iterator[Block]:
    """What can do more than compute, but for the ops that savers and tables are made of; JSON has those, too.

    That nothing reaches an op is not told of a refused model: the refusal may be about this op.
    """
    shown = [dangerous for dangerous in found if not dangerous.standard]
    if not shown:
        return
    yield _BLANK
    yield text("dangerous ops", "bold")
    rows = []
    for dangerous in shown:
        place = dangerous.where if dangerous.reached or not is_planned else f"{dangerous.where}, which nothing reaches"
        rows.append((plain_text(dangerous.op), text(dangerous.effect, "yellow"), plain_text(place)))
        rows.append((_BLANK, _BLANK, plain_text(f"nodes: {_names(dangerous.nodes)}")))
    yield Indented(Table(tuple(rows), fixed=frozenset({0, 1})))


def proposals(model: ModelReport) -> Iterator[Block]:
    """Flags to copy, each in one line of its own; what a hint has shown already is not there again."""
    hints = "\n".join(finding.hint for finding in model.findings)
    flags = [flag for flag in map(to_copy, model.proposals) if flag not in hints]
    if not flags:
        return
    yield _BLANK
    yield text("other proposed signatures" if len(flags) < len(model.proposals) else "proposed signatures", "bold")
    for flag in flags:
        yield text(f"  {flag}", wrapped=False)


def headline(model: ModelReport) -> Iterator[Block]:
    """The name of a model, and how it ended."""
    color = color_of(model, good=isinstance(model.outcome, GOOD_OUTCOMES))
    verdict = (_verdict(model), f"bold {color}")
    yield Text(((unbroken(visible(model.title)), "bold"), (": ", ""), verdict))
    detail = _detail(model)
    if detail:
        yield Indented(text(detail))


def _verdict(model: ModelReport) -> str:
    match model.outcome:
        case Convertible():
            return "can be converted"
        case AlreadyTF2():
            return "is a TF2 SavedModel already; convert copies it as it is"
        case Unreadable():
            return f"cannot be read{', as expected' if model.expected else ''}"
        case Refused():
            known = " as expected" if model.expected else ""
            return f"refused{known}, {count_words(len(model.refusals), 'blocking finding')}"
        case Mismatched(reason=reason):
            return f"mismatched: {visible(reason)}"
        case Unverified():
            return "unverified; nothing differs, and not everything was compared"
        case Crashed(step=step, call=call, calls=calls):
            at = f", at call {call}{f' of {calls}' if calls else ''}" if call else ""
            return f"crashed in the step {step}{at}"
        case TimedOut(step=step, seconds=seconds):
            return f"timed out after {seconds:g} seconds in the step {step}"
        case Unchanged():
            return "unchanged; it is a TF2 SavedModel already and was copied as it is"
        case _:
            return outcome_words(model)


def _detail(model: ModelReport) -> str:
    match model.outcome:
        case Unreadable(reason=reason) | Unverified(reason=reason) | Failed(reason=reason):
            return visible(reason)
        case Crashed(exit_code=code, stderr_tail=tail):
            return f"{_ended(code)}\n{visible_lines(tail)}".rstrip()
        case TimedOut(stderr_tail=tail):
            return visible_lines(tail)
        case _:
            return ""


def _ended(code: int) -> str:
    """How a process ended, as `subprocess` counts exit codes."""
    if code >= 0:
        return f"exit code {code}"
    import signal

    try:
        name = f" ({signal.Signals(-code).name})"
    except ValueError:
        name = ""
    hint = "; the kernel sends it when memory runs out" if -code == signal.SIGKILL else ""
    return f"killed by signal {-code}{name}{hint}"


def _could_be_verified(model: ModelReport) -> bool:
    """Whether a reader may take silence for a pass: something was written or was to be."""
    return not isinstance(model.outcome, Convertible | AlreadyTF2 | Unreadable | Refused | Unchanged)


def _confined(confined: Confined) -> str:
    parts = [f"Landlock {confined.landlock}"] if confined.landlock else []
    parts += ["seccomp"] if confined.seccomp else []
    words = ", ".join(parts) or "not confined"
    words += f" ({confined.reason})" if confined.reason else ""
    return words + (f"; lifted for {', '.join(confined.lifted)} by --allow_side_effects" if confined.lifted else "")


def _verified(verification: Verification | None) -> Text:
    if verification is None:
        return text("not verified", "yellow")
    compared = f"{count_words(verification.calls, 'call')}, {count_words(verification.compared, 'output')} compared"
    if verification.breaking:
        return text(f"differs: {compared}, {count_words(len(verification.breaking), 'mismatch', 'es')}", "red")
    if not verification.values and verification.structure is not None and verification.passed:
        return text("proved from the graphs alone: no answer, gradient or loss was compared", "green")
    if not verification.values:
        return text(f"unverified: {compared}, not one value among them", "yellow")
    by_value = sum(output.calls for output in verification.outputs)
    closeness = "bit for bit" if verification.bitwise_equal else _distance(verification)
    if by_value < verification.compared:
        closeness = f"{by_value:,} {closeness}, {verification.compared - by_value:,} by form alone"
    counts = ((verification.variables_compared, "variable"), (verification.gradients_compared, "gradient"))
    more = ", ".join(count_words(count, what) for count, what in counts if count)
    also = f"; {more}" if more else ""
    if verification.seeded:
        also += f"; {count_words(len(verification.seeded), 'output')} of random ops compared under the same seeds"
    if verification.subnormal:
        also += f"; {count_words(verification.subnormal, 'value')} below the smallest normal number counted as zero"
    also += "" if verification.level == FULL else f" (--verify={verification.level})"
    if verification.unverified:
        return text(f"unverified: {compared}, {closeness}{also}", "yellow")
    return text(f"verified: {compared}, {closeness}{also}", "green")


def _near(golden: GoldenFile) -> str:
    """How far the new model is from the answers of a golden file."""
    outputs = count_words(sum(output.calls for output in golden.outputs), "output")
    found = f"{visible(golden.file)} ({visible(golden.by)}): {count_words(golden.calls, 'call')}, {outputs}"
    worst = max(golden.outputs, key=lambda output: output.relative, default=None)
    if worst is None:
        return f"{found}, no value compared"
    if all(output.equal for output in golden.outputs):
        return f"{found}, all equal"
    place = visible(f"{worst.signature}/{worst.output}")
    return f"{found}, at most {worst.largest:.3g} apart in {place}, {worst.relative:.1e} of the largest in its tensor"


def _proved(structure: Structure) -> str:
    """How much is proved, and the first thing that is not."""
    outputs = f"{len(structure.outputs_proved):,} of {count_words(structure.outputs, 'output')}"
    if structure.outputs_unordered:
        outputs += f", {len(structure.outputs_unordered):,} as one of the answers that TF1 leaves open"
    found = f"{outputs}, {structure.variables_proved:,} of {count_words(structure.variables, 'variable')}"
    for what, why in structure.not_proved.items():
        others = len(structure.not_proved) - 1
        return f"{found}; not {what} ({why})" + (f" and {others:,} more" if others else "")
    return found


def _distance(verification: Verification) -> str:
    ulps, absolute = verification.max_ulps, verification.max_abs_difference
    if not ulps and verification.golden is not None:
        return f"at most {absolute:.3g} apart"
    return f"at most {ulps:,} ulps and {absolute:.3g} apart"


def _meta_graph(facts: MetaGraphFacts) -> Iterator[Block]:
    tags = ", ".join(sorted(facts.tags)) or "no tags"
    yield text(f"meta graph {visible(tags)}", "bold")
    size = [count_words(facts.nodes, "node"), count_words(len(facts.ops), "op")]
    if facts.functions:
        size.append(count_words(len(facts.functions), "function"))
    if facts.control_flow_nodes:
        size.append(f"{facts.control_flow_nodes:,} of them control flow")
    pairs = [("TensorFlow", plain_text(facts.tf_version or "not said")), ("graph", plain_text(", ".join(size)))]
    pairs.append(("variables", plain_text(_variables(facts.variables))))
    for label, names in (("tables", facts.tables), ("assets", facts.assets), ("init ops", facts.init_ops)):
        if names:
            pairs.append((label, plain_text(f"{len(names):,}: {_names(names)}")))
    yield Indented(_pairs(pairs))
    if not facts.signatures:
        yield Indented(text("no signatures", "yellow"))
    for signature in sorted(facts.signatures, key=lambda signature: signature.key):
        yield _BLANK
        yield from _signature(signature)


def _keras(facts: KerasFacts) -> Iterator[Block]:
    version = facts.keras_version or ("3" if facts.runtime == "keras" else "1 or 2, which the file does not say")
    backend = f", on {facts.backend}" if facts.backend not in ("", "tensorflow") else ""
    pairs = [("written by", plain_text(f"Keras {version}{backend}")), ("loaded by", plain_text(facts.runtime))]
    if facts.layers:
        counts = ", ".join(f"{count:,} {name}" for name, count in list(facts.layers.items())[:_NAMES_SHOWN])
        more = ", ..." if len(facts.layers) > _NAMES_SHOWN else ""
        pairs.append(("layers", plain_text(f"{sum(facts.layers.values()):,}: {counts}{more}")))
    pairs.append(("weights", plain_text(_sizes(facts.variables))))
    if facts.optimizer:
        pairs.append(
            ("optimizer", plain_text(f"{facts.optimizer}, {count_words(facts.optimizer_variables, 'variable')} stored"))
        )
    for label, names in (("custom", facts.custom), ("bytecode", facts.code)):
        if names:
            pairs.append((label, plain_text(f"{len(names):,}: {_names(names)}")))
    yield Indented(_pairs(pairs))
    if facts.signature is not None:
        yield _BLANK
        yield from _signature(facts.signature)


def _variables(variables: Sequence[VariableFacts]) -> str:
    if not variables:
        return "none"
    resource = sum(variable.is_resource for variable in variables)
    kinds = {"ref": len(variables) - resource, "resource": resource}
    parts = [f"{count_words(len(variables), 'variable')} ({tally(kinds)})", _bulk(variables)]
    parts.append(f"{sum(variable.trainable for variable in variables):,} trainable")
    idle = sum(variable.needed is False for variable in variables)
    if idle:
        parts.append(f"{idle:,} that no signature and no init op reaches")
    return ", ".join(parts)


def _sizes(variables: Sequence[VariableFacts]) -> str:
    return f"{count_words(len(variables), 'tensor')}, {_bulk(variables)}" if variables else "none"


def _bulk(variables: Sequence[VariableFacts]) -> str:
    """How many numbers there are, and how many bytes."""
    sizes = [_elements(variable.shape) for variable in variables]
    known = sum(size for size in sizes if size is not None)
    at_least = "at least " if None in sizes else ""
    parts = [f"{at_least}{count_words(known, 'parameter')}"]
    stored = [
        size * each
        for size, variable in zip(sizes, variables, strict=True)
        if size is not None and (each := size_of(variable.dtype)) is not None
    ]
    at_least = "at least " if len(stored) < len(variables) else ""
    parts.append(f"{at_least}{size_words(sum(stored))}")
    return ", ".join(parts)


def _checkpoint(facts: CheckpointFacts) -> Iterator[Block]:
    based = "object-based" if facts.object_based else "name-based"
    size = sum(tensor.bytes or 0 for tensor in facts.tensors)
    yield text(f"checkpoint {visible(os.path.basename(facts.path))}", "bold")
    told = f"{facts.format}, {based}, {count_words(facts.shards, 'data file')}"
    tensors = f"{count_words(len(facts.tensors), 'tensor')}, {size_words(size)}"
    yield Indented(_pairs([("format", plain_text(told)), ("tensors", plain_text(tensors))]))
    if not facts.tensors:
        return
    rows = []
    for tensor in facts.tensors:
        stored = "" if tensor.bytes is None else size_words(tensor.bytes)
        slices = f"in {count_words(tensor.slices, 'slice')}" if tensor.slices else ""
        row = (visible(tensor.name), tensor.dtype, _shape(tensor.shape), stored, slices)
        rows.append(tuple(map(text, row)))
    yield _BLANK
    yield Indented(Table(tuple(rows), fixed=frozenset({1, 2, 3, 4})))


def _signature(signature: Signature) -> Iterator[Block]:
    method = visible(signature.method_name.removeprefix("tensorflow/serving/"))
    told = f", method {method}" if method else ", no method name"
    yield Indented(Text((("signature ", ""), (visible(signature.key) or "''", "bold"), (told, ""))))
    rows = []
    for direction, tensors in (("in", signature.inputs), ("out", signature.outputs)):
        for name, spec in sorted(tensors.items()):
            encoding = "" if spec.encoding == "dense" else f"{spec.encoding} "
            row = (name_text(name), plain_text(spec.dtype), plain_text(f"{encoding}{_shape(spec.shape)}"))
            rows.append((text(f"  {direction}", "dim"), *row))
    yield Indented(Table(tuple(rows), fixed=frozenset({0})))


def findings_table(findings: Sequence[Finding]) -> Table:
    """Findings with their messages, nodes and hints."""
    rows = []
    for finding in findings:
        severity = text(finding.severity.value, STYLES[finding.severity])
        rows.append((severity, text(visible(finding.code), "bold")))
        rows.append((_BLANK, plain_text(finding.message)))
        if finding.nodes:
            rows.append((_BLANK, plain_text(f"{about(finding.code)}: {_names(finding.nodes)}")))
        if finding.hint:
            rows += [(_BLANK, line) for line in labelled("hint", finding.hint)]
        # To be copied: no line of it is broken.
        rows += [(_BLANK, Text(((visible(line), ""),), wrapped=False)) for line in finding.template.splitlines()]
    return Table(tuple(rows), fixed=frozenset({0}))


def _verification_details(verification: Verification) -> Iterator[Block]:
    if verification.mismatches:
        yield _BLANK
        yield text("differences", "bold")
        yield from mismatches(verification)
    if verification.unverified:
        yield _BLANK
        yield text("no value was compared of", "bold")
        yield Indented(_pairs([(what, plain_text(why)) for what, why in verification.unverified.items()]))
    failing = {key: why for key, why in verification.skipped.items() if key not in verification.unverified}
    if failing:
        yield _BLANK
        yield text("signatures whose calls fail in TF1, too", "bold")
        yield Indented(_pairs([(key, plain_text(why)) for key, why in sorted(failing.items())]))


def mismatches(verification: Verification) -> Iterator[Block]:
    """Where the answers differ."""
    shown = verification.mismatches[:_MISMATCHES_SHOWN]
    for mismatch in shown:
        # A call that gave no answer differs as a whole.
        places = [mismatch.signature, f"output {mismatch.output}" if mismatch.output else ""]
        places += [f"call {mismatch.call}" if mismatch.call >= 0 else "", mismatch.path]
        yield Indented(text(visible(", ".join(filter(None, places))), "bold"))
        said = (mismatch.reason, f"{mismatch.code}, breaks {', '.join(mismatch.clients) or 'nobody'}")
        yield Indented(Table(tuple((_BLANK, plain_text(line)) for line in said)))
    hidden = len(verification.mismatches) - len(shown)
    if hidden:
        yield Indented(text(f"and {hidden:,} more; --format=json lists all"))


def color_of(model: ModelReport, good: bool) -> str:
    """The color in which an outcome is shown."""
    return "green" if good else "yellow" if isinstance(model.outcome, Unverified) else "red"


def outcome_words(model: ModelReport) -> str:
    """The outcome in a word, and for a new model whether it was verified: silence would read as yes."""
    word = outcome_name(model.outcome).replace("_", " ").replace("tf2", "TF2")
    if isinstance(model.outcome, Converted) and not (model.skipped and model.verification is None):
        verified = model.verification is not None and model.verification.passed
        word += ", verified" if verified else ", not verified"
    word += ", as expected" if model.expected else ""
    return f"{word}, before" if model.skipped else word


# Building blocks.


def _pairs(pairs: Sequence[tuple[str, Text]]) -> Table:
    return Table(tuple((text(visible(label), "dim"), value) for label, value in pairs))


def name_text(content: str) -> Text:
    """A name, which is not broken."""
    return text(unbroken(visible(content)))


def plain_text(content: str) -> Text:
    """Text without a style."""
    return text(visible(content))


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(unbroken(visible(name)) for name in names[:_NAMES_SHOWN])
    hidden = len(names) - _NAMES_SHOWN
    return f"{shown} and {hidden:,} more" if hidden > 0 else shown


def _shape(shape: Shape) -> str:
    if shape is None:
        return "<unknown>"
    return f"({', '.join('None' if size is None else str(size) for size in shape)})"


def _elements(shape: Shape) -> int | None:
    if shape is None:
        return None
    known = [size for size in shape if size is not None]
    return math.prod(known) if len(known) == len(shape) else None
