"""Breaks bytes, protos, graphs and the index of a checkpoint, and makes graphs that hurt. A number decides how."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import cramjam
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from migrate.errors import InputError
from migrate.graph.op_table import load_op_table
from migrate.graph.protobuf_wire import write_varint
from migrate.graph.protos import AssetFileDef, BundleEntryProto, BundleHeaderProto, SavedModel
from migrate.sources import leveldb

NAMES = (
    "",
    ":",
    ":0",
    "x:-1",
    "x:abc",
    "x:99999999999999999999",
    "x:0:0",
    "x:\u0661",
    "^",
    "^^x",
    "^x:0",
    "../../../../etc/passwd",
    "/etc/passwd",
    "..",
    "a\0b",
    "a\nb\tc",
    "\x1b[31mred\x1b[0m\x07",
    "\u202egnp.exe",
    "</script><img src=x onerror=alert(1)>",
    "]]><!--",
    "{{ 7 * 7 }}{% raw %}",
    "'; DROP TABLE models; --",
    "\ud7ff\U0010ffff\ufeff",
    "n" * 70000,
    "%s%n%d{0}{x}",
)
"""Names that some program somewhere has tripped over."""

NUMBERS = (-1, 0, 1, 2, 127, 255, 1 << 31, (1 << 31) - 1, -(1 << 31), (1 << 63) - 1, -(1 << 63), 1 << 40, 1 << 62)
_LIMITS = {
    FieldDescriptor.CPPTYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, (1 << 64) - 1),
    FieldDescriptor.CPPTYPE_ENUM: (-(1 << 31), (1 << 31) - 1),
}


# Bytes.


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flips, cuts, doubles, moves and overwrites some bytes."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if not result:
            result += rng.randbytes(64)
        at = rng.randrange(len(result))
        length = min(rng.choice((1, 2, 4, 8, 64, 4096)), len(result) - at)
        match rng.randrange(9):
            case 0:
                result[at] ^= 1 << rng.randrange(8)
            case 1:
                result[at : at + length] = rng.randbytes(length)
            case 2:
                del result[at : at + length]
            case 3:
                result[at:at] = result[at : at + length] * rng.choice((1, 2, 50))
            case 4:
                del result[at:]
            case 5:
                result[at : at + length] = b"\xff" * length
            case 6:
                result[at : at + length] = b"\0" * length
            case 7:  # a length that promises more than there is
                result[at:at] = rng.choice((b"\xff\xff\xff\xff\x07", b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f"))
            case _:
                other = rng.randrange(len(result))
                result[at : at + length] = result[other : other + length]
    return bytes(result)


def mutate_file(file: str, rng: random.Random) -> None:
    """Changes some bytes of a file."""
    with open(file, "rb") as stream:
        data = stream.read()
    write(file, mutate_bytes(data, rng))


def write(file: str, data: bytes) -> None:
    """Puts bytes into a file."""
    with open(file, "wb") as stream:
        stream.write(data)


# Protos.


def change_some(message: Message, rng: random.Random) -> None:
    """Changes a few fields of any message."""
    empty = SavedModel()
    for _ in range(3):
        _change(_descend(message, rng), rng, empty)


def fields(proto: SavedModel, rng: random.Random) -> None:
    """Changes a few fields anywhere."""
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        _change(_descend(proto, rng), rng, proto)


def _descend(message: Message, rng: random.Random) -> Message:
    """A message somewhere below, each step at random."""
    for _ in range(12):
        below = [(field, value) for field, value in message.ListFields() if field.type == FieldDescriptor.TYPE_MESSAGE]
        if not below or rng.random() < 0.12:
            return message
        field, value = rng.choice(below)
        if not _repeated(field):
            message = value
        elif _is_map(field):
            if field.message_type.fields_by_name["value"].type != FieldDescriptor.TYPE_MESSAGE:
                return message
            message = value[rng.choice(sorted(value))]
        else:
            message = rng.choice(value)
    return message


def _repeated(field: Any) -> bool:
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)


def _is_map(field: Any) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _change(message: Message, rng: random.Random, proto: SavedModel) -> None:
    if not message.DESCRIPTOR.fields:
        return
    known = [field for field, _ in message.ListFields()]
    field = rng.choice(known) if known and rng.random() < 0.8 else rng.choice(message.DESCRIPTOR.fields)
    if rng.random() < 0.15:
        message.ClearField(field.name)
        return
    value = getattr(message, field.name)
    if _is_map(field):
        keys = sorted(value)
        if keys and rng.random() < 0.5:
            value.pop(rng.choice(keys))
        elif keys and field.message_type.fields_by_name["value"].type == FieldDescriptor.TYPE_MESSAGE:
            key_field = field.message_type.fields_by_name["key"]
            key = _scalar(key_field, rng, proto)
            value[key].CopyFrom(value[rng.choice(keys)])
    elif _repeated(field):
        _change_repeated(value, field, rng, proto)
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        value.SetInParent()
    else:
        setattr(message, field.name, _scalar(field, rng, proto))


def _change_repeated(value: Any, field: Any, rng: random.Random, proto: SavedModel) -> None:
    what = rng.randrange(5)
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        if not value:
            value.add()
        elif what == 0:
            del value[rng.randrange(len(value))]
        elif what == 1:
            value.add().CopyFrom(rng.choice(value))
        elif what == 2:
            rng.choice(value).CopyFrom(rng.choice(value))
        elif what == 3:
            copy = type(value[0])()
            copy.CopyFrom(rng.choice(value))
            for _ in range(200 if copy.ByteSize() < 2000 else 2):
                value.add().CopyFrom(copy)
        else:
            del value[: rng.randrange(len(value))]
    elif not value or what == 0:
        value.append(_scalar(field, rng, proto))
    elif what == 1:
        del value[rng.randrange(len(value))]
    elif what == 2:
        value.extend([_scalar(field, rng, proto)] * rng.choice((1, 300, 20000)))
    else:
        value[rng.randrange(len(value))] = _scalar(field, rng, proto)


def _scalar(field: Any, rng: random.Random, proto: SavedModel) -> Any:
    if field.type == FieldDescriptor.TYPE_STRING:
        return _name(rng, proto)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return rng.choice((b"", b"\xff\xfe\0", rng.randbytes(20), rng.choice(NAMES).encode("utf-8", "surrogatepass")))
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if field.cpp_type in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return rng.choice((0.0, -1.0, 1e30, float("nan"), float("inf"), float("-inf")))
    low, high = _LIMITS[field.cpp_type]
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return rng.choice((*range(24), 101, 107, 120, 999, high))
    return max(low, min(high, rng.choice(NUMBERS)))


def _name(rng: random.Random, proto: SavedModel) -> str:
    nodes = _nodes(proto, rng)
    if nodes and rng.random() < 0.6:
        return rng.choice(nodes).name + rng.choice(("", ":0", ":1", ":-1", ":7"))
    return rng.choice(NAMES)


def _nodes(proto: SavedModel, rng: random.Random) -> Any:
    """The nodes of a graph or, now and then, of a function's body."""
    if not proto.meta_graphs:
        return ()
    graph = rng.choice(proto.meta_graphs).graph_def
    if graph.library.function and rng.random() < 0.3:
        return rng.choice(graph.library.function).node_def
    return graph.node


