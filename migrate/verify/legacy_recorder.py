# -*- coding: utf-8 -*-
# ruff: noqa
# mypy: ignore-errors
# fmt: off
"""Records what a TensorFlow 1 model answers, on the machine where the model runs today.

    python record.py MODEL --output=golden.npz --inputs=calls.json

One file. It needs TensorFlow (1.4 to 2.21) and the NumPy that comes with it, on Python 2.7 or 3.5 to 3.13. It reads the
model and writes one file: `golden.npz`, which `migrate validate NEW --golden=golden.npz` and
`migrate convert OLD NEW --golden=golden.npz` compare with the new model. That file holds no pickles.

MODEL is a directory with a SavedModel or a SessionBundle, a GraphDef (`frozen.pb`), or a MetaGraphDef with its checkpoint
(`model.ckpt.meta`). The last two have no signatures, so name what is to be called:

    --signature='serving_default:inputs=x=x:0;outputs=scores=s:0'

The calls come from `--inputs`: a file that `migrate inputs MODEL` prints (.json, .jsonl), arrays (.npz, by the names
INPUT, SIGNATURE/INPUT or NUMBER/SIGNATURE/INPUT), or a log of TensorFlow Serving (TFRecord of PredictionLog). Without it
they are the model's own warm-up requests, and a few of each signature that this program makes up.

Custom ops: `--load_op_library=ops.so`, `--import=tensorflow.contrib.rnn`; both may be repeated.
"""

from __future__ import absolute_import, division, print_function

import argparse
import base64
import binascii
import hashlib
import importlib
import io
import json
import os
import platform
import re
import struct
import sys
import zipfile
import zlib

import numpy as np

VERSION = 1
"""Of this program."""
SCHEMA = 2
"""Of the file that it writes (migrate/verify/golden.py)."""

PARTS = ("indices", "values", "dense_shape")
BUNDLE = "export.meta"
"""Of a SessionBundle, beside its checkpoint."""
WARM_UP = os.path.join("assets.extra", "tf_serving_warmup_requests")
MOST_OWN = 100
TEXT = type(u"")


class Problem(Exception):
    """What is wrong with what the user gave, in one line of text: Python 2 does not mix bytes and text that are no ASCII."""

    def __init__(self, form, *values):
        self.text = to_text(form) % tuple(shown(value) for value in values)
        Exception.__init__(self, self.text)


def shown(value):
    if isinstance(value, Exception):
        return first_line(value)
    return to_text(value) if isinstance(value, (bytes, TEXT)) else value


def first_line(error):
    """The first line of what an error says, as text."""
    if isinstance(error, Problem):
        return error.text
    try:
        said = to_text(str(error))
    except UnicodeError:  # Of Python 2, where a message holds other letters than ASCII has.
        said = to_text(repr(error))
    lines = said.strip().splitlines()
    return lines[0][:500] if lines else type(error).__name__


def tell(text):
    """Writes a line to the standard error stream, whatever letters that takes."""
    data = to_text(text).encode("utf-8") + b"\n"
    getattr(sys.stderr, "buffer", sys.stderr).write(data)
    sys.stderr.flush()


# Values.


def to_bytes(text):
    return text.encode("utf-8") if isinstance(text, TEXT) else text


def to_text(data):
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else data


def strings(nested):
    """Nested lists of strings as an object array of bytes; {"b64": ...} is what it encodes."""
    shape = []
    probe = nested
    while isinstance(probe, list):
        shape.append(len(probe))
        probe = probe[0] if probe else None
    found = []

    def walk(value, depth):
        if isinstance(value, list):
            if depth >= len(shape) or len(value) != shape[depth]:
                raise Problem("rows differ in length")
            for item in value:
                walk(item, depth + 1)
        elif depth != len(shape):
            raise Problem("rows differ in length")
        elif isinstance(value, dict) and list(value) == ["b64"]:
            found.append(base64.b64decode(to_bytes(value["b64"])))
        elif isinstance(value, (bytes, TEXT)):
            found.append(to_bytes(value))
        else:
            raise Problem("%s is no string", json.dumps(value)[:100])

    walk(nested, 0)
    array = np.empty(len(found), dtype=object)
    for number, item in enumerate(found):
        array[number] = item
    return array.reshape(shape)


def array_of(value, name, dtype):
    """A value of a file with calls as an array.

    Args:
      value: as JSON has it, or an array.
      name: TensorFlow's name of the dtype.
      dtype: NumPy's dtype, `object` for strings.
    """
    if isinstance(value, dict) and sorted(value) == ["fill", "shape"]:
        fill = value["fill"]
        if isinstance(fill, list):
            raise Problem("'fill' is one value")
        if name == "string":
            fill = strings(fill).item()
        array = np.empty(value["shape"], dtype=dtype)
        array.fill(fill)
        return array
    if name == "string":
        if isinstance(value, np.ndarray):
            value = value.tolist()
        return strings(value)
    array = np.asarray(value)
    converted = array.astype(dtype)
    if array.size and dtype.kind in "iub" and not np.array_equal(converted, array):
        raise Problem("a value is no %s", name)
    return converted


def tf_name(array):
    """TensorFlow's name of an array's dtype."""
    if array.dtype.kind in "OSU":
        return "string"
    if array.dtype.names:  # A quantized dtype of TensorFlow 1: one field of that name.
        return array.dtype.names[0]
    return array.dtype.name


# The file that is written.


