"""The graphs of a MetaGraphDef: its main graph and the bodies of its functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from migrate.graph.protos import MetaGraphDef, NodeDef


def bodies(graph: MetaGraphDef) -> Iterator[tuple[str, tuple[str, ...], Sequence[NodeDef]]]:
    """What each is called in a sentence, names of its arguments, and its nodes."""
    yield "the main graph", (), graph.graph_def.node
    for function in graph.graph_def.library.function:
        arguments = tuple(argument.name for argument in function.signature.input_arg)
        yield f"the function {function.signature.name!r}", arguments, function.node_def
