"""Breaks files that are no protos: Keras' HDF5, archives and configs, V1 checkpoints, state files, names."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import h5py
import numpy as np

from migrate.graph.data_protos import SavedTensorSlices
from migrate.sources import leveldb
from tests.sources.tar_parts import header, member, pax
from tools.mutants import NAMES, NUMBERS, change_some, mutate_bytes, mutate_file, table_items, write

_LONG = "n" * 5000
_STATES = (
    "../../../../etc/passwd",
    "/dev/zero",
    "a\\0b",
    "",
    "\\377\\376",
    "x" * 70000,
    "model.ckpt-99999999999999999999",
    '"',
    "\\",
)


def mutate_v1(file: str, rng: random.Random) -> None:
    """Changes entries of a V1 checkpoint, most often the list of its tensors."""
    items = table_items(file)
    if items is None:
        mutate_file(file, rng)
        return
    at = 0 if rng.random() < 0.7 else rng.randrange(len(items))
    key, value = items[at]
    slices = SavedTensorSlices.FromString(value)
    what = rng.randrange(5)
    if what == 0:
        items[at] = (key, mutate_bytes(value, rng))
    elif what == 1:
        items[at] = (mutate_bytes(key, rng), value)
    elif what == 2 and slices.meta.tensor:
        tensor = rng.choice(slices.meta.tensor)
        for _ in range(rng.choice((1, 300, 20_000))):
            tensor.shape.dim.add(size=rng.choice(NUMBERS))
        items[at] = (key, slices.SerializeToString())
    elif what == 3 and slices.meta.tensor:
        for _ in range(rng.choice((1, 5000))):
            extent = rng.choice(slices.meta.tensor).slice.add().extent.add(start=rng.choice(NUMBERS))
            extent.length = rng.choice(NUMBERS)
        items[at] = (key, slices.SerializeToString())
    else:
        change_some(slices, rng)
        items[at] = (key, slices.SerializeToString())
    write(file, leveldb.write_table(sorted(dict(items).items())))


def mutate_state(file: str, rng: random.Random) -> None:
    """Has the state file `checkpoint` name something else."""
    if rng.random() < 0.3:
        mutate_file(file, rng)
        return
    path = rng.choice(_STATES)
    line = f'model_checkpoint_path: "{path}"\n'
    write(file, (line * rng.choice((1, 1, 5000))).encode())


def rename(folder: str, rng: random.Random) -> None:
    """Gives a file of a model another name, or puts a file of an odd name beside it."""
    names = sorted(name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name)))
    old = os.path.join(folder, rng.choice(names))
    odd: Sequence[str | bytes] = (
        "a\nb.pb",
        "\x1b[31m.meta",
        b"\xff\xfe.pb",
        "-00000-of-99999",
        "model-00000-of-00000",
        "model.data-99999-of-00001",
        "x-99999999999999999999999999.meta",
        ".meta",
        ".index",
        "checkpoint",
        "export.meta",
        "saved_model.pb",
        "saved_model.cpb",
        "n" * 250 + ".h5",
    )
    new = os.path.join(os.fsencode(folder), os.fsencode(rng.choice(odd)))
    if os.path.isdir(new):
        return
    if rng.random() < 0.5:
        os.replace(old, new)
    else:
        with open(old, "rb") as stream:
            data = stream.read()
        with open(new, "wb") as out:
            out.write(data)


# Keras.


def mutate_json(file: str, rng: random.Random) -> None:
    """Breaks a file with a Keras config."""
    with open(file, "rb") as stream:
        data = stream.read()
    write(file, _json(data, rng))


def _json(data: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.3:
        return mutate_bytes(data, rng)
    try:
        value = json.loads(data)
    except ValueError:
        return mutate_bytes(data, rng)
    for _ in range(rng.choice((1, 1, 3, 10))):
        value = _json_value(value, rng)
    return json.dumps(value).encode()


def _json_value(value: Any, rng: random.Random) -> Any:
    """Changes one value somewhere below."""
    holder, key = None, None
    here = value
    while isinstance(here, (dict, list)) and here and (holder is None or rng.random() < 0.85):
        holder = here
        key = rng.choice(sorted(here)) if isinstance(here, dict) else rng.randrange(len(here))
        here = here[key]
    new = _odd_json(here, rng)
    if holder is None:
        return new
    if isinstance(holder, dict) and rng.random() < 0.15:
        holder[rng.choice(NAMES[:-2])] = holder.pop(key)
    elif rng.random() < 0.1:
        del holder[key]
    else:
        holder[key] = new
    return value


def _odd_json(old: Any, rng: random.Random) -> Any:
    what = rng.randrange(14)
    if what == 0:
        nested: Any = old
        for _ in range(rng.choice((5, 300, 900))):
            nested = [nested] if rng.random() < 0.5 else {"config": nested, "class_name": "Sequential"}
        return nested
    if what == 1:
        return [old] * rng.choice((2, 200, 3000 if len(json.dumps(old)) < 500 else 2))
    if what == 2:
        return {"class_name": rng.choice(("Lambda", "Functional", "Sequential", "TFOpLambda", "os>system", "Dense"))}
    if what == 3:
        return {"class_name": "Custom>A", "config": old, "module": "os", "registered_name": rng.choice(NAMES[:-2])}
    if what == 4:
        return {"config": old, "name": rng.choice(NAMES), "layers": [old, old]}
    odd = (None, True, -1, 0, 1e308, 1 << 70, "", [], {}, [None], [[]], "a" * 5000, *NAMES[:-2])
    return rng.choice(odd)


def mutate_hdf5(file: str, rng: random.Random) -> None:
    """Breaks an HDF5 file, or makes another sound one of it, with things in it that Keras never writes."""
    if rng.random() < 0.35:
        mutate_file(file, rng)
        return
    with h5py.File(file, "r+") as content:
        rng.choice(_HDF5)(content, rng)


def _config(content: h5py.File, rng: random.Random) -> None:
    for name in ("model_config", "training_config"):
        if name in content.attrs and rng.random() < 0.8:
            text = content.attrs[name]
            data = text if isinstance(text, bytes) else str(text).encode()
            new = _json(data, rng)
            del content.attrs[name]
            if len(new) < 60_000:  # An attribute's limit, unless it is stored densely.
                content.attrs[name] = np.bytes_(new)


def _attributes(content: h5py.File, rng: random.Random) -> None:
    holder = rng.choice([content, *(g for g in content.values() if isinstance(g, h5py.Group))])
    for name in ("keras_version", "backend", "model_config", "training_config", "layer_names", "weight_names"):
        if rng.random() < 0.6:
            values = (
                7,
                -1.5,
                np.arange(9),
                np.bytes_(b"\xff\xfe\0"),
                "\x1b[31m",
                h5py.Empty("f"),
                content.ref,
                "9.9.9",
            )
            values += (np.array([b"a", b"bb"]), np.zeros((0, 3)), "0", "3.x", "<script>")
            holder.attrs[name] = rng.choice(values)


def _links(content: h5py.File, rng: random.Random) -> None:
    what = rng.randrange(6)
    if what == 0:
        content["outside"] = h5py.ExternalLink(rng.choice(("/etc/passwd", "../x.h5", "other.h5")), "/")
    elif what == 1:
        content["soft"] = h5py.SoftLink(rng.choice(("/soft", "/", "/gone", "..")))
    elif what == 2:
        content["round"] = content["/"]
    elif what == 3:  # few groups, and more ways through than atoms in the world
        last = content.create_group("lattice")
        for _ in range(rng.choice((10, 40, 100))):
            below = last.create_group("a")
            last["b"] = below
            last = below
    elif what == 4:
        group = content.create_group("deep")
        for _ in range(rng.choice((300, 2000))):
            group = group.create_group("g")
    else:
        for number in range(rng.choice((300, 4000))):
            content[f"many_{number}"] = np.float32(number)


def _data(content: h5py.File, rng: random.Random) -> None:
    group = content.create_group("extra")
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", (4,))
    ways: tuple[Callable[[], object], ...] = (
        lambda: group.create_dataset("huge", (1 << 40, 1 << 10), "f8", chunks=(1, 8)),
        lambda: group.create_virtual_dataset("virtual", layout),
        lambda: group.create_dataset("file", (9,), "u1", external=[("/etc/passwd", 0, 9)]),
        lambda: group.create_dataset("pairs", (3,), [("a", "f4"), ("b", "S3")]),
        lambda: group.create_dataset("text", (3,), h5py.string_dtype()),
        lambda: group.create_dataset("opaque", (3,), "V5"),
        lambda: group.create_dataset("references", (3,), h5py.ref_dtype),
        lambda: group.create_dataset("ragged", (3,), h5py.vlen_dtype(np.int8)),
        lambda: group.create_dataset("complex", (3, 0), "c8"),
        lambda: group.create_dataset("empty", data=h5py.Empty("f2")),
        lambda: group.create_dataset("many", (1,) * 32, "f2"),
        lambda: group.create_dataset("x" * 3000 + "\u202e", (1,), "f4"),
        lambda: group.__setitem__("type", np.dtype("i8")),
    )
    for way in rng.sample(ways, rng.choice((1, 3, 8))):
        way()


_HDF5 = (_config, _config, _attributes, _links, _data)


def change_config(file: str, change: Callable[[bytes], bytes]) -> None:
    """Changes the config of a model's file, whatever its form."""
    if file.endswith(".json"):
        with open(file, "rb") as stream:
            data = stream.read()
        write(file, change(data))
    elif file.endswith(".keras"):
        with zipfile.ZipFile(file) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members["config.json"] = change(members.get("config.json", b""))
        with zipfile.ZipFile(file, "w") as archive:
            for name in sorted(members):
                archive.writestr(zipfile.ZipInfo(name), members[name])
    else:
        with h5py.File(file, "r+") as content:
            text = content.attrs.get("model_config", b"")
            new = change(text if isinstance(text, bytes) else str(text).encode())
            content.attrs.pop("model_config", None)
            if len(new) < 60_000:
                content.attrs["model_config"] = np.bytes_(new)


