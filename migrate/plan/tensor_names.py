"""Which tensor names of the source the new model's main graph can have, for clients that feed and fetch by name.

In the new main graph a signature is one call of a function, which takes all its inputs and does all it does whatever is
fetched. So a name is kept only where feeding and fetching it means what it meant in TF1: a fetched tensor is computed
from the same fed ones, with the same effects. What is not kept is a finding; a client then meets a name that is not
there, never another answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph.graph import Nodes, ParsedNodes, canonical, prune, split
from migrate.graph.nodes import locate
from migrate.graph.protos import FunctionDefLibrary, MetaGraphDef
from migrate.plan.records import KeptTensor, Plan, SignaturePlan, SignatureTensor
from migrate.plan.signatures import feeds_of
from migrate.records import Finding, Severity
from migrate.rewrite import ops


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
    """One output as a source of a tensor.

    Attributes:
      place: the output.
      inputs: what its signature is fed.
      reached: those of them that the tensor depends on.
      effects: labels of the nodes that the tensor needs and a client notices in a later call.
      all_effects: those of the whole signature.
    """

    place: SignatureTensor
    inputs: frozenset[str]
    reached: frozenset[str]
    effects: frozenset[str]
    all_effects: frozenset[str]

    @property
    def key(self) -> str:
        """Of its signature."""
        return self.place.signature

    def serves(self, other: _Giver) -> bool:
        """Whether a client of another giver, who feeds that one's inputs alone, gets that one's answer from this."""
        return other.reached == self.reached and other.inputs >= self.inputs

    def deceives(self, other: _Giver) -> bool:
        """Whether such a client gets another answer from this, and no error."""
        return other.reached != self.reached and other.inputs >= self.inputs


def keep_tensor_names(meta_graph: MetaGraphDef, plan: Plan, only: frozenset[str] | None = None) -> TensorNames:
    """Decides which names of the signatures' tensors the new main graph gets.

    Args:
      meta_graph: the source.
      plan: of its conversion.
      only: full names of the tensors that are to keep theirs; None for all of them.
    """
    nodes = ParsedNodes(meta_graph.graph_def.node, plan.producer)
    library = FunctionDefLibrary(function=plan.functions)
    feeds: dict[str, list[SignatureTensor]] = {}
    givers: dict[str, list[_Giver]] = {}
    findings: list[Finding] = []
    for planned in plan.signatures:
        for name, spec in planned.signature.inputs.items():
            for part, tensor in enumerate(map(canonical, spec.tensors)):
                if only is None or tensor in only:
                    feeds.setdefault(tensor, []).append(SignatureTensor(planned.signature.key, name, part))
        for tensor, giver in _givers(nodes, planned, library).items():
            # One that is given back is the fed one.
            if tensor not in giver.inputs and (only is None or tensor in only):
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
    places: dict[str, SignatureTensor] = {}
    for name, spec in signature.outputs.items():
        for part, tensor in enumerate(map(canonical, spec.tensors)):
            places.setdefault(tensor, SignatureTensor(signature.key, name, part))
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


def _choose(tensor: str, givers: Sequence[_Giver]) -> tuple[tuple[_Giver, ...], Finding | None]:
    """The outputs that may give a tensor its value, the best first; and what to say of those who cannot have it."""
    for obstacle in _OBSTACLES:
        why = obstacle(tensor, givers)
        if why is not None:
            return (), _not_kept(tensor, why)
    fit = _fit(givers)
    left_out = {giver.key: [other for other in givers if not giver.serves(other)] for giver in fit}
    best = min(fit, key=lambda giver: (len(left_out[giver.key]), giver.key != "serving_default", giver.key))
    equals = tuple(g for g in fit if g is not best and g.reached == best.reached and g.inputs == best.inputs)
    others = left_out[best.key]
    if not others:
        return (best, *equals), None
    who = ", ".join(sorted({repr(other.key) for other in others}))
    why = f"it is computed from the inputs of signature {best.key!r}; a client that feeds those of {who} alone cannot "
    return (best, *equals), _not_kept(tensor, why + "fetch it by this name")


def _fit(givers: Sequence[_Giver]) -> list[_Giver]:
    """The givers from which no client gets another answer than from its own signature."""
    return [giver for giver in givers if not any(map(giver.deceives, givers))]


def _does_more(tensor: str, givers: Sequence[_Giver]) -> str | None:
    for giver in givers:
        if giver.effects != giver.all_effects:
            done = f"signature {giver.key!r} changes more than {tensor!r} needs"
            return f"{done}, and fetching it would do all of that, where TF1 did not"
    return None


def _has_effects_of_its_own(_: str, givers: Sequence[_Giver]) -> str | None:
    if len(givers) < 2 or not any(giver.effects for giver in givers):
        return None
    first, second, *_others = sorted(giver.key for giver in givers)
    return f"signatures {first!r} and {second!r} give it, and one of them has effects"


def _differs(_: str, givers: Sequence[_Giver]) -> str | None:
    if _fit(givers):
        return None
    keys = sorted(giver.key for giver in givers)
    return f"signatures {', '.join(map(repr, keys[:3]))} compute it from different inputs"


_OBSTACLES: tuple[Callable[[str, Sequence[_Giver]], str | None], ...] = (
    # What fetching would do weighs more than what it would give.
    _does_more,
    _has_effects_of_its_own,
    _differs,
)
"""Why nobody may give a tensor its value, or None, asked in this order."""


def _divide(
    feeds: Mapping[str, list[SignatureTensor]], choices: Mapping[str, tuple[_Giver, ...]]
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
    | frozenset(ops.WRITES.values())
    | frozenset(name + version for name in _CHANGING_RESOURCES for version in ("", "V2"))
    | frozenset(f"Resource{name}" for name in _CHANGING_RESOURCES if name.startswith("Accumulator"))
)
"""Ops that a client notices in a later call."""
