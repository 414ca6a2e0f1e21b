"""What two writers make of one model, with the same names for functions that they number differently."""

from __future__ import annotations

from migrate.export.unique_names import rename_functions
from migrate.graph.protos import MetaGraphDef, NodeDef, SavedModel

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def comparable(directory: str) -> MetaGraphDef:
    """The MetaGraphDef of a SavedModel whose functions are called by what they are for.

    The numbers in functions' names, and those by which captured handles are called, are of the process that traced
    them; the order of a function library says nothing.
    """
    with open(f"{directory}/saved_model.pb", "rb") as file:
        (meta_graph,) = SavedModel.FromString(file.read()).meta_graphs
    library = {function.signature.name: function for function in meta_graph.graph_def.library.function}
    rename_functions(meta_graph, {name: name for name in library} | _purposes(meta_graph))
    for function in library.values():
        for argument in function.arg_attr.values():
            if argument.attr["_user_specified_name"].s.isdigit():
                argument.attr["_user_specified_name"].s = b"captured"
    ordered = sorted(meta_graph.graph_def.library.function, key=lambda function: function.signature.name)
    del meta_graph.graph_def.library.function[:]
    meta_graph.graph_def.library.function.extend(ordered)
    return meta_graph


def _purposes(meta_graph: MetaGraphDef) -> dict[str, str]:
    objects = meta_graph.object_graph_def.nodes
    library = {function.signature.name: function for function in meta_graph.graph_def.library.function}
    root = {child.local_name: child.node_id for child in objects[0].children}

    def children(attribute: str) -> dict[str, str]:
        named = {child.local_name: child.node_id for child in objects[root[attribute]].children}
        return {name: objects[node].bare_concrete_function.concrete_function_name for name, node in named.items()}

    found = {function: f"body {number}" for number, function in children("functions").items()}
    for key, wrapper in children("signatures").items():
        (called,) = map(_called, (node for node in library[wrapper].node_def if node.op in _CALLS))
        found |= {wrapper: f"wrapper of {key}", called: f"function of {key}"}
    if "__call__" in root:
        found[objects[root["__call__"]].bare_concrete_function.concrete_function_name] = "call"
    for name in filter(None, map(_called, meta_graph.graph_def.node)):
        for purpose in ("traced_save", "traced_restore"):
            found |= {name: purpose} if purpose in name else {}
    return found


def _called(node: NodeDef) -> str:
    return str(node.attr["f"].func.name) if node.op in _CALLS else ""
