"""What an archive says of itself does not decide how much memory, disk or time it takes to refuse it."""

from __future__ import annotations

import gzip
import io
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import zipfile
import zlib

import pytest

from migrate.errors import InputError
from migrate.model.study import audit_model
from migrate.processes.claims import clear_leftovers
from migrate.records import Convertible, Options, Unreadable
from migrate.sources import archive
from migrate.sources.discover import find_models
from migrate.sources.forms import ENDS
from tests.audits import audited
from tests.conversions import MODELS, ROOT
from tests.sources.tar_parts import BLOCK, header, member, pax

pytestmark = [pytest.mark.timeout(60), pytest.mark.process]


def _why(path):
    outcome = audit_model(str(path), Options()).outcome
    assert isinstance(outcome, Unreadable), outcome
    return outcome.reason


MODEL = member("saved_model.pb", b"\x08\x01")
END = bytes(2 * BLOCK)
LARGE = 1 << 28


def _tar(path, *parts):
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for part in (*parts, END):
            stream.write(part)
    return path


def _tar_of_zeros(path, head, megabytes):
    """A tar.gz of which nobody reads the end: a block of zeros is packed once and written many times."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(gzip.compress(b"")[:10] + start + block * megabytes + packer.flush())
    return path


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, b"L", b"K"])
def test_a_header_that_announces_more_than_any_header(kind, tmp_path):
    path = _tar_of_zeros(tmp_path / "model.tar.gz", header(kind, LARGE), LARGE >> 20)
    assert "long headers of 268,435,456 bytes" in _why(path)


@pytest.mark.parametrize("flags", [0, 2, 4, 8, 16, 28])
def test_a_gzip_header_that_ends_early(flags, tmp_path):
    header_of_gzip = b"\x1f\x8b\x08" + bytes([flags]) + bytes(6) + b"\x20\x00extra"
    for length in range(3, len(header_of_gzip)):
        (tmp_path / "model.tar.gz").write_bytes(header_of_gzip[:length])
        with pytest.raises(InputError), archive.unpacked(str(tmp_path / "model.tar.gz")):
            pass


def test_headers_that_are_many(tmp_path):
    one = header(tarfile.XGLTYPE, 1 << 20) + bytes(1 << 20)
    path = _tar(tmp_path / "model.tar.gz", *[one + member(f"file{n}") for n in range(20)], MODEL)
    assert "long headers of 17,825,792 bytes" in _why(path)


def test_headers_of_one_archive_do_not_count_for_another(tmp_path):
    one = pax(comment="x" * (1 << 19))
    for number in range(40):
        _tar(tmp_path / f"{number}.tar.gz", one, MODEL)
        assert "long headers" not in _why(tmp_path / f"{number}.tar.gz")


@pytest.mark.parametrize(
    "parts",
    [
        (header(b"S", 0),),
        (pax(GNU__sparse__map="0,1", GNU__sparse__size="9", GNU__sparse__numblocks="1"), MODEL),
        (pax(GNU__sparse__size="9", GNU__sparse__offset="0", GNU__sparse__numbytes="1"), MODEL),
        (pax(GNU__sparse__major="1", GNU__sparse__minor="0", GNU__sparse__realsize="9"), MODEL),
    ],
    ids=["old", "0.1", "0.0", "1.0"],
)
def test_a_sparse_member(parts, tmp_path):
    path = _tar(tmp_path / "model.tar.gz", *parts)
    assert "a sparse member" in _why(path)


def test_an_ordinary_archive_with_long_names(tmp_path):
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "model.tar.gz", "w:gz", format=form) as tar:
            tar.add(MODELS / "counter", "long" * 40 + "/" + "name" * 40)
        assert isinstance(audit_model(str(tmp_path / "model.tar.gz"), Options()).outcome, Convertible)


def test_a_tree_with_such_archives_has_a_row_for_each(tmp_path):
    _tar(tmp_path / "header.tar.gz", header(b"L", LARGE), *[bytes(1 << 20)] * 16)
    _tar(tmp_path / "sparse.tar.gz", header(b"S", 0))
    _directory_of(tmp_path / "members.zip", 100_000)
    (tmp_path / "notes.txt").write_text("notes")
    assert [os.path.basename(p) for p in find_models(str(tmp_path))] == [
        "header.tar.gz",
        "members.zip",
        "sparse.tar.gz",
    ]


def test_a_search_for_a_model_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "_LOOKED_AT_BYTES", 1 << 20)
    _tar(tmp_path / "a.tar.gz", member("first", bytes(1 << 21)), member("second"))
    assert archive.holds_name(str(tmp_path / "a.tar.gz"), ENDS)  # It may: unpacking it says.
    _tar(tmp_path / "b.tar.gz", member("first"), member("second"))
    assert not archive.holds_name(str(tmp_path / "b.tar.gz"), ENDS)


def _directory_of(path, members):
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    size = len(entry) * members
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, members & 0xFFFF, members & 0xFFFF, size, 4, 0)
    path.write_bytes(b"PK\3\4" + entry * members + end)


def test_a_zip_with_a_list_of_members_that_no_model_has(tmp_path):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as file:
        for number in range(100_000):
            file.writestr(f"{number:06}", b"")
    assert "a list of members of" in _why(path)
    with pytest.raises(InputError), archive.open_zip(str(path)):
        pass


def test_a_zip_whose_sizes_are_lies(tmp_path):
    """The extra field of a large member (APPNOTE.TXT, 4.5.3) claims any size."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("saved_model.pb", b"\x08\x01")
    data = buffer.getvalue()
    at = data.rindex(b"PK\1\2")
    for claimed in (1 << 40, 1 << 62):
        extra = struct.pack("<2HQ", 1, 8, claimed)
        entry = bytearray(data[at : data.rindex(b"PK\5\6")])
        entry[24:28] = b"\xff" * 4
        entry[30:32] = struct.pack("<H", len(extra))
        end = bytearray(data[data.rindex(b"PK\5\6") :])
        end[12:16] = struct.pack("<L", len(entry) + len(extra))
        (tmp_path / "model.zip").write_bytes(data[:at] + entry + extra + end)
        assert f"unpack to {claimed:,}" in _why(tmp_path / "model.zip")


