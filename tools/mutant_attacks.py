"""Makes models that do more than a model may: in the graph, in Keras configs, by links. See also `tests/attacks.py`.

`outside` is a directory of `tools.outside`, which none of them may reach.
"""

from __future__ import annotations

import json
import os
import random
import socket
from typing import Any

from migrate.graph.dtypes import dtype_value
from migrate.graph.protobuf_wire import write_varint
from migrate.graph.protos import GraphDef, MetaGraphDef, SavedModel
from tests.attacks import CALLS, IMPORT, LOADING, add, shaped_by, text
from tests.keras_attacks import any_layer, attacks, functional
from tools.mutants import behind_an_output, first
from tools.outside import FOLDER, PIPE, SECRET

_FLOAT, _INT32, _STRING, _INT64, _VARIANT = map(dtype_value, ("float32", "int32", "string", "int64", "variant"))

SHELL = (
    "x';touch pwned;'",
    "$(touch pwned)",
    "`touch pwned`",
    "a b\nrm -rf x",
    "=cmd|' /C calc'!A0",
    "--output=/tmp/x",
    "\x1b]0;title\x07\x1b[2J",
    "a\r\nb",
    "|| touch pwned #",
)
"""Names that do something where somebody copies them into a shell, a sheet or a terminal."""


def file_name(rng: random.Random, outside: str) -> str:
    """A name of what is not the model's."""
    return rng.choice(
        (
            *(os.path.join(outside, name) for name in (SECRET, SECRET, PIPE, "*", f"{FOLDER}/{SECRET}", "new")),
            f"file://{outside}/{SECRET}",
            f"FILE://{outside}/new",
            "gs://bucket/words",
            "hdfs://host/words",
            "http://localhost:9/words",
        )
    )


# Graphs.


def attack_graph(proto: SavedModel, rng: random.Random, outside: str) -> None:
    """Has a graph do something to files, or another thing that is no computing, and somebody run it."""
    meta_graph = first(proto)
    if rng.random() < 0.3 and _known_attack(meta_graph, rng, os.path.join(outside, SECRET)):
        return
    rng.choice((_by_effect, _by_effect, _by_effect, _by_a_shape, _by_a_name, _variant, _stacked))(
        meta_graph, rng, outside
    )


def _known_attack(meta_graph: MetaGraphDef, rng: random.Random, path: str) -> bool:
    """One of the attacks of the tests, where the graph has the nodes that it changes."""
    copy = MetaGraphDef()
    copy.CopyFrom(meta_graph)
    try:
        rng.choice((*LOADING, *IMPORT, *CALLS))(copy, path)
    except (StopIteration, IndexError):
        return False
    meta_graph.CopyFrom(copy)
    return True


def _by_effect(meta_graph: MetaGraphDef, rng: random.Random, outside: str) -> None:
    graph = GraphDef()
    _effect(graph.node, rng, file_name(rng, outside))
    nodes = meta_graph.graph_def.node
    if rng.random() < 0.5:
        nodes.extend(graph.node)
        name = graph.node[-1].name
    else:
        name = _in_a_function(meta_graph, graph, rng)
    place = rng.randrange(3)
    restore = meta_graph.saver_def.restore_op_name
    if place == 0 and restore:
        for node in nodes:
            if node.name == restore:
                node.input.append(f"^{name}")
    elif place == 1:
        _when_loaded(meta_graph, name, rng)
    else:
        behind_an_output(meta_graph, name)


def _when_loaded(meta_graph: MetaGraphDef, name: str, rng: random.Random) -> None:
    keys = [k for k in ("saved_model_main_op", "legacy_init_op") if k in meta_graph.collection_def]
    found = [n for k in keys for n in meta_graph.collection_def[k].node_list.value]
    for node in meta_graph.graph_def.node:
        if node.name in found:
            node.input.append(f"^{name}")
    if not found:
        meta_graph.graph_def.node.add(name="attack/init", op="NoOp", input=[f"^{name}"])
        key = rng.choice(("saved_model_main_op", "legacy_init_op"))
        meta_graph.collection_def[key].node_list.value.append("attack/init")


