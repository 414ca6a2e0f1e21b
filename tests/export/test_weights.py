"""weights.py: every byte is read once, compared, and on the disk before anybody calls it done. No TensorFlow here."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from migrate.errors import InputError
from migrate.export import weights
from migrate.graph.dtypes import dtype_value
from migrate.graph.protos import TensorShapeProto
from migrate.plan.records import VariablePlan
from migrate.plan.restore import FromCheckpoint
from migrate.records import Failed
from migrate.sources.bundle import Entry, data_file, write_index
from migrate.sources.leveldb import masked_crc32c

MODES = ("auto", "copy", "link")


def _bundle(path, shards):
    """A checkpoint of uint8 tensors, a dictionary a shard; gives its prefix."""
    prefix = str(path / "old")
    entries = []
    for number, tensors in enumerate(shards):
        data = b""
        for key, value in tensors.items():
            entries.append(Entry(key, "uint8", (len(value),), number, len(data), len(value), masked_crc32c(value)))
            data += value
        (path / os.path.basename(data_file(prefix, number, len(shards)))).write_bytes(data)
    write_index(prefix, entries, len(shards))
    return prefix


def _plan(**variables):
    """A plan whose variables, by name, are filled by the tensors of those keys."""
    return SimpleNamespace(
        variables=tuple(
            VariablePlan(n, n, dtype_value("uint8"), TensorShapeProto(), True, False, FromCheckpoint(key))
            for n, key in variables.items()
        )
    )


def _found(taking):
    """The bytes of each variable in the new files."""
    found = {}
    for name, entry in taking.taken.items():
        with open(taking.files[entry.shard], "rb") as file:
            file.seek(entry.offset)
            found[name] = file.read(entry.size)
    return found


A, B, C = bytes(range(256)) * 300, b"b" * 70_001, b"c" * 11


@pytest.mark.parametrize("mode", MODES)
def test_the_bytes_of_each_variable(tmp_path, mode):
    prefix = _bundle(tmp_path, [{"a": A, "slot": B, "c": C}, {"unused": B}, {"b": B, "empty": b""}])
    taking = weights.take_over(_plan(x="a", y="b", z="c", e="empty", x2="a"), prefix, str(tmp_path / "w"), mode, True)
    assert weights.run(taking.job) == weights.Done()
    assert _found(taking) == {"x": A, "y": B, "z": C, "e": b"", "x2": A}
    assert len(taking.files) == len(os.listdir(tmp_path / "w")) == 2  # What nobody needs stays behind.
    if mode == "copy":
        assert [os.path.getsize(file) for file in taking.files] == [len(A) + len(C), len(B)]
    weights.put(taking, str(tmp_path / "new"), 3)
    assert os.path.exists(tmp_path / "new.data-00001-of-00003")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("place", [0, 100_000, len(A) + len(B) - 1])
def test_a_flipped_bit_names_the_variable(tmp_path, mode, place):
    prefix = _bundle(tmp_path, [{"a": A, "b": B, "c": C}])
    data = bytearray((tmp_path / "old.data-00000-of-00001").read_bytes())
    data[place] ^= 4
    (tmp_path / "old.data-00000-of-00001").write_bytes(data)
    taking = weights.take_over(_plan(x="a", y="b", z="c"), prefix, str(tmp_path / "w"), mode, True)
    key, name = ("a", "x") if place < len(A) else ("b", "y")
    expected = f"the bytes of '{key}' do not match their checksum; they fill variable '{name}'"
    assert weights.run(taking.job) == Failed(f"the checkpoint is damaged: {expected}")


HOLES = [
    [("hole", 0, 5 << 20)],
    [("bytes", 0, 100), ("hole", 100, 9 << 20), ("bytes", (9 << 20) + 100, 70_000)],
    [("bytes", 0, 3 << 20), ("hole", 3 << 20, 4 << 20)],
    [("hole", 0, 3 << 20), ("bytes", 3 << 20, 2 << 20), ("hole", 5 << 20, 3 << 20), ("bytes", 8 << 20, 1)],
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("parts", HOLES)
def test_a_file_of_holes_is_taken_over_as_it_is(tmp_path, mode, parts):
    """Two tensors of it, one of them a slice in its middle, and a third that nobody needs."""
    size = sum(length for _, _, length in parts)
    value = bytearray(size)
    file = tmp_path / "old.data-00000-of-00001"
    with open(file, "wb") as stream:
        for kind, start, length in parts:
            if kind == "bytes":
                value[start : start + length] = os.urandom(length)
                stream.seek(start)
                stream.write(value[start : start + length])
        stream.truncate(size)
    places = {"a": (0, size // 3), "unused": (size // 3, size // 2), "b": (size // 2, size)}
    entries = [
        Entry(key, "uint8", (end - start,), 0, start, end - start, masked_crc32c(bytes(value[start:end])))
        for key, (start, end) in places.items()
    ]
    write_index(str(tmp_path / "old"), entries, 1)
    before = os.stat(file).st_blocks
    taking = weights.take_over(_plan(x="a", y="b"), str(tmp_path / "old"), str(tmp_path / "w"), mode, True)
    assert weights.run(taking.job) == weights.Done()
    assert _found(taking) == {"x": bytes(value[: size // 3]), "y": bytes(value[size // 2 :])}
    assert os.stat(taking.files[0]).st_blocks <= before + (3 << 20) // 512  # Each hole loses less than a megabyte.


def test_a_hole_does_not_match_the_checksum_of_bytes(tmp_path):
    prefix = _bundle(tmp_path, [{"a": b"a" * (3 << 20)}])
    with open(tmp_path / "old.data-00000-of-00001", "wb") as stream:
        stream.truncate(3 << 20)
    taking = weights.take_over(_plan(x="a"), prefix, str(tmp_path / "w"), "copy", True)
    failed = weights.run(taking.job)
    assert isinstance(failed, Failed) and "do not match their checksum" in failed.reason


def test_only_what_is_no_hole_needs_room(tmp_path, monkeypatch):
    """A terabyte of zeros in a file of a few bytes."""
    size = 5 << 20
    file = tmp_path / "old.data-00000-of-00001"
    with open(file, "wb") as stream:
        stream.write(b"a" * (1 << 20))
        stream.truncate(size)
    value = b"a" * (1 << 20) + bytes(4 << 20)
    write_index(str(tmp_path / "old"), [Entry("a", "uint8", (size,), 0, 0, size, masked_crc32c(value))], 1)

    def run(blocks):
        monkeypatch.setattr(weights.os, "fstatvfs", lambda _: SimpleNamespace(f_bavail=blocks, f_frsize=1 << 19))
        folder = str(tmp_path / f"w{blocks}")
        return weights.run(weights.take_over(_plan(x="a"), str(tmp_path / "old"), folder, "copy", True).job)

    assert run(2) == weights.Done()
    for free in (1 << 20, (1 << 20) - 1):
        monkeypatch.setattr(weights.shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        taking = weights.take_over(_plan(x="a"), str(tmp_path / "old"), str(tmp_path / f"w{free}"), "copy", True)
        with contextlib.nullcontext() if free == 1 << 20 else pytest.raises(InputError):
            weights.check_room(taking.job)
    before = os.listdir("/proc/self/fd")
    failed = run(1)
    assert os.listdir("/proc/self/fd") == before
    assert isinstance(failed, Failed) and os.strerror(errno.ENOSPC) in failed.reason


@pytest.mark.parametrize("mode", ["copy", "link"])
def test_the_room_that_copies_need_is_told_before_the_work(tmp_path, monkeypatch, mode):
    prefix = _bundle(tmp_path, [{"a": A, "c": B}, {"b": B}])
    job = weights.take_over(_plan(x="a", y="b"), prefix, str(tmp_path / "w"), mode, True).job
    needed = len(A) + len(B)
    monkeypatch.setattr(weights.shutil, "disk_usage", lambda _: SimpleNamespace(free=needed))
    weights.check_room(job)
    monkeypatch.setattr(weights.shutil, "disk_usage", lambda _: SimpleNamespace(free=needed - 1))
    if mode == "link":
        weights.check_room(job)
        return
    with pytest.raises(InputError, match=f"take {needed:,} bytes, and its file system has {needed - 1:,} free"):
        weights.check_room(job)


@pytest.mark.parametrize("mode", MODES)
def test_a_data_file_that_has_become_shorter_is_damaged(tmp_path, mode):
    prefix = _bundle(tmp_path, [{"a": A, "b": B}])
    os.truncate(tmp_path / "old.data-00000-of-00001", len(A) + 5)
    taking = weights.take_over(_plan(x="a", y="b"), prefix, str(tmp_path / "w"), mode, True)
    assert "the bytes of 'b'" in weights.run(taking.job).reason


@pytest.mark.parametrize("mode", ["auto", "copy"])
def test_a_data_file_that_is_gone_is_named(tmp_path, mode):
    prefix = _bundle(tmp_path, [{"a": A}])
    os.remove(tmp_path / "old.data-00000-of-00001")
    taking = weights.take_over(_plan(x="a"), prefix, str(tmp_path / "w"), mode, True)
    assert "old.data-00000-of-00001: cannot be read" in weights.run(taking.job).reason


def test_a_file_system_that_cannot_link_is_told_with_a_way_out(tmp_path):
    prefix = _bundle(tmp_path, [{"a": A}])
    os.remove(tmp_path / "old.data-00000-of-00001")
    with pytest.raises(InputError, match="use --checkpoint=copy"):
        weights.take_over(_plan(x="a"), prefix, str(tmp_path / "w"), "link", True)


def test_a_link_without_a_check_reads_no_byte_of_the_weights(tmp_path, monkeypatch):
    prefix = _bundle(tmp_path, [{"a": A}, {"b": B}])
    opened = []
    really = os.open
    monkeypatch.setattr(
        weights.os, "open", lambda path, *rest, **named: (opened.append(path), really(path, *rest, **named))[1]
    )
    monkeypatch.setattr(weights.os, "pread", lambda *_: pytest.fail("a byte was read"))
    taking = weights.take_over(_plan(x="a", y="b"), prefix, str(tmp_path / "w"), "link", False)
    assert (taking.job, opened) == (weights.WeightsJob(()), [f"{prefix}.index"])
    assert weights.run(taking.job) == weights.Done()


def test_tensors_that_share_bytes_are_left_to_tensorflow(tmp_path):
    """An index may say so; copying every tensor by itself would multiply the bytes."""
    prefix = _bundle(tmp_path, [{"a": A}, {"b": B}])
    entries = [
        Entry("a", "uint8", (100,), 0, 0, 100, masked_crc32c(A[:100])),
        Entry("part", "uint8", (100,), 0, 50, 100, masked_crc32c(A[50:150])),
        Entry("b", "uint8", (len(B),), 1, 0, len(B), masked_crc32c(B)),
    ]
    write_index(prefix, entries, 2)
    taking = weights.take_over(_plan(x="a", y="part", z="b"), prefix, str(tmp_path / "w"), "copy", True)
    assert set(taking.taken) == {"z"}


def test_a_copy_is_flushed_after_its_last_byte_and_before_it_is_done(tmp_path, monkeypatch):
    prefix = _bundle(tmp_path, [{"a": A}, {"b": B}])
    taking = weights.take_over(_plan(x="a", y="b"), prefix, str(tmp_path / "w"), "copy", True)
    flushed = {}
    monkeypatch.setattr(
        weights.os, "fsync", lambda fd: flushed.update({os.readlink(f"/proc/self/fd/{fd}"): os.fstat(fd).st_size})
    )
    assert weights.run(taking.job) == weights.Done()
    assert flushed == {taking.files[0]: len(A), taking.files[1]: len(B)}


def test_a_full_disk_is_told_before_the_copying(tmp_path, monkeypatch):
    prefix = _bundle(tmp_path, [{"a": A}])
    taking = weights.take_over(_plan(x="a"), prefix, str(tmp_path / "w"), "copy", True)

    def full(file, mode, start, length):
        assert (mode, start.value, length.value) == (0, 0, len(A))
        weights.ctypes.set_errno(errno.ENOSPC)
        return -1

    library = SimpleNamespace(fallocate=full)
    monkeypatch.setattr(weights.ctypes, "CDLL", lambda *_, **__: library)
    before = os.listdir("/proc/self/fd")
    assert weights.run(taking.job) == Failed("the new model cannot be written: No space left on device")
    assert os.listdir("/proc/self/fd") == before
    assert os.path.getsize(taking.files[0]) == 0


def test_without_the_calls_of_linux_the_bytes_are_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(weights.ctypes, "CDLL", lambda *_, **__: object())
    monkeypatch.setattr(weights, "_WRITE_BACK_BYTES", 1 << 10)
    prefix = _bundle(tmp_path, [{"a": A, "b": B}])
    taking = weights.take_over(_plan(x="a", y="b"), prefix, str(tmp_path / "w"), "copy", True)
    assert weights.run(taking.job) == weights.Done()
    assert _found(taking) == {"x": A, "y": B}


_PEAK = """
import resource
import sys
from tests.export import test_weights as t
from migrate.export import weights
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
for mode in t.MODES:
    taking = weights.take_over(t._plan(x="a", y="b"), sys.argv[1], sys.argv[2] + mode, mode, True)
    assert weights.run(taking.job) == weights.Done()
print(peak() - before)
"""


def test_the_memory_does_not_grow_with_the_weights(tmp_path):
    size = 96 << 20
    prefix = str(tmp_path / "old")
    with open(data_file(prefix, 0, 1), "wb") as file:
        file.truncate(2 * size)
    crc = masked_crc32c(bytes(size))
    write_index(prefix, [Entry(k, "uint8", (size,), 0, o, size, crc) for k, o in (("a", 0), ("b", size))], 1)
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, prefix, str(tmp_path / "w")], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 8 << 10, "kilobytes"
