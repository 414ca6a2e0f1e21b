"""By what TensorFlow knows a variable, a table or a queue: ContainerInfo::Init, resource_mgr.cc."""

from __future__ import annotations

from collections.abc import Mapping

from migrate.graph.protos import AttrValue
from migrate.proof.equations import MAKERS

Key = tuple[str, bytes, str]
"""Kind, container and name."""
_DEFAULT_CONTAINER = b"localhost"
"""What an empty one stands for (resource_mgr.cc, ResourceMgr)."""
_BY_NODE = "use_node_name_sharing"


def key_of(op: str, attr: Mapping[str, AttrValue], name: str, label: str) -> Key:
    """The key of what a node makes.

    Args:
      op: one of `equations.MAKERS`.
      attr: the node's attributes.
      name: the node's name where it stands; a resource without a shared_name may be known by it.
      label: its name in the flat graph; one that is private to its kernel is known by that.
    """
    maker = MAKERS[op]
    container = attr["container"].s if "container" in attr else b""
    container = b"" if container == _DEFAULT_CONTAINER else container
    shared_name = attr["shared_name"].s.decode("utf-8", "replace") if "shared_name" in attr else ""
    if shared_name or not maker.by_node:
        return maker.kind, container, shared_name
    if maker.is_private and not (_BY_NODE in attr and attr[_BY_NODE].b):
        return f"private {maker.kind}", container, label
    return maker.kind, container, name
