"""Faults in what functions and their calls say of themselves, by somebody who has read the checker."""

from __future__ import annotations

import functools
from typing import Any

from tensorflow.core.protobuf import config_pb2

from tools.mutate.candidate import Candidate
from tools.mutate.edits import Edit
from tools.mutate.look import Arguments, Counted, Flags, Structured
from tools.mutate.records import Fault

_surface = functools.partial(Fault, "surface")
_structure = functools.partial(Fault, "structure")
_READ_ONLY = "_read_only_resource_inputs"


def _concrete(candidate: Candidate, signature: str) -> Any:
    name = candidate.child("signatures", signature).bare_concrete_function.concrete_function_name
    return candidate.meta_graph.object_graph_def.concrete_functions[name]


def _results(candidate: Candidate, signature: str) -> Any:
    return _concrete(candidate, signature).output_signature.dict_value.fields


def _arguments(candidate: Candidate, signature: str) -> Any:
    return _concrete(candidate, signature).canonicalized_input_signature.tuple_value.values[1].dict_value.fields


def _swapped(fields: Any, first: str, second: str) -> None:
    one, other = (type(fields[key]).FromString(fields[key].SerializeToString()) for key in (first, second))
    fields[first].CopyFrom(other)
    fields[second].CopyFrom(one)


def _results_swapped(candidate: Candidate) -> None:
    _swapped(_results(candidate, "features"), "hidden", "normed")


def _names_swapped(candidate: Candidate) -> None:
    fields = _results(candidate, "features")
    one, other = fields["hidden"].tensor_spec_value, fields["normed"].tensor_spec_value
    one.name, other.name = other.name, one.name


def _result_wider(candidate: Candidate) -> None:
    _results(candidate, "features")["hidden"].tensor_spec_value.shape.dim[1].size += 1


def _result_unranked(candidate: Candidate) -> None:
    shape = _results(candidate, "features")["hidden"].tensor_spec_value.shape
    shape.Clear()
    shape.unknown_rank = True


def _arguments_swapped(candidate: Candidate) -> None:
    _swapped(_arguments(candidate, "serving_default"), "scale", "x")


def _all_calls(candidate: Candidate) -> Any:
    graph = candidate.meta_graph.graph_def
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        yield from (node for node in nodes if node.op.endswith("PartitionedCall"))


def _stateless(candidate: Candidate) -> None:
    """Functions say that they have no state."""
    for function in candidate.functions:
        function.signature.is_stateful = False


def _stateless_calls(candidate: Candidate) -> None:
    """Calls of functions with state are of the op without it."""
    for node in _all_calls(candidate):
        node.op = "PartitionedCall"


def _stateless_branches(candidate: Candidate) -> None:
    found = 0
    for function in candidate.functions:
        for node in function.node_def:
            if node.op in ("If", "While"):
                node.op, found = f"Stateless{node.op}", found + 1
    if not found:
        raise LookupError("no If or While")


def _all_read_only(candidate: Candidate) -> None:
    """Calls say that they write nothing."""
    for node in _all_calls(candidate):
        resources = [number for number, dtype in enumerate(node.attr["Tin"].list.type) if dtype == 20]
        node.attr[_READ_ONLY].list.i[:] = resources


def _configured(edit: Any) -> Edit:
    def plant(candidate: Candidate) -> None:
        for node in _all_calls(candidate):
            config = config_pb2.ConfigProto.FromString(node.attr["config_proto"].s)
            edit(config)
            node.attr["config_proto"].s = config.SerializeToString()

    return plant


def _mixed(config: Any) -> None:
    config.graph_options.rewrite_options.auto_mixed_precision_onednn_bfloat16 = 1


def _bounded(config: Any) -> None:
    config.operation_timeout_in_ms = 1


def _attribute(name: str, value: Any) -> Edit:
    def plant(candidate: Candidate) -> None:
        for function in candidate.functions:
            function.attr[name].s = value

    return plant


def _not_awaited(candidate: Candidate) -> None:
    """Nothing waits for what the counter writes."""
    body = candidate.body("incr")
    body.control_ret.clear()
    del body.signature.control_output[:]


def _gradient(candidate: Candidate) -> None:
    names = [function.signature.name for function in candidate.functions]
    candidate.meta_graph.graph_def.library.gradient.add(function_name=names[0], gradient_func=names[1])


FAULTS = (
    _surface(
        "spec-results-swapped",
        "network",
        "The specs of two results are swapped.",
        _results_swapped,
        Structured("features"),
    ),
    _surface("spec-names-swapped", "network", "So are their names alone.", _names_swapped, Structured("features")),
    _surface("spec-result-wider", "network", "A result is said to be wider.", _result_wider, Structured("features")),
    _surface(
        "spec-result-unranked", "network", "The rank of a result is said to be unknown.", _result_unranked, Arguments()
    ),
    _surface(
        "spec-arguments-swapped", "network", "The specs of two arguments are swapped.", _arguments_swapped, Arguments()
    ),
    _structure("function-without-state", "states", "Functions say that they have no state.", _stateless, Flags()),
    _structure(
        "call-without-state",
        "noise",
        "Functions that draw are called as if they did not.",
        _stateless_calls,
        Flags(),
    ),
    _structure(
        "branch-without-state",
        "functional",
        "An If or While with state is of the op without it.",
        _stateless_branches,
        Flags(),
    ),
    _structure(
        "call-reads-alone",
        "counter",
        "Calls say that they only read what they write.",
        _all_read_only,
        Flags(),
    ),
    _structure("call-mixed-precision", "network", "Calls ask for bfloat16.", _configured(_mixed), Flags()),
    _structure("call-bounded", "network", "Calls may take a millisecond.", _configured(_bounded), Flags()),
    _structure(
        "function-taken-for",
        "network",
        "Functions are said to implement another one.",
        _attribute("api_implements", b"other"),
        Flags(),
    ),
    _structure(
        "function-attribute",
        "network",
        "Functions have an attribute of no release.",
        _attribute("_of_a_later_release", b"1"),
        Flags(),
    ),
    _structure("function-gradient", "network", "A function is said to be another one's gradient.", _gradient, Flags()),
    _structure(
        "effect-not-awaited", "counter", "A call does not wait for the one before it.", _not_awaited, Counted("incr")
    ),
)