class Golden(object):
    """Gathers tensors, each once, and what is said of them."""

    def __init__(self):
        self.arrays = {}
        self.numbers = {}

    def tensor(self, value):
        array = np.asarray(value)
        name = tf_name(array)
        shape = [int(size) for size in array.shape]
        if name == "string":
            items = [to_bytes(item) for item in array.ravel().tolist()]
            lengths = np.array([len(item) for item in items], dtype="<i8")
            content = b"".join(items)
        else:
            lengths = None
            if array.dtype.byteorder == ">" or (array.dtype.byteorder == "=" and sys.byteorder == "big"):
                array = array.astype(array.dtype.newbyteorder("<"))
            content = np.ascontiguousarray(array).tobytes()
        mark = hashlib.sha256(content + (b"" if lengths is None else lengths.tobytes())).digest()
        key = (name, tuple(shape), mark)
        if key not in self.numbers:
            number = self.numbers[key] = len(self.numbers)
            self.arrays[str(number)] = np.frombuffer(content, dtype=np.uint8)
            if lengths is not None:
                self.arrays["%d.lengths" % number] = lengths
        return [self.numbers[key], name, shape]

    def value(self, value):
        if isinstance(value, dict):
            return dict((part, self.tensor(value[part])) for part in PARTS)
        return self.tensor(value)

    def answer(self, answer):
        outputs, error, message = answer
        return {
            "outputs": dict((name, self.tensor(value)) for name, value in outputs.items()),
            "error": error,
            "message": message,
        }

    def save(self, content, path):
        arrays = dict(self.arrays)
        text = json.dumps(content, sort_keys=True)
        arrays["golden.json"] = np.frombuffer(to_bytes(text), dtype=np.uint8)
        partial = path + ".partial"
        try:
            with open(partial, "wb") as stream:
                np.savez_compressed(stream, **arrays)
            if os.name == "nt" and os.path.exists(path):
                os.remove(path)
            os.rename(partial, path)
        except BaseException as error:
            if os.path.exists(partial):
                os.remove(partial)
            if isinstance(error, (IOError, OSError)):
                raise Problem("--output=%s: cannot be written: %s", path, error.strerror or error)
            raise


def digest_of(path):
    found = hashlib.sha256()
    with open(path, "rb") as stream:
        while True:
            chunk = stream.read(1 << 20)
            if not chunk:
                return found.hexdigest()
            found.update(chunk)


# TFRecord files and the messages in them, without tensorflow-serving-api.


def crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


def masked_crc(data, table):
    crc = 0xFFFFFFFF
    for byte in bytearray(data):
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF


def unpacked(path, data):
    """What gzip has packed; a file may consist of several of its streams."""
    found = []
    while data:
        unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            found.append(unpacking.decompress(data) + unpacking.flush())
        except zlib.error as error:
            raise Problem("%s: damaged: %s", path, error)
        data = unpacking.unused_data
    return b"".join(found)


def records(path):
    """The records of a TFRecord file, each of which is checked (tensorflow/core/lib/io/record_writer.h)."""
    with open(path, "rb") as stream:
        data = stream.read()
    if data[:2] == b"\x1f\x8b":
        data = unpacked(path, data)
    table = crc_table()
    position = number = 0
    while position < len(data):
        if position + 12 > len(data):
            raise Problem("%s: record %d: the file ends inside of it", path, number)
        length, crc = struct.unpack_from("<QI", data, position)
        if crc != masked_crc(data[position : position + 8], table):
            raise Problem("%s: record %d: damaged, or no TFRecord file", path, number)
        end = position + 12 + length
        if end + 4 > len(data):
            raise Problem("%s: record %d: the file ends inside of it", path, number)
        record = data[position + 12 : end]
        if struct.unpack_from("<I", data, end)[0] != masked_crc(record, table):
            raise Problem("%s: record %d: damaged: its checksum differs", path, number)
        yield record
        position, number = end + 4, number + 1


def fields(data):
    """(number, payload) of each field of a message; a payload is bytes, or a number of a varint."""
    position = 0

    def varint():
        found = shift = 0
        at = position
        while True:
            if at >= len(data) or shift > 63:
                raise Problem("a message is damaged")
            byte = ord(data[at : at + 1])
            found |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return found, at

    while position < len(data):
        key, position = varint()
        kind = key & 7
        if kind == 0:
            payload, position = varint()
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            payload, position = data[position : position + size], position + size
        elif kind == 2:
            size, position = varint()
            payload, position = data[position : position + size], position + size
        else:
            raise Problem("a message is damaged")
        if position > len(data):
            raise Problem("a message is damaged")
        yield key >> 3, payload


def all_of(data, number):
    return [payload for found, payload in fields(data) if found == number]


def last_of(data, number, default=b""):
    found = all_of(data, number)
    return found[-1] if found else default


def examples_of(given):
    """The serialized tf.Examples of a tensorflow.serving.Input."""
    listed = all_of(given, 1)
    context = b""
    if not listed:
        listed = all_of(given, 2)
        context = last_of(last_of(given, 2), 2)
    found = [context + example for one in listed for example in all_of(one, 1)]
    array = np.empty(len(found), dtype=object)
    for number, example in enumerate(found):
        array[number] = example
    return array


