"""Which tensor names of the source the new model's main graph can have, for clients that feed and fetch by name.

In the new main graph a signature is one call of a function, which takes all its inputs and does all it does whatever is
fetched. So a name is kept only where feeding and fetching it means what it meant in TF1: a fetched tensor is computed
from the same fed ones, with the same effects. What is not kept is a finding; a client then meets a name that is not
there, never another answer.
"""

from __future__ import annotations

from collections.abc import Mapping

from migrate.checks.nodes import locate
from migrate.frozen import frozen
from migrate.records import Finding, Severity
from migrate.rewrite import ops
from migrate.rewrite.graph import Nodes, ParsedNodes, canonical, prune, split
from migrate.rewrite.plan_records import KeptTensor, Place, Plan, SignaturePlan
from migrate.rewrite.plan_signatures import feeds_of
from migrate.sources.protos import FunctionDefLibrary, MetaGraphDef


@frozen
class TensorNames:
    """What is kept.

    Attributes:
      tensors: by full name in the source.
      findings: what is not kept, and what a client should know of the rest.
    """

    tensors: Mapping[str, KeptTensor]
    findings: tuple[Finding, ...]


@frozen
class _Giver:
    """One output as a source of a tensor: which inputs its signature has, and which of them the tensor depends on."""

    place: Place
    inputs: frozenset[str]
    reached: frozenset[str]
    effects: frozenset[str]
    all_effects: frozenset[str]


def keep_tensor_names(meta_graph: MetaGraphDef, plan: Plan) -> TensorNames:
    """Decides which names of the signatures' tensors the new main graph gets."""
    nodes = ParsedNodes(meta_graph.graph_def.node, plan.producer)
    library = FunctionDefLibrary(function=plan.functions)
    feeds: dict[str, list[Place]] = {}
    givers: dict[str, list[_Giver]] = {}
    findings: list[Finding] = []
    for planned in plan.signatures:
        for name, spec in planned.signature.inputs.items():
            for part, tensor in enumerate(spec.tensors):
                feeds.setdefault(canonical(tensor), []).append(Place(planned.signature.key, name, part))
        for tensor, giver in _givers(nodes, planned, library).items():
            if tensor not in giver.inputs:  # One that is given back is the fed one.
                givers.setdefault(tensor, []).append(giver)
    choices: dict[str, tuple[_Giver, ...]] = {}
    for tensor, candidates in givers.items():
        chosen, problem = _choose(tensor, candidates)
        if chosen:
            choices[tensor] = chosen
        findings.extend([problem] if problem else [])
    given, problems = _divide(feeds, choices)
    findings.extend(problems)
    findings.extend(_about(given, len(plan.signatures)))
    tensors = {
        tensor: KeptTensor(tuple(feeds.get(tensor, ())), given[tensor].place if tensor in given else None)
        for tensor in dict.fromkeys((*feeds, *given))
    }
    return TensorNames(tensors, tuple(findings))


def _givers(nodes: Nodes, planned: SignaturePlan, library: FunctionDefLibrary) -> dict[str, _Giver]:
    """The tensors that a signature gives, each with what it depends on."""
    signature = planned.signature
    fed = feeds_of(nodes, signature)
    effects = {}
    reached = {}
    places: dict[str, Place] = {}
    for name, spec in signature.outputs.items():
        for part, tensor in enumerate(map(canonical, spec.tensors)):
            places.setdefault(tensor, Place(signature.key, name, part))
    for tensor in places:
        run = prune(nodes, signature.key, fed, (tensor,), ())
        taken = {source for wire in run.graph.wires.values() for source in wire.behind}
        reached[tensor] = frozenset(t for t, name in run.feeds.items() if name in taken or t == tensor)
        located = locate(run.graph.nodes.values(), library)
        effects[tensor] = frozenset(found.label for found in located if found.node.op in _CHANGES)
    every = frozenset().union(*effects.values())
    return {
        tensor: _Giver(place, frozenset(fed), reached[tensor], effects[tensor], every)
        for tensor, place in places.items()
    }


def _about(given: Mapping[str, _Giver], signatures: int) -> list[Finding]:
    """What a client should know of the tensors that are kept."""
    findings = []
    for key in sorted({giver.place.signature for giver in given.values()}):
        mine = {tensor: giver for tensor, giver in given.items() if giver.place.signature == key}
        narrow = {tensor: giver for tensor, giver in mine.items() if giver.reached < giver.inputs}
        if narrow:
            tensor, giver = next(iter(narrow.items()))
            more = sorted(giver.inputs - giver.reached)
            findings.append(
                Finding(
                    "tensor-name-needs-more",
                    Severity.NOTE,
                    f"signature {key!r}: a client that fetches {tensor!r} by name must feed all inputs of the "
                    f"signature; TF1 did without {', '.join(more[:3])}",
                    tuple(narrow),
                )
            )
        acting = tuple(tensor for tensor, giver in mine.items() if giver.effects)
        if acting and signatures > 1:
            findings.append(
                Finding(
                    "tensor-name-effects",
                    Severity.WARNING,
                    f"signature {key!r} changes variables or tables: fetched by name together with another signature's "
                    "tensors in one Session call, it runs beside the other, not as one graph",
                    acting,
                    "fetch the tensors of one signature at a time",
                )
            )
    return findings