def edges(proto: SavedModel, rng: random.Random) -> None:
    """Rewires nodes, gives them other ops, or takes their names."""
    nodes = _nodes(proto, rng)
    if not nodes:
        return
    ops = sorted(load_op_table())
    for _ in range(rng.choice((1, 2, 5, 30))):
        node, other = rng.choice(nodes), rng.choice(nodes)
        match rng.randrange(9):
            case 0 | 1:
                if node.input:
                    node.input[rng.randrange(len(node.input))] = other.name + rng.choice(("", "", ":1", ":-3", ":9"))
            case 2:
                node.input.insert(rng.randrange(len(node.input) + 1), "^" + other.name)
            case 3:
                del node.input[:]
            case 4:
                node.input.append(rng.choice((other.name, *NAMES)))
            case 5:
                node.op = rng.choice(ops)
            case 6:
                node.op = other.op
            case 7:
                node.name = rng.choice((other.name, *NAMES))
            case _:
                key = rng.choice(("T", "dtype", "shape", "value", "shared_name", "N", "validate_shape", "_class"))
                if key in other.attr:
                    node.attr[key].CopyFrom(other.attr[key])
                else:
                    node.attr[key].i = rng.choice(NUMBERS[:-4])


def assets(proto: SavedModel, rng: random.Random) -> None:
    """Gives assets other names; a model without an asset gets one."""
    for meta_graph in proto.meta_graphs:
        name = rng.choice((*NAMES, "vocab.txt/../../../up", "./a", "a/", "assets\\..\\x", "con", "x" * 300))
        packed = meta_graph.collection_def["saved_model_assets"].any_list.value
        for value in packed:
            asset = AssetFileDef()
            if value.Unpack(asset):
                asset.filename = name
                value.Pack(asset)
        for asset in meta_graph.asset_file_def:
            asset.filename = name
        if not packed and not meta_graph.asset_file_def and meta_graph.graph_def.node:
            node = rng.choice(meta_graph.graph_def.node)
            meta_graph.asset_file_def.add(filename=name).tensor_info.name = node.name + ":0"


