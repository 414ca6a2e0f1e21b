"""Writes the SavedModel of a model that has variables and signatures alone, without TensorFlow's exporter.

`tf.saved_model.save` makes some 14 Python operations for each variable, and two more functions for each signature, and
takes about ten milliseconds for a variable. The bodies of the functions are TensorFlow's own, of `wrap_function`; what
calls them, saves the variables and describes the objects is written here as TensorFlow would write it.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

# Private: nothing public says which variables a function only reads, and a call of it has to.
from tensorflow.python.framework.auto_control_deps_utils import get_read_only_resource_input_indices_graph

# Private: what `tf.saved_model.save` does to a finished graph.
from tensorflow.python.framework.meta_graph import strip_graph_default_valued_attrs, stripped_op_list_for_graph

from migrate.export.function_defs import Function, Tensor, calling
from migrate.export.keys import Keys
from migrate.export.module import Module
from migrate.export.names import Names, flat
from migrate.export.saved_graph import add_main_graph, checkpoint_key, tracked
from migrate.export.saved_objects import Call, Signature, object_graph
from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import AttrValue, GraphDef, SavedModel
from migrate.plan.records import Plan, VariablePlan
from migrate.plan.training import call_key
from migrate.regular_files import create

_READS_IN_SHARD = {(2, 15): True, (2, 21): False}
"""The releases of TensorFlow whose exporter is known to write what is written here, which a test compares, and in what
they differ: see `saver_functions.save_function`."""

_NODE_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
_NUMBER = re.compile(r"_(\d+)$")
_NO_VALUES = frozenset({dtype_value("resource"), dtype_value("variant")})


def can_save(built: Module, plan: Plan) -> bool:
    """Whether a model has nothing but variables and signatures, in a release whose exporter is known."""
    names = [variable.name for variable in plan.variables]
    tensors = [tensor for body in built.bodies.values() for tensor in (*_given(body), *body.outputs)]
    return (
        _release() in _READS_IN_SHARD
        and plan.training is None
        and not hasattr(built.root, "initializer")
        and not built.root.resources
        and not built.root.assets
        and len({*names}) == len(names)
        and all(_NODE_NAME.fullmatch(name) and not name.endswith("/") for name in names)
        and not any(variable.dtype in _NO_VALUES for variable in plan.variables)
        and not any(tensor.dtype in (tf.resource, tf.variant) for tensor in tensors)
    )


def save(built: Module, plan: Plan, directory: str) -> Keys:
    """Saves the model without its checkpoint, as `patch.save` does.

    Args:
      built: what `can_save` takes.
      plan: what it was built from.
      directory: to write.
    """
    model = SavedModel(saved_model_schema_version=1)
    meta_graph = model.meta_graphs.add()
    traced = _traced(built.bodies.values())
    meta_graph.graph_def.library.CopyFrom(traced.library)
    meta_graph.graph_def.versions.CopyFrom(traced.versions)
    library = meta_graph.graph_def.library.function
    numbers = itertools.count(1 + max((_number(function.signature.name) for function in library), default=0))
    attributes = _call_attributes()
    variables = list(plan.variables)
    by_handle = {id(built.variables[variable.identity].handle): variable for variable in variables}
    definitions = {function.signature.name: function for function in library}
    signatures, call = [], None
    marks = itertools.count(1)

    def define(
        name: str, called: Function, arguments: Sequence[str], order: Sequence[int], results: Sequence[int]
    ) -> Function:
        full = f"__inference_{name}_{next(numbers)}"
        definition, function = calling(full, called, arguments, order, results, marks, attributes)
        library.append(definition)
        return function

    for key, wrapped in built.bodies.items():
        body = _body(wrapped, by_handle, definitions[_name(wrapped)].signature.is_stateful)
        arguments, results = flat(built.names[key].arguments), flat(built.names[key].results)
        named = sorted(arguments)
        order = sorted(range(len(results)), key=results.__getitem__)
        function = define("function", body, named, [named.index(name) for name in arguments], order)
        if key == call_key(list(built.bodies)):
            call = _call(key, body, built.names[key], define)
        wrapper = define("signature_wrapper", function, named, range(len(named)), range(len(order)))
        passed = {n: _user_name(tensor) for n, tensor in enumerate(wrapped.outputs) if _user_name(tensor)}
        signatures.append(Signature(key, body, function, wrapper, tuple(results[n] for n in order), passed))
    meta_graph.object_graph_def.CopyFrom(object_graph(variables, signatures, call))
    uninitialized = plan.uninitialized
    keys = {v.identity: checkpoint_key(v.name) for v in variables if v.identity not in uninitialized}
    add_main_graph(meta_graph, variables, keys, signatures, numbers, attributes, _READS_IN_SHARD[_release()])
    information = meta_graph.meta_info_def
    information.tags.append("serve")
    information.tensorflow_version, information.tensorflow_git_version = tf.__version__, tf.__git_version__
    information.stripped_default_attrs = True
    strip_graph_default_valued_attrs(meta_graph)
    information.stripped_op_list.MergeFrom(stripped_op_list_for_graph(meta_graph.graph_def))
    for name in ("assets", "variables"):
        os.makedirs(os.path.join(directory, name), exist_ok=True)
    with create(os.path.join(directory, "saved_model.pb")) as file:
        file.write(model.SerializeToString(deterministic=True))
    names = {variable.identity: variable.name for variable in variables}
    return Keys(keys, tracked(meta_graph, variables, names, keys).SerializeToString(deterministic=True))


def _release() -> tuple[int, int]:
    major, minor = tf.__version__.split(".")[:2]
    return int(major), int(minor)


def _given(body: Any) -> list[tf.Tensor]:
    """The tensors that a function's callers give it, without what it captures."""
    count = len(body.inputs) - len(body.captured_inputs)
    return list(body.inputs[:count])


