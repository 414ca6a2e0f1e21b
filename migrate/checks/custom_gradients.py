"""Gradients that were Python functions of the program that exported a model, and are not in it.

`tf.Graph.gradient_override_map` and `tf.custom_gradient` note the name under which a function is registered in an
attribute of a node. TensorFlow looks for that name when a gradient is taken (ops.py, get_gradient_function), and fails
with a LookupError where nobody has registered it.
"""

from __future__ import annotations

from collections.abc import Iterable

from migrate.checks.subject import Subject
from migrate.errors import counted, first_few
from migrate.graph.nodes import Located, labels
from migrate.graph.op_table import load_op_table
from migrate.graph.protos import NodeDef
from migrate.records import Finding, Severity

ATTRIBUTE = "_gradient_op_type"
"""Of a node: under which name its gradient is registered."""
_NUMBERED = "CustomGradient-"
"""What tf.custom_gradient calls them, with a number that each process counts for itself (custom_gradient.py)."""
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
"""Their gradient is the one of the function that they call, which the loader sets (function_deserialization.py)."""


def lost_gradient(node: NodeDef) -> str:
    """The name of the gradient that a node has lost; empty where it has TensorFlow's own or one that loading sets."""
    if ATTRIBUTE not in node.attr or node.op in _CALLS:
        return ""
    name: str = node.attr[ATTRIBUTE].s.decode("utf-8", "replace")
    # TensorFlow registers the gradient of each of its ops under the op's name.
    return "" if name in load_op_table() else name


def kept_name(name: str) -> str:
    """What a lost gradient is called in the new model: none that has the same number in another process."""
    return f"Lost{name}" if name.startswith(_NUMBERED) else name


def check(subject: Subject) -> tuple[Finding, ...]:
    """See `find_custom_gradients`."""
    return find_custom_gradients(subject.located, subject.options.plain_gradients)


def find_custom_gradients(nodes: Iterable[Located], plain: bool) -> tuple[Finding, ...]:
    """A warning about nodes that have lost their gradients.

    Args:
      nodes: the nodes that are needed.
      plain: whether they get TensorFlow's own.
    """
    found = [(located, name) for located in nodes if (name := lost_gradient(located.node))]
    if not found:
        return ()
    names = list(dict.fromkeys(kept_name(name) for _, name in found))
    message = (
        f"the gradient of {counted(len(found), 'node')} is not in the model but in the Python that exported it: "
        f"{first_few(names, 4)}"
    )
    where = labels(located for located, _ in found)
    if plain:
        message += "; they get TensorFlow's own, as --plain_gradients says, so the new model trains differently"
        return (Finding("custom-gradient-replaced", Severity.WARNING, message, where),)
    message += "; the answers stay, and a gradient through these nodes fails with LookupError"
    hint = (
        f"to fine-tune it, register each before loading (@tf.RegisterGradient({names[0]!r})), or convert with "
        "--plain_gradients"
    )
    return (Finding("custom-gradient-lost", Severity.WARNING, message, where, hint),)