# Graphs made to hurt.


def first(proto: SavedModel) -> Any:
    """The first MetaGraphDef; one is made where there is none."""
    return proto.meta_graphs[0] if proto.meta_graphs else proto.meta_graphs.add()


def behind_an_output(meta_graph: Any, node: str) -> None:
    """Makes every signature depend on a node, so that it is looked at."""
    wanted = {
        info.name.partition(":")[0]
        for signature in meta_graph.signature_def.values()
        for info in signature.outputs.values()
    }
    for candidate in meta_graph.graph_def.node:
        if candidate.name in wanted:
            candidate.input.append("^" + node)


def cycle(proto: SavedModel, rng: random.Random) -> None:
    """Thousands of nodes in a circle."""
    meta_graph, count = first(proto), rng.choice((1, 2, 300, 5000))
    for number in range(count):
        node = meta_graph.graph_def.node.add(name=f"round_{number}", op=rng.choice(("Identity", "NoOp", "Merge")))
        node.input.append(("^" if node.op == "NoOp" else "") + f"round_{(number + 1) % count}")
        node.attr["T"].type = 1
    behind_an_output(meta_graph, "round_0")


def chain(proto: SavedModel, rng: random.Random) -> None:
    """A graph so deep that a recursive walk overflows the stack, hanging from a variable that is written."""
    meta_graph, count = first(proto), rng.choice((2000, 6000))
    nodes = meta_graph.graph_def.node
    variable = next((n.name for n in nodes if n.op in ("VariableV2", "Variable", "VarHandleOp")), "deep_0")
    for number in range(1, count):
        node = nodes.add(
            name=f"deep_{number}", op="Identity", input=[variable if number == 1 else f"deep_{number - 1}"]
        )
        node.attr["T"].type = 1
    add = nodes.add(name="deep_write", op="AssignAdd", input=[variable, f"deep_{count - 1}"])
    add.attr["T"].type = 1
    behind_an_output(meta_graph, "deep_write")


def lattice(proto: SavedModel, rng: random.Random) -> None:
    """Layers in which everything takes everything: few nodes, and more ways through than atoms in the world."""
    meta_graph = first(proto)
    nodes = meta_graph.graph_def.node
    variable = next((n.name for n in nodes if n.op in ("VariableV2", "Variable", "VarHandleOp")), "lattice_0_0")
    width, depth = rng.choice(((2, 400), (12, 60), (3, 1000)))
    for layer in range(depth):
        for place in range(width):
            node = nodes.add(name=f"lattice_{layer}_{place}", op=rng.choice(("AddN", "Merge", "Identity", "AssignAdd")))
            node.input.extend([variable] if not layer else [f"lattice_{layer - 1}_{i}" for i in range(width)])
            node.attr["T"].type = 1
            node.attr["N"].i = width
    behind_an_output(meta_graph, f"lattice_{depth - 1}_0")


def laugh(proto: SavedModel, rng: random.Random) -> None:
    """Functions that call one another twice each, sixty deep (a billion laughs), or themselves."""
    meta_graph = first(proto)
    depth = rng.choice((1, 60, 3000))
    for level in range(depth):
        function = meta_graph.graph_def.library.function.add()
        function.signature.name = f"laugh_{level}"
        callee = f"laugh_{level + 1}" if level + 1 < depth else rng.choice(("laugh_0", "NoOp"))
        for number in range(2):
            node = function.node_def.add(name=f"n{number}", op="PartitionedCall")
            node.attr["f"].func.name = callee
            node.attr["f"].func.attr["g"].func.name = callee
    node = meta_graph.graph_def.node.add(name="laughter", op=rng.choice(("laugh_0", "PartitionedCall")))
    node.attr["f"].func.name = "laugh_0"
    behind_an_output(meta_graph, "laughter")