def _traced(bodies: Iterable[Any]) -> GraphDef:
    """The FunctionDefs of functions, and of those that they call, with the shapes of all tensors."""
    graph = tf.Graph()
    for body in bodies:
        body.add_to_graph(graph)
    found: GraphDef = graph.as_graph_def(add_shapes=True)
    return found


def _number(name: str) -> int:
    found = _NUMBER.search(name)
    return int(found[1]) if found else 0


def _name(function: Any) -> str:
    return function.name.decode() if isinstance(function.name, bytes) else str(function.name)


def _body(wrapped: Any, by_handle: Mapping[int, VariablePlan], is_stateful: bool) -> Function:
    return Function(
        _name(wrapped),
        {_user_name(tensor): _tensor(tensor) for tensor in _given(wrapped)},
        tuple(map(_tensor, wrapped.outputs)),
        tuple(by_handle[id(handle)] for handle in wrapped.captured_inputs),
        tuple(get_read_only_resource_input_indices_graph(wrapped.graph)),
        is_stateful,
    )


def _tensor(tensor: tf.Tensor) -> Tensor:
    return Tensor(tensor.dtype.as_datatype_enum, tensor.shape.as_proto())


def _user_name(tensor: tf.Tensor) -> str:
    """What the user calls an argument; empty for other tensors."""
    if tensor.op.type != "Placeholder":
        return ""
    try:
        return str(tensor.op.get_attr("_user_specified_name").decode())
    except ValueError:
        return ""


_Define = Callable[[str, Function, Sequence[str], Sequence[int], Sequence[int]], Function]
"""Adds a function that calls another one; see `function_defs.calling`."""


def _call(key: str, body: Function, names: Names, define: _Define) -> Call:
    """`__call__`; see `module._call`."""
    arguments, results = flat(names.arguments), flat(names.results)
    dense = [name for name, argument in names.arguments.items() if isinstance(argument, str)]
    labels = dense if len(dense) == len(arguments) else arguments
    order = sorted(range(len(labels)), key=labels.__getitem__)
    named = [arguments[n] for n in order]
    given = sorted(range(len(results)), key=results.__getitem__)
    function = define("function", body, named, [named.index(name) for name in arguments], given)
    taken = tuple(labels[n] for n in order) if len(labels) > 1 else None
    return Call(key, function, taken, tuple(results[n] for n in given) if len(results) > 1 else None)


def _call_attributes() -> Mapping[str, AttrValue]:
    """The attributes that each call of a function has, whatever it calls: of the settings of this process."""
    inner = tf.function(lambda: tf.constant(0), autograph=False)
    outer = tf.function(lambda: inner(), autograph=False).get_concrete_function()
    (call,) = (node for node in outer.graph.as_graph_def().node if node.op == "PartitionedCall")
    own = {"f", "Tin", "Tout", "_read_only_resource_inputs", "_output_shapes"}
    return {name: value for name, value in call.attr.items() if name not in own}