def logged_calls(path, to_array):
    """(number of the record, signature or None, values) of each request of a log of TensorFlow Serving.

    The values are a dict by input, an array of tf.Examples, or None where the request names tensors and no signature.
    Messages: tensorflow_serving/apis/prediction_log.proto and those that it imports.
    """
    for number, record in enumerate(records(path)):
        for kind, log in fields(record):
            if kind not in (2, 3, 4, 5, 6, 7):
                continue
            for request in all_of(log, 1):
                if kind == 5:
                    feeds = [(to_text(last_of(feed, 1)), to_array(last_of(feed, 2))) for feed in all_of(request, 2)]
                    signature = to_text(last_of(last_of(request, 1), 3)) or None
                    yield number, signature, dict(feeds) if last_of(request, 6, 0) else None
                    continue
                if kind == 4:
                    examples = examples_of(last_of(request, 2))
                    for task in all_of(request, 1):
                        yield number, to_text(last_of(last_of(task, 1), 3)) or None, examples
                    continue
                signature = to_text(last_of(last_of(request, 1), 3)) or None
                if kind in (2, 3):
                    yield number, signature, examples_of(last_of(request, 2))
                elif kind in (6, 7):
                    entries = all_of(request, 2)
                    yield number, signature, dict(
                        (to_text(last_of(entry, 1)), to_array(last_of(entry, 2))) for entry in entries
                    )


# The model.


class Model(object):
    """What is known of a model before it is loaded.

    Attributes: `load(session)` loads it; `signatures` are (inputs, outputs) by key, each a dict of tensors, where a tensor
    is its name, or the names of the parts of a sparse one.
    """

    def __init__(self, path, file_name, tags, load, signatures, graph_def):
        self.path = path
        self.file_name = file_name
        self.tags = tags
        self.load = load
        self.signatures = signatures
        self.graph_def = graph_def


def tensor_names(info):
    """A TensorInfo's tensor: a name, the names of a sparse one's parts, or None for what is neither."""
    encoding = info.WhichOneof("encoding")
    if encoding == "coo_sparse":
        sparse = info.coo_sparse
        return dict(zip(PARTS, (sparse.indices_tensor_name, sparse.values_tensor_name, sparse.dense_shape_tensor_name)))
    return full(info.name) if encoding == "name" else None


def full(name):
    name = name[1:] if name.startswith("^") else name
    return name if ":" in name else name + ":0"


def signatures_of(meta_graph):
    found = {}
    for key, signature in meta_graph.signature_def.items():
        sides = []
        for side in (signature.inputs, signature.outputs):
            sides.append(dict((name, tensor_names(info)) for name, info in side.items()))
        if None not in sides[0].values() and None not in sides[1].values() and sides[1]:
            found[to_text(key)] = tuple(sides)
    return found


def given_signature(text):
    """`KEY:inputs=a=x:0,b=y:0;outputs=s=s:0`, as `migrate convert --signature` takes it, without escapes."""
    text = to_text(text)
    key, _, rest = text.partition(":")
    sides = {}
    for section in filter(None, rest.split(";")):
        word, _, pairs = section.partition("=")
        if word == "method":
            continue
        side = sides[word] = {}
        for pair in filter(None, pairs.split(",")):
            name, equals, tensor = pair.partition("=")
            side[name if equals else name.split(":")[0].split("/")[-1]] = full(tensor if equals else name)
    if not key or set(sides) - {"inputs", "outputs"} or not sides.get("outputs"):
        raise Problem("--signature=%s: write KEY:inputs=a=x:0,b=y:0;outputs=scores=s:0", text)
    return key, (sides.get("inputs", {}), sides["outputs"])


def model_of(v1, path, tags, given):
    """Reads a model's graph, and says how it is loaded."""
    if os.path.isdir(path) and os.path.isfile(os.path.join(path, BUNDLE)):
        model = meta_and_checkpoint(v1, os.path.join(path, BUNDLE))
    elif os.path.isdir(path):
        model = saved_model(v1, path, tags)
    elif path.endswith(".meta"):
        model = meta_and_checkpoint(v1, path)
    elif os.path.isfile(path):
        model = frozen(v1, path)
    else:
        raise Problem("%s: no such file or directory", path)
    model.signatures.update(given_signature(text) for text in given)
    if not model.signatures:
        raise Problem(
            "%s: has no signatures; name what is to be called: "
            "--signature='serving_default:inputs=x=x:0;outputs=scores=s:0'",
            path,
        )
    return model


def parsed(message, path):
    """Reads a binary or a text message of a file."""
    from google.protobuf import text_format
    from google.protobuf.message import DecodeError

    with open(path, "rb") as stream:
        data = stream.read()
    try:
        message.ParseFromString(data)
        return message
    except DecodeError:
        pass
    message.Clear()
    try:
        text_format.Merge(data.decode("utf-8"), message)
        return message
    except (UnicodeDecodeError, text_format.ParseError):
        raise Problem("%s: holds no %s", path, message.DESCRIPTOR.name)


def saved_model(v1, path, tags):
    from tensorflow.core.protobuf import saved_model_pb2

    names = [name for name in ("saved_model.pb", "saved_model.pbtxt") if os.path.exists(os.path.join(path, name))]
    if not names:
        raise Problem("%s: holds no saved_model.pb", path)
    content = parsed(saved_model_pb2.SavedModel(), os.path.join(path, names[0]))
    sets = [tuple(sorted(to_text(tag) for tag in one.meta_info_def.tags)) for one in content.meta_graphs]
    if not sets:
        raise Problem("%s: holds no graph", os.path.join(path, names[0]))
    if tags is not None:
        wanted = tuple(sorted(filter(None, tags.split(","))))
        if wanted not in sets:
            raise Problem("--tags=%s: the tag sets are %s", tags, "; ".join(",".join(one) for one in sets))
    else:
        serving = [one for one in sets if one == ("serve",)] or [one for one in sets if "serve" in one]
        wanted = (serving or sets)[0]
    meta_graph = content.meta_graphs[sets.index(wanted)]

    def load(session):
        v1.saved_model.loader.load(session, list(wanted), path)

    return Model(path, names[0], wanted, load, signatures_of(meta_graph), meta_graph.graph_def)


