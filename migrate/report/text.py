"""A report as text, for people: one model in full, or many as a table with the details of what went wrong."""

from __future__ import annotations

import dataclasses
import math
import os
from collections import Counter
from collections.abc import Iterator, Sequence

from migrate.config import flags_to_take
from migrate.escapes import visible, visible_lines
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
    KerasFacts,
    MetaGraphFacts,
    Mismatched,
    ModelReport,
    Refused,
    Report,
    Severity,
    Shape,
    Signature,
    Space,
    TimedOut,
    Unchanged,
    Unreadable,
    Unverified,
    VariableFacts,
    Verification,
    chosen_meta_graph,
    outcome_name,
)
from migrate.report.flags_in_text import labelled
from migrate.report.labels import count_words, short_names, size_words, tally
from migrate.report.layout import Block, Indented, Table, Text, text, unbroken
from migrate.report.layout import render as lay_out
from migrate.signature_flag import to_copy
from migrate.sources.forms import LABELS
from migrate.sources.sizes import size_of

_NAMES_SHOWN = 5
_MISMATCHES_SHOWN = 20
_BLANK = text("")
_NARROW = 80  # below this a table row of a model has no room for its kind and TensorFlow version

STYLES = {Severity.NOTE: "cyan", Severity.WARNING: "yellow", Severity.REFUSAL: "red"}


def cells(model: ModelReport) -> tuple[Text, Text, Text, Text]:
    """What a table has of a model: its kind, the version that wrote it, and the numbers of signatures and variables."""
    facts, keras = chosen_meta_graph(model), model.keras
    return (
        text(LABELS[model.kind].short),
        _text(facts.tf_version if facts else keras.keras_version if keras else ""),
        text(f"{len(facts.signatures):,}" if facts else "1" if keras and keras.signature else ""),
        text(f"{len(facts.variables):,}" if facts else f"{len(keras.variables):,}" if keras else ""),
    )


def render(report: Report, width: int, color: bool = False) -> str:
    """Gives the report as lines of at most `width` columns; without `color` it is plain text."""
    return lay_out(_report(report, width), max(width, 20), color)


def render_bad(report: Report, width: int, color: bool = False) -> str:
    """Gives what is to be said of the models that are not good; nothing where all are."""
    return lay_out((block for model in _bad(report) for block in _trouble(model)), max(width, 20), color)


def _bad(report: Report) -> list[ModelReport]:
    return [model for model in report.models if not model.ok]


def _report(report: Report, width: int) -> Iterator[Block]:
    if len(report.models) == 1:
        yield from _model(report.models[0])
        yield from ((_space(report.space),) if report.space else ())
        return
    yield _overview(report, width)
    for model in _bad(report):
        yield _BLANK
        yield from _trouble(model)
    yield _BLANK
    yield _totals(report)
    if report.space:
        yield _space(report.space)


# One model in full.


def _model(model: ModelReport) -> Iterator[Block]:
    yield from _headline(model)
    yield _BLANK
    facts = [("kind", _text(LABELS[model.kind].long))]
    if model.is_validation:
        facts.append(("against", _name(model.source)))
    elif model.destination is not None:
        facts.append(("destination", _name(model.destination)))
    if model.proposed is not None and isinstance(model.outcome, Refused):
        flags = " ".join(flags_to_take(model.proposed))
        facts.append(("ready with", Text(((flags, "yellow"),), wrapped=False)))
    if model.duplicate_of is not None:
        facts.append(("duplicate of", _name(model.duplicate_of)))
    if model.skipped:
        facts.append(("skipped", _text("done before, and nothing has changed since")))
    if model.verification is not None or (_could_be_verified(model) and not model.skipped):
        facts.append(("verification", _verified(model.verification)))
    if model.confinement is not None:
        facts.append(("confinement", _text(_confined(model.confinement))))
    if model.seconds:
        steps = ", ".join(f"{step} {seconds:.2f}" for step, seconds in model.seconds.items())
        facts.append(("seconds", _text(steps)))
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
    yield from _dangerous_ops(model.dangerous_ops)
    if model.findings:
        yield _BLANK
        yield text("findings", "bold")
        yield Indented(_findings(model.findings))
    yield from _proposals(model)
    if model.verification is not None:
        yield from _verification_details(model.verification)


