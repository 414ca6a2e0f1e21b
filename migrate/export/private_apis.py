"""What an export takes of TensorFlow beyond its public API; `tests/export/test_private_apis.py` has a test of each.

Nothing else in the modules that build, save and patch a new model is private.
"""

from __future__ import annotations

from typing import Any

# The very function that a call's keyword arguments go through (function_type_utils.py).
from tensorflow.core.function.polymorphism.function_type import sanitize_arg_name

# Nothing public says which variables a function only reads, and a call of it has to.
from tensorflow.python.framework.auto_control_deps_utils import get_read_only_resource_input_indices_graph

# What `tf.saved_model.save` does to a finished graph.
from tensorflow.python.framework.meta_graph import strip_graph_default_valued_attrs, stripped_op_list_for_graph

# A tf.Variable wants an initial value, and the weights should not pass through memory.
from tensorflow.python.ops.resource_variable_ops import UninitializedVariable

# `save` calls it last of all, and nothing public writes a fingerprint for a patched model.
from tensorflow.python.saved_model.fingerprinting_utils import write_fingerprint

# `tf.saved_model.save` cannot leave the checkpoint out, and only these know the variables' keys.
from tensorflow.python.saved_model.save import save_and_return_nodes
from tensorflow.python.trackable.trackable_utils import checkpoint_key, object_path_to_string

__all__ = [
    "UninitializedVariable",
    "checkpoint_key",
    "get_read_only_resource_input_indices_graph",
    "object_path_to_string",
    "sanitize_arg_name",
    "save_and_return_nodes",
    "strip_graph_default_valued_attrs",
    "stripped_op_list_for_graph",
    "user_specified_name",
    "write_fingerprint",
]


def user_specified_name(tensor: Any) -> str:
    """What the user calls an argument of a traced function; empty for other tensors."""
    if tensor.op.type != "Placeholder":
        return ""
    try:
        return str(tensor.op.get_attr("_user_specified_name").decode())
    except ValueError:
        return ""