def meta_and_checkpoint(v1, path):
    from tensorflow.core.protobuf import meta_graph_pb2

    meta_graph = parsed(meta_graph_pb2.MetaGraphDef(), path)
    directory, name = os.path.split(os.path.abspath(path))
    is_bundle = "serving_signatures" in meta_graph.collection_def
    signatures = bundle_signatures(meta_graph) if is_bundle else signatures_of(meta_graph)

    def load(session):
        saver = v1.train.import_meta_graph(meta_graph, clear_devices=True)
        if saver is not None:
            saver.restore(session, checkpoint_of(path[: -len(".meta")]))
        tables = v1.get_collection(v1.GraphKeys.TABLE_INITIALIZERS)
        if is_bundle:
            session.run(bundle_init_ops(meta_graph), bundle_assets(meta_graph, os.path.join(directory, "assets")))
        elif tables:
            session.run(tables)

    return Model(directory, name, (), load, signatures, meta_graph.graph_def)


# SessionBundles, which the exporter of TensorFlow 0.x wrote. Their messages (tensorflow/contrib/session_bundle/manifest.proto)
# are not in every TensorFlow, so they are read by the numbers of their fields.


def packed(meta_graph, collection):
    """The messages of a collection."""
    if collection not in meta_graph.collection_def:
        return []
    return [message.value for message in meta_graph.collection_def[collection].any_list.value]


def bundle_init_ops(meta_graph):
    return list(meta_graph.collection_def["serving_init_op"].node_list.value)[:1]


def bundle_assets(meta_graph, directory):
    """What is fed while the init op runs: the paths of the assets, by tensor."""
    return dict(
        (binding(last_of(asset, 1)), os.path.join(directory, to_text(last_of(asset, 2))))
        for asset in packed(meta_graph, "serving_assets")
    )


def binding(data):
    """The tensor of a TensorBinding."""
    name = to_text(last_of(data, 1))
    return full(name) if name else None


def bundle_signatures(meta_graph):
    """Signatures by the names that migrate, and TensorFlow Serving's own conversion, give them (bundle_shim.cc)."""
    if packed(meta_graph, "serving_graph"):
        meta_graph.graph_def.ParseFromString(packed(meta_graph, "serving_graph")[0])
    placeholders = set(node.name for node in meta_graph.graph_def.node if node.op.startswith("Placeholder"))
    default, named = b"", {}
    for message in packed(meta_graph, "serving_signatures"):
        default = last_of(message, 1, default)
        for entry in all_of(message, 2):
            named[to_text(last_of(entry, 1))] = last_of(entry, 2)
    found = {}
    if default:
        found["serving_default"] = bundle_sides(default, placeholders)
    inputs, outputs = [generic(named[name]) if name in named else None for name in ("inputs", "outputs")]
    if inputs is not None and outputs:
        found["predict" if default else "serving_default"] = inputs, outputs
        del named["inputs"], named["outputs"]
    for name in sorted(named):
        found.setdefault(name, bundle_sides(named[name], placeholders))
    return dict((key, sides) for key, sides in found.items() if sides is not None and sides[1])


def generic(signature):
    """The tensors of a GenericSignature in a Signature, by name; None for one of another type."""
    for inner in all_of(signature, 3):
        entries = all_of(inner, 1)
        return dict((to_text(last_of(entry, 1)), binding(last_of(entry, 2))) for entry in entries)
    return None


def bundle_sides(signature, placeholders):
    """(inputs, outputs) of a Signature by its type; what a generic one is fed are its placeholders."""
    tensors = generic(signature)
    if tensors is not None:
        fed = dict((name, tensor) for name, tensor in tensors.items() if tensor.partition(":")[0] in placeholders)
        return fed, dict((name, tensor) for name, tensor in tensors.items() if name not in fed)
    for kind, outputs in ((1, ((2, "outputs"),)), (2, ((2, "classes"), (3, "scores")))):
        for inner in all_of(signature, kind):
            sides = [("inputs", binding(last_of(inner, 1)))], [(n, binding(last_of(inner, f))) for f, n in outputs]
            return tuple(dict((name, tensor) for name, tensor in side if tensor) for side in sides)
    return None


def checkpoint_of(prefix):
    """What a Saver restores: a prefix, or the pattern of a V1 checkpoint in several files."""
    if os.path.exists(prefix + ".index") or os.path.exists(prefix):
        return prefix
    name = os.path.basename(prefix)
    sharded = any(is_part(name, other) for other in os.listdir(os.path.dirname(prefix) or os.curdir))
    return prefix + "-?????-of-?????" if sharded else prefix


def is_part(stem, name):
    """Whether a file belongs to the checkpoint of a prefix."""
    return name == stem or re.match(re.escape(stem) + r"(\.|-\d{5}-of-\d{5}$)", name) is not None