def _choose(tensor: str, givers: list[_Giver]) -> tuple[tuple[_Giver, ...], Finding | None]:
    """The outputs that may give a tensor its value, the best first; and what to say of those who cannot have it."""
    partial = [giver for giver in givers if giver.effects != giver.all_effects]
    if partial:
        why = (
            f"signature {partial[0].place.signature!r} changes more than {tensor!r} needs, and fetching it would do "
            "all of that, where TF1 did not"
        )
        return (), _not_kept(tensor, why)
    if len(givers) > 1 and any(giver.effects for giver in givers):
        keys = sorted(giver.place.signature for giver in givers)
        return (), _not_kept(tensor, f"signatures {keys[0]!r} and {keys[1]!r} give it, and one of them has effects")

    def deceived(giver: _Giver) -> bool:
        """Whether another signature's client, who feeds enough for this one, would get another answer."""
        return any(other.reached != giver.reached and other.inputs >= giver.inputs for other in givers)

    def left_out(giver: _Giver) -> list[_Giver]:
        return [o for o in givers if o.reached != giver.reached or not o.inputs >= giver.inputs]

    admissible = [giver for giver in givers if not deceived(giver)]
    if not admissible:
        keys = sorted(giver.place.signature for giver in givers)
        return (), _not_kept(tensor, f"signatures {', '.join(map(repr, keys[:3]))} compute it from different inputs")
    best = min(
        admissible,
        key=lambda g: (len(left_out(g)), g.place.signature != "serving_default", g.place.signature),
    )
    others = left_out(best)
    equals = tuple(g for g in admissible if g is not best and g.reached == best.reached and g.inputs == best.inputs)
    if not others:
        return (best, *equals), None
    who = ", ".join(sorted({repr(other.place.signature) for other in others}))
    return (best, *equals), _not_kept(
        tensor,
        f"it is computed from the inputs of signature {best.place.signature!r}; who feeds those of {who} alone cannot "
        "fetch it by this name",
    )


def _divide(
    feeds: Mapping[str, list[Place]], choices: Mapping[str, tuple[_Giver, ...]]
) -> tuple[dict[str, _Giver], list[Finding]]:
    """Chooses the giver of each tensor such that a node computes all its outputs at once, from one call."""
    by_node: dict[str, list[str]] = {}
    for tensor in choices:
        by_node.setdefault(split(tensor)[0], []).append(tensor)
    fed_only = {split(tensor)[0] for tensor in feeds if tensor not in choices}
    given: dict[str, _Giver] = {}
    findings = []
    for name, tensors in by_node.items():
        offers = {tensor: {giver.place.signature: giver for giver in choices[tensor]} for tensor in tensors}
        keys = [key for tensor in tensors for key in offers[tensor]]
        best = max(dict.fromkeys(keys), key=keys.count)
        for tensor in tensors:
            if name not in fed_only and best in offers[tensor]:
                given[tensor] = offers[tensor][best]
                continue
            why = f"the node {name!r} has other outputs that are fed or that another signature gives"
            findings.append(_not_kept(tensor, why))
    return given, findings


def _not_kept(tensor: str, why: str) -> Finding:
    return Finding(
        "tensor-name-not-kept",
        Severity.WARNING,
        f"the tensor name {tensor!r} is not kept for every client: {why}",
        (tensor,),
        "take the tensor's name from the new SignatureDef",
    )


_CHANGING_RESOURCES = (
    "LookupTableImport",
    "LookupTableInsert",
    "LookupTableRemove",
    "QueueClose",
    "QueueDequeue",
    "QueueDequeueMany",
    "QueueDequeueUpTo",
    "QueueEnqueue",
    "QueueEnqueueMany",
    "ReaderRead",
    "ReaderReadUpTo",
    "ReaderReset",
    "AccumulatorApplyGradient",
    "AccumulatorTakeGradient",
)
_CHANGES = (
    frozenset(ops.WRITES)
    | frozenset(twin.op for twin in ops.WRITES.values())
    | frozenset(name + version for name in _CHANGING_RESOURCES for version in ("", "V2"))
    | frozenset(f"Resource{name}" for name in _CHANGING_RESOURCES if name.startswith("Accumulator"))
)
"""Ops that a client notices in a later call."""
