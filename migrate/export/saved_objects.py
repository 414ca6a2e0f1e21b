"""The SavedObjectGraph of a model that has variables and functions, as TensorFlow's exporter writes it (save.py)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from migrate.export.function_defs import Function, Tensor
from migrate.frozen import frozen
from migrate.graph.protos import without_runtime
from migrate.plan.records import VariablePlan

with without_runtime():
    from tensorflow.core.protobuf.saved_object_graph_pb2 import FunctionSpec, SavedObjectGraph
    from tensorflow.core.protobuf.struct_pb2 import StructuredValue

LISTS = ("variables", "trainable_variables", "regularization_losses", "resources", "assets")
"""The root's attributes that are lists, in the order in which they are set."""


@frozen
class Signature:
    """A signature's functions.

    Attributes:
      key: of the signature.
      body: computes it.
      function: has the signature's names; calls `body`.
      wrapper: what is saved as the signature; calls `function`.
      results: names of the results of both.
      passed: what the body calls each of its results that is an argument of its own, by position.
    """

    key: str
    body: Function
    function: Function
    wrapper: Function
    results: tuple[str, ...]
    passed: Mapping[int, str] = dataclasses.field(default_factory=dict)


@frozen
class Call:
    """The function of `__call__`.

    Attributes:
      key: the signature whose body it calls.
      function: that calls it.
      labels: the keys of its argument, which is a dict, in the order of the function's arguments; None for one value.
      results: the same of its result.
    """

    key: str
    function: Function
    labels: tuple[str, ...] | None
    results: tuple[str, ...] | None


def object_graph(
    variables: Sequence[VariablePlan], signatures: Sequence[Signature], call: Call | None
) -> SavedObjectGraph:
    """Writes the objects, breadth first from the root (checkpoint/graph_view.py).

    Args:
      variables: by names that differ.
      signatures: in the order of the plan.
      call: what the root is called with, or None.
    """
    graph = SavedObjectGraph()
    names = ["vars", *LISTS, "functions", *(["__call__", "_default_save_signature"] if call else []), "signatures"]
    at = {name: number for number, name in enumerate(names, 1)}
    numbers = {variable.identity: len(names) + 1 + n for n, variable in enumerate(variables)}
    after = len(names) + 1 + len(variables)
    bodies = range(after, after + len(signatures))
    wrappers = range(after + len(signatures), after + 2 * len(signatures))
    _add_object(graph, "_generic_user_object", ((name, at[name]) for name in names))
    _add_object(graph, "trackable_dict_wrapper", ((v.name, numbers[v.identity]) for v in variables))
    for name in LISTS:
        held = {"variables": variables, "trainable_variables": [v for v in variables if v.trainable]}.get(name, ())
        children = ((str(n), numbers[v.identity]) for n, v in enumerate(held))
        _add_object(graph, "trackable_list_wrapper", children)
    _add_object(graph, "trackable_list_wrapper", ((str(n), body) for n, body in enumerate(bodies)))
    if call is not None:
        default = next(s for s in signatures if s.key == call.key)
        function = call.function
        _add_function(graph, function.name, function.arguments, 0, [_INPUTS] if function.arguments else [], [])
        _add_signature(graph, default.function, len(default.function.arguments))
    _add_object(graph, "signature_map", ((s.key, n) for s, n in zip(signatures, wrappers, strict=True)))
    for variable in variables:
        saved = graph.nodes.add().variable
        saved.dtype, saved.trainable, saved.name = variable.dtype, variable.trainable, variable.name
        saved.shape.CopyFrom(variable.shape)
    for signature in signatures:
        graph.nodes.add().bare_concrete_function.concrete_function_name = signature.body.name
    for signature in signatures:
        # One tensor may be given without its name (signature_serialization.py).
        _add_signature(graph, signature.wrapper, 1 if len(signature.wrapper.arguments) == 1 else 0)
    for signature in signatures:
        body = signature.body
        given = [_spec(name, tensor) for name, tensor in body.arguments.items()]
        made = StructuredValue()
        made.list_value.SetInParent()
        for number, tensor in enumerate(body.results):
            made.list_value.values.add().CopyFrom(
                _spec(spec_name([str(number)], signature.passed.get(number, "")), tensor)
            )
        _describe(graph, body, _arguments(given, {}), made, numbers)
        for function in (signature.wrapper, *([signature.function] if call and call.key == signature.key else [])):
            named = {name: _spec(spec_name([name], name), tensor) for name, tensor in function.arguments.items()}
            _describe(graph, function, _arguments([], named), _results(signature.results, function), numbers)
    if call is not None:
        _describe(graph, call.function, _taken(call), _given_back(call), numbers)
    return graph


def _add_object(graph: SavedObjectGraph, identifier: str, children: Iterable[tuple[str, int]]) -> None:
    node = graph.nodes.add()
    node.user_object.identifier = identifier
    node.user_object.version.producer = node.user_object.version.min_consumer = 1
    for name, number in children:
        node.children.add(local_name=name, node_id=number)


def _add_signature(graph: SavedObjectGraph, function: Function, positional: int) -> None:
    names = list(function.arguments)
    _add_function(graph, function.name, names, positional, [], names)