def frozen(v1, path):
    from tensorflow.core.framework import graph_pb2

    graph_def = parsed(graph_pb2.GraphDef(), path)

    def load(session):
        v1.import_graph_def(graph_def, name="")

    directory, name = os.path.split(os.path.abspath(path))
    return Model(directory, name, (), load, {}, graph_def)


def described(model):
    """The model by digests: of its graph, as migrate has it, and of the files that hold weights and assets."""
    files = {}
    stem = model.file_name[: -len(".meta")] if model.file_name.endswith(".meta") else None
    folders = ["variables", "assets"] if model.file_name.startswith("saved_model.") else []
    for folder in folders:
        for top, _, names in os.walk(os.path.join(model.path, folder)):
            for name in names:
                files[os.path.relpath(os.path.join(top, name), model.path)] = os.path.join(top, name)
    if stem is not None:
        for name in os.listdir(model.path):
            if is_part(stem, name):
                files[name] = os.path.join(model.path, name)
    # An index has a checksum of each tensor in the data files beside it.
    indexed = set(name[: -len(".index")] for name in files if name.endswith(".index"))
    wanted = dict((n, f) for n, f in files.items() if n.rsplit(".data-", 1)[0] not in indexed)
    wanted.pop(model.file_name, None)
    return {
        "file": model.file_name,
        "sha256": digest_of(os.path.join(model.path, model.file_name)),
        "tags": list(model.tags),
        "files": dict((name.replace(os.sep, "/"), digest_of(file)) for name, file in sorted(wanted.items())),
    }


# Calls.


def own_shape(tensor, rows):
    if tensor.get_shape().ndims is None:
        return [rows]
    sizes = tensor.get_shape().as_list()
    return [(rows if n == 0 else 1) if size is None else size for n, size in enumerate(sizes)]


def example_features(graph, name):
    """(dense features, their parser's op) of the ParseExample that a string tensor goes to; None where there is none."""
    from tensorflow.python.framework import tensor_util

    for op in graph.get_operations():
        if op.type not in ("ParseExample", "ParseExampleV2") or not op.inputs or op.inputs[0].name != name:
            continue
        dense = op.get_attr("Tdense")
        shapes = op.get_attr("dense_shapes")
        if op.type == "ParseExample":
            first = 2 + op.get_attr("Nsparse")
            keys = [tensor_util.constant_value(tensor) for tensor in list(op.inputs)[first : first + len(dense)]]
        else:
            keys = tensor_util.constant_value(op.inputs[3])
        if keys is None or any(key is None for key in keys):
            return None
        return [
            (np.asarray(key).item(), kind.name if hasattr(kind, "name") else str(kind), [d.size for d in shape.dim])
            for key, kind, shape in zip(keys, dense, shapes)
        ]
    return None


def own_example(features, random):
    from tensorflow.core.example import example_pb2

    example = example_pb2.Example()
    for key, kind, shape in features:
        count = int(np.prod([max(size, 1) for size in shape])) if shape else 1
        feature = example.features.feature[to_text(key)]
        if kind.startswith("float"):
            feature.float_list.value.extend(random.uniform(-1, 1, count).tolist())
        elif kind.startswith("int"):
            feature.int64_list.value.extend(random.randint(0, 3, count).tolist())
        else:
            feature.bytes_list.value.extend([b"a"] * count)
    return example.SerializeToString()


def own_value(graph, name, rows, random):
    """A value for a tensor of the graph."""
    tensor = graph.get_tensor_by_name(name)
    shape = own_shape(tensor, rows)
    dtype = tensor.dtype.base_dtype
    if dtype.name == "string":
        features = example_features(graph, name)
        array = np.empty(int(np.prod(shape)), dtype=object)
        for number in range(array.size):
            array[number] = b"a" if features is None else own_example(features, random)
        return array.reshape(shape)
    kind = np.dtype(dtype.as_numpy_dtype)
    if kind.kind == "b":
        return random.randint(0, 2, shape).astype(kind)
    if kind.kind in "iu":
        return random.randint(0, 3, shape).astype(kind)
    return random.uniform(-1, 1, shape).astype(kind)


def own_calls(graph, model, key, seed):
    """A few calls of a signature: one row and three, of random numbers."""
    random = np.random.RandomState(seed)
    inputs = model.signatures[key][0]
    for rows in (1, 3):
        values = {}
        for name in sorted(inputs):
            tensor = inputs[name]
            if isinstance(tensor, dict):
                rank = graph.get_tensor_by_name(tensor["dense_shape"]).get_shape().as_list()
                rank = rank[0] if rank and rank[0] else 2
                kind = graph.get_tensor_by_name(tensor["values"]).dtype.base_dtype
                single = np.array([b"a"], dtype=object) if kind.name == "string" else np.ones(1, kind.as_numpy_dtype)
                values[name] = {
                    "indices": np.zeros([1, rank], np.int64),
                    "values": single,
                    "dense_shape": np.array([rows] + [3] * (rank - 1), np.int64),
                }
            else:
                values[name] = own_value(graph, tensor, rows, random)
        yield key, values


def default_key(signatures):
    if "serving_default" in signatures:
        return "serving_default"
    return next(iter(signatures)) if len(signatures) == 1 else None