def _zeros(path, megabytes):
    """An archive of a model beside a file of zeros, which takes a thousandth of it."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
            file.write(MODELS / "counter" / "saved_model.pb", "saved_model.pb")
            with file.open("assets.extra/zeros", "w") as stream:
                for _ in range(megabytes):
                    stream.write(bytes(1 << 20))
    else:
        with tarfile.open(path, "w:gz") as file:
            file.add(MODELS / "counter" / "saved_model.pb", "saved_model.pb")
            info = tarfile.TarInfo("assets.extra/zeros")
            info.size = megabytes << 20
            file.addfile(info, io.BytesIO(bytes(info.size)))


@pytest.mark.parametrize("name", ["model.zip", "model.tar.gz"])
def test_zeros_are_not_unpacked(name, tmp_path, monkeypatch):
    """By default a quarter of a gigabyte, or twenty times the archive."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    written = []
    write = archive._Budget.spend
    monkeypatch.setattr(archive._Budget, "spend", lambda self, count: (written.append(count), write(self, count)))
    path = tmp_path / name
    _zeros(path, 257)
    reason = _why(path)
    assert "bytes that unpack to" in reason
    assert "268,435,456 are the most (20 times its own or --unpacked_size=MEGABYTES" in reason
    assert sum(written) < 1 << 20  # Nothing of the zeros.
    assert not os.listdir(scratch)
    allowed = audit_model(str(path), Options(unpacked_bytes=1 << 30)).outcome
    assert not isinstance(allowed, Unreadable), allowed