def bodies(proto: SavedModel, rng: random.Random) -> None:
    """The graph's own nodes, refs and all, as the body of a function that everything calls; its edges are damaged."""
    meta_graph = first(proto)
    nodes = list(meta_graph.graph_def.node)[:200]
    if not nodes:
        return
    function = meta_graph.graph_def.library.function.add()
    function.signature.name = "body"
    names = [node.name for node in nodes]
    function.signature.output_arg.add(name="out", type=1)
    function.ret["out"] = rng.choice(names) + rng.choice((":output:0", ":ref:0", ":z:abc", ":", "", ":y:-1"))
    if rng.random() < 0.3:
        function.ret.clear()
    for node in nodes:
        copy = function.node_def.add()
        copy.CopyFrom(node)
        for place, name in enumerate(copy.input):
            if not name.startswith("^") and rng.random() < 0.95:
                copy.input[place] = name.partition(":")[0] + rng.choice((":output:0", ":ref:0", ":output_ref:0"))
            elif rng.random() < 0.2:
                copy.input[place] = rng.choice((*names, *NAMES))
    for number in range(rng.choice((1, 40))):
        call = meta_graph.graph_def.node.add(name=f"call_{number}", op=rng.choice(("body", "PartitionedCall", "If")))
        for key in ("f", "then_branch", "else_branch"):
            call.attr[key].func.name = "body"
        behind_an_output(meta_graph, call.name)


def nest(proto: SavedModel, rng: random.Random) -> None:
    """Attributes within attributes, as deep as the parser takes them."""
    meta_graph = first(proto)
    node = meta_graph.graph_def.node.add(name="nested", op="NoOp")
    attr = node.attr["a"]
    for level in range(rng.choice((10, 28, 45))):
        attr = attr.func.attr["a"] if level % 2 else attr.list.func.add().attr["a"]
    attr.s = b"bottom"
    behind_an_output(meta_graph, "nested")


def huge_shapes(proto: SavedModel, rng: random.Random) -> None:
    """Tensors and variables whose shapes promise more than any machine holds, or less than nothing."""
    meta_graph = first(proto)
    sizes = [rng.choice((1 << 62, 1 << 31, -1, -2, -(1 << 63), 0, 1 << 40)) for _ in range(rng.choice((1, 2, 5, 3000)))]
    for node in meta_graph.graph_def.node:
        for key in ("shape", "value"):
            if key in node.attr and rng.random() < 0.5:
                shape = node.attr[key].shape if key == "shape" else node.attr[key].tensor.tensor_shape
                shape.unknown_rank = rng.random() < 0.2
                del shape.dim[:]
                for size in sizes:
                    shape.dim.add(size=size)
    for signature in meta_graph.signature_def.values():
        for info in signature.inputs.values():
            for size in sizes:
                info.tensor_shape.dim.add(size=size)


def broken_collections(proto: SavedModel, rng: random.Random) -> None:
    """Collections whose bytes are no protos and whose names lead nowhere."""
    collections = first(proto).collection_def
    for key in sorted({*collections, "trainable_variables", "saved_model_main_op", "legacy_init_op", "variables"}):
        what = rng.randrange(5)
        if what == 0:
            collections[key].bytes_list.value.extend([rng.randbytes(30), b"\xff" * 9])
        elif what == 1:
            collections[key].node_list.value.extend(NAMES)
        elif what == 2:
            collections[key].any_list.value.add(type_url="type.googleapis.com/none.Such", value=rng.randbytes(9))
        elif what == 3:
            collections[key].int64_list.value.extend(NUMBERS[:-1])


def wide(proto: SavedModel, rng: random.Random) -> None:
    """Very many signatures, inputs, variables or control inputs."""
    meta_graph = first(proto)
    what = rng.randrange(4)
    signatures = meta_graph.signature_def
    nodes = meta_graph.graph_def.node
    if what == 0 and signatures:
        pattern = signatures[sorted(signatures)[0]]
        for number in range(60):
            signatures[f"copy_{number}"].CopyFrom(pattern)
    elif what == 1 and nodes:
        for number in range(5000):
            nodes.add(name=f"wide_{number}", op="NoOp")
        nodes.add(name="wide", op="NoOp", input=[f"^wide_{number}" for number in range(5000)])
        behind_an_output(meta_graph, "wide")
    elif what == 2 and nodes:
        variable = next((n for n in nodes if n.op in ("VariableV2", "Variable", "VarHandleOp")), nodes[0])
        last = variable.name
        for number in range(1500):
            copy = nodes.add()
            copy.CopyFrom(variable)
            copy.name = f"many_{number}"
            write = nodes.add(name=f"write_{number}", op="AssignAdd", input=[copy.name, copy.name, f"^{last}"])
            write.attr["T"].type = 1
            last = write.name
        behind_an_output(meta_graph, last)
    elif nodes:
        node = rng.choice(nodes)
        node.input.extend([node.input[0] if node.input else node.name] * 50000)