def json_entries(path):
    try:
        with io.open(path, encoding="utf-8") as stream:
            text = stream.read()
    except UnicodeDecodeError as error:
        raise Problem("%s: no UTF-8, and no log of TensorFlow Serving: %s", path, error)
    try:
        content = json.loads(text)
        return content if isinstance(content, list) else [content]
    except ValueError as error:
        lines = [line for line in text.split("\n") if line.strip()]
        try:
            return [json.loads(line) for line in lines]
        except ValueError:
            raise Problem("%s: no JSON: %s", path, error)


def named_values(path, key, entry, inputs):
    """The values by input name of an entry of a JSON file (docs/inputs.md)."""
    if not isinstance(entry, dict):
        raise Problem('%s: expected {"signature": ..., "inputs": {name: value}}', path)
    if "instances" in entry and "inputs" not in entry and "instances" not in inputs:
        rows = entry["instances"]
        if not isinstance(rows, list) or not rows:
            raise Problem("%s: 'instances' is a list with an entry for each row of the batch", path)
        if isinstance(rows[0], dict) and list(rows[0]) != ["b64"]:
            if not all(isinstance(row, dict) and set(row) == set(rows[0]) for row in rows):
                raise Problem("%s: the rows of 'instances' have other inputs than the first", path)
            return dict((name, [row[name] for row in rows]) for name in rows[0])
        values = rows
    elif "inputs" in entry and (set(entry) <= {"signature", "signature_name", "inputs", "specs"}):
        values = entry["inputs"]
    else:
        values = entry
    if isinstance(values, dict) and set(values) != {"b64"} and set(values) != {"fill", "shape"}:
        return values
    if len(inputs) != 1:
        raise Problem("%s: signature '%s' has %d inputs, so each value needs a name", path, key, len(inputs))
    return {list(inputs)[0]: values}


def npz_entries(path, signatures):
    """(signature or None, values by input) of the calls of a .npz file."""
    calls = {}
    if not zipfile.is_zipfile(path):
        raise Problem("%s: no .npz, or cut short", path)
    # Before NumPy 1.16.3 pickles are loaded unless that is forbidden.
    with np.load(path, allow_pickle=False) as content:
        for name in sorted(content.files):
            try:
                array = content[name]
            except Exception as error:  # Whatever zipfile, zlib or NumPy say of what is damaged, or is a pickle.
                raise Problem("%s: array '%s': %s", path, name, error)
            numbered = re.match(r"([0-9]{1,9})/(.+)\Z", name, re.DOTALL)
            number, rest = (int(numbered.group(1)), numbered.group(2)) if numbered else (0, name)
            keys = sorted((k for k in signatures if rest.startswith(k + "/")), key=len, reverse=True)
            key = keys[0] if keys else None
            rest = rest[len(key) + 1 :] if keys else rest
            values = calls.setdefault((number, key or ""), {})
            stem, _, part = rest.rpartition("/")
            inputs = signatures.get(key or default_key(signatures), ({}, {}))[0]
            if part in PARTS and rest not in inputs and stem in inputs:
                values.setdefault(stem, {})[part] = array
            else:
                values[rest] = array
    return [(key or None, values) for (_, key), values in sorted(calls.items())]


def checked_call(where, graph, model, key, values):
    """A call with arrays of the graph's dtypes."""
    key = key or default_key(model.signatures)
    if key not in model.signatures:
        said = "no signature '%s'" % key if key else "names no signature"
        raise Problem("%s: %s; there are %s", where, said, ", ".join(sorted(model.signatures)))
    inputs = model.signatures[key][0]
    if set(values) != set(inputs):
        found = ", ".join(sorted(map(to_text, values)))
        raise Problem("%s: signature '%s' takes %s, found %s", where, key, ", ".join(sorted(inputs)), found)
    found = {}
    for name, value in values.items():
        tensor = inputs[name]
        try:
            if isinstance(tensor, dict):
                if sorted(value) != sorted(PARTS):
                    raise Problem("a sparse tensor is given by %s", ", ".join(PARTS))
                found[name] = dict((part, typed(graph, tensor[part], value[part])) for part in PARTS)
            else:
                found[name] = typed(graph, tensor, value)
        except (Problem, ValueError, TypeError, KeyError, OverflowError, MemoryError, binascii.Error) as error:
            raise Problem("%s: input '%s': %s", where, name, error)
    return key, found


def typed(graph, tensor, value):
    dtype = graph.get_tensor_by_name(tensor).dtype.base_dtype
    return array_of(value, dtype.name, np.dtype(object if dtype.name == "string" else dtype.as_numpy_dtype))


def calls_of_log(path, graph, model, notes, strict):
    """The calls of a log of TensorFlow Serving; what has none, or where not `strict` does not fit, is a note."""
    from tensorflow.core.framework import tensor_pb2
    from tensorflow.python.framework import tensor_util

    def to_array(data):
        try:
            return tensor_util.MakeNdarray(tensor_pb2.TensorProto.FromString(data))
        except Exception as error:
            raise Problem("%s: a tensor is damaged: %s", path, error)

    for number, key, values in logged_calls(path, to_array):
        if values is None:
            notes.append("%s: record %d names tensors and no signature" % (to_text(os.path.basename(path)), number))
            continue
        if not isinstance(values, dict):
            inputs = model.signatures.get(key or default_key(model.signatures), ({}, {}))[0]
            name = "inputs" if "inputs" in inputs or not inputs else sorted(inputs)[0]
            values = {name: values}
        try:
            yield checked_call("%s: record %d" % (path, number), graph, model, key, values)
        except Problem as error:
            if strict:
                raise
            notes.append(error.text)