def _effect(nodes: Any, rng: random.Random, path: str) -> None:
    """A node that does something, the last, with what it needs before it."""
    name = text(nodes, "attack/path", path)
    if rng.random() < 0.2:
        add(nodes, "attack/same", "Identity", name, T=_STRING)
        name = "attack/same"
    if rng.random() < 0.2:
        add(nodes, "attack/joined", "StringJoin", name, text(nodes, "attack/tail", "")).attr["N"].i = 2
        name = "attack/joined"
    one = text(nodes, "attack/one", rng.choice((path, "", "x")), (1,))
    what = rng.choice(("WriteFile", "MergeV2Checkpoints", "SaveV2", "RestoreV2", "ReadFile", "MatchingFiles", *_ODD))
    if what == "MergeV2Checkpoints":
        made = add(nodes, "attack/do", what, one, name)
        made.attr["delete_old_dirs"].b = True
    elif what in ("SaveV2", "RestoreV2"):
        made = add(nodes, "attack/do", what, name, one, one, *([one] if what == "SaveV2" else []))
        made.attr["dtypes"].list.type.append(_STRING)
    elif what == "InitializeTableFromTextFileV2":
        add(nodes, "attack/table", "HashTableV2", key_dtype=_STRING, value_dtype=_INT64)
        made = add(nodes, "attack/do", what, "attack/table", name)
        made.attr["key_index"].i, made.attr["value_index"].i, made.attr["vocab_size"].i = -2, -1, -1
        made.attr["delimiter"].s = b"\t"
    elif what == "WriteFile":
        add(nodes, "attack/do", what, name, name)
    elif what in ("DebugIdentity", "DebugIdentityV2", "DebugNumericSummary"):
        add(nodes, "attack/do", what, one, T=_STRING).attr["debug_urls"].list.s.append(path.encode())
    elif what in ("PyFunc", "EagerPyFunc", "PrintV2"):
        made = add(nodes, "attack/do", what, name)
        made.attr["token"].s, made.attr["output_stream"].s = b"token", path.encode()
        made.attr["Tin"].list.type.append(_STRING)
    else:
        made = add(nodes, "attack/do", what, name)
        for key in ("file_pattern", "vocab_file", "descriptor_source", "filename"):
            made.attr[key].s = path.encode()


_ODD = (
    "InitializeTableFromTextFileV2",
    "InitializeTableFromTextFileV2",
    "DebugIdentity",
    "DebugIdentityV2",
    "DebugNumericSummary",
    "PyFunc",
    "EagerPyFunc",
    "PrintV2",
    "RecordInput",
    "DecodeProtoV2",
    "FixedUnigramCandidateSampler",
    "TextLineDataset",
    "TFRecordDatasetV2",
    "LookupTableExportV2",
    "CreateSummaryFileWriter",
    "RpcServer",
    "NoSuchOpAnywhere",
)

_RESULTS = {"Const": "output", "Identity": "output", "StringJoin": "output", "HashTableV2": "table_handle"}


def _in_a_function(meta_graph: MetaGraphDef, graph: GraphDef, rng: random.Random) -> str:
    """Puts nodes into a function's body and that into what calls it; gives the name of the node that does."""
    results = {node.name: _RESULTS.get(node.op, "output") for node in graph.node}
    library = meta_graph.graph_def.library.function
    body = library.add()
    body.signature.name = "attack_body"
    body.signature.is_stateful = rng.random() < 0.5
    for node in graph.node:
        copy = body.node_def.add()
        copy.CopyFrom(node)
        for place, name in enumerate(copy.input):
            copy.input[place] = f"{name}:{results[name]}:0"
    outer = library.add()
    outer.signature.name = "attack_outer"
    inner = outer.node_def.add(name="inner", op=rng.choice(("PartitionedCall", "StatefulPartitionedCall", "Identity")))
    inner.attr["f"].func.name = "attack_body"
    call = meta_graph.graph_def.node.add(name="attack/call", op=rng.choice(("PartitionedCall", "If", "NoOp")))
    callee = rng.choice(("attack_body", "attack_outer"))
    how = rng.randrange(4)
    if how == 0:
        call.attr["f"].func.name = callee
    elif how == 1:
        call.attr["then_branch"].func.name = call.attr["else_branch"].func.name = callee
    elif how == 2:
        call.attr["f"].func.attr["g"].func.attr["h"].func.name = callee
    else:
        call.attr["fs"].list.func.add().attr["g"].func.name = callee
    for key in ("Tin", "Tout"):
        call.attr[key].list.SetInParent()
    return call.name


