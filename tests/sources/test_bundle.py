from __future__ import annotations

import base64
import os
import pathlib

import cramjam
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrate.errors import InputError
from migrate.graph.protos import BundleEntryProto, BundleHeaderProto
from migrate.records import Severity
from migrate.sources.bundle import (
    FULL_EXTENT,
    Entry,
    Slice,
    check_shards,
    data_file,
    read_bundle,
)
from migrate.sources.leveldb import masked_crc32c

# Written by SaveV2 of TF 2.21.0: float32 `part` (10, 4) in slices 0,4:0,4, 4,6:0,2 and 4,6:2,2, string `s`
# (2,), float16 `w` (3,), bool `deep/0` (), and of int64 `big` (20000, 2) the slice 3,9000:- alone.
REAL = base64.b64decode(
    "AAAGCAEaAggBAA4ZAGJpZwABAQKD4CMogH8ICRIJEgMIqEYSAggCIK8BKIDlCDX3QfEAAQwTcGFydAABAQKAhICECAESCBICCAQSAggEKEA1"
    "8UBhKQkEFYSGgIIIARIIEgIIBhICCAIgQCgwNUSuboULAhWCgggBEggSAggGEgIIAiBwKDA1Xo84wwADGWJpZwgJEgoSBAignAESAggCOgkK"
    "BQgDEKhGCgAABg5kZWVwLzAIChIAIK4BKAE1BSsoQwAEMHBhcnQIARIIEgIIChICCAQ6CAoCEAQKAhAEOgoKBAgEEAYKAhACOgwKBAgEEAYK"
    "BAgCEAIAARJzCAcSBBICCAIgoAEoCDWRiLBNAAESdwgTEgQSAggDIKgBKAY1J+79gwAAAAABAAAAALRH614AAAAAAQAAAADA8qGwAAEDeACs"
    "AgAAAAABAAAAAJ+oaxexAgi+Ag8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAV/uAiyR1R9s="
)
# Two bundles joined by MergeV2Checkpoints of TF 2.21.0: int32 `v0` (3,), `v1` (4,), float64 `part` (4, 2) in
# two slices of rows.
TWO_SHARDS = base64.b64decode(
    "AAAGCAIaAggBAA0VAHBhcnQAAQECgIKAfwgCEggSAggCEgIIAiAMKCA1mGkg8QkEF4KCgH8IAhIIEgIIAhICCAIYASAQKCA1utcsxwAEHnBh"
    "cnQIAhIIEgIIBBICCAI6BgoCEAIKADoICgQIAhACCgAAAg92MAgDEgQSAggDKAw1T6V6egEBETEIAxIEEgIIBBgBKBA1jvHdHQAAAAABAAAA"
    "AAlUWZUAAAAAAQAAAADA8qGwAAEDdwCiAQAAAAABAAAAAAl4JsinAQi0AQ8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAV/uA"
    "iyR1R9s="
)


def _write(folder, index: bytes, *shards: int) -> str:
    prefix = str(folder / "variables")
    pathlib.Path(prefix + ".index").write_bytes(index)
    for number, size in enumerate(shards):
        pathlib.Path(data_file(prefix, number, len(shards))).write_bytes(bytes(size))
    return prefix