def is_log(path):
    with open(path, "rb") as stream:
        head = stream.read(12)
    if head[:2] == b"\x1f\x8b":
        return True
    return len(head) == 12 and struct.unpack("<QI", head)[1] == masked_crc(head[:8], crc_table())


def calls_of_file(path, graph, model, notes):
    if path.endswith(".npz"):
        for key, values in npz_entries(path, model.signatures):
            yield checked_call(path, graph, model, key, values)
    elif path.endswith((".json", ".jsonl", ".ndjson")) or not is_log(path):
        for number, entry in enumerate(json_entries(path)):
            where = "%s: call %d" % (path, number)
            key = None
            if isinstance(entry, dict):
                key = entry.get("signature", entry.get("signature_name"))
            if not isinstance(key, (TEXT, type(None))):
                raise Problem("%s: 'signature' is the name of one", where)
            inputs = model.signatures.get(key or default_key(model.signatures), ({}, {}))[0]
            yield checked_call(where, graph, model, key, named_values(where, key, entry, inputs))
    else:
        for call in calls_of_log(path, graph, model, notes, True):
            yield call


# Answers.


def flat_feeds(model, call):
    key, values = call
    inputs = model.signatures[key][0]
    feeds = {}
    for name, value in values.items():
        if isinstance(value, dict):
            for part in PARTS:
                feeds[inputs[name][part]] = value[part]
        else:
            feeds[inputs[name]] = value
    return feeds


def flat_fetches(model, key):
    fetches = {}
    for name, tensor in model.signatures[key][1].items():
        if isinstance(tensor, dict):
            for part in PARTS:
                fetches["%s/%s" % (name, part)] = tensor[part]
        else:
            fetches[name] = tensor
    return fetches


def plain(value):
    """A copy of what a Session gives; strings as an array of objects."""
    if isinstance(value, (bytes, TEXT)):
        array = np.empty((), dtype=object)
        array[()] = to_bytes(value)
        return array
    return np.array(value)


def answer_to(session, model, call):
    """(outputs, class of the error, its first line)."""
    try:
        fetches = flat_fetches(model, call[0])
        names = sorted(fetches)
        found = session.run([fetches[name] for name in names], flat_feeds(model, call))
        return dict((name, plain(value)) for name, value in zip(names, found)), "", ""
    except Exception as error:
        return {}, type(error).__name__, first_line(error)


def opened(v1, model):
    """A Session on a fresh load."""
    config = v1.ConfigProto(allow_soft_placement=True)
    config.gpu_options.allow_growth = True
    graph = v1.Graph()
    with graph.as_default():
        session = v1.Session(graph=graph, config=config)
        with session.as_default():
            model.load(session)
    return session


def cpu():
    """(name, flags) of the processor."""
    try:
        with io.open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
            text = stream.read()
    except (IOError, OSError):
        return platform.processor() or "", []
    name = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.MULTILINE)
    return (name.group(1) if name else ""), (sorted(flags.group(1).split()) if flags else [])


def gpus(session):
    try:
        return [d.name for d in session.list_devices() if "CPU" not in d.device_type and "XLA" not in d.device_type]
    except Exception:
        return []


def runtime(tf, arguments, session):
    name, flags = cpu()
    return {
        "recorder": "legacy_recorder %d" % VERSION,
        "tensorflow": str(tf.__version__),
        "numpy": str(np.__version__),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "cpu": name,
        "cpu_flags": flags,
        "gpus": gpus(session),
        "op_libraries": [os.path.basename(path) for path in arguments.load_op_library],
        "imports": list(arguments.modules),
    }


def check_paths(arguments):
    """Says what is wrong with paths, before TensorFlow is imported, which takes a while."""
    if not os.path.exists(arguments.model):
        raise Problem("%s: no such file or directory", arguments.model)
    if arguments.inputs and not os.path.isfile(arguments.inputs):
        raise Problem("%s: no such file", arguments.inputs)
    output, model = os.path.realpath(arguments.output), os.path.realpath(arguments.model)
    if output == model or output.startswith(model + os.sep):
        raise Problem("--output=%s: is the model or inside of it, which is only read", arguments.output)
    if not output.endswith(".npz"):
        raise Problem("--output=%s: golden answers are a .npz file; give it that ending", arguments.output)
    if os.path.isdir(output):
        raise Problem("--output=%s: is a directory", arguments.output)
    if not os.path.isdir(os.path.dirname(output)):
        raise Problem("--output=%s: no such directory", arguments.output)
    if not os.access(os.path.dirname(output), os.W_OK):
        raise Problem("--output=%s: its directory cannot be written to", arguments.output)


