"""Proves what calling the loaded object itself gives: the default signature, and its training branch."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from migrate.graph import contract
from migrate.graph.graph import split
from migrate.graph.protos import SignatureDef
from migrate.proof.arguments import call_key, given_arguments, output_places
from migrate.proof.difference import output_differences
from migrate.proof.effects import effects, loose_op
from migrate.proof.equations import BRANCHES
from migrate.proof.loading import captured
from migrate.proof.model import BadModelError, Model, inputs_of
from migrate.proof.program import Flat, Program, given
from migrate.proof.records import INLINED, PROVED, NotProved, OutputName, Proved, Result, either
from migrate.proof.same_call import object_call, unwrapped
from migrate.proof.settling import settle
from migrate.proof.side import Side
from migrate.proof.source_calls import SourceCalls, given_keys, output_tensors
from migrate.proof.unordered import Compared, in_each_order

_UPDATES = "update_ops"
_PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2"})


def calls(source: SourceCalls) -> dict[OutputName, Result]:
    """Proves what calling the loaded object itself gives: the default signature, and its training branch."""
    pair = source.variables.pair
    node = pair.objects.child(0, "__call__") if not pair.objects.problem else None
    if node is None or pair.source.meta_graph.object_graph_def.nodes:
        return {}  # Of a TF1 graph it is the default signature; an object's own call has no source there.
    results: dict[OutputName, Result] = {}
    for trace in pair.objects.traces(node):
        saved = pair.candidate.meta_graph.object_graph_def.concrete_functions
        if trace not in saved or trace not in pair.candidate.library:
            results[OutputName("__call__", trace)] = NotProved("", trace, "there is no such function")
            continue
        taken = saved[trace].canonicalized_input_signature.tuple_value.values
        arguments = list(taken[0].tuple_value.values) if len(taken) == 2 else []
        training = len(arguments) == 2 and arguments[1].WhichOneof("kind") == "bool_value" and arguments[1].bool_value
        label = "__call__(training=True)" if training else "__call__"
        try:
            results.update(_call(source, trace, label, arguments, training))
        except BadModelError as error:
            results[OutputName(label, "")] = NotProved("", trace, str(error))
    return results


def _call(
    source: SourceCalls, trace: str, label: str, arguments: Sequence[Any], training: bool
) -> dict[OutputName, Result]:
    first = _Call(source, lowers=False)
    results = first.proved(trace, label, arguments, training)
    is_shown = not any(isinstance(result, NotProved) for result in results.values())
    if not is_shown and (first.is_functional or source.variables.pair.candidate.has_lists()):
        with contextlib.suppress(BadModelError):
            more = _Call(source, lowers=True).proved(trace, label, arguments, training)
            # What a call leaves behind is listed where it is not proved.
            is_told = any(name.output for name in more)
            left = PROVED if is_told else NotProved("", trace, "")
            results = {
                name: either(result, more.get(name, result if name.output else left))
                for name, result in results.items()
            }
    return results


class _Call:
    """A proof of a call; see `signatures`."""

    def __init__(self, calls: SourceCalls, lowers: bool) -> None:
        self.calls, self.lowers = calls, lowers
        self.variables, self.pair = calls.variables, calls.variables.pair
        self.is_functional = False

    def proved(self, trace: str, label: str, arguments: Sequence[Any], training: bool) -> dict[OutputName, Result]:
        """Proves one function of the object."""
        key = call_key([found.key for found in contract.signatures(self.pair.candidate.meta_graph)])
        model = self.pair.source
        if training:
            if self.pair.train is None:
                return {OutputName(label, ""): NotProved("", trace, "the source has no training graph")}
            model = self.pair.train
        if key is None or key not in model.meta_graph.signature_def:
            return {OutputName(label, ""): NotProved("", trace, "which signature it is for is not known")}
        before = model.meta_graph.signature_def[key]
        saved = self.pair.candidate.meta_graph.object_graph_def.concrete_functions[trace]
        count = len(self.pair.candidate.library[trace].signature.input_arg) - len(saved.bound_inputs)
        wanted_arguments = given_arguments(before, arguments, count)
        if wanted_arguments is None:
            return {OutputName(label, ""): NotProved("", trace, "its arguments are not those of the signature")}
        types = [arg.type for arg in self.pair.candidate.library[trace].signature.input_arg]
        keys = given_keys(before)
        fed = [keys.get(argument, argument) for argument in wanted_arguments]
        leading = [given(f"argument {k}", arg, types[k]) for k, arg in enumerate(fed)]
        nodes = captured(self.pair, self.variables.loaded.cells, trace, leading)
        outputs = output_tensors(before)
        fields = sorted(saved.output_signature.dict_value.fields)
        places = output_places(outputs, fields) if fields else [0] if sum(map(len, outputs.values())) == 1 else None
        known = None if training or nodes is None else self._as_signature(trace, key, label, nodes, places or ())
        if known is not None:
            return known
        program = self.pair.candidate.program(lowers=self.lowers)
        returned = program.call(trace, nodes) if nodes is not None else None
        if returned is None or places is None or len(places) != len(returned):
            return {OutputName(label, ""): NotProved("", trace, "its results are not those of the signature")}
        source, ours, wanted = self._source(model, key, training)
        program.keep(is_session=False)
        side = self.pair.candidate.side(program, self.variables.initial("objects"))
        self.is_functional |= any(node.op in BRANCHES for node in (*source.nodes, *side.nodes))
        self.variables.tables.learn("objects", source.nodes, side.nodes)
        settle(source, side)
        given_back = [returned[place] for place in places]

        def compare(one: Side) -> Compared:
            found = output_differences(one, side, outputs, wanted, given_back)
            uncertain = next((label for label, _ in program.loose()), "") or side.uneven()
            uncertain = uncertain or loose_op(self.variables, ours, one, "objects")
            if uncertain:
                return found, NotProved("", uncertain, f"it {INLINED}")
            return found, effects(self.variables, one, side, "objects")

        found, left = in_each_order(source, ours, side, self.variables.twins["objects"], compare)
        results = {OutputName(label, name): result for name, result in found.items()}
        if not isinstance(left, Proved):
            results[OutputName(label, "")] = left
        return results

    def _as_signature(
        self, trace: str, key: str, label: str, nodes: Sequence[Flat], places: Sequence[int]
    ) -> dict[OutputName, Result] | None:
        """What was proved of the signature, where a call of it is this one; None where it has to be looked at."""
        asked = self.calls.asked.get(key)
        candidate = self.pair.candidate
        if asked is None or self.variables.loaded.drawn or key not in self.calls.found:
            return None
        if len(places) != len(candidate.library[trace].signature.output_arg):
            return None
        forms = self.calls.call(key, self.lowers).side.given
        call = object_call(candidate, trace, nodes, places, self.variables.initial("objects"), forms)
        if call is None or unwrapped(candidate.library, call) != unwrapped(candidate.library, asked):
            return None
        outputs, left = self.calls.found[key]
        if any(isinstance(result, NotProved) for result in (*outputs.values(), left)):
            return None
        results = {OutputName(label, name.output): result for name, result in outputs.items()}
        return results if isinstance(left, Proved) else {**results, OutputName(label, ""): left}

    def _source(self, model: Model, key: str, training: bool) -> tuple[Side, Program, list[tuple[int, int]]]:
        """The call of the source that a function stands for."""
        if not training and not self.variables.loaded.drawn:
            call = self.calls.call(key, self.lowers)
            return call.side, call.program, [tensor for tensors in call.wanted.values() for tensor in tensors]
        before = model.meta_graph.signature_def[key]
        fed = {tensor: ("argument", "=", tensor) for tensor in inputs_of(before)}
        program = model.program(fed, self.pair.replaced, self.lowers)
        wanted = [program.tensor(tensor) for tensors in output_tensors(before).values() for tensor in tensors]
        if training:
            for name in _updates(model, before):
                program.target(name)
        program.keep(is_session=True)
        return model.side(program, self.variables.source_initial), program, wanted


def _updates(model: Model, before: SignatureDef) -> list[str]:
    """The update ops that a call can run: those for which it feeds enough."""
    collection = model.meta_graph.collection_def
    found = []
    for name in dict.fromkeys(collection[_UPDATES].node_list.value) if _UPDATES in collection else ():
        node = split(name)[0]
        if node not in model.nodes:
            continue
        program = model.program(inputs_of(before))
        program.target(node)
        if not any(flat.op in _PLACEHOLDERS for flat in program.nodes):
            found.append(node)
    return found