def _refused(folder, index: bytes) -> str:
    prefix = _write(folder, index)
    with pytest.raises(InputError) as caught:
        read_bundle(prefix)
    assert str(caught.value).startswith(prefix + ".index: ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _varint(number: int) -> bytes:
    low = number & 0x7F
    return bytes([low]) if number < 0x80 else bytes([low | 0x80]) + _varint(number >> 7)


def _block(items: list[tuple[bytes, bytes]], compression: int = 0, pack=bytes) -> bytes:
    """A block of entries without shared prefixes, with its trailer."""
    body = b"".join(b"\0" + _varint(len(k)) + _varint(len(v)) + k + v for k, v in items)
    body += bytes(4) + (1).to_bytes(4, "little")
    body = pack(body) + bytes([compression])
    return body + masked_crc32c(body).to_bytes(4, "little")


def _table(items: list[tuple[bytes, bytes]], compression: int = 0, pack=bytes) -> bytes:
    data = _block(items, compression, pack)
    index = _block([(b"\xff", b"\0" + _varint(len(data) - 5))])
    footer = b"\0\0" + _varint(len(data)) + _varint(len(index) - 5)
    return data + index + footer.ljust(40, b"\0") + 0xDB4775248B80FB57.to_bytes(8, "little")


def _header(**fields) -> tuple[bytes, bytes]:
    header = BundleHeaderProto(num_shards=1, **fields)
    header.version.producer = 1
    return b"", header.SerializeToString()


def test_a_bundle_of_tensorflow(tmp_path):
    bundle = read_bundle(_write(tmp_path, REAL))
    assert (bundle.num_shards, bundle.endianness, bundle.version) == (1, "LITTLE", 1)
    assert list(bundle.entries) == ["big", "deep/0", "part", "s", "w"]
    assert bundle.entries["w"] == Entry("w", "float16", (3,), 0, 168, 6, 2214456871)
    assert bundle.entries["deep/0"].shape == ()
    assert bundle.entries["s"].dtype == "string"
    assert bundle.entries["part"].slices == (
        Slice((0, 0), (4, 4)),
        Slice((4, 0), (6, 2)),
        Slice((4, 2), (6, 2)),
    )
    assert bundle.entries["big"].slices == (Slice((3, 0), (9000, FULL_EXTENT)),)


def test_find_slice(tmp_path):
    bundle = read_bundle(_write(tmp_path, REAL))
    part = bundle.find_slice("part", Slice((4, 2), (6, 2)))
    assert part is not None
    assert (part.key, part.shape, part.offset, part.size) == ("part", (6, 2), 112, 48)
    # A full extent is the same as its length, on either side.
    rows = bundle.find_slice("part", Slice((0, 0), (4, FULL_EXTENT)))
    assert rows is not None
    assert rows.offset == 0
    big = bundle.find_slice("big", Slice((3, 0), (9000, 2)))
    assert big is not None
    assert (big.shape, big.size) == ((9000, 2), 144000)
    assert bundle.find_slice("w", Slice((0,), (3,))) is bundle.entries["w"]
    assert bundle.find_slice("w", Slice((0,), (FULL_EXTENT,))) is bundle.entries["w"]
    assert bundle.find_slice("deep/0", Slice((), ())) is bundle.entries["deep/0"]
    for key, wanted in [
        ("part", Slice((0, 0), (10, 4))),
        ("part", Slice((0, 0), (2, 4))),
        ("w", Slice((0,), (2,))),
        ("w", Slice((0, 0), (3, 1))),
        ("absent", Slice((0,), (3,))),
    ]:
        assert bundle.find_slice(key, wanted) is None, (key, wanted)


def test_several_shards(tmp_path):
    bundle = read_bundle(_write(tmp_path, TWO_SHARDS))
    assert bundle.num_shards == 2
    assert [bundle.entries[v].shard for v in ("v0", "v1")] == [0, 1]
    lower = bundle.find_slice("part", Slice((2, 0), (2, 2)))
    assert lower is not None
    assert (lower.shard, lower.offset, lower.size) == (1, 16, 32)


def test_whole_shards_give_no_finding(tmp_path):
    assert check_shards(read_bundle(_write(tmp_path, REAL, 144175))) == ()
    assert check_shards(read_bundle(_write(tmp_path, TWO_SHARDS, 44, 48))) == ()
    assert check_shards(read_bundle(_write(tmp_path, TWO_SHARDS, 4400, 4800))) == ()
    # No tensor lies in the data file, or one without bytes does.
    assert check_shards(read_bundle(_write(tmp_path, _table([_header()])))) == ()
    empty = BundleEntryProto(dtype=1)
    empty.shape.dim.add(size=0)
    assert check_shards(read_bundle(_write(tmp_path, _table([_header(), (b"e", empty.SerializeToString())]), 0))) == ()


def test_missing_and_short_shards(tmp_path):
    missing = check_shards(read_bundle(_write(tmp_path, TWO_SHARDS)))
    assert [f.code for f in missing] == ["checkpoint-shard-missing"] * 2
    assert missing[1].nodes == (str(tmp_path / "variables.data-00001-of-00002"),)
    assert all(f.severity is Severity.REFUSAL for f in missing)
    (short,) = check_shards(read_bundle(_write(tmp_path, TWO_SHARDS, 44, 47)))
    assert short.code == "checkpoint-shard-short"
    assert "has 47 bytes, although the checkpoint's tensors fill 48 bytes" in short.message


def test_a_shard_that_is_a_pointer(tmp_path):
    prefix = _write(tmp_path, TWO_SHARDS, 44, 48)
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 48\n"
    pathlib.Path(data_file(prefix, 1, 2)).write_bytes(pointer)
    (short,) = check_shards(read_bundle(prefix))
    assert "Git LFS pointer" in short.message


def test_a_compressed_index(tmp_path):
    """Older TensorFlows compress the blocks of an index (table_options.h, kSnappyCompression)."""
    items = [_header(), (b"w", BundleEntryProto(dtype=1, size=4).SerializeToString())]
    packed = _table(items, compression=1, pack=lambda data: bytes(cramjam.snappy.compress_raw(data)))
    plain = read_bundle(_write(tmp_path, _table(items)))
    assert read_bundle(_write(tmp_path, packed)).entries == plain.entries != {}


def test_broken_indexes(tmp_path):
    with pytest.raises(InputError, match=r"variables\.index: no such file"):
        read_bundle(str(tmp_path / "variables"))
    assert "is empty" in _refused(tmp_path, b"")
    assert "git lfs pull" in _refused(tmp_path, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert "magic number" in _refused(tmp_path, REAL[:-1])
    assert "magic number" in _refused(tmp_path, REAL[:20])
    assert "checksum" in _refused(tmp_path, REAL[:40] + b"?" + REAL[41:])
    assert "past the end" in _refused(tmp_path, REAL[200:])
    assert "cannot be decompressed" in _refused(tmp_path, _table([_header()], compression=1))
    assert "unknown compression (7)" in _refused(tmp_path, _table([_header()], compression=7))
    assert "header" in _refused(tmp_path, _table([(b"w", b"")]))
    assert "header" in _refused(tmp_path, _table([]))
    assert "without data files" in _refused(tmp_path, _table([(b"", b"")]))
    assert "the header cannot be parsed" in _refused(tmp_path, _table([(b"", b"\xff")]))
    assert "entry of tensor 'w' cannot be parsed" in _refused(tmp_path, _table([_header(), (b"w", b"\xff")]))
    assert "out of order" in _refused(tmp_path, _table([_header(), (b"b", b""), (b"a", b"")]))
    assert "not UTF-8" in _refused(tmp_path, _table([_header(), (b"\xff\xfe", b"")]))
    assert "a slice's key" in _refused(tmp_path, _table([_header(), (b"\0w", b"")]))
    newer = BundleHeaderProto(num_shards=1)
    newer.version.min_consumer = 2
    assert "newer TensorFlow" in _refused(tmp_path, _table([(b"", newer.SerializeToString())]))


def test_impossible_entries(tmp_path):
    def refused(**fields):
        return _refused(tmp_path, _table([_header(), (b"w", BundleEntryProto(**fields).SerializeToString())]))

    assert "dtype number 9999" in refused(dtype=9999)
    assert "impossible place" in refused(dtype=1, shard_id=1)
    assert "impossible place" in refused(dtype=1, offset=-1)
    assert "no complete shape" in refused(dtype=1, shape={"unknown_rank": True})
    assert "no complete shape" in refused(dtype=1, shape={"dim": [{"size": -1}]})
    assert "lists a slice" in refused(dtype=1, shape={"dim": [{"size": 2}]}, slices=[{"extent": [{"length": 1}]}])
    assert "lists a slice" in refused(dtype=1, shape={"dim": [{"size": 2}]}, slices=[{}])


def test_a_big_endian_bundle_says_so(tmp_path):
    assert read_bundle(_write(tmp_path, _table([_header(endianness=1)]))).endianness == "BIG"


_ANY_FILE = settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_ANY_FILE
@given(cut=st.integers(0, len(REAL) - 1))
def test_a_cut_index_is_always_refused(tmp_path, cut):
    _refused(tmp_path, REAL[:cut])


@_ANY_FILE
@given(flips=st.sets(st.integers(0, len(REAL) * 8 - 1), min_size=1, max_size=6))
def test_flipped_bits_are_refused_or_harmless(tmp_path, flips):
    data = bytearray(REAL)
    for bit in flips:
        data[bit // 8] ^= 1 << bit % 8
    prefix = _write(tmp_path, REAL)
    whole = read_bundle(prefix)
    _write(tmp_path, bytes(data))
    try:
        # The metaindex and the footer's padding are read by nobody.
        assert read_bundle(prefix) == whole
    except InputError as error:
        assert str(error).startswith(prefix)


@_ANY_FILE
@given(
    items=st.dictionaries(st.binary(max_size=12), st.binary(max_size=30), max_size=5),
    header=st.booleans(),
    slices=st.booleans(),
)
def test_any_table_gives_a_bundle_or_a_refusal(tmp_path, items, header, slices):
    if slices:
        items = {b"\0" + key: value for key, value in items.items()}
    if header:
        items[b""] = _header()[1]
    prefix = _write(tmp_path, _table(sorted(items.items())))
    try:
        read_bundle(prefix)
    except InputError as error:
        assert str(error).startswith(prefix)


@pytest.mark.tensorflow
@pytest.mark.corpus
def test_the_corpus_reads_as_tensorflow_reads_it():
    corpus = os.environ.get("MIGRATE_CORPUS")
    if not corpus:
        pytest.skip("MIGRATE_CORPUS is not set")
    import tensorflow as tf

    compressed = compared = 0
    for index in sorted(pathlib.Path(corpus).rglob("*.index")):
        prefix = str(index)[: -len(".index")]
        try:
            bundle = read_bundle(prefix)
        except InputError as error:
            assert "Snappy" in str(error)
            compressed += 1
            continue
        reader = tf.train.load_checkpoint(prefix)
        entries = bundle.entries.values()
        assert {e.key: list(e.shape) for e in entries} == reader.get_variable_to_shape_map(), prefix
        dtypes = {key: dtype.name for key, dtype in reader.get_variable_to_dtype_map().items()}
        assert {e.key: e.dtype for e in entries} == dtypes, prefix
        if check_shards(bundle):
            continue
        for entry in entries:
            if entry.slices:
                continue
            with open(data_file(prefix, entry.shard, bundle.num_shards), "rb") as stream:
                stream.seek(entry.offset)
                data = stream.read(entry.size)
            if entry.dtype != "string":
                assert masked_crc32c(data) == entry.crc32c, (prefix, entry.key)
                assert reader.get_tensor(entry.key).tobytes() == data, (prefix, entry.key)
            compared += 1
    assert compared > 500
    assert compressed < 20