def imported(arguments):
    """TensorFlow, with the ops that the user names."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise Problem("TensorFlow cannot be imported (%s); use the Python that the model runs with", error)
    v1 = getattr(getattr(tf, "compat", None), "v1", tf)
    v1.logging.set_verbosity(v1.logging.ERROR)
    for name in arguments.modules:
        try:
            importlib.import_module(name)
        except Exception as error:
            raise Problem("--import=%s: %s", name, error)
    for path in arguments.load_op_library:
        try:
            # The loader of libraries looks for a bare name in the system's directories alone.
            tf.load_op_library(os.path.abspath(path) if os.path.exists(path) else path)
        except Exception as error:
            raise Problem("--load_op_library=%s: %s", path, error)
    return tf, v1


def without_missing(graph, model, given):
    """Takes out signatures that name what the graph does not have; gives the reasons by key."""
    found = {}
    for key, sides in list(model.signatures.items()):
        try:
            for side in sides:
                for tensor in side.values():
                    for name in tensor.values() if isinstance(tensor, dict) else [tensor]:
                        graph.get_tensor_by_name(name)
        except (KeyError, ValueError, TypeError) as error:
            if key in given:
                raise Problem("--signature: '%s': %s", key, error)
            found[key] = first_line(error)
            del model.signatures[key]
    return found


def all_calls(arguments, session, model, notes):
    """(calls, why not by signature), of the user's file, or of the model's own requests and made up."""
    graph = session.graph
    given = [given_signature(text)[0] for text in arguments.signature]
    skipped = without_missing(graph, model, given)
    calls, refused = [], {}
    if arguments.inputs:
        calls = list(calls_of_file(arguments.inputs, graph, model, notes))
    else:
        warm_up = os.path.join(model.path, WARM_UP)
        if os.path.exists(warm_up):
            try:
                for call in calls_of_log(warm_up, graph, model, notes, False):
                    if len(calls) < MOST_OWN:
                        calls.append(call)
            except Problem as error:
                notes.append(error.text)
        # What the model refuses of calls that this program has made up says nothing.
        for key in sorted(model.signatures):
            try:
                own = list(own_calls(graph, model, key, arguments.seed))
            except Exception as error:
                refused[key] = "no call can be made up: %s" % first_line(error)
                continue
            for call in own:
                _, error, message = answer_to(session, model, call)
                if error:
                    refused[key] = "%s: %s" % (error, message)
                else:
                    calls.append(call)
    asked = set(key for key, _ in calls)
    for key in sorted(set(model.signatures) - asked):
        file = to_text(os.path.basename(arguments.inputs)) if arguments.inputs else ""
        skipped[key] = "no call of it is in %s" % file if file else refused.get(key, "no call of it")
    if not calls:
        why = "".join(" ('%s': %s)" % (key, skipped[key]) for key in sorted(skipped)[:1])
        raise Problem(
            "no call succeeds%s; give calls with --inputs (migrate inputs MODEL prints a file to begin with)", why
        )
    return calls, skipped


def opened_or_told(v1, model, path):
    """A Session on a fresh load; a Problem where the model cannot be loaded."""
    try:
        return opened(v1, model)
    except Exception as error:
        hint = ""
        if "Op type not registered" in first_line(error) or "No op named" in first_line(error):
            hint = "; --import=MODULE or --load_op_library=FILE registers ops"
        raise Problem("%s: cannot be loaded: %s: %s%s", path, type(error).__name__, error, hint)


def record(arguments):
    """Loads the model, makes the calls twice from fresh loads, and writes the file."""
    check_paths(arguments)
    tf, v1 = imported(arguments)
    model = model_of(v1, arguments.model, arguments.tags, arguments.signature)
    notes = []
    session = opened_or_told(v1, model, arguments.model)
    try:
        calls, skipped = all_calls(arguments, session, model, notes)
    finally:
        session.close()
    asked = set(key for key, _ in calls)
    sequence = [call for call in calls for _ in range(arguments.times)]
    runs = []
    for number in range(2):
        session = opened_or_told(v1, model, arguments.model)
        runs.append([answer_to(session, model, call) for call in sequence])
        made_by = runtime(tf, arguments, session)
        session.close()
    golden = Golden()
    content = {
        "schema_version": SCHEMA,
        "model": described(model),
        "runtime": made_by,
        "calls": [
            {"signature": key, "inputs": dict((name, golden.value(value)) for name, value in values.items())}
            for key, values in sequence
        ],
        "answers": [golden.answer(answer) for answer in runs[0]],
        "again": [golden.answer(answer) for answer in runs[1]],
        "skipped": skipped,
        "notes": notes,
    }
    golden.save(content, arguments.output)
    errors = sum(1 for answer in runs[0] if answer[1])
    said = "%s: %d calls of %d signatures" % (to_text(arguments.output), len(sequence), len(asked))
    said += ", %d of which end in an error" % errors if errors else ""
    tell("%s; recorded with TensorFlow %s" % (said, tf.__version__))
    for key in sorted(skipped):
        tell("signature '%s' is not recorded: %s" % (key, skipped[key]))
    for note in notes:
        tell("not recorded: %s" % note)


def parser():
    found = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="record.py"
    )
    found.add_argument("model", metavar="MODEL")
    found.add_argument("--output", required=True, metavar="FILE", help="the file to write, golden.npz")
    found.add_argument("--inputs", metavar="FILE", help="calls: .json, .jsonl, .npz or a log of TensorFlow Serving")
    found.add_argument("--tags", metavar="TAGS", help="tag set, joined by commas; by default the one with 'serve'")
    found.add_argument("--signature", action="append", default=[], metavar="SIGNATURE", help="a signature to add")
    found.add_argument("--load_op_library", action="append", default=[], metavar="FILE", help="shared library with ops")
    found.add_argument("--import", action="append", default=[], dest="modules", metavar="MODULE", help="module with ops")
    found.add_argument("--times", type=int, default=2, choices=range(1, 11), help="how often each call is made in a row")
    found.add_argument("--seed", type=int, default=0, help="of the numbers in calls that are made up")
    return found


def main(argv):
    arguments = parser().parse_args(argv)
    try:
        record(arguments)
    except (Problem, IOError, OSError, MemoryError) as error:
        tell("record.py: %s" % first_line(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