def _dangerous_ops(found: Sequence[DangerousOp]) -> Iterator[Block]:
    """What can do more than compute, but for the ops that savers and tables are made of; JSON has those, too."""
    shown = [dangerous for dangerous in found if not dangerous.standard]
    if not shown:
        return
    yield _BLANK
    yield text("dangerous ops", "bold")
    rows = []
    for dangerous in shown:
        place = dangerous.where if dangerous.reached else f"{dangerous.where}, which nothing reaches"
        rows.append((_text(dangerous.op), text(dangerous.effect, "yellow"), _text(place)))
        rows.append((_BLANK, _BLANK, _text(f"nodes: {_names(dangerous.nodes)}")))
    yield Indented(Table(tuple(rows), fixed=frozenset({0, 1})))


def _proposals(model: ModelReport) -> Iterator[Block]:
    """Flags to copy, each in one line of its own; what a hint has shown already is not there again."""
    hints = "\n".join(finding.hint for finding in model.findings)
    flags = [flag for flag in map(to_copy, model.proposals) if flag not in hints]
    if not flags:
        return
    yield _BLANK
    yield text("other proposed signatures" if len(flags) < len(model.proposals) else "proposed signatures", "bold")
    for flag in flags:
        yield text(f"  {flag}", wrapped=False)


def _headline(model: ModelReport) -> Iterator[Block]:
    color = _color(model, good=isinstance(model.outcome, GOOD_OUTCOMES))
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
            return "cannot be read"
        case Refused():
            known = " as expected" if model.expected else ""
            return f"refused{known}, {count_words(len(model.refusals), 'finding')} in the way"
        case Mismatched(reason=reason):
            return f"mismatched: {visible(reason)}"
        case Unverified():
            return "unverified; nothing differs, and not everything was compared"
        case Crashed(step=step):
            return f"crashed in the step {step}"
        case TimedOut(step=step, seconds=seconds):
            return f"timed out after {seconds:g} seconds in the step {step}"
        case Unchanged():
            return "unchanged; it is a TF2 SavedModel already and was copied as it is"
        case _:
            return _outcome(model)


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
    if verification.mismatches:
        return text(f"differs: {compared}, {count_words(len(verification.mismatches), 'mismatch', 'es')}", "red")
    if not verification.values:
        return text(f"unverified: {compared}, not one value among them", "yellow")
    by_value = sum(output.calls for output in verification.outputs)
    closeness = "bit for bit" if verification.bitwise_equal else _distance(verification)
    if by_value < verification.compared:
        closeness = f"{by_value:,} {closeness}, {verification.compared - by_value:,} by form alone"
    variables = verification.variables_compared
    also = f"; {count_words(variables, 'variable')} compared with the checkpoint" if variables else ""
    if verification.unverified:
        return text(f"unverified: {compared}, {closeness}{also}", "yellow")
    return text(f"verified: {compared}, {closeness}{also}", "green")


def _distance(verification: Verification) -> str:
    ulps, absolute = verification.max_ulps, verification.max_abs_difference
    return f"at most {ulps:,} ulps and {absolute:.3g} apart"


def _meta_graph(facts: MetaGraphFacts) -> Iterator[Block]:
    tags = ", ".join(sorted(facts.tags)) or "no tags"
    yield text(f"meta graph {visible(tags)}", "bold")
    size = [count_words(facts.nodes, "node"), count_words(len(facts.ops), "op")]
    if facts.functions:
        size.append(count_words(len(facts.functions), "function"))
    if facts.control_flow_nodes:
        size.append(f"{facts.control_flow_nodes:,} of them control flow")
    pairs = [("TensorFlow", _text(facts.tf_version or "not said")), ("graph", _text(", ".join(size)))]
    pairs.append(("variables", _text(_variables(facts.variables))))
    for label, names in (("tables", facts.tables), ("assets", facts.assets), ("init ops", facts.init_ops)):
        if names:
            pairs.append((label, _text(f"{len(names):,}: {_names(names)}")))
    yield Indented(_pairs(pairs))
    if not facts.signatures:
        yield Indented(text("no signatures", "yellow"))
    for signature in sorted(facts.signatures, key=lambda signature: signature.key):
        yield _BLANK
        yield from _signature(signature)


