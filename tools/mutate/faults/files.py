"""Faults in files beside the graph: warm-up requests, devices, Keras metadata, fingerprint, provenance."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Any

import google_crc32c
import numpy as np

from tools.mutate.candidate import PROVENANCE, Candidate
from tools.mutate.edits import Edit
from tools.mutate.look import Files, FingerprintHolds, Keras, Nodes, Provenance
from tools.mutate.records import Fault

_SERVE = "serving_default"
_WARMUP = "assets.extra/tf_serving_warmup_requests"
_fault = functools.partial(Fault, "files", blind=True)
_KERAS = {"x": np.array([[0.5, -1.0]], np.float32), "ids": np.array([[1, 2, 0]], np.int32)}

_OF_PEOPLE = "people alone read it; what it is about is compared with the source itself"


def _bytes(name: str, edit: Callable[[bytes], bytes]) -> Edit:
    def plant(candidate: Candidate) -> None:
        path = candidate.path / name
        path.write_bytes(edit(path.read_bytes()))

    return plant


def _gone(*names: str) -> Edit:
    def plant(candidate: Candidate) -> None:
        for name in names:
            (candidate.path / name).unlink()

    return plant


def _added(name: str, data: bytes = b"more\n") -> Edit:
    def plant(candidate: Candidate) -> None:
        path = candidate.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)

    return plant


def _records(data: bytes) -> list[bytes]:
    """Of a TFRecord file: length, checksum, data, checksum (tensorflow/core/lib/io/record_writer.h)."""
    found = []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        found.append(data[12 : 12 + length])
        data = data[16 + length :]
    return found


def _written(records: list[bytes]) -> bytes:
    return b"".join(
        head + _checksum(head) + record + _checksum(record)
        for record, head in ((record, struct.pack("<Q", len(record))) for record in records)
    )


def _checksum(data: bytes) -> bytes:
    value = google_crc32c.value(data)
    return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _last_float(records: list[bytes]) -> list[bytes]:
    return [*records[:-1], records[-1].replace(struct.pack("<f", 0.5), struct.pack("<f", 0.75), 1)]


def _pinned(device: str, main: bool) -> Edit:
    """Pins the nodes of a signature, or its call in the main graph."""

    def plant(candidate: Candidate) -> None:
        nodes = [candidate.call_of(_SERVE)] if main else candidate.body(_SERVE).node_def
        for node in nodes:
            node.device = device

    return plant


def _stale_fingerprint(candidate: Candidate) -> None:
    candidate.stale.add("fingerprint")
    candidate.meta_graph.meta_info_def.meta_graph_version = "other"


def _said(*path: str, value: Any) -> Edit:
    """Changes one thing that migration.json says."""

    def plant(candidate: Candidate) -> None:
        with candidate.provenance() as said:
            place: Any = said
            for name in path[:-1]:
                place = place[name]
            place[path[-1]] = value

    return plant


def _stale_digest(candidate: Candidate) -> None:
    candidate.stale.add("digest")
    with candidate.provenance() as said:
        said["saved_model_sha256"] = "0" * 64


def _renamed_asset(candidate: Candidate) -> None:
    """Everything in the model follows; a client that reads the file by its name does not."""
    (candidate.path / "assets" / "tokens.txt").rename(candidate.path / "assets" / "words.txt")
    for definition in candidate.meta_graph.asset_file_def:
        definition.filename = definition.filename.replace("tokens.txt", "words.txt")


_X3 = np.array([[0.5, -1.0, 2.0]], np.float32)


def _empty_fingerprint(candidate: Candidate) -> None:
    candidate.stale.add("fingerprint")
    (candidate.path / "fingerprint.pb").write_bytes(b"")


def _broken_provenance(candidate: Candidate) -> None:
    candidate.stale.add("digest")
    path = candidate.path / PROVENANCE
    path.write_bytes(path.read_bytes()[:-20])


FAULTS = (
    _fault("warmup-gone", "warmup", "The warm-up requests are gone.", _gone(_WARMUP), Files([_WARMUP])),
    _fault(
        "warmup-fewer",
        "warmup",
        "One warm-up request is gone.",
        _bytes(_WARMUP, lambda data: _written(_records(data)[:1])),
        Files([_WARMUP]),
    ),
    _fault(
        "warmup-changed",
        "warmup",
        "A warm-up request has another number.",
        _bytes(_WARMUP, lambda data: _written(_last_float(_records(data)))),
        Files([_WARMUP]),
    ),
    _fault(
        "warmup-broken",
        "warmup",
        "The warm-up requests end early.",
        _bytes(_WARMUP, lambda data: data[:-3]),
        Files([_WARMUP]),
    ),
    _fault(
        "warmup-swapped",
        "warmup",
        "The warm-up requests have another order.",
        _bytes(_WARMUP, lambda data: _written(_records(data)[::-1])),
        Files([_WARMUP]),
    ),
    _fault(
        "warmup-other-signature",
        "warmup",
        "The warm-up requests ask for another signature.",
        _bytes(
            _WARMUP,
            lambda data: _written(
                [record.replace(b"serving_default", b"serving_defaulu") for record in _records(data)]
            ),
        ),
        Files([_WARMUP]),
    ),
    _fault(
        "warmup-empty",
        "warmup",
        "There are no warm-up requests in the file.",
        _bytes(_WARMUP, lambda data: b""),
        Files([_WARMUP]),
    ),
    _fault(
        "gpu-in-function",
        "simple_save",
        "The nodes of a signature are pinned to a GPU.",
        _pinned("/device:GPU:0", main=False),
        Nodes(devices=True),
    ),
    _fault(
        "gpu-in-main",
        "simple_save",
        "The call of a signature is pinned to a GPU.",
        _pinned("/device:GPU:0", main=True),
        Nodes(devices=True),
    ),
    _fault(
        "tpu-in-function",
        "network",
        "The nodes of a signature are pinned to a TPU.",
        _pinned("/device:TPU:0", main=False),
        Nodes(devices=True),
    ),
    _fault(
        "job-in-main",
        "simple_save",
        "The call of a signature is pinned to another job.",
        _pinned("/job:worker/task:3", main=True),
        Nodes(devices=True),
    ),
    _fault(
        "keras-metadata-gone",
        "keras_functional",
        "keras_metadata.pb is gone.",
        _gone("keras_metadata.pb"),
        Keras(_KERAS),
    ),
    _fault(
        "keras-metadata-class",
        "keras_functional",
        "keras_metadata.pb names another class.",
        _bytes(
            "keras_metadata.pb", lambda data: data.replace(b'"class_name": "Functional"', b'"class_name": "Sequentia1"')
        ),
        Files(["keras_metadata.pb"]),
    ),
    _fault(
        "keras-metadata-activation",
        "keras_functional",
        "keras_metadata.pb has another activation.",
        _bytes("keras_metadata.pb", lambda data: data.replace(b'"relu"', b'"tanh"')),
        Files(["keras_metadata.pb"]),
    ),
    _fault(
        "keras-metadata-empty",
        "keras_functional",
        "keras_metadata.pb is empty.",
        _bytes("keras_metadata.pb", lambda data: b""),
        Keras(_KERAS),
    ),
    _fault(
        "fingerprint-stale",
        "simple_save",
        "The fingerprint is that of another graph.",
        _stale_fingerprint,
        FingerprintHolds(),
    ),
    _fault(
        "fingerprint-gone",
        "simple_save",
        "There is no fingerprint.",
        _gone("fingerprint.pb"),
        FingerprintHolds(),
        harmless="no loader needs it; TensorFlow before 2.12 writes none",
    ),
    _fault("fingerprint-of-other", "network", "The fingerprint says nothing.", _empty_fingerprint, FingerprintHolds()),
    _fault(
        "source-digest",
        "simple_save",
        "The provenance names another graph.",
        _said("source", "sha256", value="0" * 64),
        Provenance("source", "sha256"),
    ),
    _fault(
        "source-files",
        "simple_save",
        "The provenance names other files.",
        _said("source", "files", value="0" * 64),
        Provenance("source", "files"),
        harmless=_OF_PEOPLE,
    ),
    _fault(
        "source-tags",
        "simple_save",
        "The provenance names other tags.",
        _said("source", "tags", value=["train"]),
        Provenance("source", "tags"),
    ),
    _fault(
        "source-file",
        "simple_save",
        "The provenance names another file.",
        _said("source", "file", value="saved_model.pbtxt"),
        Provenance("source", "file"),
    ),
    _fault(
        "source-weights",
        "keras_functional",
        "The provenance names another file of weights.",
        _said("source", "weights", value="other.h5"),
        Provenance("source", "weights"),
    ),
    _fault(
        "source-digest-keras",
        "keras_functional",
        "The provenance names another Keras file.",
        _said("source", "sha256", value="0" * 64),
        Provenance("source", "sha256"),
    ),
    _fault(
        "key-of-source",
        "network",
        "The provenance names another key of the source.",
        _said("sources", "layer0/kernel", "key", value="layer1/kernel"),
        Provenance("sources", "layer0/kernel"),
        harmless=_OF_PEOPLE,
    ),
    _fault(
        "provenance-gone",
        "simple_save",
        "There is no migration.json.",
        _gone(PROVENANCE),
        Files([PROVENANCE]),
        harmless="no loader reads it; a model that somebody else made has none",
    ),
    _fault("provenance-broken", "simple_save", "migration.json is no JSON.", _broken_provenance, Files([PROVENANCE])),
    _fault(
        "digest-stale",
        "simple_save",
        "migration.json has the digest of another graph.",
        _stale_digest,
        Provenance("saved_model_sha256"),
    ),
    _fault(
        "arguments-lost",
        "odd_names",
        "migration.json does not say what an argument is called.",
        _said("arguments", "odd_inputs", value={}),
        Provenance("arguments", "odd_inputs"),
        harmless=_OF_PEOPLE,
    ),
    _fault(
        "asset-added",
        "simple_save",
        "There is an asset that nothing uses.",
        _added("assets/more.txt"),
        Files(["assets/more.txt"]),
    ),
    _fault(
        "asset-extra-added",
        "simple_save",
        "There is one more file in assets.extra.",
        _added("assets.extra/more.bin"),
        Files(["assets.extra/more.bin"]),
    ),
    _fault("asset-renamed", "words", "An asset has another name.", _renamed_asset, Files(["assets/tokens.txt"])),
    _fault("warmup-added", "simple_save", "There are warm-up requests.", _added(_WARMUP, b""), Files([_WARMUP])),
    _fault(
        "shard-added",
        "simple_save",
        "There is one more shard in variables/.",
        _added("variables/variables.data-00002-of-00003"),
        Files(["variables/variables.data-00002-of-00003"]),
    ),
    _fault(
        "code-added",
        "simple_save",
        "There is Python code beside the model.",
        _added("custom_layers.py", b"import os\n"),
        Files(["custom_layers.py"]),
    ),
)