HOSTILE = (cycle, chain, lattice, laugh, bodies, nest, huge_shapes, broken_collections, wide)


# Checkpoints.


def table_items(file: str) -> list[tuple[bytes, bytes]] | None:
    """Keys and values of a table; None for a file that is none any more."""
    with open(file, "rb") as stream:
        data = stream.read()
    try:
        return list(leveldb.read_table(data, file))
    except InputError:
        return None


def mutate_index(file: str, rng: random.Random) -> None:
    """Changes entries of a V2 checkpoint's index, or puts another table in its place."""
    items = table_items(file)
    if items is None:
        mutate_file(file, rng)
        return
    what = rng.randrange(7)
    if what == 0:
        write(file, snappy_bomb(rng.choice((1 << 20, 1 << 27, 1 << 31))))
        return
    if what == 1:
        write(file, many_handles(rng.choice((100, 100_000))))
        return
    at = rng.randrange(len(items))
    key, value = items[at]
    message: BundleEntryProto | BundleHeaderProto = BundleEntryProto() if key else BundleHeaderProto()
    message.ParseFromString(value)
    if what == 2:
        items[at] = (key, mutate_bytes(value, rng))
    elif what == 3:
        items[at] = (mutate_bytes(key, rng), value)
    elif what == 4:
        change_some(message, rng)
        items[at] = (key, message.SerializeToString())
    elif what == 5 and isinstance(message, BundleEntryProto):
        del message.shape.dim[:]
        for _ in range(rng.choice((1, 300, 100_000))):
            message.shape.dim.add(size=rng.choice((1 << 62, 1 << 31, 0, 1)))
        message.size = rng.choice((0, 1 << 62, message.size))
        items[at] = (key, message.SerializeToString())
    elif isinstance(message, BundleEntryProto):
        for _ in range(rng.choice((1, 5000))):
            extent = message.slices.add().extent.add(start=rng.choice(NUMBERS))
            extent.length = rng.choice(NUMBERS)
        items[at] = (key, message.SerializeToString())
    else:
        message.num_shards = rng.choice((0, -1, 1 << 30, 2))
        items[at] = (key, message.SerializeToString())
    write(file, leveldb.write_table(sorted(items)))


def snappy_bomb(size: int) -> bytes:
    """A table whose one block is a few bytes of Snappy that say that they unfold to `size`, and do so up to 128 MB."""
    if size <= 1 << 27:
        packed = bytes(cramjam.snappy.compress_raw(b"\0" * size))
    else:
        packed = write_varint(size) + b"\x00a" + b"\xfe\x01\x00" * 1000
    return table_of_blocks([(packed, 1)])


def many_handles(count: int) -> bytes:
    """A table whose index names the same block very many times."""
    return table_of_blocks([(_block([(b"", b"")]), 0)], repeat=count)


def table_of_blocks(blocks: Sequence[tuple[bytes, int]], repeat: int = 1) -> bytes:
    """A table of given blocks (bytes, compression type) with right checksums; the index names all of them `repeat`x."""
    data = bytearray()
    handles = [_append(data, block, kind) for block, kind in blocks]
    keyed = ((b"k%09d" % n, handle) for n, handle in enumerate(handles * repeat))
    meta = _append(data, _block([]), 0)
    index = _append(data, _block(keyed), 0)
    return bytes(data) + (meta + index).ljust(40, b"\0") + 0xDB4775248B80FB57.to_bytes(8, "little")


def _append(data: bytearray, block: bytes, kind: int) -> bytes:
    handle = write_varint(len(data)) + write_varint(len(block))
    data += block + bytes([kind])
    data += leveldb.masked_crc32c(block + bytes([kind])).to_bytes(4, "little")
    return handle


def _block(items: Iterable[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(bytes(1) + write_varint(len(key)) + write_varint(len(value)) + key + value for key, value in items)
    return body + (0).to_bytes(4, "little") + (1).to_bytes(4, "little")