def mutate_keras(file: str, rng: random.Random) -> None:
    """Breaks a `.keras` archive or one of its members."""
    if rng.random() < 0.3:
        mutate_file(file, rng)
        return
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(members))
    if name.endswith(".json"):
        members[name] = _json(members[name], rng)
    else:
        inner = file + ".inner"
        write(inner, members[name])
        mutate_hdf5(inner, rng)
        with open(inner, "rb") as stream:
            members[name] = stream.read()
        os.unlink(inner)
    if rng.random() < 0.2:
        del members[rng.choice(sorted(members))]
    packing = rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED))
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name), members[name], packing)
        if rng.random() < 0.2:
            _odd_member(archive, rng)


# Archives.


def pack(folder: str, file: str, kind: str) -> None:
    """Packs what a directory holds into an archive: `zip`, `tar` or `tar.gz`."""
    paths = sorted(os.path.join(below, name) for below, _, names in os.walk(folder) for name in names)
    regular = [path for path in paths if stat.S_ISREG(os.lstat(path).st_mode) and os.path.getsize(path) < 1 << 25]
    if kind == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in regular:
                with open(path, "rb") as stream:
                    name = os.fsencode(os.path.relpath(path, folder)).decode(errors="replace")
                    archive.writestr(zipfile.ZipInfo(name), stream.read(), zipfile.ZIP_DEFLATED)
        return
    with _new_tar(file, kind) as tar:
        for path in regular:
            with open(path, "rb") as stream:
                data = stream.read()
            info = tarfile.TarInfo(os.path.relpath(path, folder))
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@contextlib.contextmanager
def _new_tar(file: str, kind: str) -> Iterator[tarfile.TarFile]:
    """An archive without a time in it: the same members are the same bytes."""
    with contextlib.ExitStack() as stack:
        stream: Any = stack.enter_context(open(file, "wb"))
        if kind == "tar.gz":
            stream = stack.enter_context(gzip.GzipFile("", "wb", 6, stream, mtime=0))
        yield stack.enter_context(tarfile.open(fileobj=stream, mode="w"))