def _keras(facts: KerasFacts) -> Iterator[Block]:
    version = facts.keras_version or ("3" if facts.runtime == "keras" else "1 or 2, which the file does not say")
    backend = f", on {facts.backend}" if facts.backend not in ("", "tensorflow") else ""
    pairs = [("written by", _text(f"Keras {version}{backend}")), ("loaded by", _text(facts.runtime))]
    if facts.layers:
        counts = ", ".join(f"{count:,} {name}" for name, count in list(facts.layers.items())[:_NAMES_SHOWN])
        more = ", ..." if len(facts.layers) > _NAMES_SHOWN else ""
        pairs.append(("layers", _text(f"{sum(facts.layers.values()):,}: {counts}{more}")))
    pairs.append(("weights", _text(_sizes(facts.variables))))
    if facts.optimizer:
        pairs.append(
            ("optimizer", _text(f"{facts.optimizer}, {count_words(facts.optimizer_variables, 'variable')} stored"))
        )
    for label, names in (("custom", facts.custom), ("bytecode", facts.code)):
        if names:
            pairs.append((label, _text(f"{len(names):,}: {_names(names)}")))
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
    idle = sum(not variable.needed for variable in variables)
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
    yield Indented(_pairs([("format", _text(told)), ("tensors", _text(tensors))]))
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
    yield Indented(Text((("signature ", ""), (visible(signature.key), "bold"), (told, ""))))
    rows = []
    for direction, tensors in (("in", signature.inputs), ("out", signature.outputs)):
        for name, spec in sorted(tensors.items()):
            encoding = "" if spec.encoding == "dense" else f"{spec.encoding} "
            row = (_name(name), _text(spec.dtype), _text(f"{encoding}{_shape(spec.shape)}"))
            rows.append((text(f"  {direction}", "dim"), *row))
    yield Indented(Table(tuple(rows), fixed=frozenset({0})))


def _findings(findings: Sequence[Finding]) -> Table:
    rows = []
    for finding in findings:
        severity = text(finding.severity.value, STYLES[finding.severity])
        rows.append((severity, text(visible(finding.code), "bold")))
        rows.append((_BLANK, _text(finding.message)))
        if finding.nodes:
            rows.append((_BLANK, _text(f"nodes: {_names(finding.nodes)}")))
        if finding.hint:
            rows += [(_BLANK, line) for line in labelled("hint", finding.hint)]
        # To be copied: no line of it is broken.
        rows += [(_BLANK, Text(((visible(line), ""),), wrapped=False)) for line in finding.template.splitlines()]
    return Table(tuple(rows), fixed=frozenset({0}))


def _verification_details(verification: Verification) -> Iterator[Block]:
    if verification.mismatches:
        yield _BLANK
        yield text("mismatches", "bold")
        yield from _mismatches(verification)
    if verification.unverified:
        yield _BLANK
        yield text("no value was compared of", "bold")
        yield Indented(_pairs([(what, _text(why)) for what, why in verification.unverified.items()]))
    failing = {key: why for key, why in verification.skipped.items() if key not in verification.unverified}
    if failing:
        yield _BLANK
        yield text("signatures whose calls fail in TF1, too", "bold")
        yield Indented(_pairs([(key, _text(why)) for key, why in sorted(failing.items())]))


def _mismatches(verification: Verification) -> Iterator[Block]:
    shown = verification.mismatches[:_MISMATCHES_SHOWN]
    for mismatch in shown:
        # A call that gave no answer differs as a whole.
        output = f"output {mismatch.output}, " if mismatch.output else ""
        place = f"{mismatch.signature}, {output}call {mismatch.call}, {mismatch.path}"
        yield Indented(text(visible(place), "bold"))
        yield Indented(Table(((_BLANK, _text(mismatch.reason)),)))
    hidden = len(verification.mismatches) - len(shown)
    if hidden:
        yield Indented(text(f"and {hidden:,} more; --format=json lists all"))


# Many models.


