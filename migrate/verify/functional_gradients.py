"""Gradients of a source with functional control flow, in a copy of its graph.

`tf.gradients` gives an If, a Case or a While more outputs, and a Session that has run one of them takes no more calls
then. So the gradients are added to a copy before it has a Session, which then gets what the first Session holds.
TensorFlow starts here, and every import of it stands inside a function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from migrate.verify.calls import Array
from migrate.verify.gradients import gradient_tensors, sampled
from migrate.verify.handle_data import add_handle_data
from migrate.verify.sessions import session_config
from migrate.verify.table_contents import tables_of
from migrate.verify.variables import bytes_of, groups, variables_of


def gradients_in_copy(
    tf: Any,
    session: Any,
    initialise: Callable[[Any], None],
    fetches: Mapping[str, str],
    values: Mapping[str, Array],
    nodes: Mapping[str, Sequence[str]],
    feeds: Mapping[str, Array],
) -> dict[str, Array]:
    """Gives of such a graph what `gradients.session_gradients` gives of others.

    Args:
      tf: the module.
      session: on the graph, to which nodes are added that read its variables and tables.
      initialise: runs the init op in a Session on a copy.
      fetches: tensor names by output name.
      values: the outputs' values for the same feeds.
      nodes: all nodes of each variable, by its name.
      feeds: values by tensor name.
    """
    with tf.Graph().as_default() as graph:
        graph_def = session.graph.as_graph_def()
        add_handle_data(graph_def)
        tf.import_graph_def(graph_def, name="")
        wanted = gradient_tensors(tf, graph, fetches, values, nodes)
        if not wanted:
            return {}
        with tf.compat.v1.Session(graph=graph, config=session_config(tf)) as copy:
            initialise(copy)
            _take_variables(tf, session, copy)
            _take_tables(tf, session, copy)
            return sampled(tf, copy, wanted, feeds)


def _take_variables(tf: Any, session: Any, copy: Any) -> None:
    """Gives the variables of a copy the values that those of a Session have, some at a time."""
    filled, reads, writes, given = {}, {}, {}, {}
    names = tuple(variables_of(session.graph))
    for name in names:
        variable = session.graph.get_operation_by_name(name).outputs[0]
        own = copy.graph.get_operation_by_name(name).outputs[0]
        dtype = variable.op.get_attr("dtype")
        given[name] = tf.compat.v1.placeholder(dtype)
        with session.graph.as_default():
            if variable.dtype == tf.resource:
                filled[name] = tf.raw_ops.VarIsInitializedOp(resource=variable)
                reads[name] = tf.raw_ops.ReadVariableOp(resource=variable, dtype=dtype)
            else:
                filled[name], reads[name] = tf.raw_ops.IsVariableInitialized(ref=variable), variable
        if variable.dtype == tf.resource:
            writes[name] = tf.raw_ops.AssignVariableOp(resource=own, value=given[name])
        else:
            writes[name] = tf.raw_ops.Assign(ref=own, value=given[name], validate_shape=False).op
    has_value = session.run(filled) if filled else {}
    for group in groups({name: bytes_of(tf, session, name) for name in names if has_value[name]}):
        found = session.run({name: reads[name] for name in group})
        copy.run([writes[name] for name in group], {given[name]: value for name, value in found.items()})


def _take_tables(tf: Any, session: Any, copy: Any) -> None:
    """The same of tables that calls can fill; others are as the init op has filled them."""
    for name in tables_of(session.graph):
        operation = session.graph.get_operation_by_name(name)
        if not operation.type.startswith("Mutable"):
            continue
        version = "V2" if operation.type.endswith("V2") else ""
        keys, values = operation.get_attr("key_dtype"), operation.get_attr("value_dtype")
        with session.graph.as_default():
            export = getattr(tf.raw_ops, "LookupTableExport" + version)
            content = session.run(export(table_handle=operation.outputs[0], Tkeys=keys, Tvalues=values))
        given = tf.compat.v1.placeholder(keys), tf.compat.v1.placeholder(values)
        handle = copy.graph.get_operation_by_name(name).outputs[0]
        fill = getattr(tf.raw_ops, "LookupTableImport" + version)(table_handle=handle, keys=given[0], values=given[1])
        copy.run(fill, dict(zip(given, content, strict=True)))
