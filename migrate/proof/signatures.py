"""Proves one signature: a call of the source, and those of the candidate by a Session and by the loaded object."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Hashable, Iterable, Mapping, Sequence

from migrate.frozen import frozen
from migrate.graph import contract
from migrate.graph.graph import canonical, split
from migrate.graph.protos import SignatureDef
from migrate.proof.arguments import argument_keys, output_places
from migrate.proof.difference import output_difference, output_differences
from migrate.proof.effects import effects, loose_op
from migrate.proof.equations import BRANCHES
from migrate.proof.loading import captured
from migrate.proof.model import BadModelError, inputs_of, tensors_of
from migrate.proof.program import Flat, given
from migrate.proof.records import INLINED, PROVED, NotProved, OutputName, Result, both, either
from migrate.proof.same_call import FunctionCall, object_call, session_call
from migrate.proof.settling import settle
from migrate.proof.side import Side
from migrate.proof.source_calls import Found, SourceCall, SourceCalls, fed_as, given_keys, output_tensors
from migrate.proof.unordered import Compared, in_each_order

WAYS = ("session", "objects")
"""A Session runs the main graph of the candidate; `tf.saved_model.load` gives its objects."""


def signature(calls: SourceCalls, key: str, ways: Sequence[str] = WAYS) -> Found:
    """Proves one signature: its outputs, and what a call leaves behind.

    What is not proved of functional control flow as it is may be proved of the v1 control flow that it stands for.

    Args:
      calls: of the source.
      key: its key.
      ways: how the candidate is called.
    """
    first = _Signature(calls, ways, lowers=False)
    results, left = first.proved(key)
    calls.asked[key] = first.asked
    is_shown = not any(isinstance(result, NotProved) for result in (*results.values(), left))
    if not is_shown and (first.is_functional or calls.variables.pair.candidate.has_lists()):
        with contextlib.suppress(BadModelError):
            more, more_left = _Signature(calls, ways, lowers=True).proved(key)
            results = {name: either(result, more[name]) for name, result in results.items()}
            left = either(left, more_left)
    calls.found[key] = results, left
    return results, left


def nothing_proved(key: str, outputs: Iterable[str], why: str) -> Found:
    """A signature of which nothing is proved."""
    lost = NotProved("", "", why)
    return {OutputName(key, name): lost for name in outputs}, lost


@frozen
class _ObjectFunction:
    """The function that a signature of the loaded object calls.

    Attributes:
      name: its name.
      arguments: nodes for what it takes.
      results: how many it gives.
      places: which of them is each output, in the source's order.
    """

    name: str
    arguments: Sequence[Flat]
    results: int
    places: Sequence[int]


class _Signature:
    """A proof of a signature.

    Attributes:
      calls: of the source.
      variables: of both models.
      pair: both models.
      ways: how the candidate is called.
      lowers: whether functional control flow is replaced by what it stands for.
      is_functional: whether there is any; known when the proof is over.
      asked: the call that the candidate's Session makes and its object, too; None where they differ, or are more.
    """

    def __init__(self, calls: SourceCalls, ways: Sequence[str], lowers: bool) -> None:
        self.calls, self.ways, self.lowers = calls, ways, lowers
        self.variables, self.pair = calls.variables, calls.variables.pair
        self.is_functional = False
        self.asked: FunctionCall | None = None

    def proved(self, key: str) -> Found:
        """Proves one signature."""
        before = self._before(key)
        outputs = output_tensors(before)
        if key not in self.pair.candidate.meta_graph.signature_def:
            return nothing_proved(key, outputs, "the candidate does not have this signature")
        definition = self.pair.candidate.meta_graph.signature_def[key]
        for name, _ in contract.portless(definition):
            return nothing_proved(key, outputs, f"{name!r} has the name of a node, where a tensor's is needed")
        call = self.calls.call(key, self.lowers)
        keys = given_keys(before)
        source = call.side
        results: dict[OutputName, Result] = {}
        left: Result = PROVED
        for way in self.ways:
            if way == "objects" and self._is_as_in_session(key, keys, definition, source):
                continue  # What is proved of the one way is proved of the other one.
            problem, side, returned = self._called(way, key, keys, definition, outputs)
            if problem or side is None:
                return nothing_proved(key, outputs, f"{way}: {problem}")
            self.is_functional |= any(node.op in BRANCHES for node in (*source.nodes, *side.nodes))
            self.variables.tables.learn(way, source.nodes, side.nodes)
            settle(source, side)
            if side.uneven():
                return nothing_proved(key, outputs, f"{way}: {side.uneven()!r} {INLINED}")
            found, effect = in_each_order(
                source,
                call.program,
                side,
                self.variables.twins[way],
                functools.partial(self._compared, way, call, side, returned),
            )
            for name, result in found.items():
                where = OutputName(key, name)
                results[where] = both(results.get(where, PROVED), _by(result, way))
            left = both(left, _by(effect, way))
        return results, both(left, self._defaults(before, definition)) if not isinstance(left, NotProved) else left

    def _compared(
        self, way: str, call: SourceCall, side: Side, returned: Sequence[tuple[int, int]], source: Side
    ) -> Compared:
        """What is proved of each output, and of what a call leaves behind."""
        wanted = [tensor for tensors in call.wanted.values() for tensor in tensors]
        found = output_differences(source, side, call.wanted, wanted, returned)
        uncertain = loose_op(self.variables, call.program, source, way)
        if uncertain:
            return found, NotProved(uncertain, "", f"it {INLINED}")
        return found, effects(self.variables, source, side, way)

    def _defaults(self, before: SignatureDef, after: SignatureDef) -> Result:
        """Whether a Session's call that leaves an input out, which has a default, gives the same value for it."""
        for name, info in sorted(before.inputs.items()):
            parts = [
                part
                for part, tensor in enumerate(tensors_of(info))
                for node, output in [split(tensor)]
                if not output and node in self.pair.source.nodes
                if self.pair.source.nodes[node].op == "PlaceholderWithDefault"
            ]
            if len(parts) < len(tensors_of(info)):
                continue  # Of a sparse tensor a call gives all parts, or none.
            values = []
            for model, definition, initial in (
                (self.pair.source, before, self.variables.source_initial),
                (self.pair.candidate, after, self.variables.initial("session")),
            ):
                tensors = tensors_of(definition.inputs[name])
                left_out = [tensors[part] for part in parts]
                fed = {known: key for known, key in inputs_of(definition).items() if known not in left_out}
                program = model.program(fed, self.pair.replaced if model is self.pair.source else None)
                places = [program.tensor(tensor) for tensor in left_out]
                values.append((model.side(program, initial), places))
            (source, ours), (side, theirs) = values
            settle(source, side)
            for one, other in zip(ours, theirs, strict=True):
                found = output_difference(source, side, one, other)
                if isinstance(found, NotProved):
                    why = f"session: a call that leaves the input {name!r} out: {found.why}"
                    return NotProved(found.source, found.candidate, why)
        return PROVED

    def _called(
        self,
        way: str,
        key: str,
        keys: Mapping[Hashable, Hashable],
        after: SignatureDef,
        outputs: Mapping[str, Sequence[str]],
    ) -> tuple[str, Side | None, list[tuple[int, int]]]:
        """A call of the candidate: a problem, or a side and its outputs in the source's order."""
        before = self._before(key)
        if set(after.outputs) != set(before.outputs):
            return "its outputs have other names", None, []
        if set(after.inputs) != set(before.inputs):
            return "its inputs have other names", None, []
        tensors = {name: [canonical(t) for t in tensors_of(info)] for name, info in after.outputs.items()}
        if any(len(tensors[name]) != len(outputs[name]) for name in outputs):
            return "its outputs have other forms", None, []
        if way == "session":
            program = self.pair.candidate.program(fed_as(after, keys), lowers=self.lowers)
            given = [program.tensor(t) for name in outputs for t in tensors[name]]
        else:
            if self.pair.objects.problem:
                return self.pair.objects.problem, None, []
            found = self._object_function(key, keys, after)
            if isinstance(found, str):
                return found, None, []
            program = self.pair.candidate.program(lowers=self.lowers)
            made = program.call(found.name, found.arguments)
            if made is None or len(made) != found.results:
                return f"the function {found.name!r} cannot be read", None, []
            given = [made[place] for place in found.places]
        program.keep(is_session=False, has_kernels=way == "session")
        for loose, _ in program.loose():
            return f"{loose!r} {INLINED}", None, []
        return "", self.pair.candidate.side(program, self.variables.initial(way)), given

    def _is_as_in_session(self, key: str, keys: Mapping[Hashable, Hashable], after: SignatureDef, source: Side) -> bool:
        """Whether the object's signature calls what a Session has called, which was looked at before."""
        if self.ways[:1] != WAYS[:1] or self.pair.objects.problem:
            return False
        found = self._object_function(key, keys, after)
        if isinstance(found, str):
            return False
        names = output_tensors(after)
        tensors = [tensor for name in output_tensors(self._before(key)) for tensor in names[name]]
        model = self.pair.candidate
        one = session_call(model, fed_as(after, keys), tensors, self.variables.initial("session"))
        initial = self.variables.initial("objects")
        other = object_call(model, found.name, found.arguments, found.places, initial, source.given)
        self.asked = one if one == other else None
        return self.asked is not None

    def _before(self, key: str) -> SignatureDef:
        return self.pair.source.meta_graph.signature_def[key]

    def _object_function(
        self, key: str, keys: Mapping[Hashable, Hashable], after: SignatureDef
    ) -> str | _ObjectFunction:
        """The function that the loaded object's signature calls; a text where that is not understood."""
        top = self.pair.objects.child(0, "signatures")
        node = self.pair.objects.child(top, key) if top is not None else None
        if node is None:
            return "the loaded object does not have this signature"
        traces = self.pair.objects.traces(node)
        saved = self.pair.objects.nodes[node]
        if len(traces) != 1 or saved.WhichOneof("kind") != "bare_concrete_function":
            return "the loaded object's signature is no concrete function"
        name = traces[0]
        function = self.pair.candidate.library.get(name)
        if function is None or name not in self.pair.candidate.meta_graph.object_graph_def.concrete_functions:
            return f"there is no function {name!r}"
        count = len(function.signature.input_arg) - len(self.pair.objects.functions[name])
        keywords = list(saved.bare_concrete_function.argument_keywords)
        if len(keywords) != count:
            return "the arguments of the loaded signature have no names"
        arguments = argument_keys(after, keywords)
        if arguments is None:
            return "the arguments of the loaded signature are not those of the inputs"
        types = [arg.type for arg in function.signature.input_arg]
        fed = [keys.get(argument, argument) for argument in arguments]
        leading = [given(text, arg, types[k]) for k, (text, arg) in enumerate(zip(keywords, fed, strict=True))]
        nodes = captured(self.pair, self.variables.loaded.cells, name, leading)
        if nodes is None:
            return "the loaded signature captures what is not understood"
        structure = self.pair.candidate.meta_graph.object_graph_def.concrete_functions[name].output_signature
        fields = sorted(structure.dict_value.fields) if structure.WhichOneof("kind") == "dict_value" else []
        if len(fields) != len(function.signature.output_arg):
            return "the loaded signature's outputs have no names"
        places = output_places(output_tensors(self._before(key)), fields)
        if places is None:
            return "the outputs of the loaded signature have other names"
        return _ObjectFunction(name, nodes, len(fields), places)


def _by(result: Result, way: str) -> Result:
    return (
        NotProved(result.source, result.candidate, f"{way}: {result.why}") if isinstance(result, NotProved) else result
    )
