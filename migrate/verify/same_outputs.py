"""Which node each output of a candidate's signatures is: the one that the source's is. No TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from migrate.graph.contract import RESERVED_KEYS, tensor_names
from migrate.graph.function_calls import PARTITIONED
from migrate.graph.graph import canonical, data_inputs, split
from migrate.graph.protos import FunctionDef, MetaGraphDef, NodeDef
from migrate.records import Mismatch
from migrate.verify.differences import mismatch
from migrate.verify.source_nodes import SourceNodes, is_exporters

_MOST_STEPS = 100


CODE = "node-differs"


def output_differences(before: MetaGraphDef, source: SourceNodes, new: MetaGraphDef, path: str) -> Iterator[Mismatch]:
    """Outputs of a candidate that another node of the source gives; one that a new node gives is not compared.

    Args:
      before: the source's MetaGraphDef with the signatures.
      source: the nodes of all of it.
      new: the candidate's, whose nodes have the source's names.
      path: of the differences, see `records.Mismatch`.
    """
    main = {node.name: node for node in new.graph_def.node}
    library = {function.signature.name: function for function in new.graph_def.library.function}
    for key in sorted(before.signature_def.keys() & new.signature_def.keys() - RESERVED_KEYS):
        wanted, given = before.signature_def[key].outputs, new.signature_def[key].outputs
        for name in sorted(wanted.keys() & given.keys()):
            for expected, tensor in zip(tensor_names(wanted[name]), tensor_names(given[name]), strict=False):
                found = _given_by(main, library, tensor, split(expected)[0])
                names = () if found is None else source.names(found)
                if names and split(expected)[0] not in names:
                    reason = f"it is given by {names[0]!r}, and the source's by {split(expected)[0]!r}"
                    yield mismatch(CODE, path, reason, key, name)


def _given_by(
    nodes: Mapping[str, NodeDef], library: Mapping[str, FunctionDef], tensor: str, expected: str
) -> str | None:
    """The node that gives a tensor of the main graph, behind the exporter's calls and Identities; None if not known."""
    name, output = split(canonical(tensor))
    for _ in range(_MOST_STEPS):
        node = nodes.get(name)
        if node is None or name == expected:
            return name if node is not None else None
        if node.op in PARTITIONED and "f" in node.attr:
            function = library.get(node.attr["f"].func.name)
            if function is None or not 0 <= output < len(function.signature.output_arg):
                return None
            taken = function.ret[function.signature.output_arg[output].name]
            nodes = {one.name: one for one in function.node_def}
        elif node.op in ("Identity", "IdentityN") and is_exporters(name):
            sources = data_inputs(node)
            if not 0 <= output < len(sources):
                return None
            taken = sources[output]
        else:
            return name
        # In a function it is the node's name, the output's, and its number among those of this name.
        name, _, rest = taken.partition(":")
        last = rest.rpartition(":")[2]
        output = int(last) if last.isdecimal() else 0
    return None
