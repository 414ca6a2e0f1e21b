"""By what TensorFlow knows a variable, a table or a queue: ContainerInfo::Init, resource_mgr.cc. A name is bytes."""

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
    shared_name = name_of(attr["shared_name"].s) if "shared_name" in attr else ""
    if shared_name or not maker.by_node:
        return maker.kind, container, shared_name
    if maker.is_private and not (_BY_NODE in attr and attr[_BY_NODE].b):
        return f"private {maker.kind}", container, label
    return maker.kind, container, name


_ANONYMOUS = b"cd2c89b7-88b7-44c8-ad83-06c2a9158347"
"""ResourceHandle::ANONYMOUS_NAME (resource_handle.h)."""


def is_anonymous(op: str, attr: Mapping[str, AttrValue]) -> bool:
    """Whether a node makes a variable that no other run of it can find (resource_variable_ops.cc, VarHandleOp)."""
    return op == "VarHandleOp" and "shared_name" in attr and attr["shared_name"].s == _ANONYMOUS


def name_of(text: bytes) -> str:
    r"""A name as a text; two names are never one text.

    Example:
      >>> name_of(b"v"), name_of(b"\xff"), name_of(b"\xfe"), name_of(b"b'v'")
      ('v', "b'\\xff'", "b'\\xfe'", 'b"b\'v\'"')
    """
    found = utf8(text)
    return repr(text) if found is None or found.startswith(("b'", 'b"')) else found


def utf8(text: bytes) -> str | None:
    """A text by which something is looked up; None where it is no UTF-8, and so no name in a proto."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return None