def _overview(report: Report, width: int) -> Table:
    narrow = width < _NARROW
    names = short_names([model.title for model in report.models])
    if len(set(names)) < len(names):  # One source, converted tag set by tag set.
        tags = [", ".join(sorted(model.meta_graphs[0].tags)) if model.meta_graphs else "" for model in report.models]
        names = [f"{name} {{{tag}}}" for name, tag in zip(names, tags, strict=True)]
    wide_heads = () if narrow else ("kind", "TF")
    heads = ("model", *wide_heads, "outcome", "sigs", "vars", "findings")
    rows = [tuple(text(head, "dim") for head in heads)]
    for name, model in zip(names, report.models, strict=True):
        kind, version, *counts = cells(model)
        wide = () if narrow else (kind, version)
        outcome = text(_outcome(model), _color(model, model.ok))
        rows.append((_name(name), *wide, outcome, *counts, text(f"{len(model.findings):,}")))
    numbers = frozenset(range(len(heads) - 3, len(heads)))
    return Table(tuple(rows), fixed=numbers, right=numbers)


def _color(model: ModelReport, good: bool) -> str:
    return "green" if good else "yellow" if isinstance(model.outcome, Unverified) else "red"


def _outcome(model: ModelReport) -> str:
    """The outcome in a word, and for a new model whether it was verified: silence would read as yes."""
    word = outcome_name(model.outcome).replace("_", " ").replace("tf2", "TF2")
    if isinstance(model.outcome, Converted) and not (model.skipped and model.verification is None):
        verified = model.verification is not None and model.verification.passed
        word += ", verified" if verified else ", not verified"
    word += ", as expected" if model.expected else ""
    return f"{word}, before" if model.skipped else word


def _counted(model: ModelReport) -> str:
    """The words under which totals count a model: what was done before counts as what is done now."""
    return _outcome(dataclasses.replace(model, skipped=False)).replace(", verified", " and verified")


def _trouble(model: ModelReport) -> Iterator[Block]:
    """What went wrong with one model of many: its refusals, else all that was found."""
    yield from _headline(model)
    shown = model.refusals or model.findings
    if shown:
        yield Indented(_findings(shown))
    yield from _proposals(model)
    if model.verification is not None and model.verification.mismatches:
        yield from _mismatches(model.verification)


def _totals(report: Report) -> Text:
    outcomes = Counter(_counted(model) for model in report.models)
    lines = [f"{count_words(len(report.models), 'model')}: {tally(outcomes, '; ')}"]
    way = Counter(code for model in report.models if not model.ok for code in _in_the_way(model))
    if way:
        lines.append(f"in the way, by number of models: {tally(dict(way.most_common()), '; ')}")
    skipped = sum(model.skipped for model in report.models)
    if skipped:
        lines.append(f"{skipped:,} skipped: done before, and neither source nor options have changed since")
    for model in report.models:
        lines += [f"{visible(model.source)}: {visible(said)}" for said in outdated(model)]
    old = sum(any(f.code == "made-by-another-version" for f in model.findings) for model in report.models)
    if old:
        lines.append(f"{old:,} made by other versions of migrate or TensorFlow and kept; --reconvert makes them again")
    copies = sum(model.duplicate_of is not None for model in report.models)
    if copies:
        lines.append(f"{count_words(copies, 'duplicate')} of another model's files, which were converted once")
    if report.not_started:
        lines.append(f"{count_words(report.not_started, 'model')} not started, because --fail_fast stops at the first")
    return text("\n".join(lines), "bold")


def outdated(model: ModelReport) -> list[str]:
    """How a model has ended in another way than its config expects."""
    return [finding.message for finding in model.findings if finding.code == "expectation-outdated"]


def _in_the_way(model: ModelReport) -> set[str]:
    """Codes of what one model was refused for: their numbers show what blocks a fleet."""
    return {finding.code for finding in model.refusals}


def _space(space: Space) -> Text:
    style = "red" if space.needed_bytes > space.free_bytes else "bold"
    return text(f"needs at most {size_words(space.needed_bytes)}; {size_words(space.free_bytes)} are free", style)


# Building blocks.


def _pairs(pairs: Sequence[tuple[str, Text]]) -> Table:
    return Table(tuple((text(visible(label), "dim"), value) for label, value in pairs))


def _name(content: str) -> Text:
    return text(unbroken(visible(content)))


def _text(content: str) -> Text:
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