def _by_a_shape(meta_graph: MetaGraphDef, rng: random.Random, outside: str) -> None:
    """TensorFlow evaluates what a shape is made of while it imports a graph."""
    nodes = meta_graph.graph_def.node
    path = text(nodes, "attack/path", file_name(rng, outside))
    add(nodes, "attack/file", rng.choice(("ReadFile", "MatchingFiles")), path)
    add(nodes, "attack/number", "StringToNumber", "attack/file", out_type=_INT32)
    outputs = {i.name.partition(":")[0] for s in meta_graph.signature_def.values() for i in s.outputs.values()}
    named = sorted(node.name for node in nodes if node.name in outputs and node.input)
    if named:
        shaped_by(meta_graph, "attack/number", rng.choice(named))


def _by_a_name(meta_graph: MetaGraphDef, rng: random.Random, outside: str) -> None:
    """Gives the ops that read a file, where there are any, a name of their own."""
    nodes = meta_graph.graph_def.node
    name = text(nodes, "attack/path", file_name(rng, outside))
    functions = [node for f in meta_graph.graph_def.library.function for node in f.node_def]
    for node in [*nodes, *functions]:
        if node.op.startswith(("RestoreV2", "RestoreSlice", "Restore")) and node.input:
            node.input[0] = name
        elif node.op.startswith("InitializeTableFromTextFile") and len(node.input) > 1:
            node.input[1] = name


def _variant(meta_graph: MetaGraphDef, rng: random.Random, outside: str) -> None:
    """A constant that no file should hold."""
    node = add(meta_graph.graph_def.node, "attack/variant", "Const", dtype=_VARIANT)
    tensor = node.attr["value"].tensor
    tensor.dtype = _VARIANT
    value = tensor.variant_val.add(type_name=rng.choice(("tensorflow::TensorList", "tensorflow::Tensor", outside)))
    value.metadata = rng.randbytes(8)
    behind_an_output(meta_graph, node.name)


def _stacked(meta_graph: MetaGraphDef, rng: random.Random, outside: str) -> None:
    """Functions within functions, of which the last may call the first."""
    del outside
    count, op = rng.choice((1, 20, 99, 100, 3000)), rng.choice(("PartitionedCall", "StatefulPartitionedCall", ""))
    end = rng.choice(("stacked_0", "stacked_end"))
    library = meta_graph.graph_def.library.function
    library.add().signature.name = "stacked_end"
    callees = [*(f"stacked_{n + 1}" for n in range(count - 1)), end]
    for number, callee in enumerate(callees):
        function = library.add()
        function.signature.name = f"stacked_{number}"
        function.node_def.add(name="call", op=op or callee).attr["f"].func.name = callee
    call = meta_graph.graph_def.node.add(name="attack/stacked", op=op or "stacked_0")
    call.attr["f"].func.name = "stacked_0"
    behind_an_output(meta_graph, call.name)


def rename_nodes(proto: SavedModel, rng: random.Random) -> None:
    """Gives nodes, and the signatures' tensors, names that do something where they are copied to; edges follow."""
    meta_graph = first(proto)
    nodes = meta_graph.graph_def.node
    if nodes and rng.random() < 0.6:
        chosen = rng.sample(range(len(nodes)), min(len(nodes), rng.choice((1, 3, 30))))
        new = {nodes[n].name: f"{rng.choice(SHELL)}{n}" for n in chosen}
        for node in nodes:
            node.name = new.get(node.name, node.name)
            for place, name in enumerate(node.input):
                control, bare = name[:1] * name.startswith("^"), name.lstrip("^")
                base, colon, port = bare.partition(":")
                if base in new:
                    node.input[place] = control + new[base] + colon + port
        for signature in meta_graph.signature_def.values():
            for info in (*signature.inputs.values(), *signature.outputs.values()):
                base, colon, port = info.name.partition(":")
                info.name = new.get(base, base) + colon + port
    for signature in list(meta_graph.signature_def.values()) if rng.random() < 0.6 else ():
        for infos in (signature.inputs, signature.outputs):
            for key in sorted(infos):
                infos[rng.choice(SHELL) + key].CopyFrom(infos[key])
                del infos[key]


