"""The run that answers each signature, and what a caller feeds it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from migrate.checks.randomness import RANDOM_OPS
from migrate.errors import count_words, first_few
from migrate.frozen import frozen
from migrate.graph import contract
from migrate.graph.control_flow_contexts import SWITCHES
from migrate.graph.dtypes import base_name, dtype_value
from migrate.graph.graph import PLACEHOLDERS, Nodes, Run, canonical, data_inputs, prune, split
from migrate.graph.nodes import giver
from migrate.graph.output_dtypes import missing_tensor
from migrate.graph.protos import FunctionDefLibrary, NodeDef, TensorProto, TensorShapeProto
from migrate.plan.functions import unrunnable
from migrate.plan.records import SignaturePlan, SourceGraph
from migrate.records import Finding, Severity, Signature, TensorSpec, refusal
from migrate.rewrite import ops
from migrate.rewrite.engine import Rewritten, rewrite
from migrate.rewrite.file_access import find_file_access
from migrate.rewrite.ordering import Unordered, finding, unordered_outputs


@frozen
class PlannedSignatures:
    """What becomes of a graph's signatures.

    Attributes:
      plans: of those that can be converted.
      findings: what a user should know of all of them, refusals included.
      dropped: how many were left out.
    """

    plans: tuple[SignaturePlan, ...]
    findings: tuple[Finding, ...]
    dropped: int


def plan_signatures(source: SourceGraph, drop: bool) -> PlannedSignatures:
    """Plans all signatures of a graph.

    Args:
      source: the graph.
      drop: leave those out that cannot be converted, with a warning, instead of refusing.
    """
    results = [(signature, plan_signature(source, signature)) for signature in contract.signatures(source.meta_graph)]
    answered = any(isinstance(result, SignaturePlan) for _, result in results)
    plans: list[SignaturePlan] = []
    findings: list[Finding] = []
    dropped = 0
    for signature, result in results:
        if not isinstance(result, SignaturePlan) and answered and not drop:
            failing = plan_signature(source, signature, unfed=True)
            if isinstance(failing, SignaturePlan):
                findings.extend(_failing(problem) for problem in result)
                result = failing
        if isinstance(result, SignaturePlan):
            plans.append(result)
            findings.extend(_forgiven(source.nodes, signature))
            warning = finding(f"signature {signature.key!r}", result.unordered)
            findings.extend([warning] if warning else [])
        elif drop:
            dropped += 1
            findings.extend(_dropped(problem, signature.key) for problem in result)
        else:
            findings.extend(_or_drop(problem) if answered else problem for problem in result)
    drawn, shared = _with_shared_draws(plans, source.library)
    return PlannedSignatures(tuple(drawn), (*findings, *shared), dropped)


def plan_signature(
    source: SourceGraph, signature: Signature, targets: tuple[str, ...] = (), unfed: bool = False
) -> SignaturePlan | tuple[Finding, ...]:
    """Plans one signature, or gives all refusals.

    Args:
      source: the graph.
      signature: what is fed and fetched.
      targets: names of nodes that the same call runs for their effect.
      unfed: keep placeholders that the signature does not feed; each call then fails, as in TF1.
    """
    where = f"signature {signature.key!r}"
    problem = _unanswerable(source, signature, where)
    if problem is not None:
        return (problem,)
    fetches = [canonical(t) for spec in signature.outputs.values() for t in spec.tensors]
    feeds = feeds_of(source.nodes, signature)
    run = prune(source.nodes, where, feeds, tuple(dict.fromkeys(fetches)), targets)
    folded, dead = _folded(run)
    problems = () if unfed else unfed_placeholders(run, where, dead)
    if problems:
        return problems
    problems = find_file_access(run, source.library, is_load=False)
    result = rewrite(folded, source.ref_ops)
    if not isinstance(result, Rewritten):
        return (*problems, *result, *unrunnable(folded.graph, source.library))
    problems = (*problems, *unrunnable(result.graph, source.library))
    if problems:
        return problems
    unordered = _unordered(source, signature, result)
    return SignaturePlan(signature, result, unordered, _defaults(source.nodes, signature), fails=unfed)


def _unanswerable(source: SourceGraph, signature: Signature, where: str) -> Finding | None:
    """Why no Session could answer a signature, as far as the tensors that it names say so."""
    both = (signature.inputs, signature.outputs)
    missing = [
        (name, tensor, why)
        for names in both
        for name, spec in names.items()
        for tensor in spec.tensors
        if (why := missing_tensor(canonical(tensor), source.nodes, source.functions))
    ]
    if missing:
        name, tensor, why = missing[0]
        message = f"{where}: {name!r} names the tensor {tensor!r}, {why}"
        return refusal("signature-tensor-missing", message, tuple(tensor for _, tensor, _ in missing))
    composite = [name for names in both for name, spec in names.items() if spec.encoding == "composite"]
    if composite:
        message = f"{where}: {composite[0]!r} is a composite tensor, which no TF1 Session feeds"
        return refusal("composite-tensor", message, (composite[0],))
    if not signature.outputs:
        return refusal("signature-without-outputs", f"{where} has no outputs, so nothing answers a call")
    return None


def _unordered(source: SourceGraph, signature: Signature, result: Rewritten) -> tuple[tuple[str, Unordered], ...]:
    """The outputs without a defined answer, by name."""
    found = {u.tensor: u for u in unordered_outputs(result.graph, result.fetches.values(), source.functions)}
    return tuple(
        (name, found[result.fetches[canonical(t)]])
        for name, spec in signature.outputs.items()
        for t in spec.tensors
        if result.fetches[canonical(t)] in found
    )


def _folded(run: Run) -> tuple[Run, frozenset[str]]:
    """A run without the branches that cannot run, and what never runs in it."""
    if not run.graph.has(SWITCHES):
        return run, frozenset()
    from migrate.rewrite.fold import fold

    result = fold(run)
    return result.run, result.dead


_PASSES = frozenset({"Identity"})


def _defaults(nodes: Mapping[str, NodeDef], signature: Signature) -> dict[str, TensorProto]:
    found = {}
    for name, spec in signature.inputs.items():
        node = nodes[split(canonical(spec.tensors[0]))[0]]
        if spec.encoding != "dense" or node.op != "PlaceholderWithDefault":
            continue
        taken = data_inputs(node)  # What is behind a fed tensor is in no run, so nobody has looked at it.
        source = giver(nodes, taken[0], _PASSES) if taken else None
        if source is not None and source.op == "Const":
            found[name] = source.attr["value"].tensor
    return found


def feeds_of(nodes: Nodes, signature: Signature) -> dict[str, tuple[int, object]]:
    """DataType value and shape of each tensor that a signature feeds, by full name, as `prune` takes them."""
    return {
        tensor: (dtype, shape)
        for spec in signature.inputs.values()
        for tensor, dtype, shape in fed_tensors(nodes, spec)
    }


def fed_tensors(nodes: Nodes, spec: TensorSpec) -> list[tuple[str, int, TensorShapeProto | None]]:
    """Full name, DataType value and shape of the tensors that a signature input feeds.

    What a placeholder says of itself wins over the TensorInfo: a v1 Session checks feeds against it.
    """
    if spec.encoding == "coo_sparse":
        values, indices, dense_shape = (canonical(t) for t in spec.components)
        return [
            (indices, *_declared(nodes, indices, _DT_INT64, None)),
            (values, *_declared(nodes, values, dtype_value(spec.dtype), None)),
            (dense_shape, *_declared(nodes, dense_shape, _DT_INT64, None)),
        ]
    tensor = canonical(spec.name)
    return [(tensor, *_declared(nodes, tensor, dtype_value(spec.dtype), _shape_proto(spec)))]


def _declared(
    nodes: Nodes, tensor: str, dtype: int, shape: TensorShapeProto | None
) -> tuple[int, TensorShapeProto | None]:
    name, output = split(tensor)
    node = nodes[name]
    if output == 0 and (node.op in PLACEHOLDERS or node.op in ("PlaceholderWithDefault", *ops.VARIABLES)):
        return node.attr["dtype"].type, fed_shape(node, nodes.producer)
    for key in ("T", "dtype", "DstT", "output_type"):
        if key in node.attr and node.attr[key].type and output == 0 and node.op in _TYPED_BY_T:
            return node.attr[key].type, shape
    return dtype, shape


def fed_shape(node: NodeDef, producer: int | None) -> TensorShapeProto | None:
    """The shape that a placeholder or variable asks of what is fed; None for any.

    Args:
      node: has an attribute `shape`, or takes any shape.
      producer: version of its GraphDef. Until 21 a Placeholder without dimensions took any shape (array_ops.cc).
    """
    if "shape" not in node.attr or node.attr["shape"].shape.unknown_rank:
        return None
    shape = node.attr["shape"].shape
    is_old = producer is not None and producer <= _LAST_WITHOUT_SCALARS
    return None if is_old and node.op == "Placeholder" and not shape.dim else shape


_LAST_WITHOUT_SCALARS = 21
_TYPED_BY_T = frozenset({"Identity", "Reshape", "ExpandDims", "Squeeze", "Const", "Cast"})
_DT_INT64 = dtype_value("int64")


def _shape_proto(spec: TensorSpec) -> TensorShapeProto | None:
    if spec.shape is None:
        return None
    return TensorShapeProto(dim=[TensorShapeProto.Dim(size=-1 if d is None else d) for d in spec.shape])


def _forgiven(nodes: Nodes, signature: Signature) -> Iterator[Finding]:
    """What TF1 did not mind in a signature and this conversion puts right."""
    where = f"signature {signature.key!r}"
    for name, spec in signature.inputs.items():
        if spec.encoding != "dense":
            continue
        tensor, dtype, _ = fed_tensors(nodes, spec)[0]
        if base_name(dtype) != spec.dtype:
            yield Finding(
                "tensor-info-dtype",
                Severity.WARNING,
                f"{where}: input {name!r} says {spec.dtype}, {tensor!r} is {base_name(dtype)}; the new signature says "
                "the latter",
                (tensor,),
            )
        if nodes[split(tensor)[0]].op == "PlaceholderWithDefault":
            yield Finding(
                "input-default",
                Severity.NOTE,
                f"{where}: input {name!r} has a default; Session clients may leave it out as before, callers of the "
                "loaded function must give it",
                (tensor,),
            )
    if not signature.method_name:
        yield Finding("method-name-empty", Severity.NOTE, f"{where} has an empty method name; kept")


def unfed_placeholders(run: Run, where: str, dead: frozenset[str] = frozenset()) -> tuple[Finding, ...]:
    """A refusal of a run that needs placeholders which nobody feeds.

    Args:
      run: as the source has it.
      where: what it is for.
      dead: names of nodes that never run (`fold`).
    """
    fed = set(run.feeds.values())
    names = [name for name in run.graph.named(PLACEHOLDERS) if name not in fed and name not in dead]
    if not names:
        return ()
    from migrate.checks.feeds import can_be_fed  # Few models have such placeholders.

    others = [name for name in names if not can_be_fed(run.graph.nodes[name].attr["dtype"].type)]
    return (
        refusal(
            "unfed-placeholder",
            f"{where} needs {count_words(len(names), 'placeholder')} that it does not feed, so no call can succeed: "
            f"{first_few(names, 3)}",
            tuple(names),
            "give them a value with --feed" if not others else f"no value can be written for {others[0]!r}",
        ),
    )


def _or_drop(problem: Finding) -> Finding:
    """A signature's refusal where another signature of the model can be answered."""
    hint = "leave this signature out with --drop_signatures"
    return dataclasses.replace(problem, hint=f"{problem.hint}, or {hint}" if problem.hint else hint)