def test_what_unpacks_to_twenty_times_its_size_is_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.write(MODELS / "counter" / "saved_model.pb", "saved_model.pb")
        file.writestr("assets.extra/weights", os.urandom(1 << 16) + bytes(18 << 16))
    outcome = audit_model(str(path), Options(unpacked_bytes=1)).outcome
    assert not isinstance(outcome, Unreadable), outcome


def test_a_search_for_a_model_passes_over_no_more(tmp_path):
    _zeros(tmp_path / "model.tar.gz", 300)
    with tarfile.open(tmp_path / "zeros.tar.gz", "w:gz") as file:
        info = tarfile.TarInfo("zeros")
        info.size = 300 << 20
        file.addfile(info, io.BytesIO(bytes(info.size)))
    assert archive.holds_name(str(tmp_path / "zeros.tar.gz"), ENDS)  # It may: unpacking it says.


def test_what_it_takes(tmp_path):
    """Three gigabytes are announced, and no more memory is there than an audit takes."""
    _tar_of_zeros(tmp_path / "pax.tar.gz", header(tarfile.XHDTYPE, 3000 << 20), 3000)
    _tar_of_zeros(tmp_path / "name.tar.gz", header(b"L", 3000 << 20), 3000)
    for name in ("pax.tar.gz", "name.tar.gz"):
        found = subprocess.run(
            [sys.executable, "-m", "migrate", "audit", str(tmp_path / name)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)),
            check=False,
        )
        assert found.returncode == 1, found.stderr
        assert "Traceback" not in found.stderr
        assert "long headers" in " ".join(found.stdout.split())


# What a killed process leaves.


