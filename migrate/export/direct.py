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

from migrate.export.function_defs import Function, Tensor, calling
from migrate.export.keys import Keys
from migrate.export.module import VARIABLES, Module, Root
from migrate.export.names import Names, flat
from migrate.export.private_apis import (
    get_read_only_resource_input_indices_graph,
    strip_graph_default_valued_attrs,
    stripped_op_list_for_graph,
    user_specified_name,
)
from migrate.export.saved_graph import add_main_graph, checkpoint_key, tracked
from migrate.export.saved_objects import LISTS, Call, Signature, object_graph
from migrate.graph.dtypes import dtype_value
from migrate.graph.op_table import added_ops, load_op_table
from migrate.graph.protos import AttrValue, GraphDef, NodeDef, SavedModel
from migrate.plan.records import Plan, VariablePlan
from migrate.plan.training import call_key
from migrate.regular_files import create

_READS_IN_SHARD = {(2, 15): True, (2, 21): False}
"""The releases of TensorFlow whose exporter is known to write what is written here, which a test compares, and in what
they differ: see `saver_functions.save_function`."""

_NODE_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
_RELEASE = re.compile(r"(\d+)\.(\d+)\.\d+")
_NUMBER = re.compile(r"_(\d+)$")
_VALUES = frozenset(
    map(
        dtype_value,
        (
            *("float32", "float64", "float16", "bfloat16", "complex64", "complex128", "bool", "string"),
            *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        ),
    )
)
"""DataType values of the variables, arguments and results that are known."""

_ROOT = frozenset({"vars", *LISTS, "functions"})
_CUSTOM_GRADIENT = "_gradient_op_type"


def can_save(built: Module, plan: Plan) -> bool:
    """Whether all that a model has is known here: variables and signatures, in a release whose exporter is known."""
    names = [variable.name for variable in plan.variables]
    return (
        _release() in _READS_IN_SHARD
        and plan.init is None
        and plan.training is None
        and not plan.assets
        and not plan.tables
        and len({*names}) == len(names)
        and all(_NODE_NAME.fullmatch(name) and not name.endswith("/") for name in names)
        and all(variable.dtype in _VALUES for variable in plan.variables)
        and _are_known(built, plan)
        and _are_known_nodes(itertools.chain(_nodes(plan), _inner_nodes(plan)))
    )


def _are_known(built: Module, plan: Plan) -> bool:
    """Whether the objects are those that `object_graph` writes, and functions capture nothing but variables."""
    root = built.root
    bodies = list(built.bodies.values())
    handles = {id(variable.handle) for variable in built.variables.values()}
    tensors = (tensor for body in bodies for tensor in (*_given(body), *body.outputs))
    return (
        type(root) is Root
        and {name for name in vars(root) if not name.startswith("_")} == _ROOT
        and not any(getattr(root, name) for name in LISTS if name not in ("variables", "trainable_variables"))
        and [id(function) for function in root.functions] == [id(body) for body in bodies]
        and all(type(variable) in VARIABLES for variable in built.variables.values())
        and [v.identity for v in plan.variables] == list(built.variables)
        and all(tensor.dtype.as_datatype_enum in _VALUES for tensor in tensors)
        and all(id(handle) in handles for body in bodies for handle in body.captured_inputs)
    )


def _nodes(plan: Plan) -> Iterable[NodeDef]:
    return itertools.chain.from_iterable(run.graph.nodes.values() for run in plan.runs)


def _inner_nodes(plan: Plan) -> Iterable[NodeDef]:
    return itertools.chain.from_iterable(function.node_def for function in plan.functions)


def _are_known_nodes(nodes: Iterable[NodeDef]) -> bool:
    """Whether nodes have ops of this release, none of the user's, and TensorFlow's own gradients."""
    table, added, release = load_op_table(), added_ops(), ".".join(map(str, _release()))
    known: dict[str, bool] = {}
    for node in nodes:
        op = node.op
        if op not in known:
            known[op] = op in table and release in table[op].registered and op not in added
        if not known[op] or _CUSTOM_GRADIENT in node.attr:
            return False
    return True


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
    called_as_whole = call_key(list(built.bodies))

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
        if key == called_as_whole:
            call = _call(key, body, built.names[key], define)
        wrapper = define("signature_wrapper", function, named, range(len(named)), range(len(order)))
        given = enumerate(map(user_specified_name, wrapped.outputs))
        passed = {position: name for position, name in given if name}
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
    """TensorFlow's; (0, 0) for what is not released."""
    found = _RELEASE.fullmatch(tf.__version__)
    return (int(found[1]), int(found[2])) if found else (0, 0)


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
        {user_specified_name(tensor): _tensor(tensor) for tensor in _given(wrapped)},
        tuple(map(_tensor, wrapped.outputs)),
        tuple(by_handle[id(handle)] for handle in wrapped.captured_inputs),
        tuple(get_read_only_resource_input_indices_graph(wrapped.graph)),
        is_stateful,
    )


def _tensor(tensor: tf.Tensor) -> Tensor:
    return Tensor(tensor.dtype.as_datatype_enum, tensor.shape.as_proto())


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