def mutate_archive(file: str, kind: str, rng: random.Random) -> None:
    """Breaks an archive, or adds members that an unpacker must not believe."""
    if rng.random() < 0.5:
        mutate_file(file, rng)
    elif kind == "zip":
        with zipfile.ZipFile(file, "a") as archive:
            _odd_member(archive, rng)
    else:
        with tarfile.open(file) as old:
            members = [(m, old.extractfile(m).read()) for m in old if m.isfile()]  # type: ignore[union-attr]
        with _new_tar(file, kind) as tar:
            for info, data in members:
                tar.addfile(info, io.BytesIO(data))
            _odd_tar_member(tar, rng)


_CLIMBING = (
    "../up",
    "/tmp/up",
    "a/../../up",
    "..",
    "C:\\up",
    "a\\..\\..\\up",
    "variables/../../up",
    "./saved_model.pb",
)


def _odd_member(archive: zipfile.ZipFile, rng: random.Random) -> None:
    what = rng.randrange(9)
    if what == 0:
        archive.writestr(zipfile.ZipInfo(rng.choice(_CLIMBING)), b"up")
    elif what == 1:
        info = zipfile.ZipInfo("link")
        info.external_attr = (rng.choice((stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK)) | 0o777) << 16
        archive.writestr(info, b"/etc/passwd")
    elif what == 2:
        archive.writestr("zeros.pb", b"\0" * rng.choice((1 << 20, 1 << 26)), zipfile.ZIP_DEFLATED)
    elif what == 3:
        for number in range(rng.choice((300, 3000))):
            archive.writestr(zipfile.ZipInfo(f"many/{number}"), b"")
    elif what == 4:
        archive.writestr(zipfile.ZipInfo("/".join(["d"] * rng.choice((50, 900))) + "/f"), b"deep")
    elif what == 5:
        archive.writestr(zipfile.ZipInfo(rng.choice((_LONG, "a" * 300, "\x1b[31m", "con", "a/", "/", "\u202e"))), b"x")
    elif what == 6:
        name = rng.choice(archive.namelist())
        archive.writestr(zipfile.ZipInfo(name + rng.choice(("", "/x", "/"))), b"twice")
    elif what == 7:
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as second:
            second.writestr("saved_model.pb", b"\x08\x01")
        archive.writestr("inner.zip", inner.getvalue())
    else:
        info = zipfile.ZipInfo("odd")
        archive.writestr(info, b"odd")
        info.flag_bits |= rng.choice((1, 0x40, 0x20))
        info.compress_type = rng.choice((0, 8, 9, 12, 14, 99))
        info.file_size = rng.choice((0, 1 << 30, 1 << 40, 1 << 62, 3))
        info.header_offset = rng.choice((0, 1 << 20, info.header_offset))


