"""Assets whose files are not there: what is lost with them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from migrate.graph import contract
from migrate.graph.nodes import behind, nodes_by_name
from migrate.graph.protos import AssetFileDef, MetaGraphDef, NodeDef, copied
from migrate.records import Finding, Severity

_CARRIES_A_NAME = frozenset(
    {"Const", "Identity", "NoOp", "Assign", "AssignVariableOp", "ReadVariableOp", "Variable", "VariableV2"}
    | {"VarHandleOp", "Placeholder", "PlaceholderWithDefault"}
)
"""Ops that do nothing with a file's name but hand it on."""
_COLLECTION = "saved_model_assets"


def leave_out_needless(meta_graph: MetaGraphDef, assets_dir: str) -> tuple[MetaGraphDef, tuple[Finding, ...]]:
    """Leaves out assets whose files are missing and whose names go nowhere but into variables that no signature reads.

    TensorFlow's loaders feed the name of such an asset and never look for the file.

    Args:
      meta_graph: the source; it is not changed.
      assets_dir: its directory of assets.

    Returns:
      The MetaGraphDef to go on with, and a warning for each asset that was left out.
    """
    missing = {
        tensor: file
        for tensor, file in contract.assets(meta_graph)
        if not os.path.lexists(os.path.join(assets_dir, file))
    }
    if not missing:
        return meta_graph, ()
    nodes = nodes_by_name(meta_graph)
    wanted = [tensor for s in contract.signatures(meta_graph) for spec in s.outputs.values() for tensor in spec.tensors]
    needed = behind(nodes, wanted)
    consumers = _consumers(nodes)
    needless = {t: f for t, f in missing.items() if _goes_nowhere(nodes, consumers, t.partition(":")[0], needed)}
    if not needless:
        return meta_graph, ()
    result = copied(meta_graph)
    del result.asset_file_def[:]
    result.asset_file_def.extend(a for a in meta_graph.asset_file_def if contract.asset_tensor(a) not in needless)
    if _COLLECTION in result.collection_def:
        packed = result.collection_def[_COLLECTION].any_list.value
        kept = [a for a in packed if _tensor(a) not in needless]
        del packed[:]
        packed.extend(kept)
    return result, tuple(
        Finding(
            "asset-missing",
            Severity.WARNING,
            f"the asset {os.path.join(assets_dir, file)} is missing; no signature depends on it, so it is left out",
            (file,),
        )
        for file in needless.values()
    )


def _consumers(nodes: Mapping[str, NodeDef]) -> Mapping[str, Sequence[NodeDef]]:
    """For each node those that take its outputs."""
    consumers: dict[str, list[NodeDef]] = {}
    for node in nodes.values():
        for name in node.input:
            if not name.startswith("^"):
                consumers.setdefault(name.partition(":")[0], []).append(node)
    return consumers


def _goes_nowhere(
    nodes: Mapping[str, NodeDef], consumers: Mapping[str, Sequence[NodeDef]], start: str, needed: set[str]
) -> bool:
    seen: set[str] = set()
    stack = [start]
    while stack:
        name = stack.pop()
        if name in seen:
            continue
        seen.add(name)
        reached = nodes.get(name)
        if reached is None or name in needed or reached.op not in _CARRIES_A_NAME:
            # Savers write every variable down; that is not a call.
            if reached is not None and reached.op.startswith("Save") and name not in needed:
                continue
            return False
        stack.extend(consumer.name for consumer in consumers.get(name, ()))
        if reached.op in ("Assign", "AssignVariableOp"):
            stack.append(reached.input[0].partition(":")[0])
    return True


def _tensor(packed: Any) -> str:
    """The tensor of a packed asset; of one that is damaged, of which `checks.tolerated` tells, none."""
    try:
        return contract.asset_tensor(AssetFileDef.FromString(packed.value))
    except DecodeError:
        return ""
