"""Names that the models in one Session or graph share: of functions, variables, tables and other resources.

A Session finds a resource by its container and `shared_name`, and a graph has one function of a name. TensorFlow's
exporter numbers functions from the start in each process, calls the variables of asset paths `Variable`, and keeps
the source's names; so two exported models that are imported into one Session would share variables and tables of
one name, or could not be imported beside one another.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping

from migrate.graph.protos import AttrValue, MetaGraphDef, NameAttrList, NodeDef

# TensorFlow's loader, fingerprint and Keras take a number at the end of a name for a counter
# (function_deserialization.py, _clean_function_name; graph_regularization/util/suffix_regularization.cc), of 64 bits.
_NUMBERED = re.compile(r"_(\d{1,7})$")
_DIGITS = 11


def make_unique(meta_graph: MetaGraphDef, digest: str) -> None:
    """Gives functions and resources of a MetaGraphDef names that no other model has.

    A variable keeps its name, with a suffix. Other resources, which TF1 names after paths of the exporting machine, get
    one that says nothing. Names of other nodes, and what the object graph calls variables, stay.

    The node of a variable's handle is called as its variable: TensorFlow's compiler, which makes TFLite and StableHLO
    models, fetches the node that has a variable's `shared_name` (mark_initialized_variables.cc).

    Args:
      meta_graph: of a TF2 SavedModel; it is changed.
      digest: of the source and the options: the same ones give the same names.
    """
    key = hashlib.sha256(digest.encode()).hexdigest()
    _rename_functions(meta_graph, f"{int(key[:9], 16):0{_DIGITS}d}")
    graph_def = meta_graph.graph_def
    for node in graph_def.node:
        if node.op == "VarHandleOp":
            _set_shared_name(node, lambda old: old + b"_" + key[:16].encode())
    _name_handles(graph_def.node)
    for nodes in (graph_def.node, *(function.node_def for function in graph_def.library.function)):
        for node in nodes:
            # Those in functions are never assigned: they stand for a type, or for a variable that is missing.
            if node.op != "VarHandleOp":
                _set_shared_name(
                    node, lambda old: b"resource_" + hashlib.sha256(key.encode() + old).hexdigest()[:16].encode()
                )


def _name_handles(nodes: Iterable[NodeDef]) -> None:
    """Gives each VarHandleOp the name of its variable, where no other node has it."""
    taken = {node.name for node in nodes}
    names: dict[str, str] = {}
    for node in nodes:
        if node.op == "VarHandleOp":
            name = node.attr["shared_name"].s.decode("utf-8", "replace")
            if _NODE_NAME.fullmatch(name) and name not in taken:
                taken.add(name)
                names[node.name] = name
    if not names:
        return
    for node in nodes:
        node.name = names.get(node.name, node.name)
        for position, source in enumerate(node.input):
            mark, bare = source[: source.startswith("^")], source.removeprefix("^")
            name, colon, output = bare.partition(":")
            if name in names:
                node.input[position] = f"{mark}{names[name]}{colon}{output}"
        if "_class" in node.attr:
            places = [place.decode("utf-8", "replace") for place in node.attr["_class"].list.s]
            node.attr["_class"].list.s[:] = [_moved(place, names).encode() for place in places]


_PLACE = "loc:@"
_NODE_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")


def _moved(place: str, names: Mapping[str, str]) -> str:
    """A colocation, by the new name of its node."""
    name = place.removeprefix(_PLACE)
    return _PLACE + names[name] if place.startswith(_PLACE) and name in names else place


def _set_shared_name(node: NodeDef, new: Callable[[bytes], bytes]) -> None:
    if "shared_name" in node.attr and node.attr["shared_name"].s:
        node.attr["shared_name"].s = new(node.attr["shared_name"].s)


def _rename_functions(meta_graph: MetaGraphDef, number: str) -> None:
    functions = meta_graph.graph_def.library.function
    rename_functions(meta_graph, {f.signature.name: _numbered(f.signature.name, number) for f in functions})


def rename_functions(meta_graph: MetaGraphDef, names: Mapping[str, str]) -> None:
    """Gives functions of a MetaGraphDef other names, wherever they are named.

    Args:
      meta_graph: it is changed.
      names: the new name of each function of the library, by its old one.
    """
    library = meta_graph.graph_def.library
    for function in library.function:
        function.signature.name = names[function.signature.name]
        for value in function.attr.values():
            if value.s and value.s.decode("utf-8", "replace") in names:  # `forward_function_name` and the like.
                value.s = names[value.s.decode()].encode()
        _rename_in(function.node_def, names)
    for gradient in library.gradient:
        gradient.function_name = names.get(gradient.function_name, gradient.function_name)
        gradient.gradient_func = names.get(gradient.gradient_func, gradient.gradient_func)
    for registered in library.registered_gradients:
        registered.gradient_func = names.get(registered.gradient_func, registered.gradient_func)
    _rename_in(meta_graph.graph_def.node, names)
    objects = meta_graph.object_graph_def
    for name in [name for name in objects.concrete_functions if name in names]:
        objects.concrete_functions[names[name]].CopyFrom(objects.concrete_functions[name])
        del objects.concrete_functions[name]
    for saved in objects.nodes:
        kind = saved.WhichOneof("kind")
        if kind == "function":
            saved.function.concrete_functions[:] = [names.get(n, n) for n in saved.function.concrete_functions]
        elif kind == "bare_concrete_function":
            name = saved.bare_concrete_function.concrete_function_name
            saved.bare_concrete_function.concrete_function_name = names.get(name, name)
        elif kind == "captured_tensor":
            name = saved.captured_tensor.concrete_function
            saved.captured_tensor.concrete_function = names.get(name, name)


def _numbered(name: str, number: str) -> str:
    counter = _NUMBERED.search(name)
    return f"{name[: counter.start()]}_{number}{counter.group(1)}" if counter else f"{name}_{number}"


def _rename_in(nodes: Iterable[NodeDef], names: Mapping[str, str]) -> None:
    for node in nodes:
        if node.op in names:
            node.op = names[node.op]
        for value in node.attr.values():
            _rename_value(value, names)


def _rename_value(value: AttrValue, names: Mapping[str, str]) -> None:
    kind = value.WhichOneof("value")
    if kind == "func":
        _rename_call(value.func, names)
    elif kind == "list":
        for call in value.list.func:
            _rename_call(call, names)


def _rename_call(call: NameAttrList, names: Mapping[str, str]) -> None:
    call.name = names.get(call.name, call.name)
    for value in call.attr.values():
        _rename_value(value, names)