def empty_messages(proto: SavedModel | MetaGraphDef | GraphDef, rng: random.Random) -> bytes:
    """The bytes of a proto with very many messages of two bytes each, or of signatures, assets or collections."""
    if isinstance(proto, SavedModel | MetaGraphDef) and rng.random() < 0.5:
        count = rng.choice((1000, 20_000, 200_000))
        if rng.random() < 0.3:
            more = b"\x32\x00" * count  # AssetFileDef
        else:
            # Entries of the maps of collections and of signatures: a key and nothing else.
            start = bytes([rng.choice((4, 5)) << 3 | 2, 10, 10, 8])
            more = b"".join(start + b"%08x" % number for number in range(count))
        if isinstance(proto, MetaGraphDef):
            return proto.SerializeToString() + more
        first = proto.meta_graphs[0].SerializeToString() if proto.meta_graphs else b""
        return b"\x08\x01" + _field(2, first + more)
    many = b"\x0a\x00" * rng.choice((1000, 100_000, 1 << 22))
    in_node = _field(1, _field(1, b"n") + _field(2, b"NoOp") + b"\x2a\x00" * rng.choice((1000, 100_000, 1 << 22)))
    graph = rng.choice((many, _field(2, many), in_node))
    if isinstance(proto, SavedModel):
        of_first = proto.meta_graphs[0].SerializeToString() if proto.meta_graphs else b""
        return b"\x08\x01" + _field(2, of_first + _field(2, graph))
    return proto.SerializeToString() + (_field(2, graph) if isinstance(proto, MetaGraphDef) else graph)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + write_varint(len(content)) + content


# Keras.


def attack_config(config: bytes, rng: random.Random, outside: str) -> bytes:
    """A Keras config with a layer that would act while it is loaded, alone or after the others of a model."""
    path = os.path.join(outside, rng.choice((SECRET, PIPE, FOLDER, "new")))
    known = attacks(path)
    name = rng.choice((*sorted(known), "file", "file", "file", "graph"))
    if name == "file":
        kind = rng.choice(("StringLookup", "IntegerLookup", "TextVectorization"))
        layer = any_layer(kind, vocabulary=file_name(rng, outside))
    elif name == "graph":
        kind = rng.choice(("ReloadedLayer", "TFSMLayer", "TorchModuleWrapper"))
        layer = any_layer(kind, filepath=outside, path=path)
    else:
        layer = known[name]
    try:
        whole = json.loads(config)
        layers = whole["config"]["layers"]
    except (ValueError, KeyError, TypeError):
        layers = None
    if not isinstance(layers, list) or not layers or rng.random() < 0.5:
        return json.dumps(functional(layer)).encode()
    layers.insert(rng.randrange(len(layers) + 1), layer)
    return json.dumps(whole).encode()


# Links.


def attack_links(folder: str, named: str, rng: random.Random, outside: str) -> None:
    """Has a part of a model, but what is named itself, be a link out of it, to itself or to nowhere; or a pipe.

    Args:
      folder: of the model.
      named: the path that audit is given, which may be a link.
      rng: decides.
      outside: where files of the model are moved to and other things are.
    """
    parts = sorted(os.path.join(b, n) for b, folders, names in os.walk(folder) for n in (*folders, *names))
    parts = [part for part in parts if part != named]
    if not parts or rng.random() < 0.4:
        kind = rng.choice(("assets", "assets.extra", "variables"))
        os.makedirs(os.path.join(folder, kind), exist_ok=True)
        _odd_file(os.path.join(folder, kind, rng.choice(("odd", "vocab.txt", "variables.index"))), rng, outside)
        return
    part = rng.choice(parts)
    moved = os.path.join(outside, "moved")
    os.rename(part, moved)
    if rng.random() < 0.6:
        target = moved if rng.random() < 0.5 else os.path.relpath(moved, os.path.dirname(part))
        if rng.random() < 0.2:
            os.symlink(target, part + ".between")
            target = os.path.basename(part) + ".between"
        os.symlink(target, part)
    else:
        _odd_file(part, rng, outside)


def _odd_file(path: str, rng: random.Random, outside: str) -> None:
    if os.path.lexists(path):
        os.unlink(path)
    what = rng.randrange(14)
    if what == 0:
        os.mkfifo(path)
    elif what == 1:
        here = os.getcwd()
        os.chdir(os.path.dirname(path))  # A socket's address has 107 bytes.
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.path.basename(path))
        os.chdir(here)
    else:
        names = ("..", "../..", ".", "/", "gone", "/dev/zero", "../variables", os.path.basename(path))
        beyond = (outside, *(os.path.join(outside, name) for name in (SECRET, PIPE, FOLDER)))
        os.symlink(rng.choice((*names, *beyond)), path)