_SPARSE = (
    {"GNU__sparse__map": "0,1", "GNU__sparse__size": "9", "GNU__sparse__numblocks": "1"},
    {"GNU__sparse__size": "9", "GNU__sparse__offset": "0", "GNU__sparse__numbytes": "1"},
    {"GNU__sparse__major": "1", "GNU__sparse__minor": "0", "GNU__sparse__realsize": str(1 << 40)},
    {"size": str(1 << 40)},
    {"path": "../../up"},
    {"linkpath": "/etc/passwd", "size": "0"},
)
_LONG_HEADERS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, b"L", b"K", b"S")


def _odd_tar_member(tar: tarfile.TarFile, rng: random.Random) -> None:
    what = rng.randrange(10)
    info = tarfile.TarInfo(rng.choice(("odd", *_CLIMBING)))
    if what == 0:
        tar.addfile(info, None)
    elif what == 1:
        info.type = rng.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, b"Z"))
        info.linkname = rng.choice(("/etc/passwd", "../..", "odd", ""))
        tar.addfile(info)
    elif what == 2:
        info = tarfile.TarInfo("zeros.pb")
        info.size = rng.choice((1 << 20, 1 << 26))
        tar.addfile(info, io.BytesIO(b"\0" * info.size))
    elif what == 3:
        for number in range(rng.choice((300, 3000))):
            tar.addfile(tarfile.TarInfo(f"many/{number}"))
    elif what == 4:
        info.size = rng.choice((1 << 33, 1 << 60, 5))  # and nothing that follows
        _raw(tar, info.tobuf(tarfile.GNU_FORMAT))
    elif what == 5:  # more than follows, or zeros, or one after the other
        size = rng.choice((1 << 20, 1 << 28, 3000 << 20, 1 << 60))
        lie = header(rng.choice(_LONG_HEADERS), size)
        _raw(tar, rng.choice((lie, lie + bytes(1 << 25), lie * 2000)))
    elif what == 6:
        _raw(tar, pax(**rng.choice(_SPARSE)) + member("saved_model.pb", b"\x08\x01"))
    elif what == 7:
        _raw(tar, (header(tarfile.XGLTYPE, 1 << 20) + bytes(1 << 20) + member("file")) * 20)
    elif what == 8:
        info.pax_headers = {rng.choice(("path", "size", "GNU.sparse.map", "GNU.sparse.realsize")): "9" * 4000}
        tar.addfile(info)
    else:
        tar.addfile(tarfile.TarInfo("/".join(["d"] * rng.choice((50, 900)))))


def _raw(tar: tarfile.TarFile, data: bytes) -> None:
    tar.fileobj.write(data)  # type: ignore[union-attr]