def test_what_a_killed_process_has_unpacked_is_cleared_away(tmp_path):
    with tarfile.open(tmp_path / "model.tar", "w") as tar:
        tar.add(MODELS / "counter", "model")
    program = textwrap.dedent(
        f"""
        import os, signal
        from migrate.sources.archive import unpacked
        with unpacked({str(tmp_path / "model.tar")!r}) as directory:
            assert os.listdir(directory) == ["model"]
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(os.listdir(scratch)) == 1
    tempfile_dir, tempfile.tempdir = tempfile.tempdir, str(scratch)
    try:
        with archive.unpacked(str(tmp_path / "model.tar")) as directory:
            assert [os.path.join(scratch, name) for name in os.listdir(scratch)] == [directory]
            clear_leftovers(str(scratch), "migrate-archive-")  # Another process's audit leaves ours alone.
            assert os.path.isdir(directory)
        assert os.listdir(scratch) == []
    finally:
        tempfile.tempdir = tempfile_dir


FORMS = ROOT / "testdata" / "forms"


def _zip(path, source):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for file in source.rglob("*"):
            out.write(file, file.relative_to(source.parent))


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz"])
def test_an_archive_of_a_model_is_the_model(ending, tmp_path):
    path = tmp_path / f"model.{ending}"
    if ending == "zip":
        _zip(path, MODELS / "simple_save")
    else:
        with tarfile.open(path, "w:gz" if ending == "tar.gz" else "w") as out:
            out.add(MODELS / "simple_save", "simple_save")
    expected, found = audited(MODELS / "simple_save"), audited(path)
    assert (found.kind, found.outcome, found.meta_graphs) == (expected.kind, expected.outcome, expected.meta_graphs)
    assert found.source == str(path)
    assert find_models(str(tmp_path)) == (str(tmp_path),)
    assert audited(tmp_path).outcome == expected.outcome


def test_an_archive_is_cleared_away(tmp_path, monkeypatch):
    monkeypatch.setattr(archive.tempfile, "tempdir", str(tmp_path))
    _zip(tmp_path / "model.zip", FORMS / "frozen")
    audited(tmp_path / "model.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["model.zip"]


def test_what_lacks_in_an_archive_goes_by_the_archives_name(tmp_path):
    model = tmp_path / "vocabulary"
    shutil.copytree(MODELS / "vocabulary", model)
    next((model / "assets").iterdir()).unlink()
    (model / "variables" / "variables.index").write_bytes(b"")
    _zip(tmp_path / "model.zip", model)
    told = [f.message for f in audited(tmp_path / "model.zip").findings]
    assert any(f"{tmp_path}/model.zip/vocabulary/assets/" in message for message in told)
    assert not [message for message in told if archive.tempfile.gettempdir() + "/migrate-" in message]
    (model / "saved_model.pb").write_bytes(b"")
    _zip(tmp_path / "model.zip", model)
    assert f"{tmp_path}/model.zip/vocabulary/saved_model.pb" in audited(tmp_path / "model.zip").outcome.reason


def _member(name, kind=tarfile.REGTYPE, size=0, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info


@pytest.mark.parametrize(
    ("member", "says"),
    [
        (_member("../outside"), "leads out"),
        (_member("/absolute"), "leads out"),
        (_member("a/../../outside"), "leads out"),
        (_member("link", tarfile.SYMTYPE, link="/etc/passwd"), "link or special"),
        (_member("hard", tarfile.LNKTYPE, link="saved_model.pb"), "link or special"),
        (_member("device", tarfile.CHRTYPE), "link or special"),
        (_member("pipe", tarfile.FIFOTYPE), "link or special"),
    ],
)
def test_an_archive_that_reaches_out_is_refused(member, says, tmp_path):
    path = tmp_path / "model.tar"
    with tarfile.open(path, "w") as out:
        out.addfile(_member("saved_model.pb"), io.BytesIO())
        out.addfile(member, io.BytesIO())
    report = audited(path)
    assert isinstance(report.outcome, Unreadable) and says in report.outcome.reason
    assert not (tmp_path.parent / "outside").exists() and not os.path.exists("/absolute")


def test_a_zip_that_reaches_out_is_refused(tmp_path):
    for name in ("../outside", "/absolute", "C:\\windows", "a\\..\\..\\b"):
        path = tmp_path / "model.zip"
        with zipfile.ZipFile(path, "w") as out:
            out.writestr("saved_model.pb", b"x")
            out.writestr(name, b"x")
        report = audited(path)
        assert isinstance(report.outcome, Unreadable) and "leads out" in report.outcome.reason, name
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as out:
        out.writestr(link, "/etc/passwd")
    assert "link or special" in audited(path).outcome.reason


def test_bombs_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        out.writestr("saved_model.pb", bytes(1 << 22))
    assert "bytes that unpack to 4,194,304 or more" in audited(path, unpacked_bytes=1 << 20).outcome.reason
    assert "raise the flag" not in audited(path).outcome.reason
    tar = tmp_path / "model.tar.gz"
    with tarfile.open(tar, "w:gz") as out:
        for number in range(4):
            out.addfile(_member(f"{number}.pb", size=1 << 20), io.BytesIO(bytes(1 << 20)))
    assert "bytes that unpack to 2,097,152 or more" in audited(tar, unpacked_bytes=1 << 20).outcome.reason
    monkeypatch.setattr(archive, "_MAX_MEMBERS", 3)
    assert "more than 3 members" in audited(tar).outcome.reason


def test_damaged_and_odd_archives(tmp_path):
    path = tmp_path / "model.zip"
    _zip(path, FORMS / "frozen")
    data = path.read_bytes()
    path.write_bytes(data[:60] + bytes(20) + data[80:])
    assert isinstance(audited(path).outcome, Unreadable)
    tar = tmp_path / "model.tgz"
    with tarfile.open(tar, "w:gz") as out:
        out.add(FORMS / "frozen", "frozen")
    tar.write_bytes(tar.read_bytes()[:200])
    assert isinstance(audited(tar).outcome, Unreadable)
    _zip(path, FORMS / "several_graphs")
    assert "holds 3 models" in audited(path).outcome.reason
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("readme.txt", "nothing")
    assert "no model in this archive" in audited(path).outcome.reason
