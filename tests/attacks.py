"""Models that do more than a model may while it is loaded or imported: edits of testdata's `vocabulary`. No TensorFlow.

Each attack is a function of the MetaGraphDef and a path outside the model, which it must not reach.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable

from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import FunctionDef, MetaGraphDef, NodeDef, SavedModel
from tests.conversions import MODELS

_DT_STRING, _DT_INT64, _DT_INT32, _DT_FLOAT, _DT_BOOL, _DT_RESOURCE = map(
    dtype_value, ("string", "int64", "int32", "float32", "bool", "resource")
)
FILL = "string_to_index/hash_table/table_init/InitializeTableFromTextFileV2"
TABLE = "string_to_index/hash_table/hash_table"
ASSET = "string_to_index/hash_table/asset_path"
INIT, RESTORE_ALL, RESTORE, PREFIX = "init_all_tables", "save/restore_all", "save/RestoreV2", "save/Const"
OUTPUT = "embedding_lookup/Identity"

Attack = Callable[[MetaGraphDef, str], str]
"""Edits a MetaGraphDef; gives the label of the node that is to be named."""


def vocabulary() -> MetaGraphDef:
    """The MetaGraphDef that is attacked."""
    return SavedModel.FromString((MODELS / "vocabulary" / "saved_model.pb").read_bytes()).meta_graphs[0]


def attack_on_disk(attack: Attack, model: pathlib.Path, outside: str) -> str:
    """Edits the model in a directory."""
    file = model / "saved_model.pb"
    proto = SavedModel.FromString(file.read_bytes())
    label = attack(proto.meta_graphs[0], outside)
    file.write_bytes(proto.SerializeToString())
    return label


def node(graph: MetaGraphDef, name: str) -> NodeDef:
    """The node of a name."""
    return next(n for n in graph.graph_def.node if n.name == name)


def text(nodes, name: str, value: str, shape: tuple[int, ...] = ()) -> str:
    """Adds a string constant."""
    made = nodes.add(name=name, op="Const")
    made.attr["dtype"].type = _DT_STRING
    tensor = made.attr["value"].tensor
    tensor.dtype = _DT_STRING
    tensor.tensor_shape.SetInParent()
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.string_val.append(value.encode())
    return name


def add(nodes, name: str, op: str, *inputs: str, **types: int) -> NodeDef:
    """Adds a node whose attributes are dtypes."""
    made = nodes.add(name=name, op=op, input=inputs)
    for key, value in types.items():
        made.attr[key].type = value
    return made


def _after(graph: MetaGraphDef, where: str, name: str) -> None:
    node(graph, where).input.append(f"^{name}")


# What the restore op runs.


def restore_deletes(graph: MetaGraphDef, outside: str) -> str:
    nodes = graph.graph_def.node
    made = add(
        nodes, "clean", "MergeV2Checkpoints", text(nodes, "old", f"{outside}/x", (1,)), text(nodes, "to", outside)
    )
    made.attr["delete_old_dirs"].b = True
    _after(graph, RESTORE_ALL, "clean")
    return "clean"


def restore_writes(graph: MetaGraphDef, outside: str) -> str:
    _write(graph, outside)
    _after(graph, RESTORE_ALL, "write")
    return "write"


def _write(graph: MetaGraphDef, outside: str) -> None:
    nodes = graph.graph_def.node
    add(nodes, "write", "WriteFile", text(nodes, "path", f"{outside}/written"), text(nodes, "text", "x"))


def restore_of_another_checkpoint(graph: MetaGraphDef, outside: str) -> str:
    node(graph, RESTORE).input[0] = text(graph.graph_def.node, "other", f"{outside}/variables")
    return RESTORE


def restore_of_a_sibling(graph: MetaGraphDef, outside: str) -> str:
    nodes = graph.graph_def.node
    joined = add(nodes, "joined", "StringJoin", PREFIX, text(nodes, "tail", "/../../other"))
    joined.attr["N"].i = 2
    node(graph, RESTORE).input[0] = "joined"
    return RESTORE


# What the init op runs.


def init_writes(graph: MetaGraphDef, outside: str) -> str:
    _write(graph, outside)
    _after(graph, INIT, "write")
    return "write"


def init_saves(graph: MetaGraphDef, outside: str) -> str:
    nodes = graph.graph_def.node
    names = text(nodes, "names", "embedding", (1,))
    made = add(nodes, "backup", "SaveV2", text(nodes, "path", f"{outside}/x"), names, text(nodes, "all", "", (1,)))
    made.input.append("embedding/read")
    made.attr["dtypes"].list.type.append(_DT_FLOAT)
    _after(graph, INIT, "backup")
    return "backup"


def init_reads(graph: MetaGraphDef, outside: str) -> str:
    node(graph, FILL).input[1] = text(graph.graph_def.node, "path", outside)
    return FILL


def init_reads_through_identity(graph: MetaGraphDef, outside: str) -> str:
    add(graph.graph_def.node, "same", "Identity", text(graph.graph_def.node, "path", outside), T=_DT_STRING)
    node(graph, FILL).input[1] = "same"
    return FILL


def init_reads_remote(graph: MetaGraphDef, outside: str) -> str:
    del outside
    node(graph, FILL).input[1] = text(graph.graph_def.node, "path", "gs://bucket/words")
    return FILL


def init_climbs_out_of_an_asset(graph: MetaGraphDef, outside: str) -> str:
    nodes = graph.graph_def.node
    joined = add(nodes, "joined", "StringJoin", ASSET, text(nodes, "tail", f"/../../..{outside}"))
    joined.attr["N"].i = 2
    node(graph, FILL).input[1] = "joined"
    return FILL


def init_restores(graph: MetaGraphDef, outside: str) -> str:
    nodes = graph.graph_def.node
    names = text(nodes, "names", "embedding", (1,))
    made = add(nodes, "steal", "RestoreV2", text(nodes, "path", outside), names, text(nodes, "all", "", (1,)))
    made.attr["dtypes"].list.type.append(_DT_FLOAT)
    add(nodes, "put", "Assign", "embedding", "steal", T=_DT_FLOAT)
    _after(graph, INIT, "put")
    return "steal"


def _filling(graph: MetaGraphDef, name: str = "fill") -> FunctionDef:
    function = graph.graph_def.library.function.add()
    function.signature.name = name
    function.signature.input_arg.add(name="table", type=_DT_RESOURCE)
    function.signature.is_stateful = True
    return function


def _fill(function: FunctionDef, file: str) -> None:
    fill = add(function.node_def, "read", "InitializeTableFromTextFileV2", "table", file)
    fill.attr["key_index"].i, fill.attr["value_index"].i, fill.attr["vocab_size"].i = -2, -1, -1
    fill.attr["delimiter"].s = b"\t"


def _call(graph: MetaGraphDef, function: str, *inputs: str, op: str = "StatefulPartitionedCall") -> None:
    call = add(graph.graph_def.node, "call", op, *inputs)
    call.attr["f"].func.name = function
    call.attr["Tin"].list.type.extend([_DT_RESOURCE, _DT_STRING][: len(inputs)])
    call.attr["Tout"].list.SetInParent()
    target = node(graph, INIT)
    kept = [name for name in target.input if name != f"^{FILL}"]
    del target.input[:]
    target.input.extend([*kept, "^call"])


def init_reads_in_a_function(graph: MetaGraphDef, outside: str) -> str:
    function = _filling(graph)
    _fill(function, text(function.node_def, "path", outside) + ":output:0")
    _call(graph, "fill", TABLE)
    return "fill/read"


def init_gives_a_function_a_path(graph: MetaGraphDef, outside: str) -> str:
    function = _filling(graph)
    function.signature.input_arg.add(name="file", type=_DT_STRING)
    _fill(function, "file")
    _call(graph, "fill", TABLE, text(graph.graph_def.node, "path", outside))
    return "fill/read"


def init_reads_in_a_function_of_a_function(graph: MetaGraphDef, outside: str) -> str:
    function = _filling(graph)
    _fill(function, text(function.node_def, "path", outside) + ":output:0")
    outer = _filling(graph, "outer")
    call = add(outer.node_def, "inner", "StatefulPartitionedCall", "table")
    call.attr["f"].func.name = "fill"
    call.attr["Tin"].list.type.append(_DT_RESOURCE)
    call.attr["Tout"].list.SetInParent()
    _call(graph, "outer", TABLE)
    return "fill/read"


LOADING: tuple[Attack, ...] = (
    restore_deletes,
    restore_writes,
    restore_of_another_checkpoint,
    restore_of_a_sibling,
    init_writes,
    init_saves,
    init_reads,
    init_reads_through_identity,
    init_reads_remote,
    init_climbs_out_of_an_asset,
    init_restores,
    init_reads_in_a_function,
    init_gives_a_function_a_path,
    init_reads_in_a_function_of_a_function,
)
"""What a loader would run."""


# What a signature needs, and TensorFlow evaluates while it imports the graph.


def shaped_by(graph: MetaGraphDef, number: str, name: str = OUTPUT) -> None:
    """Makes an output a Reshape to [number, -1]."""
    nodes = graph.graph_def.node
    add(nodes, "rest", "Sub", number, number, T=_DT_INT32)
    add(nodes, "ones", "OnesLike", "rest", T=_DT_INT32)
    add(nodes, "minus_one", "Neg", "ones", T=_DT_INT32)
    pack = add(nodes, "shape", "Pack", number, "minus_one", T=_DT_INT32)
    pack.attr["N"].i = 2
    target = node(graph, name)
    taken = target.input[0]
    reshaped = add(nodes, "reshaped", "Reshape", taken, "shape", T=_DT_FLOAT, Tshape=_DT_INT32)
    target.input[0] = reshaped.name


def _number(graph: MetaGraphDef, of: str) -> None:
    add(graph.graph_def.node, "number", "StringToNumber", of, out_type=_DT_INT32)


def import_reads(graph: MetaGraphDef, outside: str) -> str:
    nodes = graph.graph_def.node
    add(nodes, "read", "ReadFile", text(nodes, "path", outside))
    _number(graph, "read")
    shaped_by(graph, "number")
    return "read"


def import_reads_a_joined_name(graph: MetaGraphDef, outside: str) -> str:
    nodes = graph.graph_def.node
    joined = add(nodes, "joined", "StringJoin", text(nodes, "path", outside), text(nodes, "tail", ""))
    joined.attr["N"].i = 2
    add(nodes, "read", "ReadFile", "joined")
    _number(graph, "read")
    shaped_by(graph, "number")
    return "read"


def import_reads_by_a_rank(graph: MetaGraphDef, outside: str) -> str:
    """The rank of a fed tensor is known while its value is not."""
    nodes = graph.graph_def.node
    add(nodes, "rank", "Rank", "tokens", T=_DT_STRING)
    add(nodes, "zero", "Sub", "rank", "rank", T=_DT_INT32)
    choice = add(nodes, "choice", "GatherV2", text(nodes, "paths", outside, (1,)), "zero", "zero")
    choice.attr["Tparams"].type, choice.attr["Tindices"].type, choice.attr["Taxis"].type = (
        _DT_STRING,
        _DT_INT32,
        _DT_INT32,
    )
    add(nodes, "read", "ReadFile", "choice")
    _number(graph, "read")
    shaped_by(graph, "number")
    return "read"


def import_matches(graph: MetaGraphDef, outside: str) -> str:
    nodes = graph.graph_def.node
    add(nodes, "match", "MatchingFiles", text(nodes, "pattern", f"{outside}*"))
    add(nodes, "number", "Size", "match", T=_DT_STRING, out_type=_DT_INT32)
    shaped_by(graph, "number")
    return "match"


def import_reads_in_a_function(graph: MetaGraphDef, outside: str) -> str:
    function = graph.graph_def.library.function.add()
    function.signature.name = "body"
    function.signature.output_arg.add(name="result", type=_DT_INT32)
    nodes = function.node_def
    add(nodes, "read", "ReadFile", text(nodes, "path", outside) + ":output:0")
    add(nodes, "number", "StringToNumber", "read:contents:0", out_type=_DT_INT32)
    function.ret["result"] = "number:output:0"
    call = add(graph.graph_def.node, "call", "PartitionedCall")
    call.attr["f"].func.name = "body"
    call.attr["Tin"].list.SetInParent()
    call.attr["Tout"].list.type.append(_DT_INT32)
    shaped_by(graph, "call")
    return "body/read"


def import_opens_a_descriptor(graph: MetaGraphDef, outside: str) -> str:
    nodes = graph.graph_def.node
    decode = add(nodes, "decode", "DecodeProtoV2", text(nodes, "message", "", (1,)))
    decode.attr["message_type"].s = b"x"
    decode.attr["field_names"].list.SetInParent()
    decode.attr["output_types"].list.SetInParent()
    decode.attr["descriptor_source"].s = outside.encode()
    add(nodes, "number", "Size", "decode", T=_DT_INT32, out_type=_DT_INT32)
    shaped_by(graph, "number")
    return "decode"


IMPORT: tuple[Attack, ...] = (
    import_reads,
    import_reads_a_joined_name,
    import_reads_by_a_rank,
    import_matches,
    import_reads_in_a_function,
    import_opens_a_descriptor,
)
"""What TensorFlow would run while it imports the graph."""


# What a call runs, under a name that no loader gives.


def call_samples_from_a_file(graph: MetaGraphDef, outside: str) -> str:
    nodes = graph.graph_def.node
    sampler = add(nodes, "sample", "FixedUnigramCandidateSampler", "hash_table_Lookup/SelectV2")
    sampler.attr["num_true"].i, sampler.attr["num_sampled"].i, sampler.attr["range_max"].i = 1, 1, 1
    sampler.attr["vocab_file"].s = outside.encode()
    _after(graph, OUTPUT, "sample")
    return "sample"


def call_reads_records(graph: MetaGraphDef, outside: str) -> str:
    add(graph.graph_def.node, "records", "RecordInput").attr["file_pattern"].s = outside.encode()
    _after(graph, OUTPUT, "records")
    return "records"


def call_fills_a_table(graph: MetaGraphDef, outside: str) -> str:
    nodes = graph.graph_def.node
    path = text(nodes, "path", outside)
    fill = nodes.add()
    fill.CopyFrom(node(graph, FILL))
    fill.name, fill.input[1] = "fill", path
    _after(graph, OUTPUT, "fill")
    return "fill"


def call_restores(graph: MetaGraphDef, outside: str) -> str:
    init_restores(graph, outside)
    _after(graph, OUTPUT, "put")
    return "steal"


CALLS: tuple[Attack, ...] = (call_samples_from_a_file, call_reads_records, call_fills_a_table, call_restores)
"""What a call would read although nobody gives it the name."""