def _add_function(
    graph: SavedObjectGraph,
    name: str,
    keywords: Iterable[str],
    positional: int,
    arguments: Sequence[str],
    named: Sequence[str],
) -> None:
    """Adds a function that is called by itself (function_serialization.py, serialize_bare_concrete_function).

    Args:
      graph: to which.
      name: of the function.
      keywords: names of its tensors.
      positional: how many of them a caller may give without names.
      arguments: names of the Python function's arguments.
      named: names of those that are given by name alone.
    """
    saved = graph.nodes.add().bare_concrete_function
    saved.concrete_function_name = name
    saved.argument_keywords.extend(keywords)
    saved.allowed_positional_arguments = positional
    saved.function_spec.CopyFrom(_specification(arguments, named))


def _specification(arguments: Sequence[str], named: Sequence[str]) -> FunctionSpec:
    """What Python says of a function, inspect.FullArgSpec."""
    spec = FunctionSpec()
    full = spec.fullargspec.named_tuple_value
    full.name = "FullArgSpec"
    nothing = StructuredValue()
    nothing.none_value.SetInParent()
    empty = StructuredValue()
    empty.dict_value.SetInParent()
    for key, value in (
        ("args", _texts(arguments)),
        ("varargs", nothing),
        ("varkw", nothing),
        ("defaults", nothing),
        ("kwonlyargs", _texts(named)),
        ("kwonlydefaults", nothing),
        ("annotations", empty),
    ):
        full.values.add(key=key).value.CopyFrom(value)
    if arguments or named:
        spec.input_signature.CopyFrom(nothing)
    else:  # All of no arguments are known.
        spec.input_signature.tuple_value.SetInParent()
    return spec


def _texts(texts: Iterable[str]) -> StructuredValue:
    value = StructuredValue()
    value.list_value.SetInParent()
    for text in texts:
        value.list_value.values.add().string_value = text
    return value


def _describe(
    graph: SavedObjectGraph,
    function: Function,
    taken: StructuredValue,
    result: StructuredValue,
    numbers: Mapping[str, int],
) -> None:
    """Says what a function takes and gives (function_serialization.py, serialize_concrete_function)."""
    described = graph.concrete_functions[function.name]
    described.bound_inputs.extend(numbers[variable.identity] for variable in function.captured)
    described.canonicalized_input_signature.CopyFrom(taken)
    described.output_signature.CopyFrom(result)


def _spec(name: str, tensor: Tensor) -> StructuredValue:
    value = StructuredValue()
    value.tensor_spec_value.name = name
    value.tensor_spec_value.dtype = tensor.dtype
    value.tensor_spec_value.shape.CopyFrom(tensor.shape)
    return value


def spec_name(path: Sequence[str], given: str = "") -> str:
    """The name of a TensorSpec in a structure (func_graph.py, convert_structure_to_signature).

    Args:
      path: the way to it.
      given: what the user calls the tensor.

    Example:
      >>> [spec_name(["x"], "X"), spec_name(["scores/Top"]), spec_name([]), spec_name(["1st"])]
      ['X', 'scores_top', 'unknown', 'tensor_1st']
    """
    if path and given and given != path[0]:
        return given
    name = "".join(c if c.isalnum() else "_" for c in "_".join(path).lower())
    if not name:
        return "unknown"
    return name if name[0].isalpha() else f"tensor_{name}"


def _dict(values: Mapping[str, StructuredValue]) -> StructuredValue:
    result = StructuredValue()
    result.dict_value.SetInParent()
    for key, value in values.items():
        result.dict_value.fields[key].CopyFrom(value)
    return result


def _arguments(positional: Iterable[StructuredValue], named: Mapping[str, StructuredValue]) -> StructuredValue:
    """A tuple of what is given by position and what is given by name."""
    result = StructuredValue()
    both = result.tuple_value.values
    both.add().tuple_value.SetInParent()
    for value in positional:
        both[0].tuple_value.values.add().CopyFrom(value)
    both.add().CopyFrom(_dict(named))
    return result


def _results(names: Iterable[str], function: Function) -> StructuredValue:
    """A dict of a function's results; `names` are in their order."""
    both = zip(names, function.results, strict=True)
    return _dict({name: _spec(spec_name([name]), tensor) for name, tensor in both})


def _taken(call: Call) -> StructuredValue:
    """What `__call__` takes: one tensor, a dict, or nothing."""
    given = call.function.arguments.items()
    if call.labels is None:
        return _arguments([_spec(spec_name([_INPUTS], name), tensor) for name, tensor in given], {})
    both = zip(call.labels, given, strict=True)
    return _arguments([_dict({label: _spec(spec_name([_INPUTS, label], n), t) for label, (n, t) in both})], {})


def _given_back(call: Call) -> StructuredValue:
    """What `__call__` gives: one tensor, or a dict."""
    if call.results is not None:
        return _results(call.results, call.function)
    (only,) = call.function.results
    return _spec(spec_name([]), only)


_INPUTS = "inputs"
"""What `__call__` calls its argument."""