def _dropped(problem: Finding, key: str) -> Finding:
    """The warning of a signature that is left out."""
    return dataclasses.replace(
        problem, severity=Severity.WARNING, message=f"signature {key!r} dropped: {problem.message}"
    )


def _failing(problem: Finding) -> Finding:
    """The warning of a signature whose every call fails."""
    return dataclasses.replace(
        problem,
        severity=Severity.WARNING,
        message=f"{problem.message}; kept, and each call of it fails with InvalidArgumentError as in TF1",
    )


def _with_shared_draws(
    plans: Sequence[SignaturePlan], library: FunctionDefLibrary
) -> tuple[Sequence[SignaturePlan], tuple[Finding, ...]]:
    """The signatures with what is known of random sequences that they share, and a warning."""
    if len(plans) < 2 or not any(p.run.graph.has(RANDOM_OPS) or library.function for p in plans):
        return plans, ()
    from migrate.rewrite import shared_draws

    drawn = shared_draws.shared_draws(
        {p.signature.key: p.run.graph for p in plans},
        {
            p.signature.key: {
                name: [p.run.fetches[canonical(t)] for t in spec.tensors] for name, spec in p.signature.outputs.items()
            }
            for p in plans
        },
        library.function,
    )
    warning = shared_draws.finding(drawn)
    if warning is None:
        return plans, ()
    found = [
        dataclasses.replace(p, drawn=tuple(d.output for d in drawn if d.signature == p.signature.key)) for p in plans
    ]
    return found, (warning,)
